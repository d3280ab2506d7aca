"""Jobs of the type wathq-contract against a register that knows, does not know, refuses and fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.email_jobs import PlainJob
from tests.support.records import add_firm
from tests.support.sync_jobs import ON_SQLITE, OTHER_FIRM, run

from toril.db.errors import RecordNotFoundError
from toril.db.models import Contract
from toril.db.models.contracts import WathqStatus
from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError, UnrecoverableError
from toril.queues.sync.definition import Vendors, sync_queue
from toril.queues.sync.wathq.client import Wathq
from toril.testing.vendors.server import HTML, Reply, VendorServer, vendor_server
from toril.testing.vendors.wathq import KEY, LEGACY, NATIONAL, NOT_FOUND, XML_NOT_FOUND, Register, company


class World:
    """A firm's contract with a company, and the register."""

    def __init__(self, database: Database, server: VendorServer, register: Register) -> None:
        self.database, self.server, self.register = database, server, register
        self.firm_id = self.contract_id = ""
        self.mono = 1.0
        self.queue = self.open(KEY)

    def open(self, key: str) -> Any:
        wathq = Wathq(key, base_url=self.server.url, mono=lambda: self.mono)
        return sync_queue(database=self.database, vendors=Vendors(rates=(), wathq=wathq))

    async def begin(self, **values: Any) -> None:
        contract = {
            "number": "C-1",
            "title": "Retainer",
            "counterparty_name": "المثال للمحاماه",
            "counterparty_registration": NATIONAL,
        }
        async with self.database.session() as session:
            firm = await add_firm(session)
            row = Contract(**{"firm_id": firm.id, **contract, **values})
            session.add(row)
        self.firm_id, self.contract_id = firm.id, row.id

    async def check(self, job: PlainJob | None = None, **changes: Any) -> dict[str, Any]:
        data = {"contractId": self.contract_id, "firmId": self.firm_id} | changes
        return await run(self.queue, "wathq-contract", data, job=job)

    async def contract(self) -> Contract:
        async with self.database.reading() as session:
            return await session.get_one(Contract, self.contract_id)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    register = Register()
    async with vendor_server(register.answer) as server:
        made = World(database, server, register)
        yield made
        await made.queue.close()


async def test_a_company_that_is_active_and_has_the_name_is_verified(world: World) -> None:
    await world.begin()
    job = PlainJob(None)
    first = await world.check(job)
    assert first == {
        "success": True,
        "contractId": world.contract_id,
        "status": "verified",
        "verified": True,
        "crNationalNumber": NATIONAL,
    }
    assert job.progress[-1] == 100
    contract = await world.contract()
    assert contract.wathq_status is WathqStatus.VERIFIED
    assert contract.wathq_checked_at is not None
    assert contract.wathq_answer == company()
    assert await world.check() == first


async def test_an_answer_is_paid_for_once_a_day(world: World) -> None:
    await world.begin()
    await world.check()
    world.mono += 24 * 3600 - 1
    await world.check()
    assert len(world.server.requests) == 1
    world.mono += 2
    await world.check()
    assert len(world.server.requests) == 2


@ON_SQLITE
async def test_an_old_registration_number_is_looked_up_first(world: World) -> None:
    await world.begin(counterparty_registration=LEGACY)
    assert (await world.check())["crNationalNumber"] == NATIONAL
    assert [request.path.split("/")[2] for request in world.server.requests] == ["crNationalNumber", "info"]


@ON_SQLITE
@pytest.mark.parametrize(
    ("changes", "name", "status"),
    [
        ({"status": {"id": 2, "name": "مشطوب"}}, "المثال للمحاماه", "inactive"),
        ({"status": {"id": 3, "name": ""}}, "المثال للمحاماه", "inactive"),
        ({"status": {"id": 1}}, "المثال للمحاماه", "verified"),
        ({"status": {"id": 1, "name": "Active"}, "name": "Al Mithal Law Co"}, "Al Mithal Law", "verified"),
        ({"name": "شركة النخبة للمقاولات"}, "المثال للمحاماه", "mismatch"),
        ({"name": None}, "المثال للمحاماه", "mismatch"),
        ({}, "Al Mithal Law", "mismatch"),
        ({}, None, "verified"),
    ],
)
async def test_what_the_register_says_is_compared(
    world: World, changes: dict[str, Any], name: str | None, status: str
) -> None:
    world.register.companies[NATIONAL] |= changes
    await world.begin(counterparty_name=name)
    result = await world.check()
    assert (result["status"], result["verified"]) == (status, status == "verified")
    assert (await world.contract()).wathq_status == status


@ON_SQLITE
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(NOT_FOUND, id="404"),
        pytest.param(XML_NOT_FOUND, id="404 in XML"),
        pytest.param(Reply(404), id="404 with nothing"),
        pytest.param(
            Reply(400, {"code": "400.1.1", "message": '{"code":"404.2.1"}'}), id="400 with 404 inside"
        ),
    ],
)
@pytest.mark.parametrize("number", [NATIONAL, LEGACY])
async def test_a_company_that_is_not_there_is_not_found(world: World, reply: Reply, number: str) -> None:
    await world.begin(counterparty_registration=number)
    world.server.script.append(reply)
    assert (await world.check())["status"] == "not_found"
    contract = await world.contract()
    assert (contract.wathq_status, contract.wathq_answer) == ("not_found", None)


