"""HTML that asks for files and addresses gets none of them, and runs no script, whatever renders it."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.pdf_jobs import LEAK, Responder, chromium, responder, text_of

from toril.queues.pdf.renderers.base import PdfRenderer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="20"><text y="15">LEAKED</text></svg>'


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["plutoprint", "chromium"])
async def renderer(request: pytest.FixtureRequest) -> AsyncIterator[PdfRenderer]:
    """Each renderer, kept for all tests here, as starting a browser takes a while."""
    made: PdfRenderer
    if request.param == "plutoprint":
        from toril.queues.pdf.renderers.plutoprint import PlutoPrintRenderer

        made = PlutoPrintRenderer()
    else:
        executable = chromium()
        from toril.queues.pdf.renderers.chromium import ChromiumRenderer

        made = ChromiumRenderer(executable=executable)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def server() -> AsyncIterator[Responder]:
    async with responder() as running:
        yield running


def data(content: str, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.encode()).decode()}"


# {url} is a style sheet and {picture} a picture that would print LEAKED.
WAYS = {
    "style-sheet": "<link rel=stylesheet href='{url}'>",
    "import": "<style>@import url('{url}');</style>",
    "import-without-url": "<style>@import '{url}';</style>",
    "import-in-data": "<link rel=stylesheet href='{css}'>",
    "picture": "<img src='{picture}'>",
    "picture-set": "<img srcset='{picture} 2x'><picture><source srcset='{picture}'><img src='{picture}'></picture>",
    "background": "<p style='background: url({picture}); height: 20px'>x",
    "list": "<ul style='list-style-image: url({picture})'><li>x</ul>",
    "content": "<style>p::before {{ content: url('{picture}') }}</style><p>x",
    "font": "<style>@font-face {{ font-family: f; src: url('{url}') }} i {{ font-family: f }}</style><i>x</i>",
    "svg-picture": "<svg><image href='{picture}' xlink:href='{picture}' width='90' height='20'/></svg>",
    "svg-use": "<svg><use href='{picture}#a'/></svg>",
    "svg-style": "<svg><style>@import '{url}';</style></svg>",
    "svg-in-data": "<img src='{svg}'>",
    "svg-style-in-data": "<img src='{svg_style}'>",
    "mask": "<p style='mask: url({picture}); filter: url({picture}#a); clip-path: url({picture}#a)'>x",
    "object": "<object data='{picture}'></object><embed src='{picture}'>",
    "frame": "<iframe src='{url}'></iframe><iframe srcdoc='&lt;img src={picture}&gt;'></iframe>",
    "media": "<video src='{url}' poster='{picture}'></video><audio src='{url}'></audio>",
    "input": "<input type=image src='{picture}'><table background='{picture}'><td>x</table>",
    "script": "<script src='{url}'></script>",
    "hints": "<link rel=preload as=style href='{url}'><link rel=prefetch href='{url}'>"
    "<link rel=preconnect href='{url}'><link rel=icon href='{picture}'><link rel=manifest href='{url}'>",
    "page-margin": "<style>@page {{ @top-left {{ content: url('{picture}') }} }}</style>x",
}
# These change what stands around them, and so are tried alone.
WHOLE = {
    "base": "<base href='{url}'><link rel=stylesheet href='a.css'><img src='a.svg'>",
    "frame-set": "<frameset><frame src='{url}'></frameset>",
    "doctype": "<!DOCTYPE html SYSTEM '{url}'><p>x",
    "refresh": "<meta http-equiv=refresh content='0; url={url}'>x",
    "entity": "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM '{url}'>]><p>&e;",
}


def asking(ways: dict[str, str], address: Callable[[str, str], str]) -> str:
    """HTML that tries ``ways``; ``address`` makes the address of a way's style sheet (css) or picture (svg)."""
    html = []
    for way, pattern in ways.items():
        url, picture = address(way, "css"), address(way, "svg")
        asks = f"<image href='{picture}' width='9' height='9'/><use href='{picture}#a'/>"
        html.append(
            pattern.format(
                url=url,
                picture=picture,
                css=data(f"@import url('{url}');", "text/css"),
                svg=data(SVG.format(asks), "image/svg+xml"),
                svg_style=data(SVG.format(f"<style>@import '{url}';</style>"), "image/svg+xml"),
            )
        )
    return "\n".join(html)


