"""How long an export takes and how much memory it needs, from a job's data to the published file.

Run: python benchmarks/bench_export.py [--rows 1000000] [--formats csv,json,xlsx,parquet]
Needs: pip install -e '.[report]'

Makes a SQLite database with that many invoices, then exports all of them, each format in a process of its own. Peak
memory is the whole process's, Python and its packages included. For PostgreSQL give --database with the URL of an
empty database that may be filled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

FIRM = "507f1f77bcf86cd799439011"
CLIENT = "507f1f77bcf86cd799439012"

_COLUMNS = (
    "id, firm_id, number, client_id, status, issue_date, due_date, currency, language, subtotal, discount, "
    "vat_rate, vat_amount, total, amount_paid, notes, payment_terms, created_at, updated_at"
)
_FIXED = "'sent', '2026-02-01', '2026-03-03', 'SAR', 'ar'"
_TEXTS = "'أتعاب استشارة قانونية', 'Within 30 days'"
_FILL = {
    "sqlite": f"""
        WITH RECURSIVE rows(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < :rows)
        INSERT INTO invoices ({_COLUMNS})
        SELECT printf('%024x', n), :firm, printf('INV-%07d', n), :client, {_FIXED},
            100 * n, 0, 1500, 15 * n, 115 * n, 0, {_TEXTS},
            '2026-02-01 09:30:00.000000', '2026-02-01 09:30:00.000000' FROM rows""",
    "postgresql": f"""
        INSERT INTO invoices ({_COLUMNS})
        SELECT lpad(to_hex(n), 24, '0'), :firm, 'INV-' || lpad(n::text, 7, '0'), :client, {_FIXED},
            n, 0, 15, 0.15 * n, 1.15 * n, 0, {_TEXTS},
            '2026-02-01 09:30:00Z', '2026-02-01 09:30:00Z' FROM generate_series(1, :rows) AS n""",
}


class Job:
    """A job without a queue."""

    id, timestamp, attempts_made = "1", 1_774_992_600_000, 0

    def __init__(self, format: str) -> None:
        self.data = {
            "type": "data-export",
            "data": {"firmId": FIRM, "exportType": "invoices", "format": format},
        }

    async def update_progress(self, progress: Any) -> None: ...

    async def log(self, row: str) -> int:
        return 0


async def fill(url: str, rows: int) -> None:
    """Make the tables, a firm with a client, and ``rows`` invoices of 1.15, 2.30, 3.45 and so on."""
    from sqlalchemy import text

    from toril.db.models import Client, Firm
    from toril.db.session import Database

    async with Database(url) as database:
        await database.upgrade()
        async with database.session() as session:
            session.add(Firm(id=FIRM, name_ar="مكتب الميزان", name_en="Al Mizan"))
            await session.flush()
            session.add(Client(id=CLIENT, firm_id=FIRM, name="Client", client_since=date(2026, 1, 1)))
            await session.flush()
            statement = text(_FILL[session.get_bind().dialect.name])
            await session.execute(statement, {"rows": rows, "firm": FIRM, "client": CLIENT})


async def export(url: str, folder: Path, format: str) -> dict[str, Any]:
    """Export all invoices; how long it took, the process's peak memory, and what came out."""
    from toril.db.session import Database
    from toril.queues.report import report_queue
    from toril.queues.storage import LocalFileStore

    async with Database(url) as database:
        queue = report_queue(database=database, files=LocalFileStore(folder))
        began = time.perf_counter()
        result = await queue.process(Job(format))
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_mb": peak_mb(), **result}


def peak_mb() -> float:
    """The most memory this process has had, in megabytes."""
    try:
        # Not ru_maxrss, which begins with what the parent had.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1_048_576


def export_in_process(url: str, folder: Path, format: str) -> dict[str, Any]:
    """``export`` in a process that does nothing else."""
    command = [sys.executable, __file__, "--child", format, "--database", url, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main(arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    print(f"machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    packages = ", ".join(f"{name} {version(name)}" for name in ("sqlalchemy", "pyarrow"))
    print(f"versions: Python {platform.python_version()}, {packages}")
    table = Table(f"{arguments.rows:,} invoices")
    for heading in ("seconds", "rows/s", "peak MB", "file MB"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        url = arguments.database or f"sqlite:///{folder / 'records.db'}"
        asyncio.run(fill(url, arguments.rows))
        for format in arguments.formats.split(","):
            done = export_in_process(url, folder / format, format)
            speed = done["recordCount"] / done["seconds"]
            figures = (f"{done['seconds']:.1f}", f"{speed:,.0f}", f"{done['peak_mb']:.0f}")
            table.add_row(format, *figures, f"{done['size'] / 1_048_576:.0f}")
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="invoices to export (default 1000000)")
    parser.add_argument("--formats", default="csv,json,xlsx,parquet")
    parser.add_argument("--database", help="URL of an empty database (default: SQLite in a temporary folder)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(asyncio.run(export(given.database, given.folder, given.child))))
    else:
        main(given)
