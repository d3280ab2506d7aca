"""The doctor's look at who is believed: secrets that can be guessed, and proxies that may say who somebody is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Final

from toril.cli.finding import Finding
from toril.settings import Settings

#: Words of examples and demonstrations.
_EXAMPLE: Final = re.compile(
    r"change.?me|example|demonstration|demo only|placeholder|your.?(secret|key)|^secret|password|0123456789|abcdefgh",
    re.IGNORECASE,
)
#: Different characters from which on a text may have been made at random.
_FEW: Final = 10
_NEW: Final = 'make one: python -c "import secrets; print(secrets.token_urlsafe(48))"'

#: Secrets that we choose ourselves; the others are a vendor's, and look as they like.
_OURS: Final = {"TORIL_SECRET": "secret", "ZATCA_KEY": "zatca_key"}

#: Addresses in a network from which on it is no proxy's but a neighbourhood's.
_LARGE: Final = 2**16


def check_secrets(settings: Settings) -> Iterator[Finding]:
    """Whether the secrets that are set here can be guessed. None of them is told."""
    for variable, name in _OURS.items():
        value = getattr(settings, name)
        if value is None:
            continue
        if _EXAMPLE.search(value) or len(set(value)) < _FEW:
            text = "it looks like one of an example, which others know too"
            yield Finding(level="wrong", about=variable, text=text, hint=_NEW)
        else:
            yield Finding(level="ok", about=variable, text="set")
    if settings.secret is not None and settings.secret in settings.secret_previous:
        text = "it is TORIL_SECRET itself, which was not replaced then"
        hint = "set TORIL_SECRET to a new one, or remove this"
        yield Finding(level="warning", about="TORIL_SECRET_PREVIOUS", text=text, hint=hint)
    if settings.secret is None:
        elsewhere = not _is_loopback(settings.host) or (settings.database_url or "").startswith("postgres")
        yield Finding(
            level="warning" if elsewhere else "note",
            about="TORIL_SECRET",
            text=f"not set: each machine makes one of its own, in {settings.home.resolve() / 'secret'}",
            hint=f"set the same on all machines; {_NEW}" if elsewhere else "keep a copy of that file",
        )


def check_proxies(settings: Settings) -> Iterator[Finding]:
    """Whether those who may say where a request comes from are the proxies, and only they."""
    about, local = "TORIL_TRUSTED_PROXIES", _is_loopback(settings.host)
    behind_tls = (settings.public_url or "").startswith("https://")
    trusted = [part.strip() for part in (settings.trusted_proxies or "").split(",") if part.strip()]
    if not trusted:
        if behind_tls:
            yield Finding(
                level="warning",
                about=about,
                text="TORIL_PUBLIC_URL is https, so a proxy is in front of us, and none is trusted: all people seem to "
                "come from its address, and limits on signing in count them as one",
                hint="set it to the proxy's address" + (", such as 127.0.0.1" if local else ""),
            )
        elif not local:
            yield Finding(
                level="warning",
                about="TORIL_HOST",
                text=f"HTTP listens on {settings.host} without TLS: passwords travel in clear",
                hint="put a proxy with TLS in front, and set TORIL_PUBLIC_URL and TORIL_TRUSTED_PROXIES",
            )
        return
    wrong = list(_untrustworthy(trusted, local=local))
    yield from wrong
    if not wrong:
        yield Finding(level="ok", about=about, text=f"{', '.join(trusted)} may say where requests come from")


def _untrustworthy(trusted: list[str], *, local: bool) -> Iterator[Finding]:
    about = "TORIL_TRUSTED_PROXIES"
    reachable = False
    for each in trusted:
        if each == "*":
            reachable = True
            text = "* lets everybody say that they come from another address, which passes by every limit on addresses"
            # Who listens for this machine alone hears its own proxy only, and other programs of it.
            yield Finding(
                level="warning" if local else "wrong", about=about, text=text, hint="set the proxy's address"
            )
            continue
        try:
            network = ip_network(each, strict=False)
        except ValueError:
            text = f"{each} is no address and no network, so it matches none"
            yield Finding(
                level="wrong", about=about, text=text, hint="write addresses such as 10.0.0.7 or 10.0.0.0/28"
            )
            continue
        reachable |= network.is_loopback
        if network.num_addresses >= _LARGE:
            text = f"{each} are {network.num_addresses:,} addresses, each of which may say what it likes"
            yield Finding(
                level="wrong" if network.prefixlen == 0 else "warning",
                about=about,
                text=text,
                hint="name the proxy alone",
            )
    if local and not reachable:
        yield Finding(
            level="warning",
            about=about,
            text="HTTP listens for this machine alone, and no address of this machine is among them",
            hint="add 127.0.0.1, or set TORIL_HOST to the address that the proxy reaches",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
