"""Who is connected, and until when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from toril.db.repositories.access import ApiKeys, Sessions
from toril.db.session import Database
from toril.db.types import utc_now
from toril.web.auth.principal import Principal
from toril.web.errors import Conflict

#: Connections of one user to one process: open windows, and some that are not yet known to be gone.
MOST_PER_USER: Final = 20


@dataclass(slots=True)
class Client:
    """One connection that has been let in.

    Attributes:
        sid: python-socketio's name for it.
        expires_at: when its token does, in seconds since 1970; infinite for keys, which are looked up.
    """

    sid: str
    user: Principal
    expires_at: float


class Clients:
    """All connections of this process."""

    def __init__(self, *, most_per_user: int = MOST_PER_USER) -> None:
        self._most = most_per_user
        self._clients: dict[str, Client] = {}
        self._of_user: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._clients.values()))

    def get(self, sid: str) -> Client | None:
        """The client of this name."""
        return self._clients.get(sid)

    def add(self, client: Client) -> None:
        """Let one in.

        Raises:
            Conflict: its user has as many as may be.
        """
        user_id = client.user.user_id
        if self._of_user[user_id] >= self._most:
            raise Conflict(
                f"you have {self._most} connections already: close other windows first",
                code="too_many_connections",
            )
        self._clients[client.sid] = client
        self._of_user[user_id] += 1

    def remove(self, sid: str) -> None:
        """Forget one; it is no error if it was not there."""
        client = self._clients.pop(sid, None)
        if client is not None:
            self._of_user[client.user.user_id] -= 1
            if not self._of_user[client.user.user_id]:
                del self._of_user[client.user.user_id]

    def next_end(self) -> float:
        """When the first token expires, in seconds since 1970; infinite without any that does."""
        return min((client.expires_at for client in self._clients.values()), default=float("inf"))


async def find_ended(database: Database, clients: list[Client]) -> list[Client]:
    """Those whose sign-in or key is good no more, or whose user was disabled or has moved to another firm.

    Raises:
        DatabaseUnavailableError: nobody can be looked up.
    """
    sessions = {client.user.session_id for client in clients if client.user.session_id}
    keys = {client.user.key_id for client in clients if client.user.key_id}
    async with database.reading() as session:
        now = utc_now()
        firms = {
            **(await Sessions(session).firms_of_good(sessions, now=now) if sessions else {}),
            **(await ApiKeys(session).firms_of_good(keys, now=now) if keys else {}),
        }

    def good(client: Client) -> bool:
        name = client.user.session_id or client.user.key_id or ""
        return name in firms and firms[name] == client.user.firm_id

    return [client for client in clients if not good(client)]
