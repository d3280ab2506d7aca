"""Runs scripts over a connection; loads them into the server when it does not know them."""

from __future__ import annotations

import time
from typing import Any

from toril.engine.connection import Connection
from toril.engine.keys import QueueKeys
from toril.engine.link import Argument, ConnectionLostError, ReplyError
from toril.engine.requests import Requests
from toril.engine.scripts.loader import load
from toril.errors import QueueStateError, QueueUnavailableError, ServerRefusedError

#: Seconds a call goes on trying to reach a lost server, unless told otherwise.
PATIENCE = 10.0

#: Scripts whose caller takes what they did for kept. The others only read, or are a worker's, which does it again.
_PROMISES = frozenset(
    {
        "add_jobs",
        "arm_schedule",
        "cancel_job",
        "clean_list",
        "clean_set",
        "obliterate",
        "pause",
        "promote_jobs",
    }
    | {"remove_jobs", "remove_schedule", "retry_job", "retry_jobs", "retry_letter", "update_data"}
)


#: Scripts that change more, or answer something else, when they are called twice: a call that is sent again is named,
#: and carried out once. Of the others ``add_jobs`` and ``advance`` know by themselves; the rest do no harm.
ONCE = frozenset(
    {
        "add_log",
        "arm_schedule",
        "cancel_job",
        "clean_list",
        "clean_set",
        "end_debounce",
        "obliterate",
        "pause",
        "postpone",
        "promote_jobs",
        "put_back_lost",
    }
    | {"remove_jobs", "remove_schedule", "retry_job", "retry_jobs", "retry_letter", "take_turn"}
    | {"update_data", "update_progress"}
)


class ScriptRunner:
    """Runs the scripts of one queue.

    Args:
        token: who calls; see ``lua/includes/keys.lua``.
        patience: seconds to wait for a lost server.
        requests: who names the calls, if several runners are one caller.
    """

    def __init__(
        self,
        connection: Connection,
        keys: QueueKeys,
        token: str,
        *,
        patience: float = PATIENCE,
        requests: Requests | None = None,
    ) -> None:
        self.connection, self.keys, self.patience = connection, keys, patience
        self._requests = requests or Requests()
        self.call_as(token)

    def call_as(self, token: str) -> None:
        """Call under another token from now on."""
        self.token = token
        self._callers: tuple[Argument, ...] = (f"{self.keys.base}:", token)

    async def run(
        self,
        name: str,
        *arguments: Argument,
        repeat: bool = True,
        patience: float | None = None,
        more_keys: tuple[bytes, ...] = (),
    ) -> Any:
        """Run ``lua/<name>.lua`` and return its reply.

        Args:
            repeat: call again if the connection was lost in between; off for callers who see to that themselves.
            more_keys: of another queue, behind those of this one.

        Raises:
            QueueUnavailableError: no server within ``patience``, or it is out of memory, or its disk is full.
            QueueStateError: keys of the queue hold something else than a queue's.
        """
        wait = self.patience if patience is None else patience
        deadline = time.monotonic() + wait
        call: tuple[Argument, ...] = (
            len(self.keys.script_keys) + len(more_keys),
            *self.keys.script_keys,
            *more_keys,
            *self._callers,
            *arguments,
        )
        if name in ONCE:
            with self._requests.next() as request:
                return await self._run(name, (*call, request), repeat=repeat, deadline=deadline, wait=wait)
        return await self._run(name, call, repeat=repeat, deadline=deadline, wait=wait)

    async def _run(
        self, name: str, call: tuple[Argument, ...], *, repeat: bool, deadline: float, wait: float
    ) -> Any:
        while True:
            reply = await self._call(name, call, repeat=repeat, patience=wait)
            disk = self.connection.server.disk
            if disk is None or name not in _PROMISES or not disk.is_low():
                return reply
            try:
                # No turn of the loop lies between the reply and this: it is the link that brought it.
                if (link := self.connection.live) is None:
                    raise ConnectionLostError(f"the connection to {self.connection.server} was lost")
                await disk.await_written(link, deadline)
            except ConnectionLostError:
                # A server that was killed has forgotten what it had not written.
                if not repeat or time.monotonic() >= deadline:
                    raise
                wait = deadline - time.monotonic()
            else:
                return reply

    async def _call(self, name: str, call: tuple[Argument, ...], *, repeat: bool, patience: float) -> Any:
        script = load(name, once=name in ONCE)
        try:
            try:
                return await self.connection.execute(
                    "EVALSHA", script.sha, *call, patience=patience, repeat=repeat
                )
            except ReplyError as error:
                if error.kind != "NOSCRIPT":
                    raise
            # With its text rather than loaded first: somebody may flush the scripts in between, too.
            return await self.connection.execute(
                "EVAL", script.source, *call, patience=patience, repeat=repeat
            )
        except ReplyError as error:
            raise explain(error, self.keys, name) from error

    async def ask(self, *command: Argument) -> Any:
        """The reply to a plain command that does no harm when it is sent twice.

        Raises:
            QueueUnavailableError, QueueStateError: as ``run``.
        """
        try:
            return await self.connection.execute(*command, patience=self.patience, repeat=True)
        except ReplyError as error:
            raise explain(error, self.keys, " ".join(map(str, command[:2]))) from error


def explain(error: ReplyError, keys: QueueKeys, doing: str) -> Exception:
    """The error to raise for what the server answered."""
    text = str(error)
    if error.kind == "OOM" or "OOM command not allowed" in text:
        return QueueUnavailableError(
            f"queue {keys.name!r}: the server is out of memory ({doing} refused); nothing was stored. "
            "Raise maxmemory, or keep fewer finished jobs"
        )
    if "WRONGTYPE" in text:
        return QueueStateError(
            f"queue {keys.name!r}: a key under {keys.base}: holds another type than a queue's ({doing}: {text}); "
            "another program, or a job with a reserved id, wrote there"
        )
    if error.kind == "CROSSSLOT" or "CROSSSLOT" in text:
        return QueueStateError(
            f"queue {keys.name!r}: its keys lie on different nodes of the cluster; use a prefix in braces such as "
            "'{bull}', or braces in the queue's name"
        )
    if error.kind in ("NOPERM", "NOAUTH"):
        return ServerRefusedError(f"queue {keys.name!r}: the server does not allow {doing}: {text}")
    return QueueStateError(f"queue {keys.name!r}: {doing} failed: {text}")
