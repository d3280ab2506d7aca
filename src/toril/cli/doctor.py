"""``toril doctor``: what is wrong, what to do about it, and what is set."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import asdict

from toril.cli.check_credentials import check_credentials
from toril.cli.check_database import check_database
from toril.cli.check_files import check_files
from toril.cli.check_mail import check_mail
from toril.cli.check_queues import check_queues
from toril.cli.check_security import check_proxies, check_secrets
from toril.cli.check_server import check_server
from toril.cli.check_setup import check_installation, check_push, check_renderers, check_settings
from toril.cli.command import Call, command
from toril.cli.exits import ExitCode
from toril.cli.finding import LEVELS, Finding
from toril.cli.output import print_json, print_line, print_table
from toril.settings import SETTINGS

#: Seconds that each part may take; all are looked at together.
WITHIN = 12.0


@command(
    examples="""
    toril doctor                                   is everything set up right?
    toril doctor --url redis://10.0.0.5:6379/0     would that server do?
    toril doctor --json                            for a monitor; exit code 1 if something is wrong
    """,
    lenient=True,
)
async def run_doctor(call: Call) -> int:
    """Check whether everything works.

    Signs in to the queue server, to the database, whose tables it compares with what this version needs, and to the
    mail provider, without sending; writes, reads and deletes a file where files are kept; looks for workers, schedules
    that are late or gone, clocks that differ, secrets of examples, and proxies that are trusted too much or too
    little. All at once, and for a few seconds only, so that what is away holds up nothing.

    Shows the findings and what to do, the worst first: wrong, a warning, a note, or ok; then every setting, with
    secrets masked. Exits with 1 if anything is wrong. Changes nothing; without REDIS_URL it starts the embedded server
    for the time of the check.
    """
    findings = await examine(call, os.environ)
    is_wrong = any(finding.level == "wrong" for finding in findings)
    values = call.settings.shown()
    if call.json:
        listed = [asdict(finding) for finding in findings]
        print_json({"ok": not is_wrong, "findings": listed, "settings": values})
    else:
        for finding in findings:
            _print(finding)
        print_line("\n" + _summary(findings) + "\n")
        print_table(
            ("setting", "value"),
            [
                (row.variable, values[row.variable] or (f"({row.unset})" if row.unset else ""))
                for row in SETTINGS
            ],
        )
    return ExitCode.FAILED if is_wrong else ExitCode.DONE


async def examine(call: Call, environ: Mapping[str, str]) -> list[Finding]:
    """All findings, the worst first.

    Args:
        environ: what the settings were read from, for variables that are none.
    """
    settings = call.settings
    parts = await asyncio.gather(
        _queue_server(call),
        _within("database", check_database(settings)),
        _within("credentials", check_credentials(settings)),
        _within("mail", check_mail(settings)),
        _within("files", check_files(settings)),
    )
    findings = [
        *check_settings(call.problems, environ),
        *(finding for part in parts for finding in part),
        *check_secrets(settings),
        *check_proxies(settings),
        *check_push(settings),
        *check_renderers(settings),
        *check_installation(),
    ]
    return sorted(findings, key=lambda finding: -LEVELS.index(finding.level))


async def _queue_server(call: Call) -> list[Finding]:
    """The server; and what is on it, if it can be reached."""
    findings = await _within("server", check_server(call))
    if not any(finding.level == "wrong" and finding.about == "server" for finding in findings):
        findings += await _within("queues", check_queues(call))
    return findings


async def _within(about: str, look: AsyncIterator[Finding]) -> list[Finding]:
    """What a part finds in the time it has. An error that it did not expect is a finding, too."""
    findings: list[Finding] = []
    try:
        async with asyncio.timeout(WITHIN):
            async for finding in look:
                findings.append(finding)  # noqa: PERF401 - those that came before the time was over count
    except TimeoutError:
        text = f"no answer within {WITHIN:g} s"
        findings.append(
            Finding(level="wrong", about=about, text=text, hint="is it there, and not overloaded?")
        )
    except Exception as error:
        hint = "TORIL_LOG_LEVEL=debug shows more; if it is none of your settings' fault, tell the authors"
        text = f"could not be looked at: {type(error).__name__}: {error}"
        findings.append(Finding(level="wrong", about=about, text=text, hint=hint))
    return findings


def _print(finding: Finding) -> None:
    print_line(f"{finding.level:<8} {finding.about}: {finding.text}")
    if finding.hint:
        print_line(f"{'':<8} → {finding.hint}")


def _summary(findings: Iterable[Finding]) -> str:
    counted = Counter(finding.level for finding in findings)
    return ", ".join(f"{counted[level]} {level}" for level in reversed(LEVELS) if counted[level])
