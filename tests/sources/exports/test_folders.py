"""Files of a folder of exports, entries that cannot be read, and described clusters."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from footprint.core.errors import InputError
from footprint.sources.exports import folders
from footprint.sources.registry import source_files
from tests.support.api_answers import collection_page, save_json

pytestmark = pytest.mark.filterwarnings("error")


def test_tree_lists_files_and_unreadable_entries_with_reasons(
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
    assert folders.list_tree(records, suffix=".jsonl").unreadable == [
        (records / "shut", "the folder cannot be opened")
    ]
    assert folders.recorded_files(tmp_path / "none") == []


def test_files_are_listed_by_name_without_hidden_entries(folder: Path) -> None:
    save_json(folder / "jobs" / "a.json", collection_page())
    (folder / "jobs" / ".hidden").touch()
    (folder / "jobs" / ".git").mkdir()
    (folder / "jobs" / ".gone").symlink_to("nowhere")
    (folder / "nodes" / "gone.md").symlink_to("nowhere")
    (folder / "nodes" / "README.md").touch()
    (folder / "nodes" / "z.json.gz").write_bytes(gzip.compress(b'{"items": []}'))
    assert [path.name for path in folders.job_files(folder)] == ["a.json", "page.json"]
    assert [path.name for path in folders.node_files(folder)] == [
        "gros.json",
        "gruss.json",
        "z.json.gz",
    ]
    assert folders.resource_files(folder) == []
    assert folders.state_files(folder) == []


@pytest.mark.parametrize("name", ["nodes", "jobs", "power", "resources"])
def test_files_that_cannot_be_read_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source = {"kind": "exports", "directory": str(folder)}
    entry = folder / name / "x.json"
    entry.parent.mkdir(exist_ok=True)
    entry.symlink_to(folder / "nowhere.json")
    message = rf"/{name}/x.json: a link to a file that is not there; restore it or remove it$"
    with pytest.raises(InputError, match=message):
        source_files(source)
    entry.unlink()
    os.mkfifo(entry)
    with pytest.raises(InputError, match=rf"/{name}/x.json: neither a file nor a folder"):
        source_files(source)
    entry.unlink()
    (folder / name / "deeper").mkdir()
    message = rf"/{name}/deeper: a subfolder, which is not read; move its files up into {name}/$"
    with pytest.raises(InputError, match=message):
        source_files(source)
    (folder / name / "deeper").rmdir()
    entry.touch()
    source_files(source)
    may_open = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != entry and may_open(path, mode))
    message = rf"/{name}/x.json: the file cannot be opened; fix its permissions or remove it$"
    with pytest.raises(InputError, match=message):
        source_files(source)


def test_file_or_dangling_link_in_place_of_a_folder_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {"kind": "exports", "directory": str(folder)}
    (folder / "resources").symlink_to(folder / "nowhere")
    with pytest.raises(InputError, match=r"/resources: a link to a file that is not there"):
        source_files(source)
    (folder / "resources").unlink()
    (folder / "resources").touch()
    with pytest.raises(
        InputError, match=r"/resources: this is no folder; move the file into a folder"
    ):
        source_files(source)
    (folder / "resources").unlink()
    entries = Path.iterdir

    def refuse(path: Path) -> Any:
        if path.name == "jobs":
            raise PermissionError(13, "Permission denied")
        return entries(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(
        InputError, match=r"/jobs: the folder cannot be opened; fix its permissions"
    ):
        source_files(source)


@pytest.mark.parametrize("name", ["devices", "states"])
def test_entries_of_an_optional_folder_that_cannot_be_read_are_listed(
    folder: Path, name: str
) -> None:
    listed = {"devices": folders.device_files, "states": folders.state_files}[name]
    assert (listed(folder), folders.unreadable_entries(folder, name)) == ([], [])
    (folder / name).touch()
    assert folders.unreadable_entries(folder, name) == [(name, "this is no folder")]
    (folder / name).unlink()
    (folder / name / "deeper").mkdir(parents=True)
    (folder / name / "gone").symlink_to("nowhere")
    (folder / name / "lfs").write_text("version https://git-lfs.github.com/spec/v1\n")
    (folder / name / "text").write_text("x")
    assert listed(folder) == [folder / name / "text"]
    assert folders.unreadable_entries(folder, name) == [
        (f"{name}/deeper", "a folder where a file is expected"),
        (f"{name}/gone", "a link to a file that is not there"),
        (f"{name}/lfs", "a pointer of Git LFS: the file itself was not fetched"),
    ]


@pytest.mark.parametrize("name", ["nodes", "jobs", "power"])
def test_missing_or_empty_folder_is_refused_by_name(folder: Path, name: str) -> None:
    listed = {"nodes": folders.node_files, "jobs": folders.job_files, "power": folders.power_files}
    for path in (folder / name).iterdir():
        path.unlink()
    with pytest.raises(InputError, match=rf"/{name}: no file; add "):
        listed[name](folder)
    (folder / name).rmdir()
    with pytest.raises(InputError, match=rf"/{name}: there is no such folder; add"):
        listed[name](folder)


def test_listing_a_folder_imports_no_polars(folder: Path) -> None:
    clusters = folders.described_clusters.__name__
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from footprint.sources.exports import folders\n"
        f"print(folders.{clusters}(Path({str(folder)!r})), 'polars' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['gros', 'gruss'] False\n"


def test_clusters_of_an_empty_file_of_nodes_are_refused(folder: Path) -> None:
    (folder / "nodes" / "grele.json").write_text("")
    with pytest.raises(InputError, match=r"nodes/grele\.json: the file is empty"):
        folders.described_clusters(folder)
