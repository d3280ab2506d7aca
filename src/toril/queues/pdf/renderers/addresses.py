"""Which addresses on the network a document may take pictures, style sheets and fonts from.

The list is of origins (scheme, host and port), and empty unless the operator fills it. Renderers fetch through
it rather than by themselves, so that every step of a redirect is held against it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urljoin, urlsplit

from toril.errors import OptionError, TorilError

_PORTS = {"http": 80, "https": 443}
_MAX_BYTES = 20 * 1024 * 1024
_MAX_REDIRECTS = 5
_TIMEOUT_S = 10.0


class AddressError(TorilError):
    """An address is not on the list, or what it names could not be fetched."""

    code = "address_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What was found at an address."""

    content: bytes
    mime_type: str


class AllowedAddresses:
    """A list of origins, such as ``https://assets.example.com`` or ``http://127.0.0.1:8080``.

    Raises:
        OptionError: an entry is not an origin of http or https.
    """

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self.origins = tuple(_checked(origin) for origin in origins)
        self._keys = frozenset(_key(urlsplit(origin)) for origin in self.origins)

    def allows(self, url: str) -> bool:
        """Whether the address is of an origin on the list."""
        try:
            key = _key(urlsplit(url))
        except ValueError:
            return False
        return key is not None and key in self._keys

    def fetch(self, url: str) -> Resource:
        """Get an allowed address, following redirects to allowed ones; blocks for up to 10 s.

        Raises:
            AddressError: an address on the way is not on the list, or it could not be fetched.
        """
        deadline = time.monotonic() + _TIMEOUT_S
        for _ in range(_MAX_REDIRECTS + 1):
            if not self.allows(url):
                raise AddressError(f"{url[:200]!r} is not on the list of allowed addresses")
            try:
                found = _get(url, deadline)
                onward = "" if isinstance(found, Resource) else urljoin(url, found)
            except (OSError, HTTPException, ValueError) as error:
                raise AddressError(f"{url[:200]!r} could not be fetched: {error}") from error
            if isinstance(found, Resource):
                return found
            url = onward
        raise AddressError(f"{url[:200]!r} redirects more than {_MAX_REDIRECTS} times")


def _checked(origin: str) -> str:
    parts = urlsplit(origin)
    try:
        plain = _key(parts) is not None and not (parts.path.strip("/") or parts.query or parts.fragment)
    except ValueError:
        plain = False
    # It also stands in a header, where a space or a semicolon would begin something else.
    if not plain or parts.username is not None or not all(c.isalnum() or c in ":/.-[]_" for c in origin):
        raise OptionError(f"{origin!r} is not an origin such as https://assets.example.com")
    return origin.rstrip("/")


def _key(parts: SplitResult) -> tuple[str, str, int] | None:
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def _get(url: str, deadline: float) -> Resource | str:
    """What is there, or the address it redirects to."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection = (
        HTTPSConnection(host, port, timeout=_left(deadline), context=ssl.create_default_context())
        if parts.scheme == "https"
        else HTTPConnection(host, port, timeout=_left(deadline))
    )
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept": "*/*", "User-Agent": "Toril"})
        response = connection.getresponse()
        if response.status in (301, 302, 303, 307, 308):
            return response.getheader("Location") or ""
        if response.status != 200:
            raise HTTPException(f"the server answers {response.status}")
        mime_type = response.headers.get_content_type()
        return Resource(content=_read(response, deadline), mime_type=mime_type)
    finally:
        connection.close()


def _read(response: HTTPResponse, deadline: float) -> bytes:
    content = bytearray()
    while piece := response.read(65536):
        content += piece
        if len(content) > _MAX_BYTES:
            raise HTTPException(f"it is larger than {_MAX_BYTES // 1024**2} MiB")
        _left(deadline)
    return bytes(content)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"it takes longer than {_TIMEOUT_S:g} s")
    return left
