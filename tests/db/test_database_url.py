"""DATABASE_URL, as people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from toril.db.session import Database
from toril.db.url import database_url
from toril.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "sqlite+aiosqlite:///home/toril.db"),
        ("sqlite:///records.db", "sqlite+aiosqlite:///records.db"),
        ("sqlite:////var/lib/records.db", "sqlite+aiosqlite:////var/lib/records.db"),
        ("sqlite+pysqlite:///records.db", "sqlite+aiosqlite:///records.db"),
        ("postgresql://u:p%40ss@db:5433/firm", "postgresql+asyncpg://u:p%40ss@db:5433/firm"),
        ("postgres://u@db/firm?sslmode=require", "postgresql+asyncpg://u@db/firm?ssl=require"),
        ("postgresql+psycopg2://db/firm", "postgresql+asyncpg://db/firm"),
        ("postgresql://u@/firm?host=/run/pg", "postgresql+asyncpg://u@/firm?host=%2Frun%2Fpg"),
    ],
)
def test_an_address_gets_a_driver_of_ours(text: str | None, expected: str) -> None:
    url = database_url(text, home=Path("home"))
    assert url.render_as_string(hide_password=False) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("records.db", "must look like", id="no URL"),
        pytest.param("mysql://db/firm", "'mysql'", id="another database"),
        pytest.param("sqlite://", "must name a file", id="memory"),
        pytest.param("sqlite:///:memory:", "must name a file", id="memory by name"),
        pytest.param("sqlite:///a.db?mode=ro", "must name a file", id="option of SQLite"),
        pytest.param("postgresql://db/firm?fast=1", "option 'fast'.*ssl", id="option that is none"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        database_url(text)


def test_a_database_is_shown_without_its_password() -> None:
    assert str(Database("postgresql://u:secret@db/firm")) == "postgresql://u:***@db/firm"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="folder for the database"):
        Database(home=tmp_path / "file" / "home")
