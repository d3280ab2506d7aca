"""WhatsApp: the stored deliveries of the webhook, read into messages and their states."""

from __future__ import annotations
