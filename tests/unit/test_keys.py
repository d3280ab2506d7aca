from __future__ import annotations

import pytest

from toril.engine.keys import SCRIPT_KEYS, QueueKeys, check_job_id
from toril.errors import OptionError


def test_keys_are_bulls() -> None:
    keys = QueueKeys("video")
    assert keys.base == "bull:video"
    assert keys.of("wait") == "bull:video:wait"
    assert keys.job("7") == "bull:video:7"
    assert keys.lock("7") == "bull:video:7:lock"
    assert keys.logs("7") == "bull:video:7:logs"


def test_prefix_in_braces_starts_every_key() -> None:
    keys = QueueKeys("video", "{jobs}")
    assert {key.split(b":")[0] for key in keys.script_keys} == {b"{jobs}"}
    assert len(keys.script_keys) == len(SCRIPT_KEYS)


def test_names_with_dots_and_spaces_are_fine() -> None:
    assert QueueKeys("my queue.v2").base == "bull:my queue.v2"


@pytest.mark.parametrize("name", ["", "a@b", "a*", "a?", "a[b]", "a\\b", "a\nb", "x" * 600, None, 7])
def test_names_that_break_subscriptions_are_refused(name: object) -> None:
    with pytest.raises(OptionError, match="queue name"):
        QueueKeys(name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "job_id",
    ["wait", "paused", "id", "meta", "meta-paused", "failed", "limiter", "limiter:x", "metrics:completed", "de:x",
     "toril", "toril:overflow", "a:lock", "a:logs", "", "a\nb", "\ud800", "x" * 600],
)  # fmt: skip
def test_ids_that_would_be_another_key_are_refused(job_id: str) -> None:
    with pytest.raises(OptionError, match="job_id"):
        check_job_id(job_id)


@pytest.mark.parametrize("job_id", [7, None, b"a", ["a"]])
def test_ids_must_be_texts(job_id: object) -> None:
    with pytest.raises(OptionError, match="job_id must be a text"):
        check_job_id(job_id)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "job_id", ["a", "order-7", "7", "a:b", "waiter", "فاتورة-١", "pdf-1732400000000-k3v9x0q2a"]
)
def test_ordinary_ids_are_kept(job_id: str) -> None:
    assert check_job_id(job_id) == job_id
