"""Reads the Lua files: puts includes in, checks the headers, and knows each script's hash."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_INCLUDE = re.compile(r"^-- @include (.+)$", re.MULTILINE)

#: Names of the keys. As local variables they would cost each call more than looking them up in KEYS.
_KEYS = re.compile(r"^local (k_\w+(?:,\s+k_\w+)*) = unpack\(KEYS\)$", re.MULTILINE)
_KEY = re.compile(r"\bk_\w+")

#: What most functions of the scripts use. All else is put into a function: for each of its own functions Lua then
#: copies a pointer to these, while it would look a local variable of the same function up in a list.
_BASICS = ("keys", "clock", "fence", "chunks", "undo")
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


def _name_keys(source: str) -> str:
    """Write ``KEYS[1]`` for the first of the names that stand for the keys, and so on."""
    if (named := _KEYS.search(source)) is None:
        return source
    numbers = {name: at for at, name in enumerate(re.split(r",\s+", named[1]), start=1)}
    source = source.replace(named[0], "local KEYS = KEYS")
    return _KEY.sub(lambda key: f"KEYS[{numbers[key[0]]}]" if key[0] in numbers else key[0], source)


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
        parts = match[1].split()
        basics = [part for part in parts if part in _BASICS]
        if parts[: len(basics)] != basics:
            raise RuntimeError(f"lua/{name}.lua must include {', '.join(_BASICS)} before others")
        texts = {part: _read(f"includes/{part}.lua")[1] for part in parts}
        others = "".join(texts[part] for part in parts[len(basics) :])
        return "".join(texts[part] for part in basics) + "return (function()\n" + others

    source, includes = _INCLUDE.subn(put_in, body)
    source = _name_keys(source + "end)()\n")
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
