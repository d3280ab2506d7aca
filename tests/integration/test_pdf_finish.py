"""Finished PDF files: whatever way an engine lays a file out, and whatever cannot be finished."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from typing import Any

import pikepdf
import pytest
from pypdf import PdfReader

from toril.queues.pdf.renderers.finish import Properties, finish

NAMES = b"""/CIDInit /ProcSet findresource begin
begincmap
1 beginbfchar
<0001> <FE91>
endbfchar
endcmap
"""
SAID = Properties(title="\u0641\u0627\u062a\u0648\u0631\u0629", author="Office", producer="Engine")


def a_file(**saving: Any) -> bytes:
    """A page with a font that names its glyphs, a lam-alef, and what the document says of itself."""
    out = io.BytesIO()
    with pikepdf.new() as file:
        page = file.add_blank_page(page_size=(200, 200))
        font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type0, BaseFont=pikepdf.Name.A)
        font["/ToUnicode"] = file.make_stream(NAMES)
        page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F0=file.make_indirect(font)))
        text = b"/Span <</ActualText <feff06440627>>> BDC BT /F0 9 Tf <0001> Tj ET EMC"
        form = file.make_stream(text, Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Form, BBox=[0, 0, 9, 9])
        page.Resources.XObject = pikepdf.Dictionary(X0=form)
        page.Contents = file.make_stream(text + b" /X0 Do")
        file.docinfo["/Title"] = "what the document calls itself"
        file.docinfo["/Keywords"] = "its own"
        file.docinfo["/CreationDate"] = "D:20260101000000Z"
        file.save(out, **saving)
    return out.getvalue()


@pytest.mark.parametrize(
    "saving",
    [
        pytest.param({"object_stream_mode": pikepdf.ObjectStreamMode.generate}, id="streams of objects"),
        pytest.param({"object_stream_mode": pikepdf.ObjectStreamMode.disable}, id="a table"),
        pytest.param({"linearize": True}, id="linearized"),
        pytest.param({"qdf": True}, id="for people"),
        pytest.param({"compress_streams": False}, id="not compressed"),
        pytest.param({"min_version": "2.0"}, id="PDF 2"),
    ],
)
def test_a_file_is_finished_however_it_is_laid_out(saving: dict[str, Any]) -> None:
    made = finish(a_file(**saving), lang="ar", properties=SAID)

    with pikepdf.open(io.BytesIO(made)) as file:
        assert str(file.Root.Lang) == "ar"
        page = file.pages[0]
        assert b"<0001> <0628>" in page.Resources.Font.F0.ToUnicode.read_bytes()
        for stream in (page.Contents, page.Resources.XObject.X0):
            [marked] = [
                row.operands for row in pikepdf.parse_content_stream(stream) if str(row.operator) == "BDC"
            ]
            assert str(marked[1]["/ActualText"]) == "\ufefb"
        said = {name: str(text) for name, text in file.docinfo.items()}
    assert said == {
        "/Title": SAID.title,
        "/Author": "Office",
        "/Creator": "Toril",
        "/Producer": "Engine",
        "/CreationDate": "D:20260101000000Z",
    }
    assert len(PdfReader(io.BytesIO(made), strict=True).pages) == 1


def test_a_file_that_says_enough_of_itself_keeps_that() -> None:
    with pikepdf.open(io.BytesIO(finish(a_file(), lang="en"))) as file:
        assert str(file.docinfo["/Title"]) == "what the document calls itself"


@pytest.mark.parametrize("lang", ["", "ar) /Evil (", "\u0639\u0631\u0628\u064a", "x"])
def test_what_is_no_language_is_left_out(lang: str) -> None:
    with pikepdf.open(io.BytesIO(finish(a_file(), lang=lang))) as file:
        assert "/Lang" not in file.Root


@pytest.mark.parametrize("damage", ["locked", "nothing in it"])
def test_what_cannot_be_finished_goes_out_as_it_is(damage: str, caplog: pytest.LogCaptureFixture) -> None:
    made = b"%PDF-1.7\nnothing in it"
    if damage == "locked":
        made = a_file(encryption=pikepdf.Encryption(owner="o", user="u"))
    with caplog.at_level(logging.WARNING):
        assert finish(made, lang="ar", properties=SAID) == made
    [warning] = [row for row in caplog.records if row.message == "pdf_not_finished"]
    assert "Error" in str(warning.__dict__["reason"])


def test_names_that_are_written_in_another_way_cost_nothing_else() -> None:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(a_file())) as file:
        file.pages[0].Resources.Font.F0.ToUnicode.write(b"/CIDInit nonsense <FE91")
        file.save(out)
    with pikepdf.open(io.BytesIO(finish(out.getvalue(), lang="ar"))) as file:
        assert str(file.Root.Lang) == "ar"


@pytest.mark.parametrize("made", [b"", b"<html>"])
def test_what_is_no_pdf_is_an_error(made: bytes) -> None:
    with pytest.raises(ValueError, match="no PDF file"):
        finish(made, lang="ar")


def run_without(package: str, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python that has everything but ``package``."""
    absent = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == {package!r} else found(name, package)
"""
    return subprocess.run(
        [sys.executable, "-c", absent + program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ},
    )


def test_without_pikepdf_there_are_files_all_the_same() -> None:
    program = """
import asyncio
from toril.queues.pdf.renderers.plutoprint import PlutoPrintRenderer
from toril.queues.pdf.renderers.base import RenderOptions
made = asyncio.run(PlutoPrintRenderer().render("<p>x", title="t", lang="en", options=RenderOptions(trusted=True)))
print(made[:5].decode())
"""
    run = run_without("pikepdf", program)
    assert (run.returncode, run.stdout.strip()) == (0, "%PDF-"), run.stderr


FALLBACK = """
from pathlib import Path
from toril.errors import ConfigurationError, NotConfiguredError
from toril.queues.pdf.engines import EngineOptions, Engines
try:
    engines = Engines(EngineOptions(chromium=Path(CHROMIUM)))
except ConfigurationError as error:
    print(error)
else:
    print(type(engines.get()).__name__)
    try:
        engines.get("plutoprint")
    except NotConfiguredError as error:
        print(error)
"""


def test_where_plutoprint_is_not_there_chromium_makes_the_files() -> None:
    made, asked = run_without("plutoprint", f"CHROMIUM = {sys.executable!r}" + FALLBACK).stdout.splitlines()
    assert made == "ChromiumRenderer"
    assert "the job asks for the renderer 'plutoprint'" in asked


def test_where_neither_is_there_both_are_named() -> None:
    run = run_without("plutoprint", "CHROMIUM = '/nowhere/chromium'" + FALLBACK)
    assert "plutoprint" in run.stdout
    assert "/nowhere/chromium is not an executable" in run.stdout
