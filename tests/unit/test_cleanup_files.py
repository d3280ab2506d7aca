from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from toril.queues.cleanup.files import is_rotated_log, sweep


def edge() -> float:
    """What is older is to go; of now, as the tests may run long after they were collected."""
    return time.time() - 1000


def make(path: Path, *, old: bool, size: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    if old:
        os.utime(path, (edge() - 9000, edge() - 9000))
    return path


@pytest.mark.parametrize(
    "name",
    [
        "app.log.1",
        "app.log.12",
        "app.log-20260131",
        "app.log.2026-01-31.gz",
        "app-2026-01-31.log",
        "app.log.gz",
    ],
)
def test_logs_put_aside_are_known_by_their_names(name: str) -> None:
    assert is_rotated_log(name)


@pytest.mark.parametrize("name", ["app.log", "app.txt", "catalog", "log", "app.log.", "notes-2026-01-31.md"])
def test_logs_in_use_and_other_files_are_not(name: str) -> None:
    assert not is_rotated_log(name)


def test_old_files_go_and_new_ones_stay(tmp_path: Path) -> None:
    old = make(tmp_path / "deep/er/old.tmp", old=True, size=7)
    new = make(tmp_path / "new.tmp", old=False)
    swept = sweep(tmp_path, before=edge(), dry_run=False)
    assert (swept.found, swept.deleted, swept.size) == (1, 1, 7)
    assert not old.exists()
    assert new.exists()


def test_a_dry_run_only_counts(tmp_path: Path) -> None:
    old = make(tmp_path / "old.tmp", old=True)
    swept = sweep(tmp_path, before=edge(), dry_run=True)
    assert (swept.found, swept.deleted) == (1, 0)
    assert old.exists()


def test_links_are_neither_followed_nor_deleted(tmp_path: Path) -> None:
    outside = make(tmp_path / "outside/precious.tmp", old=True)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "file-link").symlink_to(outside)
    (inside / "folder-link").symlink_to(outside.parent)
    swept = sweep(inside, before=time.time() + 10, dry_run=False)
    assert swept.found == 0
    assert outside.exists()
    assert (inside / "file-link").is_symlink()
    assert (inside / "folder-link").is_symlink()


def test_a_link_that_takes_a_folders_place_meanwhile_is_not_followed(tmp_path: Path) -> None:
    outside = make(tmp_path / "outside/upload.tmp", old=True)
    inside = make(tmp_path / "inside/folder/upload.tmp", old=True).parent

    def put_a_link(name: str) -> bool:
        inside.rename(tmp_path / "moved")
        inside.symlink_to(outside.parent)
        return True

    sweep(tmp_path / "inside", before=edge(), dry_run=False, wanted=put_a_link)
    assert outside.exists()


def test_a_folder_that_is_itself_a_link_is_swept(tmp_path: Path) -> None:
    old = make(tmp_path / "disk/temp/old.tmp", old=True)
    (tmp_path / "temp").symlink_to(old.parent)
    assert sweep(tmp_path / "temp", before=edge(), dry_run=False).deleted == 1


def test_empty_folders_go_once_they_are_old_themselves(tmp_path: Path) -> None:
    make(tmp_path / "a/b/old.tmp", old=True)
    sweep(tmp_path, before=time.time() + 10, dry_run=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "fresh").mkdir()
    sweep(tmp_path, before=edge(), dry_run=False)
    assert (tmp_path / "fresh").exists()


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert sweep(tmp_path / "nowhere", before=edge(), dry_run=False).found == 0
