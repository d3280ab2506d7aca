"""Jobs of the type whatsapp-messages: each delivery is worked once, and nothing goes back."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.support.email_jobs import PlainJob
from tests.support.records import NOW, add_firm
from tests.support.sync_jobs import ON_SQLITE, run
from tests.support.sync_whatsapp import NUMBER, SENT, delivery, media, status, text

from toril.db.errors import RecordNotFoundError
from toril.db.models.whatsapp import (
    MessageDirection,
    MessageStatus,
    WhatsAppMessage,
    WhatsAppNotification,
    WhatsAppNumber,
)
from toril.db.repositories.whatsapp import WhatsAppInbox
from toril.db.session import Database
from toril.errors import UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.sync.definition import sync_queue
from toril.queues.sync.whatsapp import processor


class Inbox:
    """A firm's number, and what is delivered for it."""

    def __init__(self, database: Database, queue: QueueDefinition, firm_id: str) -> None:
        self.database, self.queue, self.firm_id = database, queue, firm_id
        self.received = 0

    async def receive(self, *payloads: Any) -> None:
        async with self.database.session() as session:
            for payload in payloads:
                self.received += 1
                digest = hashlib.sha256(json.dumps(payload).encode()).hexdigest()
                now = NOW + timedelta(seconds=self.received)
                await WhatsAppInbox(session).receive(NUMBER, digest=digest, payload=payload, now=now)

    async def run(self, **changes: Any) -> dict[str, Any]:
        data = {"firmId": self.firm_id, "phoneNumberId": NUMBER} | changes
        return await run(self.queue, "whatsapp-messages", data)

    async def messages(self) -> dict[str, WhatsAppMessage]:
        async with self.database.reading() as session:
            return {row.message_id: row for row in await session.scalars(select(WhatsAppMessage))}

    async def send(self, message_id: str, state: MessageStatus = MessageStatus.PENDING) -> None:
        async with self.database.session() as session:
            message = WhatsAppMessage(
                firm_id=self.firm_id, phone_number_id=NUMBER, message_id=message_id, type="text", status=state,
                direction=MessageDirection.OUTBOUND, sent_at=NOW,
            )  # fmt: skip
            session.add(message)

    async def waiting(self) -> int:
        async with self.database.reading() as session:
            statement = select(func.count()).where(WhatsAppNotification.processed_at.is_(None))
            return await session.scalar(statement) or 0


@pytest.fixture
async def inbox(database: Database) -> AsyncIterator[Inbox]:
    async with database.session() as session:
        firm = await add_firm(session)
        session.add(WhatsAppNumber(firm_id=firm.id, phone_number_id=NUMBER))
    queue = sync_queue(database=database)
    yield Inbox(database, queue, firm.id)
    await queue.close()


async def test_messages_are_read_with_who_sent_them_and_when(inbox: Inbox) -> None:
    await inbox.receive(delivery(messages=[text("wamid.A"), text("wamid.B", "شكرا")]))
    assert await inbox.run() == {
        "success": True,
        "syncedCount": 2,
        "totalMessages": 2,
        "statusCount": 0,
        "failedCount": 0,
    }
    first = (await inbox.messages())["wamid.A"]
    assert (first.text, first.contact, first.contact_name) == ("مرحبا", "+966500000001", "Sara")
    assert (first.type, first.direction, first.status) == ("text", "inbound", "received")
    assert first.sent_at == datetime.fromtimestamp(SENT, UTC)
    assert first.firm_id == inbox.firm_id
    assert await inbox.waiting() == 0


async def test_what_is_delivered_twice_is_stored_once(inbox: Inbox) -> None:
    await inbox.receive(delivery(messages=[text("wamid.A")]))
    await inbox.receive(delivery(messages=[text("wamid.A"), text("wamid.B")]))
    assert (await inbox.run())["syncedCount"] == 2
    await inbox.receive(delivery(messages=[text("wamid.A", "changed")], extra=1))
    result = await inbox.run()
    assert (result["syncedCount"], result["totalMessages"]) == (0, 1)
    assert (await inbox.messages())["wamid.A"].text == "مرحبا"
    assert (await inbox.run())["totalMessages"] == 0


async def test_all_waiting_deliveries_are_worked_in_batches(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "BATCH", 10)
    await inbox.receive(*(delivery(messages=[text(f"wamid.{n}")]) for n in range(25)))
    job = PlainJob(None)
    data = {"firmId": inbox.firm_id, "phoneNumberId": NUMBER}
    assert (await run(inbox.queue, "whatsapp-messages", data, job=job))["syncedCount"] == 25
    assert [each["deliveries"] for each in job.progress[:-1]] == [10, 20]


