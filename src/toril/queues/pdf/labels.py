"""The words printed on documents, in Arabic and English, and how a page shows them."""

from __future__ import annotations

from typing import Literal

from markupsafe import Markup

Language = Literal["ar", "en", "both"]

LABELS: dict[str, tuple[str, str]] = {
    "tax_invoice": ("فاتورة ضريبية", "Tax Invoice"),
    "invoice": ("فاتورة", "Invoice"),
    "invoice_number": ("رقم الفاتورة", "Invoice no."),
    "issue_date": ("تاريخ الإصدار", "Issue date"),
    "due_date": ("تاريخ الاستحقاق", "Due date"),
    "reference": ("المرجع", "Reference"),
    "client": ("العميل", "Client"),
    "vat_number": ("الرقم الضريبي", "VAT no."),
    "commercial_registration": ("السجل التجاري", "C.R. no."),
    "description": ("البيان", "Description"),
    "quantity": ("الكمية", "Qty"),
    "unit_price": ("سعر الوحدة", "Unit price"),
    "net": ("الصافي", "Net"),
    "vat": ("الضريبة", "VAT"),
    "line_total": ("الإجمالي", "Total"),
    "taxable": ("الخاضع للضريبة", "Taxable"),
    "discount": ("خصم", "Discount"),
    "subtotal": ("المجموع قبل الضريبة", "Subtotal excl. VAT"),
    "value_added_tax": ("ضريبة القيمة المضافة", "VAT"),
    "total": ("الإجمالي شامل الضريبة", "Total incl. VAT"),
    "bank_details": ("بيانات الحساب المصرفي", "Bank details"),
    "bank": ("المصرف", "Bank"),
    "account_name": ("اسم الحساب", "Account name"),
    "iban": ("الآيبان", "IBAN"),
    "payment_terms": ("شروط الدفع", "Payment terms"),
    "notes": ("ملاحظات", "Notes"),
    "report": ("تقرير", "Report"),
    "period": ("الفترة", "Period"),
    "generated_at": ("تاريخ الإعداد", "Prepared on"),
    "no_data": ("لا توجد بيانات", "No data"),
    "sum": ("الإجمالي", "Total"),
    "statement": ("كشف حساب", "Statement of Account"),
    "statement_number": ("رقم الكشف", "Statement no."),
    "date": ("التاريخ", "Date"),
    "debit": ("مدين", "Debit"),
    "credit": ("دائن", "Credit"),
    "balance": ("الرصيد", "Balance"),
    "opening_balance": ("الرصيد الافتتاحي", "Opening balance"),
    "closing_balance": ("الرصيد المستحق", "Balance due"),
    "credit_balance": ("رصيد دائن للعميل", "Balance in your favour"),
    "charged": ("إجمالي المدين", "Charged"),
    "paid": ("إجمالي الدائن", "Paid"),
    "ageing": ("أعمار الذمم بالأيام", "Ageing in days"),
    "current": ("غير مستحق بعد", "Not yet due"),
    "unallocated": ("دفعات غير مخصصة", "Unallocated payments"),
    "entry_invoice": ("فاتورة", "Invoice"),
    "entry_payment": ("دفعة", "Payment"),
    "entry_credit": ("إشعار دائن", "Credit note"),
    "entry_refund": ("استرداد", "Refund"),
    "entry_adjustment": ("تسوية", "Adjustment"),
    "contract_number": ("رقم العقد", "Contract no."),
    "place": ("المكان", "Place"),
    "parties": ("أطراف العقد", "Parties"),
    "address": ("العنوان", "Address"),
    "represented_by": ("ويمثله", "Represented by"),
    "preamble": ("التمهيد", "Preamble"),
    "schedule": ("الملحق", "Schedule"),
    "signatures": ("التوقيعات", "Signatures"),
    "name": ("الاسم", "Name"),
    "capacity": ("الصفة", "Capacity"),
    "signature": ("التوقيع", "Signature"),
    "stamp": ("الختم", "Stamp"),
    "witnesses": ("الشهود", "Witnesses"),
    "witness": ("الشاهد", "Witness"),
    "id_number": ("رقم الهوية", "ID no."),
    "page": ("صفحة", "Page"),
    "of": ("من", "of"),
}

_CURRENCIES: dict[str, tuple[str, str]] = {
    "SAR": ("جميع المبالغ بالريال السعودي", "All amounts in Saudi riyals (SAR)"),
    "AED": ("جميع المبالغ بالدرهم الإماراتي", "All amounts in UAE dirhams (AED)"),
    "BHD": ("جميع المبالغ بالدينار البحريني", "All amounts in Bahraini dinars (BHD)"),
    "KWD": ("جميع المبالغ بالدينار الكويتي", "All amounts in Kuwaiti dinars (KWD)"),
    "OMR": ("جميع المبالغ بالريال العماني", "All amounts in Omani rials (OMR)"),
    "QAR": ("جميع المبالغ بالريال القطري", "All amounts in Qatari riyals (QAR)"),
    "USD": ("جميع المبالغ بالدولار الأمريكي", "All amounts in US dollars (USD)"),
    "EUR": ("جميع المبالغ باليورو", "All amounts in euros (EUR)"),
    "GBP": ("جميع المبالغ بالجنيه الإسترليني", "All amounts in pounds sterling (GBP)"),
}


def currency_note(currency: str) -> tuple[str, str]:
    """The sentence that names the currency, in both languages."""
    return _CURRENCIES.get(currency, (f"جميع المبالغ بعملة {currency}", f"All amounts in {currency}"))


def currency_symbol(currency: str, language: Language) -> str:
    """What stands beside the total: the code, or the riyal's abbreviation on an Arabic page."""
    return "ر.س" if currency == "SAR" and language == "ar" else currency


class Labels:
    """Shows a pair of texts the way a page in ``language`` does; called from templates."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, key: str) -> Markup:
        """The label ``key`` of ``LABELS``."""
        return self.pair(*LABELS[key])

    def pair(self, arabic: str, english: str) -> Markup:
        """Both texts marked up by language, or the one that the page is in, or the one there is."""
        if self.language == "both" and arabic and english and arabic != english:
            return Markup('<span class="ar">{}</span> <span class="en" lang="en" dir="ltr">{}</span>').format(
                arabic, english
            )
        wanted, other = (english, arabic) if self.language == "en" else (arabic, english)
        return Markup("<bdi>{}</bdi>").format(wanted or other)
