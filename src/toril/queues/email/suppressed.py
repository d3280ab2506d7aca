"""Single mails, and addresses that get none: those that bounced for good, or whose owners complained.

Who has only unsubscribed still gets what concerns them alone, as a receipt or a code they asked for.
"""

from __future__ import annotations

from dataclasses import replace

from toril.queues.base import RunningJob
from toril.queues.email.addresses import Mailbox
from toril.queues.email.ledger import SentLedger
from toril.queues.email.message import Mail


async def without_suppressed(
    mail: Mail, ledger: SentLedger, *, first_run: bool
) -> tuple[Mail | None, list[dict[str, str]]]:
    """A mail without the addresses that get no mail at all.

    Args:
        first_run: no earlier attempt may have handed the mail over. After one, it stays as it was as long as anybody is
            left: the provider takes a repeated request only if it is the same.

    Returns:
        The mail, or None when nobody is left in ``to``; and who was left out: ``{"email", "reason"}`` each.
    """
    # Bounces and complaints are about all firms, so none is asked for.
    found = await ledger.suppressed(mail.recipients, firm_id=None)
    stopped = {email: one.reason for email, one in found.items() if one.stops_all}

    def is_stopped(box: Mailbox) -> bool:
        return box.address.lower() in stopped

    to = tuple(box for box in mail.to if not is_stopped(box))
    if to and not first_run:
        return mail, []
    left_out = [
        {"email": address, "reason": stopped[address.lower()]}
        for address in mail.recipients
        if address.lower() in stopped
    ]
    if not to:
        return None, left_out
    cc, bcc = (tuple(box for box in boxes if not is_stopped(box)) for boxes in (mail.cc, mail.bcc))
    return replace(mail, to=to, cc=cc, bcc=bcc), left_out


def is_first_run(job: RunningJob) -> bool:
    """Whether nothing says that an earlier attempt at the job handed its mail over."""
    return job.attempts_made == 0 and not getattr(job, "stalled_counter", 0)
