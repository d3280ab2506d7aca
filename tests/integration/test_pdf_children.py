"""Documents that are not trusted, rendered by PlutoPrint in processes that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.pdf_jobs import Responder, check_pdf, responder, text_of
from tests.support.until import until

from toril.queues.pdf import RenderError, RenderOptions
from toril.queues.pdf.renderers.children import ChildLimits
from toril.queues.pdf.renderers.plutoprint import PlutoPrintRenderer

# Some kilobytes that keep the engine busy for longer than anybody waits.
ENDLESS = "<svg width=90 height=90>" + "<g opacity=.5>" * 3000 + "<rect width=9 height=9 />" + "</g>" * 3000
HUGE = "<div style='height: 1e9mm'>x</div>"


@asynccontextmanager
async def renderer(*, allow: list[str] | None = None, **limits: float) -> AsyncIterator[PlutoPrintRenderer]:
    made = PlutoPrintRenderer(allow=allow or [], limits=ChildLimits(**limits))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.close()


def all_children() -> dict[int, int]:
    """Processes that render, and their parents."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"renderers.child" in command:
            found[int(folder.name)] = parent
    return found


def children_of(pid: int) -> list[int]:
    """Processes that render for the process ``pid``."""
    return [child for child, parent in all_children().items() if parent == pid]


async def test_a_document_is_made_with_all_that_was_asked() -> None:
    options = RenderOptions(author="مكتب", header="رأس", footer="C-1", page_numbers=True, landscape=True)
    async with renderer() as used:
        pdf = await used.render(
            "<!doctype html><html dir=rtl><p>السلام<p style='break-before: page'>آخر",
            title="عنوان",
            lang="ar",
            options=options,
        )

    check_pdf(pdf)
    for word in ("السلام", "رأس", "C-1", "صفحة"):
        assert word in text_of(pdf)


async def test_a_child_serves_many_documents_and_is_then_replaced() -> None:
    async with renderer(slots=1, documents=2) as used:
        seen = []
        for number in range(4):
            pdf = await used.render(f"<p>document {number}", title="x", lang="en")
            assert f"document {number}" in text_of(pdf)
            seen.append(children_of(os.getpid()))

    # After its second document a child is gone at once; the next document starts another.
    assert [len(each) for each in seen] == [1, 0, 1, 0]
    assert seen[0] != seen[2]


async def test_a_document_that_never_ends_costs_only_itself() -> None:
    async with renderer(slots=2, timeout=3) as used:
        endless = asyncio.create_task(used.render(ENDLESS, title="endless", lang="en"))
        other = await used.render("<p>other", title="x", lang="en")
        with pytest.raises(RenderError, match=r"'endless' was not rendered within 3 s and was stopped"):
            await endless
        after = await used.render("<p>after", title="x", lang="en")

    assert ("other" in text_of(other), "after" in text_of(after)) == (True, True)
    assert children_of(os.getpid()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
async def test_a_document_that_takes_all_memory_costs_only_itself() -> None:
    async with renderer(slots=1, timeout=60, memory_mib=400) as used:
        with pytest.raises(RenderError, match="needs more than 400 MiB of memory"):
            await used.render(HUGE, title="huge", lang="en")

        assert "after" in text_of(await used.render("<p>after", title="x", lang="en"))


async def test_a_large_document_of_ours_is_made_by_a_child_and_a_small_one_here() -> None:
    async with renderer(slots=1) as used:
        for characters, children in ((10, 0), (600_000, 1)):
            html = f"<!doctype html><!-- {'x' * characters} --><p>the end"
            pdf = await used.render(html, title="x", lang="en", options=RenderOptions(trusted=True))

            assert "the end" in text_of(pdf)
            assert len(children_of(os.getpid())) == children


async def test_a_child_that_is_killed_is_said_to_be_and_replaced() -> None:
    async with renderer(slots=1) as used:
        making = asyncio.create_task(used.render(ENDLESS, title="killed", lang="en"))

        async def works() -> bool:
            return bool(children_of(os.getpid()))

        await until(works)
        os.kill(children_of(os.getpid())[0], signal.SIGKILL)
        with pytest.raises(
            RenderError, match=r"'killed' could not be rendered: its process was ended by SIGKILL"
        ):
            await making

        assert "after" in text_of(await used.render("<p>after", title="x", lang="en"))


async def test_a_document_no_longer_wanted_is_stopped() -> None:
    async with renderer(slots=1) as used:
        making = asyncio.create_task(used.render(ENDLESS, title="x", lang="en"))

        async def works() -> bool:
            return bool(children_of(os.getpid()))

        await until(works)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making

        async def ended() -> bool:
            return not children_of(os.getpid())

        await until(ended)


async def test_no_more_children_than_slots_work_at_once() -> None:
    async with renderer(slots=2) as used:
        files = await asyncio.gather(*(used.render(f"<p>no {n}", title="x", lang="en") for n in range(8)))

        assert len(children_of(os.getpid())) <= 2
    assert all(f"no {number}" in text_of(file) for number, file in enumerate(files))


async def test_a_child_ends_with_its_parent() -> None:
    script = (
        "import asyncio\n"
        "from toril.queues.pdf.renderers.plutoprint import PlutoPrintRenderer\n"
        "async def main():\n"
        "    await PlutoPrintRenderer().render('x', title='x', lang='en')\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"ready\n"
    (child,) = children_of(process.pid)

    process.kill()
    await process.communicate()

    async def ended() -> bool:
        return child not in all_children()

    await until(ended)


async def test_secrets_are_not_in_a_childs_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESEND_API_KEY", "re_secret")
    async with renderer(slots=1) as used:
        await used.render("x", title="x", lang="en")
        (child,) = children_of(os.getpid())
        environment = await asyncio.to_thread(Path(f"/proc/{child}/environ").read_bytes)

    assert b"PYTHONPATH" in environment
    assert b"re_secret" not in environment


async def test_text_that_ends_early_is_an_error_and_the_child_goes_on() -> None:
    async with renderer(slots=1) as used:
        with pytest.raises(RenderError, match=r"'broken' could not be rendered: .*null"):
            await used.render("a\x00b", title="broken", lang="en")
        child = children_of(os.getpid())
        await used.render("x", title="x", lang="en")

        assert children_of(os.getpid()) == child


async def test_a_title_of_any_letters_passes() -> None:
    async with renderer() as used:
        assert text_of(await used.render("<p>x", title='a"\n\u2028\ud83d\ude00é', lang="en"))


@pytest.fixture
async def server() -> AsyncIterator[Responder]:
    async with responder() as running:
        yield running


async def test_allowed_addresses_are_fetched_and_no_others(server: Responder) -> None:
    async with responder() as other:
        server.answers = {"/away.css": ("302 Found", f"Location: {other.url}/b.css", b"")}
        html = (
            f"<link rel=stylesheet href='{server.url}/a.css'><link rel=stylesheet href='{server.url}/away.css'>"
            f"<link rel=stylesheet href='{other.url}/c.css'>x"
        )
        async with renderer(allow=[server.url]) as used:
            text = text_of(await used.render(html, title="x", lang="en"))

        assert (server.asked, other.asked) == (["/a.css", "/away.css"], [])
    assert "LEAKED" in text
