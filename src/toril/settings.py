"""The settings: one row a setting, read from the environment once, at the edge, and passed inwards.

The commands, the web application, the reference page and the checks all come from the fields of ``Settings``.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from toril.errors import ConfigurationError

LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("text", "json")
SMS_PROVIDERS: Final = ("log", "unifonic", "taqnyat", "twilio")
MIN_SECRET: Final = 32  #: characters

_CREDENTIALS = re.compile(r"(?<=://).*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row: what a variable of the environment is called, takes and does.

    Attributes:
        variable: its name in the environment.
        kind: what it takes, for people.
        read: turns the text into the value; raises ``ValueError`` with what is wrong.
        help: one line.
        unset: what counts when it is not set, for people.
        secret: never shown.
    """

    variable: str
    kind: str
    read: Callable[[str], Any]
    help: str
    unset: str = ""
    secret: bool = False


def _text(value: str) -> str:
    return value


def _folder(value: str) -> Path:
    return Path(value).expanduser()


def _prefix(value: str) -> str:
    if not re.fullmatch(r"[^\x00-\x1f*?\[\]\\@]{1,512}", value):
        raise ValueError(r"it must have none of * ? [ ] \ @")
    return value


def _server_url(value: str) -> str:
    return _url(value, "redis", "rediss", "unix")


def _mail_url(value: str) -> str:
    return _url(value, "smtp", "smtps")


def _database_url(value: str) -> str:
    return _url(value, "sqlite", "postgresql", "postgres")


def _url(value: str, *schemes: str) -> str:
    scheme, mark, _ = value.partition("://")
    # A driver may follow: postgresql+asyncpg.
    if not mark or scheme.partition("+")[0] not in schemes:
        raise ValueError(f"it must begin with {' or '.join(f'{name}://' for name in schemes)}")
    return value


def _public_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise ValueError("it must be one such as https://mail.firm.example, without ? and #")
    return value.rstrip("/")


def _secret(value: str) -> str:
    if len(value) < MIN_SECRET:
        raise ValueError(f"it must have at least {MIN_SECRET} characters")
    return value


def _email(value: str) -> str:
    if not re.fullmatch(r"(.*<)?[^\s@<>]+@[^\s@<>]+>?", value):
        raise ValueError("it must be an e-mail address such as office@example.com")
    return value


