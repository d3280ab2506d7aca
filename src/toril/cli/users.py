"""``toril users``: who may sign in."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toril.cli.command import Call, command
from toril.cli.db import open_database
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import print_json, print_line, print_table
from toril.db.models import Role, User
from toril.db.repositories.access import ApiKeys, Sessions
from toril.db.repositories.users import Firms, Users
from toril.db.types import utc_now
from toril.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

_Email = Annotated[str, typer.Argument(metavar="EMAIL", help="Whom.", show_default=False)]
_Roles = Annotated[Role, typer.Option("--role", metavar="ROLE", help="admin, lawyer or staff.")]
_Stdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read it from standard input.", show_default=False)
]
_Ask = Annotated[bool, typer.Option("--ask", help="Ask for it, unseen.", show_default=False)]


@command(
    examples="""
    toril users create sara@firm.example --role lawyer        with a password that is made up and shown once
    toril users create ops@firm.example --role admin --ask    with one that you type
    pass show toril | toril users create ops@firm.example --password-stdin
    """
)
async def create_user(
    call: Call,
    email: _Email,
    role: _Roles = Role.STAFF,
    name: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Their name; else the address up to its @.", show_default=False),
    ] = None,
    firm: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Their firm; without it they run the installation.", show_default=False
        ),
    ] = None,
    password_stdin: _Stdin = False,
    ask: _Ask = False,
) -> None:
    """Make a user.

    Without --ask or --password-stdin a password is made up, and shown this once. Exits with 1 when the address is
    taken.
    """
    from toril.web.auth.people import add_user

    password = _Password.read(ask=ask, stdin=password_stdin)
    async with open_database(call) as database:
        async with database.session() as session:
            if firm is not None:
                await Firms(session).get(firm)
            user = await add_user(
                session, email=email, password_hash=password.hashed, name=name, role=role, firm_id=firm
            )
        _tell(call, user, "can sign in", password.shown)


@command(
    examples="""
    toril users list
    toril users list --json    for a script
    """
)
async def list_users(call: Call) -> None:
    """List all users, by address."""
    async with open_database(call) as database, database.reading() as session:
        users = await Users(session).list()
    if call.json:
        print_json([_view(user) for user in users])
        return
    print_table(
        ("email", "name", "role", "firm", "may sign in", "last did"),
        [
            (
                user.email,
                user.name,
                user.role.value,
                user.firm_id or "",
                "yes" if user.active and user.password_hash else "no",
                f"{user.last_login_at:%Y-%m-%d %H:%M} UTC" if user.last_login_at else "",
            )
            for user in users
        ],
    )


@command(
    examples="""
    toril users set-role sara@firm.example admin
    """
)
async def set_role(
    call: Call,
    email: _Email,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="admin, lawyer or staff.", show_default=False)],
) -> None:
    """Give a user another role.

    A running web application goes by it within seconds. The last administrator stays one.
    """
    from toril.web.auth.people import entry_of

    async with _changing(call, email) as (session, user):
        session.add(entry_of("user.set_role", user, before=user.role.value, role=role.value))
        async with _keeping_an_admin(session, user):
            user.role = role
    _tell(call, user, f"has the role {role.value}")


@command(
    examples="""
    toril users reset-password sara@firm.example          to one that is made up and shown once
    toril users reset-password sara@firm.example --ask    to one that you type
    """
)
async def reset_password(
    call: Call, email: _Email, password_stdin: _Stdin = False, ask: _Ask = False
) -> None:
    """Give a user another password, and end all their sign-ins.

    Their API keys stay good.
    """
    from toril.web.auth.people import entry_of

    password = _Password.read(ask=ask, stdin=password_stdin)
    async with _changing(call, email) as (session, user):
        user.password_hash = password.hashed
        await Sessions(session).revoke_all(user.id, now=utc_now())
        session.add(entry_of("user.reset_password", user))
    _tell(call, user, "has another password", password.shown)


@command(
    examples="""
    toril users disable sara@firm.example
    """
)
async def disable_user(call: Call, email: _Email) -> None:
    """Let a user in no more: their sign-ins end, and their API keys are taken back.

    A running web application goes by it within seconds. The last administrator cannot be disabled.
    """
    from toril.web.auth.people import entry_of

    async with _changing(call, email) as (session, user):
        async with _keeping_an_admin(session, user):
            user.active = False
        await Sessions(session).revoke_all(user.id, now=utc_now())
        await ApiKeys(session).revoke_all(user.id, now=utc_now())
        session.add(entry_of("user.disable", user))
    _tell(call, user, "cannot sign in any more")


@command(
    examples="""
    toril users enable sara@firm.example
    """
)
async def enable_user(call: Call, email: _Email) -> None:
    """Let a user in again, with the password they had."""
    from toril.web.auth.people import entry_of

    async with _changing(call, email) as (session, user):
        user.active = True
        session.add(entry_of("user.enable", user))
    _tell(call, user, "can sign in again")


class _Password:
    """A new password: its hash, and itself only if it was made up and must be shown."""

    def __init__(self, password: str, *, made_up: bool) -> None:
        from toril.web.auth.passwords import hash_password

        self.hashed = hash_password(password)
        self.shown = password if made_up else None

    @classmethod
    def read(cls, *, ask: bool, stdin: bool) -> _Password:
        """Ask for it, read it, or make it up. Never from the command line, which others can see.

        Raises:
            ConfigurationError: an extra is not installed.
            CommandError: there is nobody to ask, or nothing to read.
            OptionError: it is too easily guessed.
        """
        try:
            from toril.web.auth.secrets import new_password

            if stdin:
                text = sys.stdin.readline().rstrip("\r\n")
                if not text:
                    raise _usage("standard input is empty", "write the password there, in one line")
                return cls(text, made_up=False)
            if ask:
                if not sys.stdin.isatty():
                    raise _usage("there is nobody to ask", "use --password-stdin")
                typed = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
                return cls(typed, made_up=False)
            return cls(new_password(), made_up=True)
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"users need the package {error.name!r}: pip install 'toril[web]'"
            ) from error


@asynccontextmanager
async def _changing(call: Call, email: str) -> AsyncIterator[tuple[AsyncSession, User]]:
    async with open_database(call) as database, database.session() as session:
        user = await Users(session).find_by_email(email)
        if user is None:
            raise CommandError(
                f"there is no user {email!r}",
                exit=ExitCode.NOT_FOUND,
                code="user_not_found",
                hint="see toril users list",
            )
        yield session, user


@asynccontextmanager
async def _keeping_an_admin(session: AsyncSession, user: User) -> AsyncIterator[None]:
    """Around a change of a user: refuse it if it takes the last administrator."""
    if user.role is not Role.ADMIN or not user.active:
        yield
        return
    # Another who takes the other administrator now waits, and then finds none.
    await Users(session).lock_admins()
    yield
    await session.flush()
    if not await Users(session).has_admin():
        raise CommandError(
            "then nobody could administer the installation",
            exit=ExitCode.FAILED,
            code="last_admin",
            hint="first make another administrator: toril users create EMAIL --role admin",
        )


def _usage(message: str, hint: str) -> CommandError:
    return CommandError(message, exit=ExitCode.USAGE, code="usage", hint=hint)


def _tell(call: Call, user: User, what: str, password: str | None = None) -> None:
    if call.json:
        print_json({**_view(user), **({"password": password} if password else {})})
        return
    print_line(f"{user.email} ({user.role.value}) {what}.")
    if password:
        print_line(f"The password, shown this once: {password}")


def _view(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": user.role.value,
        "firmId": user.firm_id,
        "active": user.active,
        "hasPassword": user.password_hash is not None,
        "lastLoginAt": user.last_login_at.isoformat() if user.last_login_at else None,
    }
