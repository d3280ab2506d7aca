"""The pool of Chromium's pages: what it makes, and what it does when documents or browsers go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from pypdf import PdfReader
from tests.support.pdf_jobs import Responder, check_pdf, chromium, pages_of, responder, text_of
from tests.support.until import until

from toril.errors import ConfigurationError
from toril.queues.pdf import Margins, RenderError, RenderOptions

if TYPE_CHECKING:
    from toril.queues.pdf.renderers.chromium import ChromiumRenderer

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Each level draws the one before it twenty times: far more than can be drawn.
ENDLESS = "<svg><g id=a0><rect width=9 height=9 /></g>" + "".join(
    f"<g id=a{level}>" + f"<use href='#a{level - 1}'/>" * 20 + "</g>" for level in range(1, 9)
)


@contextlib.asynccontextmanager
async def renderer(**options: Any) -> AsyncIterator[ChromiumRenderer]:
    executable = chromium()
    from toril.queues.pdf.renderers.chromium import ChromiumRenderer

    made = ChromiumRenderer(**{"executable": executable} | options)
    try:
        yield made
    finally:
        await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Responder]:
    async with responder() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(server: Responder) -> None:
    server.held.set()
    server.asked.clear()
    server.answers.clear()
    server.most_waiting = 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(server: Responder) -> AsyncIterator[ChromiumRenderer]:
    """A renderer for most tests, as starting a browser takes a while; it may fetch from ``server``."""
    async with renderer(allow=[server.url], timeout=30) as made:
        yield made


async def waiting(server: Responder, count: int) -> None:
    """Until so many requests wait for their answer."""

    async def check() -> bool:
        return server.waiting == count

    await until(check, within_s=60)


def browser_of(used: ChromiumRenderer) -> int:
    """The process of the browser that new documents go to."""
    current = used._browsers._current
    assert current is not None
    return current.pid


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def gone(pid: int) -> None:
    async def check() -> bool:
        return not runs(pid)

    await until(check)


async def test_title_author_language_and_page_are_as_asked(shared: ChromiumRenderer) -> None:
    options = RenderOptions(
        author="مكتب",
        landscape=True,
        size="A5",
        margins=Margins(top=40, right=10, bottom=20, left=10),
        header="رأس الصفحة",
        footer="C-1",
        page_numbers=True,
    )
    html = (
        "<!doctype html><html lang=fr><title>theirs</title><p>السلام عليكم<p style='break-before: page'>آخر"
    )

    pdf = await shared.render(html, title="عنوان ✓", lang="ar-SA", options=options)

    check_pdf(pdf)
    reader = PdfReader(io.BytesIO(pdf), strict=True)
    assert reader.metadata is not None
    assert (reader.metadata.title, reader.metadata.author) == ("عنوان ✓", "مكتب")
    assert reader.metadata.creator == "Toril"
    assert reader.trailer["/Root"]["/Lang"] == "ar-SA"
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [595, 420]
    pages = pages_of(pdf)
    assert len(pages) == 2
    for number, page in enumerate(pages, 1):
        for word in ("رأس", "C-1", "صفحة", "من", str(number)):
            assert word in page
    assert "السلام" in pages[0]


async def test_the_pages_own_rules_win(shared: ChromiumRenderer) -> None:
    html = "<!doctype html><style>@page { size: A3; @bottom-left { content: 'mine' } }</style>x"

    pdf = await shared.render(html, title="x", lang="en", options=RenderOptions(footer="yours"))

    assert [round(float(side)) for side in PdfReader(io.BytesIO(pdf)).pages[0].mediabox[2:]] == [842, 1191]
    assert "mine" in text_of(pdf)
    assert "yours" not in text_of(pdf)


async def test_a_document_that_never_ends_costs_only_itself(
    shared: ChromiumRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared.render("warm", title="x", lang="en")
    browser = browser_of(shared)
    monkeypatch.setattr(shared, "_timeout", 4)
    endless = asyncio.create_task(shared.render(ENDLESS, title="endless", lang="en"))
    other = await shared.render("<p>other", title="x", lang="en")

    with pytest.raises(RenderError, match=r"'endless' was not rendered within 4 s and was stopped"):
        await endless

    assert "other" in text_of(other)
    assert "after" in text_of(await shared.render("<p>after", title="x", lang="en"))
    assert browser_of(shared) == browser


async def test_a_browser_killed_in_mid_document_is_replaced_and_the_document_made(
    shared: ChromiumRenderer, server: Responder
) -> None:
    server.held.clear()
    making = [
        asyncio.create_task(
            shared.render(f"<img src='{server.url}/{name}.png'><p>{name}", title=name, lang="en")
        )
        for name in ("first", "second")
    ]
    await waiting(server, 2)
    killed = browser_of(shared)

    os.kill(killed, signal.SIGKILL)
    server.held.set()
    files = await asyncio.gather(*making)

    assert browser_of(shared) != killed
    assert ["first" in text_of(files[0]), "second" in text_of(files[1])] == [True, True]
    await gone(killed)


async def test_a_browser_killed_between_documents_is_replaced(shared: ChromiumRenderer) -> None:
    await shared.render("x", title="x", lang="en")
    killed = browser_of(shared)
    os.kill(killed, signal.SIGKILL)
    await gone(killed)

    pdf = await shared.render("<p>again", title="x", lang="en")

    assert "again" in text_of(pdf)


async def test_a_browser_is_replaced_after_its_number_of_documents(
    shared: ChromiumRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared.render("x", title="x", lang="en")
    worn = browser_of(shared)
    current = shared._browsers._current
    assert current is not None
    monkeypatch.setattr(shared._browsers, "_documents", current.taken + 1)

    await shared.render("x", title="x", lang="en")
    assert browser_of(shared) == worn
    await shared.render("x", title="x", lang="en")

    assert browser_of(shared) != worn
    await gone(worn)


async def test_no_more_documents_than_pages_are_made_at_once(
    shared: ChromiumRenderer, server: Responder
) -> None:
    server.held.clear()
    making = [
        asyncio.create_task(shared.render(f"<img src='{server.url}/{at}.png'>", title="x", lang="en"))
        for at in range(5)
    ]
    await waiting(server, 2)
    server.held.set()
    await asyncio.gather(*making)

    assert len(set(server.asked)) == 5
    assert server.most_waiting == 2


async def test_a_document_no_longer_wanted_is_stopped(shared: ChromiumRenderer, server: Responder) -> None:
    server.held.clear()
    making = asyncio.create_task(shared.render(f"<img src='{server.url}/a'>", title="x", lang="en"))
    await waiting(server, 1)

    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    server.held.set()

    assert "next" in text_of(await shared.render("<p>next", title="x", lang="en"))


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """An empty folder whose path is short enough for a browser's socket, as pytest's own are not always."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        yield Path(folder)


