"""The doctor's look at everything but the server: settings, packages, folders, mail, database, push."""

from __future__ import annotations

import asyncio
import os
import platform
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from toril import __version__
from toril.cli.finding import Finding
from toril.errors import ConfigurationError
from toril.settings import Settings, unknown_variables, without_password

#: Seconds to wait for a mail server or database.
_CONNECT_WITHIN = 5.0
_PORTS = {"smtp": 587, "smtps": 465, "postgresql": 5432, "postgres": 5432}


def check_settings(problems: list[str], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Settings that cannot be used, and variables that look like settings."""
    for problem in problems:
        yield Finding(level="wrong", about="settings", text=problem)
    for name, near in unknown_variables(environ).items():
        yield Finding(
            level="warning",
            about="settings",
            text=f"{name} is no setting of toril",
            hint=f"did you mean {near}?" if near else "unset it",
        )


def check_installation() -> Iterator[Finding]:
    """Versions, and which extras are there."""
    yield Finding(level="ok", about="toril", text=f"{__version__} on Python {platform.python_version()}")
    for extra, packages in sorted(extras().items()):
        absent = [name for name in packages if not _is_installed(name)]
        if absent:
            yield Finding(
                level="note",
                about=f"extra {extra}",
                text=f"not installed (no {', '.join(absent)})",
                hint=f"pip install 'toril[{extra}]'",
            )
        else:
            yield Finding(level="ok", about=f"extra {extra}", text="installed")


def check_folders(settings: Settings) -> Iterator[Finding]:
    """Whether files can be kept."""
    for variable, folder in (
        ("TORIL_HOME", settings.home),
        ("TORIL_FILES", settings.files_path),
        ("TORIL_OUTBOX", settings.outbox_path),
    ):
        if isinstance(folder, str):
            yield _bucket(variable, folder)
            continue
        place = folder.resolve()
        there = next(each for each in (place, *place.parents) if each.exists())
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            text = str(place) if there == place else f"{place}, which will be made when it is needed"
            yield Finding(level="ok", about=variable, text=text)
        else:
            why = "cannot be written to" if there.is_dir() else "is not a folder"
            yield Finding(
                level="wrong",
                about=variable,
                text=f"{place}: {there} {why}",
                hint=f"set {variable} to a folder of your own",
            )


def _bucket(variable: str, location: str) -> Finding:
    if _is_installed("obstore"):
        return Finding(level="ok", about=variable, text=f"files go to {location}")
    text = f"files go to {location}, and the extra s3 is missing"
    return Finding(level="wrong", about=variable, text=text, hint="pip install 'toril[s3]'")


def check_chromium(settings: Settings) -> Iterator[Finding]:
    """Whether the browser that is asked for is there."""
    if settings.pdf_renderer != "chromium" and settings.chromium is None:
        return
    try:
        from toril.queues.pdf.renderers.chromium import find_chromium  # needs the extra "chromium"

        path = find_chromium(settings.chromium)
    except (ConfigurationError, ImportError) as error:
        yield Finding(
            level="wrong",
            about="chromium",
            text=str(error),
            hint="set TORIL_CHROMIUM to a browser that is there, and pip install 'toril[chromium]'",
        )
    else:
        yield Finding(level="ok", about="chromium", text=str(path))


async def check_mail(settings: Settings) -> AsyncIterator[Finding]:
    """How mail leaves."""
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
    if "email" in extras() and not all(map(_is_installed, extras()["email"])):
        yield Finding(
            level="wrong", about="mail", text="the extra email is missing", hint="pip install 'toril[email]'"
        )
    if settings.resend_api_key:
        also = "; SMTP_URL is not used" if settings.smtp_url else ""
        yield Finding(level="ok", about="mail", text=f"leaves by Resend{also}")
    else:
        yield await _reach("mail", settings.smtp_url or "")


async def check_database(settings: Settings) -> AsyncIterator[Finding]:
    """Where the application's records are."""
    url = settings.database_url
    if url is None:
        yield Finding(level="note", about="database", text=f"SQLite in {settings.home.resolve()}")
    else:
        yield _sqlite(url) if url.startswith("sqlite") else await _reach("database", url)


def check_push(settings: Settings) -> Iterator[Finding]:
    """Whether Web Push is set up as a whole or not at all."""
    parts = {
        "VAPID_PUBLIC_KEY": settings.vapid_public_key,
        "VAPID_PRIVATE_KEY": settings.vapid_private_key,
        "CONTACT_EMAIL": settings.contact_email,
    }
    absent = [name for name, value in parts.items() if not value]
    if not absent:
        yield Finding(level="ok", about="web push", text="set up")
    elif settings.vapid_public_key or settings.vapid_private_key:
        yield Finding(
            level="wrong", about="web push", text="half set up", hint=f"set {' and '.join(absent)} too"
        )


def _sqlite(url: str) -> Finding:
    text = url.partition(":///")[2].partition("?")[0]
    if text in ("", ":memory:"):
        return Finding(
            level="warning", about="database", text="SQLite in memory: it is lost with the process"
        )
    path = Path(text).resolve()
    if path.parent.is_dir() and os.access(path.parent, os.W_OK):
        return Finding(level="ok", about="database", text=f"SQLite in {path}")
    return Finding(
        level="wrong",
        about="database",
        text=f"the folder {path.parent} of DATABASE_URL does not exist or cannot be written to",
    )


def extras() -> dict[str, list[str]]:
    """The packages of each extra but ``all``, as this installation's own metadata tells."""
    found: dict[str, list[str]] = {}
    try:
        requirements = metadata.requires("toril") or []
    except metadata.PackageNotFoundError:  # run from a source tree
        return {}
    for requirement in requirements:
        name, marker = (
            re.match(r"[\w.-]+", requirement),
            re.search(r"extra == [\"']([\w-]+)[\"']", requirement),
        )
        if name and marker and name[0] != "toril" and marker[1] != "all":
            found.setdefault(marker[1], []).append(name[0])
    return found


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


async def _reach(about: str, url: str) -> Finding:
    """Whether somebody listens at a URL's host and port; nothing is said to them."""
    shown = without_password(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme.partition("+")[0]]
        if not host:
            return Finding(level="wrong", about=about, text=f"{shown} names no host")
        async with asyncio.timeout(_CONNECT_WITHIN):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except TimeoutError:
        return Finding(level="wrong", about=about, text=f"no answer from {shown} in {_CONNECT_WITHIN:g} s")
    except (OSError, ValueError) as error:
        return Finding(level="wrong", about=about, text=f"{shown} cannot be reached: {error}")
    return Finding(level="ok", about=about, text=f"{host}:{port} can be reached")
