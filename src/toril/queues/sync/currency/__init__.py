"""Exchange rates: who publishes them, whether they can be right, and the job that keeps them."""

from __future__ import annotations
