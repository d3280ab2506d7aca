"""Files in a bucket of S3, or of a service that speaks as it does: MinIO, Ceph, R2 and others."""

from __future__ import annotations

import mimetypes
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toril.errors import ConfigurationError, NotConfiguredError, OptionError, RetryableError
from toril.queues.storage import FileFacts, StoredFile, check_place, safe_name

try:
    import obstore
    from obstore import exceptions
    from obstore.store import S3Store
except ImportError as error:
    raise ConfigurationError("files in S3 need the package obstore: pip install 'toril[s3]'") from error

if TYPE_CHECKING:
    from obstore.store import S3Config

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[\w.-]+(/[\w.-]+)*")
_RETRIES_WITHIN = timedelta(seconds=30)


class S3FileStore:
    """Files in a bucket: ``s3://<bucket>/<prefix>/<firm>/<folder>/<name>``.

    Args:
        prefix: what all keys begin with.
        endpoint: address of the service, such as ``https://minio.example.com``; AWS unless given.
        region: ``us-east-1`` unless given, which other services than AWS take.
        access_key_id, secret_access_key: looked for in the environment (``AWS_ACCESS_KEY_ID``, a role of the
            machine and so on) unless given.
    Raises:
        OptionError: the bucket or the prefix is not acceptable.
    """

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        endpoint: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> None:
        prefix = prefix.strip("/")
        if not _BUCKET.fullmatch(bucket):
            raise OptionError(f"{bucket!r} is not the name of a bucket")
        if prefix and (not _PREFIX.fullmatch(prefix) or ".." in prefix.split("/")):
            raise OptionError(f"{prefix!r} cannot be what keys begin with: letters, digits and . _ - / only")
        self._root = f"s3://{bucket}/{prefix}/" if prefix else f"s3://{bucket}/"
        self._at = len(f"s3://{bucket}/")
        config: S3Config = {"region": region or "us-east-1"}
        if endpoint:
            config["endpoint"] = endpoint
        if access_key_id and secret_access_key:
            config |= {"access_key_id": access_key_id, "secret_access_key": secret_access_key}
        self._store = S3Store(
            bucket,
            config=config,
            client_options={"allow_http": bool(endpoint and endpoint.startswith("http://"))},
            retry_config={"retry_timeout": _RETRIES_WITHIN},
        )

    async def save(self, *, firm_id: str, folder: str, name: str, content: bytes) -> StoredFile:
        """Write a new file and return where it is.

        A name already taken gets a random suffix, so that a file somebody was given a link to never changes.
        The service itself refuses a name that is taken (``If-None-Match``); for those that do not know how,
        it is looked for first.

        Raises:
            NotConfiguredError: the service refuses our credentials.
            OptionError: the firm's id or the folder is not a plain name.
            RetryableError: the service cannot be reached, or fails.
        """
        check_place(firm_id, folder)
        plain = PurePosixPath(safe_name(name) or "file")
        file = plain
        while True:
            path = f"{self._root}{firm_id}/{folder}/{file}"
            with _our_errors(path):
                if not await self._is_taken(path) and await self._create(path, content):
                    return StoredFile(name=str(file), path=path, size=len(content))
            file = plain.with_stem(f"{plain.stem}-{secrets.token_hex(3)}")

    async def delete(self, path: str) -> None:
        """Delete a stored file; one that is not there is gone already. Raises as ``read`` does."""
        with _our_errors(path), suppress(FileNotFoundError, exceptions.NotFoundError):
            await obstore.delete_async(self._store, self._key(path))

    async def read(self, path: str) -> bytes:
        """The content of a stored file.

        Raises:
            NotConfiguredError: the service refuses our credentials.
            OptionError: ``path`` is outside of the store, or there is no such file.
            RetryableError: the service cannot be reached, or fails.
        """
        with _our_errors(path):
            found = await obstore.get_async(self._store, self._key(path))
            return bytes(await found.bytes_async())

    async def size(self, path: str) -> int:
        """How many bytes a stored file has; raises as ``read`` does."""
        return (await self.look(path)).size

    async def look(self, path: str) -> FileFacts:
        """How large a stored file is, and which one; raises as ``read`` does."""
        with _our_errors(path):
            found = await obstore.head_async(self._store, self._key(path))
        return FileFacts(size=found["size"], changed=int(found["last_modified"].timestamp() * 1e9))

    def firm_of(self, path: str) -> str | None:
        """The firm that a file was stored for, by its place; None for a place that is not in the store."""
        if not path.startswith(self._root) or ".." in path.split("/"):
            return None
        firm_id, slash, _ = path.removeprefix(self._root).partition("/")
        return firm_id if slash else None

    def place_of(self, path: str) -> str:
        """Where a file is below what all keys begin with, whether or not it is there.

        Raises:
            OptionError: ``path`` is outside of the store.
        """
        self._key(path)
        return path.removeprefix(self._root)

    def path_at(self, place: str) -> str:
        """The path of the file at a place within the store.

        Raises:
            OptionError: the place is outside of the store.
        """
        path = self._root + place
        self._key(path)
        return path

    async def read_part(self, path: str, start: int, length: int) -> bytes:
        """Some of a stored file: ``length`` bytes from ``start`` on, fewer at its end; raises as ``read`` does."""
        with _our_errors(path):
            return bytes(
                await obstore.get_range_async(self._store, self._key(path), start=start, length=length)
            )

    async def check(self) -> None:
        """Write a small object, read it and delete it; raises as ``save`` does."""
        path = f"{self._root}.toril-check-{secrets.token_hex(8)}"
        key, content = path[self._at :], secrets.token_bytes(64)
        with _our_errors(path):
            await obstore.put_async(self._store, key, content, use_multipart=False)
            try:
                found = await obstore.get_async(self._store, key)
                if bytes(await found.bytes_async()) != content:
                    raise RetryableError(f"{path!r}: what comes back is not what was written")
            finally:
                await obstore.delete_async(self._store, key)

    def _key(self, path: str) -> str:
        if not path.startswith(self._root) or ".." in path.split("/"):
            raise OptionError(f"file {path!r} is outside of the file store")
        return path[self._at :]

    async def _is_taken(self, path: str) -> bool:
        try:
            await obstore.head_async(self._store, path[self._at :])
        except (FileNotFoundError, exceptions.NotFoundError):
            return False
        return True

    async def _create(self, path: str, content: bytes) -> bool:
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        try:
            await obstore.put_async(
                self._store,
                path[self._at :],
                content,
                attributes={"Content-Type": kind},
                mode="create",
                use_multipart=False,
            )
        except exceptions.AlreadyExistsError:
            return False
        return True


@contextmanager
def _our_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise OptionError(f"there is no stored file {path!r}, or no such bucket") from error
    except OptionError:
        raise
    except ValueError as error:  # a path that can name no file, such as one with a NUL character
        raise OptionError(f"there is no stored file {path[:500]!r}") from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise NotConfiguredError(f"{path!r}: the service of the bucket refuses our credentials") from error
    except exceptions.BaseError as error:
        raise RetryableError(f"{path!r}: the service of the bucket failed: {str(error)[:300]}") from error
