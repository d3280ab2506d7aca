"""The commercial register, by Wathq: whether a contract's counterparty is there, active, and who it says it is."""

from __future__ import annotations
