"""The list of addresses that documents may take things from, and how they are fetched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.pdf_jobs import Responder, responder

from toril.errors import OptionError
from toril.queues.pdf.renderers.addresses import AddressError, AllowedAddresses


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://assets.example.com/a.png?b#c", True),
        ("https://ASSETS.example.com:443/a.png", True),
        ("http://127.0.0.1:8080/a.png", True),
        ("http://assets.example.com/a.png", False),
        ("https://assets.example.com:8443/a.png", False),
        ("https://assets.example.com.evil.test/a.png", False),
        ("https://assets.example.com@evil.test/a.png", False),
        ("https://evil.test/https://assets.example.com", False),
        ("http://127.0.0.1/a.png", False),
        ("file://assets.example.com/etc/passwd", False),
        ("//assets.example.com/a.png", False),
        ("https://[", False),
        ("https://assets.example.com:x/", False),
        ("", False),
    ],
)
def test_an_address_is_allowed_by_its_origin(url: str, allowed: bool) -> None:
    addresses = AllowedAddresses(["https://assets.example.com", "http://127.0.0.1:8080/"])

    assert addresses.allows(url) is allowed


@pytest.mark.parametrize(
    "origin",
    [
        "assets.example.com",
        "https://assets.example.com/folder",
        "https://user@assets.example.com",
        "https://a.test; script-src *",
        "https://*.example.com",
        "ftp://a.test",
        "https://a.test:99999",
        "",
    ],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(OptionError, match="is not an origin such as"):
        AllowedAddresses([origin])


@pytest.fixture
async def server() -> AsyncIterator[Responder]:
    async with responder() as running:
        yield running


async def test_what_is_there_comes_with_its_type(server: Responder) -> None:
    server.answers = {"/a?b=1": ("200 OK", "Content-Type: image/png; x=y", b"picture")}

    found = await asyncio.to_thread(AllowedAddresses([server.url]).fetch, f"{server.url}/a?b=1#c")

    assert (found.content, found.mime_type) == (b"picture", "image/png")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (("404 Not Found", "Content-Type: text/css", b"no"), "the server answers 404"),
        (("302 Found", "Location: http://other.test/a", b""), "'http://other.test/a' is not on the list"),
        (("302 Found", "Location: file:///etc/passwd", b""), "is not on the list"),
        (("302 Found", "Location: http://[x/", b""), "could not be fetched"),
        (("302 Found", "Location: /a", b""), "redirects more than 5 times"),
        (("302 Found", "X: y", b""), "redirects more than 5 times"),
        (("200 OK", "Content-Type: image/png", b"x" * (20 * 1024 * 1024 + 1)), "larger than 20 MiB"),
        (("nonsense", "", b""), "could not be fetched"),
    ],
    ids=[
        "status",
        "redirect away",
        "redirect to a file",
        "redirect to no address",
        "circle",
        "redirect to nowhere",
        "large",
        "nonsense",
    ],
)
async def test_what_cannot_be_fetched_is_said(
    answer: tuple[str, str, bytes], message: str, server: Responder
) -> None:
    server.answers = {"/a": answer}

    with pytest.raises(AddressError, match=message):
        await asyncio.to_thread(AllowedAddresses([server.url]).fetch, f"{server.url}/a")


async def test_a_server_that_hangs_is_given_up(server: Responder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toril.queues.pdf.renderers.addresses._TIMEOUT_S", 0.2)
    server.held.clear()

    with pytest.raises(AddressError, match="could not be fetched"):
        await asyncio.to_thread(AllowedAddresses([server.url]).fetch, f"{server.url}/a")
