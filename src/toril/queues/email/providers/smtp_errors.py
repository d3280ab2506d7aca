"""What an SMTP server's refusal means for a job: try again, never, or tell whoever runs this."""

from __future__ import annotations

import random
import re
import ssl

from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPTimeoutError,
)

from toril.errors import (
    NotConfiguredError,
    PostponedError,
    RetryableError,
    TorilError,
    UnrecoverableError,
)
from toril.queues.email.providers.smtp_server import SmtpServer

#: RFC 4954, 6: authentication required, mechanism too weak, credentials invalid, encryption required
_ACCOUNT_CODES = {530, 534, 535, 538}

#: Seconds until a mail is offered again: 450 and 451 are what greylisting says, which wants minutes.
_WAITS = {450: 300.0, 451: 300.0}
_WAIT = 60.0
_LONGEST = 3600.0  #: seconds, whatever the server says
_TOLD = re.compile(r"\b(\d{1,6})\s*(s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b", re.IGNORECASE)


def explain(error: SMTPException | OSError, server: SmtpServer, *, connecting: bool) -> TorilError:
    """The error a job fails with.

    A 4xx answer says "later"; lost connections and time-outs pass; 5xx answers stay. While connecting, a 5xx is about
    us and not about the mail, and so is a certificate that does not verify.
    """
    if isinstance(error, SMTPRecipientsRefused):
        answers = "; ".join(f"{one.recipient}: {answer(one.code, one.message)}" for one in error.recipients)
        text = f"SMTP server {server} refused all recipients ({answers})"
        if all(one.code >= 500 for one in error.recipients):
            return UnrecoverableError(text)
        waits = [_wait(one.code, one.message) for one in error.recipients if one.code < 500]
        return PostponedError(text, retry_after=max(waits))
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
    if 400 <= error.code < 500:
        wait = _wait(error.code, error.message)
        return PostponedError(f"SMTP server {server} takes the mail later ({said})", retry_after=wait)
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


def _wait(code: int, message: str) -> float:
    """Seconds, as the server's words say or else its code; up to a quarter more, so that not all return at once."""
    told = _TOLD.search(message)
    units = {"s": 1, "m": 60, "h": 3600}
    wait = int(told[1]) * units[told[2][0].lower()] if told else _WAITS.get(code, _WAIT)
    return min(max(wait, 1.0), _LONGEST) * random.uniform(1.0, 1.25)  # noqa: S311 - not for secrets


def answer(code: int, message: str) -> str:
    """A server's answer on one line, cut to a length that fits an error."""
    # aiosmtplib keeps bytes that are no UTF-8 as halves of surrogate pairs, which nothing can store.
    readable = message.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    line = " ".join(readable.split())
    return f"{code} {''.join(char for char in line if char.isprintable())}"[:300]
