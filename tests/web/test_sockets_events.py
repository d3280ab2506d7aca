"""What clients of the sockets are told: from other processes, of their jobs, over outages, and when all ends."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import socketio  # type: ignore[import-untyped]
from tests.support.cli import Toril
from tests.support.processes import ROOT
from tests.support.queue_api import DATA, SECRET, Api, open_api, served
from tests.support.servers import RedisServer
from tests.support.socket_people import UNCLOSED, Person, add_person, window
from tests.support.socket_site import site_process
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.queues.notification import SocketEvents, user_room
from toril.web.owners import note_owner
from toril.web.sockets import job_news, server
from toril.web.sockets.job_news import add_event
from toril.web.sockets.relay import read_message

pytestmark = UNCLOSED


@pytest.fixture
def server_url(start_server: Callable[[str], RedisServer]) -> str:
    return start_server("valkey").url


@asynccontextmanager
async def site(url: str, prefix: str, home: Path) -> AsyncIterator[tuple[Api, str]]:
    """An application on a port, and its address. Its live events have a channel of their own."""
    async with open_api(url, prefix, home, socketio_channel=prefix) as api, served(api.app) as address:
        yield api, address


async def own(api: Api, person: Person, queue: str, job_id: str) -> None:
    """Note whose job it is, as the endpoints do."""
    user = await api.web.access.authenticate(person.token)
    await note_owner(api.web.installation.database, user, queue, job_id)


@asynccontextmanager
async def working(url: str, prefix: str, work: Any, name: str = "cleanup") -> AsyncIterator[None]:
    """A worker that does ``work`` with the jobs of a queue."""
    async with Queue(name, url=url, prefix=prefix) as queue:
        queue.process()(work)
        worker = Worker(queue)
        running = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            await worker.close()
            await running


async def in_steps(job: Job[Any]) -> Any:
    """Tells its progress a few times."""
    if job.name == "bad":
        raise ValueError("it is broken")
    for percent in (10, 50, 100):
        await job.update_progress(percent)
        await asyncio.sleep(job_news.PAUSE * 2)  # so that each is told
    return {"rows": 3, "text": "تم"}


async def test_the_owner_of_a_job_sees_how_it_gets_on_and_nobody_else(
    server_url: str, prefix: str, tmp_path: Path
) -> None:
    async with site(server_url, prefix, tmp_path) as (api, address):
        owner, other = await add_person(api.web), await add_person(api.web)
        async with window(address, owner.token) as own_window, window(address, other.token) as others:
            nobodys, theirs = (await api.add(2))[:2]
            mine = (await api.add(jobId="mine"))[0]
            await own(api, owner, "cleanup", mine)
            async with working(server_url, prefix, in_steps):
                seen = await own_window.job_until("completed")
            about = {"queueName": "cleanup", "jobId": "mine"}
            assert seen[-1].pop("progress", 100) == 100  # there only if it came at the same time
            result = {"rows": 3, "text": "تم"}
            assert seen[-1] == {**about, "state": "completed", "returnValue": result}
            assert [each["progress"] for each in seen if "progress" in each][:2] == [10, 50]
            assert all(each["jobId"] == "mine" for each in seen)
            assert others.empty("job")
            assert {nobodys, theirs} & {each["jobId"] for each in seen} == set()


async def test_a_job_whose_owner_is_noted_late_is_told_of(
    server_url: str, prefix: str, tmp_path: Path
) -> None:
    async with site(server_url, prefix, tmp_path) as (api, address):
        owner = await add_person(api.web)
        async with window(address, owner.token) as opened, working(server_url, prefix, in_steps):
            [job_id] = await api.add()
            job = await api.service.queue("cleanup").get_job(job_id)
            assert job is not None
            assert (await job.result(60))["rows"] == 3
            assert opened.empty("job")
            await own(api, owner, "cleanup", job_id)
            [event] = await opened.job_until("completed")
            assert (event["jobId"], event["returnValue"]["rows"]) == (job_id, 3)


async def test_a_failure_is_told_with_its_reason(server_url: str, prefix: str, tmp_path: Path) -> None:
    async with site(server_url, prefix, tmp_path) as (api, address):
        owner = await add_person(api.web)
        async with (
            window(address, owner.token) as opened,
            Queue("cleanup", url=server_url, prefix=prefix) as queue,
        ):
            await own(api, owner, "cleanup", "b")
            async with working(server_url, prefix, in_steps):
                await queue.add("bad", DATA, job_id="b")
                event = (await opened.job_until("failed"))[-1]
            assert event["failedReason"] == "it is broken"
            assert "returnValue" not in event


async def test_the_database_is_not_asked_for_each_event(
    server_url: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def many(job: Job[Any]) -> None:
        for step in range(200):
            await job.update_progress(step)
            await asyncio.sleep(0.005)

    async with site(server_url, prefix, tmp_path) as (api, address):
        owner = await add_person(api.web)
        owners = api.web.sockets._jobs._owners
        look_up, asked = owners._look_up, []

        async def counted(unknown: dict[str, list[str]]) -> Any:
            asked.extend(job_id for ids in unknown.values() for job_id in ids)
            return await look_up(unknown)

        monkeypatch.setattr(owners, "_look_up", counted)
        async with window(address, owner.token) as opened:
            await own(api, owner, "cleanup", "mine")
            await api.add(jobId="mine")
            async with working(server_url, prefix, many):
                seen = await opened.job_until("completed")
        assert asked == ["mine"]
        assert 3 <= len(seen) <= 60  # 200 were sent
        assert [each["progress"] for each in seen if "progress" in each] == sorted(
            each["progress"] for each in seen if "progress" in each
        )


async def tell(url: str, channel: str, user_id: str, title: str) -> None:
    events = SocketEvents(url, channel=channel)
    await events.emit("notification", {"title": title}, room=user_room(user_id))
    await events.close()


async def test_two_web_processes_tell_their_own_clients_once(
    server_url: str, prefix: str, tmp_path: Path
) -> None:
    async with site(server_url, prefix, tmp_path) as (api, address):
        owner = await add_person(api.web)
        settings = {"home": str(tmp_path), "redis_url": server_url, "prefix": prefix, "secret": SECRET}
        async with (
            site_process(**settings, socketio_channel=prefix) as second,
            window(address, owner.token) as here,
            window(second, owner.token) as there,
        ):
            await own(api, owner, "cleanup", "mine")
            await api.add(jobId="mine")
            async with working(server_url, prefix, in_steps):
                for opened in (here, there):
                    states = [each["state"] for each in await opened.job_until("completed")]
                    assert states.count("completed") == 1
            for title in ("one", "two"):
                await tell(server_url, prefix, owner.user_id, title)
            for opened in (here, there):
                # What came twice would come before the second.
                assert [(await opened.next("notification"))["title"] for _ in range(2)] == ["one", "two"]
                assert opened.empty("job")
                assert opened.empty("notification")


async def test_a_notification_from_a_worker_in_another_process_arrives(
    server_url: str, prefix: str, tmp_path: Path
) -> None:
    from tests.support.notification_jobs import USER

    from toril.db.models import Role, Session, User
    from toril.db.types import utc_now

    async with site(server_url, prefix, tmp_path) as (api, address):
        async with api.web.installation.database.session() as session:
            session.add(User(id=USER, email="sara@firm.example", name="Sara", role=Role.LAWYER))
            await session.flush()
            begun = Session(user_id=USER, token_hash="h", expires_at=utc_now().replace(year=2999))
            session.add(begun)
            await session.flush()
        token = api.web.access.tokens.issue(USER, begun.id)
        async with window(address, token) as opened:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.support.notification_worker", "once"),
                *(f"sqlite:///{tmp_path / 'toril.db'}", server_url, prefix, str(tmp_path)),
                cwd=ROOT,
            )
            event = await opened.next("notification", within_s=60)
            assert await process.wait() == 0
            assert event["title"] == "فاتورة"
            assert set(event) >= {"id", "title", "message", "type", "link", "createdAt"}


async def test_after_a_crash_of_the_server_events_come_again_and_it_is_told(
    prefix: str, tmp_path: Path
) -> None:
    async with RedisServer("valkey") as valkey, site(valkey.url, prefix, tmp_path) as (api, address):
        owner = await add_person(api.web)
        async with window(address, owner.token) as opened:
            await tell(valkey.url, prefix, owner.user_id, "before")
            assert (await opened.next("notification"))["title"] == "before"
            valkey.kill()
            async with window(address, owner.token) as meanwhile:  # is let in, though nothing can be heard
                assert meanwhile.client.connected
                await asyncio.to_thread(valkey.start)
                missed = set()
                while missed != {"notifications", "jobs"}:
                    missed.add((await opened.next("missed", within_s=60))["of"])
            await tell(valkey.url, prefix, owner.user_id, "after")
            assert (await opened.next("notification"))["title"] == "after"
            await own(api, owner, "cleanup", "mine")
            await api.service.queue("cleanup").subscriber.ready(20)
            async with working(valkey.url, prefix, in_steps):
                await api.service.add_job("cleanup", DATA, {"jobId": "mine"})
                assert (await opened.job_until("completed"))[-1]["returnValue"]["rows"] == 3
            assert opened.client.connected


async def test_with_the_embedded_server_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    async with site(None, "bull", tmp_path) as (api, address):  # type: ignore[arg-type]
        owner = await add_person(api.web)
        async with window(address, owner.token) as opened:
            events = SocketEvents(None, home=tmp_path, channel="bull")
            await events.emit("notification", {"title": "embedded"}, room=user_room(owner.user_id))
            await events.close()
            assert await opened.next("notification") == {"title": "embedded"}


async def test_a_server_with_a_password_and_another_channel(
    prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RedisServer("valkey", ["--requirepass", "secret"]) as valkey:
        url = valkey.url.replace("unix://", "unix://:secret@")
        async with site(url, prefix, tmp_path) as (api, address):
            owner = await add_person(api.web)
            async with window(address, owner.token) as opened:
                await tell(url, f"{prefix}-another", owner.user_id, "elsewhere")
                await tell(url, prefix, owner.user_id, "here")
                assert await opened.next("notification") == {"title": "here"}


async def slow_client(address: str, token: str) -> asyncio.StreamWriter:
    """A client that signs in and reads nothing."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    text = f'40{{"token":"{token}"}}'.encode()
    writer.write(b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text)  # masked with zeros
    await reader.readuntil(b"40{")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    return writer


