"""Deliveries of WhatsApp's webhook, as Meta sends them."""

from __future__ import annotations

from typing import Any

NUMBER = "100200300"
SENT = 1772355600  #: seconds


def text(id: str, body: str = "مرحبا", **more: Any) -> dict[str, Any]:
    """A text message of Sara's."""
    message = {
        "from": "966500000001",
        "id": id,
        "timestamp": str(SENT),
        "type": "text",
        "text": {"body": body},
    }
    return message | more


def media(message_id: str, kind: str, /, **content: Any) -> dict[str, Any]:
    """A message with something that is not text."""
    return {"from": "966500000001", "id": message_id, "timestamp": str(SENT), "type": kind, kind: content}


def status(id: str, state: str, *, at: int = SENT, **more: Any) -> dict[str, Any]:
    """How far one of ours is."""
    return {"id": id, "status": state, "timestamp": str(at), "recipient_id": "966500000001"} | more


def delivery(
    *,
    messages: list[Any] | None = None,
    statuses: list[Any] | None = None,
    number: str = NUMBER,
    **value: Any,
) -> dict[str, Any]:
    """A whole delivery about one number."""
    content: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "966110000000", "phone_number_id": number},
    }
    if messages is not None:
        content["contacts"] = [{"profile": {"name": "Sara"}, "wa_id": "966500000001"}]
        content["messages"] = messages
    if statuses is not None:
        content["statuses"] = statuses
    change = {"field": "messages", "value": content | value}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
