"""The guard against addresses inside our network: what it reads, what it refuses, and whom it believes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit

import pytest

from toril.errors import ConfigurationError, RetryableError, UnrecoverableError
from toril.queues.ssrf import BlockedAddressError, Guard, InnerNetwork, Resolver, is_public
from toril.settings import Settings


def answering(*addresses: str) -> Resolver:
    async def resolver(_: str) -> Sequence[str]:
        return addresses

    return resolver


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param("http://example.com/", "must begin with https://", id="http"),
        pytest.param("file:///etc/passwd", "must begin with https://", id="file"),
        pytest.param("gopher://example.com/", "must begin with https://", id="gopher"),
        pytest.param("example.com/hook", "must begin with https://", id="no scheme"),
        pytest.param("//example.com/", "must begin with https://", id="relative"),
        pytest.param("https://user:secret@example.com/", "user or a password", id="password"),
        pytest.param("https://example.com@10.0.0.1/", "user or a password", id="host as a user"),
        pytest.param("https://example.com:22/", "port 22 is not allowed", id="port"),
        pytest.param("https://example.com:0/", "port 0 is not allowed", id="port 0"),
        pytest.param("https://example.com:x/", "cannot be read", id="no port"),
        pytest.param("https://exa mple.com/", "a space", id="space"),
        pytest.param("https://example.com\\@10.0.0.1/", "backslash", id="backslash"),
        pytest.param("https://example.com/\r\nHost: x", "control character", id="line"),
        pytest.param("https://example.com/" + "a" * 2048, "2048 are allowed", id="long"),
        pytest.param("https:///hook", "not a host's name", id="no host"),
        pytest.param("https://a..b.com/", "not a host's name", id="empty label"),
        pytest.param("https://[::1/", "cannot be read", id="open bracket"),
        pytest.param("https://[example.com]/", "(cannot be read|no IPv6 address)", id="name in brackets"),
        pytest.param("https://localhost/", "inside a network", id="localhost"),
        pytest.param("https://LOCALHOST./", "inside a network", id="localhost with a dot"),
        pytest.param("https://redis/", "inside a network", id="no dot"),
        pytest.param("https://printer.local/", "inside a network", id="local"),
        pytest.param("https://metadata.google.internal/", "inside a network", id="metadata by name"),
        pytest.param("https://127.0.0.1/", "not a public one", id="loopback"),
        pytest.param("https://10.1.2.3/", "not a public one", id="private"),
        pytest.param("https://100.64.0.1/", "not a public one", id="carrier"),
        pytest.param("https://169.254.169.254/latest/meta-data", "not a public one", id="metadata"),
        pytest.param("https://0.0.0.0/", "not a public one", id="any"),
        pytest.param("https://224.0.0.1/", "not a public one", id="multicast"),
        pytest.param("https://[::1]/", "not a public one", id="loopback, v6"),
        pytest.param("https://[::ffff:127.0.0.1]/", "not a public one", id="mapped"),
        pytest.param("https://[64:ff9b::7f00:1]/", "not a public one", id="NAT64"),
        pytest.param("https://[2002:7f00:1::]/", "not a public one", id="6to4"),
        pytest.param("https://[fe80::1%25eth0]/", "(cannot be read|no IPv6 address)", id="zone"),
        pytest.param("https://127.1/", "usual form", id="short"),
        pytest.param("https://2130706433/", "usual form", id="decimal"),
        pytest.param("https://0x7f000001/", "usual form", id="hex"),
        pytest.param("https://0177.0.0.1/", "usual form", id="octal"),
        pytest.param("https://127.0.0.0x1/", "usual form", id="hex at the end"),
        pytest.param("https://１２７.0.0.1/", "not a public one", id="wide digits"),
        pytest.param("https://127。0。0。1/", "not a public one", id="wide dots"),
    ],
)
def test_an_address_that_is_not_plainly_public_is_refused(url: str, reason: str) -> None:
    with pytest.raises(BlockedAddressError, match=reason) as caught:
        Guard().parse(url)
    assert isinstance(caught.value, UnrecoverableError)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        pytest.param("https://example.com", "https://example.com/", id="no path"),
        pytest.param("HTTPS://Example.COM:443/a?b=c#d", "https://example.com/a?b=c", id="capitals"),
        pytest.param("https://example.com.:8443/", "https://example.com:8443/", id="port and dot"),
        pytest.param(
            "https://شركة.السعودية/فاتورة?س=1",
            "https://xn--ogbpi5d.xn--mgberp4a5d4ar/%D9%81%D8%A7%D8%AA%D9%88%D8%B1%D8%A9?%D8%B3=1",
            id="Arabic",
        ),
        pytest.param("https://example.com/a%2Fb%20c", "https://example.com/a%2Fb%20c", id="encoded"),
        pytest.param("https://8.8.8.8/", "https://8.8.8.8/", id="v4"),
        pytest.param("https://[2606:4700::1111]/x", "https://[2606:4700::1111]/x", id="v6"),
        pytest.param("https://my_host.example.com/", "https://my_host.example.com/", id="underscore"),
    ],
)
def test_a_public_address_is_read_as_it_travels(url: str, read: str) -> None:
    assert str(Guard().parse(url)) == read


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("192.168.1.1", False),
        ("172.16.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("168.63.129.16", False),
        ("192.88.99.1", False),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::1", False),
        ("2002:808:808::1", True),
        ("2002:a00:1::1", False),
        ("2001::1", False),
        ("2001:db8::1", False),
        ("::127.0.0.1", False),
        ("::", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


async def test_all_public_addresses_of_a_name_are_returned() -> None:
    guard = Guard(resolver=answering("8.8.8.8", "2606:4700::1111"))
    assert await guard.addresses("example.com") == ["8.8.8.8", "2606:4700::1111"]


@pytest.mark.parametrize(
    "found", [("10.0.0.1",), ("8.8.8.8", "169.254.169.254"), ("2606:4700::1111", "fe80::1%eth0")]
)
async def test_one_address_inside_is_enough_to_refuse_a_name(found: tuple[str, ...]) -> None:
    with pytest.raises(BlockedAddressError, match=r"example\.com: its address is not a public one") as caught:
        await Guard(resolver=answering(*found)).addresses("example.com")
    # What our own name server says about our own network is not for whoever gave the name.
    assert not any(address in str(caught.value) for address in found)


async def test_a_literal_address_is_not_looked_up() -> None:
    guard = Guard(resolver=answering("10.0.0.1"))
    assert await guard.addresses("8.8.8.8") == ["8.8.8.8"]


@pytest.mark.parametrize("failure", [OSError("no such host"), UnicodeError("label too long")])
async def test_a_name_without_an_address_may_have_one_later(failure: Exception) -> None:
    async def resolver(_: str) -> Sequence[str]:
        raise failure

    with pytest.raises(RetryableError, match="no address was found"):
        await Guard(resolver=resolver).addresses("example.com")


async def test_a_look_up_has_a_time_limit() -> None:
    async def resolver(_: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    with pytest.raises(RetryableError, match="no address was found"):
        await Guard(resolver=resolver, lookup_timeout=0.01).addresses("example.com")


async def test_networks_that_are_let_in_are_reached_and_no_others() -> None:
    guard = Guard.for_development()
    assert str(guard.parse("http://localhost:9000/hook")) == "http://localhost:9000/hook"
    assert await guard.addresses("localhost")
    assert await guard.addresses("127.0.0.1") == ["127.0.0.1"]
    with pytest.raises(BlockedAddressError):
        guard.parse("http://10.0.0.1/")
    office = Guard.for_development("10.2.0.0/16")
    assert await office.addresses("10.2.3.4") == ["10.2.3.4"]
    with pytest.raises(BlockedAddressError):
        await office.addresses("127.0.0.1")


@pytest.mark.parametrize(
    ("networks", "url", "allowed"),
    [
        pytest.param("10.0.0.0/8", "http://10.1.1.1/", True, id="port 80"),
        pytest.param("10.0.0.0/8", "https://10.1.1.1/", True, id="port 443"),
        pytest.param("10.0.0.0/8", "http://10.1.1.1:6379/", False, id="a port nobody named"),
        pytest.param("10.0.0.0/8:8080", "http://10.1.1.1:8080/", True, id="the port that was named"),
        pytest.param("10.0.0.0/8:8080", "http://10.1.1.1/", False, id="another than the one that was named"),
        pytest.param("10.0.0.0/8:8080,10.1.0.0/16", "http://10.1.1.1/", True, id="named by a second network"),
        pytest.param("10.0.0.0/8:8080,10.1.0.0/16", "http://10.2.1.1/", False, id="outside of the second"),
        pytest.param("10.1.1.1", "https://10.1.1.1/", True, id="one machine"),
        pytest.param("[fd00::/8]:8080", "http://[fd00::1]:8080/", True, id="IPv6 with a port"),
        pytest.param("fd00::/8", "http://[fd00::1]:8080/", False, id="IPv6 without"),
        pytest.param("10.0.0.0/8:8080", "http://[::ffff:10.1.1.1]:8080/", True, id="mapped"),
        pytest.param("10.0.0.0/8:8080", "https://8.8.8.8/", True, id="outside"),
        pytest.param("10.0.0.0/8", "https://8.8.8.8:8443/", True, id="outside, at its usual port"),
        pytest.param("10.0.0.0/8", "http://8.8.8.8/", False, id="outside by http"),
        pytest.param("10.0.0.0/8:22", "https://8.8.8.8:22/", False, id="outside at an inner port"),
        pytest.param("0.0.0.0/0", "https://8.8.8.8:22/", False, id="everything, at a port nobody named"),
        pytest.param("10.0.0.0/8", "https://127.0.0.1/", False, id="another inner network"),
    ],
)
async def test_a_network_that_is_let_in_opens_no_port_but_its_own(
    networks: str, url: str, allowed: bool
) -> None:
    guard = Guard.allowing(*Settings.from_env({"TORIL_ALLOWED_NETWORKS": networks}).allowed_networks)
    parts = urlsplit(url)
    named = replace(guard, resolver=answering(str(parts.hostname)))
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    target = named.parse(urlunsplit(parts._replace(netloc=f"hook.example.com:{port}")))
    if allowed:
        assert await guard.addresses(guard.parse(url).host, scheme=target.scheme, port=port)
        assert await named.addresses(target.host, scheme=target.scheme, port=port)
        return
    with pytest.raises(BlockedAddressError):
        guard.parse(url)
    with pytest.raises(BlockedAddressError):
        await named.addresses(target.host, scheme=target.scheme, port=port)


@pytest.mark.parametrize(
    "value", ["10.0.0.0/8:0", "10.0.0.0/8:70000", "10.0.0.0/8:http", "[fd00::/8]", "office", ":80"]
)
def test_a_network_of_another_form_is_refused_at_the_start(value: str) -> None:
    with pytest.raises(ConfigurationError, match="TORIL_ALLOWED_NETWORKS"):
        Settings.from_env({"TORIL_ALLOWED_NETWORKS": value})
    with pytest.raises(ValueError, match=r"port|network"):
        InnerNetwork.parse(value)


async def test_the_systems_own_look_up_is_used() -> None:
    with pytest.raises(BlockedAddressError, match="not a public one"):
        await Guard().addresses("localhost")
