"""The doctor's look at how mail leaves: it signs in where mail would go, and sends none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from toril.cli.check_setup import extras, is_installed
from toril.cli.finding import Finding
from toril.errors import ConfigurationError, NotConfiguredError, PostponedError, TorilError
from toril.settings import Settings

if TYPE_CHECKING:
    from toril.queues.email.providers.resend import ResendProvider
    from toril.queues.email.providers.smtp import SmtpProvider

#: Seconds for each step with a provider.
_STEP = 5.0


async def check_mail(settings: Settings) -> AsyncIterator[Finding]:
    """Whether there is a sender, and whether the provider lets us in."""
    if not settings.resend_api_key and not settings.smtp_url:
        yield Finding(
            level="note",
            about="mail",
            text=f"goes into the outbox {settings.outbox_path.resolve()}; nobody gets it",
            hint="set RESEND_API_KEY or SMTP_URL",
        )
        return
    if not settings.from_email:
        yield Finding(level="wrong", about="mail", text="there is no sender", hint="set FROM_EMAIL")
    if "email" in extras() and not all(map(is_installed, extras()["email"])):
        yield Finding(
            level="wrong", about="mail", text="the extra email is missing", hint="pip install 'toril[email]'"
        )
        return
    if settings.resend_api_key:
        yield await _sign_in("Resend", "RESEND_API_KEY", lambda: _resend(settings))
    if settings.smtp_url:
        yield await _sign_in("SMTP", "SMTP_URL", lambda: _smtp(settings))


async def _sign_in(
    name: str, variable: str, provider: Callable[[], ResendProvider | SmtpProvider]
) -> Finding:
    try:
        made = provider()
        try:
            await made.check()
        finally:
            await made.close()
    except PostponedError as error:
        return Finding(level="note", about="mail", text=str(error), hint="ask again later")
    except (ConfigurationError, NotConfiguredError) as error:
        return Finding(level="wrong", about="mail", text=str(error), hint=f"check {variable}")
    except TorilError as error:
        hint = f"is it running, may this machine reach it, and is {variable} right?"
        return Finding(level="wrong", about="mail", text=f"cannot be handed over: {error}", hint=hint)
    return Finding(level="ok", about="mail", text=f"{name} lets us in")


def _resend(settings: Settings) -> ResendProvider:
    from toril.queues.email.providers.resend import ResendProvider

    key, url = settings.resend_api_key or "", settings.resend_url
    return ResendProvider(key, base_url=url, connect_timeout=_STEP, total_timeout=_STEP)


def _smtp(settings: Settings) -> SmtpProvider:
    from toril.queues.email.providers.smtp import SmtpProvider

    return SmtpProvider(settings.smtp_url or "", timeout=_STEP)
