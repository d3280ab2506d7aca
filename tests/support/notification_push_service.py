"""A push service and its browsers, on this machine: checks what RFC 8030, 8291 and 8292 ask for, and decrypts."""

from __future__ import annotations

import base64
import json
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import http_ece  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02  # type: ignore[import-untyped]
from tests.support.notification_tls import under_name

from toril.testing.vendors.server import Reply, VendorRequest, VendorServer, vendor_server

NAME = "push.example.test"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Browser:
    """One subscription. ``shown`` is what arrived, decrypted, by topic: a later message replaces an earlier."""

    endpoint: str
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    secret: bytes = field(default_factory=lambda: os.urandom(16))
    shown: dict[str, Any] = field(default_factory=dict)
    received: int = 0
    gone: bool = False

    @property
    def subscription(self) -> dict[str, Any]:
        """As the browser gives it to the application."""
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": _base64url(point), "auth": _base64url(self.secret)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    def decrypt(self, body: bytes) -> Any:
        return json.loads(
            http_ece.decrypt(body, private_key=self.key, auth_secret=self.secret, version="aes128gcm")
        )


@dataclass
class PushService:
    """The service.

    Attributes:
        public_key: whose messages it takes.
        server: what it runs on, with its script of faults.
        at_once: the most requests that were at work together.
    """

    public_key: str
    server: VendorServer = field(init=False)
    browsers: dict[str, Browser] = field(default_factory=dict)
    at_once: int = 0
    _at_work: int = 0

    @property
    def url(self) -> str:
        return under_name(self.server.url, NAME)

    def subscribe(self, *, gone: bool = False) -> Browser:
        """A new browser."""
        path = f"/send/{_base64url(os.urandom(12))}"
        browser = self.browsers[path] = Browser(f"{self.url}{path}", gone=gone)
        return browser

    async def answer(self, request: VendorRequest) -> Reply:
        browser = self.browsers.get(request.path)
        if browser is None:
            return Reply(404, b"no such subscription")
        if browser.gone:
            return Reply(410, b"push subscription has unsubscribed or expired")
        if problem := self._problem(request):
            return problem
        browser.received += 1
        browser.shown[request.headers["topic"]] = browser.decrypt(request.body)
        return Reply(201, b"", {"location": f"{self.url}/message/1"})

    def _problem(self, request: VendorRequest) -> Reply | None:
        headers = request.headers
        if request.method != "POST" or headers.get("content-encoding") != "aes128gcm":
            return Reply(400, b"encoding")
        if not headers.get("ttl", "").isdigit() or len(headers.get("topic", "")) > 32:
            return Reply(400, b"ttl or topic")
        if len(request.body) > 4096:
            return Reply(413, b"payload too large")
        authorization = headers.get("authorization", "")
        if not authorization:
            return Reply(401, b"who is it")
        if f"k={self.public_key}" not in authorization or not Vapid02.verify(authorization):
            return Reply(403, b"the key in the authorization header does not correspond to the sender")
        token = authorization.partition("t=")[2].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        left = claims["exp"] - datetime.now(UTC).timestamp()
        if claims["aud"] != self.url or not 0 < left <= 86400 or not claims["sub"].startswith("mailto:"):
            return Reply(403, b"BadJwtToken")
        return None


@asynccontextmanager
async def push_service(public_key: str, tls: ssl.SSLContext) -> AsyncIterator[PushService]:
    """Run a service that takes messages signed with ``public_key``'s other half."""
    service = PushService(public_key)

    async def answer(request: VendorRequest) -> Reply:
        service._at_work += 1
        service.at_once = max(service.at_once, service._at_work)
        try:
            return await service.answer(request)
        finally:
            service._at_work -= 1

    async with vendor_server(answer, tls=tls) as server:
        service.server = server
        yield service
