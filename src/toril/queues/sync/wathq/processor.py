"""The work of a job ``wathq-contract``: look a contract's counterparty up in the commercial register.

Nobody can confirm a private contract by its number. What the register can say is whether the company that the
contract names is there, is active, and has that name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from toril.db.models.contracts import Contract, WathqStatus
from toril.db.repositories.contracts import Contracts
from toril.db.session import Database
from toril.errors import NotConfiguredError, UnrecoverableError
from toril.queues.base import RunningJob
from toril.queues.sync.kept import kept
from toril.queues.sync.payloads import WathqCheck
from toril.queues.sync.wathq.client import NoAnswerError, Wathq
from toril.queues.sync.wathq.names import is_same_name, language_of

_NUMBER: Final = re.compile(r"[0-9]{10}")
_ACTIVE: Final = frozenset(("نشط", "نشطة", "قائم", "قائمة", "active"))
_ACTIVE_ID: Final = 1


class ContractChecker:
    """Checks counterparties in the commercial register.

    Args:
        wathq: None when it is not set up; then jobs fail.
        clock: the present, aware.
    """

    def __init__(
        self,
        database: Database,
        wathq: Wathq | None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database, self._wathq, self._clock = database, wathq, clock

    async def __call__(self, payload: WathqCheck, job: RunningJob) -> dict[str, Any]:
        """Check one contract's counterparty, and keep the answer with the contract.

        Returns:
            ``{"success": True, "contractId", "status", "verified", "crNationalNumber"}``: status is ``verified``,
            ``inactive``, ``not_found`` or ``mismatch``; the number is None when there is none.
        Raises:
            RecordNotFoundError: the firm has no such contract.
            NotConfiguredError: Wathq is not set up, or refuses the key.
            UnrecoverableError: the contract names no number that could be looked up, or Wathq refuses it. A contract
                that was never judged is marked as ``error``.
            RetryableError: no answer now.
        """
        async with self._database.reading() as session:
            contract = await Contracts(session).get(payload.contract_id, firm_id=payload.firm_id)
        wathq = self._require_wathq()
        try:
            number, answer = await self._look_up(wathq, contract, job)
        except NotConfiguredError:
            raise
        except NoAnswerError as error:
            if job.attempts_made == 0:
                raise
            await self._give_up(contract)
            raise UnrecoverableError(f"{error}, twice; most likely it has no match for the number") from error
        except UnrecoverableError:
            await self._give_up(contract)
            raise
        status = judge(answer, contract.counterparty_name)
        await self._store(contract, status, answer)
        await job.update_progress(100)
        return {
            "success": True,
            "contractId": contract.id,
            "status": str(status),
            "verified": status is WathqStatus.VERIFIED,
            "crNationalNumber": number,
        }

    def _require_wathq(self) -> Wathq:
        if self._wathq is None:
            raise NotConfiguredError("the commercial register is asked by Wathq: set WATHQ_API_KEY")
        return self._wathq

    async def _look_up(
        self, wathq: Wathq, contract: Contract, job: RunningJob
    ) -> tuple[str | None, dict[str, Any] | None]:
        number: str | None = (contract.counterparty_registration or "").strip()
        if not number or _NUMBER.fullmatch(number) is None:
            raise UnrecoverableError(
                f"contract {contract.id}: its counterparty has no unified national number or commercial registration "
                "of ten digits"
            )
        await job.update_progress(10)
        if not number.startswith("7"):
            number = await wathq.national_number(number)
        if number is None:
            return None, None
        await job.update_progress(50)
        language = language_of(contract.counterparty_name or "")
        return number, await wathq.registration(
            number, language=language if contract.counterparty_name else "ar"
        )

    async def _store(self, contract: Contract, status: WathqStatus, answer: dict[str, Any] | None) -> None:
        async with self._database.session() as session:
            stored = await Contracts(session).get(contract.id, firm_id=contract.firm_id)
            stored.wathq_status, stored.wathq_checked_at = status, self._clock()
            stored.wathq_answer = kept(answer)

    async def _give_up(self, contract: Contract) -> None:
        """Mark a contract that was never judged; a verdict of before stays."""
        async with self._database.session() as session:
            stored = await Contracts(session).get(contract.id, firm_id=contract.firm_id)
            if stored.wathq_status in (None, WathqStatus.ERROR):
                stored.wathq_status, stored.wathq_checked_at = WathqStatus.ERROR, self._clock()


def judge(answer: dict[str, Any] | None, name: str | None) -> WathqStatus:
    """What the register's answer means for a counterparty with this name.

    Args:
        answer: of ``Wathq.registration``.
        name: without one only the number is judged.
    """
    if answer is None:
        return WathqStatus.NOT_FOUND
    status = answer.get("status")
    status = status if isinstance(status, dict) else {}
    said = str(status.get("name") or "").strip().casefold()
    if said not in _ACTIVE if said else status.get("id") != _ACTIVE_ID:
        return WathqStatus.INACTIVE
    if name and not is_same_name(name, str(answer.get("name") or "")):
        return WathqStatus.MISMATCH
    return WathqStatus.VERIFIED