async def test_two_jobs_at_once_share_the_work(inbox: Inbox) -> None:
    await inbox.receive(*(delivery(messages=[text(f"wamid.{n}")]) for n in range(150)))
    results = await asyncio.gather(inbox.run(), inbox.run(), inbox.run())
    assert sum(result["syncedCount"] for result in results) == 150
    assert sum(result["totalMessages"] for result in results) == 150


async def test_a_batch_that_fails_half_way_is_worked_again(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await inbox.receive(delivery(messages=[text("wamid.A")], statuses=[status("wamid.Z", "read")]))

    async def fail(*_: Any, **__: Any) -> bool:
        raise RuntimeError("the worker dies here")

    with monkeypatch.context() as patched:
        patched.setattr("toril.db.repositories.whatsapp.WhatsAppMessages.apply_status", fail)
        with pytest.raises(RuntimeError):
            await inbox.run()
    assert (await inbox.messages(), await inbox.waiting()) == ({}, 1)
    assert (await inbox.run())["syncedCount"] == 1


async def test_states_move_forward_only_in_whatever_order_they_come(inbox: Inbox) -> None:
    await inbox.send("wamid.1")
    await inbox.send("wamid.2", MessageStatus.DELIVERED)
    await inbox.receive(
        delivery(
            statuses=[status("wamid.1", "read", at=SENT + 9), status("wamid.1", "delivered", at=SENT + 5)]
        ),
        delivery(
            statuses=[status("wamid.1", "sent"), status("wamid.2", "failed"), status("wamid.9", "read")]
        ),
    )
    assert (await inbox.run())["statusCount"] == 2
    messages = await inbox.messages()
    assert (messages["wamid.9"].status, messages["wamid.9"].type) == ("read", "status")
    assert (messages["wamid.1"].status, messages["wamid.2"].status) == ("read", "delivered")
    assert messages["wamid.1"].status_at == datetime.fromtimestamp(SENT + 9, UTC)


async def test_a_failed_message_keeps_why(inbox: Inbox) -> None:
    await inbox.send("wamid.1", MessageStatus.SENT)
    errors = [{"code": 131026, "title": "Message undeliverable"}]
    await inbox.receive(delivery(statuses=[status("wamid.1", "failed", errors=errors)]))
    await inbox.run()
    message = (await inbox.messages())["wamid.1"]
    assert (message.status, message.error) == ("failed", "131026 Message undeliverable")


@pytest.mark.parametrize(
    ("message", "kind", "shown"),
    [
        (media("wamid.A", "image", id="m1", caption="الهوية"), "image", "الهوية"),
        (media("wamid.A", "document", id="m1", filename="عقد.pdf"), "document", "عقد.pdf"),
        (media("wamid.A", "audio", id="m1"), "audio", None),
        (media("wamid.A", "location", latitude=24.7, longitude=46.7, name="Office"), "location", "Office"),
        (media("wamid.A", "interactive", type="button_reply", button_reply={"id": "1", "title": "نعم"}),
         "interactive", "نعم"),
        (media("wamid.A", "button", payload="yes", text="Yes"), "interactive", "Yes"),
        (media("wamid.A", "reaction", message_id="wamid.Z", emoji="👍"), "reaction", "👍"),
        (media("wamid.A", "contacts"), "contact", None),
        (media("wamid.A", "hologram", depth=3), "unknown", None),
        (text("wamid.A", "a\x00b"), "text", "a\ufffdb"),
    ],
)  # fmt: skip
async def test_every_type_of_message_is_kept(
    inbox: Inbox, message: Any, kind: str, shown: str | None
) -> None:
    await inbox.receive(delivery(messages=[message]))
    assert (await inbox.run())["syncedCount"] == 1
    kept = (await inbox.messages())["wamid.A"]
    assert (kept.type, kept.text) == (kind, shown)
    assert kept.payload["id"] == "wamid.A"


async def test_somebody_who_hides_their_number_is_known_by_their_other_id(inbox: Inbox) -> None:
    message = text("wamid.A", from_user_id="SA.8f3kQ")
    del message["from"]
    contacts = [{"profile": {"name": "Noura"}, "user_id": "SA.8f3kQ"}]
    await inbox.receive(delivery(messages=[message], contacts=contacts))
    await inbox.run()
    kept = (await inbox.messages())["wamid.A"]
    assert (kept.contact, kept.contact_name) == ("SA.8f3kQ", "Noura")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param([1], "no notification", id="a list"),
        pytest.param({"object": "page"}, "no notification", id="of something else"),
        pytest.param(
            delivery(messages=[text("wamid.A", timestamp="soon")]), "'soon' instead of", id="no time"
        ),
        pytest.param(delivery(messages=[text("")]), "no id that can be kept", id="no id"),
        pytest.param(delivery(messages=[text("w" * 129)]), "no id that can be kept", id="long id"),
        pytest.param(delivery(statuses=[status("wamid.B", "read", at=5)]), "'5' instead of", id="status"),
    ],
)
@ON_SQLITE
async def test_what_cannot_be_read_keeps_the_reason_and_the_rest_counts(
    inbox: Inbox, payload: Any, reason: str
) -> None:
    await inbox.receive(payload, delivery(messages=[text("wamid.ok")]))
    result = await inbox.run()
    assert (result["failedCount"], result["syncedCount"]) == (1, 1)
    async with inbox.database.reading() as session:
        errors = list(await session.scalars(select(WhatsAppNotification.error)))
    assert sorted(error is None for error in errors) == [False, True]
    assert reason in next(error for error in errors if error)
    assert (await inbox.run())["failedCount"] == 0


