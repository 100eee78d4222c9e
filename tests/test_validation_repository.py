"""The recordings fetched from a repository by `git`: local ones, made here."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from footprint.errors import InputError
from footprint.validation import recordings, repository

CONTENT = {recordings.TABLE: b"a,b\n1,2\n", recordings.METRICS: b"timestamp\n", "other.bin": b"\0"}

pytestmark = pytest.mark.filterwarnings("error")


def git(folder: Path, *arguments: str) -> str:
    me = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(folder), *me, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "recordings")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def authors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that serves as a public one does; the user has no configuration of git."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    folder = tmp_path / "authors"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(folder, "config", "uploadpack.allowFilter", "true")
    return folder


def test_the_files_of_a_commit_are_written_where_the_repository_has_them(
    authors: Path, tmp_path: Path
) -> None:
    wanted = commit(authors, CONTENT)
    commit(authors, {recordings.TABLE: b"changed since\n"})
    paths = repository.fetch(authors.as_uri(), wanted, tmp_path / "new" / "folder")
    assert [path.relative_to(tmp_path / "new" / "folder") for path in paths] == [
        Path(recordings.TABLE),
        Path(recordings.METRICS),
    ]
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())[:2]
    assert {path.name for path in (tmp_path / "new").rglob("*") if path.is_file()} == {
        "processed_table.csv",
        "g5k_metrics.csv",
    }


def test_a_server_that_cannot_leave_files_out_does_too(authors: Path, tmp_path: Path) -> None:
    wanted = commit(authors, CONTENT)
    git(authors, "config", "uploadpack.allowFilter", "false")
    assert len(repository.fetch(authors.as_uri(), wanted, tmp_path / "fetched")) == 2


def test_a_hook_of_git_is_not_mistaken_for_the_repository(
    authors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = commit(authors, CONTENT)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert len(repository.fetch(authors.as_uri(), wanted, tmp_path / "fetched")) == 2
    assert not (tmp_path / "elsewhere").exists()


def refusal(url: str, wanted: str, folder: Path) -> str:
    with pytest.raises(InputError) as error:
        repository.fetch(url, wanted, folder)
    assert "\n" not in str(error.value)
    assert "set validation.directory to a folder that has the recordings" in str(error.value)
    assert not folder.exists()
    return str(error.value)


def test_a_commit_that_is_not_there(authors: Path, tmp_path: Path) -> None:
    commit(authors, CONTENT)
    said = refusal(authors.as_uri(), "0" * 39 + "1", tmp_path / "fetched")
    assert said.startswith(f"{authors.as_uri()}: has no commit {'0' * 39}1; mend validation.commit")


def test_something_else_than_the_commit(authors: Path, tmp_path: Path) -> None:
    # the name of a tag object is no name of a commit
    found = commit(authors, CONTENT)
    git(authors, "tag", "--annotate", "v1", "--message", "v1")
    tag = git(authors, "rev-parse", "v1")
    said = refusal(authors.as_uri(), tag, tmp_path / "fetched")
    assert f"gave commit {found} for {tag}" in said


def test_a_commit_without_the_files(authors: Path, tmp_path: Path) -> None:
    wanted = commit(authors, {recordings.TABLE: b"alone\n"})
    said = refusal(authors.as_uri(), wanted, tmp_path / "fetched")
    assert f"cannot get {recordings.METRICS} at commit {wanted}" in said


def test_no_such_repository(tmp_path: Path) -> None:
    url = (tmp_path / "nowhere").as_uri()
    assert f"{url}: the recordings cannot be fetched (" in refusal(url, "1" * 40, tmp_path / "new")


def test_no_network(tmp_path: Path) -> None:
    url = "https://repository.invalid/recordings"
    said = refusal(url, "1" * 40, tmp_path / "new")
    assert said.startswith(f"{url}: the recordings cannot be fetched (")


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refusal("https://repository.invalid/recordings", "1" * 40, tmp_path / "new")
    assert said.startswith("there is no git to fetch the recordings with; ")


def test_a_server_that_never_answers(
    authors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "TIMEOUT_S", 1e-6)
    said = refusal(authors.as_uri(), "1" * 40, tmp_path / "new")
    assert said.startswith(f"{authors.as_uri()}: no answer; try again")


def test_the_script(authors: Path, tmp_path: Path, run: Callable[..., str]) -> None:
    wanted = commit(authors, CONTENT)
    params = {"repository": authors.as_uri(), "commit": wanted}
    log = run("fetch_recordings", output={"folder": tmp_path / "fetched"}, params=params)
    assert log.splitlines() == [
        str(tmp_path / "fetched" / name) for name in (recordings.TABLE, recordings.METRICS)
    ]
