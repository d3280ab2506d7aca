"""Databases for the tests that break things."""

from __future__ import annotations

from tests.support.databases import databases

__all__ = ["databases"]
