"""A firm with credentials at a gateway, and jobs for its invoices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from tests.support.email_jobs import PlainJob
from tests.support.records import NOW, add_client
from tests.support.zatca_records import Vault, add_business, add_tax_firm, add_tax_invoice, credentials_from
from tests.support.zatca_server import zatca_server

from toril.db.models import Client, Firm, Invoice, ZatcaDocument
from toril.db.session import Database
from toril.queues.base import QueueDefinition
from toril.queues.sync.zatca import ZatcaEnvironment, ZatcaGateway, ZatcaInvoices
from toril.testing.vendors.zatca import ZatcaServer

PATIENCE = 65.0  #: seconds that a sending without an answer is waited for, with the gateway's time below


@dataclass
class Office:
    """A firm with credentials, a gateway, and jobs for it."""

    database: Database
    server: ZatcaServer
    firm: Firm
    person: Client
    business: Client
    vault: Vault
    now: datetime = NOW
    rows: list[str] = field(default_factory=list)
    gateways: list[ZatcaGateway] = field(default_factory=list)

    def processor(self, **options: Any) -> ZatcaInvoices:
        """The processor of a worker process; each call makes another."""
        timing = {"total_timeout": 60.0, "read_timeout": 50.0} | options.pop("timing", {})
        url = options.pop("base_url", self.server.url)
        gateway = ZatcaGateway(ZatcaEnvironment.SIMULATION, base_url=url, **timing)
        self.gateways.append(gateway)
        return ZatcaInvoices(self.database, gateway, self.vault, clock=lambda: self.now, **options)

    async def invoice(self, client: Client | None = None, *lines: dict[str, Any], **values: Any) -> Invoice:
        async with self.database.session() as session:
            return await add_tax_invoice(session, self.firm, client or self.person, *lines, **values)

    async def run(
        self, invoice: Invoice, processor: ZatcaInvoices | None = None, *, firm_id: str | None = None
    ) -> dict[str, Any]:
        """Work a job as the queue does."""
        job_type = (processor or self.processor()).job_type()
        queue = QueueDefinition(name="sync", types={job_type.name: job_type})
        data = {"invoiceId": invoice.id, "firmId": firm_id or self.firm.id}
        job = PlainJob({"type": "zatca-invoice", "data": data})
        try:
            return await queue.process(job)
        finally:
            self.rows += job.rows

    async def documents(self) -> list[ZatcaDocument]:
        async with self.database.reading() as session:
            return list((await session.scalars(select(ZatcaDocument).order_by(ZatcaDocument.icv))).all())


@asynccontextmanager
async def an_office(database: Database) -> AsyncIterator[Office]:
    """The firm, with a person and a business as clients."""
    async with zatca_server() as server:
        async with database.session() as session:
            firm = await add_tax_firm(session)
            person = await add_client(session, firm, name="سارة العتيبي", national_id="1010101013")
            business = await add_business(session, firm)
        vault = Vault()
        vault.by_firm[firm.id] = credentials_from(server)
        made = Office(database, server, firm, person, business, vault)
        yield made
        for gateway in made.gateways:
            await gateway.close()