def _port(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", value) or not 1 <= int(value) <= 65535:
        raise ValueError("it must be a whole number from 1 to 65535")
    return int(value)


def _zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("it must be the name of a time zone, such as Asia/Riyadh or UTC") from error


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value.lower() not in choices:
            raise ValueError(f"it must be one of {', '.join(choices)}")
        return value.lower()

    return read


def _row(variable: str, kind: str, read: Callable[[str], Any], help: str, **more: Any) -> dict[str, Setting]:
    return {"setting": Setting(variable=variable, kind=kind, read=read, help=help, **more)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says; every field is a setting, and none is required.

    A path that begins with ``$TORIL_HOME`` is one in ``home``.
    """

    home: Path = field(
        default=Path(".toril"),
        metadata=_row(
            "TORIL_HOME",
            "folder",
            _folder,
            "Where the embedded server and the files of this installation live.",
        ),
    )
    redis_url: str | None = field(
        default=None,
        metadata=_row(
            "REDIS_URL",
            "URL",
            _server_url,
            "Redis or Valkey: redis://[user:password@]host:port/db, rediss:// for TLS, or unix:///path.",
            unset="the embedded server",
        ),
    )
    redis_password: str | None = field(
        default=None,
        metadata=_row(
            "REDIS_PASSWORD", "text", _text, "Password of the server, if REDIS_URL has none.", secret=True
        ),
    )
    prefix: str = field(
        default="bull",
        metadata=_row("TORIL_PREFIX", "text", _prefix, "What the keys of all queues begin with."),
    )
    database_url: str | None = field(
        default=None,
        metadata=_row(
            "DATABASE_URL",
            "URL",
            _database_url,
            "The application's records: postgresql://… or sqlite:///….",
            unset="SQLite in TORIL_HOME",
        ),
    )
    port: int = field(
        default=8080, metadata=_row("PORT", "port", _port, "Where the HTTP API and the dashboard listen.")
    )
    public_url: str | None = field(
        default=None,
        metadata=_row(
            "TORIL_PUBLIC_URL",
            "URL",
            _public_url,
            "Where the web application is reached from outside; links in mail begin with it.",
            unset="http://localhost:PORT",
        ),
    )
    secret: str | None = field(
        default=None,
        metadata=_row(
            "TORIL_SECRET",
            "text",
            _secret,
            "Signs links in mail; at least 32 characters. Links stop working when it changes.",
            unset="made once, and kept in TORIL_HOME",
            secret=True,
        ),
    )
    timezone: str = field(
        default="Asia/Riyadh",
        metadata=_row("TORIL_TIMEZONE", "time zone", _zone, "Zone of schedules and documents."),
    )
    files_path: Path = field(
        default=Path("$TORIL_HOME", "files"),
        metadata=_row("TORIL_FILES", "folder", _folder, "Where documents, reports and exports are kept."),
    )
    outbox_path: Path = field(
        default=Path("$TORIL_HOME", "outbox"),
        metadata=_row(
            "TORIL_OUTBOX",
            "folder",
            _folder,
            "Where mail goes while neither Resend nor SMTP is set, and SMS while SMS_PROVIDER is log.",
        ),
    )
    resend_api_key: str | None = field(
        default=None,
        metadata=_row("RESEND_API_KEY", "text", _text, "Send mail by Resend with this key.", secret=True),
    )
    smtp_url: str | None = field(
        default=None,
        metadata=_row(
            "SMTP_URL",
            "URL",
            _mail_url,
            "Send mail by SMTP: smtp://user:password@host:587, or smtps://… for TLS from the start.",
        ),
    )
    from_email: str | None = field(
        default=None, metadata=_row("FROM_EMAIL", "address", _email, "The sender of mail.")
    )
    from_name: str | None = field(
        default=None, metadata=_row("FROM_NAME", "text", _text, "The sender's name.")
    )
    vapid_public_key: str | None = field(
        default=None,
        metadata=_row("VAPID_PUBLIC_KEY", "text", _text, "Public half of the Web Push key pair."),
    )
    vapid_private_key: str | None = field(
        default=None,
        metadata=_row(
            "VAPID_PRIVATE_KEY", "text", _text, "Private half of the Web Push key pair.", secret=True
        ),
    )
    contact_email: str | None = field(
        default=None,
        metadata=_row(
            "CONTACT_EMAIL", "address", _email, "Whom push services may write to about our messages."
        ),
    )
    sms_provider: str = field(
        default="log",
        metadata=_row(
            "SMS_PROVIDER",
            ", ".join(SMS_PROVIDERS),
            _one_of(*SMS_PROVIDERS),
            "Who sends SMS; log writes them to a folder of TORIL_OUTBOX.",
        ),
    )
    sms_sender: str | None = field(
        default=None,
        metadata=_row(
            "SMS_SENDER",
            "text",
            _text,
            "Sender of SMS whose job names none: a registered name, or a number or service of Twilio.",
        ),
    )
    unifonic_app_sid: str | None = field(
        default=None, metadata=_row("UNIFONIC_APP_SID", "text", _text, "For Unifonic.", secret=True)
    )
    taqnyat_token: str | None = field(
        default=None, metadata=_row("TAQNYAT_TOKEN", "text", _text, "For Taqnyat.", secret=True)
    )
    twilio_account_sid: str | None = field(
        default=None, metadata=_row("TWILIO_ACCOUNT_SID", "text", _text, "For Twilio: AC and 32 digits.")
    )
    twilio_auth_token: str | None = field(
        default=None, metadata=_row("TWILIO_AUTH_TOKEN", "text", _text, "For Twilio.", secret=True)
    )
    webhook_secret: str | None = field(
        default=None,
        metadata=_row(
            "WEBHOOK_SECRET",
            "text",
            _text,
            "Signs webhooks: whsec_ and base64; while it is being replaced, the new one, a space and the old one.",
            secret=True,
        ),
    )
    socketio_channel: str = field(
        default="socketio",
        metadata=_row(
            "SOCKETIO_CHANNEL",
            "text",
            _text,
            "Redis channel of live events; installations that share a server need different ones.",
        ),
    )
    log_level: str = field(
        default="info",
        metadata=_row(
            "TORIL_LOG_LEVEL",
            ", ".join(LOG_LEVELS),
            _one_of(*LOG_LEVELS),
            "Least level of the log lines of workers and of the web application.",
        ),
    )
    log_format: str = field(
        default="text",
        metadata=_row(
            "TORIL_LOG_FORMAT",
            ", ".join(LOG_FORMATS),
            _one_of(*LOG_FORMATS),
            "Log lines for people, or one JSON object a line.",
        ),
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Path) and value.parts[:1] == ("$TORIL_HOME",):
                object.__setattr__(self, each.name, self.home.joinpath(*value.parts[1:]))

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read all settings; an empty variable counts as not set.

        Raises:
            ConfigurationError: a value is not acceptable; names every such variable.
        """
        settings, problems = cls.read(environ)
        if problems:
            raise ConfigurationError("; ".join(problems))
        return settings

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> tuple[Self, list[str]]:
        """The settings that are acceptable, and a sentence about each that is not."""
        values: dict[str, Any] = {}
        problems = []
        for each, row in _rows(cls):
            if text := environ.get(row.variable, "").strip():
                try:
                    values[each.name] = row.read(text)
                except ValueError as error:
                    shown = "its value" if row.secret else repr(without_password(text))
                    problems.append(f"{row.variable}: {shown} cannot be used: {error}")
        return cls(**values), problems

    def reached_at(self) -> str:
        """Where people reach the web application."""
        return self.public_url or f"http://localhost:{self.port}"

    def require_secret(self) -> str:
        """The secret of this installation: the one that is set, else one made now and kept in ``home``.

        Raises:
            ConfigurationError: the file with it cannot be read or written.
        """
        return self.secret or _kept_secret(self.home / "secret")

    def shown(self) -> dict[str, str]:
        """Each variable's value for people: secrets and passwords masked, empty for what is not set."""
        shown = {}
        for each, row in _rows(self):
            value = getattr(self, each.name)
            text = "" if value is None else without_password(str(value))
            shown[row.variable] = "***" if row.secret and text else text
        return shown


def _kept_secret(path: Path) -> str:
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
            try:
                with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    file.write(secrets.token_urlsafe(48))
                with contextlib.suppress(FileExistsError):
                    os.link(part, path)  # fails if another process was quicker: then all have the same
            finally:
                part.unlink(missing_ok=True)
        return _secret(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the secret in {path} cannot be used: {error}; set TORIL_SECRET") from error


def _rows(settings: Settings | type[Settings]) -> list[tuple[Field[Any], Setting]]:
    return [(each, each.metadata["setting"]) for each in fields(settings)]


#: All rows, in the order of the reference page, each with the default it has for people.
SETTINGS: Final = tuple(
    row if each.default is None else replace(row, unset=str(each.default)) for each, row in _rows(Settings)
)


def without_password(url: str) -> str:
    """A URL with user and password masked, however badly it is written; other text as it is."""
    return _CREDENTIALS.sub("***@", url)


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that begin like ours but are none, with the setting that was perhaps meant, or ''."""
    known = [row.variable for row in SETTINGS]
    strange = sorted(name for name in environ if name.startswith("TORIL_") and name not in known)
    return {name: next(iter(get_close_matches(name, known, n=1, cutoff=0.8)), "") for name in strange}
