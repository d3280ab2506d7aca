"""Jobs of the type currency-rates against publishers that answer, refuse, limit and fail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import func, select
from tests.support.email_jobs import PlainJob
from tests.support.sync_jobs import ON_SQLITE, run

from toril.db.models.banking import CurrencyRate
from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError, UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.sync.currency.processor import RateKeeper
from toril.queues.sync.currency.providers import ErApi, Frankfurter
from toril.queues.sync.definition import Vendors, sync_queue
from toril.queues.sync.payloads import CurrencyRates
from toril.testing.vendors.rates import KEY, Rates
from toril.testing.vendors.server import HTML, Reply, VendorServer, vendor_server

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass
class World:
    """The publishers, and the queue that asks them."""

    first: VendorServer
    second: VendorServer
    queue: QueueDefinition
    rates: Rates
    database: Database
    keeper: RateKeeper
    mono: list[float] = field(default_factory=lambda: [0.0])


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    rates = Rates()
    async with vendor_server(rates.er_api) as first, vendor_server(rates.frankfurter) as second:
        providers = (ErApi(base_url=first.url), Frankfurter(base_url=second.url))
        mono = [0.0]
        queue = sync_queue(database=database, vendors=Vendors(rates=providers))
        keeper = RateKeeper(database, providers, clock=lambda: NOW, mono=lambda: mono[0])
        yield World(first, second, queue, rates, database, keeper, mono)
        await queue.close()


async def stored(world: World) -> dict[str, CurrencyRate]:
    async with world.database.reading() as session:
        return {rate.currency: rate for rate in await session.scalars(select(CurrencyRate))}


async def test_todays_rates_are_stored_to_the_last_digit(world: World) -> None:
    job = PlainJob(None)
    result = await run(world.queue, "currency-rates", {}, job=job)
    assert result == {
        "success": True,
        "baseCurrency": "SAR",
        "ratesCount": 17,
        "provider": "open.er-api.com",
        "asOf": "2026-03-01",
        "missing": [],
        "held": [],
    }
    rates = await stored(world)
    assert rates["USD"].rate == Decimal("0.26666667")
    assert (rates["USD"].as_of, rates["USD"].source) == (date(2026, 3, 1), "open.er-api.com")
    assert "SAR" not in rates
    assert "XOF" not in rates
    assert job.progress[-1] == 100


async def test_a_second_run_stores_nothing_twice_and_takes_what_is_corrected(world: World) -> None:
    await run(world.queue, "currency-rates", {"baseCurrency": "SAR"})
    world.rates.rates["EUR"] = "0.2265"
    await run(world.queue, "currency-rates", {"baseCurrency": "SAR"})
    rates = await stored(world)
    assert rates["EUR"].rate == Decimal("0.2265")
    async with world.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(CurrencyRate)) == 17


@ON_SQLITE
async def test_with_a_key_the_keyed_service_is_asked_and_the_key_never_shown(world: World) -> None:
    keyed, strange = (ErApi(key, base_url=world.first.url) for key in (KEY, "not-the-key"))
    keeper, refused = RateKeeper(world.database, [keyed]), RateKeeper(world.database, [strange])
    result = await keeper(CurrencyRates(), PlainJob(None))
    assert result["provider"] == "exchangerate-api.com"
    with pytest.raises(NotConfiguredError, match="check EXCHANGE_RATE_API_KEY") as caught:
        await refused(CurrencyRates(), PlainJob(None))
    assert "not-the-key" not in str(caught.value)
    await keyed.close()
    await strange.close()


@ON_SQLITE
@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(Reply(500, {"result": "error"}), id="500"),
        pytest.param(Reply(502, b"<html>bad gateway</html>"), id="502"),
        pytest.param(HTML, id="a page instead of JSON"),
        pytest.param(Reply(200, b'{"result":"success","base_code":"SAR","rates":{"USD"'), id="cut JSON"),
        pytest.param(Reply(200, {"result": "success", "base_code": "USD", "rates": {}}), id="other base"),
        pytest.param(Reply(200, {"result": "error", "error-type": "quota-reached"}), id="error under 200"),
        pytest.param(Reply(200, b"[]"), id="no object"),
        pytest.param("refuse", id="connection cut"),
        pytest.param("cut", id="half an answer"),
    ],
)
async def test_when_one_publisher_fails_the_next_one_is_asked(world: World, failure: Reply | str) -> None:
    world.first.script.append(failure)
    result = await run(world.queue, "currency-rates")
    assert (result["provider"], result["ratesCount"]) == ("frankfurter.dev", 17)
    rates = await stored(world)
    assert rates["TRY"].as_of == date(2026, 2, 27)
    assert rates["USD"].as_of == date(2026, 3, 2)


@ON_SQLITE
@pytest.mark.parametrize(
    ("code", "rate"),
    [
        ("USD", "0.3"),
        ("EUR", "0"),
        ("EUR", "-1"),
        ("EUR", "1e99"),
        ("EUR", "1e-99"),
        ("EUR", '"0.2"'),
        ("SAR", "2"),
    ],
)
async def test_rates_that_cannot_be_right_are_not_stored(world: World, code: str, rate: str) -> None:
    world.rates.rates[code] = rate
    world.second.script.append(Reply(503))
    with pytest.raises(RetryableError, match="nobody has the rates of SAR now; those stored before stay"):
        await run(world.queue, "currency-rates")
    assert await stored(world) == {}


async def test_a_rate_that_jumps_is_held_and_the_others_are_stored(world: World) -> None:
    await world.keeper(CurrencyRates(), PlainJob(None))
    world.rates.rates |= {"EGP": "19.5", "JPY": "42"}
    job = PlainJob(None)
    result = await world.keeper(CurrencyRates(), job)
    assert (result["held"], result["ratesCount"]) == (["EGP"], 16)
    assert job.rows == ["not stored, as it moved by more than a fifth: EGP: 19.5 after 12.9 on 2026-03-01"]
    rates = await stored(world)
    assert (rates["EGP"].rate, rates["JPY"].rate) == (Decimal("12.9"), Decimal(42))


@ON_SQLITE
async def test_currencies_without_a_rate_are_named(world: World) -> None:
    del world.rates.rates["PKR"]
    result = await run(world.queue, "currency-rates")
    assert (result["missing"], result["ratesCount"]) == (["PKR"], 16)


@ON_SQLITE
async def test_a_publisher_that_limits_us_is_left_alone_for_as_long_as_it_says(world: World) -> None:
    world.first.script.append(Reply(429, {"message": "slow down"}, {"retry-after": "300"}))
    await world.keeper(CurrencyRates(), PlainJob(None))
    world.second.script.append(Reply(429, b""))
    with pytest.raises(RetryableError, match="asked us to wait") as caught:
        await world.keeper(CurrencyRates(), PlainJob(None))
    assert len(world.first.requests) == 1
    assert 300 <= (caught.value.retry_after or 0) <= 375  # the sooner of the two
    world.mono[0] = 376.0
    assert (await world.keeper(CurrencyRates(), PlainJob(None)))["provider"] == "open.er-api.com"


async def test_when_nobody_can_be_reached_the_stored_rates_stay_and_the_job_tries_again(world: World) -> None:
    await run(world.queue, "currency-rates")
    before = {code: rate.rate for code, rate in (await stored(world)).items()}
    world.first.script.append("refuse")
    world.second.script.append("refuse")
    with pytest.raises(RetryableError) as caught:
        await run(world.queue, "currency-rates")
    assert caught.value.retry_after is None
    assert {code: rate.rate for code, rate in (await stored(world)).items()} == before


@ON_SQLITE
async def test_a_base_that_nobody_has_fails_at_once(world: World) -> None:
    with pytest.raises(UnrecoverableError, match=r"unsupported-code.*HTTP 422"):
        await run(world.queue, "currency-rates", {"baseCurrency": "USD"})


@ON_SQLITE
@pytest.mark.parametrize("base", ["XXX", "S/R", "", 5, "SARR"])
async def test_a_base_that_is_none_is_refused_before_anybody_is_asked(world: World, base: object) -> None:
    with pytest.raises(UnrecoverableError, match="baseCurrency"):
        await run(world.queue, "currency-rates", {"baseCurrency": base})
    assert not world.first.requests
