"""Names of stored files, whatever they are asked to be called."""

from __future__ import annotations

from pathlib import Path

import pytest

from toril.queues.storage import LocalFileStore, safe_name


@pytest.mark.parametrize(
    ("asked", "safe"),
    [
        ("invoice 42.pdf", "invoice-42.pdf"),
        ("فاتورة ٤٢.pdf", "فاتورة-٤٢.pdf"),
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
