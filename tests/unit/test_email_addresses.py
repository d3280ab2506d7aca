"""Reading addresses: what is taken, what is refused and why, and how they look afterwards."""

from __future__ import annotations

import re
from email import message_from_string
from email.policy import default

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toril.errors import OptionError
from toril.queues.email import Mailbox, parse_mailbox


def header_addresses(value: str) -> list[tuple[str, str]]:
    """Name and address of each mailbox, as the standard library reads a header."""
    header = message_from_string(f"To: {value}\n\n", policy=default)["To"]
    return [(address.display_name, address.addr_spec) for address in header.addresses]


@pytest.mark.parametrize(
    ("text", "address", "name"),
    [
        pytest.param("a@example.com", "a@example.com", "", id="bare"),
        pytest.param("  a@example.com ", "a@example.com", "", id="trimmed"),
        pytest.param("<a@example.com>", "a@example.com", "", id="in brackets"),
        pytest.param("Sara Ali <sara@example.com>", "sara@example.com", "Sara Ali", id="with a name"),
        pytest.param('"Ali, Sara" <sara@example.com>', "sara@example.com", "Ali, Sara", id="quoted name"),
        pytest.param(r'"The \"Office\"" <o@example.com>', "o@example.com", 'The "Office"', id="escapes"),
        pytest.param("Ali, Sara <sara@example.com>", "sara@example.com", "Ali, Sara", id="bare comma"),
        pytest.param("مكتب المحاماة <o@example.com>", "o@example.com", "مكتب المحاماة", id="Arabic name"),
        pytest.param("a@شركة.السعودية", "a@xn--ogbpi5d.xn--mgberp4a5d4ar", "", id="Arabic domain"),
        pytest.param("a@Bücher.example", "a@xn--bcher-kva.example", "", id="upper case domain"),
        pytest.param("O'Neil+tag_1@Example.COM", "O'Neil+tag_1@example.com", "", id="local part kept"),
        pytest.param("root@localhost", "root@localhost", "", id="this machine"),
    ],
)
def test_an_address_is_read(text: str, address: str, name: str) -> None:
    assert parse_mailbox(text) == Mailbox(address, name)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("nobody", "has no @", id="no at"),
        pytest.param("@example.com", "cannot stand before the @", id="no local part"),
        pytest.param("a@", "is not valid", id="no domain"),
        pytest.param("a@gmail", "is not complete", id="no top level"),
        pytest.param("a@example.com.", "is not complete", id="final dot"),
        pytest.param("a@exa_mple.com", "is not valid", id="underscore in the domain"),
        pytest.param("a@-x.com", "is not valid", id="hyphen first"),
        pytest.param("a@[10.0.0.1]", "is not valid", id="address literal"),
        pytest.param("a b@example.com", "cannot stand before the @", id="space"),
        pytest.param("a..b@example.com", "cannot stand before the @", id="two dots"),
        pytest.param('"a b"@example.com', "cannot stand before the @", id="quoted local part"),
        pytest.param("سارة@example.com", "only ASCII works", id="Arabic local part"),
        pytest.param("a@b@example.com", "cannot stand before the @", id="two ats"),
        pytest.param("a@example.com, b@example.com", "give several as a list", id="two addresses"),
        pytest.param("a@x.com, Bob <b@y.com>", "give several as a list", id="two, one named"),
        pytest.param("Name <a@example.com> <b@example.com>", "give several as a list", id="two brackets"),
        pytest.param("Name <a@example.com", "give several as a list", id="open bracket"),
        pytest.param(
            "a@example.com\r\nBcc: x@example.com", "control character U+000D", id="header injection"
        ),
        pytest.param("Na\x00me <a@example.com>", "control character U+0000", id="NUL"),
        pytest.param("Na\u2028me <a@example.com>", "control character U+2028", id="line separator"),
        pytest.param("=?utf-8?q?x=0A?= <a@example.com>", "encoded word", id="encoded word"),
        pytest.param("a" * 65 + "@example.com", "cannot stand before the @", id="long local part"),
        pytest.param("a@" + "a" * 64 + ".com", "is not valid", id="long label"),
        pytest.param("x" * 600 + " <a@example.com>", "the limit is 512", id="long text"),
    ],
)
def test_an_address_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(OptionError, match=re.escape(reason)):
        parse_mailbox(text)


def test_a_mailbox_checks_itself_however_it_is_made() -> None:
    with pytest.raises(OptionError, match="is not an e-mail address"):
        Mailbox("a@example.com>\r\nRCPT TO:<b@example.com")
    with pytest.raises(OptionError, match=r"control character U\+000A"):
        Mailbox("a@example.com", "x\nBcc: b@example.com")


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=60).filter(
    lambda name: name == name.strip() and "=?" not in name
)


@settings(deadline=None)
@given(name=NAMES)
@example(name='Ali, "the" Office; (x) <y> @z: \\')
@example(name="مكتب المحاماة والاستشارات القانونية والتحكيم، الرياض - المملكة العربية السعودية")
def test_a_name_survives_the_header_and_the_text_form(name: str) -> None:
    mailbox = Mailbox("a@example.com", name)
    header = mailbox.to_header()
    assert header.isascii()
    assert all(len(word) <= 75 for word in header.split() if word.startswith("=?"))
    [(read, address)] = header_addresses(header)
    assert address == "a@example.com"
    # A header may join and trim white space; the characters and their order stay.
    assert "".join(read.split()) == "".join(name.split())
    assert parse_mailbox(str(mailbox)) == mailbox


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_an_address_or_an_option_error(text: str) -> None:
    try:
        mailbox = parse_mailbox(text)
    except OptionError:
        return
    assert mailbox.address.isascii()
    assert mailbox.address.count("@") == 1
