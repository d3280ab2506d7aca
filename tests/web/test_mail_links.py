"""Links in campaign mail lead on, whatever else is the matter."""

from __future__ import annotations

import asyncio

from tests.support.web_site import Site

from toril.queues.email.tracking import TrackedMail


async def test_a_link_leads_on_while_its_visit_cannot_be_counted(site: Site) -> None:
    target = "https://firm.example/brief?a=1&b=%D8%A3"
    url = site.web.tracker.click_url(TrackedMail(campaign_id="campaign", tracking_id="mail"), target)
    async with site.web.installation.database.session(), asyncio.timeout(60):
        response = await site.client.get(url)
    assert (response.status_code, response.headers["location"]) == (302, target)


async def test_a_link_that_was_changed_leads_nowhere(site: Site) -> None:
    mail = TrackedMail(campaign_id="campaign", tracking_id="mail")
    url = site.web.tracker.click_url(mail, "https://firm.example/")
    head, signature = url.rsplit(".", 1)
    opened = site.web.tracker.open_url(mail)
    for changed in (
        f"{head}.{signature[::-1]}",
        f"{head[:-1]}A.{signature}",
        url[:-1],
        opened.replace("/t/o/", "/t/c/"),
    ):
        response = await site.client.get(changed)
        assert response.status_code == 404
        assert "location" not in response.headers
