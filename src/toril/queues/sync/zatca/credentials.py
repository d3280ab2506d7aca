"""A firm's credentials at ZATCA, and a folder that keeps them encrypted."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from toril.db.ids import check_id
from toril.db.models.zatca import ZatcaEnvironment
from toril.errors import ConfigurationError, NotConfiguredError

_NONCE_BYTES: Final = 12
_SHORTEST_KEY: Final = 32  #: characters


@dataclass(frozen=True, slots=True, kw_only=True)
class ZatcaCredentials:
    """What signs a unit's documents and lets it in.

    Attributes:
        token: ``binarySecurityToken`` exactly as issued: certificate and user name at once.
        secret: the password that was issued with it.
        private_key: PEM of the key that the certificate's request was made with.
        request_id: of the request it was issued for; needed to go on with onboarding.
    """

    environment: ZatcaEnvironment
    token: str = field(repr=False)
    secret: str = field(repr=False)
    private_key: str = field(repr=False)
    request_id: str = ""


class CredentialSource(Protocol):
    """Where the credentials of firms come from."""

    async def get(self, firm_id: str) -> ZatcaCredentials | None:
        """The firm's credentials; ``None`` until it has some."""
        ...


class CredentialFolder:
    """Keeps credentials in one encrypted file a firm.

    Encrypted with AES-256-GCM; the firm's id is authenticated with it, so that a file renamed to another firm does
    not open. Files are readable by their owner only.

    Args:
        folder: made when it is first written to.
        key: a secret of at least 32 characters, the same in every process that shares the folder.
    Raises:
        ConfigurationError: the key is too short.
    """

    def __init__(self, folder: Path, key: str) -> None:
        if len(key) < _SHORTEST_KEY:
            raise ConfigurationError(
                f"the key that encrypts ZATCA's credentials must have at least {_SHORTEST_KEY} characters"
            )
        self._folder = folder
        derived = HKDF(SHA256(), length=32, salt=None, info=b"toril: credentials of firms at ZATCA").derive(
            key.encode()
        )
        self._cipher = AESGCM(derived)

    async def get(self, firm_id: str) -> ZatcaCredentials | None:
        """The firm's credentials; ``None`` until it has some.

        Raises:
            NotConfiguredError: they do not open: another key, another firm's file, or damaged.
        """
        return await asyncio.to_thread(self._read, check_id(firm_id))

    async def put(self, firm_id: str, credentials: ZatcaCredentials) -> None:
        """Store credentials, replacing the firm's earlier ones."""
        await asyncio.to_thread(self._write, check_id(firm_id), credentials)

    def _path(self, firm_id: str) -> Path:
        return self._folder / f"{firm_id}.zatca"

    def _read(self, firm_id: str) -> ZatcaCredentials | None:
        try:
            stored = self._path(firm_id).read_bytes()
        except FileNotFoundError:
            return None
        try:
            plain = self._cipher.decrypt(stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], firm_id.encode())
        except (InvalidTag, ValueError):
            raise NotConfiguredError(
                f"ZATCA: the credentials of firm {firm_id} do not open: they were stored under another key, or the "
                "file is damaged. Set the key they were stored under, or onboard the firm again"
            ) from None
        values = json.loads(plain)
        return ZatcaCredentials(**values | {"environment": ZatcaEnvironment(values["environment"])})

    def _write(self, firm_id: str, credentials: ZatcaCredentials) -> None:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        plain = json.dumps(asdict(credentials)).encode()
        stored = nonce + self._cipher.encrypt(nonce, plain, firm_id.encode())
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A half-written file must never take the place of credentials that work.
        temporary = self._folder / f".{firm_id}.{secrets.token_hex(8)}"
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(stored)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path(firm_id))
        finally:
            temporary.unlink(missing_ok=True)
