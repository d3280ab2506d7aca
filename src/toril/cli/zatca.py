"""``toril zatca onboard`` and ``renew``: firms get their credentials at the tax authority."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toril.cli.command import Call, command
from toril.cli.db import open_database
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import confirm, print_fields, print_json
from toril.errors import ConfigurationError, RetryableError, UnknownOutcomeError

if TYPE_CHECKING:
    from toril.db.session import Database
    from toril.queues.sync.zatca import CredentialFolder, ZatcaCredentials, ZatcaGateway

FirmOption = Annotated[str, typer.Option("--firm", metavar="ID", help="The firm's id.", show_default=False)]
OtpOption = Annotated[
    str | None,
    typer.Option(
        "--otp",
        metavar="DIGITS",
        help="The one-time password from ZATCA's portal; asked for if not given.",
        show_default=False,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", metavar="TEXT", help="The unit's name; else TORIL-1.", show_default=False),
]
BranchOption = Annotated[
    str | None,
    typer.Option(
        "--branch",
        metavar="TEXT",
        help="The branch; else the firm's city. For a VAT group the member's TIN.",
        show_default=False,
    ),
]
LocationOption = Annotated[
    str | None,
    typer.Option(
        "--location",
        metavar="TEXT",
        help="Where the branch is; else the firm's building and street.",
        show_default=False,
    ),
]
IndustryOption = Annotated[
    str | None,
    typer.Option(
        "--industry", metavar="TEXT", help="The line of business; else Legal services.", show_default=False
    ),
]
DocumentsOption = Annotated[
    str,
    typer.Option("--documents", metavar="KIND", help="What it issues: both, standard or simplified."),
]


@command(
    examples="""
    toril zatca onboard --firm 507f1f77bcf86cd799439011 --otp 123345
    toril zatca onboard --firm 507f1f77bcf86cd799439011               asks for the one-time password
    toril zatca onboard --firm 507f1f77bcf86cd799439011 --documents simplified --branch Jeddah
    """
)
async def onboard(
    call: Call,
    firm: FirmOption,
    otp: OtpOption = None,
    name: NameOption = None,
    branch: BranchOption = None,
    location: LocationOption = None,
    industry: IndustryOption = None,
    documents: DocumentsOption = "both",
    yes: Annotated[
        bool, typer.Option("--yes", help="Replace credentials without asking.", show_default=False)
    ] = False,
) -> None:
    """Get a firm its credentials at ZATCA.

    Makes a key and a request for a certificate, has sample documents checked, and stores the credentials, encrypted
    by ZATCA_KEY, in TORIL_HOME. When a step fails nothing is stored; do it again with a new one-time password.
    """
    unit = {"name": name, "branch": branch, "location": location, "industry": industry}
    await _get_credentials(call, firm, otp, documents, unit, replace=yes)


@command(
    examples="""
    toril zatca renew --firm 507f1f77bcf86cd799439011 --otp 123345    before the certificate expires
    """
)
async def renew(
    call: Call,
    firm: FirmOption,
    otp: OtpOption = None,
    name: NameOption = None,
    branch: BranchOption = None,
    location: LocationOption = None,
    industry: IndustryOption = None,
    documents: DocumentsOption = "both",
) -> None:
    """Get a firm new credentials at ZATCA with those it has.

    The key is a new one, and the firm's chain of documents goes on. When a step fails, the old ones stay.
    """
    unit = {"name": name, "branch": branch, "location": location, "industry": industry}
    await _get_credentials(call, firm, otp, documents, unit, renewing=True)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the commands about ZATCA work with."""

    database: Database
    gateway: ZatcaGateway
    folder: CredentialFolder


