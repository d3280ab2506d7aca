"""The settings of links in mail: where they lead, and the secret that signs them."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from toril.errors import ConfigurationError
from toril.settings import Settings


def test_links_lead_to_this_machine_unless_told_otherwise() -> None:
    assert Settings().reached_at() == "http://localhost:8080"
    settings = Settings.from_env({"TORIL_PUBLIC_URL": "https://mail.firm.example/app/"})
    assert settings.reached_at() == "https://mail.firm.example/app"


@pytest.mark.parametrize(
    "url", ["mail.firm.example", "https://", "https://x/?a=1", "https://u:p@x", "ftp://x"]
)
def test_a_public_url_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TORIL_PUBLIC_URL"):
        Settings.from_env({"TORIL_PUBLIC_URL": url})


def test_a_secret_is_made_once_and_only_we_may_read_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    secret = Settings(home=home).secrets()[0]
    assert len(secret) >= 32
    assert Settings(home=home).secrets()[0] == secret
    assert stat.S_IMODE((home / "secret").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["secret"]
    assert Settings(home=tmp_path / "other").secrets()[0] != secret


def test_processes_that_start_together_have_the_same_secret(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from toril.settings import Settings; sys.stdin.read(); "
        "print(Settings(home=pathlib.Path(sys.argv[1])).secrets()[0])"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    assert len({process.communicate(timeout=30)[0] for process in running}) == 1


def test_a_secret_that_is_set_counts_and_is_never_shown(tmp_path: Path) -> None:
    settings = Settings.from_env({"TORIL_HOME": str(tmp_path), "TORIL_SECRET": "s" * 32})
    assert settings.secrets()[0] == "s" * 32
    assert settings.shown()["TORIL_SECRET"] == "***"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(
        ConfigurationError, match="TORIL_SECRET: its value cannot be used: it must have at least 32"
    ):
        Settings.from_env({"TORIL_SECRET": "short"})


def test_a_damaged_secret_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("short")
    with pytest.raises(ConfigurationError, match=r"the secret in .*secret cannot be used"):
        Settings(home=tmp_path).secrets()[0]
