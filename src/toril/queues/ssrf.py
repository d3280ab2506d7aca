"""A guard against addresses that people give us and that lead into our own network (SSRF).

A worker sits inside the network; what it calls for others must be outside. The guard reads a URL strictly, resolves
its host itself, and refuses it unless every address of the host is public. Whoever connects must connect to an address
the guard returned, not to the name: another look-up could give another answer. ``GuardedClient`` does that.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import quote, urlsplit

import idna

from toril.errors import RetryableError, UnrecoverableError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: All addresses of a host, as text; raises ``OSError`` when there are none.
Resolver = Callable[[str], Awaitable[Sequence[str]]]

MAX_URL: Final = 2048  #: characters

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
#: Names that mean this machine or this network wherever they are resolved.
_INSIDE: Final = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "onion")
_DEFAULT_PORT: Final = {"https": 443, "http": 80}

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")
#: Public by their number, and yet not outside: Azure's host service, and the relays of 6to4.
_NOT_OUTSIDE: Final = (IPv4Network("168.63.129.16/32"), IPv4Network("192.88.99.0/24"))

_lookups = ThreadPoolExecutor(8, thread_name_prefix="toril-dns")  # its own: slow names must not block files


class BlockedAddressError(UnrecoverableError):
    """The guard does not let a request go to this address; nothing was sent, and another attempt cannot help."""

    code = "address_blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a URL leads, in the form it travels.

    Attributes:
        host: a name in ASCII, or an address without brackets.
        path: path and query, percent-encoded.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as a ``Host`` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port; fit to be shown, where the path may hold a secret."""
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


async def resolve(host: str) -> Sequence[str]:
    """All addresses of ``host``, as the system knows them."""
    found = await asyncio.get_running_loop().run_in_executor(
        _lookups, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    )
    return list(dict.fromkeys(str(row[4][0]) for row in found))


