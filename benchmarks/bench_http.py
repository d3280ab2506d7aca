"""How many jobs a second the HTTP API takes, and how long its pages take with a million finished jobs.

Run: python benchmarks/bench_http.py [--seconds 5] [--connections 64] [--finished 1000000]
Needs: pip install -e '.[web]'

The application runs in a process of its own (uvicorn, one process), with its audit log on SQLite and a fresh Valkey;
this process sends the requests. Beside requests a second it tells how many the server could serve in a second of its
own processor time, which is the figure to compare when others use the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

JOB = {"data": {"type": "temp-files", "data": {"maxAgeHours": 24}}}

#: Makes finished jobs in the server, as many as fit into one call.
_FILL = """
for i = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  redis.call('HSET', ARGV[1] .. i, 'name', '__default__', 'data', ARGV[4], 'opts', '{"attempts":2}',
    'timestamp', i, 'processedOn', i + 3, 'finishedOn', i + 9, 'returnvalue', '{"success":true}')
  redis.call('ZADD', ARGV[1] .. 'completed', i + 9, i)
end
"""


async def serve(url: str, home: Path) -> None:
    """Run the application on a free port; prints the port and an administrator's token."""
    import uvicorn

    from toril.cli.http_connection import HttpConnection
    from toril.db.models import Role, Session, User
    from toril.db.types import utc_now
    from toril.settings import Settings
    from toril.web import create_app

    app = create_app(Settings(home=home, redis_url=url))
    async with app.router.lifespan_context(app):
        web = app.state.toril
        async with web.installation.database.session() as session:
            user = User(email="bench@firm.example", name="Bench", role=Role.ADMIN)
            session.add(user)
            await session.flush()
            signed_in = Session(user_id=user.id, token_hash="bench", expires_at=utc_now() + timedelta(days=1))
            session.add(signed_in)
            await session.flush()
            token = web.access.tokens.issue(user.id, signed_in.id)
        config = uvicorn.Config(  # as `toril serve` has it
            app,
            port=0,
            http=HttpConnection,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        print(json.dumps({"port": port, "token": token}), flush=True)
        await serving


class Connection:
    """One keep-alive connection; a request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(head[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


def request(method: str, path: str, token: str, body: object = None) -> bytes:
    text = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def throughput(
    port: int, pid: int, sent: bytes, *, expected: int, connections: int, seconds: float
) -> tuple[float, float]:
    """Answers a second, and a second of the server's processor time."""
    count, until = 0, time.perf_counter() + seconds

    async def one() -> None:
        nonlocal count
        connection = await Connection.open(port)
        while time.perf_counter() < until:
            status, text = await connection.ask(sent)
            assert status == expected, text
            count += 1
        connection.close()

    began, cpu = time.perf_counter(), cpu_seconds(pid)
    await asyncio.gather(*(one() for _ in range(connections)))
    return count / (time.perf_counter() - began), count / (cpu_seconds(pid) - cpu)


async def latency(port: int, sent: bytes, *, times: int = 200) -> tuple[float, float]:
    """Median and 99th percentile of one request after the other, ms."""
    connection = await Connection.open(port)
    took = []
    for _ in range(times):
        began = time.perf_counter()
        status, text = await connection.ask(sent)
        took.append((time.perf_counter() - began) * 1000)
        assert status == 200, text
    connection.close()
    return statistics.median(took), sorted(took)[int(times * 0.99)]


async def measure(server_url: str, port: int, pid: int, token: str, options: argparse.Namespace) -> None:
    import redis.asyncio as redis

    add = request("POST", "/api/queues/cleanup/jobs", token, JOB)
    bulk = request("POST", "/api/queues/cleanup/jobs/bulk", token, {"jobs": [JOB] * 100})
    load = {"connections": options.connections, "seconds": options.seconds}
    await throughput(port, pid, add, expected=201, connections=4, seconds=0.5)
    for name, sent, jobs, status in [
        ("POST jobs", add, 1, 201),
        ("POST jobs/bulk, 100 at a time", bulk, 100, 201),
        ("GET queues", request("GET", "/api/queues", token), 1, 200),
    ]:
        wall, own = await throughput(port, pid, sent, expected=status, **load)
        print(f"{name}: {wall * jobs:,.0f}/s, {own * jobs:,.0f} in a second of processor time", flush=True)

    client = redis.from_url(server_url)
    base, step = "bull:report:", 20_000
    data = json.dumps({"type": "client-aging", "data": {"firmId": "507f1f77bcf86cd799439011"}})
    for first in range(1, options.finished + 1, step):
        await client.eval(_FILL, 0, base, first, min(first + step - 1, options.finished), data)
    await client.aclose()
    jobs = "/api/queues/report/jobs?status=completed"
    for path in (
        "/api/queues",
        "/api/queues/report",
        jobs,
        f"{jobs}&start={options.finished // 2}&end={options.finished // 2 + 20}",
        f"{jobs}&start=0&end=199",
        "/api/queues/report/metrics",
        "/api/queues/report/jobs/search?q=no+such+text&status=completed",
    ):
        middle, slow = await latency(port, request("GET", path, token))
        print(f"GET {path}: {middle:.1f} ms median, {slow:.1f} ms p99", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="length of each measurement of throughput (5)"
    )
    parser.add_argument("--connections", type=int, default=64, help="clients at once (64)")
    parser.add_argument(
        "--finished", type=int, default=1_000_000, help="finished jobs in the queue (1000000)"
    )
    parser.add_argument("--serve", nargs=2, metavar=("URL", "HOME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        import uvloop

        uvloop.run(serve(options.serve[0], Path(options.serve[1])))
        return
    from tests.support.servers import RedisServer

    with RedisServer("valkey") as server, tempfile.TemporaryDirectory() as home:
        command = [sys.executable, __file__, "--serve", server.url, home]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            print(f"load average before: {os.getloadavg()[0]:.1f}", flush=True)
            asyncio.run(measure(server.url, told["port"], process.pid, told["token"], options))
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


if __name__ == "__main__":
    main()
