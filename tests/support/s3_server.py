"""A small real server that speaks as S3 does, as far as a file store asks of it.

Signatures are checked as described in "Signature Version 4" of AWS's reference, so that a client that signs
wrongly fails here as it would there.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI"


@dataclass
class S3Server:
    """What is in the buckets, by ``/bucket/key``, and how to answer out of turn.

    Attributes:
        knows_conditions: whether ``If-None-Match`` is honoured; some services ignore it.
        failures: statuses for the next requests, before any is answered properly.
        requests: method and path of each.
    """

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    knows_conditions: bool = True
    failures: list[int] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = await reader.readline()
        if not line:
            return False
        method, target, _ = line.decode().split(" ")
        headers: dict[str, str] = {}
        while row := (await reader.readline()).decode().strip():
            name, _, value = row.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append(f"{method} {unquote(urlsplit(target).path)}")
        status, content = self._answer(method, target, headers, body)
        part = ""
        if status == 200 and (wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))):
            first, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
            part = f"Content-Range: bytes {first}-{last}/{len(content)}\r\n"
            status, content = 206, content[first : last + 1]
        reason = {
            200: "OK",
            206: "Partial Content",
            403: "Forbidden",
            404: "Not Found",
            412: "Precondition Failed",
        }.get(status, "Error")
        head = f'HTTP/1.1 {status} {reason}\r\nContent-Length: {len(content)}\r\nETag: "e"\r\n{part}'
        head += "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n\r\n"
        writer.write(head.encode() + (b"" if method == "HEAD" else content))
        await writer.drain()
        return True

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if self.failures:
            return self.failures.pop(0), b"<Error><Code>InternalError</Code></Error>"
        if headers.get("authorization") != signature(method, target, headers, body):
            return 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"
        path = unquote(urlsplit(target).path)
        if method == "PUT":
            if self.knows_conditions and headers.get("if-none-match") == "*" and path in self.objects:
                return 412, b"<Error><Code>PreconditionFailed</Code></Error>"
            self.objects[path] = body
            self.types[path] = headers.get("content-type", "")
            return 200, b""
        if method == "POST" and urlsplit(target).query.startswith("delete"):  # several at once
            deleted = b""
            for key in re.findall(rb"<Key>([^<]*)</Key>", body):
                self.objects.pop(f"{path.rstrip('/')}/{key.decode()}", None)
                deleted += b"<Deleted><Key>" + key + b"</Key></Deleted>"
            return 200, b"<DeleteResult>" + deleted + b"</DeleteResult>"
        if path not in self.objects:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>"
        return 200, self.objects[path]


def signature(method: str, target: str, headers: dict[str, str], body: bytes) -> str:
    """What the header ``Authorization`` of a request has to be."""
    given = headers.get("authorization", "")
    named = given.partition("SignedHeaders=")[2].partition(",")[0]
    scope = given.partition("Credential=")[2].partition(",")[0].partition("/")[2]
    parts = urlsplit(target)
    query = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}"
        for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True))
    )
    canonical = "\n".join(
        (
            method,
            parts.path,
            query,
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in named.split(";")),
            "",
            named,
            hashlib.sha256(body).hexdigest(),
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{headers.get('x-amz-date', '')}\n{scope}\n{digest}"
    key = b"AWS4" + SECRET.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signed = hmac.digest(key, text.encode(), "sha256").hex()
    return f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={named}, Signature={signed}"


@asynccontextmanager
async def s3_server() -> AsyncIterator[S3Server]:
    """A running server."""
    made = S3Server()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    made.url = f"http://{host}:{port}"
    try:
        yield made
    finally:
        server.close()
