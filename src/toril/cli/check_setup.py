"""The doctor's look at what needs nobody's answer: settings, packages, the browser, Web Push."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping
from importlib import metadata

from toril import __version__
from toril.cli.finding import Finding
from toril.errors import ConfigurationError
from toril.settings import Settings, unknown_variables


def check_settings(problems: list[str], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Settings that cannot be used, and variables that look like settings."""
    for problem in problems:
        yield Finding(level="wrong", about="settings", text=problem, hint="see docs/reference/settings.md")
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
        absent = [name for name in packages if not is_installed(name)]
        if absent:
            yield Finding(
                level="note",
                about=f"extra {extra}",
                text=f"not installed (no {', '.join(absent)})",
                hint=f"pip install 'toril[{extra}]'",
            )
        else:
            yield Finding(level="ok", about=f"extra {extra}", text="installed")


def check_renderers(settings: Settings) -> Iterator[Finding]:
    """Whether what makes PDF files is there: PlutoPrint, and the browser if it is asked for."""
    if settings.pdf_renderer == "plutoprint" and is_installed("jinja2"):
        try:
            import plutoprint  # a library in C, which may not fit the system

            yield Finding(
                level="ok", about="pdf", text=f"PlutoPrint {plutoprint.__version__} makes PDF files"
            )
        except (ImportError, OSError) as error:
            yield Finding(
                level="wrong" if is_installed("plutoprint") else "note",
                about="pdf",
                text=f"PlutoPrint cannot be loaded: {error}",
                hint="pip install 'toril[pdf]', or set TORIL_PDF_RENDERER=chromium",
            )
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


def is_installed(package: str) -> bool:
    """Whether a package is there."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
