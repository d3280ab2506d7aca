"""Notification jobs for tests: a job that needs no queue, and data for each type."""

from __future__ import annotations

from typing import Any

FIRM, USER = "507f1f77bcf86cd799439011", "507f191e810c19729de860ea"


class PlainJob:
    """What a processor sees of a job, keeping all it was told."""

    def __init__(
        self, data: Any, *, id: str = "17", timestamp: int = 1732400000000, attempts: int = 3
    ) -> None:
        self.id = id
        self.data = data
        self.timestamp = timestamp
        self.opts = {"attempts": attempts}
        self.attempts_made = 0
        self.progress: list[Any] = []
        self.rows: list[str] = []

    async def update_progress(self, progress: Any) -> None:
        self.progress.append(progress)

    async def log(self, row: str) -> int:
        self.rows.append(row)
        return len(self.rows)


#: A browser's keys that are none of a real one, for payloads that are not sent.
KEYS = {
    "p256dh": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM",
    "auth": "tBHItJI5svbpez7KI4CCXg",
}
SUBSCRIPTION = {
    "endpoint": "https://push.example.com/send/1",
    "keys": KEYS,
    "expirationTime": None,
}

_DATA: dict[str, dict[str, Any]] = {
    "push": {"userId": USER, "subscription": SUBSCRIPTION, "title": "جلسة", "body": "غدًا في العاشرة"},
    "in-app": {"userId": USER, "title": "فاتورة", "message": "تم السداد"},
    "sms": {"phoneNumber": "0512345678", "message": "رمز الدخول 1234"},
    "webhook": {"webhookUrl": "https://hooks.example.com/in", "payload": {"type": "invoice.paid"}},
    "bulk-push": {
        "users": [{"userId": USER, "subscription": SUBSCRIPTION}],
        "title": "إعلان",
        "body": "تحديث",
    },
}


def notification(type: str, /, **fields: Any) -> dict[str, Any]:
    """A job's data of the type; ``fields`` replace the defaults, and one that is ``...`` is left out."""
    data = {name: value for name, value in (_DATA[type] | fields).items() if value is not ...}
    return {"type": type, "data": data}
