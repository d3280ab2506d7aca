"""Stored files over HTTP: links that are signed and expire, whole files and ranges of them (RFC 9110, 14)."""

from __future__ import annotations

import binascii
import hashlib
import mimetypes
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from toril.errors import OptionError
from toril.queues.signing import Signer, from_base64, to_base64
from toril.queues.storage import FileFacts, FileStore
from toril.web.errors import NotFound

#: Seconds a link is good for, unless told otherwise.
LINK_LASTS: Final = 15 * 60
#: Bytes that are read, and held in memory, at a time.
CHUNK: Final = 256 * 1024

#: What ``send_file`` may answer, for the API's description. A file is sent as its own kind.
FILE_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file.", "content": {"application/octet-stream": {}}},
    206: {"description": "The range asked for.", "content": {"application/octet-stream": {}}},
    304: {"description": "It has not changed."},
    416: {"description": "The file has no such range."},
}

_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedFile:
    """What a link leads to.

    Attributes:
        facts: of the file that is meant, and not another one that has its path by now; None for whichever has it.
        asked_by: id of the user who asked for the link, if that is known.
    """

    path: str
    name: str
    facts: FileFacts | None = None
    asked_by: str | None = None


class FileLinks:
    """Makes links to files, and reads them back. Whoever has a link may fetch its file until it expires.

    Anybody can read what a link says. So it tells where its file is within the store, and not where the store is.

    Args:
        secrets: of the installation, the present one first, then those it replaced, whose links are still good.
        files: the store.
        clock: seconds since 1970.
    """

    def __init__(
        self, secrets: Sequence[str], files: FileStore, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._signer = Signer(secrets, purpose="toril: links to files, 2", encode=to_base64)
        self._files, self._clock = files, clock

    def make(self, file: LinkedFile, *, lasts: float = LINK_LASTS) -> tuple[str, int]:
        """The path of a link, and when it expires in seconds since 1970.

        Raises:
            OptionError: the file is outside of the store.
        """
        expires, place = int(self._clock() + lasts), self._files.place_of(file.path)
        text = to_base64(orjson.dumps([place, file.name, expires, file.asked_by, *_told_by(file.facts)]))
        return f"/files/{text}.{self._signer.sign(text)}", expires

    def read(self, token: str) -> LinkedFile | None:
        """The file that the last part of a link's path names; None if we did not sign it, or it has expired."""
        text, _, signature = token.partition(".")
        if not token.isascii() or not self._signer.has_signed(text, signature):
            return None
        try:
            place, name, expires, asked_by, *told = orjson.loads(from_base64(text))
            facts = FileFacts(size=told[0], changed=told[1]) if told else None
            path = self._files.path_at(place)
        except (binascii.Error, ValueError, TypeError, IndexError):  # an OptionError is a ValueError
            return None
        file = LinkedFile(path=path, name=name, facts=facts, asked_by=asked_by)
        return file if self._clock() < expires else None


async def look_at(files: FileStore, file: LinkedFile) -> FileFacts:
    """What a file is told by.

    Raises:
        NotFound: it is not kept any more.
    """
    try:
        return await files.look(file.path)
    except OptionError as error:
        raise NotFound("this file is not kept any more", code="no_file") from error


def _told_by(facts: FileFacts | None) -> tuple[int, ...]:
    return () if facts is None else (facts.size, facts.changed)


async def send_file(request: Request, files: FileStore, file: LinkedFile) -> Response:
    """The answer that carries a file, or the part of it that is asked for.

    A browser may keep a file until another one has its place, and go on with a broken download of the same.

    Raises:
        NotFound: it is not kept any more, or another one has its place.
    """
    facts = await look_at(files, file)
    if file.facts not in (None, facts):
        raise NotFound("this file was replaced: ask for a new link", code="no_file")
    size = facts.size
    told = orjson.dumps([file.path, file.name, *_told_by(facts)])
    tag = f'"{hashlib.sha256(told).hexdigest()[:32]}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='', errors='replace')}",
    }
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range")
    if wanted and request.headers.get("if-range", tag) == tag:
        part = _part(wanted, size)
        if part is not None:
            start, length = part
            if length <= 0:
                return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
            headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
            return _stream(request, files, file, start, length, 206, headers)
    return _stream(request, files, file, 0, size, 200, headers)


def is_handed_over(request: Request, response: Response) -> bool:
    """Whether an answer of ``send_file`` carries a file, or a part of it: that is for the audit log."""
    return request.method == "GET" and response.status_code in (200, 206)


def _part(wanted: str, size: int) -> tuple[int, int] | None:
    """Start and length of the one range in a header; None for a header to be ignored, as several ranges may be."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:  # the last so many bytes
        start = max(size - int(last), 0)
        return start, size - start if int(last) else 0
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    return start, end - start + 1


def _stream(
    request: Request,
    files: FileStore,
    file: LinkedFile,
    start: int,
    length: int,
    status: int,
    headers: dict[str, str],
) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        at, end = start, start + length
        while at < end:
            chunk = await files.read_part(file.path, at, min(CHUNK, end - at))
            if not chunk:
                raise OSError(f"file {file.path!r} has become shorter while it was sent")
            yield chunk
            at += len(chunk)

    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    headers["Content-Length"] = str(length)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(chunks(), status, headers, media_type)
