"""What a queue's jobs are worked with: coroutines, plain functions in threads, or child processes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from toril.errors import OptionError, UnrecoverableError

#: Takes what no other processor is named for.
ANY_NAME = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """One processor.

    Attributes:
        name: the job name it takes, or ``*``.
        call: the function.
        child_call: what a child process finds under the function's name, if that is something else.
        concurrency: what it adds to the concurrency of a worker that is not told one.
        spread: called with the data's members as keyword arguments (a task) instead of with the job.
        in_process: runs in a child process that is killed on timeout.
    """

    name: str
    call: Callable[..., Any]
    child_call: Callable[..., Any] | None = None
    concurrency: int = 1
    spread: bool = False
    in_process: bool = False
    is_async: bool = field(init=False)
    signature: inspect.Signature | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if not callable(self.call):
            raise OptionError(f"the processor for {self.name!r} must be a function, got {self.call!r}")
        if (
            isinstance(self.concurrency, bool)
            or not isinstance(self.concurrency, int)
            or self.concurrency < 0
        ):
            raise OptionError(f"concurrency must be a whole number of at least 0, got {self.concurrency!r}")
        target = self.call if inspect.isroutine(self.call) else type(self.call).__call__
        is_async = inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(self.call)
        if is_async and self.in_process:
            raise OptionError(
                f"the processor for {self.name!r} is async; a child process runs plain functions"
            )
        object.__setattr__(self, "is_async", is_async)
        if self.spread:
            object.__setattr__(self, "signature", inspect.signature(self.call))

    def arguments(self, data: Any) -> dict[str, Any]:
        """A task's arguments by name, from a job's data; none if it is called with the job.

        Raises:
            UnrecoverableError: the data does not fit the function; another attempt would not either.
        """
        if not self.spread:
            return {}
        if not isinstance(data, Mapping):
            raise UnrecoverableError(
                f"task {self.name!r} takes its arguments from an object, got {type(data).__name__}"
            )
        try:
            assert self.signature is not None
            self.signature.bind(**data)
        except TypeError as error:
            raise UnrecoverableError(f"task {self.name!r}: {error}") from None
        return dict(data)


class ProcessorTable:
    """The processors of a queue, by job name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Processor] = {}

    def add(self, processor: Processor) -> None:
        """Register one.

        Raises:
            OptionError: the name has one already.
        """
        if processor.name in self._by_name:
            raise OptionError(f"Cannot define the same handler twice {processor.name}")
        self._by_name[processor.name] = processor

    def find(self, name: str) -> Processor | None:
        """The processor for a job of this name, else the one for any name."""
        return self._by_name.get(name) or self._by_name.get(ANY_NAME)

    def copy(self) -> ProcessorTable:
        """A table of its own with the same processors."""
        table = ProcessorTable()
        table._by_name.update(self._by_name)
        return table

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def concurrency(self) -> int:
        """Sum of all, as Bull adds them up."""
        return sum(processor.concurrency for processor in self._by_name.values())

    @property
    def in_process(self) -> list[Processor]:
        """Those that run in child processes."""
        return [processor for processor in self._by_name.values() if processor.in_process]
