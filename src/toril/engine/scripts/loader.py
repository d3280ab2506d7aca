"""Reads the Lua files: puts includes in, checks the headers, and knows each script's hash."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_INCLUDE = re.compile(r"^-- @include (.+)$", re.MULTILINE)
_HEADER = re.compile(r"\A--\[\[ (\w+)\n(.*?)\]\]\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script, ready to be sent."""

    name: str
    source: str
    sha: str
    contract: str  #: the header: arguments, reply, cost


def _read(path: str) -> tuple[str, str]:
    text = files(__package__).joinpath("lua", path).read_text(encoding="utf-8")
    header = _HEADER.match(text)
    name = path.removesuffix(".lua").rpartition("/")[2]
    if header is None or header[1] != name:
        raise RuntimeError(f"lua/{path} must start with a header --[[ {name} … ]]")
    return header[2], text[header.end() :]


@cache
def load(name: str, *, once: bool = False) -> Script:
    """The script ``lua/<name>.lua`` with its includes.

    Args:
        once: for a call that may be sent again; it has one more argument: see ``lua/includes/once.lua``.

    Raises:
        RuntimeError: a header is missing, or a script lacks its reply or its includes.
    """
    contract, body = _read(f"{name}.lua")
    if "Returns" not in contract:
        raise RuntimeError(f"lua/{name}.lua: the header does not say what it returns")

    def put_in(match: re.Match[str]) -> str:
        return "".join(_read(f"includes/{part}.lua")[1] for part in match[1].split())

    source, includes = _INCLUDE.subn(put_in, body)
    if includes != 1 or "keys" not in _INCLUDE.search(body)[1].split():  # type: ignore[index]
        raise RuntimeError(f"lua/{name}.lua must have one include line that names keys")
    if once:
        before, _, behind = _read("includes/once.lua")[1].partition("-- @script\n")
        source = before + source + behind
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(), contract)


def names() -> list[str]:
    """All scripts."""
    folder = files(__package__).joinpath("lua")
    return sorted(
        entry.name.removesuffix(".lua") for entry in folder.iterdir() if entry.name.endswith(".lua")
    )
