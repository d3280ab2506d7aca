"""``toril doctor``: what is set, what can be reached, what is wrong, and what to do about it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict

from toril.cli.check_server import check_server
from toril.cli.check_setup import (
    check_chromium,
    check_database,
    check_folders,
    check_installation,
    check_mail,
    check_push,
    check_settings,
)
from toril.cli.command import Call, command
from toril.cli.exits import ExitCode
from toril.cli.finding import LEVELS, Finding
from toril.cli.output import print_json, print_line, print_table
from toril.settings import SETTINGS


@command(
    examples="""
    toril doctor                                   is everything set up right?
    toril doctor --url redis://10.0.0.5:6379/0     would that server do?
    toril doctor --json                            for a monitor; exit code 1 if something is wrong
    """,
    lenient=True,
)
async def run_doctor(call: Call) -> int:
    """Check settings, server and installation.

    Shows every setting, with secrets masked, then what was found: ok, a note, a warning, or wrong. Changes
    nothing; without REDIS_URL it starts the embedded server for the time of the check.
    """
    findings = [
        *check_settings(call.problems, os.environ),
        *[finding async for finding in check_server(call)],
        *check_folders(call.settings),
        *[finding async for finding in check_mail(call.settings)],
        *[finding async for finding in check_database(call.settings)],
        *check_push(call.settings),
        *check_chromium(call.settings),
        *check_installation(),
    ]
    values = call.settings.shown()
    if call.json:
        print_json({"settings": values, "findings": [asdict(finding) for finding in findings]})
    else:
        print_table(
            ("setting", "value"),
            [
                (row.variable, values[row.variable] or (f"({row.unset})" if row.unset else ""))
                for row in SETTINGS
            ],
        )
        print_line("")
        for finding in findings:
            _print(finding)
        print_line("\n" + _summary(findings))
    return ExitCode.FAILED if any(finding.level == "wrong" for finding in findings) else ExitCode.DONE


def _print(finding: Finding) -> None:
    print_line(f"{finding.level:<8} {finding.about}: {finding.text}")
    if finding.hint:
        print_line(f"{'':<8} → {finding.hint}")


def _summary(findings: list[Finding]) -> str:
    counted = Counter(finding.level for finding in findings)
    return ", ".join(f"{counted[level]} {level}" for level in LEVELS if counted[level])
