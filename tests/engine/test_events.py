"""Events over the server's channels: what is heard, and that nothing stays deaf."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.encoding import OptionEncoder
from toril.engine.events import EVENTS, EventStream, EventSubscriber, QueueEvent
from toril.engine.hooks import Hooks
from toril.engine.keys import QueueKeys
from toril.engine.producer import Producer
from toril.engine.queue import Queue
from toril.engine.server import Server
from toril.errors import OptionError, QueueUnavailableError, ServerRefusedError

TOKEN = "6a1d6d5e-0000-4000-8000-000000000001"


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *arguments: Any) -> None:
        self.calls.append(arguments)

    async def until(self, count: int = 1) -> None:
        async def enough() -> bool:
            return len(self.calls) >= count

        await until(enough)


@pytest.fixture
def keys(queue_name: str, prefix: str) -> QueueKeys:
    return QueueKeys(queue_name, prefix)


@pytest.fixture
def hooks(queue_name: str) -> Hooks:
    return Hooks(queue_name)


@pytest.fixture
async def subscriber(server_url: str, keys: QueueKeys, hooks: Hooks) -> AsyncIterator[EventSubscriber]:
    made = EventSubscriber(Server(server_url), keys, TOKEN, hooks)
    yield made
    await made.close()


@pytest.fixture
async def producer(server_url: str, keys: QueueKeys) -> AsyncIterator[Producer]:
    """Of the process whose token the subscriber has."""
    async with Queue(keys.name, prefix=keys.prefix, url=server_url) as queue:
        queue.scripts.call_as(TOKEN)
        yield queue.producer


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that the test may do anything to."""
    with RedisServer() as server:
        yield server


async def add(producer: Producer, job_id: str = "", **options: Any) -> str:
    group, _ = OptionEncoder({}).encode(options)
    _, ids, _ = await producer.submit([(group, "work", b"{}", job_id)])
    return ids[0]


async def test_an_added_job_is_told_to_everybody_and_to_its_own_queue_object(
    subscriber: EventSubscriber, hooks: Hooks, producer: Producer
) -> None:
    everywhere, here = Heard(), Heard()
    subscriber.on("waiting", everywhere)
    hooks.on("waiting", here)
    await subscriber.ready()
    job_id = await add(producer)
    await everywhere.until()
    await here.until()
    assert everywhere.calls == here.calls == [(job_id,)]


async def test_what_another_queue_object_adds_is_not_a_local_event(
    subscriber: EventSubscriber, hooks: Hooks, redis: redis_asyncio.Redis, keys: QueueKeys
) -> None:
    everywhere, here = Heard(), Heard()
    subscriber.on("waiting", everywhere)
    hooks.on("waiting", here)
    await subscriber.ready()
    await redis.publish(f"{keys.base}:waiting@somebody-else", "7")
    await everywhere.until()
    assert everywhere.calls == [("7",)]
    assert here.calls == []


async def test_what_a_worker_of_this_queue_object_promotes_is_a_local_event(
    subscriber: EventSubscriber, hooks: Hooks, redis: redis_asyncio.Redis, keys: QueueKeys
) -> None:
    here = Heard()
    hooks.on("waiting", here)
    subscriber.speak_as("the-worker")
    await subscriber.ready()
    await redis.publish(f"{keys.base}:waiting@the-worker", "7")
    await here.until()
    assert here.calls == [("7",)]


async def test_a_duplicate_is_told_with_the_id_it_collided_with(
    subscriber: EventSubscriber, hooks: Hooks, producer: Producer
) -> None:
    everywhere, here = Heard(), Heard()
    subscriber.on("duplicated", everywhere)
    hooks.on("duplicated", here)
    await subscriber.ready()
    await add(producer, "mine")
    await add(producer, "mine")
    await everywhere.until()
    await here.until()
    assert everywhere.calls == here.calls == [("mine",)]


async def test_a_debounced_add_is_told_with_the_job_that_stays(
    subscriber: EventSubscriber, producer: Producer
) -> None:
    from toril.engine.options import Debounce

    heard = Heard()
    subscriber.on("debounced", heard)
    await subscriber.ready()
    first = await add(producer, debounce=Debounce("once"))
    await add(producer, debounce=Debounce("once"))
    await heard.until()
    assert heard.calls == [(first,)]


async def test_a_delayed_job_tells_when_it_comes_due(
    subscriber: EventSubscriber, producer: Producer, redis: redis_asyncio.Redis, keys: QueueKeys
) -> None:
    due = Heard()
    take_back = subscriber.on_delayed(due)
    await subscriber.ready()
    job_id = await add(producer, delay=60)
    await redis.publish(f"{keys.base}:delayed", "1795485649115.0005")
    await due.until(2)
    stamp = float(await redis.hget(keys.job(job_id), "timestamp"))
    assert due.calls == [(stamp + 60_000,), (1795485649115.0005,)]
    take_back()
    take_back()


