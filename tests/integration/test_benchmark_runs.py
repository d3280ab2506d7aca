"""The benchmark's own machinery, on a few jobs: that it runs and counts right, not how fast anything is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from benchmarks import run
from benchmarks.measure import MEASURES, Measure, Plan, can
from benchmarks.process import PeerError, PeerProcess, call
from benchmarks.registry import PEERS, Peer
from tests.support.node_install import node_available
from tests.support.servers import RedisServer

PLAN = Plan(run_s=0.1, pings=5, rest_s=0.2, settle_s=0.2, concurrency=10, limit_s=60, tcp=False)

needs_node = pytest.mark.skipif(not node_available(), reason=node_available().reason)


@pytest.mark.parametrize(
    "peer", ["toril", pytest.param("bull", marks=needs_node), pytest.param("bullmq", marks=needs_node)]
)
@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_each_measure_gives_its_figures(peer: str, measure: Measure) -> None:
    figures = measure.run(PEERS[peer], PLAN, 200)
    assert len(figures) == len(measure.figures)
    assert all(value >= 0 for value in figures)
    assert figures[0] > 0


def test_worker_reports_the_jobs_after_the_first() -> None:
    with RedisServer() as server:
        call(PEERS["toril"], "add", server.url, 50, limit_s=60)
        with PeerProcess(PEERS["toril"], "work", server.url, 50, 5, limit_s=60) as worker:
            assert worker.answer() == {"ready": True}
            assert worker.answer()["jobs"] == 49


def test_failing_peer_is_told_with_its_last_words() -> None:
    with pytest.raises(PeerError, match=r"(?s)^toril add nonsense:// 10 ended with status 1: .*Error"):
        call(PEERS["toril"], "add", "nonsense://", 10, limit_s=60)


def test_slow_peer_is_ended() -> None:
    with RedisServer() as server, PeerProcess(PEERS["toril"], "rest", server.url, 1, limit_s=2) as worker:
        assert worker.answer() == {"ready": True}
        worker.require_running()
        with pytest.raises(PeerError, match="took more than 2 s"):
            worker.answer()


def test_dead_worker_is_not_taken_for_an_idle_one() -> None:
    with PeerProcess(PEERS["toril"], "rest", "nonsense://", 1, limit_s=60) as worker:
        assert worker.answer() == {"ready": True}
        with pytest.raises(PeerError, match="ended with status 1"):
            worker.answer()
        with pytest.raises(PeerError, match="ended with status 1"):
            worker.require_running()


def test_peer_without_concurrency_is_not_asked_for_it() -> None:
    assert not can(PEERS["rq"], MEASURES["work"], Plan())
    assert can(PEERS["rq"], MEASURES["work1"], Plan())


def test_peer_that_is_not_installed_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("benchmarks.registry.ENVIRONMENTS", tmp_path)
    assert "--install --only arq" in PEERS["arq"].missing()
    with pytest.raises(PeerError, match="not installed"):
        call(PEERS["arq"], "versions", limit_s=10)


@pytest.mark.parametrize(
    "peer", [peer for peer in PEERS.values() if peer.language == "python" and not peer.is_ours]
)
def test_each_python_peer_has_its_file_and_its_pinned_packages(peer: Peer) -> None:
    assert (run_folder() / "peers" / f"{peer.file}.py").exists()
    lines = (run_folder() / "requirements" / f"{peer.file}.txt").read_text().splitlines()
    assert all("==" in line or ">=" in line for line in lines)


def test_report_is_printed_and_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "results.json"
    monkeypatch.setattr(
        "sys.argv",
        ["run", "--only", "toril", "--measure", "rest", "--runs", "2", "--quick", "--json", str(written)],
    )
    monkeypatch.setattr(run, "replace", lambda plan, **changes: PLAN)
    assert run.main() == 0
    figure = json.loads(written.read_text())["results"]["toril"]["rest_rss"]
    assert len(figure["runs"]) == 2
    assert figure["min"] <= figure["median"] <= figure["max"]
    report = capsys.readouterr().out
    assert "worker at rest (MB)" in report
    assert "Toril's targets" in report
    assert f"'cores': {os.cpu_count()}" in report


def run_folder() -> Path:
    return Path(run.__file__).parent
