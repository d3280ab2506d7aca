"""A pool of child processes that render documents and can be killed.

They are plain processes spoken to over pipes rather than those of ``multiprocessing``: nothing of the caller's
main module is run again, nothing is unpickled that a document may have had a hand in, and a child gets none of
our secrets in its environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from typing import Any

from toril.errors import ConfigurationError
from toril.queues.pdf.renderers.base import RenderError

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "FONTCONFIG_FILE", "FONTCONFIG_PATH")
_ENDS_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildLimits:
    """What a child may take.

    Attributes:
        slots: children that work at once.
        timeout: seconds for a document.
        memory_mib: of address space, of which an idle child has some 250.
        documents: a child is replaced after so many.
    """

    slots: int = 2
    timeout: float = 60.0
    memory_mib: int = 1024
    documents: int = 100


class ChildPool:
    """Children that are started when needed and kept for the next document; belongs to one event loop."""

    def __init__(self, limits: ChildLimits) -> None:
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.slots)
        self._idle: list[_Child] = []

    async def render(self, request: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
        """The PDF file, and what else the child said.

        A child that is late, dead or no longer waited for is killed, and costs only its own document.

        Raises:
            ConfigurationError: the engine cannot run in a child.
            RenderError: the document could not be rendered, or not within its time and memory.
        """
        limits = self._limits
        memory_bytes = limits.memory_mib * 1024**2
        async with self._slots:
            child = self._idle.pop() if self._idle else await _Child.start()
            keep = False
            try:
                async with asyncio.timeout(limits.timeout):
                    answer, pdf = await child.ask(
                        request | {"timeout_s": limits.timeout, "memory_bytes": memory_bytes}
                    )
                keep = child.served < limits.documents
            except TimeoutError:
                raise RenderError(
                    f"document {request['title']!r} was not rendered within {limits.timeout:g} s and was stopped"
                ) from None
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError) as error:
                raise RenderError(
                    f"document {request['title']!r} could not be rendered: its process "
                    f"{await child.ending()}; a document that needs more than {limits.memory_mib} MiB of "
                    "memory does that"
                ) from error
            finally:
                if keep:
                    self._idle.append(child)
                else:
                    await child.kill()
        if "configuration" in answer:
            raise ConfigurationError(answer["configuration"])
        if "error" in answer:
            raise RenderError(answer["error"])
        return pdf, answer

    async def close(self) -> None:
        """End the children that wait for work; those at work end with their document."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(child.kill() for child in idle))


class _Child:
    def __init__(self, process: Process) -> None:
        self._process = process
        self.served = 0

    @classmethod
    async def start(cls) -> _Child:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "toril.queues.pdf.renderers.child",
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=environment,
        )
        return cls(process)

    async def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        to, from_ = self._process.stdin, self._process.stdout
        assert to is not None
        assert from_ is not None
        to.write(json.dumps(request).encode() + b"\n")
        await to.drain()
        answer = json.loads(await from_.readuntil(b"\n"))
        pdf = await from_.readexactly(int(answer["size"]))
        self.served += 1
        return answer, pdf

    async def ending(self) -> str:
        """How the process ended, in words; one that has not is killed."""
        try:
            async with asyncio.timeout(_ENDS_WITHIN_S):
                code = await self._process.wait()
        except TimeoutError:
            return "gave no sensible answer"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    async def kill(self) -> None:
        """End the process and let the system forget it, even while we are being cancelled."""
        if self._process.returncode is None:
            try:
                self._process.kill()
            except ProcessLookupError:
                pass
        # communicate() also reads and closes the pipes, which wait() alone would leave open.
        await asyncio.shield(asyncio.ensure_future(self._process.communicate()))
