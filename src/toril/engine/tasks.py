"""Functions as jobs: ``@queue.task`` and ``@queue.process``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from toril.engine.core import QueueCore
from toril.engine.job import Job
from toril.engine.options import JobOptions, OptionArguments
from toril.engine.processors import ANY_NAME, Processor, ProcessorTable
from toril.errors import OptionError

if TYPE_CHECKING:
    from toril.engine.queue import Queue

P = ParamSpec("P")
R = TypeVar("R")  #: what the job's result is
C = TypeVar("C")  #: what calling the function here gives: an awaitable of R, or R
F = TypeVar("F", bound=Callable[..., Any])


class Task(Generic[P, R, C]):
    """A function that can be called here, or enqueued to be called by a worker.

    The job's name is the function's, its data an object of the arguments by name.
    """

    def __init__(self, queue: Queue, function: Callable[P, C], name: str, options: OptionArguments) -> None:
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
        self.__module__ = function.__module__
        self.__qualname__ = getattr(function, "__qualname__", name)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> C:
        """Call the function here and now."""
        return self.function(*args, **kwargs)

    def __reduce__(self) -> str:
        # A child process is handed the name under which it finds the task, as with a plain function.
        return self.__qualname__

    def with_options(self, **options: Unpack[OptionArguments]) -> Task[P, R, C]:
        """The same task with other job options: ``send.with_options(delay=60).enqueue(…)``."""
        merged: OptionArguments = {**self._options, **options}
        return Task(self._queue, self.function, self.name, merged)

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


class TaskDecorator(Protocol):
    """What ``@queue.task(…)`` gives: keeps the function's types."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> Task[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R, R]: ...


class QueueTasks(QueueCore):
    """The decorators of a queue, and what they registered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.processors = ProcessorTable()

    @overload
    def task(
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> Task[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R, R]: ...
    @overload
    def task(
        self,
        *,
        name: str | None = None,
        process: bool = False,
        concurrency: int = 1,
        **options: Unpack[OptionArguments],
    ) -> TaskDecorator: ...
    # mypy does not match **Any with unpacked options.
    def task(  # type: ignore[misc]
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

        def register(target: Callable[..., Any]) -> Task[Any, Any, Any]:
            JobOptions.from_dict(options)
            task_name = name or getattr(target, "__name__", None)
            if not task_name:
                raise OptionError("a task needs a name: @queue.task(name=…)")
            given = cast("OptionArguments", options)
            task: Task[Any, Any, Any] = Task(cast("Queue", self), target, task_name, given)
            self.processors.add(
                Processor(
                    name=task_name,
                    call=target,
                    child_call=task,
                    spread=True,
                    in_process=process,
                    concurrency=concurrency,
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
