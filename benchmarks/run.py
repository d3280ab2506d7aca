"""Compares Toril with other job systems on Redis, side by side: ``python -m benchmarks.run``.

What is measured and how to read it: README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measure import MEASURES, Measure, Plan, can
from benchmarks.process import PeerError, call
from benchmarks.registry import PEERS, Peer
from benchmarks.report import machine, print_report, summary

PERSISTENCE = {"off": (), "aof": ("--appendonly", "yes", "--appendfsync", "everysec")}

EXAMPLES = """\
examples:
  python -m benchmarks.run --install            install the peers (once)
  python -m benchmarks.run --quick              a first impression, about ten minutes
  python -m benchmarks.run --only toril,bull --measure work,work1
  python -m benchmarks.run --json results.json  everything, about three quarters of an hour
"""


def main() -> int:
    arguments = parse()
    peers = [PEERS[name] for name in arguments.only]
    if arguments.install:
        return install(peers)
    versions = {}
    for peer in peers:
        try:
            versions[peer.name] = call(peer, "versions", limit_s=60)
        except PeerError as problem:
            say(f"left out: {problem}")
    peers = [peer for peer in peers if peer.name in versions]
    if not peers:
        return 1
    server_args = PERSISTENCE[arguments.persistence]
    plan = Plan(server=arguments.server, server_args=server_args, tcp=not arguments.unix)
    if arguments.quick:
        plan = replace(plan, run_s=1.0, pings=40, rest_s=4.0)
    setup = {"machine": machine(), **describe(plan, arguments)}
    results, failures = measure(peers, [MEASURES[name] for name in arguments.measure], plan, arguments.runs)
    print_report(results, versions=versions, failures=failures, setup=setup)
    if arguments.json:
        answer = {"setup": setup, "versions": versions, "results": summary(results), "failures": failures}
        arguments.json.write_text(json.dumps(answer, indent=2) + "\n")
    return 1 if failures else 0


def measure(
    peers: list[Peer], measures: list[Measure], plan: Plan, runs: int
) -> tuple[dict[str, dict[str, list[float]]], dict[str, dict[str, str]]]:
    """All runs: the first of every peer, then the second, so that a slow minute hits all alike.

    Returns the figures and, for peers that failed, why; a peer that failed at something is not asked again.
    """
    results: dict[str, dict[str, list[float]]] = {peer.name: defaultdict(list) for peer in peers}
    failures: dict[str, dict[str, str]] = defaultdict(dict)
    for kind in measures:
        able = [peer for peer in peers if can(peer, kind, plan)]
        jobs: dict[str, int] = {}
        for run in range(1, runs + 1):
            for peer in able:
                if kind.name in failures[peer.name]:
                    continue
                try:
                    if peer.name not in jobs:
                        jobs[peer.name] = kind.jobs(peer, plan)
                    values = kind.run(peer, plan, jobs[peer.name])
                except PeerError as problem:
                    failures[peer.name][kind.name] = str(problem)
                    say(f"{kind.name} {peer.name}: {problem}")
                    continue
                said = []
                for figure, value in zip(kind.figures, values, strict=True):
                    results[peer.name][figure.name].append(value)
                    said.append(f"{value:,.2f} {figure.unit}")
                how_many = f" ({jobs[peer.name]} jobs)" if jobs[peer.name] else ""
                say(f"{kind.name} {run}/{runs} {peer.name}: {', '.join(said)}{how_many}")
    return results, {name: problems for name, problems in failures.items() if problems}


def describe(plan: Plan, arguments: argparse.Namespace) -> dict[str, Any]:
    """The server and the settings of the runs."""
    with plan.start() as server, server.client() as client:
        info = client.info("server")
    kind = "Valkey" if "valkey_version" in info else "Redis"
    return {
        "server": f"{kind} {info.get('valkey_version', info['redis_version'])}",
        "transport": "unix socket" if arguments.unix else "TCP on loopback",
        "persistence": arguments.persistence,
        "runs": arguments.runs,
        "seconds a run": plan.run_s,
    }


def install(peers: list[Peer]) -> int:
    """Install each peer's packages, each Python peer's into an environment of its own under .bench/."""
    status = 0
    for peer in {peer.file if peer.language == "python" else "node": peer for peer in peers}.values():
        say(f"installing {peer.title}")
        try:
            peer.install()
        except (RuntimeError, subprocess.CalledProcessError) as problem:
            say(f"{peer.name} could not be installed: {problem}")
            status = 1
    return status


def say(text: str) -> None:
    """Progress goes to stderr, so that stdout is the report."""
    print(text, file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description=(__doc__ or "").splitlines()[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option, known in (("--only", PEERS), ("--measure", MEASURES)):
        parser.add_argument(option, type=names(known), default=list(known), help=f"of {','.join(known)}")
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement (3)")
    parser.add_argument("--quick", action="store_true", help="one second a run rather than four")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--server", help="valkey, redis or a path; the first that is found")
    parser.add_argument("--unix", action="store_true", help="connect through a unix socket, not TCP")
    parser.add_argument("--persistence", choices=PERSISTENCE, default="off", help="of the server (off)")
    parser.add_argument("--install", action="store_true", help="install the peers and end")
    return parser.parse_args()


def names(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    """An argparse type: a comma-separated choice of ``known``."""

    def choice(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return chosen

    return choice


if __name__ == "__main__":
    sys.exit(main())
