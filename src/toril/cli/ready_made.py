"""What ``toril jobs add`` knows of the ready-made queues: their default options, and what data they take."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from toril.cli.command import PATIENCE, Call

if TYPE_CHECKING:
    from toril.engine.queue import Queue
    from toril.queues.base import QueueDefinition

READY_MADE: Final = ("email", "pdf", "notification", "report", "cleanup", "sync")


def prepare(call: Call, name: str, data: Any, options: Mapping[str, Any]) -> tuple[Queue, dict[str, Any]]:
    """The queue with its default options, and a job's options with an id as the service gives it.

    Raises:
        PayloadError: the data do not fit.
        ConfigurationError: an extra is missing, without which the data cannot be checked.
    """
    from toril.engine.options import JobOptions
    from toril.queues.registry import open_queue
    from toril.service import named

    with tempfile.TemporaryDirectory(prefix="toril-") as folder:
        definition = _definition(name, Path(folder))
        definition.check(data)
    given = named(name, data, JobOptions.from_dict(dict(options))).given()
    settings = call.settings
    queue = open_queue(
        definition,
        url=settings.redis_url,
        prefix=settings.prefix,
        home=settings.home,
        patience=PATIENCE,
    )
    return queue, given


def _definition(name: str, folder: Path) -> QueueDefinition:
    """A definition to check data by; what its processors would need lies in ``folder``, and is never opened."""
    from toril.errors import ConfigurationError

    try:
        from toril.db.session import Database
        from toril.queues.storage import LocalFileStore

        database = Database(home=folder)
        if name == "cleanup":
            from toril.queues.cleanup.definition import cleanup_queue
            from toril.queues.cleanup.processors import Cleaner

            return cleanup_queue(
                Cleaner(
                    database, log_folders=(), temp_folders=(), archive_folder=folder, purge_failed_jobs=_purge
                )
            )
        from toril.installation import UNSET_SENDER
        from toril.queues.registry import ready_made_queues

        return ready_made_queues(
            files=LocalFileStore(folder), outbox=folder, from_email=UNSET_SENDER, database=database
        )[name]
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"data for the queue {name!r} are checked with the package {error.name!r}: pip install 'toril[all]', "
            "or add --as-is"
        ) from error


async def _purge(_age: float, _dry: bool) -> dict[str, int]:
    return {}
