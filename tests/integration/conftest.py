"""Databases for the tests of queues that keep records."""

from __future__ import annotations

from tests.support.databases import database, databases

__all__ = ["database", "databases"]
