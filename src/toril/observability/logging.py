"""Log lines for the commands: for people on a terminal, or one JSON object a line.

Toril's own lines are an event's name and fields (``log.info("worker_started", extra={...})``), perhaps with a
sentence after a colon. Both forms show the fields; lines of other libraries and of jobs pass through as well.
Libraries do not configure logging, so only commands call ``configure``.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

_EVENT = re.compile(r"([a-z][a-z0-9]*(?:_[a-z0-9]+)*)(?:: (.*))?", re.DOTALL)
#: What every record has; the rest came with ``extra``.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: Control characters but tab and newline; line separators; what turns the direction of writing around.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_NEEDS_QUOTES = re.compile(r'[\s="]|^$')
_COLOURS: Final = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send all log lines to ``stream`` (standard error), replacing what was set up before.

    Args:
        level: debug, info, warning or error.
        form: ``text`` for people, coloured on a terminal unless NO_COLOR is set; ``json`` for machines.
    """
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    handler.setFormatter(JsonLines() if form == "json" else TextLines(colour=_wants_colour(target)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Which selector asyncio uses is of no use to anybody who debugs jobs.
    logging.getLogger("asyncio").setLevel(max(logging.INFO, root.level))
    logging.captureWarnings(True)


class TextLines(logging.Formatter):
    """``12:30:01.123 INFO    worker_started queue=video concurrency=4``, in local time."""

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        time = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"
        level = f"{record.levelname:<7}"
        if self._colour:
            time, level = _paint(time, "2"), _paint(level, _COLOURS.get(record.levelname, "0"))
        message = record.getMessage()
        fields = {
            name: value for name, value in fields_of(record).items() if not _is_told(name, value, message)
        }
        texts = [" ".join([message, *(f"{name}={_value(value)}" for name, value in fields.items())])]
        if record.exc_info:
            texts.append(self.formatException(record.exc_info))
        # Further lines are indented, so that a job's text cannot pass for a line of ours.
        return f"{time} {level} {harmless(chr(10).join(texts)).replace(chr(10), chr(10) + '    ')}"


class JsonLines(logging.Formatter):
    """One object a line: time (UTC, ISO 8601), level, logger, event, message, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        event = _EVENT.fullmatch(text) if record.name.startswith("toril") else None
        if event:
            line["event"] = event[1]
        if not event or event[2]:
            line["message"] = event[2] if event else text
        line |= fields_of(record)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a record was given as ``extra``, without the event's name, which its message has."""
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and name != "event" and not name.startswith("_")
    }


def harmless(text: str) -> str:
    """Text from outside with its control characters made visible, so that it cannot drive a terminal."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if _NEEDS_QUOTES.search(value) else value
    return json.dumps(value, ensure_ascii=False, default=str)


def _is_told(name: str, value: Any, message: str) -> bool:
    return name in ("error", "reason") and isinstance(value, str) and value in message


def _paint(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m"


def _wants_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
