"""The QR code that a Saudi tax invoice carries.

Its text is base64 of fields, each a tag byte, a length byte and the value in UTF-8. Phase one has five: the
seller's name, its VAT number, the time of issue, the total with VAT, and the VAT. A cleared or reported
invoice (phase two) adds hash, signature and key; such a code is made elsewhere and only drawn here.
Source: ZATCA, "Guide to develop a Fatoora compliant QR code".
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation

import segno

from toril.errors import OptionError

_PNG = b"\x89PNG\r\n\x1a\n"
_PIXELS = 4  # a module's side; a picture is drawn ten times as fast as its squares are as shapes

SELLER, VAT_NUMBER, ISSUED_AT, TOTAL, VAT = 1, 2, 3, 4, 5


def encode_tlv(values: Mapping[int, str]) -> str:
    """Base64 of the fields in the order of their tags.

    Raises:
        OptionError: a value has more than the 255 bytes its length byte can say.
    """
    packed = bytearray()
    for tag in sorted(values):
        value = values[tag].encode()
        if len(value) > 255:
            raise OptionError(f"QR field {tag} has {len(value)} bytes in UTF-8; at most 255 fit")
        packed += bytes((tag, len(value))) + value
    return base64.b64encode(packed).decode()


def decode_tlv(code: str) -> dict[int, bytes]:
    """The fields of a code by tag; those of phase two are binary.

    Raises:
        OptionError: not base64, or a field is cut short.
    """
    try:
        packed = base64.b64decode(code, validate=True)
    except binascii.Error as error:
        raise OptionError("the QR code's text is not base64") from error
    values: dict[int, bytes] = {}
    at = 0
    while at < len(packed):
        length = packed[at + 1] if at + 1 < len(packed) else 255
        value = packed[at + 2 : at + 2 + length]
        if len(value) < length:
            raise OptionError(f"the QR code ends inside field {packed[at]}")
        values[packed[at]] = value
        at += 2 + length
    return values


def phase_one_code(*, seller: str, vat_number: str, issued_at: datetime, total: str, vat: str) -> str:
    """The text of a phase-one code.

    Args:
        issued_at: in the seller's local time; written without a zone, as in the invoice's XML.
        total: with VAT, as printed, without separators: ``1150.00``.
        vat: the VAT in it, likewise.
    """
    return encode_tlv(
        {
            SELLER: seller,
            VAT_NUMBER: vat_number,
            ISSUED_AT: issued_at.strftime("%Y-%m-%dT%H:%M:%S"),
            TOTAL: total,
            VAT: vat,
        }
    )


def check_qr(code: str, *, total: Decimal, vat: Decimal) -> None:
    """Refuse a finished code that does not belong to an invoice with these figures.

    Raises:
        OptionError: not such a code, a field is missing, or its total or VAT is another.
    """
    values = decode_tlv(code)
    missing = [str(tag) for tag in (SELLER, VAT_NUMBER, ISSUED_AT, TOTAL, VAT) if tag not in values]
    if missing:
        raise OptionError(f"the QR code lacks field {', '.join(missing)}")
    for tag, name, expected in ((TOTAL, "total", total), (VAT, "VAT", vat)):
        try:
            written = Decimal(values[tag].decode())
        except (InvalidOperation, UnicodeDecodeError) as error:
            raise OptionError(f"the QR code's {name} {values[tag]!r} is not a number") from error
        if abs(written - expected) >= Decimal("0.01"):
            raise OptionError(f"the QR code's {name} is {written}, the invoice's {expected}")


def qr_picture(code: str) -> str:
    """The QR code as a data URI of a PNG picture, with error correction M and no quiet zone of its own.

    The mask is fixed. Trying all eight for the most even picture takes four times as long, and base64 text is
    as good as random under any of them; the picture says which mask it has, so every reader reads it.
    """
    rows = [
        "".join(("0" if dark else "1") * _PIXELS for dark in row)
        for row in segno.make_qr(code, error="m", mask=3).matrix
    ]
    side = len(rows) * _PIXELS
    padding = -side % 8
    lines = b"".join(
        (b"\0" + int(row + "0" * padding, 2).to_bytes((side + padding) // 8)) * _PIXELS for row in rows
    )
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)  # one bit a pixel, grey
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines)) + _chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(_PNG + chunks).decode()}"


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
