"""A made-up law firm with a year of records, for demonstrations."""

from toril.db.demo.firm import DemoSize, add_demo_firm, leave_behind
from toril.db.demo.maker import Maker

__all__ = ["DemoSize", "Maker", "add_demo_firm", "leave_behind"]
