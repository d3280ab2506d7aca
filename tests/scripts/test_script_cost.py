"""What scripts cost the server, counted in the commands they run rather than in time."""

from __future__ import annotations

import redis
from tests.support.script_runs import Scripts

_MAKE_JOBS = """
for id = ARGV[2], ARGV[3] do redis.call('HSET', ARGV[1] .. id, 'name', 'n', 'data', '{}') end
redis.call('SET', ARGV[1] .. 'toril:numeric', 1)
"""
_DELETE_JOBS = "for id = ARGV[2], ARGV[3] do redis.call('DEL', ARGV[1] .. id) end"


def test_a_plain_add_passes_a_long_row_of_numeric_ids_with_a_few_looks(
    client: redis.Redis, scripts: Scripts
) -> None:
    base, row = f"{scripts.keys.base}:", 200_000
    client.eval(_MAKE_JOBS, 0, base, 1, row)
    added: list[str] = []
    calls = scripts.calls_while(lambda: added.extend(scripts.add(*[0] * 100)))
    assert calls["exists"] < 500
    assert len(set(added)) == 100
    assert all(int(job_id) > row for job_id in added)
    client.eval(_DELETE_JOBS, 0, base, 1, row)


def test_chosen_ids_cannot_drive_the_counter_to_its_end(client: redis.Redis, scripts: Scripts) -> None:
    step, number = 1, 1
    for _ in range(40):  # each lies where the next look would be
        client.eval(_MAKE_JOBS, 0, f"{scripts.keys.base}:", number, number)
        number, step = number + step, step * 2
    (added,) = scripts.add(0)
    assert int(added) < 10_000_000
