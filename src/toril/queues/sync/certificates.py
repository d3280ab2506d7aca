"""Client certificates: what proves to a service who we are."""

from __future__ import annotations

import ssl
from pathlib import Path

from toril.errors import ConfigurationError


def client_certificate(certificate: Path, private_key: Path) -> ssl.SSLContext:
    """A TLS context that shows a certificate, and trusts whom the system trusts.

    Args:
        certificate, private_key: files in PEM.

    Raises:
        ConfigurationError: they cannot be read, or do not belong together.
    """
    context = ssl.create_default_context()
    try:
        context.load_cert_chain(certificate, private_key)
    except OSError as error:  # of which SSLError is one
        raise ConfigurationError(
            f"the client certificate {certificate} with the key {private_key} cannot be used: {error}"
        ) from error
    return context
