"""``toril suppressions``: addresses that get no more mail."""

from __future__ import annotations

from typing import Annotated

import typer

from toril.cli.command import Call, command
from toril.cli.db import open_database
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import print_json, print_line, print_table
from toril.db.models import AuditEntry, SuppressionReason
from toril.db.repositories.suppressions import Suppressions
from toril.db.repositories.users import Firms
from toril.errors import OptionError

FirmOption = Annotated[
    str | None,
    typer.Option("--firm", metavar="ID", help="Of this firm only, instead of all.", show_default=False),
]
EmailArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="The address.", show_default=False)]


@command(
    examples="""
    toril suppressions list                                     the newest first
    toril suppressions list --email client@example.com
    toril suppressions list --firm 507f1f77bcf86cd799439011 --limit 1000 --json
    """
)
async def list_suppressions(
    call: Call,
    firm: FirmOption = None,
    email: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Only this address.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 100,
) -> None:
    """List addresses that get no more mail, and why."""
    async with open_database(call) as database, database.reading() as session:
        found = await Suppressions(session).list(firm_id=firm, email=email, limit=limit)
    if call.json:
        print_json(
            [
                {
                    "email": each.email,
                    "reason": each.reason,
                    "firmId": each.scope or None,
                    "createdAt": each.created_at.isoformat(),
                }
                for each in found.items
            ]
        )
        return
    print_table(
        ("address", "reason", "firm", "since"),
        [
            (each.email, each.reason, each.scope or "all", f"{each.created_at:%Y-%m-%d %H:%M} UTC")
            for each in found.items
        ],
    )
    if found.total > len(found.items):
        print_line(f"{found.total - len(found.items)} more; see --limit")


@command(
    examples="""
    toril suppressions add client@example.com                     no mail to many, of any firm
    toril suppressions add client@example.com --firm 507f1f77bcf86cd799439011
    toril suppressions add gone@example.com --reason bounced      no mail at all
    """
)
async def add_suppression(
    call: Call,
    email: EmailArgument,
    firm: FirmOption = None,
    reason: Annotated[
        SuppressionReason, typer.Option(help="Any but unsubscribed stops all mail to the address.")
    ] = SuppressionReason.UNSUBSCRIBED,
) -> None:
    """Send no more mail to many to an address; with another reason than unsubscribed, no mail at all."""
    from toril.queues.email.addresses import parse_mailbox

    try:
        address = parse_mailbox(email).address.lower()
    except OptionError as error:
        raise _usage(str(error)) from None
    if firm is not None and reason is not SuppressionReason.UNSUBSCRIBED:
        raise _usage("a firm's list is of those who have unsubscribed; leave --firm out")
    async with open_database(call) as database, database.session() as session:
        if firm is not None:
            await Firms(session).get(firm)
        new = await Suppressions(session).add(address, reason=reason, firm_id=firm)
        session.add(_entry("suppression.add", firm, address))
    if call.json:
        print_json({"email": address, "reason": reason.value, "firmId": firm, "new": new})
        return
    print_line(f"{address} is on the list{'' if new else ' already'} ({reason.value}).")


@command(
    examples="""
    toril suppressions remove client@example.com
    """
)
async def remove_suppression(call: Call, email: EmailArgument, firm: FirmOption = None) -> None:
    """Send mail to an address again, whatever the reasons were."""
    async with open_database(call) as database, database.session() as session:
        removed = await Suppressions(session).remove(email, firm_id=firm)
        if not removed:
            raise CommandError(
                f"{email} is not on the list",
                exit=ExitCode.NOT_FOUND,
                code="suppression_not_found",
                hint="see toril suppressions list",
            )
        session.add(_entry("suppression.remove", firm, email.strip().lower()))
    if call.json:
        print_json({"email": email.strip().lower(), "removed": removed})
        return
    print_line(f"{email} gets mail again.")


def _entry(action: str, firm: str | None, email: str) -> AuditEntry:
    return AuditEntry(firm_id=firm, action=action, target=email[:320], details={"by": "command line"})


def _usage(message: str) -> CommandError:
    return CommandError(message, exit=ExitCode.USAGE, code="usage", hint="see toril suppressions add --help")
