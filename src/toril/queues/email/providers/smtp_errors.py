"""What an SMTP server's refusal means for a job: try again, never, or tell whoever runs this."""

from __future__ import annotations

import ssl

from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPTimeoutError,
)

from toril.errors import NotConfiguredError, RetryableError, TorilError, UnrecoverableError
from toril.queues.email.providers.smtp_server import SmtpServer

#: RFC 4954, 6: authentication required, mechanism too weak, credentials invalid, encryption required
_ACCOUNT_CODES = {530, 534, 535, 538}


def explain(error: SMTPException | OSError, server: SmtpServer, *, connecting: bool) -> TorilError:
    """The error a job fails with.

    4xx answers, lost connections and time-outs pass; 5xx answers stay. While connecting, a 5xx is about us
    and not about the mail, and so is a certificate that does not verify.
    """
    if isinstance(error, SMTPRecipientsRefused):
        answers = "; ".join(f"{one.recipient}: {answer(one.code, one.message)}" for one in error.recipients)
        text = f"SMTP server {server} refused all recipients ({answers})"
        if all(one.code >= 500 for one in error.recipients):
            return UnrecoverableError(text)
        return RetryableError(text)
    if isinstance(error, SMTPResponseException):
        return _for_answer(error, server, connecting=connecting)
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return NotConfiguredError(
            f"SMTP server {server}: its certificate does not verify ({cause.verify_message}). Use the name "
            "the certificate was made for, or give a TLS context that trusts it"
        )
    if isinstance(error, SMTPTimeoutError | OSError):
        return RetryableError(f"SMTP server {server}: {error}")
    # What is left is aiosmtplib saying that the server lacks STARTTLS or a way to log in that we know.
    return NotConfiguredError(f"SMTP server {server}: {error}")


def _for_answer(error: SMTPResponseException, server: SmtpServer, *, connecting: bool) -> TorilError:
    said = answer(error.code, error.message)
    if error.code < 500:
        return RetryableError(f"SMTP server {server} cannot take the mail now ({said})")
    if isinstance(error, SMTPAuthenticationError) or error.code in _ACCOUNT_CODES:
        return NotConfiguredError(
            f"SMTP server {server} refused the login ({said}). Check user and password, and that the account "
            "may send"
        )
    if connecting:
        return NotConfiguredError(f"SMTP server {server} refuses to talk to us ({said})")
    return UnrecoverableError(f"SMTP server {server} refused the mail ({said})")


def answer(code: int, message: str) -> str:
    """A server's answer on one line, cut to a length that fits an error."""
    # aiosmtplib keeps bytes that are no UTF-8 as halves of surrogate pairs, which nothing can store.
    readable = message.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    line = " ".join(readable.split())
    return f"{code} {''.join(char for char in line if char.isprintable())}"[:300]