async def test_a_wish_to_cancel_arrives_with_the_job_id(
    subscriber: EventSubscriber, redis: redis_asyncio.Redis, keys: QueueKeys
) -> None:
    heard = Heard()
    subscriber.on_cancel(heard)
    await subscriber.ready()
    await redis.publish(f"{keys.base}:toril:cancel", "42")
    await heard.until()
    assert heard.calls == [("42",)]


@pytest.mark.parametrize(
    ("channel", "payload", "arguments"),
    [
        pytest.param("completed", '{"jobId":"1","val":"{\\"ok\\":1}"}', ("1", {"ok": 1}), id="result"),
        pytest.param("completed", '{"jobId": "1", "val": "[1, 2]"}', ("1", [1, 2]), id="with spaces"),
        pytest.param("completed", '{"jobId":"1"}', ("1", None), id="no result"),
        pytest.param("completed", '{"jobId":"1","val":"undefined"}', ("1", None), id="result not JSON"),
        pytest.param("completed", '{"jobId":12,"val":"null"}', ("12", None), id="id as number"),
        pytest.param("failed", '{"jobId":"1","val":"no paper"}', ("1", "no paper"), id="reason"),
        pytest.param("failed", '{"jobId":"1","val":""}', ("1", ""), id="empty reason"),
        pytest.param("failed", '{"jobId":"1"}', ("1", None), id="no reason"),
        pytest.param(
            "failed",
            '{"jobId":"9", "val": "job stalled more than maxStalledCount"}',
            ("9", "job stalled more than maxStalledCount"),
            id="stalled too often",
        ),
        pytest.param("progress", '{"jobId":"1","progress":42}', ("1", 42), id="number"),
        pytest.param("progress", '{"jobId":"1","progress":{"at":[1]}}', ("1", {"at": [1]}), id="object"),
        pytest.param("progress", "1,50", ("1", 50), id="older Bull's number"),
        pytest.param("progress", 'a:b,{"at":1}', ("a:b", {"at": 1}), id="older Bull's object"),
        pytest.param("stalled@", "5", ("5",), id="stalled, without a token"),
        pytest.param("active@x", "5", ("5",), id="active"),
        pytest.param("waiting", "5", ("5",), id="no token at all"),
        pytest.param("drained", "", (), id="drained"),
        pytest.param("paused", "paused", (), id="paused"),
        pytest.param("resumed", "resumed", (), id="resumed"),
    ],
)
async def test_messages_are_read_in_every_form_in_use(
    subscriber: EventSubscriber,
    redis: redis_asyncio.Redis,
    keys: QueueKeys,
    channel: str,
    payload: str,
    arguments: tuple[Any, ...],
) -> None:
    heard = Heard()
    subscriber.on(channel.partition("@")[0], heard)
    await subscriber.ready()
    await redis.publish(f"{keys.base}:{channel}", payload)
    await heard.until()
    assert heard.calls == [arguments]


@pytest.mark.parametrize(
    ("channel", "payload"),
    [
        ("completed", "not json"),
        ("completed", "[1]"),
        ("failed", '{"val":"x"}'),
        ("progress", "neither form"),
        ("progress", "1,{"),
        ("delayed", "soon"),
    ],
)
async def test_a_message_that_cannot_be_read_is_logged_and_the_next_is_heard(
    subscriber: EventSubscriber,
    redis: redis_asyncio.Redis,
    keys: QueueKeys,
    caplog: pytest.LogCaptureFixture,
    channel: str,
    payload: str,
) -> None:
    heard = Heard()
    subscriber.on(channel, lambda *_: None)
    subscriber.on("drained", heard)
    await subscriber.ready()
    await redis.publish(f"{keys.base}:{channel}", payload)
    await redis.publish(f"{keys.base}:drained", "")
    await heard.until()
    (record,) = [row for row in caplog.records if row.msg.startswith("event_unreadable")]
    assert record.__dict__["channel"] == f"{keys.base}:{channel}"
    assert payload not in record.getMessage()


async def test_a_neighbour_whose_channels_the_pattern_matches_is_not_heard(
    subscriber: EventSubscriber, redis: redis_asyncio.Redis, keys: QueueKeys
) -> None:
    heard = Heard()
    subscriber.on("waiting", heard)
    await subscriber.ready()
    assert await redis.publish(f"{keys.base}:waiting-room:waiting@x", "1") == 1
    await redis.publish(f"{keys.base}:waiting@x@y", "2")
    await heard.until()
    assert heard.calls == [("2",)]


