"""``toril webhooks``: what receivers verify our calls with."""

from __future__ import annotations

from typing import Annotated

import typer

from toril.cli.command import Call, command
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import print_json, print_line
from toril.errors import ConfigurationError
from toril.queues.ssrf import BlockedAddressError, Guard


@command(
    examples="""
    toril webhooks secret https://hooks.client.example    for the receiver there, and for nobody else
    """
)
async def show_secret(
    call: Call,
    origin: Annotated[
        str,
        typer.Argument(metavar="URL", help="Of the receiver; its path is not regarded.", show_default=False),
    ],
) -> None:
    """Print the secret with which the receiver at an address verifies webhooks.

    It is derived from WEBHOOK_SECRET and from scheme, host and port of the address, so it is the same each time.
    """
    from toril.queues.notification import choose_signer

    signer = choose_signer(call.settings.webhook_secret)
    if signer is None:
        raise ConfigurationError("webhooks are signed with WEBHOOK_SECRET, and it is not set")
    try:
        receiver = Guard.for_development("0.0.0.0/0", "::/0").parse(origin).origin
    except BlockedAddressError as error:
        raise CommandError(f"{origin}: {error}", exit=ExitCode.USAGE, code=error.code) from error
    secret = signer.secret(receiver)
    if call.json:
        print_json({"origin": receiver, "secret": secret})
    else:
        print_line(secret)
