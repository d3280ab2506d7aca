"""Signed links in campaign mail: to follow a link, to tell that a mail was opened, to get no more.

The page behind them takes only what we signed, so that it leads nobody to where somebody else wants (an open
redirect), and nobody counts or unsubscribes for others by guessing. A link holds what it is about; it works as long
as the secret that signed it is among those we are given.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson

from toril.errors import ConfigurationError, OptionError
from toril.queues.signing import Signer, from_base64, to_base64

TrackingAction = Literal["click", "open", "unsubscribe"]

#: Where each action's page is below the public URL; the signed text follows as the last part of the path.
PATHS: dict[TrackingAction, str] = {"click": "t/c", "open": "t/o", "unsubscribe": "t/u"}

#: A transparent picture of one pixel, the answer to ``open`` (GIF89a).
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")

_SIGNATURE_BYTES = 16  # 128 bits: nobody guesses that through a web server
_MAX_SIGNED = 8192
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedMail:
    """A campaign's mail to one recipient."""

    campaign_id: str
    tracking_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingVisit:
    """What somebody who follows one of our links asks for. ``target`` is where a click leads, else empty."""

    action: TrackingAction
    mail: TrackedMail
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListMember:
    """An address that gets a firm's mails to many. ``firm_id`` is None where the firm is not known: then for all."""

    email: str
    firm_id: str | None = None


class Tracker:
    """Makes signed links and reads them back.

    Args:
        public_url: where the pages are reached from outside, such as ``https://mail.firm.example``.
        secrets: of the installation, the present one first, then those it replaced, for as long as links that they
            signed are to work.

    Raises:
        ConfigurationError: the URL or a secret cannot be used.
    """

    def __init__(self, public_url: str, secrets: Sequence[str]) -> None:
        parts = urlsplit(public_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigurationError(
                f"the public URL {public_url!r} must be one such as https://mail.firm.example (TORIL_PUBLIC_URL)"
            )
        self.public_url = public_url.rstrip("/")
        #: Whether strangers can reach the pages, so that a header may name them.
        self.is_public = parts.hostname not in _LOOPBACK
        self._signer = Signer(
            secrets,
            purpose="toril: tracked links in mail, 1",
            encode=lambda digest: to_base64(digest[:_SIGNATURE_BYTES]),
        )

    def click_url(self, mail: TrackedMail, target: str) -> str:
        """A link that leads to ``target`` by way of us.

        Raises:
            OptionError: it is no address of the web, but such as ``javascript:``.
        """
        if not leads_to_the_web(target):
            raise OptionError(
                f"a tracked link must lead to an http or https address, not to {target[:100]!r}"
            )
        return self._url("click", mail, target)

    def open_url(self, mail: TrackedMail) -> str:
        """The address of the picture that tells the mail was opened."""
        return self._url("open", mail)

    def unsubscribe_url(self, mail: TrackedMail) -> str:
        """The link to get no more campaigns; a POST to it does so at once (RFC 8058)."""
        return self._url("unsubscribe", mail)

    def leave_url(self, member: ListMember) -> str:
        """The link by which an address leaves the list of a firm, for mail of which we keep no record each.

        It works as that of ``unsubscribe_url`` does.
        """
        text = to_base64(orjson.dumps([member.firm_id or "", member.email.lower()]))
        return f"{self.public_url}/{PATHS['unsubscribe']}/{text}.{self._sign('leave', text)}"

    def read_leave(self, signed: str) -> ListMember | None:
        """Who wants to leave which list; None if ``leave_url`` did not make that."""
        found = self._read("leave", signed)
        match found:
            case [str(firm_id), str(email)]:
                return ListMember(email=email, firm_id=firm_id or None)
            case _:
                return None

    def read(self, action: TrackingAction, signed: str) -> TrackingVisit | None:
        """What the last part of a link's path says; None if it was not signed by us for ``action``."""
        match self._read(action, signed):
            case [str(campaign_id), str(tracking_id), *target]:
                pass
            case _:
                return None
        if action == "click" and not (target and leads_to_the_web(target[0])):
            return None
        mail = TrackedMail(campaign_id=campaign_id, tracking_id=tracking_id)
        return TrackingVisit(action=action, mail=mail, target=target[0] if target else "")

    def _read(self, purpose: str, signed: str) -> Any:
        """What was signed for ``purpose``; None if it was not."""
        text, dot, signature = signed.partition(".")
        if not dot or len(signed) > _MAX_SIGNED or not signed.isascii():
            return None
        if not self._signer.has_signed(f"{purpose}.{text}", signature):
            return None
        try:
            return orjson.loads(from_base64(text))
        except (binascii.Error, ValueError):
            return None

    def _url(self, action: TrackingAction, mail: TrackedMail, *more: str) -> str:
        text = to_base64(orjson.dumps([mail.campaign_id, mail.tracking_id, *more]))
        return f"{self.public_url}/{PATHS[action]}/{text}.{self._sign(action, text)}"

    def _sign(self, purpose: str, text: str) -> str:
        return self._signer.sign(f"{purpose}.{text}")


def leads_to_the_web(target: str) -> bool:
    """Whether a tracked link may lead there: only what a browser loads, and nothing that it runs."""
    try:
        parts = urlsplit(target)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def unsubscribe_headers(url: str) -> tuple[tuple[str, str], ...]:
    """The headers that mail programs make a button of; at one click only where TLS guards it, as RFC 8058 asks."""
    one_click = (("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),) if url.startswith("https:") else ()
    return (("List-Unsubscribe", f"<{url}>"), *one_click)
