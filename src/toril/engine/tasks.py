"""Functions as jobs: ``@queue.task`` and ``@queue.process``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from toril.engine.core import QueueCore
from toril.engine.job import Job
from toril.engine.options import JobOptions
from toril.engine.processors import ANY_NAME, Processor, ProcessorTable
from toril.errors import OptionError

if TYPE_CHECKING:
    from toril.engine.queue import Queue

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class Task(Generic[P, R]):
    """A function that can be called here, or enqueued to be called by a worker.

    The job's name is the function's, its data an object of the arguments by name.
    """

    def __init__(self, queue: Queue, function: Callable[P, Any], name: str, options: dict[str, Any]) -> None:
        self.name, self.function = name, function
        self._queue, self._options = queue, options
        self._signature = inspect.signature(function)
        for parameter in self._signature.parameters.values():
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
                raise OptionError(
                    f"task {name!r}: parameter {parameter} has no name to travel under; "
                    "a task's arguments are stored by name"
                )
        self.__doc__ = function.__doc__
        self.__name__ = name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call the function here and now."""
        return self.function(*args, **kwargs)

    def with_options(self, **options: Any) -> Task[P, R]:
        """The same task with other job options: ``send.with_options(delay=60).enqueue(…)``."""
        return Task(self._queue, self.function, self.name, {**self._options, **options})

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Add a job that calls the function with these arguments.

        Raises:
            OptionError: the arguments do not fit the function, or are not JSON.
        """
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise OptionError(f"task {self.name!r}: {error}") from None
        data = {}
        for name, value in bound.arguments.items():
            if self._signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                data.update(value)
            else:
                data[name] = value
        return cast("Job[R]", await self._queue.add(self.name, data, **self._options))


class QueueTasks(QueueCore):
    """The decorators of a queue, and what they registered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.processors = ProcessorTable()

    @overload
    def task(self, function: Callable[P, Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(
        self, *, name: str | None = None, process: bool = False, concurrency: int = 1, **options: Any
    ) -> Callable[[Callable[P, Any]], Task[P, Any]]: ...
    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        process: bool = False,
        concurrency: int = 1,
        **options: Any,
    ) -> Any:
        """Make a function a task of this queue: ``@queue.task`` or ``@queue.task(attempts=5, …)``.

        Args:
            name: of its jobs; the function's name otherwise.
            process: run it in a child process, which is killed on timeout. Plain functions only.
            concurrency: see ``process``.
            options: job options of each of its jobs.

        Raises:
            OptionError: an unknown or bad option, a name used twice, or a function that cannot be one.
        """

        def register(target: Callable[..., Any]) -> Task[Any, Any]:
            JobOptions.from_dict(options)
            task_name = name or getattr(target, "__name__", None)
            if not task_name:
                raise OptionError("a task needs a name: @queue.task(name=…)")
            task: Task[Any, Any] = Task(cast("Queue", self), target, task_name, options)
            self.processors.add(
                Processor(
                    name=task_name, call=target, spread=True, in_process=process, concurrency=concurrency
                )
            )
            return task

        return register if function is None else register(function)

    def process(
        self, name: str = ANY_NAME, *, concurrency: int = 1, process: bool = False
    ) -> Callable[[F], F]:
        """Register a processor that is given the ``Job``, Bull's way.

        Args:
            name: job name it takes; without it, every job that has no processor of its own.
            concurrency: what it adds to a worker's concurrency. As in Bull this is one pool for all names.
            process: run it in a child process, which is killed on timeout. Plain functions only.
        """

        def register(target: F) -> F:
            self.processors.add(
                Processor(name=name, call=target, concurrency=concurrency, in_process=process)
            )
            return target

        return register
