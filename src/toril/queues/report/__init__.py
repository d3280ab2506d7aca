"""Ready-made queue ``report``: figures of a firm, declarative queries, and exports of its records."""

from toril.queues.report.definition import ReportQueue, report_queue
from toril.queues.report.payloads import (
    Analytics,
    ClientAging,
    Custom,
    DataExport,
    Financial,
    TimeUtilization,
)
from toril.queues.report.processors import AddJob
from toril.queues.report.query import Query

__all__ = [
    "AddJob",
    "Analytics",
    "ClientAging",
    "Custom",
    "DataExport",
    "Financial",
    "Query",
    "ReportQueue",
    "TimeUtilization",
    "report_queue",
]