async def test_halves_of_characters_and_nuls_are_kept_as_well_as_a_database_can(inbox: Inbox) -> None:
    await inbox.receive(delivery(messages=[text("wamid.A", "cut \ud83d", context={"id": "a\0b"})]))
    assert (await inbox.run())["syncedCount"] == 1
    assert (await inbox.messages())["wamid.A"].text == "cut ?"


@ON_SQLITE
async def test_news_of_other_kinds_is_no_error(inbox: Inbox) -> None:
    news = {
        "object": "whatsapp_business_account",
        "entry": [{"changes": [{"field": "account_update"}, 5]}, "x"],
    }
    await inbox.receive(news, delivery(statuses=[status("wamid.A", "pondered")]))
    result = await inbox.run()
    assert (result["failedCount"], result["statusCount"], await inbox.waiting()) == (0, 0, 0)


async def test_another_firms_number_is_neither_read_nor_worked(inbox: Inbox) -> None:
    await inbox.receive(delivery(messages=[text("wamid.A")]))
    async with inbox.database.session() as session:
        other = await add_firm(session)
    with pytest.raises(RecordNotFoundError, match="not found or access denied"):
        await inbox.run(firmId=other.id)
    assert await inbox.waiting() == 1


@ON_SQLITE
async def test_what_a_delivery_says_about_another_number_is_left_alone(inbox: Inbox) -> None:
    mixed = delivery(messages=[text("wamid.A")])
    mixed["entry"] += delivery(messages=[text("wamid.other")], number="999")["entry"]
    await inbox.receive(mixed)
    assert (await inbox.run())["totalMessages"] == 1
    assert set(await inbox.messages()) == {"wamid.A"}


@ON_SQLITE
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"phoneNumberId": None}, "phoneNumberId"),
        ({"phoneNumberId": 5}, "phoneNumberId"),
        ({"phoneNumberId": "1" * 65}, "phoneNumberId"),
        ({"firmId": ""}, "firmId"),
        ({"conversationId": "1"}, "conversationId"),
    ],
)
async def test_a_bad_payload_names_the_field(inbox: Inbox, changes: Any, field: str) -> None:
    with pytest.raises(UnrecoverableError, match=field):
        await inbox.run(**changes)


async def test_a_state_that_comes_before_its_message_is_kept_and_filled(inbox: Inbox) -> None:
    await inbox.receive(delivery(statuses=[status("wamid.1", "deleted"), status("wamid.2", "delivered")]))
    result = await inbox.run()
    assert (result["statusCount"], result["totalMessages"]) == (2, 0)
    assert (await inbox.messages())["wamid.2"].contact == "+966500000001"
    await inbox.receive(delivery(messages=[text("wamid.1", "Hello")]))
    assert (await inbox.run())["syncedCount"] == 1
    message = (await inbox.messages())["wamid.1"]
    assert (message.text, message.type, message.status, message.direction) == (
        "Hello",
        "text",
        "deleted",
        "inbound",
    )
    await inbox.receive(delivery(messages=[text("wamid.1", "Hello again")], statuses=[]))
    assert (await inbox.run())["syncedCount"] == 0
    assert (await inbox.messages())["wamid.1"].text == "Hello"


async def test_what_waits_for_any_number_is_read_without_naming_it(inbox: Inbox) -> None:
    async with inbox.database.session() as session:
        firm = await add_firm(session)
        session.add(WhatsAppNumber(firm_id=firm.id, phone_number_id="400500600"))
        await session.flush()
        await WhatsAppInbox(session).receive(
            "400500600",
            digest="d" * 64,
            payload=delivery(messages=[text("wamid.7")], number="400500600"),
            now=NOW,
        )
    await inbox.receive(delivery(messages=[text("wamid.1")]), {"object": "something else"})
    result = await run(inbox.queue, "whatsapp-inbox", {})
    assert (result["numberCount"], result["syncedCount"], result["failedCount"]) == (2, 2, 1)
    assert (await inbox.messages())["wamid.7"].firm_id == firm.id
    assert await inbox.waiting() == 0
    assert (await run(inbox.queue, "whatsapp-inbox", {}))["numberCount"] == 0
