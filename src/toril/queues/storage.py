"""Where processors keep the files they make: one folder per firm, names safe, nothing overwritten."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toril.errors import OptionError
from toril.queues.private_files import create_private, make_private_folders

_NO_SUCH_FILE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
_FIRM = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file that was stored. ``path`` is what later jobs and downloads name it by."""

    name: str
    path: str
    size: int  #: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a stored file is told by from another one with its path.

    Attributes:
        size: bytes.
        changed: when it was written, as exactly as the store knows, as a number of nanoseconds.
    """

    size: int
    changed: int


class FileStore(Protocol):
    """Stores and reads files; a path always comes from ``save`` and never leaves the store."""

    async def save(self, *, firm_id: str, folder: str, name: str, content: bytes) -> StoredFile:
        """Write a new file; if the name is taken, under the name with a random suffix."""
        ...

    def firm_of(self, path: str) -> str | None:
        """The firm that a file was stored for, by its place; None for a place that is not in the store."""
        ...

    def place_of(self, path: str) -> str:
        """Where a file is within the store: what may be told to others, who need not know where the store is."""
        ...

    def path_at(self, place: str) -> str:
        """The path of the file at a place within the store."""
        ...

    async def delete(self, path: str) -> None:
        """Delete a stored file; one that is not there is gone already."""
        ...

    async def read(self, path: str) -> bytes:
        """The content of a stored file."""
        ...

    async def size(self, path: str) -> int:
        """How many bytes a stored file has."""
        ...

    async def look(self, path: str) -> FileFacts:
        """How large a stored file is, and which one: another one in its place has other facts."""
        ...

    async def read_part(self, path: str, start: int, length: int) -> bytes:
        """Some of a stored file: ``length`` bytes from ``start`` on, fewer at its end."""
        ...


def safe_name(name: str) -> str:
    """``name`` as one harmless path component: letters of any script with their marks, digits, ``.``, ``-``, ``_``."""
    plain = unicodedata.normalize("NFC", name)
    cleaned = re.sub("/+", "-", "".join(char if _is_harmless(char) else "/" for char in plain)).strip("-.")
    stem, dot, suffix = cleaned.rpartition(".")
    return f"{_cut(stem)}{dot}{suffix[:10]}" if dot else _cut(cleaned)


def _is_harmless(char: str) -> bool:
    # Marks are what stands above and below letters: without them Arabic words with vowels fall to pieces.
    return char.isalnum() or char in "._-" or unicodedata.category(char).startswith("M")


def _cut(text: str) -> str:
    # File systems count bytes, of which a letter has up to four, and take 255; a suffix comes to it later.
    return text[:100].encode()[:200].decode(errors="ignore")


def check_place(firm_id: str, folder: str) -> None:
    """Refuse a firm's id or a folder that could lead somewhere else.

    Raises:
        OptionError: one of them is not a plain name.
    """
    if not _FIRM.fullmatch(firm_id) or not _FIRM.fullmatch(folder):
        raise OptionError(f"firm id {firm_id!r} and folder {folder!r} must be plain names")


def open_file_store(
    location: str | Path,
    *,
    endpoint: str | None = None,
    region: str | None = None,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
) -> FileStore:
    """The store at a location: a folder of this machine, or ``s3://bucket/prefix``.

    The other arguments are of S3 only; see ``S3FileStore``.

    Raises:
        ConfigurationError: the location is in S3, and its extra is not installed.
        OptionError: it is an address of another kind, or of no bucket.
    """
    scheme, mark, place = str(location).partition("://")
    if not mark:
        return LocalFileStore(Path(location))
    if scheme != "s3":
        raise OptionError(f"files can be kept in a folder or in s3://bucket/prefix, not in {scheme}://…")
    from toril.queues.storage_s3 import S3FileStore

    bucket, _, prefix = place.partition("/")
    return S3FileStore(
        bucket,
        prefix=prefix,
        endpoint=endpoint,
        region=region,
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
    )


class LocalFileStore:
    """Files under a root folder of this machine: ``<root>/<firm>/<folder>/<name>``."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    async def save(self, *, firm_id: str, folder: str, name: str, content: bytes) -> StoredFile:
        """Write a new file and return where it is.

        A name already taken gets a random suffix, so that a file somebody was given a link to never changes.

        Raises:
            OptionError: the firm's id or the folder is not a plain name.
        """
        check_place(firm_id, folder)
        return await asyncio.to_thread(self._write, self.root / firm_id / folder, safe_name(name), content)

    def firm_of(self, path: str) -> str | None:
        """The firm that a file was stored for, by its place; None for a place that is not in the store."""
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            parts = (self.root / path).resolve().relative_to(self.root).parts
            return parts[0] if len(parts) > 1 else None
        return None

    def place_of(self, path: str) -> str:
        """Where a file is within the store, whether or not it is there.

        Raises:
            OptionError: ``path`` is outside of the store.
        """
        with self._found(path) as wanted:
            return wanted.relative_to(self.root).as_posix()

    def path_at(self, place: str) -> str:
        """The path of the file at a place within the store.

        Raises:
            OptionError: the place is outside of the store.
        """
        with self._found(place) as wanted:
            return str(wanted)

    async def delete(self, path: str) -> None:
        """Delete a stored file; one that is not there is gone already.

        Raises:
            OptionError: ``path`` is outside of the store, or no file's.
        """
        with self._found(path) as wanted:
            await asyncio.to_thread(wanted.unlink, missing_ok=True)

    async def read(self, path: str) -> bytes:
        """The content of a stored file.

        Raises:
            OptionError: ``path`` is outside of the store, or there is no such file.
        """
        return await asyncio.to_thread(self._read, path)

    async def size(self, path: str) -> int:
        """How many bytes a stored file has.

        Raises:
            OptionError: ``path`` is outside of the store, or there is no such file.
        """
        return (await self.look(path)).size

    async def look(self, path: str) -> FileFacts:
        """How large a stored file is, and which one.

        Raises:
            OptionError: ``path`` is outside of the store, or there is no such file.
        """
        with self._found(path) as wanted:
            found = await asyncio.to_thread(wanted.stat)
        return FileFacts(size=found.st_size, changed=found.st_mtime_ns)

    async def read_part(self, path: str, start: int, length: int) -> bytes:
        """Some of a stored file: ``length`` bytes from ``start`` on, fewer at its end.

        Raises:
            OptionError: ``path`` is outside of the store, or there is no such file.
        """

        def read(wanted: Path) -> bytes:
            with wanted.open("rb") as file:
                file.seek(start)
                return file.read(length)

        with self._found(path) as wanted:
            return await asyncio.to_thread(read, wanted)

    def _write(self, directory: Path, name: str, content: bytes) -> StoredFile:
        make_private_folders(directory)
        plain = target = directory / (name or "file")
        part = directory / f".{secrets.token_hex(8)}.part"
        with create_private(part) as file:
            file.write(content)
        try:
            while True:
                try:
                    # A hard link fails if the name exists, so two writers never share a name.
                    os.link(part, target)
                    break
                except FileExistsError:
                    target = plain.with_stem(f"{plain.stem}-{secrets.token_hex(3)}")
        finally:
            part.unlink()
        return StoredFile(name=target.name, path=str(target), size=len(content))

    def _read(self, path: str) -> bytes:
        with self._found(path) as wanted:
            return wanted.read_bytes()

    @contextmanager
    def _found(self, path: str) -> Iterator[Path]:
        try:
            wanted = (self.root / path).resolve()
        except (ValueError, RuntimeError, OSError) as error:  # a NUL character, or links in a circle
            raise OptionError(f"there is no stored file {path[:500]!r}") from error
        if not wanted.is_relative_to(self.root):
            raise OptionError(f"file {path[:500]!r} is outside of the file store")
        try:
            yield wanted
        except OSError as error:
            if error.errno not in _NO_SUCH_FILE:
                raise
            raise OptionError(f"there is no stored file {path[:500]!r}") from error
