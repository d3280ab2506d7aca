"""Installs the pinned Node packages of ``node/package.json``: ``python -m tests.support.node_install``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent / "node"
COMMAND = "python -m tests.support.node_install"


@dataclass(frozen=True, slots=True)
class Availability:
    """True when Node's Bull can be driven here; else ``reason`` says what is missing and how to get it."""

    reason: str = ""

    def __bool__(self) -> bool:
        return not self.reason


def install_folder() -> Path:
    """Where ``node_modules`` is: ``$TORIL_NODE_MODULES`` (a cache for checkouts), else beside the driver."""
    return Path(os.environ.get("TORIL_NODE_MODULES") or HERE)


def node_available() -> Availability:
    """Whether Node and the pinned packages are here; the answer's ``reason`` is for ``skipif``."""
    if shutil.which("node") is None:
        return Availability("node is not in PATH: install Node.js 18 or newer")
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    for package, version in wanted.items():
        manifest = install_folder() / "node_modules" / package / "package.json"
        if not manifest.exists():
            return Availability(f"{package} is not installed in {install_folder()}: run `{COMMAND}`")
        if (found := json.loads(manifest.read_text())["version"]) != version:
            return Availability(f"{package} {found} is installed, the tests want {version}: run `{COMMAND}`")
    return Availability()


def install() -> Path:
    """Install the locked packages (``npm ci``); returns the folder that got ``node_modules``.

    Raises:
        RuntimeError: when npm is missing; ``CalledProcessError`` when it fails, after its own output.
    """
    if shutil.which("npm") is None:
        raise RuntimeError("npm is not in PATH: install Node.js 18 or newer with npm")
    folder = install_folder()
    if folder != HERE:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(HERE / name, folder / name)
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(["npm", "ci", f"--prefix={folder}", *quiet], check=True, stdin=subprocess.DEVNULL)
    return folder


if __name__ == "__main__":
    try:
        where = install()
    except (RuntimeError, subprocess.CalledProcessError) as problem:
        sys.exit(f"could not install Node's packages: {problem}")
    sys.stdout.write(f"installed in {where}; {node_available().reason or 'Bull can be driven'}\n")
