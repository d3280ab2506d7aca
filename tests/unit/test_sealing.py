"""Sealed texts open with the secret they were sealed by, in their place, and nowhere else."""

from __future__ import annotations

import pytest

from toril.errors import ConfigurationError, NotConfiguredError
from toril.queues.sync.access.sealing import Sealer

OLD, NEW = "a secret of thirty-two characters!", "another of thirty-two characters!!"
PLACE = "firm 1 at moyasar"


def test_a_text_comes_back_and_is_not_to_be_seen() -> None:
    sealer = Sealer([OLD], purpose="tests")
    sealed = sealer.seal("sk_live_1", place=PLACE)
    assert sealer.open(sealed, place=PLACE) == "sk_live_1"
    assert "sk_live" not in sealed
    assert sealer.seal("sk_live_1", place=PLACE) != sealed


@pytest.mark.parametrize(
    ("sealer", "place"),
    [
        (Sealer([NEW], purpose="tests"), PLACE),
        (Sealer([OLD], purpose="other"), PLACE),
        (Sealer([OLD], purpose="tests"), "firm 2 at moyasar"),
    ],
)
def test_another_secret_purpose_or_place_does_not_open_it(sealer: Sealer, place: str) -> None:
    sealed = Sealer([OLD], purpose="tests").seal("sk_live_1", place=PLACE)
    with pytest.raises(NotConfiguredError, match="another TORIL_SECRET"):
        sealer.open(sealed, place=place)


@pytest.mark.parametrize("damaged", ["", "1:", "1:AAAA", "1:not base64", "2:AAAA", "x"])
def test_what_is_damaged_does_not_open(damaged: str) -> None:
    with pytest.raises(NotConfiguredError):
        Sealer([OLD], purpose="tests").open(damaged, place=PLACE)


def test_a_replaced_secret_still_opens_what_it_sealed_and_is_told() -> None:
    sealed = Sealer([OLD], purpose="tests").seal("sk_live_1", place=PLACE)
    both = Sealer([NEW, OLD], purpose="tests")
    assert both.open(sealed, place=PLACE) == "sk_live_1"
    assert both.age(sealed, place=PLACE) == "replaced"
    assert both.age(both.seal("sk_live_1", place=PLACE), place=PLACE) == "present"
    assert Sealer([NEW], purpose="tests").age(sealed, place=PLACE) == "unknown"


@pytest.mark.parametrize("secrets", [[], ["short"], [OLD, "short"]])
def test_a_secret_that_could_be_guessed_is_refused(secrets: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="at least 32"):
        Sealer(secrets, purpose="tests")