@dataclass(frozen=True, slots=True)
class InnerNetwork:
    """A network of our own that may be called.

    Attributes:
        ports: of its machines, those that may be called; None is any.
    """

    network: Network
    ports: frozenset[int] | None = frozenset(_DEFAULT_PORT.values())

    @classmethod
    def parse(cls, text: str) -> InnerNetwork:
        """Read ``10.0.0.0/8``, which is for ports 80 and 443, or ``10.0.0.0/8:8080``; IPv6 as ``[fd00::/8]:8080``.

        Raises:
            ValueError: it is none of these.
        """
        bracketed = re.fullmatch(r"\[([^\]]*)\]:([0-9]{1,5})", text)
        plain = bracketed or re.fullmatch(r"([0-9./]+):([0-9]{1,5})", text)
        network, port = plain.groups() if plain else (text, None)
        if port is not None and not 1 <= int(port) <= 65535:
            raise ValueError(f"{text}: a port is from 1 to 65535")
        ports = (int(port),) if port is not None else _DEFAULT_PORT.values()
        return cls(ip_network(network, strict=False), frozenset(ports))


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What may be called.

    Attributes:
        schemes: for public addresses; ``https`` alone unless given.
        ports: of public addresses, those that may be called; None is any.
        inside: networks that may be called although they are not public, such as an internal receiver's, or this
            machine's in development: each at its own ports, and also by http. Nothing changes for addresses outside of
            them. With any, names such as ``localhost`` are resolved too.
        resolver: looks names up.
        lookup_timeout: seconds for that.
    """

    schemes: frozenset[str] = frozenset({"https"})
    ports: frozenset[int] | None = frozenset({443, 8443})
    inside: tuple[InnerNetwork, ...] = ()
    resolver: Resolver = resolve
    lookup_timeout: float = 5.0

    @classmethod
    def for_development(cls, *networks: str, resolver: Resolver = resolve) -> Guard:
        """A guard that also lets requests go to ``networks`` (this machine unless given), by http, to any port."""
        inside = (ip_network(text) for text in networks or ("127.0.0.0/8", "::1/128"))
        return cls(inside=tuple(InnerNetwork(network, None) for network in inside), resolver=resolver)

    @classmethod
    def allowing(cls, *networks: str, resolver: Resolver = resolve) -> Guard:
        """A guard that also lets requests go to ``networks``, as ``InnerNetwork.parse`` reads them."""
        return cls(inside=tuple(InnerNetwork.parse(text) for text in networks), resolver=resolver)

    def parse(self, url: str) -> Target:
        """Read a URL, and refuse what is wrong with it before any look-up.

        Raises:
            BlockedAddressError: not a URL, another scheme or port, a user or password in it, a name of our own
                network, or an address that is not public or not written the usual way.
        """
        if len(url) > MAX_URL:
            raise BlockedAddressError(f"the address has {len(url)} characters; {MAX_URL} are allowed")
        # Programs disagree about what these mean, so that what is checked and what is called could differ.
        if any(char <= " " or char in "\\\x7f" for char in url):
            raise BlockedAddressError("the address has a space, a backslash or a control character")
        try:
            parts = urlsplit(url)
            scheme, name, port = parts.scheme, parts.hostname or "", parts.port
        except ValueError:
            raise BlockedAddressError("the address cannot be read as a URL") from None
        schemes = self.schemes | {"https", "http"} if self.inside else self.schemes
        if scheme not in schemes:
            known = " or ".join(f"{each}://" for each in sorted(schemes))
            raise BlockedAddressError(f"the address must begin with {known}, not {scheme[:20]!r}")
        if "@" in parts.netloc:
            raise BlockedAddressError("the address holds a user or a password; send them in a header")
        host = self._host(name, bracketed="[" in parts.netloc)
        port = port if port is not None else _DEFAULT_PORT[scheme]
        if not self.inside:
            self._check_way(host, scheme, port)
        elif (literal := _literal(host)) is not None:
            self._checked(literal, host, scheme, port)
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else ""
        return Target(scheme=scheme, host=host, port=port, path=path + query)

    async def addresses(self, host: str, *, scheme: str = "https", port: int = 443) -> Sequence[str]:
        """The addresses to connect to: all that ``host`` has.

        Args:
            host, scheme, port: of a ``Target``.

        Raises:
            BlockedAddressError: one of them is not public, or is, and may not be called by this scheme or at this port.
            RetryableError: there is none, or the look-up took too long.
        """
        literal = _literal(host)
        if literal is not None:
            return [str(self._checked(literal, host, scheme, port))]
        try:
            async with asyncio.timeout(self.lookup_timeout):
                found = await self.resolver(host)
        except (OSError, UnicodeError, TimeoutError):
            found = ()
        if not found:
            raise RetryableError(f"{host}: no address was found for this name")
        plain = [ip_address(text.partition("%")[0]) for text in found]
        return [str(self._checked(address, host, scheme, port)) for address in plain]

    def _host(self, name: str, *, bracketed: bool) -> str:
        if bracketed or _literal(name) is not None:
            if (literal := _literal(name)) is None:
                raise BlockedAddressError("the address has no IPv6 address between its brackets")
            return str(self._checked(literal, name))
        host = _ascii(name)
        labels = host.split(".")
        if _NUMBER.fullmatch(labels[-1]):
            # 127.1, 0x7f000001 and 2130706433 are 127.0.0.1 to much of the world's software.
            if (literal := _literal(host)) is None:
                raise BlockedAddressError(f"{host!r} is not an IPv4 address in its usual form")
            return str(self._checked(literal, host))
        inside = len(labels) == 1 or any(host == each or host.endswith(f".{each}") for each in _INSIDE)
        if inside and not self.inside:
            raise BlockedAddressError(f"{host!r} is a name inside a network, not a public one")
        return host

    def _check_way(self, host: str, scheme: str, port: int) -> None:
        """Refuse a scheme or a port by which nothing outside may be called."""
        if scheme not in self.schemes:
            known = " or ".join(f"{each}://" for each in sorted(self.schemes))
            raise BlockedAddressError(f"{host}: a public address must be called by {known}")
        if self.ports is not None and port not in self.ports:
            known = ", ".join(str(each) for each in sorted(self.ports))
            raise BlockedAddressError(f"{host}: port {port} is not allowed; these are: {known}")

    def _checked(
        self, address: Address, host: str, scheme: str | None = None, port: int | None = None
    ) -> Address:
        plain = _unmapped(address)
        ports = [inner.ports for inner in self.inside if plain in inner.network]
        if any(each is None or port is None or port in each for each in ports):
            return plain
        if not is_public(plain):
            # Which address it is would tell what our name server knows about our own network.
            # For the same reason it is not said whether the address is let in at other ports.
            let_in = ", nor one that is let in at this port" if self.inside else ""
            raise BlockedAddressError(f"{host}: its address is not a public one{let_in}")
        if scheme is not None and port is not None:
            self._check_way(host, scheme, port)
        return plain


def is_public(address: Address) -> bool:
    """Whether an address lies outside: globally routed unicast, and not a wrapping of one that lies inside.

    ``is_global`` alone would let multicast, 6to4 and NAT64 pass.
    """
    address = _unmapped(address)
    if isinstance(address, IPv4Address):
        outside = not any(address in network for network in _NOT_OUTSIDE)
        return address.is_global and not address.is_multicast and outside
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if address not in _GLOBAL_UNICAST or not address.is_global:
        return False
    wrapped = address.sixtofour
    return wrapped is None or is_public(wrapped)


def _unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _literal(text: str) -> Address | None:
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def _ascii(name: str) -> str:
    """A host's name as it is looked up: ASCII, lower case, without a dot at its end."""
    host = name.lower()
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii").lower()
        except UnicodeError:
            raise BlockedAddressError(f"{name[:100]!r} is not a host's name") from None
    host = host.removesuffix(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise BlockedAddressError(f"{host[:100]!r} is not a host's name")
    return host
