"""The first look at a server: which one it is, whether the scripts run on it, and whether it keeps jobs."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from toril.engine.link import Link, ReplyError
from toril.errors import ServerVersionError

log = logging.getLogger("toril.connection")

#: Oldest versions whose commands the scripts use (LMOVE, RPOP with a count).
OLDEST_REDIS, OLDEST_VALKEY = (6, 2), (7, 2)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself."""

    version: str = ""  #: such as ``valkey 9.0.1``; empty if it does not tell
    is_cluster: bool = False  #: one node of several


async def check_server(link: Link, server: object) -> ServerFacts:
    """Ask the server on ``link``, which people call ``server``.

    Raises:
        ServerVersionError: it is too old; the link is closed.
    """
    try:
        info = _parse_info(await link.send("INFO"))
    except ReplyError as error:  # an account without INFO: nothing to check with
        log.info("server_not_checked", extra={"server": str(server), "reason": str(error)})
        return ServerFacts()
    fork = "valkey" if "valkey_version" in info else "redis"
    version = f"{fork} {info.get(f'{fork}_version', '0')}"
    oldest = OLDEST_VALKEY if fork == "valkey" else OLDEST_REDIS
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if found < oldest:
        link.close()
        raise ServerVersionError(
            f"{server} is {version}; Toril needs Redis {OLDEST_REDIS[0]}.{OLDEST_REDIS[1]} or Valkey "
            f"{OLDEST_VALKEY[0]}.{OLDEST_VALKEY[1]}, or newer. Upgrade the server, or unset REDIS_URL to use "
            "the embedded one"
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        log.warning(
            "eviction_policy_loses_jobs: maxmemory-policy is %s on %s, so a full server deletes jobs; "
            "set it to noeviction",
            policy,
            server,
            extra={"server": str(server), "maxmemory_policy": policy},
        )
    return ServerFacts(version, info.get("redis_mode", info.get("server_mode")) == "cluster")


def _parse_info(reply: bytes) -> dict[str, str]:
    rows = (row.partition(":") for row in reply.decode(errors="replace").splitlines() if ":" in row)
    return {name: value for name, _, value in rows}
