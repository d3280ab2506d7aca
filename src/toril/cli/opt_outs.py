"""``toril opt-outs``: numbers that get no SMS."""

from __future__ import annotations

from typing import Annotated

import typer

from toril.cli.command import Call, command
from toril.cli.db import open_database
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import print_json, print_line, print_table
from toril.db.models import AuditEntry
from toril.db.repositories.sms import SmsOptOuts
from toril.errors import OptionError

#: Who told, of numbers that are added here; of others it is the provider.
_SOURCE = "command line"

NumberArgument = Annotated[
    str,
    typer.Argument(
        metavar="NUMBER", help="Such as 0512345678; of other countries with a +.", show_default=False
    ),
]


@command(
    examples="""
    toril opt-outs list                        the newest first
    toril opt-outs list --number 0512345678
    toril opt-outs list --limit 1000 --json
    """
)
async def list_opt_outs(
    call: Call,
    number: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Only this number.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 100,
) -> None:
    """List numbers that get no SMS, and who told."""
    wanted = None if number is None else _read(number)
    async with open_database(call) as database, database.reading() as session:
        found = await SmsOptOuts(session).list(number=wanted, limit=limit)
    if call.json:
        print_json(
            [
                {"number": each.number, "source": each.source, "createdAt": each.created_at.isoformat()}
                for each in found.items
            ]
        )
        return
    print_table(
        ("number", "told by", "since"),
        [(each.number, each.source, f"{each.created_at:%Y-%m-%d %H:%M} UTC") for each in found.items],
    )
    if found.total > len(found.items):
        print_line(f"{found.total - len(found.items)} more; see --limit")


@command(
    examples="""
    toril opt-outs add 0512345678
    """
)
async def add_opt_out(call: Call, number: NumberArgument) -> None:
    """Send no more SMS to a number."""
    wanted = _read(number)
    async with open_database(call) as database, database.session() as session:
        new = await SmsOptOuts(session).add(wanted, source=_SOURCE)
        session.add(_entry("sms_opt_out.add", wanted))
    if call.json:
        print_json({"number": wanted, "new": new})
        return
    print_line(f"{wanted} gets no SMS{'' if new else ' already'}.")


@command(
    examples="""
    toril opt-outs remove 0512345678
    """
)
async def remove_opt_out(call: Call, number: NumberArgument) -> None:
    """Send SMS to a number again, when whoever has it said so."""
    wanted = _read(number)
    async with open_database(call) as database, database.session() as session:
        if not await SmsOptOuts(session).remove(wanted):
            raise CommandError(
                f"{wanted} has not opted out",
                exit=ExitCode.NOT_FOUND,
                code="opt_out_not_found",
                hint="see toril opt-outs list",
            )
        session.add(_entry("sms_opt_out.remove", wanted))
    if call.json:
        print_json({"number": wanted, "removed": True})
        return
    print_line(f"{wanted} gets SMS again.")


def _read(number: str) -> str:
    """The number in E.164, as the list and the jobs have it."""
    from toril.queues.notification.phones import to_e164

    try:
        return to_e164(number[:64])
    except OptionError as error:
        raise CommandError(
            f"{number[:64]!r}: {error}", exit=ExitCode.USAGE, code="usage", hint="see toril opt-outs --help"
        ) from None


def _entry(action: str, number: str) -> AuditEntry:
    from toril.queues.notification.phones import masked

    return AuditEntry(action=action, target=masked(number), details={"by": _SOURCE})