async def test_a_browser_knows_no_secrets_and_leaves_nothing_behind(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(short_folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("RESEND_API_KEY", "re_secret")
    async with renderer() as used:
        await used.render("x", title="x", lang="en")
        browser = browser_of(used)
        environment = await asyncio.to_thread(Path(f"/proc/{browser}/environ").read_bytes)
    await used.close()  # twice is as well

    await gone(browser)
    assert b"FONTCONFIG_FILE" in environment
    assert b"re_secret" not in environment
    assert os.listdir(short_folder) == []


SCRIPT = """
import asyncio, sys
from pathlib import Path
from toril.queues.pdf.renderers.chromium import ChromiumRenderer

async def main():
    renderer = ChromiumRenderer(executable=Path(sys.argv[1]))
    await renderer.render("x", title="x", lang="en")
    print(renderer._browsers._current.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_worker_killed_outright_leaves_no_browser() -> None:
    executable = chromium()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, str(executable), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        browser = int(await process.stdout.readline())
    assert runs(browser)

    process.kill()
    await process.communicate()

    await gone(browser)


async def test_allowed_addresses_are_fetched_and_no_others(
    shared: ChromiumRenderer, server: Responder
) -> None:
    picture = (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="20"><text y="15">PICTURE</text></svg>'
    )
    server.answers = {
        "/a.svg": ("200 OK", "Content-Type: image/svg+xml", picture),
        "/away.svg": ("302 Found", "Location: /a.svg?moved", b""),
        "/a.svg?moved": ("200 OK", "Content-Type: image/svg+xml", picture),
    }
    html = (
        f"<link rel=stylesheet href='{server.url}/a.css'><img src='{server.url}/a.svg'>"
        f"<img src='{server.url}/away.svg'><script src='{server.url}/a.js'></script>"
        f"<iframe src='{server.url}/frame'></iframe>"
    )

    text = text_of(await shared.render(html, title="x", lang="en"))

    assert sorted(server.asked) == ["/a.css", "/a.svg", "/a.svg?moved", "/away.svg"]
    assert "LEAKED" in text
    assert text.count("PICTURE") == 2


async def test_what_is_not_a_browser_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chromium()
    from toril.queues.pdf.renderers.chromium import ChromiumRenderer, find_chromium

    with pytest.raises(ConfigurationError, match="is not an executable"):
        ChromiumRenderer(executable=tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="no Chromium was found on PATH"):
        find_chromium(None)


async def test_a_program_that_is_no_browser_is_an_error_that_says_so(tmp_path: Path) -> None:
    chromium()
    program = tmp_path / "browser"
    program.write_text("#!/bin/sh\necho no display >&2; exit 3\n")
    program.chmod(0o755)

    async with renderer(executable=program) as used:
        with pytest.raises(RenderError, match="browser did not start"):
            await used.render("x", title="x", lang="en")
