"""Published messages as Bull 4 and Toril write them, and older Bulls wrote them."""

from __future__ import annotations

from typing import Any

import orjson

from toril.engine.codec import decode, to_text

#: Events whose channel ends with the sender's token, and whose message is the job's id.
TOKEN_EVENTS = ("waiting", "active", "stalled", "duplicated", "debounced")


def read_message(event: str, payload: bytes) -> tuple[str | None, Any, str | None]:
    """Job id, value and the value's text; None for what an event of this kind does not have.

    The value of ``completed`` is read from its JSON text, that of ``failed`` is the reason, of ``progress`` the
    progress, of ``delayed`` the due time in ms.

    Raises:
        ValueError: it is not what such a message should be.
    """
    if event in TOKEN_EVENTS:
        return to_text(payload), None, None
    if event == "delayed":
        return None, _due(payload), None
    if event not in ("completed", "failed", "progress"):
        return None, None, None
    job_id, body = _read_object(event, payload)
    if event == "progress":
        return job_id, body.get("progress"), None
    val = body.get("val")
    text = val if val is None or isinstance(val, str) else orjson.dumps(val).decode()
    return job_id, text if event == "failed" else _value(text), text


def _due(payload: bytes) -> float:
    try:
        return float(payload)
    except ValueError:
        raise ValueError("the message is not a number") from None


def _read_object(event: str, payload: bytes) -> tuple[str, dict[str, Any]]:
    try:
        body = decode(payload)
    except ValueError:
        body = None
    if isinstance(body, dict) and isinstance(body.get("jobId"), str | int):
        return str(body["jobId"]), body
    job_id, comma, rest = payload.partition(b",")
    if event == "progress" and comma:  # the form of older Bulls: id,JSON
        return to_text(job_id), {"progress": decode(rest)}
    raise ValueError("the message is not an object with a jobId")


def _value(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return decode(text)
    except ValueError:  # Node takes it for no value
        return None