async def test_nobody_listening_means_no_connection(
    subscriber: EventSubscriber, hooks: Hooks, redis: redis_asyncio.Redis, keys: QueueKeys
) -> None:
    hooks.on("completed", lambda *_: None)
    subscriber.refresh()
    await subscriber.ready()
    assert "toril-subscriber" not in {task.get_name() for task in asyncio.all_tasks()}
    subscriber.on("completed", lambda *_: None)
    await subscriber.ready()
    assert await redis.pubsub_channels(f"{keys.base}:*") == [f"{keys.base}:completed"]


async def test_channels_that_nobody_wants_any_more_are_left(
    server_url: str, keys: QueueKeys, hooks: Hooks, redis: redis_asyncio.Redis
) -> None:
    subscriber = EventSubscriber(Server(server_url), keys, TOKEN, hooks, ping_every=0.02)
    gone, stays = Heard(), Heard()
    subscriber.on("completed", gone)
    subscriber.on("waiting", gone)
    subscriber.on("drained", stays)
    await subscriber.ready()
    subscriber.off("completed", gone)
    subscriber.off("waiting", gone)

    async def left() -> bool:
        channels = await redis.pubsub_channels(f"{keys.base}:*")
        listening = await redis.publish(f"{keys.base}:waiting@x", "1")
        return channels == [f"{keys.base}:drained"] and listening == 0

    await until(left)
    subscriber.on("completed", gone)
    await subscriber.ready()
    await redis.publish(f"{keys.base}:completed", '{"jobId":"1"}')
    await gone.until()
    await subscriber.close()


async def test_nothing_is_lost_between_ready_and_the_first_message(
    server_url: str, keys: QueueKeys, producer: Producer
) -> None:
    for _ in range(20):
        subscriber = EventSubscriber(Server(server_url), keys, TOKEN, Hooks(keys.name))
        heard = Heard()
        subscriber.on("waiting", heard)
        await subscriber.ready()
        job_id = await add(producer)
        await heard.until()
        assert heard.calls == [(job_id,)]
        await subscriber.close()


@pytest.mark.parametrize("name", ["lock-extension-failed", "lock_extension_failed"])
def test_local_events_may_be_spelled_with_hyphens(hooks: Hooks, name: str) -> None:
    heard = Heard()
    hooks.on(name, heard)
    hooks.emit("lock_extension_failed", ["1"], OSError("away"))
    assert len(heard.calls) == 1


async def test_an_unknown_event_is_refused_with_a_hint(subscriber: EventSubscriber) -> None:
    with pytest.raises(OptionError, match=r"no event 'complete'; did you mean 'completed'\?"):
        subscriber.on("complete", print)
    with pytest.raises(OptionError, match=r"no event 'zzz'; events: waiting, active, stalled"):
        subscriber.on("zzz", print)