async def test_a_slow_client_holds_nobody_up_and_has_to_go(
    server_url: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(server_url, prefix, tmp_path) as (api, address):
        owner = await add_person(api.web)
        sockets = api.web.sockets
        monkeypatch.setattr(sockets._transport, "_send_within", 1.0)
        async with window(address, owner.token) as quick:
            writer = await slow_client(address, owner.token)
            assert len(sockets._clients) == 2
            text = "x" * 100_000
            for number in range(server.MOST_WAITING + 200):
                await sockets._emit("notification", {"n": number, "text": text}, user_room(owner.user_id))
                assert (await quick.next("notification"))["n"] == number
            assert len(sockets._clients) == 1

            async def forgotten() -> bool:
                return len(sockets._transport._running) == 1

            await until(forgotten, within_s=60)
            assert quick.client.connected
            writer.transport.abort()


async def test_when_the_application_ends_all_are_disconnected(
    server_url: str, prefix: str, tmp_path: Path
) -> None:
    before = asyncio.all_tasks()
    async with open_api(server_url, prefix, tmp_path) as api, served(api.app) as address:
        owner = await add_person(api.web)
        async with (
            window(address, owner.token) as opened,
            window(address, owner.token, transports=["polling"]) as polling,
        ):
            await api.web.sockets.close()
            await api.web.sockets.close()
            await opened.gone()
            await polling.gone()
            with pytest.raises(socketio.exceptions.ConnectionError):
                async with window(address, owner.token):
                    pass
        assert api.web.sockets._transport._running == set()
    left = {task.get_name() for task in asyncio.all_tasks() - before}
    assert not {name for name in left if name.startswith("toril-")}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no JSON",
        b"[]",
        b"5",
        b"{}",
        b'{"method":"disconnect","sid":"x"}',
        b'{"method":"close_room","room":"user_1"}',
        b'{"method":"emit","event":5,"data":[1],"room":"r"}',
        b'{"method":"emit","event":"e","room":"r"}',
        b'{"method":"emit","event":"e","data":[1],"room":["r"]}',
        b'{"method":"emit","event":"e","data":[1],"room":"r","binary":true}',
        b'{"method":"emit","event":"e","data":[1],"room":"r","namespace":"/admin"}',
    ],
)
def test_a_message_that_is_no_event_for_a_room_is_left(payload: bytes) -> None:
    assert read_message(payload) is None


