"""``toril doctor`` against servers and settings with something wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.cli import Ended, Toril
from tests.support.servers import RedisServer

from toril.cli import check_server as server_checks
from toril.cli.command import Call
from toril.cli.finding import Finding
from toril.settings import Settings


@pytest.fixture
def toril(tmp_path: Path, start_server: Callable[[str], RedisServer], prefix: str) -> Toril:
    return Toril(tmp_path, {"REDIS_URL": start_server("valkey").url, "TORIL_PREFIX": prefix})


def found(ended: Ended, about: str) -> list[dict[str, Any]]:
    return [finding for finding in ended.json["findings"] if finding["about"] == about]


async def look(url: str, prefix: str = "bull") -> dict[str, Finding]:
    call = Call(settings=Settings(redis_url=url, prefix=prefix))
    return {finding.about: finding async for finding in server_checks.check_server(call)}


async def test_all_is_well_on_the_embedded_server(toril: Toril, tmp_path: Path) -> None:
    ended = await toril("doctor", REDIS_URL="")
    assert ended.code == 0
    assert f"ok       server: the embedded server in {tmp_path / '.toril'} answers; it is valkey" in ended.out
    assert "ok       persistence: appendonly is on" in ended.out
    assert f"note     mail: goes into the outbox {tmp_path / '.toril' / 'outbox'}" in ended.out


async def test_settings_are_shown_without_their_secrets(toril: Toril) -> None:
    ended = await toril(
        "doctor", "--json", RESEND_API_KEY="re_secret", FROM_EMAIL="office@example.com",
        RESEND_URL="http://127.0.0.1:1", DATABASE_URL="postgresql://me:hidden@127.0.0.1:1/app",
    )  # fmt: skip
    assert ended.json["settings"]["RESEND_API_KEY"] == "***"
    assert ended.json["settings"]["DATABASE_URL"] == "postgresql://***@127.0.0.1:1/app"
    assert "re_secret" not in ended.out
    assert "hidden" not in ended.out
    assert found(ended, "mail")[0]["text"].startswith("cannot be handed over: Resend ")
    assert (ended.code, found(ended, "database")[0]["level"]) == (1, "wrong")


async def test_wrong_settings_are_found_all_at_once(toril: Toril, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = await toril(
        "doctor", "--json", PORT="http", TORIL_TIMEZONE="Riyadh", TORIL_OUTBUX="x", TORIL_FILES="file",
        SMTP_URL="smtp://127.0.0.1:1", VAPID_PUBLIC_KEY="abc",
    )  # fmt: skip
    assert ended.code == 1
    texts = [finding["text"] for finding in found(ended, "settings")]
    assert texts[0].startswith("PORT: 'http' cannot be used")
    assert texts[1].startswith("TORIL_TIMEZONE: 'Riyadh' cannot be used")
    assert found(ended, "settings")[2]["hint"] == "did you mean TORIL_OUTBOX?"
    assert found(ended, "TORIL_FILES")[0]["level"] == "wrong"
    assert [finding["text"].partition(" (")[0][:58] for finding in found(ended, "mail")] == [
        "there is no sender",
        "cannot be handed over: SMTP server 127.0.0.1:1: Error conn",
    ]
    assert found(ended, "web push")[0]["hint"] == "set VAPID_PRIVATE_KEY and CONTACT_EMAIL too"


async def test_a_server_that_is_away_does_not_keep_it_from_the_rest(toril: Toril) -> None:
    ended = await toril("doctor", "--json", "--url", "redis://127.0.0.1:1")
    assert ended.code == 1
    assert found(ended, "server")[0]["level"] == "wrong"
    assert found(ended, "server")[0]["hint"]
    assert found(ended, "toril")


async def test_a_server_that_deletes_and_forgets_jobs_is_found() -> None:
    with RedisServer(args=["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]) as server:
        findings = await look(server.url)
    assert (findings["memory"].level, findings["persistence"].level) == ("wrong", "warning")
    assert findings["memory"].text == "maxmemory-policy is allkeys-lru, so a full server deletes jobs"
    assert findings["persistence"].hint == "set appendonly yes"
    assert findings["rights"].level == "ok"


async def test_a_replica_is_found() -> None:
    # Nobody listens at its primary's address; a replica it is all the same.
    with RedisServer(args=["--replicaof", "127.0.0.1", "1"]) as replica:
        assert (await look(replica.url))["role"].level == "wrong"


async def test_a_user_without_rights_is_found() -> None:
    with RedisServer() as server, server.client() as admin:
        admin.acl_setuser("clerk", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-@scripting"])
        findings = await look(server.url.replace("unix://", "unix://clerk:none@"))
    assert findings["rights"].level == "wrong"


async def test_clocks_that_differ_are_found(
    start_server: Callable[[str], RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = SimpleNamespace(
        time=lambda: time.time() - 90, monotonic=time.monotonic, perf_counter=time.perf_counter
    )
    monkeypatch.setattr(server_checks, "time", behind)
    finding = (await look(start_server("valkey").url))["clocks"]
    assert finding.level == "warning"
    assert finding.text == "the server's clock is 90.0 s ahead of this machine's"
