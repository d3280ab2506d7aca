"""Finishing touches on PlutoPrint's PDF: its language, and Arabic text that can be searched and copied.

Both are appended as an incremental update (ISO 32000-1, 7.5.6), which leaves every byte before it as it is,
and takes a tenth of the time of reading and writing the whole file.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from toril.queues.pdf.renderers.naming import is_naming, with_plain_letters

_TRAILER = re.compile(
    rb"\d+ 0 obj\s*<<(?=[^>]*/Type /XRef\b)(?=[^>]*/Size (\d+))(?=[^>]*/W \[\s*(\d+) (\d+) (\d+)\s*\])"
    rb"(?=[^>]*/Root (\d+) 0 R)(?=[^>]*/Info (\d+) 0 R)(?![^>]*/(?:Index|Prev|DecodeParms)\b)[^>]*>>"
    rb"\s*stream\r?\n"
)
_STREAM = re.compile(rb"\d+ 0 obj\s*(<<[^>]*/FlateDecode\b[^>]*>>)\s*stream\r?\n")
_CATALOG = re.compile(rb"<<\s*/Type /Catalog\b")


def finish(pdf: bytes, *, lang: str) -> bytes:
    """The same file with its language set and its letters named plainly.

    Raises:
        ValueError: ``lang`` is no language tag, or the file is not laid out as cairo 1.18, the engine's PDF
            writer, lays out its files.
    """
    tag = language_tag(lang)
    last = pdf.rpartition(b"startxref")[2].split()
    trailer = _TRAILER.match(pdf, int(last[0])) if last else None
    if trailer is None:
        raise ValueError("the file has no cross-reference stream of the expected kind")
    size, *widths, root, info = (int(value) for value in trailer.groups())
    entries = inflated(pdf, trailer.end())
    updates: dict[int, bytes] = {}
    for number, offset in _offsets(entries, widths):
        stream = _STREAM.match(pdf, offset)
        if stream is None:
            continue
        if b"/ObjStm" in stream[1]:
            catalog = _catalog_in(inflated(pdf, stream.end()))
            if catalog:
                updates[root] = catalog + b"/Lang (%s) >>" % tag
        elif is_naming(inflated(pdf, stream.end(), limit=64)):
            updates[number] = compressed_stream(with_plain_letters(inflated(pdf, stream.end())))
    if root not in updates:
        raise ValueError("the file's catalog was not found")
    return pdf + _update(updates, at=len(pdf), size=size, root=root, info=info, previous=int(last[0]))


def language_tag(lang: str) -> bytes:
    """``lang`` as it may stand in a file.

    Raises:
        ValueError: it is no language tag.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]{2,35}", lang):
        raise ValueError(f"{lang!r} is not a language tag such as ar or en-GB")
    return lang.encode("ascii")


def _offsets(entries: bytes, widths: list[int]) -> Iterator[tuple[int, int]]:
    """Number and place of each object that stands in the file by itself (7.5.8.3: entries of type 1)."""
    kind, place, _ = widths
    step = sum(widths)
    for number, at in enumerate(range(0, len(entries), step)):
        if entries[at : at + kind] == b"\x01".rjust(kind, b"\0"):
            yield number, int.from_bytes(entries[at + kind : at + kind + place])


def _catalog_in(objects: bytes) -> bytes | None:
    """The catalog's dictionary without its closing brackets, if it is among the objects of a stream."""
    found = _CATALOG.search(objects)
    depth = 0
    # Objects in a stream follow each other without marks, so it ends where its first bracket is closed.
    for bracket in re.finditer(rb"<<|>>", objects[found.start() :]) if found else ():
        depth += 1 if bracket[0] == b"<<" else -1
        if found and depth == 0:
            return objects[found.start() : found.start() + bracket.start()]
    return None


def _update(objects: dict[int, bytes], *, at: int, size: int, root: int, info: int, previous: int) -> bytes:
    out = bytearray()
    offsets: dict[int, int] = {}
    for number, body in sorted(objects.items()):
        offsets[number] = at + len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    offsets[size] = start = at + len(out)
    entries = b"".join(b"\x01" + offset.to_bytes(4) + b"\x00" for offset in offsets.values())
    index = b" ".join(b"%d 1" % number for number in offsets)
    out += b"%d 0 obj\n<< /Type /XRef /Size %d /W [1 4 1] /Index [%s] " % (size, size + 1, index)
    out += b"/Root %d 0 R /Info %d 0 R /Prev %d /Length %d >>\n" % (root, info, previous, len(entries))
    out += b"stream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % (entries, start)
    return bytes(out)


def compressed_stream(content: bytes) -> bytes:
    """A stream object's body."""
    packed = zlib.compress(content)
    return b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(packed), packed)


def inflated(pdf: bytes, start: int, limit: int = 0) -> bytes:
    """The content of the compressed stream that begins at ``start``, or its first ``limit`` bytes."""
    # Compressed data knows its own end; the stream's length, which stands in another object, is not needed.
    return zlib.decompressobj().decompress(memoryview(pdf)[start:], limit)
