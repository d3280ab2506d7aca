"""What every command shares: its options, its help, and the surroundings it is called in."""

from __future__ import annotations

import asyncio
import inspect
import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
        given: the common options as they were given.
        problems: settings that cannot be used; only commands that say so get past any.
    """

    settings: Settings
    json: bool = False
    given: Common = field(default_factory=Common)
    problems: list[str] = field(default_factory=list)

    def queue(self, name: str) -> Queue:
        """A queue on the server and with the prefix of this call."""
        from toril.engine.queue import Queue

        return Queue(
            name,
            url=self.settings.redis_url,
            prefix=self.settings.prefix,
            node=self.settings.shared_with_node,
            home=self.settings.home,
            patience=PATIENCE,
        )

    def connection(self) -> Connection:
        """A connection of its own to the server; close it and its server."""
        from toril.engine.connection import Connection
        from toril.engine.server import Server

        return Connection(Server(self.settings.redis_url, home=self.settings.home))


class Command(TyperCommand):
    """A command with help that teaches: usage, arguments and options in plain words, examples, exit codes."""

    examples = ""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces = ["[OPTIONS]"]
        for each in self.get_params(ctx):
            if each.param_type_name == "argument":
                name = f"{_name(each)}..." if each.nargs == -1 else _name(each)
                pieces.append(name if each.required else f"[{name}]")
        return pieces

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_parameters(formatter, self.get_params(ctx))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_epilog(formatter, self.examples)


def write_parameters(formatter: Any, parameters: Sequence[Any]) -> None:
    """The arguments and options of a help text, each with what it takes."""
    rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
    for each in parameters:
        if getattr(each, "hidden", False):
            continue
        help = each.help or ""
        if each.param_type_name == "argument":
            rows["Arguments"].append((_name(each), help))
        else:
            names = ", ".join(sorted(each.opts, key=len))
            takes = "" if each.is_flag else f" {_name(each)}"
            if each.required:
                help += " Required."
            elif takes and each.show_default and each.default is not None:
                help += f" Default: {each.default}."
            rows["Options"].append((names + takes, help))
    for title, section in rows.items():
        if section:
            with formatter.section(title):
                formatter.write_dl(section)


def _name(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def write_epilog(formatter: Any, examples: str) -> None:
    """End a help text with worked examples, as they are written, and the exit codes."""
    lines = inspect.cleandoc(examples).splitlines()
    if lines:
        formatter.write("\nExamples:\n" + "".join(f"  {line}\n" for line in lines))
    codes = ", ".join(f"{code.value} {meaning}" for code, meaning in MEANING.items())
    formatter.write("\nExit codes:\n" + textwrap.indent(textwrap.fill(codes, 76), "  ") + "\n")


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
    from toril.errors import ConfigurationError
    from toril.observability import logging as log_lines
    from toril.settings import Settings

    settings, problems = Settings.read(os.environ)
    # What matters to a short command is in its answer or its error; a worker sets up its own log.
    log_lines.configure("debug" if settings.log_level == "debug" else "error", "text")
    if problems and not lenient:
        raise ConfigurationError("; ".join(problems))
    given = Common(
        url=after.url or before.url, prefix=after.prefix or before.prefix, json=after.json or before.json
    )
    settings = replace(
        settings, redis_url=given.url or settings.redis_url, prefix=given.prefix or settings.prefix
    )
    return Call(settings=settings, json=given.json, given=given, problems=problems)
