"""What a run of the benchmark says: the machine, the figures with their spread, and the targets."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import MEASURES, Figure
from benchmarks.registry import PEERS
from rich.console import Console
from rich.table import Table

#: Peer → figure → one value a run.
Results = Mapping[str, Mapping[str, list[float]]]

FIGURES = [figure for measure in MEASURES.values() for figure in measure.figures]


def machine() -> dict[str, Any]:
    """What the figures depend on, besides the software."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        #: Well above 0, others were at work on the machine, and the figures are not worth much.
        "load_before": round(os.getloadavg()[0], 2),
    }


def summary(results: Results) -> dict[str, dict[str, dict[str, float | list[float]]]]:
    """Median, least and most of each figure, with the runs."""
    return {
        peer: {
            name: {"median": statistics.median(runs), "min": min(runs), "max": max(runs), "runs": runs}
            for name, runs in figures.items()
        }
        for peer, figures in results.items()
    }


def print_report(
    results: Results,
    *,
    versions: Mapping[str, Mapping[str, str]],
    failures: Mapping[str, Mapping[str, str]],
    setup: Mapping[str, Any],
) -> None:
    """Print everything for a person."""
    console = Console()
    for name, value in setup.items():
        console.print(f"{name}: {value}", highlight=False)
    for figure in FIGURES:
        having = {peer: figures[figure.name] for peer, figures in results.items() if figure.name in figures}
        _print_figure(console, figure, having)
    for peer, packages in versions.items():
        console.print(
            f"{peer}: " + ", ".join(f"{name} {found}" for name, found in packages.items()), highlight=False
        )
    for peer, problems in failures.items():
        for measure, problem in problems.items():
            last_line = problem.splitlines()[-1]
            console.print(f"{peer}, {measure}: {last_line}", style="red", highlight=False, markup=False)
    _print_targets(console, results)


def _print_figure(console: Console, figure: Figure, runs: Mapping[str, list[float]]) -> None:
    """The peers that have this figure, the best first."""
    if not runs:
        return
    table = Table(title=f"{figure.heading} ({figure.unit})", title_justify="left")
    table.add_column("", min_width=24)
    for heading in ("median", "least", "most"):
        table.add_column(heading, justify="right", min_width=10)
    digits = 0 if figure.unit in ("jobs/s", "bytes") else 2
    ranked = sorted(runs, key=lambda peer: statistics.median(runs[peer]), reverse=figure.more_is_better)
    for peer in ranked:
        spread = statistics.median(runs[peer]), min(runs[peer]), max(runs[peer])
        table.add_row(PEERS[peer].title, *(f"{value:,.{digits}f}" for value in spread))
    console.print(table)


def _print_targets(console: Console, results: Results) -> None:
    """How Toril stands against what it promises; nothing when it was not measured."""
    medians = {
        peer: {name: statistics.median(runs) for name, runs in figures.items()}
        for peer, figures in results.items()
    }
    ours = medians.get("toril")
    if not ours:
        return
    python = [name for name, peer in PEERS.items() if peer.language == "python" and not peer.is_ours]
    # The figure, the peers whose best counts, and how many times that is the target.
    relative = [
        ("work", python, 10.0),
        ("work", ["bull", "bullmq"], 1.5),
        ("work1", ["bull"], 1.0),
        ("bulk", ["bull"], 3.0),
        ("each", python, 3.0),
    ]
    absolute = [("pick_p50", 1.0), ("pick_p99", 3.0), ("rest_rss", 60.0), ("rest_requests", 2.0)]
    table = Table(title="Toril's targets")
    for heading in ("", "target", "here", ""):
        table.add_column(heading)
    headings = {figure.name: figure for figure in FIGURES}
    for name, rivals, times in relative:
        known = {rival: medians[rival][name] for rival in rivals if name in medians.get(rival, {})}
        if name in ours and known:
            best = max(known, key=lambda rival: known[rival])
            here = ours[name] / known[best]
            table.add_row(
                headings[name].heading, f"≥ {times:g} × {best}", f"{here:.2f} ×", _mark(here >= times)
            )
    for name, most in absolute:
        if name in ours:
            target, here = f"≤ {most:g} {headings[name].unit}", ours[name]
            table.add_row(headings[name].heading, target, f"{here:.2f}", _mark(here <= most))
    if "bytes" in ours and "bytes" in medians.get("bull", {}):
        theirs, here = medians["bull"]["bytes"], ours["bytes"]
        table.add_row(
            headings["bytes"].heading, f"≤ bull's {theirs:.0f} bytes", f"{here:.0f}", _mark(here <= theirs)
        )
    console.print(table)


def _mark(met: bool) -> str:
    return "[green]met[/]" if met else "[red]missed[/]"


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
