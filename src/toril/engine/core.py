"""What every part of a queue shares: its keys, its connection, its scripts and its listeners."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakSet

from toril.engine.actions import JobActions
from toril.engine.codec import MAX_DATA_BYTES
from toril.engine.connection import Connection
from toril.engine.encoding import OptionEncoder
from toril.engine.events import EventSubscriber
from toril.engine.hooks import Hooks
from toril.engine.keys import QueueKeys
from toril.engine.letter_box import LetterBox
from toril.engine.link import Link
from toril.engine.options import JobOptions
from toril.engine.overflow import OverflowWatch
from toril.engine.producer import Producer
from toril.engine.rate_limit import read_limiter
from toril.engine.scripts.runner import PATIENCE, ScriptRunner
from toril.engine.server import Server
from toril.engine.sharing import Sharing
from toril.errors import OptionError


class QueueCore:
    """The state behind a ``Queue``; its verbs are in the classes built on this one.

    Attributes:
        token: names this object as the sender of events and as a producer.
        letter_box: where jobs that fail for good are copied to, if anywhere.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str | None = None,
        prefix: str = "bull",
        default_job_options: Mapping[str, Any] | JobOptions | None = None,
        limiter: Mapping[str, Any] | None = None,
        dead_letter: str | None = None,
        node: bool | None = None,
        home: Path | None = None,
        patience: float = PATIENCE,
        max_data_bytes: int = MAX_DATA_BYTES,
    ) -> None:
        self.name = name
        self.keys = QueueKeys(name, prefix)
        self.letter_box = None if dead_letter is None else LetterBox(dead_letter, self.keys)
        self.token = str(uuid.uuid4())
        self.server = Server(url, home=home)
        self.connection = Connection(self.server, on_link=self._connected)
        self.scripts = ScriptRunner(self.connection, self.keys, self.token, patience=patience)
        self.hooks = Hooks(name)
        self.max_data_bytes = max_data_bytes
        read_limiter(limiter)
        self.limiter = limiter
        self.encoder = OptionEncoder(_defaults(default_job_options))
        self.sharing = Sharing(self.connection, self.keys, node)
        self.overflow = OverflowWatch(self.scripts, self.sharing)
        self.producer = Producer(self.scripts, self.sharing, self.overflow)
        self.subscriber = EventSubscriber(self.server, self.keys, self.token, self.hooks)
        self.actions = JobActions(self)
        _alive.add(self)

    def start_anew(self) -> None:
        """In a child process after a fork: be somebody else.

        The parent's connections are not ours, and under one token the server would take an add of ours for
        another's that came twice.
        """
        self.token = str(uuid.uuid4())
        self.connection.start_anew()
        self.scripts.call_as(self.token)
        self.producer.start_anew()
        self.overflow.start_anew()
        self.subscriber.start_anew(self.token)

    async def _connected(self, _: Link) -> None:
        """Begin what could not begin before there was an event loop, and a server."""
        await self.overflow.start()
        self.subscriber.refresh()


_alive: WeakSet[QueueCore] = WeakSet()


def _start_anew() -> None:
    for core in tuple(_alive):
        core.start_anew()


os.register_at_fork(after_in_child=_start_anew)


def _defaults(options: Mapping[str, Any] | JobOptions | None) -> dict[str, Any]:
    if options is None:
        return {}
    given = options if isinstance(options, JobOptions) else JobOptions.from_dict(options)
    bull = given.to_bull()
    for name in ("jobId", "repeat", "debounce", "timestamp"):
        if name in bull:
            raise OptionError(f"default_job_options cannot hold {name}: it belongs to one job")
    return bull