async def test_a_listener_that_fails_is_logged_and_harms_no_other(
    subscriber: EventSubscriber, redis: redis_asyncio.Redis, keys: QueueKeys, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails_later(job_id: str, value: Any) -> None:
        raise RuntimeError("later")

    def fails(job_id: str, value: Any) -> None:
        raise RuntimeError("at once")

    heard, awaited = Heard(), asyncio.Event()

    async def hears(job_id: str, value: Any) -> None:
        await asyncio.sleep(0)
        awaited.set()

    for listener in (fails, fails_later, hears, heard):
        subscriber.on("completed", listener)
    await subscriber.ready()
    await redis.publish(f"{keys.base}:completed", '{"jobId":"1"}')
    await heard.until()
    await asyncio.wait_for(awaited.wait(), 60)
    assert [row.exc_info[1].args for row in caplog.records if row.exc_info] == [("at once",), ("later",)]


async def test_a_broken_callback_does_not_silence_the_others(
    subscriber: EventSubscriber, redis: redis_asyncio.Redis, keys: QueueKeys, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: object) -> None:
        raise RuntimeError("no")

    heard = Heard()
    subscriber.on_delayed(fails)
    subscriber.on_delayed(heard)
    await subscriber.ready()
    await redis.publish(f"{keys.base}:delayed", "1")
    await heard.until()
    assert [row.msg for row in caplog.records] == ["listener_failed"]


async def test_watchers_of_a_job_learn_how_it_ended(
    subscriber: EventSubscriber, redis: redis_asyncio.Redis, keys: QueueKeys
) -> None:
    async with (
        subscriber.watch("1") as first,
        subscriber.watch("1") as second,
        subscriber.watch("2") as other,
        subscriber.watch("3") as never,
    ):
        await redis.publish(f"{keys.base}:completed", '{"jobId":"1","val":"{\\"a\\": 1}"}')
        await redis.publish(f"{keys.base}:failed", '{"jobId":"2","val":"no"}')
        async with asyncio.timeout(60):
            assert await first == await second == ("completed", '{"a": 1}')
            assert await other == ("failed", "no")
        assert not never.done()
    assert never.cancelled()


async def test_a_watch_ends_with_an_error_when_the_queue_is_closed(
    server_url: str, keys: QueueKeys, hooks: Hooks
) -> None:
    subscriber = EventSubscriber(Server(server_url), keys, TOKEN, hooks)
    async with subscriber.watch("1") as ending:
        await subscriber.close()
        with pytest.raises(QueueUnavailableError, match="was closed meanwhile"):
            await ending
    with pytest.raises(QueueUnavailableError, match="closed"):
        async with subscriber.watch("2"):
            pass


async def test_a_stream_gives_all_events_in_order_until_closed(
    server_url: str, keys: QueueKeys, hooks: Hooks, producer: Producer, redis: redis_asyncio.Redis
) -> None:
    subscriber = EventSubscriber(Server(server_url), keys, TOKEN, hooks)
    stream = subscriber.stream()
    await subscriber.ready()
    job_id = await add(producer)
    await redis.publish(f"{keys.base}:active@x", job_id)
    await redis.publish(f"{keys.base}:progress", json.dumps({"jobId": job_id, "progress": 5}))
    await redis.publish(f"{keys.base}:completed", json.dumps({"jobId": job_id, "val": "7"}))
    await redis.publish(f"{keys.base}:drained", "")
    await redis.publish(f"{keys.base}:delayed", "1.5")
    events = [await asyncio.wait_for(anext(stream), 60) for _ in range(6)]
    assert events == [
        QueueEvent("waiting", job_id),
        QueueEvent("active", job_id),
        QueueEvent("progress", job_id, 5),
        QueueEvent("completed", job_id, 7),
        QueueEvent("drained"),
        QueueEvent("delayed", None, 1.5),
    ]
    rest = asyncio.ensure_future(_read_all(stream))
    await asyncio.sleep(0)
    await subscriber.close()
    assert await asyncio.wait_for(rest, 60) == []


async def _read_all(stream: EventStream) -> list[QueueEvent]:
    return [event async for event in stream]


async def test_a_slow_reader_loses_the_oldest_events_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    stream = EventStream("work", limit=3)
    for number in range(5):
        stream.put(QueueEvent("waiting", str(number)))
    await stream.aclose()
    assert [event.job_id async for event in stream] == ["2", "3", "4"]
    assert stream.dropped == 2
    assert [row.levelno for row in caplog.records] == [logging.WARNING]


async def test_a_stream_nobody_holds_any_more_is_forgotten(
    server_url: str, keys: QueueKeys, hooks: Hooks, redis: redis_asyncio.Redis
) -> None:
    subscriber = EventSubscriber(Server(server_url), keys, TOKEN, hooks, ping_every=0.02)
    stream = subscriber.stream()
    await subscriber.ready()
    assert len(await redis.pubsub_channels(f"{keys.base}:*")) == len(EVENTS) - 5
    del stream
    gc.collect()

    async def left() -> bool:
        return not await redis.pubsub_channels(f"{keys.base}:*")

    await until(left)
    await subscriber.close()


async def test_a_killed_connection_comes_back_and_hears_again(
    subscriber: EventSubscriber, redis: redis_asyncio.Redis, keys: QueueKeys, producer: Producer
) -> None:
    heard, back, due = Heard(), Heard(), Heard()
    subscriber.on("waiting", heard)
    subscriber.on_reconnect(back)
    subscriber.on_delayed(due)
    await subscriber.ready()
    await back.until(1)
    for round_number in range(3):
        await redis.client_kill_filter(_type="pubsub", skipme=True)
        await back.until(round_number + 2)
        await subscriber.ready()
        job_id = await add(producer)
        await heard.until(round_number + 1)
        assert heard.calls[-1] == (job_id,)
    await add(producer, delay=60)
    await due.until()


async def test_a_restarted_server_is_heard_again(
    own_server: RedisServer, keys: QueueKeys, hooks: Hooks
) -> None:
    subscriber = EventSubscriber(Server(own_server.url), keys, TOKEN, hooks)
    heard, back = Heard(), Heard()
    subscriber.on("drained", heard)
    subscriber.on_reconnect(back)
    await subscriber.ready()
    await back.until(1)
    await asyncio.to_thread(own_server.restart, crash=True)
    await back.until(2)
    with own_server.client() as client:
        assert client.publish(f"{keys.base}:drained", "") == 1
    await heard.until()
    await subscriber.close()


async def test_ready_tells_the_truth_while_the_server_is_away(
    own_server: RedisServer, keys: QueueKeys, hooks: Hooks
) -> None:
    subscriber = EventSubscriber(Server(own_server.url), keys, TOKEN, hooks)
    back = Heard()
    subscriber.on("drained", lambda: None)
    subscriber.on_reconnect(back)
    await subscriber.ready()
    await back.until()
    await asyncio.to_thread(own_server.kill)

    async def not_ready() -> bool:
        try:
            await subscriber.ready(patience=0.02)
        except QueueUnavailableError as error:
            return "did not confirm subscriptions within 0.02 s" in str(error)
        return False

    await until(not_ready)
    await asyncio.to_thread(own_server.start)
    await subscriber.ready()
    assert len(back.calls) == 2
    await subscriber.close()


async def test_a_server_that_hangs_is_noticed_and_heard_when_it_goes_on(
    own_server: RedisServer, keys: QueueKeys, hooks: Hooks, caplog: pytest.LogCaptureFixture
) -> None:
    subscriber = EventSubscriber(
        Server(own_server.url), keys, TOKEN, hooks, ping_every=0.05, answer_within=0.2
    )
    heard, back = Heard(), Heard()
    subscriber.on("drained", heard)
    subscriber.on_reconnect(back)
    await subscriber.ready()
    await back.until()
    own_server.freeze()

    async def noticed() -> bool:
        return any(row.msg.startswith("subscriber_silent") for row in caplog.records)

    await until(noticed, within_s=60)
    own_server.thaw()
    with own_server.client() as client:

        async def is_heard() -> bool:
            client.publish(f"{keys.base}:drained", "")
            return bool(heard.calls)

        await until(is_heard)
    assert len(back.calls) == 1, "it answered on the connection of before"
    await subscriber.close()


async def test_silence_of_a_healthy_server_is_no_reason_to_reconnect(
    server_url: str, keys: QueueKeys, hooks: Hooks, redis: redis_asyncio.Redis
) -> None:
    subscriber = EventSubscriber(Server(server_url), keys, TOKEN, hooks, ping_every=0.01, answer_within=2.0)
    back = Heard()
    subscriber.on("drained", lambda: None)
    subscriber.on_reconnect(back)
    await subscriber.ready()
    await back.until()
    before = await redis.info("commandstats")

    async def pinged() -> bool:
        stats = await redis.info("commandstats")
        return int(stats["cmdstat_ping"]["calls"]) >= int(before["cmdstat_ping"]["calls"]) + 2

    await until(pinged)
    assert len(back.calls) == 1
    await subscriber.close()


async def test_a_user_without_the_right_is_told_so_once_and_let_in_later(
    own_server: RedisServer, keys: QueueKeys, hooks: Hooks, caplog: pytest.LogCaptureFixture
) -> None:
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "deaf", "on", ">secret", "+@all", "~*", "resetchannels")
        url = own_server.url.replace("unix://", "unix://deaf:secret@")
        subscriber = EventSubscriber(Server(url), keys, TOKEN, hooks)
        subscriber.on("drained", lambda: None)
        with pytest.raises(ServerRefusedError, match="does not let us subscribe") as caught:
            await subscriber.ready()
        assert "secret" not in str(caught.value)
        with pytest.raises(ServerRefusedError):
            await subscriber.ready()
        assert len([row for row in caplog.records if row.msg.startswith("subscriber_refused")]) == 1
        client.execute_command("ACL", "SETUSER", "deaf", "allchannels")
        await until(lambda: _is_ready(subscriber), within_s=60)
    await subscriber.close()


async def _is_ready(subscriber: EventSubscriber) -> bool:
    try:
        await subscriber.ready(patience=0.1)
    except QueueUnavailableError:
        return False
    return True


def test_listeners_may_be_named_before_there_is_an_event_loop(server_url: str, keys: QueueKeys) -> None:
    subscriber = EventSubscriber(Server(server_url), keys, TOKEN, Hooks(keys.name))
    heard = Heard()
    subscriber.on("drained", heard)

    async def later() -> None:
        await subscriber.ready()
        client = redis_asyncio.from_url(server_url)
        await client.publish(f"{keys.base}:drained", "")
        await heard.until()
        await client.aclose()
        await subscriber.close()

    asyncio.run(later())
    assert heard.calls == [()]
