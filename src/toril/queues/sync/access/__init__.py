"""By whose credentials outside services are asked: each firm's own, or the installation's while there is one firm."""

from __future__ import annotations
