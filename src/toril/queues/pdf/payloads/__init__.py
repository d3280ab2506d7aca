"""What jobs of the ``pdf`` queue carry, a module a type."""

from toril.queues.pdf.payloads.chart import Chart, Series
from toril.queues.pdf.payloads.contract import Clause, ContractData, ContractPayload, Party, Schedule, Witness
from toril.queues.pdf.payloads.custom import CustomPayload
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.payloads.invoice import InvoiceData, InvoiceItem, InvoicePayload
from toril.queues.pdf.payloads.report import Figure, ReportData, ReportPayload, Section
from toril.queues.pdf.payloads.statement import Ageing, Entry, StatementData, StatementPayload
from toril.queues.pdf.payloads.table import Column, Table

__all__ = [
    "Ageing",
    "Chart",
    "Clause",
    "Column",
    "ContractData",
    "ContractPayload",
    "CustomPayload",
    "Entry",
    "Figure",
    "InvoiceData",
    "InvoiceItem",
    "InvoicePayload",
    "Party",
    "ReportData",
    "ReportPayload",
    "Schedule",
    "Section",
    "Seller",
    "Series",
    "StatementData",
    "StatementPayload",
    "Table",
    "Witness",
]
