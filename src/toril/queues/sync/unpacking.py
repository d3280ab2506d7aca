"""Packed bodies of answers, unpacked a limited piece at a time: a few packed bytes could be gigabytes."""

from __future__ import annotations

import zlib
from typing import Final, Protocol

import httpx

#: What is asked for with ``Accept-Encoding``.
ACCEPTED: Final = "gzip"
_GZIP: Final = zlib.MAX_WBITS | 16


class Unpacker(Protocol):
    """Takes a body as it comes."""

    def unpack(self, chunk: bytes, limit: int) -> bytes:
        """The next piece, at most ``limit`` bytes of it; whoever gets so many stops there.

        Raises:
            httpx.DecodingError: it is damaged.
        """
        ...

    def end(self) -> None:
        """Say that this was all.

        Raises:
            httpx.DecodingError: something is missing.
        """
        ...


def unpacker(encoding: str) -> Unpacker:
    """What unpacks a body with this ``Content-Encoding``. One that was not asked for is left as it came."""
    return _Gzip() if encoding.strip().lower() in ("gzip", "x-gzip") else _Plain()


class _Plain:
    def unpack(self, chunk: bytes, limit: int) -> bytes:
        return chunk[:limit]

    def end(self) -> None:
        return


class _Gzip:
    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._began = False

    def unpack(self, chunk: bytes, limit: int) -> bytes:
        found = b""
        self._began = self._began or bool(chunk)
        try:
            while chunk and len(found) < limit:
                if self._member.eof:  # several in a row are one body
                    self._member = zlib.decompressobj(_GZIP)
                found += self._member.decompress(chunk, limit - len(found))
                chunk = self._member.unused_data
        except zlib.error as error:
            raise httpx.DecodingError(str(error)) from error
        return found

    def end(self) -> None:
        if self._began and not self._member.eof:
            raise httpx.DecodingError("the packed body is cut short")
