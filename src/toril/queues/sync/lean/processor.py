"""The work of a job ``bank-transactions``: read an account page by page, and store each page as it comes.

How far a job is stands in its progress. A retry, or another worker after a crash, goes on with the page that was
stored last: rows may have moved to a later page meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from sqlalchemy import delete, update

from toril.db.models.banking import AccountStatus, BankAccount, BankTransaction
from toril.db.models.firms import Firm
from toril.db.repositories.banking import BankAccounts
from toril.db.session import Database
from toril.db.types import utc_now
from toril.errors import PayloadError, RetryableError, UnrecoverableError
from toril.queues.base import RunningJob
from toril.queues.days import day_in, midnight
from toril.queues.sync.access.firms import FirmAccess
from toril.queues.sync.lean.client import BankFailedError, BankPage, ConsentExpiredError, Lean
from toril.queues.sync.lean.mapping import UnreadableError, is_rejected, read_transaction
from toril.queues.sync.payloads import BankSync

log = logging.getLogger("toril.queues.sync")

_SETTINGS: Final = "LEAN_CLIENT_ID, LEAN_CLIENT_SECRET and LEAN_APP_TOKEN, as banks are read by Lean"
_OVERLAP: Final = timedelta(days=7)  #: banks still change what they reported within it
_FIRST_TIME: Final = timedelta(days=90)
_PENDING_WAITS: Final = (30.0, 120.0, 600.0)  #: seconds, by attempt


@dataclass(slots=True, kw_only=True)
class _Position:
    """How far a job is; its progress.

    Attributes:
        page: the one that was stored last, and the first to be read again.
        before, skipped: transactions on earlier pages, and those of them that could not be kept.
        began: when the first attempt did; what was not seen since then is not there any more.
        results_id: where a page will be found that the bank has not given yet.
    """

    start: str
    end: str
    began: str
    page: int = 0
    pages: int = 0
    before: int = 0
    synced: int = 0
    skipped: int = 0
    results_id: str | None = None

    @classmethod
    def of(cls, job: RunningJob, start: date, end: date) -> Self:
        """Where an earlier attempt for the same days stopped, else the beginning."""
        fresh = cls(start=start.isoformat(), end=end.isoformat(), began=utc_now().isoformat())
        progress = getattr(job, "progress", None)
        if not isinstance(progress, dict) or progress.keys() != asdict(fresh).keys():
            return fresh
        same = (progress["start"], progress["end"]) == (fresh.start, fresh.end)
        return cls(**progress) if same else fresh


class BankReader:
    """Keeps the transactions of firms' accounts.

    Args:
        access: chooses by whose credentials a firm's accounts are read.
        lean: with the installation's; None when it is not set up; then jobs fail.
        clock: the present, aware.
    """

    def __init__(
        self,
        database: Database,
        access: FirmAccess,
        lean: Lean | None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database, self._access = database, access
        self._lean, self._clock = lean, clock

    async def __call__(self, payload: BankSync, job: RunningJob) -> dict[str, Any]:
        """Store all transactions of some days. Those that are there take what the bank says now.

        Without a start it is a week before the last day up to which everything was read, or 90 days ago; without an
        end it is today. A day that has begun where the firm is and not by UTC is read as far as Lean has it.
        Transactions that were not settled and are not reported any more go.

        Returns:
            ``{"success": True, "syncedCount", "totalTransactions", "skippedCount", "startDate", "endDate"}``: new
            ones, all that were read, and those that could not be kept, each with a reason in the job's log.
        Raises:
            RecordNotFoundError: the firm has no such account.
            NotConfiguredError: Lean is not set up, or refuses our credentials.
            ConsentExpiredError: the account must be connected again; it is marked so.
            UnrecoverableError: the account is not connected with Lean, or Lean refuses the question.
            RetryableError: no answer now; the pages that were read stay.
        """
        async with self._database.reading() as session:
            account = await BankAccounts(session).get(payload.bank_account_id, firm_id=payload.firm_id)
            zone = ZoneInfo((await session.get_one(Firm, account.firm_id)).time_zone)
        _require_connected(account)
        start, end = self._days(payload, account, zone)
        async with self._access.use(
            account.firm_id, services=("lean",), shared=self._lean, settings=_SETTINGS
        ) as lean:
            return await self._read(lean, account, job, _Position.of(job, start, end), zone=zone)

    async def _read(
        self, lean: Lean, account: BankAccount, job: RunningJob, at: _Position, *, zone: ZoneInfo
    ) -> dict[str, Any]:
        while True:
            page = await self._page(lean, account, at, job)
            rows, skipped = await _rows(page, job, zone=zone)
            # Clocks go back, and another worker's may be behind: what is stored now was seen since then.
            at.began = min(datetime.fromisoformat(at.began), utc_now()).isoformat()
            async with self._database.session() as session:
                at.synced += await BankAccounts(session).save_transactions(account, rows)
            at.pages, at.results_id = page.pages, None
            await job.update_progress(asdict(at))
            if page.number + 1 >= page.pages or not page.transactions:
                break
            at.page, at.before, at.skipped = (
                at.page + 1,
                at.before + len(page.transactions),
                at.skipped + skipped,
            )
        await self._finish(account, at)
        await job.update_progress(100)
        return {
            "success": True,
            "syncedCount": at.synced,
            "totalTransactions": at.before + len(page.transactions),
            "skippedCount": at.skipped + skipped,
            "startDate": at.start,
            "endDate": at.end,
        }

    def _today(self) -> date:
        """The last day that Lean has anything of. It tells days by UTC: one that has begun only where the firm is would
        count as read before it came."""
        return self._clock().astimezone(UTC).date()

    def _days(self, payload: BankSync, account: BankAccount, zone: ZoneInfo) -> tuple[date, date]:
        today, firms_today = self._today(), self._clock().astimezone(zone).date()

        def begun(given: date | datetime) -> date:
            # The first hours of the firm's today are Lean's yesterday.
            day = day_in(given, zone)
            return today if today < day <= firms_today else day

        end = today if payload.end_date is None else begun(payload.end_date)
        if payload.start_date is not None:
            start = begun(payload.start_date)
        else:
            start = today - _FIRST_TIME if account.synced_until is None else account.synced_until - _OVERLAP
        if start > end:
            raise PayloadError(f"startDate: {start} is after {end}", field="startDate")
        return start, end

    async def _page(self, lean: Lean, account: BankAccount, at: _Position, job: RunningJob) -> BankPage:
        try:
            found = await lean.results(at.results_id, page=at.page) if at.results_id else None
            if found is None:
                found = await lean.transactions(
                    account.provider_account_id or "",
                    account.provider_entity_id or "",
                    start=date.fromisoformat(at.start),
                    end=date.fromisoformat(at.end),
                    page=at.page,
                )
        except ConsentExpiredError:
            await self._mark(account, AccountStatus.REQUIRES_REAUTH)
            log.warning("bank_consent_expired", extra={"firm_id": account.firm_id, "account_id": account.id})
            raise
        except BankFailedError:
            if at.results_id:  # asking for the same result again would bring the same
                at.results_id = None
                await job.update_progress(asdict(at))
            raise
        if found.is_pending:
            at.results_id = found.results_id
            await job.update_progress(asdict(at))
            wait = _PENDING_WAITS[min(job.attempts_made, len(_PENDING_WAITS) - 1)]
            raise RetryableError(
                f"the bank has not answered yet; page {at.page} is asked for again", retry_after=wait
            )
        return found

    async def _finish(self, account: BankAccount, at: _Position) -> None:
        # Lean tells days by UTC: these are the moments that it was asked about.
        first = midnight(date.fromisoformat(at.start), UTC)
        last = midnight(date.fromisoformat(at.end) + timedelta(days=1), UTC)
        async with self._database.session() as session:
            await session.execute(
                delete(BankTransaction).where(
                    BankTransaction.account_id == account.id,
                    BankTransaction.firm_id == account.firm_id,
                    BankTransaction.settled.is_(False),
                    BankTransaction.booked_at >= first,
                    BankTransaction.booked_at < last,
                    BankTransaction.updated_at < datetime.fromisoformat(at.began),
                )
            )
            stored = await BankAccounts(session).get(account.id, firm_id=account.firm_id, lock=True)
            stored.status, stored.synced_at = AccountStatus.CONNECTED, self._clock()
            stored.synced_until = _read_until(stored.synced_until, at, today=self._today())

    async def _mark(self, account: BankAccount, status: AccountStatus) -> None:
        async with self._database.session() as session:
            await session.execute(
                update(BankAccount)
                .where(BankAccount.id == account.id, BankAccount.firm_id == account.firm_id)
                .values(status=status)
            )


def _read_until(known: date | None, at: _Position, *, today: date) -> date | None:
    """The day up to which an account is read without a hole, after one more period was.

    A job without a start goes on from that day: it must not move over days that nobody has read.

    Args:
        known: that day until now; None when there was none, so that the next job begins at the beginning.
    """
    start, end = date.fromisoformat(at.start), min(date.fromisoformat(at.end), today)
    reaches_back = start <= (today - _FIRST_TIME if known is None else known + timedelta(days=1))
    return max(end, known or end) if reaches_back else known


async def _rows(page: BankPage, job: RunningJob, *, zone: ZoneInfo) -> tuple[list[dict[str, Any]], int]:
    """A page's transactions as rows, and how many could not be kept. Those the bank turned down are neither."""
    rows, skipped = [], 0
    for transaction in page.transactions:
        try:
            if not isinstance(transaction, dict):
                raise UnreadableError("it is no object")
            if not is_rejected(transaction):
                rows.append({**read_transaction(transaction, zone=zone), "job_id": job.id[:256]})
        except UnreadableError as error:
            skipped += 1
            name = transaction.get("transaction_id") if isinstance(transaction, dict) else None
            await job.log(f"transaction {str(name)[:64]!r} was not stored: {error}")
    return rows, skipped


def _require_connected(account: BankAccount) -> None:
    if account.provider != "lean" or not account.provider_account_id or not account.provider_entity_id:
        raise UnrecoverableError(f"bank account {account.id} is not connected with Lean")
    if account.status == AccountStatus.DISCONNECTED:
        raise UnrecoverableError(f"bank account {account.id} was disconnected")
