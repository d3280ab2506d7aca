"""At the end of a worker's process no connection to an outside service is left open."""

from __future__ import annotations

import gc
from pathlib import Path

import httpx
import pytest

from toril.db.session import Database
from toril.installation import open_installation
from toril.queues.sync.choice import choose_vendors
from toril.queues.sync.definition import sync_queue
from toril.queues.sync.zatca import choose_zatca
from toril.settings import Settings

ENVIRONMENT = {
    "EXCHANGE_RATE_API_KEY": "key",
    "STRIPE_SECRET_KEY": "key",
    "MOYASAR_SECRET_KEY": "key",
    "HYPERPAY_ACCESS_TOKEN": "token",
    "HYPERPAY_MADA_ENTITY_ID": "entity",
    "LEAN_CLIENT_ID": "id",
    "LEAN_CLIENT_SECRET": "secret",
    "LEAN_APP_TOKEN": "app",
    "SADAD_URL": "https://api.bank.example",
    "SADAD_TOKEN_URL": "https://auth.bank.example/token",
    "SADAD_CLIENT_ID": "id",
    "SADAD_CLIENT_SECRET": "secret",
    "SADAD_BILL_PATH": "/bills/{bill}",
    "SADAD_FIELDS": "status=/status amount=/amount",
    "SADAD_PAID": "PAID",
    "SADAD_UNPAID": "NEW",
    "WATHQ_API_KEY": "key",
    "ZATCA_ENVIRONMENT": "sandbox",
    "ZATCA_KEY": "k" * 32,
}
#: Rates three times, Stripe, Moyasar, HyperPay, Lean and the bills with two each, Wathq, ZATCA.
CLIENTS = 12


def clients() -> set[int]:
    return {id(each) for each in gc.get_objects() if isinstance(each, httpx.AsyncClient)}


def opened_since(before: set[int]) -> list[httpx.AsyncClient]:
    gc.collect()
    found = [each for each in gc.get_objects() if isinstance(each, httpx.AsyncClient)]
    return [each for each in found if id(each) not in before]


def settings(home: Path, url: str) -> Settings:
    return Settings.from_env({**ENVIRONMENT, "TORIL_HOME": str(home), "REDIS_URL": url})


async def test_an_installation_closes_the_clients_of_all_services(tmp_path: Path, server_url: str) -> None:
    before = clients()
    async with open_installation(settings(tmp_path, server_url)) as installation:
        assert "sync" in installation.service.definitions
        made = opened_since(before)
        assert len(made) >= CLIENTS
        assert not any(client.is_closed for client in made)
    assert [client for client in made if not client.is_closed] == []


async def test_a_definition_closes_its_clients_and_may_do_so_twice(tmp_path: Path) -> None:
    before = clients()
    database = Database(home=tmp_path)
    zatca = choose_zatca(database, folder=tmp_path, zatca_environment="sandbox", zatca_key="k" * 32)
    queue = sync_queue(database=database, vendors=choose_vendors(moyasar_secret_key="key", zatca=zatca))
    made = opened_since(before)
    assert len(made) == 4
    await queue.close()
    await queue.close()
    assert all(client.is_closed for client in made)


async def test_a_client_that_cannot_be_closed_keeps_no_other_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = clients()
    vendors = choose_vendors(stripe_secret_key="key", wathq_api_key="key")
    made = opened_since(before)

    async def fail() -> None:
        raise OSError("the connection was gone")

    # The first and the last, whatever the order.
    monkeypatch.setattr(vendors.rates[0], "close", fail)
    monkeypatch.setattr(vendors.wathq, "close", fail)
    queue = sync_queue(database=Database(home=tmp_path), vendors=vendors)
    with pytest.raises(OSError, match="the connection was gone"):
        await queue.close()
    assert sum(client.is_closed for client in made) == len(made) - 2
    monkeypatch.undo()
    await queue.close()