@ON_SQLITE
async def test_a_page_that_is_not_wathqs_does_not_mean_not_found(world: World) -> None:
    await world.begin()
    world.server.script.append(Reply(404, b"<html>nginx</html>"))
    with pytest.raises(UnrecoverableError, match="Check WATHQ_URL"):
        await world.check()


@pytest.mark.parametrize("number", [None, "", "123", "70012345AB"])
async def test_without_a_number_nobody_is_asked_and_the_contract_is_marked(
    world: World, number: str | None
) -> None:
    await world.begin(counterparty_registration=number)
    with pytest.raises(UnrecoverableError, match="has no unified national number or commercial registration"):
        await world.check()
    assert (await world.contract()).wathq_status is WathqStatus.ERROR
    assert not world.server.requests


@ON_SQLITE
async def test_a_verdict_of_before_stays_when_there_is_no_new_one(world: World) -> None:
    await world.begin(wathq_status=WathqStatus.VERIFIED)
    world.server.script.append(Reply(400, {"code": "400.1.2", "message": "bad number"}))
    with pytest.raises(UnrecoverableError, match="bad number"):
        await world.check()
    assert (await world.contract()).wathq_status is WathqStatus.VERIFIED


@ON_SQLITE
@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_fails_at_once_and_marks_nothing(world: World, status: int) -> None:
    await world.begin()
    world.queue = world.open("not-the-key")
    if status == 403:
        world.server.script.append(Reply(403, {"code": "403.1.1", "message": "not subscribed"}))
    with pytest.raises(NotConfiguredError, match="Check WATHQ_API_KEY") as caught:
        await world.check()
    assert "not-the-key" not in str(caught.value)
    assert (await world.contract()).wathq_status is None


async def test_without_a_key_the_job_says_what_to_set(world: World) -> None:
    await world.begin()
    queue = sync_queue(database=world.database, vendors=Vendors(rates=()))
    data = {"contractId": world.contract_id, "firmId": world.firm_id}
    with pytest.raises(NotConfiguredError, match="set WATHQ_API_KEY"):
        await run(queue, "wathq-contract", data)
    assert (await world.contract()).wathq_status is None


@ON_SQLITE
@pytest.mark.parametrize(
    ("step", "wait"),
    [
        pytest.param(Reply(429, {"message": "quota"}, {"retry-after": "8"}), 8, id="429"),
        pytest.param(Reply(500, {"code": "500.1.1"}), None, id="500"),
        pytest.param(Reply(500), None, id="500 with nothing"),
        pytest.param(Reply(503), None, id="503"),
        pytest.param(HTML, None, id="a page"),
        pytest.param(Reply(200, b'{"crNationalNumber"'), None, id="cut JSON"),
        pytest.param(Reply(200, {}), None, id="an empty object"),
        pytest.param(Reply(200, {"message": "maintenance"}), None, id="a message with 200"),
        pytest.param(Reply(200, company(status=None)), None, id="no status"),
        pytest.param(Reply(200, company(crNationalNumber="7009999999")), None, id="another company"),
        pytest.param("drop", None, id="connection cut"),
    ],
)
async def test_a_passing_fault_is_tried_again_and_marks_nothing(
    world: World, step: Reply | str, wait: float | None
) -> None:
    await world.begin()
    world.server.script.append(step)
    with pytest.raises(RetryableError) as caught:
        await world.check()
    if wait is not None:
        assert wait <= (caught.value.retry_after or 0) <= wait * 1.25
    assert (await world.contract()).wathq_status is None
    assert (await world.check())["status"] == "verified"


@ON_SQLITE
async def test_a_failure_without_a_word_is_tried_once_more_only(world: World) -> None:
    await world.begin()
    world.server.script.append(Reply(500))
    with pytest.raises(UnrecoverableError, match="twice"):
        await world.check(PlainJob(None, attempts_made=1))
    assert (await world.contract()).wathq_status is WathqStatus.ERROR


async def test_another_firms_contract_is_not_found_and_not_looked_up(world: World) -> None:
    await world.begin()
    with pytest.raises(RecordNotFoundError, match="not found or access denied"):
        await world.check(firmId=OTHER_FIRM)
    assert not world.server.requests


@ON_SQLITE
@pytest.mark.parametrize(
    ("changes", "field"), [({"contractId": "7"}, "contractId"), ({"firmId": None}, "firmId"), ({"x": 1}, "x")]
)
async def test_a_bad_payload_names_the_field(world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(UnrecoverableError, match=field):
        await world.check(**{"contractId": OTHER_FIRM, "firmId": OTHER_FIRM} | changes)
