"""The type ``bulk-push``: the same Web Push to many users, several at a time, each browser once."""

from __future__ import annotations

from dataclasses import dataclass

from toril.db.session import Database
from toril.queues.base import RunningJob
from toril.queues.notification.payloads import BulkPush
from toril.queues.notification.push import require_keys
from toril.queues.notification.push_run import PushRun
from toril.queues.notification.results import BulkPushResult
from toril.queues.notification.web_push import WebPush


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPushNotifier:
    """Sends the pushes of one job.

    Attributes:
        web_push: None when there are no keys; then jobs fail.
        parallel: messages of one job that are on their way at a time.
    """

    web_push: WebPush | None
    database: Database
    parallel: int = 20

    async def __call__(self, payload: BulkPush, job: RunningJob) -> BulkPushResult:
        """Send one push to many users: to the browser that the job names, or to all that a user registered.

        What has been sent is noted as it goes. When some could not be sent for a passing fault, the job is tried
        again, and then sends to those only; its last attempt counts them as failed.

        Returns:
            ``{"success": …, "total": …, "successCount": …, "failedCount": …, "results": [{"userId": …, "success": …,
            "error"?: …, "expired"?: True, "browsers"?: …}, …]}`` in the order of the users; ``success`` when at least
            one was sent.

        Raises:
            RetryableError: some could not be sent yet.
            NotConfiguredError: there are no keys; or none was sent, and our keys were refused.
        """
        web_push = require_keys(self.web_push)
        await job.update_progress(1)
        run = PushRun(
            web_push=web_push,
            database=self.database,
            message=payload,
            users=payload.users,
            firm_id=payload.firm_id,
            job=job,
        )
        results = await run.send(parallel=self.parallel)
        await job.update_progress(100)
        sent = sum(each["success"] for each in results)
        return {
            "success": sent > 0,
            "total": len(results),
            "successCount": sent,
            "failedCount": len(results) - sent,
            "results": results,
        }
