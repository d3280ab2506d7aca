"""``toril doctor`` signs in, writes and looks: against real servers that are wrong in one way each."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.support.cli import Toril
from tests.support.databases import KINDS, Databases, databases
from tests.support.postgres import PostgresServer, postgres_binaries
from tests.support.processes import ROOT
from tests.support.resend_server import API_KEY, failure, resend_server
from tests.support.s3_server import KEY_ID, SECRET, s3_server
from tests.support.servers import RedisServer
from tests.support.smtp_server import mail_server

from toril.cli.command import Call
from toril.cli.doctor import examine
from toril.cli.finding import LEVELS, Finding
from toril.db.session import Database
from toril.engine.queue import Queue
from toril.engine.repeat import Repeat
from toril.engine.worker import Worker
from toril.queues.planned import install_planned
from toril.settings import Settings

__all__ = ["databases"]


@pytest.fixture
def server_url(start_server: Callable[[str], RedisServer]) -> str:
    return start_server("valkey").url


@dataclass(frozen=True)
class Report:
    """What the doctor found."""

    findings: list[Finding]

    @property
    def is_wrong(self) -> bool:
        return any(each.level == "wrong" for each in self.findings)

    def of(self, about: str) -> Finding:
        """The worst about a thing."""
        finding = next(each for each in self.findings if each.about == about)
        assert finding.hint or finding.level in ("ok", "note"), "it says what to do"
        return finding


Doctor = Callable[..., Awaitable[Report]]


@pytest.fixture
def doctor(tmp_path: Path, server_url: str, prefix: str) -> Doctor:
    """Asks the doctor about these settings; what it said is searched for secrets."""

    async def ask(**environ: str) -> Report:
        given = {
            "REDIS_URL": server_url,
            "TORIL_PREFIX": prefix,
            "TORIL_HOME": str(tmp_path / "home"),
            **environ,
        }
        settings, problems = Settings.read(given)
        assert problems == []
        report = Report(await examine(Call(settings=settings), given))
        assert "hidden4711" not in repr(report)
        return report

    return ask


@pytest.mark.skipif(postgres_binaries() is None, reason="no PostgreSQL on this machine")
async def test_a_wrong_password_of_the_database_is_found(doctor: Doctor) -> None:
    async with PostgresServer() as server:
        await server.execute("ALTER USER toril PASSWORD 'the right one'")
        (server.folder / "data/pg_hba.conf").write_text("local all all scram-sha-256\n")
        await server.execute("SELECT pg_reload_conf()")
        url = f"postgresql://toril:{{}}@/postgres?host={server.folder}"
        wrong = await doctor(DATABASE_URL=url.format("hidden4711"))
        right = await doctor(DATABASE_URL=url.format("the%20right%20one"))
    assert (wrong.is_wrong, wrong.of("database").level) == (True, "wrong")
    assert "password authentication failed" in wrong.of("database").text
    assert (right.is_wrong, right.of("database").level) == (False, "note"), "there are no tables yet"


@pytest.mark.parametrize("kind", KINDS)
async def test_tables_of_another_version_are_found(doctor: Doctor, databases: Databases, kind: str) -> None:
    url = await databases.fresh(kind)
    assert (await doctor(DATABASE_URL=url)).of("database").level == "ok"
    async with Database(url) as database:
        await database.downgrade("0003")
    old = await doctor(DATABASE_URL=url)
    assert (old.is_wrong, old.of("database").level) == (True, "wrong")
    assert "has the tables of 0003" in old.of("database").text
    assert "toril db upgrade" in old.of("database").hint
    async with Database(url) as database, database.session() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = 'ffff'"))
    newer = await doctor(DATABASE_URL=url)
    assert "which this version does not know" in newer.of("database").text


async def test_a_login_that_the_mail_server_refuses_is_found(doctor: Doctor) -> None:
    async with mail_server() as server:
        url = f"smtp://office:{{}}@127.0.0.1:{server.port}"
        sender = {"FROM_EMAIL": "office@firm.example"}
        wrong = await doctor(SMTP_URL=url.format("hidden4711"), **sender)
        right = await doctor(SMTP_URL=url.format("secret"), **sender)
        assert {*server.logins} == {(b"office", b"hidden4711"), (b"office", b"secret")}
        assert server.mails == []
    assert (wrong.is_wrong, wrong.of("mail").level) == (True, "wrong")
    assert "refused the login" in wrong.of("mail").text
    assert (right.is_wrong, right.of("mail").level) == (False, "ok")


async def test_a_key_that_resend_refuses_is_found(doctor: Doctor) -> None:
    async with resend_server() as server:
        settings = {"FROM_EMAIL": "office@firm.example", "RESEND_URL": server.url}
        wrong = await doctor(RESEND_API_KEY="re_hidden4711", **settings)
        right = await doctor(RESEND_API_KEY=API_KEY, **settings)
        server.script.append(failure(401, "restricted_api_key"))  # as of a key that may only send
        for_sending = await doctor(RESEND_API_KEY=API_KEY, **settings)
        assert server.sent == []
    assert (wrong.is_wrong, wrong.of("mail").level) == (True, "wrong")
    assert (right.of("mail").level, for_sending.of("mail").level) == ("ok", "ok")


async def test_a_place_that_takes_no_files_is_found(doctor: Doctor) -> None:
    ended = await doctor(TORIL_FILES="/proc/files")  # where not even root can write
    assert (ended.is_wrong, ended.of("TORIL_FILES").level) == (True, "wrong")
    assert "no file can be written in /proc" in ended.of("TORIL_FILES").text


def test_a_disk_that_is_full_is_found(tmp_path: Path) -> None:
    program = f"""
