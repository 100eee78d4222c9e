"""What a start record knows, and what it must not know."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from footprint.tracker import facts
from footprint.tracker.mask import masked

X = "***"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["python", "train.py", "--lr", "1e-3"], None),
        (["train", "--token", "abc", "--lr", "1"], ["train", "--token", X, "--lr", "1"]),
        (["train", "--token=abc"], [f"--token={X}"]),
        (["train", "--api-key", "a b"], ["--api-key", X]),
        (["train", "--use-auth-token", "--lr", "1"], None),
        (["env", "WANDB_API_KEY=abc", "python", "x.py"], [f"WANDB_API_KEY={X}"]),
        (["env", "DB_PASSWORD=two words", "x"], [f"DB_PASSWORD={X}"]),
        (["x", "hub.apiKey=abc", "model=big"], [f"hub.apiKey={X}", "model=big"]),
        (
            ["bash", "-c", "export HF_TOKEN=abc; python x.py --epochs 3"],
            "export HF_TOKEN=*** python",
        ),
        (
            ["bash", "-c", 'login --password "two words" --user me'],
            "login --password *** --user me",
        ),
        (["curl", "-H", "Authorization: Bearer abc.def", "h"], f"Authorization: Bearer {X}"),
        (["x", '{"api_key": "abc", "n": 1}'], '{"api_key": ***, "n": 1}'),
        (["git", "clone", "https://me:abc@host/x.git"], f"https://{X}@host/x.git"),
        (["x", "hf_abcdefghijklmnop"], [X]),
        (["x", "--k", "ghp_abcdefghijklmnopqrst"], [X]),
        (["x", "--key", "abc", "-key", "abc"], ["--key", X, "-key", X]),
        (["x", "--sort-key", "name", "--max-tokens", "512", "--tokenizer", "bert"], None),
        (["x", "--key-frames", "3", "PWD=/home", "--author", "me"], None),
    ],
)
def test_secrets_are_masked_and_nothing_else(
    words: list[str], expected: list[str] | str | None
) -> None:
    found = masked(words)
    assert len(found) == len(words)
    assert "abc" not in " ".join(found)
    if expected is None:
        assert found == words
    elif isinstance(expected, str):
        assert expected in " ".join(found).replace(";", "")
    else:
        assert [word for word in found if word in expected or X in word][
            -len(expected) :
        ] == expected


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_that_of_git_however_it_is_kept(tmp_path: Path) -> None:
    assert facts.commit(tmp_path) is None
    project = tmp_path / "project"
    (project / "deep/er").mkdir(parents=True)
    git(project, "init", "-q", "-b", "main")
    assert facts.commit(project) is None
    git(project, "commit", "-q", "--allow-empty", "-m", "first")
    first = git(project, "rev-parse", "HEAD")
    assert facts.commit(project / "deep/er") == first
    git(project, "pack-refs", "--all")
    assert not (project / ".git/refs/heads/main").exists()
    assert facts.commit(project) == first
    git(project, "worktree", "add", "-q", "-b", "other", "../other")
    git(tmp_path / "other", "commit", "-q", "--allow-empty", "-m", "second")
    assert facts.commit(tmp_path / "other") == git(tmp_path / "other", "rev-parse", "HEAD") != first
    git(project, "checkout", "-q", "--detach")
    assert facts.commit(project) == first
    (project / ".git/HEAD").write_bytes(b"\xff\xfe")
    assert facts.commit(project) is None


def test_a_folder_that_is_gone_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert facts.gather({})["commit"] is None
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("job", ["", "none", "-5", "\u0661"])
def test_outside_of_oar_there_is_no_job(job: str) -> None:
    assert facts.oar({"OAR_JOB_ID": job, "OAR_ARRAY_INDEX": "1"}) is None
    assert facts.gather(os.environ)["host"]
