"""The application with its sockets as a process of its own: ``python -m tests.support.socket_site SETTINGS``.

SETTINGS are JSON. It prints its address when it answers, and runs until its input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.processes import ROOT
from tests.support.queue_api import served

from toril.settings import Settings
from toril.web import create_app


async def main(given: str) -> None:
    """Serve until the input ends."""
    settings = json.loads(given)
    app = create_app(Settings(**{**settings, "home": Path(settings["home"])}))
    async with app.router.lifespan_context(app), served(app) as address:
        print(address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def site_process(**settings: str) -> AsyncIterator[str]:
    """The address of an application in another process; it ends at the end of the block."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.socket_site", json.dumps(settings)),
        cwd=ROOT,
        stdin=pipe,
        stdout=pipe,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            address = (await process.stdout.readline()).decode().strip()
        assert address.startswith("http://"), address
        yield address
    finally:
        try:
            async with asyncio.timeout(60):
                await process.communicate(b"")  # ends its input
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
