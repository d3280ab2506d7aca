"""E-mail addresses: one mailbox, checked once, safe to write into a header or an SMTP command afterwards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formataddr
from functools import lru_cache

import idna

from toril.errors import OptionError
from toril.queues.email.encoded_words import encoded_words

# RFC 5322 "dot-atom"; a quoted local part ("a b"@example.com) is legal, unused in practice, and refused.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_NAMED = re.compile(r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^<>"]*?))\s*<(?P<address>[^<>]*)>')
#: Unicode's categories Cc, Cs, Zl and Zp.
_ENDS_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SPECIALS = re.compile(r'[][\\()<>@,:;".]')

_FOLD = "\n "
_LINE = 60  #: characters of a name and an address that share a line of at most 76 with the header's name

MAX_TEXT = 512  #: characters of "Name <address>"; real ones stay far below
MAX_LOCAL = 64  #: RFC 5321, 4.5.3.1.1
MAX_ADDRESS = 254  #: RFC 5321, 4.5.3.1.3, less the angle brackets


def header_text_problem(text: str) -> str | None:
    """Why ``text`` must not become part of a header, or ``None`` if it may.

    Refused are control characters and line separators, which could end the header and begin another one, lone
    surrogates, and RFC 2047 "encoded words": a reader decodes those, whatever they hide. Direction marks and
    joiners, which Arabic text needs, are fine.
    """
    if found := _ENDS_A_LINE.search(text):
        return f"has the control character U+{ord(found[0]):04X}; headers hold a single line of text"
    if "=?" in text and "?=" in text:
        return "looks like an encoded word (=?…?=); give plain text, it is encoded for you"
    return None


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One sender or recipient.

    Attributes:
        address: ``local@domain``, ASCII; an international domain is in its ``xn--`` form.
        name: what readers show beside it, any script; may be empty.
    Raises:
        OptionError: the name or the address could not stand in a header.
    """

    address: str
    name: str = ""

    def __post_init__(self) -> None:
        local, _, domain = self.address.rpartition("@")
        if not (_LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)):
            raise OptionError(f"{self.address!r} is not an e-mail address")
        if problem := header_text_problem(self.name):
            raise OptionError(f"the display name {self.name!r} {problem}")

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    def __str__(self) -> str:
        """``Name <address>`` with the name as people read it; quoted where RFC 5322 asks for it."""
        if not self.name:
            return self.address
        if not _SPECIALS.search(self.name):
            return f"{self.name} <{self.address}>"
        escaped = re.sub(r'([\\"])', r"\\\1", self.name)
        return f'"{escaped}" <{self.address}>'

    def to_header(self) -> str:
        """The same in ASCII, the name as RFC 2047 encoded words of legal length where it needs them.

        A long one has several lines, folded by ``\\n`` and a space.
        """
        if self.name.isascii():
            return formataddr((self.name, self.address))
        words = encoded_words(self.name)
        fits = len(words) + len(self.address) <= _LINE
        return f"{words}{' ' if fits else _FOLD}<{self.address}>"


def parse_mailbox(text: str) -> Mailbox:
    """Read ``a@b.example`` or ``Name <a@b.example>``.

    The domain may be international (``شركة.السعودية``); what comes before the @ must be ASCII, because mail
    to anything else arrives only if every server on the way supports SMTPUTF8.

    Raises:
        OptionError: with the reason. Several addresses in one string are refused too; give a list.
    """
    text = text.strip()
    if not text:
        raise OptionError("the address is empty")
    if len(text) > MAX_TEXT:
        raise OptionError(f"the address has {len(text)} characters; the limit is {MAX_TEXT}")
    if problem := header_text_problem(text):
        raise OptionError(f"the address {text!r} {problem}")
    name, address = "", text
    if named := _NAMED.fullmatch(text):
        name = named["plain"] if named["quoted"] is None else re.sub(r"\\(.)", r"\1", named["quoted"])
        name, address = name.strip(), named["address"].strip()
        if named["quoted"] is None and "@" in name and ("," in name or ";" in name):
            raise OptionError(f"{text!r} is not one e-mail address; give several as a list")
    local, at, domain = address.rpartition("@")
    if not at:
        raise OptionError(f"{text!r} is not an e-mail address: it has no @")
    if re.search(r"[,;<>]", address):
        raise OptionError(f"{text!r} is not one e-mail address; give several as a list")
    if not local.isascii():
        raise OptionError(f"{text!r}: before the @ only ASCII works; the domain may be international")
    if not _LOCAL.fullmatch(local) or len(local) > MAX_LOCAL:
        raise OptionError(f"{text!r} is not an e-mail address: {local!r} cannot stand before the @")
    address = f"{local}@{_ascii_domain(domain, text)}"
    if len(address) > MAX_ADDRESS:
        raise OptionError(f"{text!r} is not an e-mail address: longer than {MAX_ADDRESS} characters")
    return Mailbox(address, name)


@lru_cache(maxsize=4096)
def _idna(domain: str) -> str:
    # A sender's is that of every mail, and most recipients share a few.
    return idna.encode(domain, uts46=True).decode("ascii")


def _ascii_domain(domain: str, text: str) -> str:
    try:
        encoded = _idna(domain)
    except UnicodeError as error:
        raise OptionError(f"{text!r} is not an e-mail address: the domain {domain!r} is not valid") from error
    if encoded.endswith(".") or ("." not in encoded and encoded != "localhost"):
        raise OptionError(f"{text!r} is not an e-mail address: the domain {domain!r} is not complete")
    return encoded
