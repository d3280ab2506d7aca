"""The installation's secret is replaced: nobody is signed out, no link breaks, and the old one makes nothing new."""

from __future__ import annotations

from dataclasses import replace

from tests.support.web_site import open_site

from toril.queues.email.tracking import ListMember, TrackedMail
from toril.settings import Settings
from toril.web.files import LinkedFile

OLD, NEW = "the old secret of the tests, long enough", "the new secret of the tests, long enough"
MAIL = TrackedMail(campaign_id="c1", tracking_id="t1")
MEMBER = ListMember(email="a@client.example", firm_id="f1")


async def test_what_the_old_secret_signed_is_good_while_it_is_among_the_previous(
    site_settings: Settings,
) -> None:
    async with open_site(replace(site_settings, secret=OLD)) as site:
        await site.add_user()
        tokens, files = await site.sign_in(), site.web.installation.files
        stored = await files.save(firm_id="f1", folder="pdf", name="a.pdf", content=b"%PDF")
        link, _ = site.web.links.make(LinkedFile(path=stored.path, name="a.pdf"))
        click = site.web.tracker.click_url(MAIL, "https://firm.example/offer")
        leave = site.web.tracker.leave_url(MEMBER)
    async with open_site(replace(site_settings, secret=NEW, secret_previous=(OLD,))) as site:
        assert (await site.call("GET", "/api/auth/me", tokens["accessToken"])).status_code == 200
        assert (await site.client.get(link)).content == b"%PDF"
        visit = site.web.tracker.read("click", click.rpartition("/")[2])
        assert visit is not None
        assert visit.target == "https://firm.example/offer"
        assert site.web.tracker.read_leave(leave.rpartition("/")[2]) == MEMBER
        answer = await site.client.post("/api/auth/refresh", json={"refreshToken": tokens["refreshToken"]})
        assert answer.status_code == 200, answer.text
        renewed = answer.json()["data"]
        newer, _ = site.web.links.make(LinkedFile(path=stored.path, name="a.pdf"))
    async with open_site(replace(site_settings, secret=NEW)) as site:
        assert (await site.call("GET", "/api/auth/me", renewed["accessToken"])).status_code == 200
        assert (await site.client.get(newer)).content == b"%PDF"
        answer = await site.client.post("/api/auth/refresh", json={"refreshToken": renewed["refreshToken"]})
        assert answer.status_code == 200, answer.text
        assert (await site.call("GET", "/api/auth/me", tokens["accessToken"])).status_code == 401
        assert (await site.client.get(link)).status_code == 404
        assert site.web.tracker.read("click", click.rpartition("/")[2]) is None
        assert site.web.tracker.read_leave(leave.rpartition("/")[2]) is None
