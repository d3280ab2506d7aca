"""Finds the primary server among several that Redis Sentinel watches over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import SplitResult, unquote

from toril.engine.link import Address, Link, ReplyError
from toril.errors import QueueUnavailableError

SCHEMES = ("redis+sentinel", "rediss+sentinel")

_PORT = 26379


def read_sentinel_url(url: SplitResult, query: dict[str, str]) -> dict[str, Any]:
    """The members of ``Address`` that ``redis+sentinel://[user:password@]host:port,…/service/db`` tells.

    Args:
        query: ``sentinel_password`` (and ``sentinel_username``) if the sentinels want others than the servers.

    Raises:
        ValueError: it cannot be read.
    """
    account, _, hosts = url.netloc.rpartition("@")
    username, _, password = account.partition(":")
    service, _, database = url.path.strip("/").partition("/")
    if not service:
        raise ValueError("it names no service, such as mymaster")
    if database and not database.isdigit():
        raise ValueError(f"database {database!r} is not a number")
    return {
        "service": unquote(service),
        "db": int(database or 0),
        "username": unquote(username) or None,
        "password": unquote(password) or None,
        "sentinels": tuple(_read_host(host) for host in hosts.split(",")),
        "sentinel_account": (query.get("sentinel_username"), query.get("sentinel_password")),
    }


async def find_primary(address: Address) -> Address:
    """Ask one sentinel after the other where the primary is now.

    Raises:
        QueueUnavailableError: none of them can be reached, or knows the service.
    """
    reasons = []
    for host, port in address.sentinels:
        username, password = address.sentinel_account
        asked = replace(
            address, host=host, port=port, db=0, username=username, password=password, sentinels=()
        )
        try:
            found = await _ask(asked, address.service)
        except (QueueUnavailableError, ReplyError, TimeoutError) as error:
            reasons.append(f"{host}:{port}: {error or 'no answer in time'}")
            continue
        if found is not None:
            return replace(address, host=found[0].decode(), port=int(found[1]), sentinels=())
        reasons.append(f"{host}:{port} knows no service {address.service!r}")
    raise QueueUnavailableError(f"no sentinel tells where the primary of {address} is ({'; '.join(reasons)})")


async def _ask(sentinel: Address, service: str) -> list[bytes] | None:
    link = await Link.open(sentinel)
    try:
        async with asyncio.timeout(sentinel.connect_timeout):
            answer: list[bytes] | None = await link.send("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
            return answer
    finally:
        link.close()


def _read_host(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(_PORT)
    if not host or not port.isdigit():
        raise ValueError(f"{text!r} is not the host and port of a sentinel")
    return host.strip("[]"), int(port)
