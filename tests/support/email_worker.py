"""A worker process of the e-mail queue, for tests that kill it.

``python -m tests.support.email_worker URL PREFIX HOME [RESEND_URL [PER_SECOND [SMTP_PORT]]]``: mail goes to
``HOME/outbox``, or to a server that behaves as Resend does, with one of SMTP for what that certainly did not take; the
records are in ``HOME``.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.resend_server import API_KEY

from toril.db.session import Database
from toril.queues.email import EmailProvider, OutboxProvider, email_queue
from toril.queues.email.database_handovers import DatabaseHandovers
from toril.queues.email.database_ledger import DatabaseLedger
from toril.queues.email.providers.fallback import FallbackProvider
from toril.queues.email.providers.resend import ResendProvider
from toril.queues.email.providers.smtp import SmtpProvider
from toril.queues.email.tracking import Tracker
from toril.queues.registry import make_worker, open_queue

TRACKER = Tracker("https://mail.firm.example", ["s" * 32])


async def main(
    url: str, prefix: str, home: str, resend_url: str = "", per_second: str = "100", smtp_port: str = ""
) -> None:
    """Work until killed."""
    async with Database(home=Path(home)) as database:
        provider: EmailProvider = OutboxProvider(Path(home) / "outbox")
        if resend_url:
            provider = resend = ResendProvider(API_KEY, base_url=resend_url, per_second=float(per_second))
        if resend_url and smtp_port:
            smtp = SmtpProvider(f"smtp://127.0.0.1:{smtp_port}")
            provider = FallbackProvider(resend, smtp, handovers=DatabaseHandovers(database))
        definition = email_queue(
            provider, from_email="o@mail.example.com", ledger=DatabaseLedger(database), tracker=TRACKER
        )
        async with open_queue(definition, url=url, prefix=prefix) as queue:
            # A short lock, so that the job of a killed worker is soon found.
            worker = make_worker(
                definition, queue, lock_duration=2.0, stalled_interval=0.5, max_stalled_count=5
            )
            print("ready", flush=True)
            await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
