"""A campaign's HTML: links lead by way of us, and all else stays as it was."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toril.queues.email.links import campaign_bodies, track_links
from toril.queues.email.tracking import TrackedMail, Tracker

MAIL = TrackedMail(campaign_id="c-1", tracking_id="t-1")
TRACKER = Tracker("https://mail.firm.example", ["s" * 32])


def targets(html: str) -> list[str]:
    """Where the tracked links of ``html`` lead, in order."""
    found = re.findall(r'href="https://mail\.firm\.example/t/c/([^"]+)"', html)
    visits = [TRACKER.read("click", unescape(text)) for text in found]
    assert None not in visits
    return [visit.target for visit in visits if visit]


@pytest.mark.parametrize(
    ("link", "target"),
    [
        pytest.param('<a href="https://a.example/">x</a>', "https://a.example/", id="plain"),
        pytest.param(
            '<a href="https://a.example/p?x=1&amp;y=2#part">x</a>',
            "https://a.example/p?x=1&y=2#part",
            id="query and fragment",
        ),
        pytest.param("<a href='http://a.example'>x</a>", "http://a.example", id="single quotes"),
        pytest.param("<a href=http://a.example/b>x</a>", "http://a.example/b", id="no quotes"),
        pytest.param('<A CLASS="c" HREF = "HTTPS://a.example">x</A>', "https://a.example", id="upper case"),
        pytest.param('<area href="https://a.example">', "https://a.example", id="area"),
        pytest.param('<a href=" \nhttps://a.exa\tmple/ ">x</a>', "https://a.example/", id="white space"),
        pytest.param(
            '<a href="https://شركة.السعودية/ملف?س=١">x</a>',
            "https://xn--ogbpi5d.xn--mgberp4a5d4ar/%D9%85%D9%84%D9%81?%D8%B3=%D9%A1",
            id="another script",
        ),
        pytest.param(
            '<a href="https://a.example/%20a%2Fb">x</a>', "https://a.example/%20a%2Fb", id="encoded"
        ),
        pytest.param(
            '<a title="href=x" href="https://a.example">x</a>', "https://a.example", id="a value like it"
        ),
        pytest.param(
            '<a href="https://a.example" href="https://b.example">x</a>', "https://a.example", id="twice"
        ),
    ],
)
def test_a_link_leads_by_way_of_us(link: str, target: str) -> None:
    assert targets(track_links(f"<p>{link}</p>", TRACKER, MAIL)) == [target]


@pytest.mark.parametrize(
    "html",
    [
        '<a href="mailto:a@example.com">x</a>',
        '<a href="tel:+966112345678">x</a>',
        '<a href="#top">x</a>',
        '<a href="/relative">x</a>',
        '<a href="//a.example/x">x</a>',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="{{url}}">x</a>',
        '<a name="x">x</a>',
        "<a href>x</a>",
        '<a href="">x</a>',
        '<a href="https://">x</a>',
        '<a href="https://[::1">x</a>',
        '<a href="https://a.example:port/">x</a>',
        f'<a href="https://a.example/{"x" * 2100}">x</a>',
        '<link href="https://a.example/style.css"><img src="https://a.example/i.png">',
        '<!-- <a href="https://a.example">x</a> -->',
        '<style>a[href="https://a.example"]{}</style>',
        "text <a href=",
        "<p>no links & <b>broken",
    ],
)
def test_what_is_no_link_to_a_page_stays_as_it_is(html: str) -> None:
    assert track_links(html, TRACKER, MAIL) == html


def test_everything_around_a_link_is_copied() -> None:
    html = '<!DOCTYPE html>\r\n<p  class=x>&nbsp;<a\n id=1 href="https://a.example" style="x">ع</a>\t</p>'
    assert re.sub(r'href="[^"]+"', 'href="https://a.example"', track_links(html, TRACKER, MAIL)) == html


@given(st.text(alphabet=st.sampled_from("<>a href=\"'/&;:#?-!x\n"), max_size=200))
def test_no_html_is_too_broken(html: str) -> None:
    track_links(html, TRACKER, MAIL)
    campaign_bodies(html, TRACKER, MAIL)


def test_hostile_html_takes_linear_time() -> None:
    began = time.process_time()
    for piece in ("<a href=", '<a href="', "<a ", "</body", "{{ unsubscribe", "<!--", "&"):
        track_links(piece * 20_000, TRACKER, MAIL)
        campaign_bodies(piece * 20_000, TRACKER, MAIL)
    assert time.process_time() - began < 20


def test_the_mail_has_a_way_out_and_a_pixel_at_the_end_of_its_body() -> None:
    html, text = campaign_bodies("<html><body><p>Hi</p></body></html>", TRACKER, MAIL)
    assert html.endswith("</body></html>")
    out, pixel = TRACKER.unsubscribe_url(MAIL), TRACKER.open_url(MAIL)
    assert html.index("<p>Hi</p>") < html.index(f'<a href="{out}"') < html.index(f'<img src="{pixel}"')
    assert text == f"Hi\n\nإلغاء الاشتراك · Unsubscribe ({out})"


def test_a_mail_may_place_the_way_out_itself() -> None:
    html, text = campaign_bodies(
        '<p><a href="{{unsubscribe_url}}">Stop</a> {{ unsubscribeUrl }}</p>', TRACKER, MAIL
    )
    out = TRACKER.unsubscribe_url(MAIL)
    assert html.startswith(f'<p><a href="{out}">Stop</a> {out}</p>')
    assert "إلغاء" not in html
    assert text.startswith(f"Stop ({out})")


def test_the_text_shows_where_links_lead() -> None:
    _, text = campaign_bodies('<a href="https://a.example/x">More</a>', TRACKER, MAIL)
    assert "More (https://a.example/x)" in text
    assert "/t/o/" not in text
