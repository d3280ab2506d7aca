"""Placeholders of bulk mail: filled everywhere, escaped where they stand, and never run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toril.errors import OptionError
from toril.queues.email.placeholders import fill_html, fill_subject, fill_text, placeholders

VALUES = {"name": "Sara <b>&\"'", "رقم": "٢٠٤", "n": "5"}


def test_every_occurrence_is_filled() -> None:
    assert fill_text("{{name}} {{ name }} {{\tn }}{{رقم}}", VALUES) == "Sara <b>&\"' Sara <b>&\"' 5٢٠٤"


def test_values_are_escaped_in_html_and_in_its_attributes() -> None:
    assert fill_html('<a title="{{name}}">{{name}}</a>', VALUES) == (
        '<a title="Sara &lt;b&gt;&amp;&quot;&#x27;">Sara &lt;b&gt;&amp;&quot;&#x27;</a>'
    )


def test_a_value_is_not_looked_at_again() -> None:
    assert fill_text("{{a}}{{b}}", {"a": "{{b}}", "b": "}}{{a}}"}) == "{{b}}}}{{a}}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ 7 * 7 }}",
        "{{ name.__class__ }}",
        "{{ name|upper }}",
        "{% for a in b %}{% endfor %}",
        "{{ self }}{# x #}".replace("{{ self }}", "{{'a'}}"),
        "{name} {{{n.m}}} {{}} {{ a b }} {{\nname\n}}",
    ],
)
def test_what_is_no_plain_name_stays_as_it_is(text: str) -> None:
    assert placeholders(text) == []
    assert fill_text(text, VALUES) == text


def test_a_name_without_a_value_is_named() -> None:
    with pytest.raises(OptionError, match=r"no value for \{\{naem\}\}"):
        fill_html("<p>{{naem}}</p>", VALUES)


@pytest.mark.parametrize("value", ["a\r\nBcc: evil@example.com", "a\x85b", "a\u2028b", "a\x00\x1bb", "a\tb"])
def test_a_value_cannot_leave_the_subject(value: str) -> None:
    subject = fill_subject("Hello {{name}}!", {"name": value}, limit=900)
    assert subject.isprintable()
    assert subject.startswith("Hello a ")


@pytest.mark.parametrize(
    ("template", "value", "reason"),
    [
        ("{{name}}", " \n ", "is empty"),
        ("{{name}}", "x" * 901, "901"),
        ("a {{name}}", "=?utf-8?q?x?=", "encoded word"),
    ],
)
def test_a_subject_that_cannot_be_is_refused(template: str, value: str, reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        fill_subject(template, {"name": value}, limit=900)


@given(st.text(), st.text(), st.text())
def test_filling_changes_nothing_but_the_placeholder(before: str, value: str, after: str) -> None:
    before, after = before.replace("{", ""), after.replace("}", "")
    assert fill_text(f"{before}{{{{x}}}}{after}", {"x": value}) == f"{before}{value}{after}"
