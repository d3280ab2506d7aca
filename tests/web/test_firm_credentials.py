"""Credentials of firms over HTTP: for the firm's administrators, and shown to nobody."""

from __future__ import annotations

import pytest
from tests.support.web_people import Office
from tests.web.test_application_endpoints import office  # noqa: F401 - a fixture

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOYASAR = {"values": {"secretKey": "sk_live_hidden"}}


async def test_an_administrator_sets_those_of_their_own_firm_only(office: Office) -> None:  # noqa: F811
    stored = await office.manager.put("/api/credentials/moyasar", json=MOYASAR)
    assert stored.status_code == 200
    assert stored.json()["data"]["isSet"] is True
    listed = await office.manager.get("/api/credentials")
    assert [each["service"] for each in listed.json()["data"] if each["isSet"]] == ["moyasar"]
    assert "sk_live" not in stored.text + listed.text
    other = await office.manager.put(f"/api/credentials/stripe?firmId={office.firm_id}", json=MOYASAR)
    assert other.status_code == 404
    theirs = await office.root.get(f"/api/credentials?firmId={office.firm_id}")
    assert not any(each["isSet"] for each in theirs.json()["data"])


async def test_who_is_no_administrator_neither_sees_nor_sets_them(office: Office) -> None:  # noqa: F811
    assert (await office.lawyer.get("/api/credentials")).status_code == 403
    assert (await office.lawyer.put("/api/credentials/moyasar", json=MOYASAR)).status_code == 403
    assert (await office.lawyer.delete("/api/credentials/moyasar")).status_code == 403
    assert (await office.nobody.put("/api/credentials/moyasar", json=MOYASAR)).status_code == 401


async def test_a_firm_or_a_service_that_is_not_there_is_not_found(office: Office) -> None:  # noqa: F811
    assert (
        await office.root.put(f"/api/credentials/moyasar?firmId={'f' * 24}", json=MOYASAR)
    ).status_code == 404
    assert (await office.manager.put("/api/credentials/paypal", json=MOYASAR)).status_code == 404
    refused = await office.manager.put("/api/credentials/lean", json=MOYASAR)
    assert refused.status_code == 400
    assert "sk_live" not in refused.text
