"""When two names of a company are the same."""

from __future__ import annotations

import pytest

from toril.queues.sync.wathq.names import is_same_name, language_of


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("شركة المثال للمحاماة", "شركة المثال للمحاماة"),
        ("المثال للمحاماه", "شركة المثال للمحاماة"),
        ("شركة الأمل  العربيّة", "شركه الامل العربية المحدودة"),
        ("مؤسسة مصطفى التجارية", "موسسة مصطفي التجاريه"),
        ("شركة المـــثال", "شركة المثال"),
        ("Al Mithal Trading Co.", "AL-MITHAL TRADING COMPANY LTD"),
        ("المثال", "شركة المثال ذات المسؤولية المحدودة"),
        ("المثال", "شركة المثال ذات مسئولية محدودة"),
        ("شركة", "شركه"),
    ],
)
def test_spelling_and_legal_form_do_not_matter(ours: str, theirs: str) -> None:
    assert is_same_name(ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("شركة المثال للمحاماة", "شركة النخبة للمقاولات"),
        ("شركة المثال", "شركة المنال القابضة للتجارة"),
        ("Al Mithal", "شركة المثال"),
        ("شركة المثال", ""),
        ("", ""),
        ("—", "—"),
    ],
)
def test_other_names_are_other_companies(ours: str, theirs: str) -> None:
    assert not is_same_name(ours, theirs)


def test_a_name_tells_its_language() -> None:
    assert (language_of("شركة ABC"), language_of("ABC Company")) == ("ar", "en")
