"""Random secrets that are handed out once and kept by their hash only."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

#: Begins every API key, so that scanners for leaked secrets can find them.
KEY_PREFIX: Final = "toril_"

_HINT: Final = len(KEY_PREFIX) + 8


def hash_of(secret: str) -> str:
    """What is kept of a random secret. Plain SHA-256 will do, as 256 random bits cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_api_key() -> tuple[str, str]:
    """A key, and its first characters, by which people tell keys apart."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return key, key[:_HINT]


def new_password() -> str:
    """A password that nobody has to think up: 20 characters, 120 bits."""
    return secrets.token_urlsafe(15)
