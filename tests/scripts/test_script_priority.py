"""The order in which prioritised jobs are served, with more of them than the window holds."""

from __future__ import annotations

import random
from typing import Any

import redis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.support.script_runs import Scripts, new_scripts

WINDOW = 512


class Model:
    """What Bull's order is: prioritised jobs first, the smaller number before the larger, each first come first."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, int]] = []  #: (id, priority) in the order of service

    def add(self, job_id: str, priority: int, *, in_front: bool = False) -> None:
        at = len(self.jobs)
        if priority:
            for place, (_, other) in enumerate(self.jobs):
                if other == 0 or other > priority or (in_front and other == priority):
                    at = place
                    break
        self.jobs.insert(at, (job_id, priority))

    def take(self, count: int) -> list[tuple[str, int]]:
        taken, self.jobs = self.jobs[:count], self.jobs[count:]
        return taken

    @property
    def ids(self) -> list[str]:
        return [job_id for job_id, _ in self.jobs]


def check_places(scripts: Scripts, model: Model) -> None:
    """Every job is in one place, and Bull's priority set tells which in the list are prioritised."""
    in_list, overflowed = scripts.list_of("wait") + scripts.list_of("paused"), scripts.overflow()
    assert sorted(in_list + overflowed) == sorted(model.ids)
    prioritised = {job_id for job_id, priority in model.jobs if priority}
    assert scripts.priorities() == prioritised.intersection(in_list)


#: Name of a method of ``Run``, and its arguments.
Step = tuple[Any, ...]

