"""What of a job's data nobody needs to see: one-time codes and links that open an account.

Views, exports and logs show ``REDACTED`` instead, and a job that completes keeps no more than that: whoever may look at
jobs must not be able to sign in as somebody else. Until then the job itself has the value, for its next attempt.

Cheap to import: the commands use it without the extras of the queues.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

REDACTED: Final = "[redacted]"

#: Characters of a template's id that are looked at; no template has one that is as long.
_LONGEST_ID: Final = 100

#: Fields of ``templateData``, as payloads and as Python write them.
TEMPLATE_SECRETS: Final[Mapping[str, tuple[str, ...]]] = {
    "otp": ("code",),
    "password_reset": ("resetUrl", "reset_url"),
}
#: Fields of a single mail that is marked ``sensitive``.
MAIL_SECRETS: Final = ("subject", "html", "text", "attachments")

#: A code in the text of an SMS: what has four digits or more, of any script. Numbers of invoices go with them.
_CODE: Final = re.compile(r"\d(?:[ -]?\d){3,}")


def template_name(template_id: str) -> str:
    """The key in ``TEMPLATES`` that ``template_id`` means: ``password-reset`` and ``passwordReset`` are names too."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|-", "_", template_id[:_LONGEST_ID]).lower()


def redacted(queue: str, data: Any) -> Any:
    """``data`` of a job of a ready-made queue without its secrets; the same object when it has none.

    A dead letter is looked into. Never raises, whatever the data is.
    """
    if not isinstance(data, Mapping):
        return data
    letter_of, inner = data.get("queue"), data.get("data")
    if isinstance(letter_of, str) and "jobId" in data:
        shown = redacted(letter_of, inner)
        return data if shown is inner else {**data, "data": shown}
    kind = data.get("type")
    rule = _RULES.get((queue, kind)) if isinstance(kind, str) else None
    if rule is None or not isinstance(inner, Mapping):
        return data
    shown = rule(inner)
    return data if shown is inner else {**data, "data": shown}


def find_redacted(queue: str, data: Mapping[str, Any]) -> str | None:
    """The path of a secret that is ``REDACTED`` itself, as in data copied from a view; None if there is none."""
    inner = data.get("data")
    if not isinstance(inner, Mapping):
        return None
    kind = data.get("type")
    if (queue, kind) == ("email", "template"):
        for key in ("templateData", "template_data"):
            values = inner.get(key)
            for name in _template_fields(inner):
                if isinstance(values, Mapping) and values.get(name) == REDACTED:
                    return f"data.{key}.{name}"
    if (queue, kind) == ("email", "transactional"):
        return next((f"data.{name}" for name in MAIL_SECRETS if inner.get(name) == REDACTED), None)
    if (queue, kind) == ("notification", "sms") and REDACTED in str(inner.get("message")):
        return "data.message"
    return None


def _without(values: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    hidden = {name: REDACTED for name in names if values.get(name) not in (None, REDACTED)}
    return {**values, **hidden} if hidden else values


def _template_fields(data: Mapping[str, Any]) -> tuple[str, ...]:
    name = data.get("templateId", data.get("template_id"))
    return TEMPLATE_SECRETS.get(template_name(name), ()) if isinstance(name, str) else ()


def _template(data: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in ("templateData", "template_data"):
        values = data.get(key)
        if isinstance(values, Mapping) and (shown := _without(values, _template_fields(data))) is not values:
            data = {**data, key: shown}
    return data


def _mail(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return _without(data, MAIL_SECRETS) if data.get("sensitive") else data


def _sms(data: Mapping[str, Any]) -> Mapping[str, Any]:
    text = data.get("message")
    if not isinstance(text, str) or (shown := _CODE.sub(REDACTED, text)) == text:
        return data
    return {**data, "message": shown}


_RULES: Final[Mapping[tuple[str, str], Callable[[Mapping[str, Any]], Mapping[str, Any]]]] = {
    ("email", "template"): _template,
    ("email", "transactional"): _mail,
    ("notification", "sms"): _sms,
}
