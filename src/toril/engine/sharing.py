"""Whether Node's workers share a queue, told to all who use it."""

from __future__ import annotations

import logging
import os
import time

from toril.engine.connection import Connection
from toril.engine.keys import QueueKeys
from toril.engine.scripts.runner import ScriptRunner
from toril.errors import OptionError

log = logging.getLogger("toril.queue")

#: Seconds for which what was told holds, and after which it is told again.
_HOLDS, _AGAIN = 3600.0, 60.0

#: What stands in the list of workers' heartbeats for "nobody needs the list to be whole".
_NO_NODE = "no-node"

_ON, _OFF = frozenset({"on", "true", "1"}), frozenset({"off", "false", "0"})


class Sharing:
    """Tells everybody on the queue that no worker of Node's is there, or that one may be.

    Args:
        node: False: none is there, so that the overflow of prioritised jobs is used without a living Toril worker;
            True: one may be, whatever others say; None: as ``TORIL_SHARED_WITH_NODE`` says, else as others say.

    Raises:
        OptionError: it is none of these, or the variable cannot be read.
    """

    def __init__(self, connection: Connection, keys: QueueKeys, node: bool | None) -> None:
        self.node = _read(node)
        self._scripts = ScriptRunner(connection, keys, _NO_NODE)
        self._shared = keys.of("toril:shared")
        self._told_until = 0.0
        self._warned = False

    async def before_adds(self) -> None:
        """To be called before jobs are added: the first of them may want the overflow."""
        if self.node is False and time.monotonic() >= self._told_until:
            await self._say_no_node()

    async def tell(self) -> None:
        """Say it again when it is time to. A queue that does not exist is not made by this."""
        if self.node is None or time.monotonic() < self._told_until:
            return
        if self.node:
            await self._say_node()
        elif await self._scripts.ask("EXISTS", self._scripts.keys.of("id")):
            await self._say_no_node()

    async def _say_node(self) -> None:
        await self._scripts.ask("SET", self._shared, 1, "PX", int(_HOLDS * 1000))
        while int(await self._scripts.run("register_worker", 0)) > 0:
            pass
        self._told_until = time.monotonic() + _AGAIN

    async def _say_no_node(self) -> None:
        if not await self._scripts.ask("EXISTS", self._shared):
            await self._scripts.run("register_worker", int(_HOLDS * 1000))
        elif not self._warned:
            self._warned = True
            log.warning(
                "queue_is_shared: another process says node=True, which counts; jobs stay where Node sees them",
                extra={"queue": self._scripts.keys.name},
            )
        self._told_until = time.monotonic() + _AGAIN


def _read(node: bool | None) -> bool | None:
    if node is not None:
        if not isinstance(node, bool):
            raise OptionError(f"node must be True, False or None, got {node!r}")
        return node
    text = os.environ.get("TORIL_SHARED_WITH_NODE", "").strip().lower()
    if text and text not in _ON | _OFF:
        raise OptionError(f"TORIL_SHARED_WITH_NODE must be on or off, got {text!r}")
    return text in _ON if text else None
