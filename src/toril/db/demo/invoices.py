"""The demonstration's invoices, and payments that agree with them to the halala."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from toril.db.demo import words
from toril.db.demo.maker import Maker
from toril.db.models import (
    RECEIVED,
    Case,
    Firm,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    Payment,
    PaymentMethod,
    PaymentStatus,
)

_VAT = Decimal("0.15")
_PAID_IN_PARTS = Decimal("0.4")  #: the first part
_BY_PROVIDER = {
    PaymentMethod.MADA: "moyasar",
    PaymentMethod.CARD: "stripe",
    PaymentMethod.STC_PAY: "stcpay",
    PaymentMethod.TRANSFER: None,
}


def make_invoices(
    make: Maker, firm: Firm, cases: list[Case], count: int
) -> tuple[list[Invoice], list[Payment]]:
    """Invoices numbered by day, most of them paid, and their payments; some of them failed or not yet done."""
    days = sorted(make.day() for _ in range(count))
    invoices = [_invoice(make, firm, make.chance.choice(cases), n, day) for n, day in enumerate(days, 1)]
    payments = [payment for invoice in invoices for payment in _payments(make, invoice)]
    return invoices, payments


def _invoice(make: Maker, firm: Firm, case: Case, number: int, issued: date) -> Invoice:
    invoice_id = make.id()
    lines = [_line(make, firm, invoice_id, position) for position in range(1, make.chance.randint(2, 6))]
    subtotal = sum((line.net for line in lines), Decimal(0))
    vat = subtotal * _VAT
    return Invoice(
        id=invoice_id,
        firm_id=firm.id,
        number=f"INV-{issued.year}-{number:04d}",
        client_id=case.client_id,
        case_id=case.id,
        status=make.chance.choices([InvoiceStatus.SENT, InvoiceStatus.DRAFT, InvoiceStatus.VOID], [92, 5, 3])[
            0
        ],
        issue_date=issued,
        supply_date=issued,
        due_date=issued + timedelta(days=30),
        subtotal=subtotal,
        vat_amount=vat,
        total=subtotal + vat,
        amount_paid=Decimal(0),
        payment_terms="الدفع خلال 30 يومًا · Payment within 30 days",
        sent_at=make.moment(issued),
        lines=lines,
    )


def _line(make: Maker, firm: Firm, invoice_id: str, position: int) -> InvoiceLine:
    arabic, english, unit, low, high = make.chance.choice(words.SERVICES)
    quantity = Decimal(make.chance.randint(1, 8) if unit else 1)
    price = make.price(low, high)
    net = quantity * price
    return InvoiceLine(
        id=make.id(),
        firm_id=firm.id,
        invoice_id=invoice_id,
        position=position,
        description=f"{arabic} · {english}",
        quantity=quantity,
        unit=unit,
        unit_price=price,
        net=net,
        vat_amount=net * _VAT,
    )


def _payments(make: Maker, invoice: Invoice) -> list[Payment]:
    """Payments of an invoice; sets what it has been paid and its status, as settling it would."""
    if invoice.status != InvoiceStatus.SENT:
        return []
    part = (invoice.total * _PAID_IN_PARTS).quantize(Decimal("0.01"))
    amounts = make.chance.choices(
        [[invoice.total], [part], [part, invoice.total - part], []], [60, 12, 10, 18]
    )[0]
    payments = [_payment(make, invoice, amount, PaymentStatus.COMPLETED) for amount in amounts]
    if not payments and make.chance.random() < 0.3:
        status = make.chance.choice([PaymentStatus.FAILED, PaymentStatus.PENDING])
        payments.append(_payment(make, invoice, invoice.total, status))
    received = [payment for payment in payments if payment.status in RECEIVED]
    invoice.amount_paid = sum((payment.amount for payment in received), Decimal(0))
    if invoice.amount_paid == invoice.total:
        invoice.status = InvoiceStatus.PAID
        invoice.paid_at = max(payment.paid_at for payment in received if payment.paid_at)
    elif invoice.due_date < make.today:
        invoice.status = InvoiceStatus.OVERDUE
    elif received:
        invoice.status = InvoiceStatus.PARTIAL
    return payments


def _payment(make: Maker, invoice: Invoice, amount: Decimal, status: PaymentStatus) -> Payment:
    method = make.chance.choice(list(_BY_PROVIDER))
    payment = Payment(
        id=make.id(),
        firm_id=invoice.firm_id,
        client_id=invoice.client_id,
        invoice_id=invoice.id,
        method=method,
        status=status,
        amount=amount,
        provider=_BY_PROVIDER[method],
        provider_payment_id=f"pay_{make.id()}" if _BY_PROVIDER[method] else None,
    )
    if status == PaymentStatus.COMPLETED:
        age = (make.today - invoice.issue_date).days
        payment.paid_on = make.today - timedelta(days=make.chance.randint(max(age - 45, 0), age))
        payment.paid_at = make.moment(payment.paid_on)
    return payment
