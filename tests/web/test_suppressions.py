"""The list of addresses that get no more mail: over HTTP, and by the links in mails."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.web_people import Office
from tests.web.test_application_endpoints import office  # noqa: F401 - a fixture

from toril.db.ids import new_id
from toril.db.models import MailSuppression, SuppressionReason
from toril.db.repositories.suppressions import Suppressions
from toril.queues.email.tracking import ListMember

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def reasons(office: Office, email: str, firm_id: str | None) -> SuppressionReason | None:  # noqa: F811
    async with office.api.web.installation.database.reading() as session:
        return (await Suppressions(session).find([email], firm_id=firm_id)).get(email)


async def test_an_administrator_keeps_the_list_of_their_own_firm_only(office: Office) -> None:  # noqa: F811
    added = await office.manager.post("/api/suppressions", json={"email": "Sara <No-More@client.example>"})
    assert added.status_code == 201
    own = added.json()["data"]
    assert (own["email"], own["reason"]) == ("no-more@client.example", "unsubscribed")
    assert own["firmId"] not in (None, office.firm_id)
    assert await reasons(office, "no-more@client.example", office.firm_id) is None
    assert await reasons(office, "no-more@client.example", own["firmId"]) == "unsubscribed"

    path = "/api/suppressions/no-more@client.example"
    everywhere = await office.root.post(
        "/api/suppressions", json={"email": "no-more@client.example", "reason": "complained"}
    )
    assert everywhere.json()["data"]["firmId"] is None
    listed = await office.manager.get("/api/suppressions?email=no-more@client.example")
    assert [each["reason"] for each in listed.json()["data"]] == ["unsubscribed"]
    assert (await office.root.get("/api/suppressions?email=no-more@client.example")).json()["total"] == 2
    other = await office.manager.delete(f"{path}?firmId={office.firm_id}")
    assert other.status_code == 404
    assert (await office.manager.delete(path)).status_code == 200
    assert (await office.manager.delete(path)).status_code == 404
    # What stops all firms' mail is not one firm's to take away, nor to put there.
    assert await reasons(office, "no-more@client.example", own["firmId"]) == "complained"
    refused = await office.manager.post(
        "/api/suppressions", json={"email": "a@client.example", "reason": "bounced"}
    )
    assert refused.status_code == 403
    assert (await office.root.delete(path)).status_code == 200
    assert await reasons(office, "no-more@client.example", None) is None


async def test_an_address_on_the_lists_of_many_firms_is_added_to_that_of_all_again(office: Office) -> None:  # noqa: F811
    address = {"email": "everywhere@client.example"}
    assert (await office.root.post("/api/suppressions", json=address)).status_code == 201
    async with office.api.web.installation.database.session() as session:
        session.add_all(
            MailSuppression(**address, scope=new_id(), reason=SuppressionReason.UNSUBSCRIBED)
            for _ in range(201)
        )
    again = await office.root.post("/api/suppressions", json=address)
    assert (again.status_code, again.json()["data"]["firmId"]) == (201, None)


async def test_an_address_with_a_slash_is_taken_off_again(office: Office) -> None:  # noqa: F811
    assert (
        await office.manager.post("/api/suppressions", json={"email": "a/b@client.example"})
    ).status_code == 201
    for path in ("a%2Fb@client.example", "a/b@client.example"):
        expected = 200 if path.startswith("a%") else 404
        assert (await office.manager.delete(f"/api/suppressions/{path}")).status_code == expected


async def test_a_link_of_a_bulk_mail_asks_first_and_a_post_unsubscribes_at_once(office: Office) -> None:  # noqa: F811
    member = ListMember(email="Reader@client.example", firm_id=office.firm_id)
    url = office.api.web.tracker.leave_url(member)
    path = url.removeprefix(office.api.web.tracker.public_url)
    page = await office.nobody.get(path)
    assert page.status_code == 200
    assert '<form method="post">' in page.text
    assert (await office.nobody.head(path)).status_code == 200
    assert await reasons(office, "reader@client.example", office.firm_id) is None
    for _ in range(2):
        done = await office.nobody.post(path, content=b"List-Unsubscribe=One-Click")
        assert done.status_code == 200
    assert await reasons(office, "reader@client.example", office.firm_id) == "unsubscribed"
    forged = path[:-1] + ("A" if path[-1] != "A" else "B")
    assert (await office.nobody.post(forged)).status_code == 404


async def test_a_flood_of_requests_with_one_link_is_turned_away(office: Office) -> None:  # noqa: F811
    url = office.api.web.tracker.leave_url(ListMember(email="flood@client.example"))
    path = url.removeprefix(office.api.web.tracker.public_url)
    answers = await asyncio.gather(*(office.nobody.post(path) for _ in range(60)))
    told = [answer.status_code for answer in answers]
    assert 429 in told  # one minute's 20, or two if the minute ended on the way
    assert told.count(200) <= 40
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 429)
