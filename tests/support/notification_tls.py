"""Certificates of an authority of our own, and names that lead to this machine, for servers that look public."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit, urlunsplit

import trustme

from toril.queues.ssrf import Guard, Target

#: What the push service of tests is called.
PUSH_NAME = "push.example.test"


@cache
def authority() -> trustme.CA:
    """One authority for all tests of this process; keys take time to make."""
    return trustme.CA()


def server_tls(*names: str) -> ssl.SSLContext:
    """What a server for ``names`` shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(*names).configure_cert(context)
    return context


def client_tls() -> ssl.SSLContext:
    """Trusts our authority, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    return context


@dataclass
class Names:
    """A name server: each name's answers, one for each look-up, the last for all further ones.

    Attributes:
        asked: the names, in the order of the look-ups.
    """

    answers: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def resolve(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        answers = self.answers.get(name, [["127.0.0.1"]])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalGuard(Guard):
    """The strict guard, but for this machine's address and ports, which no test can do without.

    Names are read as strictly as ever.
    """

    def parse(self, url: str) -> Target:
        return Guard(schemes=self.schemes, ports=None).parse(url)


def local_guard(names: Names, *schemes: str) -> Guard:
    """A guard to which this machine is outside; everything else is as it is."""
    inside = Guard.for_development().inside
    return LocalGuard(
        schemes=frozenset(schemes or ("https",)), ports=None, inside=inside, resolver=names.resolve
    )


def under_name(url: str, name: str) -> str:
    """``url`` with ``name`` for its host."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{name}:{parts.port}"))
