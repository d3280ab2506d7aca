"""Mail for an application: by the queue, and at once where the queue cannot take it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Unpack

from toril.engine.options import JobOptions, OptionArguments
from toril.engine.turn import Turn
from toril.errors import OptionError, QueueStateError, QueueUnavailableError
from toril.service import Options, QueueService, named, read_options

log = logging.getLogger("toril.email_service")

_LONGEST_LINE = 30.0  #: seconds that a caller waits for a turn at the provider
_FIGURES = ("total", "successCount", "failedCount", "results")  # of a bulk job


class DirectJob:
    """Stands in for a job when mail is sent at once: nobody reads its progress, and there is one attempt.

    Args:
        turn: makes a place in the line of the queue's workers; None when its server cannot be asked.
    """

    def __init__(
        self,
        job_id: str,
        data: Mapping[str, Any],
        *,
        timestamp: int | None = None,
        turn: Callable[..., Turn] | None = None,
    ) -> None:
        if turn is not None:
            self.turn = partial(turn, longest=_LONGEST_LINE)
        self.id = job_id
        self.timestamp = timestamp
        self.data = dict(data)
        self.attempts_made = 0

    async def update_progress(self, progress: Any) -> None:
        """Nobody reads it."""

    async def log(self, row: str) -> int:
        """Into the application's log."""
        log.info("email_sent_at_once_note", extra={"job_id": self.id, "note": row})
        return 0


class EmailService:
    """Sends mail by the queue ``email`` of a ``QueueService``.

    Every method takes ``use_queue``: false sends at once and returns when the provider has the mail. When the
    queue's server cannot be reached or takes no jobs, the mail is sent at once instead. The id is the same both ways,
    so that a job which reached the server after all is recognised by providers that know idempotency keys (Resend, the
    outbox). Job options are given as to ``QueueService``.

    Args:
        service: must have the queue ``email``.
    Raises:
        OptionError: it has not.
    """

    def __init__(self, service: QueueService) -> None:
        self._service = service
        service.queue("email")
        self._definition = service.definitions["email"]

    async def send_email(
        self,
        message: Mapping[str, Any],
        use_queue: bool = True,
        options: Options = None,
        **given: Unpack[OptionArguments],
    ) -> dict[str, Any]:
        """Send one mail; ``message`` is the data of type ``transactional``.

        Returns:
            ``{"id", "success", "queued"}``: the job's id when queued, else the provider's for the mail. With
            ``"fallback": True`` and ``"reason"`` when the queue was wanted and could not take it.
        Raises:
            PayloadError: the message is not acceptable; nothing was queued or sent.
            RetryableError, UnrecoverableError: sending at once failed.
            QueueUnavailableError, QueueStateError: the queue cannot take it, and it is not to be sent now (``delay``,
                ``repeat``).
            OptionError: a bad option, or ``delay`` or ``repeat`` without the queue.
        """
        return await self._send("transactional", message, use_queue, read_options(options, **given))

    async def send_template(
        self,
        to: str | Sequence[str],
        template_id: str,
        template_data: Mapping[str, Any],
        *,
        subject: str | None = None,
        use_queue: bool = True,
        options: Options = None,
        **given: Unpack[OptionArguments],
    ) -> dict[str, Any]:
        """Send one mail made from a template; returns and raises as ``send_email``."""
        data: dict[str, Any] = {
            "to": to if isinstance(to, str) else list(to),
            "templateId": template_id,
            "templateData": dict(template_data),
        }
        if subject is not None:
            data["subject"] = subject
        return await self._send("template", data, use_queue, read_options(options, **given))

    async def send_bulk_emails(
        self,
        recipients: Sequence[Mapping[str, Any]],
        subject: str,
        html: str,
        *,
        text: str | None = None,
        use_queue: bool = True,
        options: Options = None,
        **given: Unpack[OptionArguments],
    ) -> dict[str, Any]:
        """Send the same mail to many; see the type ``bulk``.

        At once, it takes as long as the provider does. Returns and raises as ``send_email``; when sent at once
        also with ``total``, ``successCount``, ``failedCount`` and ``results``, and the job's id as ``id``.
        """
        data: dict[str, Any] = {
            "recipients": [dict(recipient) for recipient in recipients],
            "subject": subject,
            "html": html,
        }
        if text is not None:
            data["text"] = text
        return await self._send("bulk", data, use_queue, read_options(options, **given))

    async def _send(
        self, job_type: str, message: Mapping[str, Any], use_queue: bool, options: JobOptions
    ) -> dict[str, Any]:
        data = {"type": job_type, "data": dict(message)}
        is_for_now = options.delay is None and options.repeat is None
        given = named("email", data, options)
        if given.timestamp is None and is_for_now:
            # The ledger knows a bulk job by its id and this time.
            given = replace(given, timestamp=datetime.now(UTC))
        if not use_queue:
            if not is_for_now:
                raise OptionError(
                    "mail that is sent at once takes no delay and no repeat; let it use the queue"
                )
            return await self._send_at_once(given, data, self._service.queue("email").actions.turn)
        try:
            added = await self._service.add_job("email", data, given)
        except (QueueUnavailableError, QueueStateError) as error:
            if not is_for_now:
                raise
            log.warning("email_queue_unavailable", extra={"job_id": given.job_id, "reason": str(error)})
            sent = await self._send_at_once(given, data)
            return {**sent, "fallback": True, "reason": str(error)}
        return {"id": added["jobId"], "success": True, "queued": True}

    async def _send_at_once(
        self, given: JobOptions, data: Mapping[str, Any], turn: Callable[..., Turn] | None = None
    ) -> dict[str, Any]:
        job_type, payload = self._definition.check(data)
        stored = given.to_bull()
        job = DirectJob(stored["jobId"], data, timestamp=stored.get("timestamp"), turn=turn)
        result = await job_type.process(payload, job)
        sent: dict[str, Any] = {
            "id": result.get("messageId", job.id),
            "success": result["success"],
            "queued": False,
        }
        return sent | {key: result[key] for key in _FIGURES if key in result}
