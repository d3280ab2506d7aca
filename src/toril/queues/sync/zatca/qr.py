"""The QR code of a signed document: base64 of fields, each a tag byte, a length byte and the value.

Source: ZATCA, "Guide to develop a Fatoora compliant QR code".
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from toril.errors import UnrecoverableError

SELLER, VAT_NUMBER, ISSUED_AT, TOTAL, VAT, HASH, SIGNATURE, PUBLIC_KEY, CERTIFICATE_SIGNATURE = range(1, 10)
_LONGEST = 255  #: bytes that a length byte can say


def encode(fields: Mapping[int, str | bytes]) -> str:
    """The text of a code: fields in the order of their tags, text as UTF-8.

    Raises:
        UnrecoverableError: a value is too long for its length byte.
    """
    packed = bytearray()
    for tag in sorted(fields):
        value = fields[tag]
        raw = value.encode() if isinstance(value, str) else value
        if len(raw) > _LONGEST:
            what = "the seller's name" if tag == SELLER else f"field {tag}"
            raise UnrecoverableError(
                f"{what} has {len(raw)} bytes, an Arabic letter taking two; a QR code has place for {_LONGEST}"
            )
        packed += bytes((tag, len(raw))) + raw
    return base64.b64encode(packed).decode()


def decode(code: str) -> dict[int, bytes]:
    """The fields of a code by tag.

    Raises:
        ValueError: not base64, or a field is cut short.
    """
    packed = base64.b64decode(code, validate=True)
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(packed):
        length = packed[at + 1] if at + 1 < len(packed) else _LONGEST + 1
        value = packed[at + 2 : at + 2 + length]
        if len(value) < length:
            raise ValueError(f"the QR code ends inside field {packed[at]}")
        fields[packed[at]] = value
        at += 2 + length
    return fields
