"""The systems that are compared, and how each is installed and started."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.support.node_install import install as install_node
from tests.support.node_install import install_folder, node_available

ROOT = Path(__file__).parent.parent
#: A virtual environment for each Python peer: some want versions of redis-py that others refuse.
ENVIRONMENTS = ROOT / ".bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One row of the results."""

    name: str
    title: str
    language: Literal["python", "node"] = "python"
    #: File in ``peers/`` without its suffix; several rows may share one.
    module: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Jobs that one worker process can run at once; 0 when there is no limit.
    max_concurrency: int = 0
    #: Runs in the interpreter that runs the benchmark: Toril itself.
    is_ours: bool = False

    @property
    def file(self) -> str:
        return self.module or self.name

    def command(self) -> list[str]:
        """Start of the command line, to be run in the repository's root."""
        if self.language == "node":
            return ["node", str(ROOT / "benchmarks" / "peers" / f"{self.file}.js")]
        # As a module: run as a file, `import arq` in peers/arq.py would find itself.
        return [str(self._python), "-m", f"benchmarks.peers.{self.file}"]

    def variables(self) -> dict[str, str]:
        """Environment variables of the peer's processes."""
        return {**os.environ, "NODE_PATH": str(install_folder() / "node_modules"), **self.environment}

    def missing(self) -> str:
        """What is missing to run this peer, empty when nothing is."""
        if self.language == "node":
            return node_available().reason
        if not self._python.exists():
            return f"not installed: run `python -m benchmarks.run --install --only {self.name}`"
        return ""

    def install(self) -> None:
        """Install the peer's packages; raises CalledProcessError after the installer's own output."""
        if self.is_ours:
            return
        if self.language == "node":
            install_node()
            return
        venv.create(self._folder, with_pip=True)
        pip = [str(self._python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        requirements = ROOT / "benchmarks" / "requirements" / f"{self.file}.txt"
        subprocess.run([*pip, "--upgrade", "pip"], check=True)  # an old pip takes minutes to resolve some
        subprocess.run([*pip, "-r", str(requirements)], check=True)

    @property
    def _folder(self) -> Path:
        return ENVIRONMENTS / self.file

    @property
    def _python(self) -> Path:
        return Path(sys.executable) if self.is_ours else self._folder / "bin" / "python"


PEERS = {
    peer.name: peer
    for peer in (
        Peer(name="toril", title="Toril", is_ours=True),
        Peer(name="bull", title="Bull 4 (Node)", language="node"),
        Peer(name="bullmq", title="BullMQ (Node)", language="node"),
        Peer(name="taskiq", title="taskiq, stream broker", environment={"TASKIQ_BROKER": "stream"}),
        Peer(
            name="taskiq-list",
            title="taskiq, list broker",
            module="taskiq",
            environment={"TASKIQ_BROKER": "list"},
        ),
        Peer(name="arq", title="arq"),
        Peer(name="saq", title="SAQ"),
        Peer(name="streaq", title="streaQ"),
        Peer(name="bullmq-py", title="BullMQ (Python)", module="bullmq_py"),
        Peer(name="dramatiq", title="Dramatiq"),
        Peer(name="rq", title="RQ", max_concurrency=1),
        Peer(name="celery", title="Celery"),
    )
}
