"""Who asked for a job, remembered, so that the database is not asked for each of its events."""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from typing import Final

from toril.db.repositories.job_owners import JobOwners
from toril.db.session import Database

#: Queue and id of a job.
JobKey = tuple[str, str]

#: Seconds for which a job that nobody asked for is taken for one.
_NOBODYS_FOR: Final = 60.0

_MOST: Final = 20_000
_AT_ONCE: Final = 500  #: ids in one question to the database


class KnownOwners:
    """Remembers the owners of the jobs that were asked about last."""

    def __init__(self, database: Database, *, most: int = _MOST, nobodys_for: float = _NOBODYS_FOR) -> None:
        self._database, self._most, self._nobodys_for = database, most, nobodys_for
        self._users: OrderedDict[JobKey, str] = OrderedDict()
        self._nobodys: OrderedDict[JobKey, float] = OrderedDict()

    def is_nobodys(self, job: JobKey) -> bool:
        """Whether it is known that nobody asked for it."""
        until = self._nobodys.get(job)
        if until is not None and until <= time.monotonic():
            del self._nobodys[job]
            return False
        return until is not None

    def note_nobodys(self, job: JobKey) -> None:
        """Nobody has asked for it, for all we know."""
        self._nobodys[job] = time.monotonic() + self._nobodys_for
        if len(self._nobodys) > self._most:
            self._nobodys.popitem(last=False)

    async def find(self, jobs: Iterable[JobKey]) -> dict[JobKey, str]:
        """The users who asked for these jobs; of those that nobody did, nothing.

        Raises:
            DatabaseUnavailableError: some are not known yet, and cannot be looked up.
        """
        found: dict[JobKey, str] = {}
        unknown: defaultdict[str, list[str]] = defaultdict(list)
        for queue, job_id in jobs:
            if (user_id := self._users.get((queue, job_id))) is not None:
                self._users.move_to_end((queue, job_id))
                found[queue, job_id] = user_id
            else:
                unknown[queue].append(job_id)
        if unknown:
            found.update(await self._look_up(unknown))
        return found

    async def _look_up(self, unknown: dict[str, list[str]]) -> dict[JobKey, str]:
        found: dict[JobKey, str] = {}
        async with self._database.reading() as session:
            owners = JobOwners(session)
            for queue, ids in unknown.items():
                for at in range(0, len(ids), _AT_ONCE):
                    users = await owners.users_of(queue, ids[at : at + _AT_ONCE])
                    found.update({(queue, job_id): user_id for job_id, user_id in users.items()})
        self._users.update(found)
        while len(self._users) > self._most:
            self._users.popitem(last=False)
        return found
