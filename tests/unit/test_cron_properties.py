"""What holds for every cron expression, zone and moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import example, given, settings
from hypothesis import strategies as st

from toril.engine.cron import next_time_ms
from toril.errors import OptionError

#: Zones whose clocks do not jump, with their offset in minutes.
STEADY = {"UTC": 0, "Asia/Riyadh": 180, "Asia/Kolkata": 330, "UTC-03:30": -210}
JUMPING = ["America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana", "America/St_Johns"]
MINUTE_MS = 60_000

#: The first use of a zone reads files, which takes as long as the disk does.
unhurried = settings(deadline=None)

moments = st.integers(1_577_836_800_000, 2_208_988_800_000)  # 2020 to 2039
steady_zones = st.sampled_from(sorted(STEADY))
zones = st.one_of(steady_zones, st.sampled_from(JUMPING))


@dataclass(frozen=True)
class Field:
    text: str
    values: frozenset[int]
    is_star: bool = False


@st.composite
def cron_fields(draw: st.DrawFn, low: int, high: int) -> Field:
    """A field as text, and the values it stands for, worked out apart from the parser."""
    form = draw(st.sampled_from(["*", "one", "range", "step", "list"]))
    if form == "*":
        return Field("*", frozenset(range(low, high + 1)), is_star=True)
    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    step = draw(st.integers(1, high))
    if form == "one":
        return Field(str(first), frozenset({first}))
    if form == "range":
        return Field(f"{first}-{last}", frozenset(range(first, last + 1)))
    if form == "step":
        return Field(f"{first}-{last}/{step}", frozenset(range(first, last + 1, step)))
    values = draw(st.lists(st.integers(low, high), min_size=2, max_size=5, unique=True))
    return Field(",".join(map(str, values)), frozenset(values))


@dataclass(frozen=True)
class Expression:
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field

    @property
    def text(self) -> str:
        return " ".join(f.text for f in (self.minute, self.hour, self.day, self.month, self.weekday))

    def matches(self, local: datetime) -> bool:
        in_day, in_weekday = local.day in self.day.values, local.isoweekday() % 7 in self.weekday.values
        needed = all if self.day.is_star or self.weekday.is_star else any
        return (
            local.minute in self.minute.values
            and local.hour in self.hour.values
            and local.month in self.month.values
            and needed((in_day, in_weekday))
        )


# Days up to 28 and weekdays up to 5, so that each month has a match and no list counts as unrestricted.
expressions = st.builds(
    Expression,
    minute=cron_fields(0, 59),
    hour=cron_fields(0, 23),
    day=cron_fields(1, 28).map(lambda f: Field("*", frozenset(range(1, 32)), True) if f.is_star else f),
    month=cron_fields(1, 12),
    weekday=cron_fields(0, 5).map(lambda f: Field("*", frozenset(range(7)), True) if f.is_star else f),
)


def local(moment_ms: int, tz: str) -> datetime:
    return datetime.fromtimestamp(moment_ms / 1_000, timezone(timedelta(minutes=STEADY[tz])))


@unhurried
@given(expression=expressions, after_ms=moments, tz=zones)
def test_the_next_moment_is_a_later_whole_minute(expression: Expression, after_ms: int, tz: str) -> None:
    found = next_time_ms(expression.text, after_ms=after_ms, tz=tz)
    assert found is not None
    assert found > after_ms
    assert found % MINUTE_MS == 0


@unhurried
@given(expression=expressions, after_ms=moments, tz=steady_zones)
def test_the_next_moment_satisfies_every_field(expression: Expression, after_ms: int, tz: str) -> None:
    found = next_time_ms(expression.text, after_ms=after_ms, tz=tz)
    assert found is not None
    assert expression.matches(local(found, tz))


@unhurried
@given(expression=expressions, after_ms=moments, tz=steady_zones)
def test_no_minute_before_the_next_moment_satisfies_all_fields(
    expression: Expression, after_ms: int, tz: str
) -> None:
    found = next_time_ms(expression.text, after_ms=after_ms, tz=tz)
    assert found is not None
    minute = (after_ms // MINUTE_MS + 1) * MINUTE_MS
    # A day and a half, and then the last hours before the moment.
    for start, end in ((minute, min(found, minute + 2_000 * MINUTE_MS)), (found - 500 * MINUTE_MS, found)):
        for moment in range(max(start, minute), end, MINUTE_MS):
            assert not expression.matches(local(moment, tz))


@unhurried
@given(expression=expressions, after_ms=moments, later_ms=st.integers(0, 40 * 86_400_000), tz=steady_zones)
def test_a_later_start_never_gives_an_earlier_moment(
    expression: Expression, after_ms: int, later_ms: int, tz: str
) -> None:
    # Not so within an hour that comes twice: a restricted hour counts once, but a search that starts in the
    # second of them knows nothing of the first. That is how cron-parser has it.
    first = next_time_ms(expression.text, after_ms=after_ms, tz=tz)
    second = next_time_ms(expression.text, after_ms=after_ms + later_ms, tz=tz)
    assert first is not None
    assert second is not None
    assert first <= second
    if after_ms + later_ms < first:
        assert first == second


@unhurried
@given(expression=expressions, after_ms=moments, tz=zones)
def test_the_same_question_has_the_same_answer(expression: Expression, after_ms: int, tz: str) -> None:
    answers = {next_time_ms(expression.text, after_ms=after_ms, tz=tz) for _ in range(2)}
    padded = f"  0  {expression.text.replace(' ', '   ')} "
    assert answers == {next_time_ms(padded, after_ms=after_ms, tz=tz)}


@unhurried
@given(expression=expressions, after_ms=moments, width_ms=st.integers(0, 10**10), tz=zones)
def test_the_end_only_cuts(expression: Expression, after_ms: int, width_ms: int, tz: str) -> None:
    free = next_time_ms(expression.text, after_ms=after_ms, tz=tz)
    cut = next_time_ms(expression.text, after_ms=after_ms, tz=tz, end_ms=after_ms + width_ms)
    assert free is not None
    assert cut == (free if free <= after_ms + width_ms else None)


@unhurried
@given(seconds=cron_fields(0, 59), after_ms=moments)
def test_six_fields_start_with_the_second(seconds: Field, after_ms: int) -> None:
    found = next_time_ms(f"{seconds.text} * * * * *", after_ms=after_ms, tz="UTC")
    assert found is not None
    expected = after_ms // 1_000 + 1
    while expected % 60 not in seconds.values:
        expected += 1
    assert found == expected * 1_000


@unhurried
@given(text=st.text(alphabet="0123456789 */-,?L#@WHxmonJAN\t\n²٣", max_size=30), after_ms=moments, tz=zones)
@example(text="1#2", after_ms=1_600_000_000_000, tz="UTC")
def test_any_text_is_answered_or_refused(text: str, after_ms: int, tz: str) -> None:
    try:
        found = next_time_ms(text, after_ms=after_ms, tz=tz)
    except OptionError:
        return
    assert found is None or (found > after_ms and datetime.fromtimestamp(found / 1_000, UTC).microsecond == 0)
