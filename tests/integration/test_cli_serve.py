"""``toril serve`` as a process: all ready-made queues with nothing configured."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.support.cli import Toril
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.queue import Queue


@pytest.fixture
def server_url(start_server: Callable[[str], RedisServer]) -> str:
    """One kind of server, as the queues' own tests see to the others."""
    return start_server("valkey").url


@pytest.fixture
def toril(tmp_path: Path, server_url: str, prefix: str) -> Toril:
    return Toril(
        tmp_path, {"REDIS_URL": server_url, "TORIL_PREFIX": prefix, "TORIL_HOME": str(tmp_path / "home")}
    )


async def test_jobs_of_several_queues_are_worked_until_ctrl_c(
    toril: Toril, server_url: str, prefix: str, tmp_path: Path
) -> None:
    async with (
        Queue("email", url=server_url, prefix=prefix) as email,
        Queue("cleanup", url=server_url, prefix=prefix) as cleanup,
        toril.running("serve") as serving,
    ):
        await serving.line("serving email")
        mail = await email.add(
            {"type": "transactional", "data": {"to": "ada@example.com", "subject": "Hi", "text": "Hello"}}
        )
        sweep = await cleanup.add({"type": "sessions", "data": {}})
        assert (await mail.result(60))["success"] is True
        assert await sweep.result(60) == {
            "success": True,
            "dryRun": False,
            "foundCount": 0,
            "deletedCount": 0,
        }
        assert len(await cleanup.schedules()) == 10
        serving.send(signal.SIGINT)
        assert await serving.end() == 0
    assert len(list((tmp_path / "home/outbox").glob("*.eml"))) == 1
    assert not [line for line in serving.lines if "Traceback" in line]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--concurrency", "email"], "is not QUEUE=N"),
        (["--concurrency", "email=0"], "is not QUEUE=N"),
        (["--only", "emial"], "did you mean 'email'"),
        (["--skip", "emial"], "did you mean 'email'"),
        (["--processes", "emial=2", "--only", "emial", "--no-web"], "did you mean 'email'"),
        (["--no-web", "--no-workers"], "leave nothing"),
    ],
)
async def test_wrong_options_are_refused(toril: Toril, arguments: list[str], says: str) -> None:
    done = await toril("serve", *arguments)
    assert done.code == 2
    assert says in done.err


async def test_real_mail_needs_a_sender(toril: Toril) -> None:
    done = await toril("serve", SMTP_URL="smtp://localhost:2525")
    assert done.code == 2
    assert "FROM_EMAIL" in done.err


async def test_http_is_served_beside_the_queues_and_ends_with_them(toril: Toril) -> None:
    async with toril.running("serve", "--port", "0") as serving:
        url = (await serving.line("HTTP on ")).removeprefix("HTTP on ")
        told = await serving.line("First administrator")
        await serving.line("Ctrl-C")
        async with httpx.AsyncClient(base_url=url) as client:
            ready = await client.get("/health/ready")
            assert ready.status_code == 200, ready.text
            found = re.search(r"First administrator: (\S+), password (\S+) ", told)
            assert found is not None
            signed_in = await client.post(
                "/api/auth/login",
                json={"email": found[1], "password": found[2]},
                headers={"X-Secret": "s3cr3t"},
            )
            assert signed_in.json()["data"]["user"]["role"] == "admin"
            serving.send(signal.SIGTERM)
            assert await serving.end() == 0
    log = "\n".join(serving.lines)
    assert "path=/api/auth/login" in log
    assert "status=200" in log
    assert log.count(found[2]) == 1
    for secret in (
        signed_in.json()["data"]["accessToken"],
        signed_in.json()["data"]["refreshToken"],
        "s3cr3t",
        "Traceback",
    ):
        assert secret not in log


async def test_answers_and_jobs_do_not_share_a_process(toril: Toril) -> None:
    async with toril.running("serve", "--port", "0") as serving:
        assert "processes=2" in await serving.line("supervisor_started")
        serving.send(signal.SIGTERM)
        await serving.end()


async def test_the_first_administrator_is_made_once(toril: Toril) -> None:
    for starts in range(2):
        async with toril.running("serve", "--no-workers") as serving:
            await serving.line("Ctrl-C")
            assert any("First administrator" in line for line in serving.lines) == (starts == 0)
            serving.send(signal.SIGTERM)
            assert await serving.end() == 0