PRIORITY = st.sampled_from([0, 1, 2, 3, 7])
ADD = st.tuples(
    st.just("add"),
    st.lists(st.tuples(PRIORITY, st.sampled_from([1, 2, 30, 400, 700])), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
TAKE = st.tuples(st.just("take"), st.sampled_from([1, 3, 100, 450, 1000]))
HAND_BACK = st.tuples(st.just("hand_back"), st.integers(1, 5))
PAUSE = st.tuples(st.just("pause"), st.booleans())
WORKER = st.tuples(st.just("worker"), st.sampled_from(["beats", "leaves", "dies"]))
NODE = st.one_of(
    st.tuples(st.just("node_add"), st.lists(PRIORITY, min_size=1, max_size=40)),
    st.tuples(st.just("node_take"), st.integers(1, 100)),
)


class Run:
    """Does the same to a queue and to the model."""

    def __init__(self, client: redis.Redis) -> None:
        self.scripts, self.model = new_scripts(client), Model()
        self.taken: list[tuple[str, int]] = []
        self.alive = self.paused = False

    def do(self, step: Step) -> None:
        getattr(self, step[0])(*step[1:])

    def add(self, kinds: list[tuple[int, int]], shuffle: random.Random) -> None:
        priorities = [priority for priority, count in kinds for _ in range(count)]
        shuffle.shuffle(priorities)
        for job_id, priority in zip(self.scripts.add(*priorities), priorities, strict=True):
            self.model.add(job_id, priority)

    def take(self, count: int) -> None:
        if self.paused:
            assert self.scripts.take(count) == []
            return
        expected = self.model.take(count)
        assert self.scripts.take(count) == [job_id for job_id, _ in expected]
        self.taken += expected

    def hand_back(self, count: int) -> None:
        for _ in range(count):
            # One without priority goes to the very head, where Bull's arithmetic for later adds goes astray.
            if self.taken and self.taken[-1][1]:
                job_id, priority = self.taken.pop()
                self.scripts.hand_back(job_id, priority)
                self.model.add(job_id, priority, in_front=True)

    def worker(self, what: str) -> None:
        if what == "beats":
            self.scripts.beat()
        elif what == "leaves":
            self.scripts.leave()
        else:
            self.scripts.client.delete(self.scripts.keys.of("toril:workers"))
        self.alive = what == "beats"

    def pause(self, paused: bool) -> None:
        self.scripts.run("pause", int(paused))
        self.paused = paused

    def node_add(self, priorities: list[int]) -> None:
        for priority in priorities:
            self.model.add(self.scripts.node_add(priority), priority)

    def node_take(self, count: int) -> None:
        for _ in range(count):
            job_id = self.scripts.node_take()
            self.model.jobs = [job for job in self.model.jobs if job[0] != job_id]

    def end(self) -> None:
        """Serve all that is left, in order."""
        self.pause(False)
        while self.model.jobs:
            self.take(300)
        assert self.scripts.take(1) == []
        assert not self.scripts.priorities()
        keys = self.scripts.client.keys(f"{self.scripts.keys.base}:*")
        if keys:
            self.scripts.client.delete(*keys)


#: Not shrunk: an example of thousands of jobs takes half a second, and shrinking wants thousands of examples.
FEW = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FEW
@given(steps=st.lists(st.one_of(ADD, ADD, TAKE, HAND_BACK, PAUSE, WORKER), max_size=14))
def test_jobs_are_served_in_bulls_order_with_any_number_waiting(
    client: redis.Redis, steps: list[Step]
) -> None:
    run = Run(client)
    run.worker("beats")
    for step in steps:
        run.do(step)
        check_places(run.scripts, run.model)
        assert run.scripts.waiting("paused" if run.paused else "waiting") == run.model.ids
    run.end()


@FEW
@given(steps=st.lists(st.one_of(ADD, ADD, TAKE, NODE, NODE, HAND_BACK), max_size=16))
def test_order_holds_when_node_adds_and_takes_beside_a_living_worker(
    client: redis.Redis, steps: list[Step]
) -> None:
    run = Run(client)
    for step in steps:
        run.scripts.beat()
        if step[0] == "node_take":
            expected = run.model.ids[step[1] :]
            run.do(step)
            assert run.model.ids == expected
        else:
            run.do(step)
    run.scripts.beat()
    run.end()


@FEW
@given(steps=st.lists(st.one_of(ADD, TAKE, NODE, HAND_BACK, PAUSE, WORKER), max_size=16))
def test_no_job_is_lost_or_doubled_whatever_node_and_workers_do(
    client: redis.Redis, steps: list[Step]
) -> None:
    run = Run(client)
    served: list[str] = []
    for step in steps:
        if step[0] == "take":
            got = run.scripts.take(step[1])
            served += got
            run.model.jobs = [job for job in run.model.jobs if job[0] not in set(got)]
        else:
            run.do(step)
        check_places(run.scripts, run.model)
    run.pause(False)
    while got := run.scripts.take(300):
        served += got
        run.model.jobs = [job for job in run.model.jobs if job[0] not in set(got)]
    assert run.model.jobs == []
    assert len(served) == len(set(served))


def test_priorities_of_bulls_own_suite(scripts: Scripts) -> None:
    one, two, three, four = scripts.add(3, 3, 2, 1)
    assert scripts.waiting() == [four, three, one, two]
    scripts.run("remove_jobs", "everywhere", 0, 0, one)
    assert scripts.waiting() == [four, three, two]
    (five,) = scripts.add(10)
    assert scripts.waiting() == [four, three, two, five]


def test_lifo_jobs_shift_later_priorities_as_in_bull(scripts: Scripts) -> None:
    n1, p5, p1, p5b, n2, p3 = scripts.add(0, 5, 1, 5, 0, 3)
    assert scripts.list_of("wait") == [n2, n1, p5b, p5, p3, p1]
    (last_in,) = scripts.add(0, lifo=True)
    (p2,) = scripts.add(2)
    assert scripts.list_of("wait") == [n2, n1, p5b, p5, p3, p1, p2, last_in]


def test_without_a_toril_worker_all_jobs_stay_in_the_list(scripts: Scripts) -> None:
    ids = scripts.add(*[1] * 2000)
    assert scripts.list_of("wait") == ids[::-1]
    assert scripts.overflow() == []


def test_with_a_worker_the_list_holds_the_window_only(scripts: Scripts) -> None:
    scripts.beat()
    ids = scripts.add(*[1] * 2000)
    assert scripts.list_of("wait") == ids[:WINDOW][::-1]
    assert scripts.overflow() == ids[WINDOW:]


def test_the_window_is_filled_again_before_it_runs_out(scripts: Scripts) -> None:
    scripts.beat()
    ids = scripts.add(*[4] * 2000)
    assert scripts.take(450) == ids[:450]
    assert scripts.list_of("wait") == ids[450 : 450 + WINDOW][::-1]


def test_a_heartbeat_fills_a_window_that_node_emptied(scripts: Scripts) -> None:
    scripts.beat()
    ids = scripts.add(*[4] * 1000)
    assert [scripts.node_take() for _ in range(WINDOW + 1)] == [*ids[:WINDOW], None]
    scripts.beat()
    assert scripts.node_take() == ids[WINDOW]


def test_nodes_equals_do_not_overtake_overflowed_jobs(scripts: Scripts) -> None:
    scripts.beat()
    ours = scripts.add(*[1] * 800)
    nodes = [scripts.node_add(1) for _ in range(50)]
    served = []
    while got := scripts.take(100):
        # Node goes on adding: if its jobs overtook, the overflow would never be served.
        nodes += [scripts.node_add(1) for _ in range(30 if len(nodes) < 200 else 0)]
        served += got
    assert served == ours + nodes


def test_the_last_worker_puts_everything_back_for_node(scripts: Scripts) -> None:
    scripts.beat()
    ids = scripts.add(*[2, 9] * 1500)
    scripts.leave()
    expected = ids[::2] + ids[1::2]
    assert scripts.list_of("wait") == expected[::-1]
    assert scripts.overflow() == []
    assert scripts.client.exists(scripts.keys.of("toril:edge")) == 0


def test_another_worker_keeps_the_overflow_when_one_leaves(scripts: Scripts) -> None:
    other = Scripts(scripts.client, scripts.keys, "other")
    scripts.beat()
    other.beat()
    scripts.add(*[2] * 1000)
    scripts.leave()
    assert len(scripts.overflow()) == 1000 - WINDOW


def test_adding_puts_jobs_back_when_all_workers_died(scripts: Scripts) -> None:
    scripts.beat()
    ids = scripts.add(*[2] * 2000)
    scripts.client.delete(scripts.keys.of("toril:workers"))
    for _ in range(4):
        ids += scripts.add(2)
    assert scripts.overflow() == []
    assert scripts.list_of("wait") == ids[::-1]


def test_what_is_added_while_jobs_are_put_back_keeps_its_place(scripts: Scripts) -> None:
    scripts.beat()
    urgent, late = scripts.add(*[2] * WINDOW), scripts.add(*[9] * 1500)
    scripts.client.delete(scripts.keys.of("toril:workers"))
    urgent += scripts.add(2)
    late += scripts.add(9)
    assert scripts.overflow()
    urgent += scripts.add(2)
    scripts.leave()
    assert scripts.list_of("wait") == [*urgent, *late][::-1]


def test_jobs_are_put_back_in_order_though_node_emptied_the_window(scripts: Scripts) -> None:
    scripts.beat()
    ids = scripts.add(*[1] * 2000)
    scripts.client.delete(scripts.keys.of("toril:workers"))
    assert [scripts.node_take() for _ in range(WINDOW)] == ids[:WINDOW]
    for _ in range(4):
        ids += scripts.add(1)
    assert scripts.overflow() == []
    assert scripts.list_of("wait") == ids[WINDOW:][::-1]


def test_a_long_list_that_node_filled_is_shortened_step_by_step(scripts: Scripts) -> None:
    nodes = [scripts.node_add(5) for _ in range(1800)]
    unprioritised = scripts.add(0)
    scripts.beat()
    urgent = [job_id for _ in range(4) for job_id in scripts.add(1)]
    late = scripts.add(9)
    assert len(scripts.list_of("wait")) == WINDOW + len(unprioritised)
    served = []
    while got := scripts.take(1000):
        served += got
    assert served == urgent + nodes + late + unprioritised


def test_an_unprioritised_backlog_stays_behind_the_overflow(scripts: Scripts) -> None:
    scripts.beat()
    unprioritised = scripts.add(*[0] * 3000)
    prioritised = scripts.add(*[3] * 1500)
    assert scripts.waiting() == prioritised + unprioritised
    assert scripts.take(1000) + scripts.take(1000) == prioritised + unprioritised[:500]


def test_removing_the_last_job_of_the_window_keeps_the_order(scripts: Scripts) -> None:
    scripts.beat()
    ids = scripts.add(*[1] * 800)
    scripts.run("remove_jobs", "", 0, 0, ids[WINDOW - 1], ids[WINDOW - 2])
    scripts.run("cancel_job", ids[WINDOW - 3], "cancelled")
    nodes = [scripts.node_add(1)]
    served = []
    while got := scripts.take(100):
        served += got
    assert served == ids[: WINDOW - 3] + ids[WINDOW:] + nodes


def test_fractions_and_negative_priorities_of_node_are_served(scripts: Scripts) -> None:
    scripts.beat()
    ids = scripts.add(*[2] * 600)
    odd = [scripts.node_add(2.5), scripts.node_add(-1), scripts.node_add(1e9)]  # type: ignore[arg-type]
    scripts.beat()
    served = []
    while got := scripts.take(100):
        served += got
    assert served == [odd[1], *ids, odd[0], odd[2]]
