"""Bank transactions by Lean Technologies, which reads accounts at Saudi banks."""

from __future__ import annotations
