"""Names of glyphs in finished files."""

from __future__ import annotations

from toril.queues.pdf.renderers.naming import is_naming, with_plain_letters


def test_forms_of_one_letter_are_named_by_it_and_forms_of_two_stay() -> None:
    names = b"3 beginbfchar\n<0001> <FE8E>\n<0002> <0041>\n<0003> <FEFB>\nendbfchar\n"

    assert with_plain_letters(names) == (
        b"3 beginbfchar\n<0001> <0627>\n<0002> <0041>\n<0003> <FEFB>\nendbfchar\n"
    )


def test_a_row_of_forms_is_named_one_by_one() -> None:
    names = (
        b"1 beginbfchar\n<0009> <0020>\nendbfchar\n"
        b"2 beginbfrange\n<0001> <0003> <FE90>\n<0010> <0011> <0041>\nendbfrange\n"
    )

    assert with_plain_letters(names) == (
        b"1 beginbfchar\n<0009> <0020>\nendbfchar\n"
        b"5 beginbfchar\n<0001> <0628>\n<0002> <0628>\n<0003> <0628>\n<0010> <0041>\n<0011> <0042>\nendbfchar\n"
    )


def test_a_long_row_comes_in_blocks_of_a_hundred() -> None:
    made = with_plain_letters(b"1 beginbfrange\n<0000> <00F9> <0100>\nendbfrange\n")

    assert [line for line in made.split(b"\n") if b"begin" in line] == [
        b"100 beginbfchar",
        b"100 beginbfchar",
        b"50 beginbfchar",
    ]
    assert b"<00F9> <01F9>\n" in made


def test_a_way_of_writing_that_is_not_known_is_left_alone() -> None:
    names = b"1 beginbfrange\n<0001> <0002> [<0041> <0042>]\nendbfrange\n"

    assert with_plain_letters(names) == names


def test_names_are_told_from_other_streams() -> None:
    assert is_naming(b"/CIDInit /ProcSet findresource begin")
    assert not is_naming(b"q 1 0 0 1 0 0 cm")
