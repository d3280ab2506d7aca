"""A made-up law firm with a year of records, for demonstrations."""

from toril.db.demo.firm import DemoSize, add_demo_firm

__all__ = ["DemoSize", "add_demo_firm"]