async def test_a_port_that_is_taken_is_told_at_once(toril: Toril) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        for options in (["--port", port], ["--port", port, "--processes", "2"]):
            done = await toril("serve", *options)
            assert done.code == 1
            assert f"port {port} of 127.0.0.1 is in use" in done.err
            assert "--port" in done.err
    done = await toril("serve", TORIL_HOST="192.0.2.1")  # kept for documentation (RFC 5737), so nobody's
    assert done.code == 1
    assert "cannot listen" in done.err


async def test_queues_are_worked_without_http_and_http_served_without_queues(toril: Toril) -> None:
    async with toril.running("serve", "--no-web") as workers, toril.running("serve", "--no-workers") as web:
        await workers.line("Ctrl-C")
        await web.line("Ctrl-C")
        assert not any("HTTP on" in line for line in workers.lines)
        assert not any("serving" in line for line in web.lines)
        url = next(line for line in web.lines if "HTTP on" in line).removeprefix("HTTP on ")
        async with httpx.AsyncClient(base_url=url) as client:
            ready = await client.get("/health/ready")
            assert ready.status_code == 200, ready.text
            workers.send(signal.SIGINT)
            assert await workers.end() == 0

            async def unready() -> bool:
                return (await client.get("/health/ready")).status_code == 503

            await until(unready)  # an answer is kept for a second
            checks = (await client.get("/health/ready")).json()["checks"]
            assert checks["workers"]["status"] == "unavailable"
            assert checks["queues"]["status"] == checks["database"]["status"] == "ok"
        web.send(signal.SIGINT)
        assert await web.end() == 0


async def test_with_several_processes_http_has_one_of_its_own(toril: Toril) -> None:
    async with toril.running("serve", "--processes", "2", "--only", "cleanup") as serving:
        await serving.lines_with("Ctrl-C", 3)
        url = next(line for line in serving.lines if "HTTP on" in line).removeprefix("HTTP on ")
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/health/live")).status_code == 200
        assert sum("serving cleanup" in line for line in serving.lines) == 2
        serving.send(signal.SIGTERM)
        assert await serving.end() == 0


async def test_a_queue_may_have_processes_of_its_own(toril: Toril) -> None:
    options = ("--processes", "pdf=2", "--processes", "1", "--no-web", "--skip", "sync")
    async with toril.running("serve", *options) as serving:
        await serving.lines_with("Ctrl-C", 3)
        served = sorted(line for line in serving.lines if line.startswith("serving "))
        assert [line.startswith("serving pdf (") for line in served] == [False, True, True]
        assert "pdf" not in served[0]
        assert "sync" not in served[0]
        assert "cleanup" in served[0]
        serving.send(signal.SIGTERM)
        assert await serving.end() == 0


async def test_a_secret_that_was_made_up_is_warned_of_when_others_can_come(toril: Toril) -> None:
    for given, warned in (({}, True), ({"TORIL_SECRET": "x" * 40}, False)):
        async with toril.running("serve", "--no-workers", "--host", "0.0.0.0", **given) as serving:
            await serving.line("Ctrl-C")
            assert any("secret_was_made_up" in line for line in serving.lines) == warned
            serving.send(signal.SIGTERM)
            assert await serving.end() == 0


@pytest.mark.parametrize(("trusted", "address"), [("127.0.0.1", "192.0.2.7"), ("10.0.0.0/8", "127.0.0.1")])
async def test_only_a_trusted_proxy_says_where_a_request_comes_from(
    toril: Toril, trusted: str, address: str
) -> None:
    async with toril.running("serve", "--no-workers", TORIL_TRUSTED_PROXIES=trusted) as serving:
        url = (await serving.line("HTTP on ")).removeprefix("HTTP on ")
        async with httpx.AsyncClient(base_url=url, headers={"X-Forwarded-For": "192.0.2.7"}) as client:
            await client.post("/api/auth/login", json={"email": "x@y.z", "password": "wrong"})
        assert f"address={address}" in await serving.line("sign_in_failed")
        serving.send(signal.SIGTERM)
        assert await serving.end() == 0
