"""How many streams of events one user may have, of those that there are."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from toril.web.errors import Overloaded, TooManyRequests
from toril.web.event_feed import EventFeeds


def test_nobody_takes_all_streams_of_events() -> None:
    feeds = EventFeeds(most=5, most_each=3)
    with ExitStack() as open_now:
        for _ in range(3):
            open_now.enter_context(feeds.slot("ada"))
        with pytest.raises(TooManyRequests), feeds.slot("ada"):
            pass
        with feeds.slot("sara"), feeds.slot("sara"), pytest.raises(Overloaded), feeds.slot("omar"):
            pass
    with feeds.slot("ada"):
        assert feeds.open == 1
