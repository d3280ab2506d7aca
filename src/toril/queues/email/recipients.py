"""Who of a bulk job gets a mail, and what each mail is called in the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from toril.errors import OptionError
from toril.queues.email.addresses import Mailbox, parse_mailbox
from toril.queues.email.payloads import BulkRecipient

MAX_NAME = 500  #: characters of a name beside an address; a longer one is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One recipient.

    Attributes:
        index: place in the job's list.
        given: as the job has it.
        box: whom to write to; None when the address is none.
        key: the mail's name in the ledger, the same for every attempt; two entries have the same when they are
            the same in all, and get one mail.
        error: why it gets none.
    """

    index: int
    given: BulkRecipient
    box: Mailbox | None = None
    key: str = ""
    error: str = ""


def entries_of(recipients: Sequence[BulkRecipient]) -> list[Entry]:
    """An entry for each recipient, in order."""
    entries = []
    keys: dict[tuple[str, frozenset[tuple[str, str]]], str] = {}
    times: Counter[str] = Counter()
    for index, given in enumerate(recipients):
        try:
            box = _box(given)
        except OptionError as error:
            entries.append(Entry(index=index, given=given, error=str(error)))
            continue
        address = box.address.lower()
        mail = (address, frozenset((given.values | {"email": address}).items()))
        if mail not in keys:
            times[address] += 1
            # Somebody who is listed twice with different values, such as two cases, gets two mails.
            keys[mail] = address if times[address] == 1 else f"{address} #{times[address]}"
        entries.append(Entry(index=index, given=given, box=box, key=keys[mail]))
    return entries


def first_of_each(entries: Sequence[Entry]) -> list[Entry]:
    """The entries that get a mail, those that equal an earlier one left out."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.key:
            found.setdefault(entry.key, entry)
    return list(found.values())


def _box(given: BulkRecipient) -> Mailbox:
    box = parse_mailbox(given.email)
    if box.name or not given.name or len(given.name) > MAX_NAME:
        return box
    try:
        return Mailbox(box.address, given.name)
    except OptionError:
        return box  # a name that cannot stand in a header: the address alone will do