def test_messages_are_read_as_the_library_writes_them() -> None:
    text = b'{"method":"emit","event":"e","data":%s,"namespace":"/","room":"r","binary":false}'
    assert read_message(text % b'[{"a":1}]') == ("e", {"a": 1}, "r")
    assert read_message(text % b"[1,2]") == ("e", (1, 2), "r")


def test_large_values_are_left_out_and_a_new_attempt_begins_anew() -> None:
    news: dict[str, Any] = {"state": "active", "progress": 5}
    add_event(news, "completed", "x" * 20_000)
    assert news == {"state": "completed", "progress": 5, "valueLeftOut": True}
    add_event(news, "active", None)
    assert news == {"state": "active"}
    add_event(news, "failed", None)
    assert news == {"state": "failed"}


async def test_a_server_that_is_stopped_does_not_wait_for_its_clients(
    server_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = {
        "REDIS_URL": server_url,
        "TORIL_PREFIX": prefix,
        "TORIL_HOME": str(tmp_path / "home"),
        "TORIL_SECRET": SECRET,
    }
    toril = Toril(tmp_path, settings)
    async with open_api(server_url, prefix, tmp_path / "home") as api:
        owner = await add_person(api.web)
        async with toril.running("serve", "--no-workers", "--port", "0") as serving:
            address = (await serving.line("HTTP on ")).split()[-1]
            async with (
                window(address, owner.token) as opened,
                window(address, owner.token, transports=["polling"]) as polling,
            ):
                serving.send(signal.SIGTERM)
                assert await serving.end() == 0
                await opened.gone()
                await polling.gone()
        assert not [line for line in serving.lines if "Traceback" in line or "timeout graceful" in line]
