"""The same job with the same end, worked by Node and by us: what is stored and published must not differ."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.support.interop import WITH_NODE, WITHIN, OpenNode, as_told, working
from tests.support.until import until

from toril.engine.queue import Queue

pytestmark = WITH_NODE

FAIL = {"do": "fail", "message": "no"}
#: A processor of ours without a result returns null, where Node's is undefined: the one difference there is.
NULL = {"do": "return", "value": None}

#: What a job is added with, and the steps of its processor (see ``node/behaviours.js``).
OUTCOMES: dict[str, tuple[dict[str, Any], *tuple[dict[str, Any], ...]]] = {
    "object": ({}, {"do": "return", "value": {"ok": [1, "é"]}}),
    "text": ({}, {"do": "return", "value": 'a "b"'}),
    "number": ({}, {"do": "return", "value": 0}),
    "null": ({}, NULL),
    "failure": ({}, FAIL),
    "failure in unicode": ({}, {"do": "fail", "message": 'رفض "البنك" \\ 🐂\n'}),
    "failure without a message": ({}, {"do": "fail", "message": ""}),
    "attempts": ({"attempts": 3}, FAIL),
    "attempts as text": ({"attempts": "3"}, FAIL),
    "attempts nobody can read": ({"attempts": "abc"}, FAIL),
    "success at last": ({"attempts": 3}, {"do": "failTimes", "times": 2, "message": "no"}, NULL),
    "no backoff": ({"attempts": 2, "backoff": 0}, FAIL),
    "fixed backoff": ({"attempts": 2, "backoff": 50}, FAIL),
    "exponential backoff": ({"attempts": 3, "backoff": {"type": "exponential", "delay": 50}}, FAIL),
    "discarded": ({"attempts": 3}, {"do": "discard", "message": "no"}),
    "two stacks kept": ({"attempts": 4, "stackTraceLimit": 2}, FAIL),
    "prioritised retry": ({"attempts": 2, "priority": 3}, FAIL),
    "lifo retry": ({"attempts": 2, "lifo": True}, FAIL),
    "delayed": ({"delay": 50}, {"do": "return", "value": 1}),
    "delayed and prioritised": ({"delay": 50, "priority": 2}, {"do": "return", "value": 1}),
    "progress": ({}, {"do": "progress", "values": [1, 50.5, "half", {"of": None}]}, NULL),
    "log": ({}, {"do": "log", "rows": ["one", ""]}, NULL),
    "new data": ({}, {"do": "update", "data": {"n": [2]}}, NULL),
    "removed when completed": ({"removeOnComplete": True}, {"do": "return", "value": 1}),
    "none kept": ({"removeOnComplete": 0}, {"do": "return", "value": 1}),
    "a count of none kept": ({"removeOnComplete": {"count": 0}}, {"do": "return", "value": 1}),
    "kept for no time": ({"removeOnComplete": {"age": 0}}, {"do": "return", "value": 1}),
    "removed when failed": ({"removeOnFail": True, "attempts": 2}, FAIL),
    "kept a while when failed": ({"removeOnFail": {"age": 60, "count": 5}}, FAIL),
    "debounced": ({"debounce": {"id": "d"}}, {"do": "return", "value": 1}),
    "debounced for a time": ({"debounce": {"id": "d", "ttl": 60_000}}, FAIL),
}


@pytest.mark.parametrize("case", OUTCOMES)
async def test_outcomes_are_stored_and_published_as_by_node(
    open_node: OpenNode, redis: Redis, server_url: str, prefix: str, case: str
) -> None:
    options, *steps = OUTCOMES[case]
    nodes, ours = await open_node("nodes"), await open_node("ours")
    async with recording(redis, f"{prefix}:nodes:") as told_by_node:
        await nodes.process(steps)
        await nodes.add_unnamed({"n": 1}, **options)
        await until(lambda: settled(redis, f"{prefix}:nodes:", told_by_node), within_s=WITHIN)
    async with (
        recording(redis, f"{prefix}:ours:") as told_by_us,
        Queue("ours", url=server_url, prefix=prefix) as queue,
        working(queue, as_told(steps)),
    ):
        await ours.add_unnamed({"n": 1}, **options)
        await until(lambda: settled(redis, f"{prefix}:ours:", told_by_us), within_s=WITHIN)
    assert in_common(told_by_us) == in_common(told_by_node)
    assert await left_behind(redis, f"{prefix}:ours:") == await left_behind(redis, f"{prefix}:nodes:")


@contextlib.asynccontextmanager
async def recording(redis: Redis, base: str) -> AsyncIterator[list[tuple[str, Any]]]:
    """What is published about a queue, in order: (channel without token, payload), due times left out."""
    told: list[tuple[str, Any]] = []

    async def listen() -> None:
        async for message in pubsub.listen():
            channel, _, token = message["channel"].removeprefix(base).partition("@")
            payload: Any = message["data"]
            if channel in ("completed", "failed", "progress"):
                payload = json.loads(payload)
            elif channel == "delayed":
                payload = float(payload) > 0
            elif channel in ("waiting", "active"):
                payload += "" if token else " without a token"  # Node would tell nobody
            told.append((channel, payload))

    async with redis.pubsub() as pubsub:
        await pubsub.psubscribe(f"{base}*")
        await pubsub.get_message(timeout=WITHIN)  # the confirmation
        reader = asyncio.create_task(listen())
        yield told
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


def in_common(told: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Without what depends on when a worker looked: that the queue was empty, and the next due time again."""
    told = [message for message in told if message[0] != "drained"]
    return [message for at, message in enumerate(told) if message[0] != "delayed" or message != told[at - 1]]


async def settled(redis: Redis, base: str, told: list[tuple[str, Any]]) -> bool:
    """Whether the queue has been found empty after its job."""
    if not told or told[-1][0] != "drained":
        return False
    return await redis.exists(f"{base}wait", f"{base}active", f"{base}delayed") == 0


async def left_behind(redis: Redis, base: str) -> dict[str, Any]:
    """All keys of a queue and what is in them, without times, stacks and what is Toril's own."""
    found: dict[str, Any] = {}
    async for key in redis.scan_iter(f"{base}*", count=1000):
        name = key.removeprefix(base)
        if name == "stalled-check" or name.startswith("toril:"):
            continue
        match await redis.type(key):
            case "hash":
                found[name] = comparable(await redis.hgetall(key))
            case "list":
                found[name] = await redis.lrange(key, 0, -1)
            case "zset":
                found[name] = await redis.zrange(key, 0, -1)
            case "set":
                found[name] = await redis.smembers(key)
            case _:
                found[name] = await redis.get(key), await redis.ttl(key) > 0
    return found


def comparable(fields: Any) -> dict[str, Any]:
    opts = json.loads(fields["opts"])
    stacks = len(json.loads(fields.get("stacktrace", "[]")))
    times = {"timestamp": opts.pop("timestamp") > 0}
    for name in ("timestamp", "processedOn", "finishedOn"):
        if name in fields:
            times[name] = len(fields[name]) == 13
    return {**fields, "opts": opts, "stacktrace": stacks, **times}
