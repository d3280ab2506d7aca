"""Finishing touches on Chromium's PDF: title, author, language, and Arabic text that can be searched.

The title and the language come from the job rather than from the document, which is not trusted to set them.
Beside the names of glyphs there are texts in place of them here and there (``ActualText``), in which lam and
alef are two letters; they are put as the one form, for the reason given for names.

All is appended as an incremental update (ISO 32000-1, 7.5.6), as for the other engine.
"""

from __future__ import annotations

import re

from toril.queues.pdf.renderers.finish_cairo import compressed_stream, inflated, language_tag
from toril.queues.pdf.renderers.naming import is_naming, with_plain_letters

_TRAILER = re.compile(
    rb"trailer\s*<<(?=[^>]*/Size (\d+))(?=[^>]*/Root (\d+) 0 R)(?=[^>]*/Info (\d+) 0 R)(?![^>]*/Prev\b)[^>]*>>"
    rb"\s*startxref\s+(\d+)\s+%%EOF\s*\Z"
)
_SECTION = re.compile(rb"xref\s+0 (\d+)\s*\n")
_ENTRY = re.compile(rb"(\d{10}) \d{5} n")
# Streams of text and of names have no other entries; those of fonts and pictures have.
_STREAM = re.compile(rb"\d+ 0 obj\s*<<\s*/Filter /FlateDecode\s*/Length \d+\s*>>\s*stream\r?\n")
_LAM_ALEF = re.compile(rb"(/ActualText <feff)0644(062[2357])(>)", re.IGNORECASE)
_FORMS = {b"0622": b"fef5", b"0623": b"fef7", b"0625": b"fef9", b"0627": b"fefb"}
_OBJECT = re.compile(rb"\d+ 0 obj\s*<<(.*?)>>\s*endobj", re.DOTALL)
_LANG = re.compile(rb"\s*/Lang\s*(\((?:\\.|[^\\)])*\)|<[0-9A-Fa-f\s]*>)", re.DOTALL)
_DATE = re.compile(rb"/CreationDate \(([^)]*)\)")


def finish(pdf: bytes, *, title: str, author: str, lang: str) -> bytes:
    """The same file with its properties set and its letters named plainly.

    Raises:
        ValueError: ``lang`` is no language tag, or the file is not laid out as Skia, Chromium's PDF writer,
            lays out its files.
    """
    tag = language_tag(lang)
    trailer = _TRAILER.search(pdf, max(0, len(pdf) - 1024))
    section = _SECTION.match(pdf, int(trailer[4])) if trailer else None
    if trailer is None or section is None:
        raise ValueError("the file has no cross-reference table of the expected kind")
    size, root, info, previous = (int(value) for value in trailer.groups())
    offsets = _offsets(pdf, section.end(), int(section[1]))
    updates: dict[int, bytes] = {}
    for number, offset in offsets.items():
        stream = _STREAM.match(pdf, offset)
        if stream is None:
            continue
        content = inflated(pdf, stream.end())
        if is_naming(content):
            updates[number] = compressed_stream(with_plain_letters(content))
        elif _LAM_ALEF.search(content):
            updates[number] = compressed_stream(
                _LAM_ALEF.sub(lambda match: match[1] + _FORMS[match[2]] + match[3], content)
            )
    catalog = _OBJECT.match(pdf, offsets.get(root, len(pdf)))
    properties = _OBJECT.match(pdf, offsets.get(info, len(pdf)))
    if catalog is None or b"/Type /Catalog" not in catalog[1] or properties is None:
        raise ValueError("the file's catalog was not found")
    updates[root] = b"<<%s\n/Lang (%s)>>" % (_LANG.sub(b"", catalog[1]), tag)
    updates[info] = _properties(title, author, _DATE.search(properties[1]))
    return pdf + _update(updates, at=len(pdf), size=size, root=root, info=info, previous=previous)


def _offsets(pdf: bytes, start: int, count: int) -> dict[int, int]:
    entries = (pdf[at : at + 20] for at in range(start, start + 20 * count, 20))
    found = ((number, _ENTRY.match(entry)) for number, entry in enumerate(entries))
    return {number: int(entry[1]) for number, entry in found if entry}


def _properties(title: str, author: str, made: re.Match[bytes] | None) -> bytes:
    texts = {b"Title": title, b"Author": author, b"Creator": "Toril", b"Producer": "Chromium, Skia/PDF"}
    rows = [
        b"/%s <FEFF%s>" % (key, text.encode("utf-16-be", "replace").hex().upper().encode())
        for key, text in texts.items()
        if text
    ]
    if made:
        rows += [b"/CreationDate (%s)" % made[1], b"/ModDate (%s)" % made[1]]
    return b"<<%s>>" % b"\n".join(rows)


def _update(objects: dict[int, bytes], *, at: int, size: int, root: int, info: int, previous: int) -> bytes:
    out = bytearray()
    table = b"xref\n0 1\n0000000000 65535 f \n"  # some readers want every table to begin with object 0
    for number, body in sorted(objects.items()):
        table += b"%d 1\n%010d 00000 n \n" % (number, at + len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = at + len(out)
    trailer = b"<</Size %d\n/Root %d 0 R\n/Info %d 0 R\n/Prev %d>>" % (size, root, info, previous)
    return bytes(out + table) + b"trailer\n%s\nstartxref\n%d\n%%%%EOF\n" % (trailer, start)
