"""A page in a real browser, with the real JavaScript client, hears what workers in other processes do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.support.cli import Toril
from tests.support.node_install import install_folder, node_available
from tests.support.pdf_jobs import chromium, report_job
from tests.support.queue_api import SECRET, open_api, served
from tests.support.servers import RedisServer
from tests.support.socket_people import add_person

from toril.web.owners import note_owner

CLIENT = "node_modules/socket.io-client/dist/socket.io.min.js"

PAGE = """<!doctype html><title>live</title><script src="socket.io.min.js"></script><script>
  window.seen = []
  const note = name => data => window.seen.push([name, data])
  window.start = (url, token, options) => {
    const socket = window.socket = io(url, {auth: {token}, ...options})
    socket.on("connect", note("connect"))
    socket.on("connect_error", error => note("connect_error")({message: error.message, ...error.data}))
    socket.on("disconnect", note("disconnect"))
    for (const name of ["notification", "job", "missed", "session:ended"]) socket.on(name, note(name))
  }
</script>"""


@asynccontextmanager
async def pages() -> AsyncIterator[str]:
    """The address of a server with the page and the client, and nothing of the application's."""
    script = await asyncio.to_thread((install_folder() / CLIENT).read_bytes)
    files = {"/": ("text/html", PAGE.encode()), "/socket.io.min.js": ("text/javascript", script)}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).decode().split(" ")[1]
        while (await reader.readline()).strip():
            pass
        kind, body = files.get(path, ("text/plain", b""))
        status = "200 OK" if path in files else "404 Not Found"
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def browser_page(executable: Path) -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


async def until_seen(page: Any, condition: str) -> list[Any]:
    """All that the page has seen, once it has seen an event ``e`` (name ``n``) for which the condition holds."""
    await page.wait_for_function(f"() => window.seen.some(([n, e]) => {condition})", timeout=60_000)
    seen: list[Any] = await page.evaluate("window.seen")
    return seen


@pytest.mark.skipif(not node_available(), reason=node_available().reason)
@pytest.mark.parametrize("options", [{}, {"transports": ["websocket"]}], ids=["as-it-comes", "websocket"])
async def test_a_page_hears_of_a_notification_and_of_its_job(
    start_server: Callable[[str], RedisServer], prefix: str, tmp_path: Path, options: dict[str, Any]
) -> None:
    executable = chromium()
    url, home = start_server("valkey").url, tmp_path / "home"
    environment = {
        "REDIS_URL": url,
        "TORIL_PREFIX": prefix,
        "TORIL_HOME": str(home),
        "TORIL_SECRET": SECRET,
        "SOCKETIO_CHANNEL": prefix,
    }
    toril = Toril(tmp_path, environment)
    async with (
        pages() as origin,
        open_api(url, prefix, home, socketio_channel=prefix, cors_origins=(origin,)) as api,
        served(api.app) as address,
        browser_page(executable) as page,
    ):
        person = await add_person(api.web, firm=True)
        await page.goto(origin)

        await page.evaluate("([...given]) => start(...given)", [address, "no token", options])
        seen = await until_seen(page, "n == 'connect_error'")
        assert seen[-1][1]["code"] == "bad_token"

        await page.evaluate("([...given]) => start(...given)", [address, person.token, options])
        await until_seen(page, "n == 'connect'")
        user = await api.web.access.authenticate(person.token)
        added = await api.service.add_job(
            "notification",
            {
                "type": "in-app",
                "data": {"userId": person.user_id, "title": "جلسة", "message": "غدًا", "link": "/cases/1"},
            },
        )
        await note_owner(api.web.installation.database, user, "notification", added["jobId"])
        printed = await api.service.add_job("pdf", report_job())
        await note_owner(api.web.installation.database, user, "pdf", printed["jobId"])
        async with toril.running("serve", "--no-web", "--only", "notification", "--only", "pdf") as worker:
            await worker.line("serving ")
            await until_seen(page, "n == 'notification'")
            await until_seen(page, "n == 'job' && e.queueName == 'pdf' && e.state == 'completed'")
            seen = await until_seen(page, "n == 'job' && e.queueName != 'pdf' && e.state == 'completed'")
        [notification] = [data for name, data in seen if name == "notification"]
        assert (notification["title"], notification["link"]) == ("جلسة", "/cases/1")
        jobs = [data for name, data in seen if name == "job"]
        told = [each for each in jobs if each["jobId"] == added["jobId"]]
        assert told[-1]["returnValue"]["notificationId"] == notification["id"]
        of_the_pdf = [each for each in jobs if each["jobId"] == printed["jobId"]]
        assert len(told) + len(of_the_pdf) == len(jobs)
        steps = [each.get("progress") for each in of_the_pdf if each["state"] == "active"]
        assert {10, 40, 80} & set(steps), steps  # what comes within a tenth of a second is told once
        assert of_the_pdf[-1]["returnValue"]["success"] is True

        newer = api.web.access.tokens.issue(person.user_id, person.session_id)
        answer = await page.evaluate("token => socket.emitWithAck('authenticate', {token})", newer)
        assert answer == {"success": True}
        await api.client.post("/api/auth/logout", headers={"Authorization": f"Bearer {newer}"})
        seen = await until_seen(page, "n == 'disconnect'")
        assert [name for name, _ in seen][-2:] == ["session:ended", "disconnect"]
        assert seen[-1][1] == "io server disconnect"


@pytest.mark.skipif(not node_available(), reason=node_available().reason)
async def test_a_page_of_another_origin_is_not_let_in(
    start_server: Callable[[str], RedisServer], prefix: str, tmp_path: Path
) -> None:
    executable = chromium()
    async with (
        pages() as origin,
        open_api(start_server("valkey").url, prefix, tmp_path) as api,
        served(api.app) as address,
        browser_page(executable) as page,
    ):
        person = await add_person(api.web)
        await page.goto(origin)
        assert urlsplit(origin).port != urlsplit(address).port
        for transports in (["polling"], ["websocket"]):
            await page.evaluate("window.seen = []")
            given = [address, person.token, {"transports": transports, "reconnection": False}]
            await page.evaluate("([...given]) => start(...given)", given)
            await until_seen(page, "n == 'connect_error'")
