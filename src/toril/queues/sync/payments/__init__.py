"""How far payments are, asked of the gateways that took them."""

from __future__ import annotations