@asynccontextmanager
async def open_desk(call: Call) -> AsyncIterator[Desk]:
    """It, as the settings say; closed at the end of the block.

    Raises:
        ConfigurationError: ZATCA is not set up, or the tables are not those of this version.
    """
    async with open_database(call) as database:
        try:
            from toril.queues.sync.zatca import choose_access
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"ZATCA needs the package {error.name!r}: pip install 'toril[sync]'"
            ) from error
        settings = call.settings
        access = choose_access(
            folder=settings.home / "zatca",
            zatca_environment=settings.zatca_environment,
            zatca_key=settings.zatca_key,
            zatca_url=settings.zatca_url,
        )
        if access is None:
            raise ConfigurationError("ZATCA is not set up: set ZATCA_ENVIRONMENT and ZATCA_KEY")
        gateway, folder = access
        try:
            if not (await database.schema_version()).is_current:
                raise ConfigurationError(
                    f"{database} has not the tables of this version: run toril db upgrade"
                )
            yield Desk(database, gateway, folder)
        finally:
            await gateway.close()


async def _get_credentials(
    call: Call,
    firm_id: str,
    otp: str | None,
    documents: str,
    given: dict[str, str | None],
    *,
    renewing: bool = False,
    replace: bool = False,
) -> None:
    kinds = _kinds(documents)
    async with open_desk(call) as desk:
        from toril.db.repositories.users import Firms
        from toril.queues.sync.zatca import Onboarding, unit_of

        async with desk.database.reading() as session:
            firm = await Firms(session).get(firm_id)
        unit = unit_of(
            firm, kinds=kinds, **{name: value for name, value in given.items() if value is not None}
        )
        if not renewing and await desk.folder.get(firm.id) is not None:
            confirm(f"replace the credentials of firm {firm.id} at ZATCA", yes=replace, as_json=call.json)
        onboarding = Onboarding(desk.database, desk.gateway, desk.folder)
        get = onboarding.renew if renewing else onboarding.onboard
        try:
            credentials = await get(firm.id, otp=otp or _ask(call), unit=unit)
        except (RetryableError, UnknownOutcomeError) as error:
            raise _not_done(error) from error
    _tell(call, firm.id, unit.vat_number, credentials)


def _not_done(error: RetryableError | UnknownOutcomeError) -> CommandError:
    from toril.queues.sync.http import NotSentError

    if isinstance(error, NotSentError):
        exit, hint = ExitCode.UNREACHABLE, "nothing was asked for; try again, the password is still good"
    elif isinstance(error, RetryableError):
        exit, hint = ExitCode.FAILED, "try again later; the password is good for an hour"
    else:
        exit, hint = ExitCode.FAILED, "nothing is stored; make a new one-time password and try again"
    return CommandError(str(error), exit=exit, code=error.code, hint=hint)


def _kinds(documents: str) -> tuple[Any, ...]:
    from toril.db.models.zatca import ZatcaKind

    if documents == "both":
        return tuple(ZatcaKind)
    if documents not in tuple(ZatcaKind):
        raise CommandError(
            f"--documents {documents!r} is unknown",
            exit=ExitCode.USAGE,
            code="usage",
            hint=f"it is one of both, {', '.join(ZatcaKind)}",
        )
    return (ZatcaKind(documents),)


def _ask(call: Call) -> str:
    if call.json or not sys.stdin.isatty():
        raise CommandError(
            "the one-time password is missing",
            exit=ExitCode.USAGE,
            code="usage",
            hint="the taxpayer makes one in ZATCA's portal; give it with --otp",
        )
    return str(typer.prompt("One-time password from ZATCA's portal", err=True))


def _tell(call: Call, firm_id: str, vat_number: str, credentials: ZatcaCredentials) -> None:
    from toril.queues.sync.zatca.certificate import SigningIdentity

    identity = SigningIdentity.load(credentials.token, credentials.private_key, sample=True)
    if call.json:
        print_json(
            {
                "firmId": firm_id,
                "environment": credentials.environment,
                "vatNumber": vat_number,
                "expiresAt": f"{identity.expires_at:%Y-%m-%dT%H:%M:%SZ}",
            }
        )
        return
    print_fields(
        [
            ("firm", firm_id),
            ("environment", str(credentials.environment)),
            ("VAT number", vat_number),
            ("certificate expires", f"{identity.expires_at:%Y-%m-%d}"),
        ]
    )
