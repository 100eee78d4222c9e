"""Download of the recordings by `git`, from local repositories."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from footprint.core.errors import InputError
from footprint.validation import recordings, repository

CONTENT = {
    recordings.AUTHORS_RUNS_FILE: b"a,b\n1,2\n",
    recordings.AUTHORS_POWER_FILE: b"timestamp\n",
    "other.bin": b"\0",
}

pytestmark = pytest.mark.filterwarnings("error")


def run_git(folder: Path, *arguments: str) -> str:
    me = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(folder), *me, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit_files(folder: Path, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    run_git(folder, "add", "--all")
    run_git(folder, "commit", "--quiet", "--message", "recordings")
    return run_git(folder, "rev-parse", "HEAD")


@pytest.fixture
def authors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Local repository that allows what public servers allow; git has no user configuration."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    folder = tmp_path / "authors"
    folder.mkdir()
    run_git(folder, "init", "--quiet")
    run_git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    run_git(folder, "config", "uploadpack.allowFilter", "true")
    return folder


def test_fetch_writes_files_of_the_commit_at_their_paths(authors: Path, tmp_path: Path) -> None:
    wanted = commit_files(authors, CONTENT)
    commit_files(authors, {recordings.AUTHORS_RUNS_FILE: b"changed since\n"})
    paths = repository.fetch_recordings(authors.as_uri(), wanted, tmp_path / "new" / "folder")
    assert [path.relative_to(tmp_path / "new" / "folder") for path in paths] == [
        Path(recordings.AUTHORS_RUNS_FILE),
        Path(recordings.AUTHORS_POWER_FILE),
    ]
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())[:2]
    assert {path.name for path in (tmp_path / "new").rglob("*") if path.is_file()} == {
        "processed_table.csv",
        "g5k_metrics.csv",
    }


def test_fetch_from_server_without_filter_writes_the_files(authors: Path, tmp_path: Path) -> None:
    wanted = commit_files(authors, CONTENT)
    run_git(authors, "config", "uploadpack.allowFilter", "false")
    assert len(repository.fetch_recordings(authors.as_uri(), wanted, tmp_path / "fetched")) == 2


def test_fetch_ignores_git_variables_of_a_hook(
    authors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = commit_files(authors, CONTENT)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert len(repository.fetch_recordings(authors.as_uri(), wanted, tmp_path / "fetched")) == 2
    assert not (tmp_path / "elsewhere").exists()


def fetch_error(url: str, wanted: str, folder: Path) -> str:
    with pytest.raises(InputError) as error:
        repository.fetch_recordings(url, wanted, folder)
    assert "\n" not in str(error.value)
    assert "set validation.directory to a folder that has the recordings" in str(error.value)
    assert not folder.exists()
    return str(error.value)


def test_fetch_of_missing_commit_raises(authors: Path, tmp_path: Path) -> None:
    commit_files(authors, CONTENT)
    message = fetch_error(authors.as_uri(), "0" * 39 + "1", tmp_path / "fetched")
    assert message.startswith(
        f"{authors.as_uri()}: has no commit {'0' * 39}1; fix validation.commit"
    )


def test_fetch_of_tag_instead_of_commit_raises(authors: Path, tmp_path: Path) -> None:
    # the id of an annotated tag is not the id of its commit
    found = commit_files(authors, CONTENT)
    run_git(authors, "tag", "--annotate", "v1", "--message", "v1")
    tag = run_git(authors, "rev-parse", "v1")
    message = fetch_error(authors.as_uri(), tag, tmp_path / "fetched")
    assert f"returned commit {found} instead of {tag}" in message


def test_fetch_of_commit_without_the_files_raises(authors: Path, tmp_path: Path) -> None:
    wanted = commit_files(authors, {recordings.AUTHORS_RUNS_FILE: b"alone\n"})
    message = fetch_error(authors.as_uri(), wanted, tmp_path / "fetched")
    assert f"cannot fetch {recordings.AUTHORS_POWER_FILE} at commit {wanted}" in message


def test_fetch_from_missing_repository_raises(tmp_path: Path) -> None:
    url = (tmp_path / "nowhere").as_uri()
    assert f"{url}: the recordings cannot be downloaded (" in fetch_error(
        url, "1" * 40, tmp_path / "new"
    )


def test_fetch_without_network_raises(tmp_path: Path) -> None:
    url = "https://repository.invalid/recordings"
    message = fetch_error(url, "1" * 40, tmp_path / "new")
    assert message.startswith(f"{url}: the recordings cannot be downloaded (")


def test_fetch_without_git_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    message = fetch_error("https://repository.invalid/recordings", "1" * 40, tmp_path / "new")
    assert message.startswith("git is not installed and is needed to download the recordings; ")


def test_fetch_from_silent_server_raises(
    authors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "TIMEOUT_S", 1e-6)
    message = fetch_error(authors.as_uri(), "1" * 40, tmp_path / "new")
    assert message.startswith(f"{authors.as_uri()}: no answer; try again")


def test_script_writes_and_lists_the_files(
    authors: Path, tmp_path: Path, run: Callable[..., str]
) -> None:
    wanted = commit_files(authors, CONTENT)
    params = {"repository": authors.as_uri(), "commit": wanted}
    log = run("fetch_recordings", output={"folder": tmp_path / "fetched"}, params=params)
    assert log.splitlines() == [
        str(tmp_path / "fetched" / name)
        for name in (recordings.AUTHORS_RUNS_FILE, recordings.AUTHORS_POWER_FILE)
    ]
