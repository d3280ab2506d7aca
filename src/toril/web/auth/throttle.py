"""How often anybody may try a password: counted in the database, so that it holds over processes."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import Final

from toril.db.repositories.access import Attempts
from toril.db.session import Database
from toril.db.types import utc_now
from toril.web.errors import TooManyRequests

#: Attempts in one window, to one account and from one address; a success begins the account's anew.
PER_ACCOUNT: Final = 10
PER_ADDRESS: Final = 60
WINDOW: Final = timedelta(minutes=15)


class Throttle:
    """Counts attempts before the password is looked at, so that many at once get no further than one by one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def attempt(self, account: str, address: str | None) -> None:
        """Count one attempt.

        Args:
            account: whose password is tried, whether or not there is such a user.
            address: where from; None when that is not known.

        Raises:
            TooManyRequests: there were too many; says when there may be more.
        """
        limits = {_key("account", account): PER_ACCOUNT}
        if address is not None:
            limits[_key("address", _network(address))] = PER_ADDRESS
        now = utc_now()
        wait = timedelta(0)
        async with self._database.session() as session:
            for key, limit in sorted(limits.items()):  # in one order, so that two cannot wait for each other
                attempts, since = await Attempts(session).count(key, now=now, window=WINDOW)
                if attempts > limit:
                    wait = max(wait, since + WINDOW - now)
        if wait:
            seconds = wait.total_seconds()
            raise TooManyRequests(
                f"too many attempts to sign in: try again in {seconds:.0f} seconds", retry_after=seconds
            )

    async def succeeded(self, account: str, address: str | None) -> None:
        """Begin anew for this account, and take the attempt from this address back: an office shares one."""
        async with self._database.session() as session:
            await Attempts(session).forget(_key("account", account))
            if address is not None:
                await Attempts(session).take_back(_key("address", _network(address)))


def _key(kind: str, what: str) -> str:
    return hashlib.sha256(f"{kind}:{what.strip().lower()}".encode()).hexdigest()


def _network(address: str) -> str:
    """An address, or for IPv6 the network of 64 bits that one customer has for themselves."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
    return str(found)
