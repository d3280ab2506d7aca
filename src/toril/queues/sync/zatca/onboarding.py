"""How a firm gets its credentials: key and request, compliance certificate, checked samples, production certificate."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime

from toril.db.models.zatca import ZatcaEnvironment
from toril.db.repositories.users import Firms
from toril.db.session import Database
from toril.errors import NotConfiguredError, OptionError, TorilError, UnrecoverableError
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.zatca.certificate import SigningIdentity
from toril.queues.sync.zatca.credentials import CredentialFolder, ZatcaCredentials
from toril.queues.sync.zatca.csr import Unit, make_csr, make_key
from toril.queues.sync.zatca.document import Party
from toril.queues.sync.zatca.gateway import ZatcaGateway
from toril.queues.sync.zatca.parties import seller, seller_problems
from toril.queues.sync.zatca.samples import sign_samples
from toril.queues.sync.zatca.verdict import Outcome, messages, read_verdict, refusal

log = logging.getLogger("toril.queues.sync.zatca")


class Onboarding:
    """Gets firms their credentials, and new ones before those expire. Credentials are stored at the end only.

    Each step may fail with ``NotConfiguredError`` (the firm's details or the one-time password), ``RetryableError``
    (try again) or ``UnknownOutcomeError`` (the answer was lost); the whole is then done again with a new password.
    """

    def __init__(
        self,
        db: Database,
        gateway: ZatcaGateway,
        credentials: CredentialFolder,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._credentials = credentials
        self._clock = clock

    async def onboard(self, firm_id: str, *, otp: str, unit: Unit) -> ZatcaCredentials:
        """Get a firm its first credentials and store them.

        Args:
            otp: six digits from the taxpayer's portal, good for an hour.
        Raises:
            OptionError: ``otp`` is not six digits.
            RecordNotFoundError: there is no such firm.
            UnrecoverableError: the firm's record lacks something.
        """
        party = await self._seller(firm_id)
        key = make_key()
        csr = make_csr(unit, key, self._gateway.environment)
        answer = await self._gateway.compliance_csid(csr, otp=_six_digits(otp))
        compliance = self._issued(answer, key)
        return await self._finish(firm_id, compliance, party, unit)

    async def renew(self, firm_id: str, *, otp: str, unit: Unit) -> ZatcaCredentials:
        """Get a firm new credentials with those it has, and store them; the key is a new one, the chain goes on.

        Raises:
            As ``onboard``.
        """
        party = await self._seller(firm_id)
        current = await self._credentials.get(firm_id)
        if current is None:
            raise NotConfiguredError(f"ZATCA: firm {firm_id} has no credentials to renew; onboard it")
        self._gateway.require_own(current)
        key = make_key()
        csr = make_csr(unit, key, self._gateway.environment)
        answer = await self._gateway.renew(csr, otp=_six_digits(otp), credentials=current)
        if answer.status == 428:  # issued, and to be proved with samples first
            return await self._finish(firm_id, self._issued(answer, key), party, unit)
        return await self._store(firm_id, self._issued(answer, key))

    async def _seller(self, firm_id: str) -> Party:
        async with self._db.reading() as session:
            firm = await Firms(session).get(firm_id)
        if problems := seller_problems(firm):
            raise UnrecoverableError(f"firm {firm_id} cannot be onboarded: {'; '.join(problems)}")
        return seller(firm)

    async def _finish(
        self, firm_id: str, compliance: ZatcaCredentials, party: Party, unit: Unit
    ) -> ZatcaCredentials:
        identity = SigningIdentity.load(compliance.token, compliance.private_key)
        samples = await asyncio.to_thread(
            lambda: list(sign_samples(party, unit.kinds, identity, now=self._clock()))
        )
        for number, uuid, document in samples:
            answer = await self._gateway.check(document, uuid, compliance)
            self._require_passed(answer, number, uuid)
        answer = await self._gateway.production_csid(compliance.request_id, compliance)
        return await self._store(firm_id, self._issued(answer, compliance.private_key))

    def _require_passed(self, answer: VendorAnswer, number: str, uuid: str) -> None:
        verdict = read_verdict(answer, uuid=uuid, expected=Outcome.REPORTED, sample=True)
        if verdict.outcome is Outcome.REJECTED:
            said = "; ".join(str(each) for each in messages(verdict.answer, "error")) or str(answer)
            raise NotConfiguredError(
                f"ZATCA rejects the sample {number}: {said[:2000]}. Check the firm's record"
            )

    async def _store(self, firm_id: str, credentials: ZatcaCredentials) -> ZatcaCredentials:
        sandbox = credentials.environment is ZatcaEnvironment.SANDBOX
        identity = SigningIdentity.load(credentials.token, credentials.private_key, sample=sandbox)
        await self._credentials.put(firm_id, credentials)
        log.info(
            "zatca_firm_onboarded",
            extra={"firm_id": firm_id, "expires_at": identity.expires_at.isoformat()},
        )
        return credentials

    def _issued(self, answer: VendorAnswer, key: str) -> ZatcaCredentials:
        if answer.status not in (200, 428):
            raise _refused(answer)
        body = answer.object()
        token, secret, request_id = (
            body.get(name) for name in ("binarySecurityToken", "secret", "requestID")
        )
        if not isinstance(token, str) or not isinstance(secret, str) or not token or not secret:
            raise NotConfiguredError(f"{answer}, without a certificate")
        return ZatcaCredentials(
            environment=self._gateway.environment,
            token=token,
            secret=secret,
            private_key=key,
            request_id=str(request_id or ""),
        )


def _six_digits(otp: str) -> str:
    if not re.fullmatch(r"[0-9]{6}", otp.strip()):
        raise OptionError("the one-time password has six digits; the taxpayer finds it in ZATCA's portal")
    return otp.strip()


def _refused(answer: VendorAnswer) -> TorilError:
    if answer.status == 400:
        return NotConfiguredError(
            f"{answer}. Check the one-time password, which is good for an hour, and the unit's details"
        )
    return refusal(answer)
