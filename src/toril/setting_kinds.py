"""What a setting can be: a row, and how its text is read. Each reader raises ``ValueError`` with what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MIN_SECRET: Final = 32  #: characters


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


def text(value: str) -> str:
    """Any text."""
    return value


def folder(value: str) -> Path:
    """A folder; ``~`` is the home of whoever runs this."""
    return Path(value).expanduser()


def file_store(value: str) -> Path | str:
    """A folder, or a bucket."""
    if "://" not in value:
        return folder(value)
    if not re.fullmatch(r"s3://[^/]+(/.*)?", value):
        raise ValueError("it must be a folder or s3://bucket/prefix")
    return value


def prefix(value: str) -> str:
    """What the keys of queues may begin with."""
    if not re.fullmatch(r"[^\x00-\x1f*?\[\]\\@]{1,512}", value):
        raise ValueError(r"it must have none of * ? [ ] \ @")
    return value


def server_url(value: str) -> str:
    """Of Redis or Valkey."""
    return url(value, "redis", "rediss", "unix")


def mail_url(value: str) -> str:
    """Of an SMTP server."""
    return url(value, "smtp", "smtps")


def database_url(value: str) -> str:
    """Of a database."""
    return url(value, "sqlite", "postgresql", "postgres")


def url(value: str, *schemes: str) -> str:
    """One that begins with one of ``schemes``."""
    scheme, mark, _ = value.partition("://")
    # A driver may follow: postgresql+asyncpg.
    if not mark or scheme.partition("+")[0] not in schemes:
        raise ValueError(f"it must begin with {' or '.join(f'{name}://' for name in schemes)}")
    return value


def public_url(value: str) -> str:
    """One that links can begin with."""
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise ValueError("it must be one such as https://mail.firm.example, without ? and #")
    return value.rstrip("/")


def origins(value: str) -> tuple[str, ...]:
    """Origins of the web, with spaces or commas between."""
    listed = tuple(value.replace(",", " ").split())
    for each in listed:
        if not re.fullmatch(r"https?://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d+)?/?", each):
            raise ValueError(f"{each} is not an origin such as https://assets.example.com")
    return listed


def networks(value: str) -> tuple[str, ...]:
    """Networks or addresses, each perhaps with a port, with commas between them."""
    return tuple(_network(part.strip()) for part in value.split(",") if part.strip())


def _network(text: str) -> str:
    parts = re.fullmatch(r"\[([^\]]*)\]:([0-9]+)|([^:]*):([0-9]+)", text)
    if parts is None:
        return str(ip_network(text, strict=False))
    network = ip_network(parts[1] or parts[3], strict=False)
    at = f"[{network}]" if network.version == 6 else str(network)
    return f"{at}:{port(parts[2] or parts[4])}"


def switch(value: str) -> bool:
    """On or off."""
    words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    if value.lower() not in words:
        raise ValueError("it must be on or off")
    return words[value.lower()]


def secret(value: str) -> str:
    """A text too long to be guessed."""
    if len(value) < MIN_SECRET:
        raise ValueError(f"it must have at least {MIN_SECRET} characters")
    return value


def secrets(value: str) -> tuple[str, ...]:
    """Secrets, with commas between; what one with a comma in it falls into is too short."""
    return tuple(secret(each.strip()) for each in value.split(","))


def email(value: str) -> str:
    """An e-mail address, perhaps with a name."""
    if not re.fullmatch(r"(.*<)?[^\s@<>]+@[^\s@<>]+>?", value):
        raise ValueError("it must be an e-mail address such as office@example.com")
    return value


def port(value: str) -> int:
    """A TCP port."""
    if not re.fullmatch(r"[0-9]{1,5}", value) or not 1 <= int(value) <= 65535:
        raise ValueError("it must be a whole number from 1 to 65535")
    return int(value)


def connections(value: str) -> int:
    """How many connections, at least one."""
    if not re.fullmatch(r"[0-9]{1,4}", value) or not int(value):
        raise ValueError("it must be a whole number above 0")
    return int(value)


def more_connections(value: str) -> int:
    """How many connections more, or none."""
    if not re.fullmatch(r"[0-9]{1,4}", value):
        raise ValueError("it must be a whole number, 0 for none")
    return int(value)


def days(value: str) -> int:
    """A number of days, at least one."""
    if not re.fullmatch(r"[0-9]{1,5}", value) or not int(value):
        raise ValueError("it must be a whole number of days above 0")
    return int(value)


def amount(value: str) -> float:
    """A number above 0."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", value) or not float(value):
        raise ValueError("it must be a number above 0, such as 5 or 0.5")
    return float(value)


def zone(value: str) -> str:
    """The name of a time zone."""
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("it must be the name of a time zone, such as Asia/Riyadh or UTC") from error


def one_of(*choices: str) -> Callable[[str], str]:
    """A reader of one of these words, in capitals or not."""

    def read(value: str) -> str:
        if value.lower() not in choices:
            raise ValueError(f"it must be one of {', '.join(choices)}")
        return value.lower()

    return read


def shown(value: Any) -> str:
    """A value as it could stand in the environment."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return " ".join(value) if isinstance(value, tuple) else str(value)


def row(variable: str, kind: str, read: Callable[[str], Any], help: str, **more: Any) -> dict[str, Setting]:
    """The metadata of a field of ``Settings``."""
    return {"setting": Setting(variable=variable, kind=kind, read=read, help=help, **more)}
