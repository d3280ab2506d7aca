"""Names of stored files, whatever they are asked to be called."""

from __future__ import annotations

from pathlib import Path

import pytest

from toril.errors import OptionError
from toril.queues.storage import LocalFileStore, safe_name


@pytest.mark.parametrize(
    ("asked", "safe"),
    [
        ("invoice 42.pdf", "invoice-42.pdf"),
        ("فاتورة ٤٢.pdf", "فاتورة-٤٢.pdf"),
        ("عُقدٌ مُوَثَّق.pdf", "عُقدٌ-مُوَثَّق.pdf"),
        ("हिन्दी.pdf", "हिन्दी.pdf"),
        ("a\u202efdp.exe", "a-fdp.exe"),
        ("../../etc/passwd", "etc-passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        (".hidden", "hidden"),
        ("a\x00b\nc.pdf", "a-b-c.pdf"),
        ('<script>"|?*:.pdf', "script-.pdf"),
        ("///", ""),
    ],
)
def test_a_name_becomes_one_harmless_component(asked: str, safe: str) -> None:
    assert safe_name(asked) == safe


@pytest.mark.parametrize("letter", ["x", "ع", "字", "𝒳"], ids=["one", "two", "three", "four bytes"])
async def test_a_long_name_fits_into_a_file_system(letter: str, tmp_path: Path) -> None:
    store = LocalFileStore(tmp_path)

    first = await store.save(firm_id="f", folder="pdf", name=f"{letter * 300}.pdf", content=b"1")
    second = await store.save(firm_id="f", folder="pdf", name=f"{letter * 300}.pdf", content=b"2")

    assert await store.read(first.path) == b"1"
    assert await store.read(second.path) == b"2"
    assert first.name.endswith(".pdf")


async def test_names_that_leave_nothing_are_told_apart(tmp_path: Path) -> None:
    store = LocalFileStore(tmp_path)

    names = [(await store.save(firm_id="f", folder="pdf", name="///", content=b"1")).name for _ in range(2)]

    assert names[0] == "file"
    assert names[1].startswith("file-")


@pytest.mark.parametrize(
    "path", ["x" * 5000, "a\0b", "loop/x", "f/pdf/a.pdf/x"], ids=["long", "NUL", "loop", "below a file"]
)
async def test_a_path_that_can_name_no_file_is_no_fault_of_the_disk(path: str, tmp_path: Path) -> None:
    store = LocalFileStore(tmp_path)
    await store.save(firm_id="f", folder="pdf", name="a.pdf", content=b"1")
    (tmp_path / "loop").symlink_to("loop")

    for read in (store.read, store.size, lambda path: store.read_part(path, 0, 1)):
        with pytest.raises(OptionError, match="there is no stored file"):
            await read(path)
