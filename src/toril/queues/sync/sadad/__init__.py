"""SADAD bills, which Mudad's payments are: whether one has been paid, asked of the firm's bank or aggregator."""

from __future__ import annotations
