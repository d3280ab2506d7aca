"""``toril zatca status``: how firms stand at the tax authority."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from toril.cli.command import Call, command
from toril.cli.exits import ExitCode
from toril.cli.output import print_fields, print_json, print_table
from toril.cli.zatca import open_desk

if TYPE_CHECKING:
    from toril.queues.sync.zatca import Standing


@command(
    examples="""
    toril zatca status           which firms can send, and what is pending
    toril zatca status --json    for a script; exits with 1 when somebody must look
    """
)
async def show_status(call: Call) -> ExitCode:
    """Show how each firm stands at ZATCA.

    Exits with 1 when a firm's credentials are expired, unreadable or another environment's, or when a document has
    been pending for more than 20 hours.
    """
    async with open_desk(call) as desk:
        from toril.queues.sync.zatca import standings

        environment = desk.gateway.environment
        firms = await standings(desk.database, desk.folder, environment, now=datetime.now(UTC))
    if call.json:
        print_json({"environment": environment, "firms": [_as_json(each) for each in firms]})
    else:
        print_fields([("environment", str(environment))])
        states = ("pending", "reported", "cleared", "rejected")
        print_table(
            ("firm", "name", "VAT number", "credentials", "expire", *states, "pending since"),
            [
                (
                    each.firm_id,
                    each.name,
                    each.vat_number,
                    str(each.access),
                    f"{each.expires_at:%Y-%m-%d}" if each.expires_at else "",
                    *(each.documents[state] for state in each.documents),
                    _since(each),
                )
                for each in firms
            ],
            numbers=states,
        )
    return ExitCode.FAILED if any(each.needs_somebody for each in firms) else ExitCode.DONE


def _as_json(standing: Standing) -> dict[str, Any]:
    return {
        "firmId": standing.firm_id,
        "name": standing.name,
        "vatNumber": standing.vat_number,
        "credentials": standing.access,
        "expiresAt": _moment(standing.expires_at),
        "documents": standing.documents,
        "pendingSince": _moment(standing.pending_since),
        "overdue": standing.is_overdue,
    }


def _since(standing: Standing) -> str:
    if standing.pending_since is None:
        return ""
    late = " (overdue)" if standing.is_overdue else ""
    return f"{standing.pending_since.astimezone():%Y-%m-%d %H:%M}{late}"


def _moment(value: datetime | None) -> str | None:
    return None if value is None else f"{value:%Y-%m-%dT%H:%M:%SZ}"
