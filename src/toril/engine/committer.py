"""Group commit: outcomes go in, the next jobs come out.

Jobs that end hand their outcome over and are done with. Whenever no call is under way, one ``advance`` records
all that gathered and brings as many jobs as there are free slots. Nothing waits when there is little to do;
under load batches form by themselves. At most half of the slots are filled by one call, so that the server works
on one half while this process runs the other.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from toril.engine.codec import to_text
from toril.engine.gathering import Gathering
from toril.engine.hooks import Hooks
from toril.engine.idle import IdleWait
from toril.engine.letter_box import LetterBox
from toril.engine.link import AnswerLateError, ConnectionLostError, ReplyError
from toril.engine.outcome import Outcome
from toril.engine.scripts.runner import ScriptRunner, explain
from toril.errors import (
    JobLockLost,
    PostponedError,
    QueueStateError,
    QueueUnavailableError,
    TorilError,
    UnrecoverableError,
)

log = logging.getLogger("toril.worker")

_MOST_OUTCOMES = 500
_ERROR_PAUSE = 1.0  # seconds after an error that is not the connection's
_LONGEST_LIMIT = 5.0  # seconds between looks at a limiter: it may have been reset

#: How often an outcome is sent that the server answers with an error; a lock outlives it.
_MOST_REFUSALS = 5

_NOT_STORED = {
    -1: "was removed while it ran",
    -2: "its lock had run out",
    -3: "was not among the active jobs any more",
    -6: "another worker holds it",
}

#: Codes of ``advance``: cancelled while it ended in a way that would have run it again; failed, but the dead letter
#: could not be written; not recorded, and the job is as it was.
_CANCELLED, _NO_LETTER, _UNRECORDED = 2, 3, -9

Taken = list[bytes | None]


class Committer:
    """The one who talks to the server for a worker.

    Args:
        slots: how many jobs may run at once.
        running: gives id and fence of each attempt that runs.
        occupied: tells how many slots are taken; more than run, while threads outlive their jobs.
        start: called with each job taken, as ``advance`` hands it over, and the fence of the attempt.
    """

    def __init__(
        self,
        scripts: ScriptRunner,
        hooks: Hooks,
        idle: IdleWait,
        *,
        slots: int,
        running: Callable[[], Collection[tuple[str, str]]],
        occupied: Callable[[], int],
        start: Callable[[Taken, str], None],
        lock_ms: int,
        limiter: str = "",
        metrics: int = 0,
        letter_box: LetterBox | None = None,
    ) -> None:
        self._scripts, self._hooks, self._idle = scripts, hooks, idle
        self._slots, self._running, self._occupied, self._start = slots, running, occupied, start
        self._step = max(1, (slots + 1) // 2)
        self._fixed = (lock_ms, limiter, metrics)
        self._gathering = Gathering(lock_ms / 4000, self.wake)
        self._letter_box = letter_box
        self._outcomes: list[Outcome] = []
        self._sent: list[Outcome] = []
        self._set_aside: set[Outcome] = set()  # to be sent again after a pause
        self._wake = asyncio.Event()
        self._taking = True
        self._dry = False  # the last call found nothing more to take
        self._limited: asyncio.TimerHandle | None = None  # the limiter lets nothing start until then
        self._busy = False  # took something since the queue was last found empty
        self._closing = False
        self._settled = asyncio.Event()  # not taking, and nothing that was asked for can still arrive
        self._told = b""  # the server's time (ms) of the last answer
        self.taken = 0  #: jobs so far
        self.limit_s = math.inf  #: seconds an outcome may take to be recorded; shortened at the end

    def record(self, outcome: Outcome) -> None:
        """Hand over how a job ended."""
        self._outcomes.append(outcome)
        self._wake.set()

    def wake(self) -> None:
        """Look again: a slot is free, or there is something to take."""
        self._wake.set()

    def take(self, wanted: bool) -> None:
        """Begin or stop taking jobs; outcomes are recorded all the same."""
        self._taking = wanted
        self._dry = False
        if wanted:
            self._settled.set()  # whoever waits for a pause waits no longer
        else:
            self._settled.clear()
        self._wake.set()

    async def settled(self) -> None:
        """After ``take(False)``: wait until no call is under way that could start a job, or jobs are taken again."""
        await self._settled.wait()

    def could_take(self) -> bool:
        """Whether a job that waits should be taken: nobody stopped it, and there is a free slot."""
        return self._taking and self._occupied() < self._slots

    def look_again(self) -> None:
        """Forget that there was nothing more to take."""
        self._dry = False
        self._wake.set()

    @property
    def unrecorded(self) -> bool:
        """Whether there are outcomes that the server has not confirmed."""
        return bool(self._outcomes or self._sent or self._set_aside)

    def finish(self) -> None:
        """Take no more, and let ``run`` return once nothing runs and all is recorded."""
        self.take(False)
        self._closing = True

    async def run(self) -> None:
        """Work until told to finish."""
        try:
            await self._work()
        finally:
            self._settled.set()

    async def _work(self) -> None:
        while True:
            outcomes = self._ripe()
            claims, claimed_at = self._idle.claimed()
            if claims:
                self._dry = False
            want = self._free() if self._taking and not self._dry and self._limited is None else 0
            if outcomes or claims or want > 0:
                self._sent = outcomes
                try:
                    await self._advance(outcomes, claims, want, claimed_at)
                except Exception as error:
                    # A fault of ours must not leave the worker alive and deaf, nor lose what was to be recorded.
                    log.exception("committer_failed", extra={"queue": self._scripts.keys.name})
                    self._report(error)
                    for outcome in outcomes:
                        outcome.resent = True
                    self._outcomes = outcomes + self._outcomes
                    await asyncio.sleep(_ERROR_PAUSE)
                self._sent = []
                continue
            if self._closing and not (self._running() or self._set_aside or self._idle.waiting):
                return
            if (
                self._taking
                and self._dry
                and self._limited is None
                and self._free() > 0
                and not self._idle.waiting
            ):
                self._idle.begin(self.wake, self.look_again)
            if not self._taking and not self._idle.waiting:
                self._settled.set()
            await self._wake.wait()
            self._wake.clear()

    def _ripe(self) -> list[Outcome]:
        """The outcomes to record now.

        While the worker closes, jobs that are handed back wait for each other until nothing runs, and go with one
        call: the server puts those back in the order in which they were taken.
        """
        returned = (
            [outcome for outcome in self._outcomes if outcome.verb == "return"] if self._closing else []
        )
        others = [outcome for outcome in self._outcomes if outcome.verb != "return"] if returned else []
        if returned and not others and (not self._running() or self._gathering.enough(len(returned))):
            self._outcomes = []
            return returned
        if not returned:
            others = self._outcomes
        ripe, self._outcomes = others[:_MOST_OUTCOMES], others[_MOST_OUTCOMES:] + returned
        return ripe

    def _free(self) -> int:
        # The idle wait may bring one at any moment: its place is kept.
        free = self._slots - self._occupied() - (1 if self._idle.waiting else 0)
        return min(free, self._step)

    async def _advance(
        self, outcomes: list[Outcome], claims: list[str], want: int, claimed_at: float = 0.0
    ) -> None:
        while True:
            try:
                reply = await self._call(outcomes, claims, max(want, len(claims)), claimed_at)
                break
            except ConnectionLostError as error:
                if isinstance(error, AnswerLateError) and self.limit_s < math.inf:
                    return self._give_up(outcomes, error)
                for outcome in outcomes:
                    outcome.resent = True
                # What has ended since the call was made is known too: it must not be run again.
                ended = [(outcome.job.id, outcome.job.fence) for outcome in outcomes + self._outcomes]
                await self._reclaim([*ended, *((job_id, "") for job_id in claims)])
                if (want > 0 or claims) and self._told:  # what it started, if the locks have run out since
                    self._idle.abandon(int(self._told))
                want = min(want, max(0, self._free()))
            except QueueUnavailableError as error:
                self._report(error)
                if self.limit_s < math.inf:
                    return self._give_up(outcomes, error)
                await asyncio.sleep(_ERROR_PAUSE)
            except QueueStateError as error:
                self._report(error)
                for outcome in outcomes:
                    outcome.resent = True
                if len(outcomes) > 1:  # one bad outcome must not hold up the others
                    half = len(outcomes) // 2
                    await self._advance(outcomes[:half], [], 0)
                    await self._advance(outcomes[half:], [], 0)
                elif outcomes:
                    self._put_aside(outcomes[0], error)
                if claims:
                    self._idle.abandon()
                await asyncio.sleep(_ERROR_PAUSE)
                return None
        codes, taken, ghosts, _, _, _, now, fence, troubles, limited = reply
        self._told, attempt = now, fence.decode()
        for job in taken:
            self._start(job, attempt)
        reasons = dict(zip(map(to_text, troubles[::2]), map(to_text, troubles[1::2]), strict=True))
        for outcome, code in zip(outcomes, codes, strict=True):
            if code == _UNRECORDED:
                self._put_aside(outcome, self._state_error(reasons.pop(outcome.job.id, "refused")))
            else:
                self._tell(outcome, code, now)
        if ghosts:
            ids = [job_id.decode(errors="replace") for job_id in ghosts]
            log.warning("ghosts_dropped", extra={"queue": self._scripts.keys.name, "job_ids": ids})
        self._dry = want > 0 and len(taken) < want and limited is None
        if limited:
            self._wait_for_limiter(limited)
        if taken:
            self._busy = True
            self.taken += len(taken)
        elif want > 0 and self._busy and not reasons:
            self._busy = False
            self._hooks.emit("drained")
        if reasons:
            await self._not_taken(reasons, claims)
        return None

    async def _not_taken(self, reasons: dict[str, str], claims: list[str]) -> None:
        """Jobs could not be started, or none could be taken at all (no id): say so, and give it some time."""
        for job_id, reason in reasons.items():
            what = f"job {job_id} cannot be started" if job_id else "no jobs can be taken"
            self._report(self._state_error(f"{what}: {reason}"))
        if "" in reasons and claims:
            self._idle.abandon()
        await asyncio.sleep(_ERROR_PAUSE)

    def _state_error(self, reason: str) -> Exception:
        return explain(ReplyError(reason), self._scripts.keys, "advance")

    def _put_aside(self, outcome: Outcome, error: Exception) -> None:
        """Send an outcome again after a pause that holds nobody else up; after some tries give it up."""
        outcome.resent = True
        outcome.refusals += 1
        if outcome.refusals >= _MOST_REFUSALS:
            return self._give_up([outcome], error)
        self._report(error)
        self._set_aside.add(outcome)
        asyncio.get_running_loop().call_later(_ERROR_PAUSE, self._send_again, outcome)
        return None

    def _send_again(self, outcome: Outcome) -> None:
        self._set_aside.discard(outcome)
        self.record(outcome)

    def _wait_for_limiter(self, ms: int) -> None:
        """Take nothing, and ask for nothing, until the limiter's window has ended."""
        if self._limited is not None:
            self._limited.cancel()
        self._limited = asyncio.get_running_loop().call_later(
            min((ms + 1) / 1000, _LONGEST_LIMIT), self._limit_over
        )

    def _limit_over(self) -> None:
        self._limited = None
        self._wake.set()

    async def _call(
        self, outcomes: Sequence[Outcome], claims: Sequence[str], want: int, claimed_at: float
    ) -> Any:
        lock_ms, limiter, metrics = self._fixed
        count: Any = len(claims)
        if claims and (ago_ms := math.ceil((time.monotonic() - claimed_at) * 1000)) >= lock_ms:
            count = f"{count} {ago_ms}"
        rows: list[Any] = [lock_ms, want, limiter, metrics, 1 if self._busy else 0, count, *claims]
        for outcome in outcomes:
            fence = f"-{outcome.job.fence}" if outcome.resent else outcome.job.fence
            rows += (outcome.verb, outcome.job.id, fence, *outcome.arguments)
        keys: tuple[bytes, ...] = ()
        if self._letter_box is not None and any(outcome.verb == "fail" for outcome in outcomes):
            keys = self._letter_box.keys_to_add
            rows.append(self._scripts.keys.name)
        return await self._scripts.run("advance", *rows, repeat=False, patience=self.limit_s, more_keys=keys)

    async def _reclaim(self, ended: list[tuple[str, str]]) -> None:
        """Take up jobs that a lost answer would have brought."""
        while True:
            try:
                known = [part for attempt in (*self._running(), *ended) for part in attempt]
                found = await self._scripts.run("reclaim", *known, patience=self.limit_s)
                break
            except ConnectionLostError:
                continue
            except TorilError as error:
                self._report(error)
                return
        for job in found:
            self._start(job, job[14].decode())

    def _tell(self, outcome: Outcome, code: int, now: bytes) -> None:
        job, hooks = outcome.job, self._hooks
        job.fence = ""  # the attempt is over: what listeners do with the job is anybody's
        if code < 0:
            log.warning(
                "outcome_not_stored: job %s %s; its %s is dropped",
                job.id,
                _NOT_STORED.get(code, f"was refused ({code})"),
                "result" if outcome.error is None else "failure",
                extra={"queue": self._scripts.keys.name, "job_id": job.id, "code": code},
            )
            hooks.emit("lock_lost", job)
        elif code == _CANCELLED:
            job.finished_on = int(now)
            hooks.emit("failed", job, UnrecoverableError("cancelled"))
        elif outcome.verb == "complete":
            job.return_value = outcome.value
            job.finished_on = int(now)
            hooks.emit("completed", job, outcome.value)
        elif outcome.verb != "return":
            final = outcome.verb in ("fail", "cancel")
            if final:
                job.finished_on = int(now)
            if code == _NO_LETTER and self._letter_box is not None:
                self._report(self._letter_box.not_written(job.id))
            if final or not isinstance(outcome.error, PostponedError):  # put off is not failed
                hooks.emit("failed", job, outcome.error)
            if not final:
                hooks.emit("retrying", job, outcome.error, outcome.wait_ms)

    def _give_up(self, outcomes: list[Outcome], error: Exception) -> None:
        for outcome in outcomes:
            log.error(
                "outcome_lost: job %s: how it ended could not be recorded (%s); it will be run again as stalled",
                outcome.job.id,
                error,
                extra={"queue": self._scripts.keys.name, "job_id": outcome.job.id},
            )
            self._hooks.emit("error", JobLockLost(outcome.job.id, str(error)))

    def _report(self, error: Exception) -> None:
        self._hooks.emit("error", error)
