from __future__ import annotations

import ssl
from typing import Any

import pytest

from toril.engine.address import parse_address
from toril.engine.link import ReplyError
from toril.engine.server import Server
from toril.errors import OptionError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", {"host": "localhost", "port": 6379, "db": 0}),
        ("redis://h:7000/3", {"host": "h", "port": 7000, "db": 3}),
        ("redis://h?db=2", {"host": "h", "db": 2}),
        ("redis://:p%40ss@h", {"password": "p@ss", "username": None}),
        ("redis://ada:secret@h", {"username": "ada", "password": "secret"}),
        ("unix:///run/a%20b.sock?db=1", {"path": "/run/a b.sock", "db": 1}),
        ("unix://ada:secret@/run/x.sock", {"path": "/run/x.sock", "password": "secret"}),
    ],
)
def test_addresses_are_read(url: str, expected: dict[str, Any]) -> None:
    address = parse_address(url)
    assert {name: getattr(address, name) for name in expected} == expected
    assert address.tls is None


def test_the_password_may_come_apart_from_the_url() -> None:
    assert parse_address("redis://h", "apart").password == "apart"
    assert parse_address("redis://:own@h", "apart").password == "own"


def test_tls_checks_certificates_unless_told_otherwise() -> None:
    strict = parse_address("rediss://h").tls
    assert strict is not None
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    loose = parse_address("rediss://h?ssl_cert_reqs=none").tls
    assert loose is not None
    assert (loose.verify_mode, loose.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize(
    "url",
    ["http://h", "h:6379", "", "redis://h:port", "redis://h/x/y", "rediss://h?ssl_cert_reqs=maybe",
     "rediss://h?ssl_ca_certs=/no/such/file"],
)  # fmt: skip
def test_bad_urls_are_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(OptionError, match="redis://"):
        parse_address(url)


def test_errors_and_texts_do_not_show_the_password() -> None:
    with pytest.raises(OptionError) as caught:
        parse_address("redis://ada:secret@h:port")
    assert "secret" not in str(caught.value)
    assert "secret" not in str(parse_address("redis://ada:secret@h"))


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://from-env:7001/2")
    assert str(Server()) == "redis://from-env:7001/2"
    assert str(Server("redis://given")) == "redis://given:6379/0"
    monkeypatch.delenv("REDIS_URL")
    assert str(Server()) == "the embedded server"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("READONLY You can't write against a read only replica.", "READONLY"),
        (
            "ERR Error running script (call to f_9b5): @user_script:1: @user_script: 1: -MISCONF Redis is",
            "MISCONF",
        ),
        (
            "ERR Error running script (call to f_9b5): @user_script:12: WRONGTYPE Operation against a key",
            "WRONGTYPE",
        ),
        ("ERR user_script:1: Script attempted to access", "ERR"),
        ("NOSCRIPT No matching script.", "NOSCRIPT"),
    ],
)
def test_the_kind_of_an_error_is_what_the_command_answered(text: str, kind: str) -> None:
    assert ReplyError(text).kind == kind


def test_a_sentinel_url_names_the_sentinels_and_the_service() -> None:
    address = parse_address(
        "redis+sentinel://me:p%40ss@one:26380,two,[::1]:26381/my%20master/3?sentinel_password=other"
    )
    assert address.sentinels == (("one", 26380), ("two", 26379), ("::1", 26381))
    assert (address.service, address.db) == ("my master", 3)
    assert (address.username, address.password) == ("me", "p@ss")
    assert address.sentinel_account == (None, "other")
    assert str(address) == "redis+sentinel://one:26380,two:26379,::1:26381/my master/3"
    assert address.tls is None
    assert parse_address("rediss+sentinel://one/m").tls is not None
    assert parse_address("redis+sentinel://one/m", "from outside").password == "from outside"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://one:26379",
        "redis+sentinel://:secret@one:26379/m/db",
        "redis+sentinel://one:port/m?sentinel_password=secret",
        "redis+sentinel:///m",
        "redis-sentinel://one/m",
    ],
)
def test_a_bad_sentinel_url_is_refused_without_its_passwords(url: str) -> None:
    with pytest.raises(OptionError, match=r"redis\+sentinel://host:port") as caught:
        parse_address(url)
    assert "secret" not in str(caught.value)