import asyncio, pathlib, resource, signal
from toril.cli.check_files import check_files
from toril.settings import Settings

async def main():
    print([finding.level async for finding in check_files(Settings(home=pathlib.Path({str(tmp_path)!r})))])

asyncio.run(main())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    enough, full = ended.stdout.splitlines()
    assert "wrong" not in enough
    assert full == "['wrong', 'wrong', 'wrong']"
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


async def test_a_bucket_is_written_to_and_left_as_it_was(doctor: Doctor) -> None:
    async with s3_server() as server:
        settings = {"TORIL_FILES": "s3://records/firm", "TORIL_S3_ENDPOINT": server.url}
        keys = {"TORIL_S3_ACCESS_KEY_ID": KEY_ID, "TORIL_S3_SECRET_ACCESS_KEY": SECRET}
        right = await doctor(**settings, **keys)
        assert [each.split()[0] for each in server.requests] == ["PUT", "GET", "POST"]
        assert server.objects == {}
        keys["TORIL_S3_SECRET_ACCESS_KEY"] = "hidden4711"
        wrong = await doctor(**settings, **keys)
    assert right.of("TORIL_FILES").level == "ok", right.of("TORIL_FILES").text
    assert (wrong.is_wrong, wrong.of("TORIL_FILES").level) == (True, "wrong")


@asynccontextmanager
async def silence() -> AsyncIterator[str]:
    """Where somebody takes every connection and never says a word."""
    open_ones: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: open_ones.append(writer), "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in open_ones:
            writer.close()


async def test_what_neither_answers_nor_hangs_up_holds_nothing_up(doctor: Doctor) -> None:
    async with silence() as place:
        ended = await doctor(REDIS_URL=f"redis://{place}/0", DATABASE_URL=f"postgresql://me@{place}/records",
            SMTP_URL=f"smtp://{place}", FROM_EMAIL="office@firm.example", TORIL_FILES="s3://records",
            TORIL_S3_ENDPOINT=f"http://{place}", TORIL_S3_ACCESS_KEY_ID="a", TORIL_S3_SECRET_ACCESS_KEY="b",
        )  # fmt: skip
    assert ended.is_wrong
    for about in ("server", "database", "mail", "files"):
        assert ended.of(about).level == "wrong"
    assert ended.of("toril").level == "ok", "and all the rest is there"


async def test_jobs_that_nobody_works_are_found(doctor: Doctor, server_url: str, prefix: str) -> None:
    async with Queue("email", url=server_url, prefix=prefix) as queue:
        await queue.pause()
        await queue.resume()
        idle = await doctor()
        await queue.add("n", 1)
        waiting = await doctor()

        async def wait_for_ever(_: Any) -> None:
            await asyncio.Event().wait()

        async with Worker(queue, wait_for_ever, grace=0):
            worked = await doctor()
            await queue.pause()
            await queue.add("n", 1)
            paused = await doctor()
    assert (waiting.is_wrong, waiting.of("queue email").level) == (True, "wrong")
    assert waiting.of("queue email").text == "1 job waiting, 0 that a worker left, and no worker is connected"
    assert (worked.is_wrong, worked.of("queue email").level) == (False, "ok")
    assert paused.of("queue email").level == "warning"
    assert not idle.is_wrong


