"""Which entries of an optional folder are files, and which cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from footprint.site import folders

pytestmark = pytest.mark.filterwarnings("error")


def test_tree_lists_files_and_names_what_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = tmp_path / "recorded"
    for name in ("b/emissions.csv", "a.csv", ".hidden", ".git/config", "shut/x.csv"):
        path = records / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (records / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    (records / "linked.csv").symlink_to(records / "a.csv")
    # links to folders are followed once, a circle of them too
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/c.csv").touch()
    (records / "other").symlink_to(tmp_path / "elsewhere")
    (records / "other again").symlink_to(tmp_path / "elsewhere")
    (records / "b/circle").symlink_to(records)
    os.mkfifo(records / "pipe")
    scandir = os.scandir

    def refuse(folder: Path) -> object:
        if folder.name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    names = ["a.csv", "b/emissions.csv", "linked.csv", "other/c.csv"]
    assert folders.recorded_files(records) == [records / name for name in names]
    assert folders.unreadable_records(records) == [
        ("gone.csv", "a link to a file that is not there"),
        ("pipe", "neither a file nor a folder"),
        ("shut", "the folder cannot be opened"),
    ]
    assert folders.tree(records, suffix=".jsonl").unreadable == [
        (records / "shut", "the folder cannot be opened")
    ]
    assert folders.recorded_files(tmp_path / "none") == []
