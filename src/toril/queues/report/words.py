"""What a printed report calls things, in Arabic and in English."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from toril.queues.report.query import Output

Words = dict[str, str]
"""A text in both languages, as the ``pdf`` queue takes it."""

#: Titles, figures and headings of the reports that are always the same.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "financial": ("التقرير المالي", "Financial report"),
    "analytics": ("تقرير الأداء", "Analytics report"),
    "time-utilization": ("تقرير استغلال الوقت", "Time utilization report"),
    "client-aging": ("تقرير أعمار الذمم المدينة", "Client aging report"),
    "revenue": ("الإيرادات", "Revenue"),
    "vat": ("ضريبة القيمة المضافة", "VAT"),
    "payments": ("المدفوعات المستلمة", "Payments received"),
    "expenses": ("المصروفات", "Expenses"),
    "netProfit": ("صافي الربح", "Net profit"),
    "outstanding": ("المستحق غير المسدد", "Outstanding"),
    "invoices": ("الفواتير", "Invoices"),
    "month": ("الشهر", "Month"),
    "by_month": ("حسب الشهر", "By month"),
    "client": ("العميل", "Client"),
    "by_client": ("حسب العميل", "By client"),
    "no_client": ("بدون عميل", "No client"),
    "total": ("الإجمالي", "Total"),
    "oldestDueDate": ("أقدم تاريخ استحقاق", "Oldest due date"),
    "current": ("غير متأخر", "Not overdue"),
    "30": ("1-30 يومًا", "1-30 days"),
    "60": ("31-60 يومًا", "31-60 days"),
    "90": ("61-90 يومًا", "61-90 days"),
    "90plus": ("أكثر من 90 يومًا", "Over 90 days"),
    "bucket": ("مدة التأخر", "Days overdue"),
    "amount": ("المبلغ", "Amount"),
    "overview": ("نظرة عامة", "Overview"),
    "cases_opened": ("قضايا مفتوحة خلال الفترة", "Cases opened"),
    "cases_closed": ("قضايا مغلقة خلال الفترة", "Cases closed"),
    "casesByStatus": ("القضايا حسب الحالة", "Cases by status"),
    "casesByType": ("القضايا حسب النوع", "Cases by type"),
    "newClients": ("العملاء الجدد", "New clients"),
    "hoursBilled": ("الساعات القابلة للفوترة", "Billable hours"),
    "count": ("العدد", "Count"),
    "category": ("الفئة", "Category"),
    "person": ("الموظف", "Person"),
    "by_person": ("حسب الموظف", "By person"),
    "minutes": ("الوقت المسجل", "Recorded time"),
    "billableMinutes": ("وقت قابل للفوترة", "Billable"),
    "nonBillableMinutes": ("وقت غير قابل للفوترة", "Not billable"),
    "utilization": ("نسبة الاستغلال", "Utilization"),
    "billableAmount": ("قيمة الوقت القابل للفوترة", "Billable amount"),
    "unknown": ("غير معروف", "Unknown"),
}

_SOURCES: Final[Mapping[str, tuple[str, str]]] = {
    "invoices": ("الفواتير", "Invoices"),
    "invoice-lines": ("بنود الفواتير", "Invoice lines"),
    "clients": ("العملاء", "Clients"),
    "cases": ("القضايا", "Cases"),
    "payments": ("المدفوعات", "Payments"),
    "expenses": ("المصروفات", "Expenses"),
    "time-entries": ("سجلات الوقت", "Time entries"),
    "contracts": ("العقود", "Contracts"),
    "bank-transactions": ("العمليات المصرفية", "Bank transactions"),
    "staff": ("الموظفون", "Staff"),
}

#: Columns of the sources.
_COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "accountId": ("معرّف الحساب", "Account id"),
    "accountName": ("الحساب", "Account"),
    "active": ("نشط", "Active"),
    "amount": ("المبلغ", "Amount"),
    "amountPaid": ("المدفوع", "Paid"),
    "balance": ("الرصيد", "Balance"),
    "billNumber": ("رقم فاتورة سداد", "Bill number"),
    "billable": ("قابل للفوترة", "Billable"),
    "bookedAt": ("وقت القيد", "Booked at"),
    "bookedOn": ("تاريخ القيد", "Booked on"),
    "buildingNumber": ("رقم المبنى", "Building number"),
    "caseId": ("معرّف القضية", "Case id"),
    "caseNumber": ("رقم القضية", "Case number"),
    "category": ("الفئة", "Category"),
    "city": ("المدينة", "City"),
    "clientId": ("معرّف العميل", "Client id"),
    "clientName": ("العميل", "Client"),
    "clientSince": ("عميل منذ", "Client since"),
    "closedOn": ("تاريخ الإغلاق", "Closed on"),
    "commercialRegistration": ("السجل التجاري", "Commercial registration"),
    "counterpartyName": ("الطرف الآخر", "Counterparty"),
    "counterpartyRegistration": ("سجل الطرف الآخر", "Counterparty's registration"),
    "country": ("الدولة", "Country"),
    "court": ("المحكمة", "Court"),
    "createdAt": ("تاريخ الإنشاء", "Created at"),
    "currency": ("العملة", "Currency"),
    "description": ("الوصف", "Description"),
    "direction": ("نوع العملية", "Direction"),
    "discount": ("الخصم", "Discount"),
    "district": ("الحي", "District"),
    "dueDate": ("موعد السداد", "Due date"),
    "email": ("البريد الإلكتروني", "E-mail"),
    "endsOn": ("تاريخ الانتهاء", "Ends on"),
    "hourlyRate": ("سعر الساعة", "Hourly rate"),
    "id": ("المعرّف", "Id"),
    "invoiceId": ("معرّف الفاتورة", "Invoice id"),
    "invoiceNumber": ("رقم الفاتورة", "Invoice number"),
    "invoiceStatus": ("حالة الفاتورة", "Invoice status"),
    "issueDate": ("تاريخ الإصدار", "Issue date"),
    "kind": ("النوع", "Kind"),
    "language": ("اللغة", "Language"),
    "lastLoginAt": ("آخر دخول", "Last login"),
    "lawyerId": ("معرّف المحامي", "Lawyer id"),
    "lawyerName": ("المحامي", "Lawyer"),
    "method": ("طريقة الدفع", "Method"),
    "minutes": ("الدقائق", "Minutes"),
    "name": ("الاسم", "Name"),
    "nationalId": ("رقم الهوية", "National id"),
    "net": ("الصافي", "Net"),
    "notes": ("ملاحظات", "Notes"),
    "number": ("الرقم", "Number"),
    "openedOn": ("تاريخ الفتح", "Opened on"),
    "paidAt": ("وقت الدفع", "Paid at"),
    "paidOn": ("تاريخ الدفع", "Paid on"),
    "payee": ("المستفيد", "Payee"),
    "paymentTerms": ("شروط الدفع", "Payment terms"),
    "phone": ("الهاتف", "Phone"),
    "position": ("البند", "Position"),
    "postalCode": ("الرمز البريدي", "Postal code"),
    "provider": ("مزود الدفع", "Provider"),
    "providerPaymentId": ("معرّف الدفع لدى المزود", "Provider's payment id"),
    "quantity": ("الكمية", "Quantity"),
    "reference": ("المرجع", "Reference"),
    "refundedAmount": ("المسترد", "Refunded"),
    "role": ("الدور", "Role"),
    "sentAt": ("وقت الإرسال", "Sent at"),
    "settled": ("تمت التسوية", "Settled"),
    "signedAt": ("تاريخ التوقيع", "Signed at"),
    "spentOn": ("تاريخ الصرف", "Spent on"),
    "startsOn": ("تاريخ البداية", "Starts on"),
    "status": ("الحالة", "Status"),
    "street": ("الشارع", "Street"),
    "subtotal": ("المبلغ قبل الضريبة", "Subtotal"),
    "supplyDate": ("تاريخ التوريد", "Supply date"),
    "title": ("العنوان", "Title"),
    "total": ("الإجمالي", "Total"),
    "type": ("النوع", "Type"),
    "unit": ("الوحدة", "Unit"),
    "unitPrice": ("سعر الوحدة", "Unit price"),
    "updatedAt": ("آخر تحديث", "Updated at"),
    "userId": ("معرّف الموظف", "User id"),
    "userName": ("الموظف", "Person"),
    "vatAmount": ("مبلغ الضريبة", "VAT amount"),
    "vatCategory": ("فئة الضريبة", "VAT category"),
    "vatNumber": ("الرقم الضريبي", "VAT number"),
    "vatRate": ("نسبة الضريبة", "VAT rate"),
    "wathqCheckedAt": ("تاريخ التحقق في واثق", "Checked at Wathq"),
    "wathqStatus": ("الحالة في واثق", "Status at Wathq"),
    "workedOn": ("تاريخ العمل", "Worked on"),
}

#: Values of columns that have a choice of them.
_CHOICES: Final[Mapping[str, tuple[str, str]]] = {
    "open": ("مفتوحة", "Open"),
    "pending": ("قيد الانتظار", "Pending"),
    "on_hold": ("موقوفة", "On hold"),
    "closed": ("مغلقة", "Closed"),
    "commercial": ("تجارية", "Commercial"),
    "labour": ("عمالية", "Labour"),
    "criminal": ("جزائية", "Criminal"),
    "family": ("أحوال شخصية", "Family"),
    "administrative": ("إدارية", "Administrative"),
    "real_estate": ("عقارية", "Real estate"),
    "enforcement": ("تنفيذ", "Enforcement"),
    "other": ("أخرى", "Other"),
    "draft": ("مسودة", "Draft"),
    "sent": ("مرسلة", "Sent"),
    "partial": ("مدفوعة جزئيًا", "Partly paid"),
    "paid": ("مدفوعة", "Paid"),
    "overdue": ("متأخرة", "Overdue"),
    "void": ("ملغاة", "Void"),
    "ar": ("العربية", "Arabic"),
    "en": ("الإنجليزية", "English"),
    "S": ("النسبة الأساسية", "Standard rate"),
    "Z": ("نسبة الصفر", "Zero rate"),
    "E": ("معفى", "Exempt"),
    "O": ("خارج النطاق", "Out of scope"),
    "person": ("فرد", "Person"),
    "business": ("منشأة", "Business"),
    "government": ("جهة حكومية", "Government"),
    "processing": ("قيد المعالجة", "Processing"),
    "completed": ("مكتملة", "Completed"),
    "failed": ("فاشلة", "Failed"),
    "cancelled": ("ملغاة", "Cancelled"),
    "refunded": ("مستردة", "Refunded"),
    "reconciled": ("تمت مطابقتها", "Reconciled"),
    "cash": ("نقدًا", "Cash"),
    "transfer": ("تحويل مصرفي", "Transfer"),
    "cheque": ("شيك", "Cheque"),
    "card": ("بطاقة", "Card"),
    "mada": ("مدى", "mada"),
    "stcpay": ("STC Pay", "STC Pay"),
    "applepay": ("Apple Pay", "Apple Pay"),
    "sadad": ("سداد", "SADAD"),
    "signed": ("موقّع", "Signed"),
    "expired": ("منتهٍ", "Expired"),
    "terminated": ("مفسوخ", "Terminated"),
    "verified": ("متحقق منه", "Verified"),
    "inactive": ("غير نشط", "Inactive"),
    "not_found": ("غير موجود", "Not found"),
    "mismatch": ("غير مطابق", "Mismatch"),
    "error": ("خطأ", "Error"),
    "credit": ("دائن", "Credit"),
    "debit": ("مدين", "Debit"),
    "admin": ("مدير", "Admin"),
    "lawyer": ("محامٍ", "Lawyer"),
    "staff": ("موظف", "Staff"),
}

#: Parts of dates, and what is measured of a column.
_PARTS: Final = {"day": ("اليوم", "Day"), "month": ("الشهر", "Month"), "year": ("السنة", "Year")}
_FUNCTIONS: Final = {
    "count": ("عدد", "Number"),
    "count_distinct": ("عدد القيم المختلفة", "Different values"),
    "sum": ("مجموع", "Sum"),
    "avg": ("متوسط", "Average"),
    "min": ("أقل", "Least"),
    "max": ("أعلى", "Most"),
}


def word(key: str) -> Words:
    """What a title, a figure or a heading is called."""
    return _both(_WORDS[key])


def title_of(source: str) -> Words:
    """What a source is called."""
    return _both(_SOURCES[source])


def choice(value: StrEnum | str) -> Words:
    """What one of the values of a column is called."""
    return _both(_CHOICES[str(value)])


def heading(output: Output) -> Words | str:
    """What a column of a query's result is called; a name of the sender's own is spelled out."""
    column = output.column
    if output.by is not None:
        return _both(_PARTS[output.by])
    if output.is_named:
        spelled = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", output.name).lower().strip() or output.name
        return spelled[:1].upper() + spelled[1:]
    if column is None:
        return word("count")
    of = _both(_COLUMNS[column.name])
    if output.function is None:
        return of
    return {
        language: f"{text}: {of[language]}" for language, text in _both(_FUNCTIONS[output.function]).items()
    }


def _both(pair: tuple[str, str]) -> Words:
    return {"ar": pair[0], "en": pair[1]}
