"""The commands about tables, run as people run them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.cli import Toril
from tests.support.databases import KINDS, Databases

from toril.cli.exits import ExitCode


@pytest.fixture
def toril(tmp_path: Path) -> Toril:
    return Toril(tmp_path, {})


@pytest.mark.parametrize("kind", KINDS)
async def test_tables_are_made_shown_and_removed(toril: Toril, databases: Databases, kind: str) -> None:
    url = await databases.empty(kind)

    async def run(*arguments: str) -> tuple[int, str]:
        ended = await toril("db", *arguments, DATABASE_URL=url)
        return ended.code, ended.out.strip() + ended.err

    code, told = await run("current")
    assert code == ExitCode.FAILED
    assert "has no tables; this version needs" in told
    assert told.endswith("run toril db upgrade.")
    code, told = await run("upgrade")
    assert code == ExitCode.DONE
    assert "had no tables and has now the tables of" in told
    code, told = await run("current")
    assert code == ExitCode.DONE
    assert told.endswith("; up to date.")
    assert (await run("upgrade")) == (code, told), "nothing to do"
    code, told = await run("downgrade", "base")
    assert code == ExitCode.USAGE
    assert "deleting every record" in told
    assert "add --yes to go on" in told
    code, told = await run("downgrade", "nowhere", "--yes")
    assert code == ExitCode.USAGE
    assert "cannot go back to 'nowhere'" in told
    code, told = await run("downgrade", "base", "--yes")
    assert code == ExitCode.DONE
    assert "has now no tables" in told


async def test_without_settings_the_tables_are_in_the_home_folder(toril: Toril, tmp_path: Path) -> None:
    ended = await toril("db", "upgrade", "--json", TORIL_HOME=str(tmp_path / "home"))
    assert ended.code == ExitCode.DONE
    assert ended.json["before"] is None
    assert ended.json["current"] == ended.json["head"]
    assert ended.json["database"] == f"sqlite:///{tmp_path}/home/toril.db"
    assert (tmp_path / "home" / "toril.db").exists()


async def test_a_server_that_is_not_there_is_3_and_its_password_a_secret(
    toril: Toril, tmp_path: Path
) -> None:
    url = f"postgresql://me:secret@/firm?host={tmp_path}"
    ended = await toril("db", "current", "--json", DATABASE_URL=url)
    assert ended.code == ExitCode.UNREACHABLE
    assert ended.error["code"] == "database_unavailable"
    assert "DATABASE_URL" in ended.error["hint"]
    assert "secret" not in ended.err
