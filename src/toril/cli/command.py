"""What every command shares: its options, its help, and the surroundings it is called in."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from toril.cli.exits import MEANING

if TYPE_CHECKING:
    from toril.engine.connection import Connection
    from toril.engine.queue import Queue
    from toril.settings import Settings

#: Seconds a command goes on trying to reach the server; long enough for a fail-over, not for a coffee.
PATIENCE = 2.0

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="The server; else REDIS_URL; else the embedded server.",
        show_default=False,
    ),
]
PrefixOption = Annotated[
    str | None,
    typer.Option(
        "--prefix",
        metavar="TEXT",
        help="What the queues' keys begin with; else TORIL_PREFIX; else bull.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, errors too.", show_default=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """The options that every command takes, and that may also stand before its name."""

    url: str | None = None
    prefix: str | None = None
    json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One run of a command.

    Attributes:
        settings: the environment's, with ``--url`` and ``--prefix`` in their place.
        json: answer for machines.
        url_given: ``--url``, if there was one.
        problems: settings that cannot be used; only commands that say so get past any.
    """

    settings: Settings
    json: bool = False
    url_given: str | None = None
    problems: list[str] = field(default_factory=list)

    def queue(self, name: str) -> Queue:
        """A queue on the server and with the prefix of this call."""
        from toril.engine.queue import Queue

        return Queue(
            name,
            url=self.settings.redis_url,
            prefix=self.settings.prefix,
            home=self.settings.home,
            patience=PATIENCE,
        )

    def connection(self) -> Connection:
        """A connection of its own to the server; close it and its server."""
        from toril.engine.connection import Connection, Server

        return Connection(Server(self.settings.redis_url, home=self.settings.home))


class Command(TyperCommand):
    """A command whose help ends with examples and exit codes."""

    examples = ""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_examples(formatter, self.examples)
        formatter.write(f"\nExit codes:\n  {exit_codes()}\n")


def exit_codes() -> str:
    """All exit codes in one line."""
    return ", ".join(f"{code.value} {meaning}" for code, meaning in MEANING.items())


def write_examples(formatter: Any, examples: str) -> None:
    """Add worked examples to a help text, as they are."""
    lines = inspect.cleandoc(examples).splitlines()
    if lines:
        formatter.write("\nExamples:\n" + "".join(f"  {line}\n" for line in lines))


def command(*, examples: str, lenient: bool = False) -> Callable[[Callable[..., Any]], Callable[..., int]]:
    """Make a function of a ``Call`` and its own options a command with the common options.

    The function may be async, and returns an exit code, or None for 0. Its docstring is the help.

    Args:
        examples: for the help, one a line.
        lenient: run although settings are wrong; they are in ``Call.problems``.
    """

    def wrap(function: Callable[..., Any]) -> Callable[..., int]:
        hints = get_type_hints(function, include_extras=True)
        own = [
            parameter.replace(annotation=hints[parameter.name])
            for parameter in list(inspect.signature(function).parameters.values())[1:]
        ]
        common = [
            _keyword("url", UrlOption, None),
            _keyword("prefix", PrefixOption, None),
            _keyword("json", JsonOption, False),
        ]
        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

        def run(ctx: typer.Context, **given: Any) -> int:
            before = ctx.obj if isinstance(ctx.obj, Common) else Common()
            call = _call(
                before,
                Common(url=given.pop("url"), prefix=given.pop("prefix"), json=given.pop("json")),
                lenient=lenient,
            )
            outcome = function(call, **given)
            return int((asyncio.run(outcome) if inspect.iscoroutine(outcome) else outcome) or 0)

        signature = inspect.Signature([context, *own, *common])
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.examples = examples  # type: ignore[attr-defined]
        return run

    return wrap


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _call(before: Common, after: Common, *, lenient: bool) -> Call:
    from dataclasses import replace

    from toril.errors import ConfigurationError
    from toril.settings import Settings

    settings, problems = Settings.read(os.environ)
    if problems and not lenient:
        raise ConfigurationError("; ".join(problems))
    url, prefix = after.url or before.url, after.prefix or before.prefix
    if url:
        settings = replace(settings, redis_url=url)
    if prefix:
        settings = replace(settings, prefix=prefix)
    return Call(settings=settings, json=before.json or after.json, url_given=url, problems=problems)
