"""Which finished jobs are kept, by Node and by us."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis
from tests.support.interop import WITH_NODE, WITHIN, OpenNode, as_told, working
from tests.support.node import NodeQueue
from tests.support.until import until

from toril.engine.queue import Queue

pytestmark = WITH_NODE


@pytest.mark.parametrize("option", ["removeOnComplete", "removeOnFail"])
@pytest.mark.parametrize(
    ("policy", "survivors"),
    [
        pytest.param(False, 10, id="all"),
        pytest.param(True, 9, id="not this one"),
        pytest.param(3, 3, id="newest"),
        pytest.param({"count": 4}, 4, id="newest of a policy"),
        pytest.param({"age": 7}, 8, id="young"),
        pytest.param({"age": 7, "count": 5}, 5, id="young, but not too many"),
        pytest.param({"age": 3, "count": 5}, 4, id="not too many, but young"),
        pytest.param({"age": 0}, 0, id="of no age"),
    ],
)
async def test_the_same_finished_jobs_survive(
    open_node: OpenNode, redis: Redis, server_url: str, prefix: str, option: str, policy: Any, survivors: int
) -> None:
    outcome = {"do": "fail", "message": "no"} if option == "removeOnFail" else {"do": "return", "value": 1}
    steps = [{"do": "log", "rows": ["row"]}, outcome]
    nodes = await open_node("nodes")
    await nodes.process(steps)
    async with Queue("nodes", url=server_url, prefix=prefix) as queue:
        kept_by_node = await finish_ten(redis, queue, nodes, option, policy)
    nodes = await open_node("ours")
    async with Queue("ours", url=server_url, prefix=prefix) as queue, working(queue, as_told(steps)):
        kept_by_us = await finish_ten(redis, queue, nodes, option, policy)
    assert kept_by_us == kept_by_node
    assert len(kept_by_us) == survivors


async def finish_ten(redis: Redis, queue: Queue, nodes: NodeQueue, option: str, policy: Any) -> list[str]:
    """Nine jobs finish, one each second as their scores tell, then one with a policy; returns those kept."""
    finished = queue.keys.of("failed" if option == "removeOnFail" else "completed")

    async def nine_finished() -> bool:
        return await redis.zcard(finished) == 9

    async def nothing_left() -> bool:
        return await redis.exists(queue.keys.of("wait"), queue.keys.of("active")) == 0

    await nodes.add_bulk([{"data": n} for n in range(9)])
    await until(nine_finished, within_s=WITHIN)
    seconds, micros = await redis.time()
    now = seconds * 1000 + micros // 1000
    await redis.zadd(finished, {str(n): now - 9_500 + n * 1000 for n in range(1, 10)})
    await nodes.add_unnamed({}, **{option: policy})
    await until(nothing_left, within_s=WITHIN)
    ids = await redis.zrange(finished, 0, -1)
    keys = set(await redis.keys(queue.keys.of("*")))
    assert {key for key in keys if key.endswith(":logs")} == set(map(queue.keys.logs, ids))
    assert {key for key in keys if key[-1].isdigit() and ":toril:" not in key} == set(
        map(queue.keys.job, ids)
    )
    return ids
