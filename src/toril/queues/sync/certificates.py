"""Client certificates: what proves to a service who we are."""

from __future__ import annotations

import ssl
import tempfile
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


def certificate_of_texts(certificate: str, private_key: str) -> ssl.SSLContext:
    """As ``client_certificate``, of texts in PEM. They are in a folder of nobody else's while they are read, as OpenSSL
    reads files only.

    Raises:
        ConfigurationError: they are none, or do not belong together. Shows neither.
    """
    context = ssl.create_default_context()
    with tempfile.TemporaryDirectory(prefix="toril-") as folder:
        files = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        for file, text in zip(files, (certificate, private_key), strict=True):
            file.write_text(text, encoding="ascii")
        try:
            context.load_cert_chain(*files, password=lambda: b"")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or "no PEM"
            raise ConfigurationError(
                f"the client certificate with its key cannot be used: {reason}"
            ) from None
    return context
