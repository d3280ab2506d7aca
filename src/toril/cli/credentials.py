"""``toril credentials``: firms' own credentials at outside services."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from toril.cli.command import Call, command
from toril.cli.db import open_database
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import print_json, print_line, print_table
from toril.db.models import AuditEntry
from toril.db.repositories.credentials import FirmCredentials
from toril.db.repositories.users import Firms
from toril.errors import ConfigurationError

FirmOption = Annotated[str, typer.Option("--firm", metavar="ID", help="The firm's id.", show_default=False)]
ServiceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SERVICE", help="stripe, moyasar, hyperpay, stcpay, lean or sadad.", show_default=False
    ),
]


@command(
    examples="""
    toril credentials list --firm 507f1f77bcf86cd799439011
    """
)
async def list_credentials(call: Call, firm: FirmOption) -> None:
    """List the services, and where a firm has credentials of its own.

    The credentials themselves are shown to nobody.
    """
    from toril.queues.sync.access.services import SERVICES

    async with open_database(call) as database, database.reading() as session:
        await Firms(session).get(firm)
        stored = {each.service: each.updated_at for each in await FirmCredentials(session).list(firm_id=firm)}
    if call.json:
        print_json(
            [
                {
                    "service": each.name,
                    "fields": list(each.required),
                    "optional": list(each.optional),
                    "isSet": each.name in stored,
                    "updatedAt": stored[each.name].isoformat() if each.name in stored else None,
                }
                for each in SERVICES.values()
            ]
        )
        return
    print_table(
        ("service", "made of", "set"),
        [
            (
                each.name,
                ", ".join(each.required),
                f"{stored[each.name]:%Y-%m-%d %H:%M} UTC" if each.name in stored else "no",
            )
            for each in SERVICES.values()
        ],
    )


@command(
    examples="""
    toril credentials set moyasar --firm 507f1f77bcf86cd799439011                 asks for each value, unseen
    toril credentials set stcpay --firm 507f1f77bcf86cd799439011 --file own.json  from {"clientCode": ..., ...}
    pass show firm | toril credentials set lean --firm 507f1f77bcf86cd799439011 --file -
    """
)
async def set_credentials(
    call: Call,
    service: ServiceArgument,
    firm: FirmOption,
    file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="JSON with the values; - for standard input.", show_default=False),
    ] = None,
) -> None:
    """Store a firm's credentials at a service, instead of earlier ones.

    Without --file each value is asked for, unseen; @FILE reads it from a file, such as a certificate in PEM. They are
    encrypted by TORIL_SECRET, which workers and the web application must share. The next job uses them.
    """
    from toril.queues.sync.access.services import require_service
    from toril.queues.sync.access.store import CredentialStore

    fields = require_service(service)
    values = _from_file(file) if file is not None else _asked(call, (*fields.required, *fields.optional))
    store = CredentialStore(call.settings.secrets())
    async with open_database(call) as database, database.session() as session:
        await Firms(session).get(firm)
        await store.put(session, service, values, firm_id=firm)
        session.add(_entry("credentials.set", firm, service))
    _tell(call, firm, service, is_set=True)


@command(
    examples="""
    toril credentials remove moyasar --firm 507f1f77bcf86cd799439011
    """
)
async def remove_credentials(call: Call, service: ServiceArgument, firm: FirmOption) -> None:
    """Delete a firm's credentials at a service.

    Its jobs then fail as not configured, unless it is the only firm and the installation has credentials there.
    """
    from toril.queues.sync.access.services import require_service

    require_service(service)
    async with open_database(call) as database, database.session() as session:
        if not await FirmCredentials(session).remove(service, firm_id=firm):
            raise CommandError(
                f"firm {firm} has no credentials at {service}",
                exit=ExitCode.NOT_FOUND,
                code="credentials_not_found",
                hint="see toril credentials list",
            )
        session.add(_entry("credentials.remove", firm, service))
    _tell(call, firm, service, is_set=False)


def _entry(action: str, firm: str, service: str) -> AuditEntry:
    return AuditEntry(firm_id=firm, action=action, target=service, details={"by": "command line"})


def _from_file(file: str) -> Mapping[str, Any]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError) as error:  # whose text may quote what was read
        raise _usage(f"--file {file} cannot be read as JSON ({type(error).__name__})") from None
    if not isinstance(found, dict):
        raise _usage("--file must have a JSON object, with the values by their names")
    return found


def _asked(call: Call, fields: tuple[str, ...]) -> Mapping[str, Any]:
    if call.json or not sys.stdin.isatty():
        raise _usage("there is nobody to ask: give the values by --file")
    found = {}
    for each in fields:
        text = str(
            typer.prompt(f"{each} (@FILE for a file)", default="", hide_input=True, show_default=False)
        )
        if text.startswith("@"):
            try:
                text = Path(text[1:]).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise ConfigurationError(f"{text} cannot be read: {type(error).__name__}") from None
        if text:
            found[each] = text
    return found


def _usage(message: str) -> CommandError:
    return CommandError(message, exit=ExitCode.USAGE, code="usage", hint="see toril credentials set --help")


def _tell(call: Call, firm: str, service: str, *, is_set: bool) -> None:
    if call.json:
        print_json({"firmId": firm, "service": service, "isSet": is_set})
        return
    print_line(f"Firm {firm} has {'its own' if is_set else 'no'} credentials at {service}.")
