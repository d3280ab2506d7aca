"""Notifications inside the application: a record once for a job, in the right firm, announced to open windows."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.notification_jobs import FIRM, USER, PlainJob, notification
from tests.support.notification_sockets import socket_server, wait_for_listener, window
from tests.support.records import add_firm, add_user
from tests.support.servers import RedisServer

from toril.db.errors import RecordNotFoundError
from toril.db.models import Notification
from toril.db.repositories.notifications import Notifications
from toril.db.session import Database
from toril.errors import UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.notification import Channels, SocketEvents, notification_queue


async def stored(database: Database, user_id: str = USER) -> list[Notification]:
    async with database.reading() as session:
        return list((await Notifications(session).list(user_id=user_id)).items)


async def test_a_notification_is_stored_with_all_it_has(queue: QueueDefinition, database: Database) -> None:
    job = PlainJob(
        notification("in-app", type="invoice.paid", link="/invoices/1", metadata={"n": 1, "س": "ع"})
    )
    result = await queue.process(job)
    [row] = await stored(database)
    assert result == {"success": True, "userId": USER, "notificationId": row.id, "emitted": False}
    assert (row.title, row.message, row.type, row.link) == (
        "فاتورة",
        "تم السداد",
        "invoice.paid",
        "/invoices/1",
    )
    assert (row.details, row.firm_id, row.read_at) == ({"n": 1, "س": "ع"}, None, None)
    assert (datetime.now(UTC) - row.created_at).total_seconds() < 60
    assert job.progress == [10, 70, 100]


async def test_a_job_that_runs_again_stores_nothing_new(queue: QueueDefinition, database: Database) -> None:
    job = PlainJob(notification("in-app"))
    first, second = await queue.process(job), await queue.process(job)
    assert first == second
    assert len(await stored(database)) == 1
    # The same id again after the queue was emptied is another job.
    third = await queue.process(PlainJob(job.data, timestamp=job.timestamp + 1))
    assert third["notificationId"] != first["notificationId"]
    assert len(await stored(database)) == 2


async def test_a_job_that_runs_twice_at_once_stores_one(queue: QueueDefinition, database: Database) -> None:
    results = await asyncio.gather(*(queue.process(PlainJob(notification("in-app"))) for _ in range(5)))
    assert len({result["notificationId"] for result in results}) == 1
    assert len(await stored(database)) == 1


async def test_a_users_notification_belongs_to_the_users_firm(
    queue: QueueDefinition, database: Database
) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        user = await add_user(session, firm)
    for fields in ({"firmId": firm.id}, {}):
        await queue.process(PlainJob(notification("in-app", userId=user.id, **fields), id=str(len(fields))))
    assert [row.firm_id for row in await stored(database, user.id)] == [firm.id, firm.id]


async def test_another_firms_users_are_not_notified_and_not_told_apart(
    queue: QueueDefinition, database: Database
) -> None:
    async with database.session() as session:
        own, other = await add_firm(session), await add_firm(session)
        stranger = await add_user(session, other)
        operator = await add_user(session, own, firm_id=None)
    texts = set()
    for user_id, firm_id in (
        (stranger.id, own.id),  # another firm's
        (USER, own.id),  # nobody's
        (stranger.id, FIRM),  # a firm there is none of
        (operator.id, own.id),  # of no firm
    ):
        with pytest.raises(UnrecoverableError, match="not found or access denied") as caught:
            await queue.process(PlainJob(notification("in-app", userId=user_id, firmId=firm_id)))
        assert isinstance(caught.value, RecordNotFoundError)
        texts.add(str(caught.value).replace(user_id, "ID"))
        assert await stored(database, user_id) == []
    assert len(texts) == 1


async def test_users_and_firms_of_a_node_application_are_taken_at_its_word(
    queue: QueueDefinition, database: Database
) -> None:
    await queue.process(PlainJob(notification("in-app", userId="auth0|1", firmId=FIRM)))
    [row] = await stored(database, "auth0|1")
    assert row.firm_id == FIRM


@pytest.fixture
async def live(
    channels: Channels, database: Database, server_url: str, prefix: str
) -> AsyncIterator[QueueDefinition]:
    events = SocketEvents(server_url, channel=prefix)
    queue = notification_queue(database=database, channels=replace(channels, live=events))
    yield queue
    await queue.close()
    await queue.close()


async def test_the_users_windows_are_told_and_nobody_elses(
    live: QueueDefinition, database: Database, server_url: str, prefix: str
) -> None:
    async with (
        socket_server(server_url, prefix) as url,
        window(url, USER) as first,
        window(url, USER) as second,
        window(url, "other") as other,
    ):
        await wait_for_listener(server_url, prefix)
        result = await live.process(PlainJob(notification("in-app", link="/cases/1", metadata={"n": 1})))
        event = await first.next_event()
        assert await second.next_event() == event
        [row] = await stored(database)
        assert result == {"success": True, "userId": USER, "notificationId": row.id, "emitted": True}
        moment = event.pop("createdAt")
        assert event == {
            "id": row.id,
            "title": "فاتورة",
            "message": "تم السداد",
            "type": "info",
            "link": "/cases/1",
        }
        assert moment.endswith("Z")
        assert abs(datetime.fromisoformat(moment) - row.created_at).total_seconds() < 0.001
        # What the other window gets first is its own.
        await live.process(PlainJob(notification("in-app", userId="other"), id="18"))
        assert (await other.next_event())["id"] != row.id
        assert first.events.empty()


async def test_another_process_reaches_the_windows(
    database_url: str, database: Database, server_url: str, prefix: str, tmp_path: Path
) -> None:
    async with socket_server(server_url, prefix) as url, window(url, USER) as opened:
        await wait_for_listener(server_url, prefix)
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-m", "tests.support.notification_worker", "once", database_url, server_url,
            prefix, str(tmp_path),
        )  # fmt: skip
        event = await opened.next_event(within_s=60)
        assert await worker.wait() == 0
        [row] = await stored(database)
        assert event["id"] == row.id


async def test_an_event_that_cannot_be_sent_costs_nothing_but_the_event(
    channels: Channels, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("toril.queues.notification.live._PATIENCE", 0.2)
    live = SocketEvents(f"unix://{tmp_path / 'nobody.sock'}")
    queue = notification_queue(database=database, channels=replace(channels, live=live))
    job = PlainJob(notification("in-app"))
    result = await queue.process(job)
    assert result["success"] is True
    assert result["emitted"] is False
    assert len(await stored(database)) == 1
    [row] = job.rows
    assert row.startswith("stored, but the event was not sent")
    await queue.close()


async def test_an_account_that_may_not_publish_costs_the_event_only(
    channels: Channels, database: Database
) -> None:
    with RedisServer(tcp=True) as server:
        with server.client() as admin:
            admin.execute_command("ACL", "SETUSER", "mute", "on", ">secret", "~*", "&*", "+@all", "-publish")
        live = SocketEvents(server.url.replace("//", "//mute:secret@"))
        queue = notification_queue(database=database, channels=replace(channels, live=live))
        job = PlainJob(notification("in-app"))
        assert (await queue.process(job))["emitted"] is False
        assert "does not let us publish on 'socketio'" in job.rows[0]
        assert "secret" not in job.rows[0]
        await queue.close()


async def test_a_server_that_comes_back_is_used_again(
    channels: Channels,
    database: Database,
    start_server: Callable[[str], RedisServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("toril.queues.notification.live._PATIENCE", 0.3)
    with RedisServer() as server:
        live = SocketEvents(server.url)
        queue = notification_queue(database=database, channels=replace(channels, live=live))
        emitted: list[Any] = []
        for number, act in enumerate((None, server.stop, server.start)):
            if act is not None:
                await asyncio.to_thread(act)
            emitted.append((await queue.process(PlainJob(notification("in-app"), id=str(number))))["emitted"])
        assert emitted == [True, False, True]
        await queue.close()
    assert len(await stored(database)) == 3