async def test_schedules_that_are_late_or_gone_are_found(
    doctor: Doctor, server_url: str, prefix: str
) -> None:
    async with Queue("cleanup", url=server_url, prefix=prefix) as queue:
        await queue.add("n", 1, job_id="own", repeat=Repeat(every=3600))
        without = await doctor()
        await install_planned({"cleanup": queue}, zone="Asia/Riyadh")
        there = await doctor()
        planned = next(each for each in await queue.schedules() if each.id == "tokens")
        await queue.remove_schedule(planned.key)
        removed = await doctor()
        own = next(each for each in await queue.schedules() if each.id == "own")
        await queue.scripts.ask("ZADD", queue.keys.of("repeat"), 1_000_000, own.key)
        late = await doctor()
    assert without.of("schedules of cleanup").level == "warning"
    assert there.of("schedules of cleanup").level == "ok"
    assert removed.of("schedules of cleanup").text == "somebody has removed tokens"
    assert (late.is_wrong, late.of("schedules of cleanup").level) == (True, "wrong")
    assert "'own' should have run" in late.of("schedules of cleanup").text


@pytest.mark.parametrize(
    ("about", "expected", "settings"),
    [
        ("TORIL_SECRET", "wrong", {"TORIL_SECRET": "change-me-change-me-change-me-change-me"}),
        ("TORIL_SECRET", "wrong", {"TORIL_SECRET": "aaaaaaaabbbbbbbbccccccccdddddddd"}),
        ("TORIL_SECRET", "ok", {"TORIL_SECRET": "kT3v9x0q2aZ7mWb8Yc1LdR5sJf6HgN4p"}),
        ("TORIL_SECRET", "warning", {"TORIL_HOST": "0.0.0.0"}),
        ("TORIL_TRUSTED_PROXIES", "wrong", {"TORIL_TRUSTED_PROXIES": "*", "TORIL_HOST": "0.0.0.0"}),
        ("TORIL_TRUSTED_PROXIES", "wrong", {"TORIL_TRUSTED_PROXIES": "0.0.0.0/0"}),
        ("TORIL_TRUSTED_PROXIES", "wrong", {"TORIL_TRUSTED_PROXIES": "proxy.local"}),
        ("TORIL_TRUSTED_PROXIES", "warning", {"TORIL_TRUSTED_PROXIES": "10.0.0.7"}),
        ("TORIL_TRUSTED_PROXIES", "warning", {"TORIL_PUBLIC_URL": "https://firm.example"}),
        ("TORIL_TRUSTED_PROXIES", "ok", {"TORIL_TRUSTED_PROXIES": "127.0.0.1"}),
        ("TORIL_HOST", "warning", {"TORIL_HOST": "0.0.0.0"}),
    ],
)
async def test_who_is_believed_too_easily_is_found(
    doctor: Doctor, about: str, expected: str, settings: dict[str, str]
) -> None:
    ended = await doctor(**settings)
    assert ended.of(about).level == expected
    assert ended.is_wrong == (expected == "wrong")
    assert settings.get("TORIL_SECRET", "nothing secret") not in repr(ended)


async def test_the_worst_comes_first_and_the_settings_last(
    tmp_path: Path, server_url: str, prefix: str
) -> None:
    toril = Toril(tmp_path, {"REDIS_URL": server_url, "TORIL_PREFIX": prefix, "TORIL_FILES": "/proc/files"})
    ended = await toril("doctor", "--json", TORIL_HOST="0.0.0.0")
    assert ended.code == 1
    levels = [LEVELS.index(each["level"]) for each in ended.json["findings"]]
    assert levels == sorted(levels, reverse=True)
    assert [*ended.json] == ["ok", "findings", "settings"]
    assert ended.json["ok"] is False
    lines = (await toril("doctor")).out.splitlines()
    assert lines[0].startswith("wrong    TORIL_FILES: ")
    assert lines[1].startswith("         → ")
    assert lines.index(next(line for line in lines if line.startswith("setting "))) > 20
