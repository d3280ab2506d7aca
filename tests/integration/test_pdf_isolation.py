"""HTML that asks for files and addresses gets none of them."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.pdf_jobs import text_of

from toril.queues.pdf.renderers.plutoprint import PlutoPrintRenderer

LEAK = "body::before { content: 'LEAKED' }"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'


class Server:
    """A real server that answers every request with a style sheet, and counts them."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append((await reader.readline()).decode())
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nConnection: close\r\n\r\n" + LEAK.encode()
        )
        await writer.drain()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    counting = Server()
    listening = await asyncio.start_server(counting.answer, "127.0.0.1", 0)
    async with listening:
        host, port = listening.sockets[0].getsockname()
        yield counting, f"http://{host}:{port}/"


def data(content: str, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.encode()).decode()}"


WAYS = {
    "style sheet": "<link rel=stylesheet href='{url}'>",
    "import": "<style>@import url('{url}');</style>",
    "import without url()": "<style>@import '{url}';</style>",
    "import in a data style sheet": "<link rel=stylesheet href='{css}'>",
    "picture": "<img src='{url}'>",
    "picture set": "<img srcset='{url} 2x'><picture><source srcset='{url}'><img src='{url}'></picture>",
    "background": "<p style='background: url({url})'>x",
    "list": "<ul style='list-style-image: url({url})'><li>x</ul>",
    "content": "<style>p::before {{ content: url('{url}') }}</style><p>x",
    "font": "<style>@font-face {{ font-family: f; src: url('{url}') }} p {{ font-family: f }}</style><p>x",
    "svg picture": "<svg><image href='{url}' xlink:href='{url}' width='9' height='9'/></svg>",
    "svg use": "<svg><use href='{url}#a'/></svg>",
    "svg in a data picture": "<img src='{svg}'>",
    "svg style in a data picture": "<img src='{svg_style}'>",
    "frame": "<iframe src='{url}'></iframe><frameset><frame src='{url}'></frameset>",
    "object": "<object data='{url}'></object><embed src='{url}'>",
    "media": "<video src='{url}' poster='{url}'></video><audio src='{url}'></audio>",
    "input": "<input type=image src='{url}'><body background='{url}'>",
    "script": "<script src='{url}'></script>",
    "base": "<base href='{url}'><link rel=stylesheet href='a.css'><img src='a.png'>",
    "page margin": "<style>@page {{ @top-left {{ content: url('{url}') }} }}</style>x",
    "doctype": "<!DOCTYPE html SYSTEM '{url}'><p>x",
}


def asking(way: str, url: str) -> str:
    return WAYS[way].format(
        url=url,
        css=data(f"@import url('{url}');", "text/css"),
        svg=data(
            SVG.format(f"<image href='{url}' width='9' height='9'/><use href='{url}#a'/>"), "image/svg+xml"
        ),
        svg_style=data(SVG.format(f"<style>@import '{url}';</style>"), "image/svg+xml"),
    )


@pytest.mark.parametrize("way", WAYS)
async def test_no_address_on_the_network_is_asked(way: str, server: tuple[Server, str]) -> None:
    counting, url = server

    pdf = await PlutoPrintRenderer().render(asking(way, url), title="x", lang="en")

    assert counting.requests == []
    assert "LEAKED" not in text_of(pdf)


@pytest.mark.parametrize("way", WAYS)
async def test_no_file_of_this_machine_is_read(
    way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.css").write_text(LEAK)

    pdf = await PlutoPrintRenderer().render(asking(way, f"file://{tmp_path}/a.css"), title="x", lang="en")

    assert "LEAKED" not in text_of(pdf)


async def test_a_relative_name_is_not_a_file_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.css").write_text(LEAK)
    monkeypatch.chdir(tmp_path)

    for name in ("a.css", "./a.css", str(tmp_path / "a.css"), "toril:a.css"):
        pdf = await PlutoPrintRenderer().render(f"<link rel=stylesheet href='{name}'>x", title="x", lang="en")
        assert "LEAKED" not in text_of(pdf)


async def test_a_style_sheet_in_the_page_itself_works() -> None:
    """The control: what the tests above look for would be there."""
    html = f"<link rel=stylesheet href='{data(LEAK, 'text/css')}'>x"

    assert "LEAKED" in text_of(await PlutoPrintRenderer().render(html, title="x", lang="en"))


async def test_refused_addresses_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="toril")

    await PlutoPrintRenderer().render(
        "<img src='http://127.0.0.1:9/a'><img src='file:///etc/hostname'>", title="x", lang="en"
    )

    (record,) = caplog.records
    assert record.getMessage() == "pdf_addresses_refused"
    assert vars(record)["refused"] == 2
    assert vars(record)["first_address"] == "http://127.0.0.1:9/a"