DOCUMENTS = {"many": WAYS} | {way: {way: pattern} for way, pattern in WHOLE.items()}


@pytest.mark.parametrize("ways", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_no_address_on_the_network_is_asked(
    ways: dict[str, str], renderer: PdfRenderer, server: Responder
) -> None:
    server.answers = {
        f"/{way}.svg": ("200 OK", "Content-Type: image/svg+xml", PICTURE.encode()) for way in ways
    }
    html = asking(ways, lambda way, kind: f"{server.url}/{way}.{kind}")

    pdf = await renderer.render(html, title="x", lang="en")

    assert server.asked == []
    assert "LEAKED" not in text_of(pdf)


@pytest.mark.parametrize("ways", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_no_file_of_this_machine_is_read(
    ways: dict[str, str], renderer: PdfRenderer, tmp_path: Path
) -> None:
    (tmp_path / "a.css").write_text(LEAK)
    (tmp_path / "a.svg").write_text(PICTURE)

    pdf = await renderer.render(
        asking(ways, lambda _, kind: f"file://{tmp_path}/a.{kind}"), title="x", lang="en"
    )

    assert "LEAKED" not in text_of(pdf)


async def test_a_file_of_the_system_cannot_be_printed(renderer: PdfRenderer) -> None:
    html = asking(DOCUMENTS["many"], lambda *_: "file:///etc/passwd")

    pdf = await renderer.render(f"<p>begin{html}", title="x", lang="en")

    assert "begin" in text_of(pdf)
    assert "root:" not in text_of(pdf)


async def test_a_relative_name_is_not_a_file_in_the_working_folder(
    renderer: PdfRenderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.css").write_text(LEAK)
    monkeypatch.chdir(tmp_path)
    names = ("a.css", "./a.css", str(tmp_path / "a.css"), "toril:a.css", "/a.css")

    links = "".join(f"<link rel=stylesheet href='{name}'>" for name in names)
    pdf = await renderer.render(f"{links}x", title="x", lang="en")

    assert "LEAKED" not in text_of(pdf)


async def test_a_style_sheet_and_a_picture_in_the_page_itself_work(renderer: PdfRenderer) -> None:
    """The control: what the tests above look for would be there."""
    html = f"<link rel=stylesheet href='{data(LEAK, 'text/css')}'>x"
    picture = f"<img src='{data(PICTURE, 'image/svg+xml')}'>x"

    assert "LEAKED" in text_of(await renderer.render(html, title="x", lang="en"))
    assert "LEAKED" in text_of(await renderer.render(picture, title="x", lang="en"))


async def test_no_script_runs(renderer: PdfRenderer) -> None:
    write = "document.body.append(`LEAKED`)"
    html = (
        f"<!doctype html><body onload='{write}'><p>begin<script>document.write('LEAKED')</script>"
        f"<img src=x onerror='{write}'><svg onload='{write}'></svg><iframe src='javascript:{write}'></iframe>"
        f"<script type=module>{write}</script><noscript>no script</noscript>"
    )

    text = text_of(await renderer.render(html, title="x", lang="en"))

    assert "begin" in text
    assert "LEAKED" not in text


@pytest.mark.parametrize("renderer", ["plutoprint"], indirect=True)  # Chromium's policy needs no asking
async def test_refused_addresses_are_logged_once(
    renderer: PdfRenderer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="toril")

    await renderer.render(
        "<img src='http://127.0.0.1:9/a'><img src='http://127.0.0.1:9/b'>", title="x", lang="en"
    )

    (record,) = caplog.records
    assert record.getMessage() == "pdf_addresses_refused"
    assert vars(record)["refused"] == 2
    assert vars(record)["first_address"] == "http://127.0.0.1:9/a"
