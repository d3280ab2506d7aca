"""A record of another firm is not found, whatever is asked and whoever asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.records import NOW, add_client, add_firm, add_invoice, add_user

from toril.db.errors import RecordNotFoundError
from toril.db.ids import new_id
from toril.db.models import (
    BankAccount,
    Contract,
    EmailCampaign,
    GeneratedFile,
    Payment,
    PaymentStatus,
    Report,
    WhatsAppNumber,
    ZatcaEnvironment,
)
from toril.db.repositories.banking import BankAccounts
from toril.db.repositories.contracts import Contracts
from toril.db.repositories.invoices import Invoices
from toril.db.repositories.mail import Campaigns
from toril.db.repositories.payments import Payments
from toril.db.repositories.reports import Files, Reports
from toril.db.repositories.users import Firms, Users
from toril.db.repositories.whatsapp import WhatsAppMessages
from toril.db.repositories.zatca import ZatcaDocuments
from toril.db.session import Database
from toril.errors import UnrecoverableError

Read = Callable[[AsyncSession, str, str], Awaitable[Any]]

READS: dict[str, Read] = {
    "user": lambda s, id, firm: Users(s).get(id, firm_id=firm),
    "invoice": lambda s, id, firm: Invoices(s).get(id, firm_id=firm),
    "invoice to settle": lambda s, id, firm: Invoices(s).settle(id, firm_id=firm, now=NOW),
    "payment": lambda s, id, firm: Payments(s).get(id, firm_id=firm),
    "bill": lambda s, id, firm: Payments(s).get_by_bill(id, firm_id=firm),
    "payment to answer": lambda s, id, firm: Payments(s).record_answer(
        id, firm_id=firm, status=PaymentStatus.COMPLETED, answer={}, now=NOW
    ),
    "contract": lambda s, id, firm: Contracts(s).get(id, firm_id=firm),
    "report": lambda s, id, firm: Reports(s).get(id, firm_id=firm),
    "report to take": lambda s, id, firm: Reports(s).take(
        id, firm_id=firm, type="financial", job_id="1", now=NOW
    ),
    "report to go on with": lambda s, id, firm: Reports(s).find_taken(
        id, firm_id=firm, job_id="1", started_at=NOW
    ),
    "file": lambda s, id, firm: Files(s).get(id, firm_id=firm),
    "bank account": lambda s, id, firm: BankAccounts(s).get(id, firm_id=firm),
    "campaign": lambda s, id, firm: Campaigns(s).get(id, firm_id=firm),
    "number": lambda s, id, firm: WhatsAppMessages(s).get_number(id, firm_id=firm),
}


async def add_everything(session: AsyncSession) -> tuple[str, dict[str, str]]:
    """One record of each kind for a new firm; returns the firm's id, and the records' by the names of READS."""
    firm = await add_firm(session)
    client = await add_client(session, firm)
    user = await add_user(session, firm)
    invoice = await add_invoice(session, firm, client)
    bill = new_id()
    own = {"firm_id": firm.id}
    payment = Payment(**own, amount=Decimal(1), invoice_id=invoice.id, bill_number=bill)
    contract = Contract(**own, number="1", title="Retainer")
    report = Report(**own, type="financial")
    file = GeneratedFile(**own, kind="report", name="a", path="a", size=1, media_type="application/pdf")
    account = BankAccount(**own, name="Current")
    campaign = EmailCampaign(**own, name="", subject="", html="")
    number = WhatsAppNumber(**own, phone_number_id=new_id())
    session.add_all([payment, contract, report, file, account, campaign, number])
    await session.flush()
    ids = {
        "user": user.id,
        "invoice": invoice.id,
        "payment": payment.id,
        "bill": bill,
        "contract": contract.id,
        "report": report.id,
        "file": file.id,
        "bank account": account.id,
        "campaign": campaign.id,
        "number": number.phone_number_id,
    }
    return firm.id, {name: ids[name.split(" to ")[0]] for name in READS}


async def test_every_read_finds_the_firm_s_own_records_only(database: Database) -> None:
    async with database.session() as session:
        firm_id, ids = await add_everything(session)
        other_id, _ = await add_everything(session)
    for name, read in READS.items():
        async with database.session() as session:
            assert await read(session, ids[name], firm_id), name
        for stranger in (other_id, new_id(), "", "not an id"):
            with pytest.raises(RecordNotFoundError, match="not found or access denied") as caught:
                async with database.session() as session:
                    await read(session, ids[name], stranger)
            assert isinstance(caught.value, UnrecoverableError), "a job fails at once"
        with pytest.raises(RecordNotFoundError):
            async with database.session() as session:
                await read(session, new_id(), firm_id)


async def test_an_answer_for_another_firm_s_payment_changes_nothing(database: Database) -> None:
    async with database.session() as session:
        firm_id, ids = await add_everything(session)
        other_id, _ = await add_everything(session)
    with pytest.raises(RecordNotFoundError):
        async with database.session() as session:
            await READS["payment to answer"](session, ids["payment"], other_id)
    async with database.reading() as session:
        payment = await Payments(session).get(ids["payment"], firm_id=firm_id)
        assert (payment.status, payment.answer) == (PaymentStatus.PENDING, None)


async def test_lists_hold_the_firm_s_own_records_only(database: Database) -> None:
    async with database.session() as session:
        firm_id, ids = await add_everything(session)
        await add_everything(session)
    async with database.reading() as session:
        invoices = await Invoices(session).list(firm_id=firm_id)
        assert ([each.id for each in invoices.items], invoices.total) == ([ids["invoice"]], 1)
        reports = await Reports(session).list(firm_id=firm_id)
        assert ([each.id for each in reports.items], reports.total) == ([ids["report"]], 1)
        assert [each.id for each in await Users(session).list(firm_id=firm_id)] == [ids["user"]]
        assert len(await Users(session).list()) == 2
        assert len(await Firms(session).list()) == 2
        assert (
            await ZatcaDocuments(session).latest(
                ids["invoice"], firm_id=new_id(), environment=ZatcaEnvironment.PRODUCTION
            )
            is None
        )


async def test_a_firm_that_is_none_is_not_found(database: Database) -> None:
    async with database.reading() as session:
        for firm_id in (new_id(), "nonsense"):
            with pytest.raises(RecordNotFoundError):
                await Firms(session).get(firm_id)


async def test_invoices_are_listed_by_status_client_and_days(database: Database) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        client, other = await add_client(session, firm), await add_client(session, firm)
        january = await add_invoice(session, firm, client, issue_date=date(2026, 1, 31), status="paid")
        february = await add_invoice(session, firm, client, issue_date=date(2026, 2, 1))
        march = await add_invoice(session, firm, other, issue_date=date(2026, 3, 1))
    async with database.reading() as session:
        invoices = Invoices(session)

        async def found(**filters: Any) -> list[str]:
            page = await invoices.list(firm_id=firm.id, **filters)
            assert page.total >= len(page.items)
            return [each.id for each in page.items]

        assert await found() == [march.id, february.id, january.id]
        assert await found(limit=1, offset=1) == [february.id]
        assert await found(statuses=["sent", "overdue"]) == [march.id, february.id]
        assert await found(client_id=other.id) == [march.id]
        assert await found(issued_from=date(2026, 2, 1), issued_until=date(2026, 2, 28)) == [february.id]
        page = await invoices.list(firm_id=firm.id, limit=1)
        assert (page.total, page.items[0].client.id) == (3, other.id)
