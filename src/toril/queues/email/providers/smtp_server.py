"""Which SMTP server, and how to speak to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import parse_qs, unquote, urlsplit

from toril.errors import ConfigurationError

#: ``implicit`` from the first byte (port 465); ``required`` by STARTTLS or not at all; ``offered`` by
#: STARTTLS if the server has it; ``off`` never
Tls = Literal["implicit", "required", "offered", "off"]

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Host, credentials and transport security of a server."""

    host: str
    port: int
    tls: Tls
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def from_url(cls, url: str) -> SmtpServer:
        """Read ``smtp://user:password@host:port?tls=…`` or ``smtps://…``; user and password percent-encoded.

        Without ``tls``, ``smtp://`` means ``required`` when there is a user, so that a password never travels
        in the clear, ``off`` on this machine, and ``offered`` otherwise. The port defaults to 465 for
        ``smtps``, 587 with a user and 25 without.

        Raises:
            ConfigurationError: naming what is wrong; never quoting the password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
            readable = parts.path in ("", "/") and not parts.fragment and "@" not in parts.query
        except ValueError:
            readable = False
        if not readable:
            # Without quoting any of it: a password with / ? or # in it ends up in all of these parts.
            raise ConfigurationError(
                "the SMTP URL cannot be read; write characters such as / ? # @ : of user and password "
                "percent-encoded"
            )
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ConfigurationError(
                "an SMTP URL looks like smtp://user:password@mail.example.com:587 or smtps://…; "
                f"got the scheme {parts.scheme!r} and the host {parts.hostname!r}"
            )
        username = unquote(parts.username) if parts.username else None
        return cls(
            host=parts.hostname,
            port=port or (465 if parts.scheme == "smtps" else 587 if username else 25),
            tls=_tls(parts.scheme, parts.query, parts.hostname, username),
            username=username,
            password=unquote(parts.password) if parts.password else None,
        )

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def _tls(scheme: str, query: str, host: str, username: str | None) -> Tls:
    options = parse_qs(query, keep_blank_values=True)
    asked = options.pop("tls", [None])[-1]
    if options:
        raise ConfigurationError(f"the SMTP URL has the unknown option {min(options)!r}; it knows tls")
    if asked is not None:
        for known in get_args(Tls):
            if asked == known and (known == "implicit") == (scheme == "smtps"):
                return known  # type: ignore[no-any-return]
        raise ConfigurationError(
            f"the SMTP URL asks for tls={asked}; smtp:// knows required, offered and off, smtps:// none"
        )
    if scheme == "smtps":
        return "implicit"
    if host in _LOOPBACK:
        return "off"
    return "required" if username else "offered"
