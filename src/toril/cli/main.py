"""The command ``toril``: how it begins, and how it ends."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from toril.cli.command import Common, JsonOption, PrefixOption, UrlOption
from toril.cli.exits import Ending, ending_of
from toril.cli.streams import flush_or_drop, replace_missing, unwritten
from toril.cli.tree import CONTEXT, Root


def _version(wanted: bool) -> None:
    if wanted:
        from toril import __version__

        typer.echo(f"toril {__version__}")
        raise typer.Exit


_app = typer.Typer(rich_markup_mode=None)


@_app.callback(cls=Root, context_settings=CONTEXT)
def _root(
    ctx: typer.Context,
    url: UrlOption = None,
    prefix: PrefixOption = None,
    json: JsonOption = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and leave.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    """Background jobs on Bull 4's Redis format."""
    ctx.obj = Common(url=url, prefix=prefix, json=json)


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code. Errors are told on standard error, without a traceback."""
    try:
        outcome = typer.main.get_command(_app).main(list(arguments), prog_name="toril", standalone_mode=False)
        return int(outcome or 0)
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("TORIL_LOG_LEVEL") == "debug":
            import traceback

            traceback.print_exc()
        ending = (isinstance(error, OSError) and unwritten()) or ending_of(error)
        _tell(ending, as_json="--json" in arguments)
        return ending.exit


def main() -> None:
    """Entry point of the installed command."""
    replace_missing()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:])
    if code == 0 and (ending := unwritten()):
        _tell(ending, as_json="--json" in sys.argv)
        code = ending.exit
    flush_or_drop()
    sys.exit(code)


def _tell(ending: Ending, *, as_json: bool) -> None:
    with suppress(OSError):  # nobody hears us; the exit code still says it
        _write(ending, as_json=as_json)


def _write(ending: Ending, *, as_json: bool) -> None:
    if not ending.message:
        return
    if as_json:
        error = {"code": ending.code, "message": ending.message}
        if ending.hint:
            error["hint"] = ending.hint
        if ending.field:
            error["field"] = ending.field
        typer.echo(json.dumps({"error": error}, ensure_ascii=False), err=True)
        return
    from toril.observability.logging import harmless

    typer.echo(harmless(f"error: {ending.message}" + (f"; {ending.hint}" if ending.hint else "")), err=True)
