"""What the gateway says of a document, and what its other answers mean for the job.

Source of the fields and codes: ZATCA, "E-invoicing Detailed Technical Guideline", and its developer portal.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from lxml import etree

from toril.errors import NotConfiguredError, TorilError, UnknownOutcomeError, UnrecoverableError
from toril.queues.sync.kept import kept
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import passing
from toril.queues.sync.zatca.signature import uuid_of


class Outcome(StrEnum):
    CLEARED = "cleared"
    REPORTED = "reported"
    REJECTED = "rejected"
    CLEARANCE_OFF = "clearance off"  #: report it instead


_ACCEPTED: Final = {"CLEARED": Outcome.CLEARED, "REPORTED": Outcome.REPORTED}
_REFUSED: Final = ("NOT_CLEARED", "NOT_REPORTED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gateway's word on one document.

    Attributes:
        answer: what it said, to be kept: ``httpStatus`` and the body, without the cleared document.
        cleared_xml: the document as the authority signed it; it is the legal one.
    """

    outcome: Outcome
    answer: dict[str, Any]
    cleared_xml: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One finding about a document; ``code`` is mostly a rule's, such as ``BR-KSA-04``."""

    code: str
    category: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.code else self.message


def read_verdict(answer: VendorAnswer, *, uuid: str, expected: Outcome, sample: bool = False) -> Verdict:
    """The verdict in an answer to a clearance or a report.

    Args:
        uuid: of the document.
        expected: ``CLEARED`` or ``REPORTED``, what acceptance means for this request.
        sample: it is a sample's, which never comes back as a cleared document.
    Raises:
        UnknownOutcomeError: it makes no sense, or the answer to a clearance lacks the cleared document.
        NotConfiguredError, RetryableError, UnrecoverableError: see ``refusal``.
    """
    said = kept_answer(answer)
    status = answer.status
    if status in (208, 409):
        # It was accepted before. Asking a third time would bring no more than this answer has.
        return Verdict(outcome=expected, answer=said, cleared_xml=_cleared(answer, uuid, required=False))
    if answer.is_success:
        return _judged(answer, said, uuid=uuid, expected=expected, sample=sample)
    if status == 303 and expected is Outcome.CLEARED:
        return Verdict(outcome=Outcome.CLEARANCE_OFF, answer=said)
    if status == 400 and isinstance(said.get("validationResults"), dict):
        return Verdict(outcome=Outcome.REJECTED, answer=said)
    raise refusal(answer)


def refusal(answer: VendorAnswer) -> TorilError:
    """The error for an answer that is no verdict."""
    status = answer.status
    if status in (401, 403):
        return NotConfiguredError(
            f"{answer}: it refuses the firm's credentials. Check that they were issued for this environment "
            "and have not expired; onboard the firm again or renew them otherwise"
        )
    if status in (408, 425, 429) or status >= 500:
        return passing(answer)
    if 300 <= status < 400:
        return NotConfiguredError(f"{answer}, a redirect, which is not followed. Check the base URL")
    return UnrecoverableError(
        f"{answer}: it does not accept the request as such, and nothing is wrong with the invoice"
    )


def kept_answer(answer: VendorAnswer) -> dict[str, Any]:
    """``httpStatus`` and the fields of the body: without our secrets, should the gateway repeat them, and without the
    cleared document, which is long and kept elsewhere."""
    body = answer.json_or_none()
    fields = body.items() if isinstance(body, dict) else ()
    wanted = {name: value for name, value in fields if name != "clearedInvoice"}
    return {**kept(wanted, secrets=answer.secrets), "httpStatus": answer.status}


def messages(answer: Mapping[str, Any] | None, kind: str) -> list[Message]:
    """Findings of a kept answer: ``error``, ``warning`` or ``info``. The gateway sends a list, one object, or null."""
    results = (answer or {}).get("validationResults")
    found = results.get(f"{kind}Messages") if isinstance(results, Mapping) else None
    items = [found] if isinstance(found, Mapping) else found if isinstance(found, list) else []
    return [
        Message(**{name: str(item.get(name) or "").strip() for name in ("code", "category", "message")})
        for item in items
        if isinstance(item, Mapping)
    ]


def _judged(
    answer: VendorAnswer, said: dict[str, Any], *, uuid: str, expected: Outcome, sample: bool
) -> Verdict:
    words = [str(said.get(name) or "").upper() for name in ("clearanceStatus", "reportingStatus")]
    if any(word in _REFUSED for word in words):
        return Verdict(outcome=Outcome.REJECTED, answer=said)
    outcome = next((_ACCEPTED[word] for word in words if word in _ACCEPTED), None)
    if outcome is None or (outcome is not expected and not sample):
        raise UnknownOutcomeError(f"{answer} and {answer.kind} without a verdict on the document")
    cleared = _cleared(answer, uuid, required=outcome is Outcome.CLEARED and not sample)
    return Verdict(outcome=outcome, answer=said, cleared_xml=cleared)


def _cleared(answer: VendorAnswer, uuid: str, *, required: bool) -> str | None:
    """The cleared document in the answer, if it is the one that was sent."""
    body = answer.json_or_none()
    encoded = body.get("clearedInvoice") if isinstance(body, dict) else None
    try:
        xml = base64.b64decode(encoded or "", validate=True)
        if xml and uuid_of(xml) == uuid:
            return xml.decode("utf-8")
    except (binascii.Error, TypeError, ValueError, etree.XMLSyntaxError):
        pass
    if required:
        raise UnknownOutcomeError(f"{answer}: cleared, but the cleared document is missing or another's")
    return None
