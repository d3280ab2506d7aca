"""The fonts of documents, and how the engine gets to know them.

Neither the engine nor a fresh Linux server has a font with Arabic letters, so fonts come as packages. The
engine finds fonts by fontconfig, which reads its configuration from the file named by ``FONTCONFIG_FILE``.
Giving fonts to each document by ``@font-face`` instead takes three times as long, since they are then parsed
for every document.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import escape

from toril.errors import ConfigurationError

# Both under the SIL Open Font License, with Arabic and Latin. Almarai, for text, has few ligatures, so that
# its text can be searched; the digits of Plex, Arabic and Latin, have one width, so that columns line up.
TEXT_FONT = "Almarai"
FIGURE_FONT = "IBM Plex Sans Arabic"
_PACKAGES = ("fontpkg_almarai", "fontpkg_ibm_plex_sans_arabic")
_VARIABLE = "FONTCONFIG_FILE"


def font_folders() -> list[Path]:
    """Where the files of the installed fonts are.

    Raises:
        ConfigurationError: a font's package is not installed.
    """
    folders = []
    for package in _PACKAGES:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ConfigurationError(
                f"PDF files need the font package {package.replace('_', '-')}: pip install 'toril[pdf]'"
            )
        folders.append(Path(spec.origin).parent / "files")
    return folders


@contextmanager
def known_fonts() -> Iterator[None]:
    """While it holds, fontconfig started in this process knows the fonts, beside all it knows otherwise."""
    before = os.environ.get(_VARIABLE)
    with tempfile.TemporaryDirectory(prefix="toril-fonts-") as folder:
        # A relative name is looked for in FONTCONFIG_PATH, which plutoprint sets when it is imported.
        os.environ[_VARIABLE] = str(write_font_config(Path(folder), beside=before or "fonts.conf"))
        try:
            yield
        finally:
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before


def write_font_config(folder: Path, *, beside: str) -> Path:
    """A fontconfig file in ``folder`` that adds the fonts to those of the file ``beside``, if there is one."""
    folders = "".join(f"<dir>{escape(str(path))}</dir>\n" for path in font_folders())
    config = folder / "toril.conf"
    config.write_text(
        '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n<fontconfig>\n'
        f'<include ignore_missing="yes">{escape(beside)}</include>\n'
        f"{folders}"
        # Used when no other cache folder can be written, as for a user without a home.
        f"<cachedir>{escape(str(folder))}</cachedir>\n</fontconfig>\n",
        encoding="utf-8",
    )
    return config
