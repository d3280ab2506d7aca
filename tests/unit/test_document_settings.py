"""The settings of documents: where they are kept, and what makes them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from toril.errors import ConfigurationError
from toril.installation import file_store, pdf_engines
from toril.queues.pdf import EngineOptions
from toril.queues.pdf.options import RendererName
from toril.queues.storage import LocalFileStore
from toril.settings import PDF_RENDERERS, Settings


def test_without_settings_the_renderers_have_their_defaults() -> None:
    assert pdf_engines(Settings.from_env({})) == EngineOptions()
    assert get_args(RendererName) == PDF_RENDERERS


def test_the_settings_reach_the_renderers() -> None:
    settings = Settings.from_env(
        {
            "TORIL_PDF_RENDERER": "Chromium",
            "TORIL_CHROMIUM": "/opt/chromium/chrome",
            "TORIL_CHROMIUM_SANDBOX": "off",
            "TORIL_PDF_ALLOW": "https://assets.example.com, http://127.0.0.1:8080/",
        }
    )
    assert pdf_engines(settings) == EngineOptions(
        default="chromium",
        chromium=Path("/opt/chromium/chrome"),
        chromium_sandbox=False,
        allow=("https://assets.example.com", "http://127.0.0.1:8080/"),
    )
    assert settings.shown()["TORIL_PDF_ALLOW"] == "https://assets.example.com http://127.0.0.1:8080/"
    assert settings.shown()["TORIL_CHROMIUM_SANDBOX"] == "off"


@pytest.mark.parametrize("word", ["on", "TRUE", "1"])
def test_a_sandbox_can_be_asked_for(word: str) -> None:
    assert pdf_engines(Settings.from_env({"TORIL_CHROMIUM_SANDBOX": word})).chromium_sandbox is True


def test_files_are_kept_in_a_folder(tmp_path: Path) -> None:
    for environ in ({"TORIL_HOME": str(tmp_path)}, {"TORIL_FILES": str(tmp_path / "files")}):
        store = file_store(Settings.from_env(environ))
        assert isinstance(store, LocalFileStore)
        assert store.root == tmp_path / "files"


def test_files_are_kept_in_a_bucket() -> None:
    pytest.importorskip("obstore")
    from toril.queues.storage_s3 import S3FileStore

    settings = Settings.from_env({"TORIL_FILES": "s3://papers/prod", "TORIL_S3_SECRET_ACCESS_KEY": "hidden"})

    assert isinstance(file_store(settings), S3FileStore)
    assert settings.shown()["TORIL_FILES"] == "s3://papers/prod"
    assert settings.shown()["TORIL_S3_SECRET_ACCESS_KEY"] == "***"


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("TORIL_FILES", "gs://papers", "it must be a folder or s3://bucket/prefix"),
        ("TORIL_FILES", "s3://", "it must be a folder or s3://bucket/prefix"),
        ("TORIL_S3_ENDPOINT", "minio:9000", "it must be one such as"),
        ("TORIL_PDF_RENDERER", "word", "it must be one of plutoprint, chromium"),
        ("TORIL_PDF_ALLOW", "https://a.example *", r"\* is not an origin"),
        ("TORIL_PDF_ALLOW", "https://a.example/path", "is not an origin"),
        ("TORIL_PDF_ALLOW", "https://u:p@a.example", "is not an origin"),
        ("TORIL_CHROMIUM_SANDBOX", "maybe", "it must be on or off"),
    ],
)
def test_a_value_that_cannot_be_is_refused(variable: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable}: .*{problem}"):
        Settings.from_env({variable: value})
