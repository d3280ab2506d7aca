"""Exports of many rows stay small in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from benchmarks.bench_export import export_in_process, fill

ROWS = 100_000
LIMIT_MB = 200  #: of the whole process; a million rows take as much as these, see the benchmark


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a database with many invoices."""
    url = f"sqlite:///{tmp_path_factory.mktemp('records') / 'records.db'}"
    asyncio.run(fill(url, ROWS))
    return url


@pytest.mark.parametrize("format", ["csv", "json", "xlsx", "parquet"])
def test_an_export_of_many_rows_needs_little_memory(format: str, records: str, tmp_path: Path) -> None:
    done = export_in_process(records, tmp_path, format)
    assert done["recordCount"] == ROWS
    assert done["peak_mb"] < LIMIT_MB
    assert done["size"] == Path(done["filePath"]).stat().st_size > 1_000_000
