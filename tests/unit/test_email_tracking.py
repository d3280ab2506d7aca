"""Signed links: what we made is read back, and nothing else is."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toril.errors import ConfigurationError, OptionError
from toril.queues.email.tracking import PATHS, PIXEL, TrackedMail, Tracker, TrackingVisit

SECRET = "s" * 32
MAIL = TrackedMail(campaign_id="507f1f77bcf86cd799439011", tracking_id="t-1")
TARGET = "https://firm.example/a?x=1&y=%D8%A7#part"


@pytest.fixture
def tracker() -> Tracker:
    return Tracker("https://mail.firm.example/app/", [SECRET])


def signed(url: str) -> str:
    return url.rpartition("/")[2]


def test_links_begin_with_the_public_url(tracker: Tracker) -> None:
    assert tracker.click_url(MAIL, TARGET).startswith(f"https://mail.firm.example/app/{PATHS['click']}/")
    assert tracker.open_url(MAIL).startswith(f"https://mail.firm.example/app/{PATHS['open']}/")
    assert tracker.unsubscribe_url(MAIL).startswith(f"https://mail.firm.example/app/{PATHS['unsubscribe']}/")


def test_a_link_says_what_it_is_about(tracker: Tracker) -> None:
    click = tracker.read("click", signed(tracker.click_url(MAIL, TARGET)))
    assert click == TrackingVisit(action="click", mail=MAIL, target=TARGET)
    opened = tracker.read("open", signed(tracker.open_url(MAIL)))
    assert opened == TrackingVisit(action="open", mail=MAIL)


def test_a_link_for_one_thing_does_not_do_another(tracker: Tracker) -> None:
    assert tracker.read("unsubscribe", signed(tracker.open_url(MAIL))) is None
    assert tracker.read("click", signed(tracker.unsubscribe_url(MAIL))) is None


def test_another_target_needs_another_signature(tracker: Tracker) -> None:
    text, _, signature = signed(tracker.click_url(MAIL, TARGET)).partition(".")
    parts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    parts[2] = "https://evil.example/"
    forged = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")
    assert tracker.read("click", f"{forged}.{signature}") is None


def test_another_secret_is_another_signature(tracker: Tracker) -> None:
    other = Tracker("https://mail.firm.example/app", ["o" * 32])
    assert other.read("open", signed(tracker.open_url(MAIL))) is None


@pytest.mark.parametrize("text", ["", ".", "a", "a.b", ".." * 5000, "ف.ف", "a." + "b" * 22, "%00.%00"])
def test_what_nobody_signed_is_nothing(tracker: Tracker, text: str) -> None:
    assert tracker.read("open", text) is None


@given(st.text(max_size=60), st.integers(0, 200), st.characters())
def test_a_changed_link_is_nothing(target: str, at: int, character: str) -> None:
    tracker = Tracker("https://mail.firm.example", [SECRET])
    good = signed(tracker.click_url(MAIL, f"https://firm.example/{target}"))
    at %= len(good)
    changed = good[:at] + character + good[at + 1 :]
    found = tracker.read("click", changed)
    assert found is None or changed == good


@pytest.mark.parametrize(
    "url", ["", "mail.firm.example", "ftp://x", "https://", "https://x?a=1", "https://x#a"]
)
def test_a_public_url_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TORIL_PUBLIC_URL"):
        Tracker(url, [SECRET])


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="TORIL_SECRET"):
        Tracker("https://x", ["s" * 31])


def test_the_pixel_is_a_picture() -> None:
    assert PIXEL.startswith(b"GIF89a\x01\x00\x01\x00")


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//a.b",
        "",
        "https://",
    ],
)
def test_no_link_is_signed_that_a_browser_would_run_or_that_leads_nowhere(target: str) -> None:
    with pytest.raises(OptionError, match="http or https"):
        Tracker("https://mail.firm.example", [SECRET]).click_url(MAIL, target)
