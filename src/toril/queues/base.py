"""What a ready-made queue is: its job types, their payload models, and how a job is dispatched."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from toril.errors import PayloadError, UnrecoverableError
from toril.queues.problems import did_you_mean, list_problems, refuse_crowds
from toril.queues.redaction import REDACTED, find_redacted, redacted


class RunningJob(Protocol):
    """The part of a job that processors use; the engine's ``Job`` fits, and so does a plain test object."""

    @property
    def id(self) -> str: ...
    @property
    def data(self) -> Any: ...
    @property
    def attempts_made(self) -> int: ...
    async def update_progress(self, progress: Any) -> None: ...
    async def log(self, row: str) -> int: ...


class Payload(BaseModel):
    """Base of payload models: camelCase on the wire, snake_case in Python, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", str_strip_whitespace=True
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_crowds(cls, given: Any) -> Any:
        return refuse_crowds(cls, given) if cls.model_config.get("extra") == "forbid" else given


Processor = Callable[[Any, RunningJob], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobType:
    """One ``type`` of a queue: what its data looks like and what does the work."""

    name: str
    payload: type[Payload]
    process: Processor  #: called with the validated payload and the running job
    summary: str = ""  #: one line for documentation and the dashboard


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDefinition:
    """A ready-made queue.

    Attributes:
        job_options: defaults for its jobs, as Bull stores them (camelCase, milliseconds).
        lock_duration: seconds a worker holds a job between renewals.
        concurrency: jobs one worker process runs at once, unless configured otherwise.
        on_close: gives back what its processors hold open, such as connections; may be called twice.
    """

    name: str
    types: Mapping[str, JobType]
    job_options: Mapping[str, Any] = field(default_factory=dict)
    lock_duration: float = 30.0
    concurrency: int = 5
    on_close: Callable[[], Awaitable[None]] | None = None

    def check(self, data: Any) -> tuple[JobType, Payload]:
        """Find the job type for ``data`` (``{"type": T, "data": D}``) and validate D.

        Raises:
            PayloadError: with the path of the first bad field, and the first problems in the message.
        """
        if not isinstance(data, Mapping):
            raise PayloadError(
                f"queue {self.name!r}: a job's data must be an object with type and data", field="type"
            )
        name = data.get("type")
        job_type = self.types.get(name) if isinstance(name, str) else None
        if job_type is None:
            known = ", ".join(sorted(self.types))
            near = did_you_mean(name, self.types) if isinstance(name, str) else ""
            raise PayloadError(
                f"queue {self.name!r}: unknown type {name!r}{near}; it knows {known}", field="type"
            )
        if (path := find_redacted(self.name, data)) is not None:
            raise PayloadError(
                f"{self.name} job of type {name!r}: {path} is {REDACTED!r}, which is shown instead of what it was; "
                "give the value itself",
                field=path,
            )
        try:
            return job_type, job_type.payload.model_validate(data.get("data", {}))
        except ValidationError as error:
            raise _payload_error(self.name, job_type, error) from error

    async def process(self, job: RunningJob) -> dict[str, Any]:
        """Run one job; what an engine worker is given as its processor.

        Raises:
            UnrecoverableError: the data is not acceptable. A processor that finds that out only later
                raises ``PayloadError`` itself.
        """
        try:
            job_type, payload = self.check(job.data)
            result = dict(await job_type.process(payload, job))
            left = redacted(self.name, job.data)
            if left is not job.data and hasattr(job, "final_data"):
                job.final_data = left
            return result
        except PayloadError as error:
            raise UnrecoverableError(str(error)) from error

    async def on_failed(self, job: RunningJob | None, error: BaseException) -> None:
        """Told of each attempt that failed, also by stalling; a queue that keeps records of its jobs overrides it."""

    async def close(self) -> None:
        """Give back what the processors hold open; call it when the queue's workers are done."""
        if self.on_close is not None:
            await self.on_close()


def _payload_error(queue: str, job_type: JobType, error: ValidationError) -> PayloadError:
    fields = job_type.payload.model_fields
    known = [field.alias or name for name, field in fields.items()]
    problems = [(path or "data", text) for path, text in list_problems(error, known)]
    listed = "; ".join(f"{path}: {text}" for path, text in problems)
    return PayloadError(
        f"{queue} job of type {job_type.name!r} is not acceptable: {listed}", field=problems[0][0]
    )
