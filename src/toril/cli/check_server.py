"""The doctor's look at the server: can it be reached, does it keep jobs, and what time does it think it is."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING

from toril.cli.command import PATIENCE
from toril.cli.finding import Finding
from toril.engine.address import parse_address
from toril.engine.codec import to_text
from toril.engine.connection import Connection
from toril.engine.link import ReplyError
from toril.errors import ConfigurationError, OptionError, QueueUnavailableError, TorilError

if TYPE_CHECKING:
    from toril.cli.command import Call

_PINGS = 20
#: Seconds to connect; longer than other commands wait, as a slow server is not one that is away.
_CONNECT_WITHIN = 6.0
#: Milliseconds of a round trip from which on latency is worth a word.
_SLOW_MS = 20.0
#: Seconds of difference between two clocks that are worth a word; less is the network's.
_CLOCKS_S = 1.0
#: Part of maxmemory in use from which on it is worth a word.
_FULL = 0.9


async def check_server(call: Call) -> AsyncIterator[Finding]:
    """Connect and look; ends with the first finding if there is no connection."""
    try:
        connection = call.connection()
    except OptionError as error:
        yield Finding(level="wrong", about="server", text=str(error), hint="check REDIS_URL and --url")
        return
    name = _name(call)
    try:
        try:
            await connection.ready(time.monotonic() + _CONNECT_WITHIN)
        except (QueueUnavailableError, ConfigurationError) as error:
            yield Finding(level="wrong", about="server", text=f"{name}: {error}", hint=_hint(call, error))
            return
        version = connection.server.version or "of unknown version"
        yield Finding(level="ok", about="server", text=f"{name} answers; it is {version}")
        yield await _latency(connection)
        yield await _clocks(connection)
        for finding in _judge(await _info(connection), call.settings.prefix):
            yield finding
    finally:
        await connection.close()
        await connection.server.close()
    yield await _rights(call)


async def _latency(connection: Connection) -> Finding:
    took_ms = []
    for _ in range(_PINGS):
        begun = time.perf_counter()
        await connection.execute("PING", repeat=True, patience=PATIENCE)
        took_ms.append((time.perf_counter() - begun) * 1000)
    middle = statistics.median(took_ms)
    text = f"{middle:.2f} ms for a round trip (median of {_PINGS}; at most {max(took_ms):.2f} ms)"
    if middle < _SLOW_MS:
        return Finding(level="ok", about="latency", text=text)
    return Finding(
        level="warning",
        about="latency",
        text=text,
        hint="run workers near the server: each job costs round trips",
    )


async def _clocks(connection: Connection) -> Finding:
    before = time.time()
    seconds, micros = await connection.execute("TIME", repeat=True, patience=PATIENCE)
    after = time.time()
    ahead = int(seconds) + int(micros) / 1e6 - (before + after) / 2
    return judge_clock("the server's", ahead, off_by=(after - before) / 2)


def judge_clock(whose: str, ahead: float, *, off_by: float) -> Finding:
    """What to say of a clock.

    Args:
        ahead: seconds that it is ahead of this machine's.
        off_by: seconds that the comparison itself can be wrong by: half of the round trip.
    """
    if abs(ahead) - off_by < _CLOCKS_S:
        return Finding(
            level="ok", about="clocks", text=f"{whose} clock and this machine's differ by {abs(ahead):.3f} s"
        )
    where = "ahead of" if ahead > 0 else "behind"
    return Finding(
        level="warning",
        about="clocks",
        text=f"{whose} clock is {abs(ahead):.1f} s {where} this machine's",
        hint="jobs become due by the server's clock; run a time service (NTP) on all machines",
    )


async def _info(connection: Connection) -> dict[str, str]:
    try:
        text = to_text(await connection.execute("INFO", repeat=True, patience=PATIENCE))
    except ReplyError:
        return {}
    return dict(row.split(":", 1) for row in text.splitlines() if ":" in row)


def _judge(info: Mapping[str, str], prefix: str) -> Iterator[Finding]:
    if not info:
        yield Finding(
            level="note",
            about="server",
            text="this user may not see INFO, so the server's settings are unknown",
            hint="let the user run INFO",
        )
        return
    if info.get("role") in ("slave", "replica"):
        yield Finding(
            level="wrong",
            about="role",
            text="it is a replica, which refuses writes",
            hint="use the primary's address",
        )
    yield _persistence(info)
    yield from _memory(info)
    if info.get("cluster_enabled") == "1" and "{" not in prefix:
        yield Finding(
            level="warning",
            about="cluster",
            text=f"it is a node of a cluster, and the prefix {prefix!r} has no braces",
            hint="all keys of a queue must be on one node: use braces, such as TORIL_PREFIX={bull}",
        )


def _persistence(info: Mapping[str, str]) -> Finding:
    about = "persistence"
    for field in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"):
        if info.get(field, "ok") != "ok":
            return Finding(
                level="wrong",
                about=about,
                text=f"the server cannot write to its disk ({field} is {info[field]})",
                hint="see the server's log; is its disk full?",
            )
    if info.get("aof_enabled") == "1":
        return Finding(level="ok", about=about, text="appendonly is on: jobs survive a crash of the server")
    return Finding(
        level="warning",
        about=about,
        text="appendonly is off: a crash of the server loses the jobs since its last snapshot, or all",
        hint="set appendonly yes",
    )


def _memory(info: Mapping[str, str]) -> Iterator[Finding]:
    policy, most = info.get("maxmemory_policy", "noeviction"), int(info.get("maxmemory", "0"))
    used = int(info.get("used_memory", "0"))
    if policy != "noeviction":
        yield Finding(
            level="wrong" if most else "warning",
            about="memory",
            text=f"maxmemory-policy is {policy}, so a full server deletes jobs",
            hint="set maxmemory-policy noeviction",
        )
    elif most and used > most * _FULL:
        yield Finding(
            level="warning",
            about="memory",
            text=f"{used / most:.0%} of maxmemory is in use; a full server takes no more jobs",
            hint="raise maxmemory, or keep fewer finished jobs (removeOnComplete, toril clean)",
        )
    else:
        limit = f" of {most / 1e6:,.0f} MB" if most else ", without a limit"
        yield Finding(level="ok", about="memory", text=f"{used / 1e6:,.1f} MB in use{limit}; noeviction")


async def _rights(call: Call) -> Finding:
    """Whether we may do what a queue does: run scripts, and listen."""
    async with call.queue("toril-doctor") as queue:
        try:
            await asyncio.gather(queue.counts(), queue.subscriber.ready())
        except TorilError as error:
            return Finding(
                level="wrong",
                about="rights",
                text=f"a queue cannot be read: {error}",
                hint="let the user run scripts and subscribe (+@scripting +@pubsub), on all keys of the prefix",
            )
    return Finding(level="ok", about="rights", text="scripts run, and messages can be heard")


def _name(call: Call) -> str:
    url, home = call.settings.redis_url, call.settings.home
    return str(parse_address(url)) if url else f"the embedded server in {home.resolve()}"


def _hint(call: Call, error: TorilError) -> str:
    if call.settings.redis_url is None:
        return "set REDIS_URL to use a server of your own"
    if type(error) is QueueUnavailableError:
        return "is it running, and is REDIS_URL right? Without REDIS_URL the embedded server is used"
    return ""
