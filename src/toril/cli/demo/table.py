"""What the demonstration shows: progress while it runs, and at the end a row for each type."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from toril.cli.demo.run import DemoRun
from toril.cli.demo.tally import Tally

_Outcome = Mapping[str, Any]

#: What a type's result says, in a few words; the others name a file, or what was deleted.
_SAID: dict[tuple[str, str], Callable[[_Outcome], str]] = {
    ("email", "bulk"): lambda out: f"{out['successCount']} of {out['total']} sent",
    ("notification", "push"): lambda out: "shown in a browser",
    ("notification", "in-app"): lambda out: "stored and announced",
    ("notification", "sms"): lambda out: f"to {out['phoneNumber']}",
    ("notification", "webhook"): lambda out: f"answered with {out['statusCode']}",
    ("notification", "bulk-push"): lambda out: f"{out['successCount']} shown, {out['failedCount']} expired",
    ("report", "custom"): lambda out: f"{len(out['rows'])} rows",
    ("sync", "currency-rates"): lambda out: f"{out['ratesCount']} rates",
    ("sync", "whatsapp-messages"): lambda out: f"{out['syncedCount']} of {out['totalMessages']} are new",
    ("sync", "bank-transactions"): lambda out: f"{out['syncedCount']} of {out['totalTransactions']} are new",
    ("sync", "payment-status"): lambda out: f"{out['provider']}: {out['status']}",
    ("sync", "zatca-invoice"): lambda out: f"{out['status']}, no. {out['icv']} in chain",
    ("sync", "whatsapp-inbox"): lambda out: f"{out['numberCount']} numbers, {out['totalMessages']} messages",
    ("sync", "zatca-pending"): lambda out: f"{out['settledCount']} settled, {out['leftCount']} left",
    ("sync", "mudad-payment"): lambda out: str(out["status"]),
    ("sync", "wathq-contract"): lambda out: str(out["status"]),
}


_ORDER = ("email", "pdf", "notification", "report", "cleanup", "sync")


async def watch(run: DemoRun, console: Console) -> None:
    """Show how far everything is until it has ended."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        pdfs, mails, rest = (
            progress.add_task(label, total=None)
            for label in ("invoices to PDF ", "PDFs by mail    ", "all other types ")
        )

        def show() -> None:
            others = [tally for tally in run.score.tallies if tally not in (run.pdfs, run.mails)]
            for row, tallies in ((pdfs, [run.pdfs]), (mails, [run.mails]), (rest, others)):
                total, ended = sum(each.expected for each in tallies), sum(each.ended for each in tallies)
                progress.update(row, total=total, completed=ended)

        while not run.finished.is_set():
            show()
            try:
                await asyncio.wait_for(run.finished.wait(), 0.1)
            except TimeoutError:
                continue
        show()


def print_table(run: DemoRun, console: Console, *, files: Path, outbox: Path) -> None:
    """A row for each type, then where the files are, then why jobs failed if some did."""
    table = Table(title="What came out", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    # Fixed, so that a narrow terminal cuts the last column and not all of them.
    widths = {"job": 24, "done": 5, "failed": 7, "seconds": 8, "jobs/s": 7}
    for name, width in widths.items():
        table.add_column(name, justify="left" if name == "job" else "right", width=width, no_wrap=True)
    tallies = sorted(run.score.tallies, key=lambda tally: _ORDER.index(tally.queue))
    room = max(console.width - sum(width + 1 for width in widths.values()) - 2, 20)
    needed = max(len(_outcome(tally)) for tally in tallies)
    table.add_column("outcome of the last", width=min(room, needed), overflow="ellipsis", no_wrap=True)
    for tally, after in zip(tallies, [*tallies[1:], None], strict=True):
        table.add_row(
            f"{tally.queue} {tally.type}",
            str(tally.completed),
            f"[red]{tally.failed}[/red]" if tally.failed else "0",
            f"{tally.seconds:.2f}",
            f"{tally.completed / tally.seconds:,.0f}" if tally.completed > 1 else "",
            escape(_outcome(tally)),
            end_section=after is None or after.queue != tally.queue,
        )
    console.print(table)
    for what, folder in (
        ("PDFs", files / "pdf"),
        ("reports", files / "reports"),
        ("exports", files / "exports"),
    ):
        console.print(f"{what:8} {_short(folder)}", highlight=False, soft_wrap=True)
    console.print(f"{'mails':8} {_short(outbox)}", highlight=False, soft_wrap=True)
    for tally in run.score.tallies:
        for reason, count in tally.reasons.most_common(3):
            console.print(f"[red]{count} × {tally.queue} {tally.type}: {escape(reason)}[/red]")


def _outcome(tally: Tally) -> str:
    out = tally.outcome
    if not out:
        return ""
    if said := _SAID.get((tally.queue, tally.type)):
        return said(out)
    if "deletedCount" in out:
        return f"{out['deletedCount']} of {out['foundCount']} deleted"
    if "messageId" in out:
        return f"to {out.get('recipientEmail') or out['to']}"
    return str(out.get("fileName") or "")


def _short(path: Path) -> str:
    """The path from here, when it is below here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
