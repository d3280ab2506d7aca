"""What can go wrong with records, as errors of Toril.

TorilError
├── OptionError
│   └── RecordValueError          a value that no column takes: a float as money, a time without zone
├── ConfigurationError
│   └── DatabaseSchemaError       the database has not the tables this version needs
├── UnrecoverableError
│   └── RecordNotFoundError       no such record, or one of another firm
├── RecordConflictError           a rule of the database forbids it: taken, still in use, not allowed
└── DatabaseUnavailableError      the database cannot be reached, or is locked for too long
"""

from __future__ import annotations

from toril.errors import ConfigurationError, OptionError, TorilError, UnrecoverableError


class RecordValueError(OptionError):
    """A value is not one its column takes; nothing was stored."""

    code = "bad_value"


class DatabaseSchemaError(ConfigurationError):
    """The database has no tables, or not those of this version: ``toril db upgrade`` makes them."""

    code = "database_schema"


class RecordNotFoundError(UnrecoverableError):
    """There is no such record, or it is another firm's; which of the two is never said.

    An ``UnrecoverableError``, so that a job that names such a record fails at once.
    """

    code = "record_not_found"

    def __init__(self, kind: str, record_id: str) -> None:
        self.kind, self.record_id = kind, record_id
        super().__init__(f"{kind} {record_id!r}: not found or access denied")


class RecordConflictError(TorilError):
    """The database refused a change: a unique value is taken, a record is in use, or a rule is broken."""

    code = "record_conflict"


class DatabaseUnavailableError(TorilError, ConnectionError):
    """The database could not be reached, or another process held it for too long; trying again may help."""

    code = "database_unavailable"
