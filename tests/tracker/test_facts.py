"""Facts of a start record, and secrets that it must not contain."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from footprint.tracker import facts
from footprint.tracker.mask import mask_secrets

MASK = "***"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["python", "train.py", "--lr", "1e-3"], None),
        (["train", "--token", "abc", "--lr", "1"], ["train", "--token", MASK, "--lr", "1"]),
        (["train", "--token=abc"], [f"--token={MASK}"]),
        (["train", "--api-key", "a b"], ["--api-key", MASK]),
        (["train", "--use-auth-token", "--lr", "1"], None),
        (["env", "WANDB_API_KEY=abc", "python", "x.py"], [f"WANDB_API_KEY={MASK}"]),
        (["env", "DB_PASSWORD=two words", "x"], [f"DB_PASSWORD={MASK}"]),
        (["x", "hub.apiKey=abc", "model=big"], [f"hub.apiKey={MASK}", "model=big"]),
        (
            ["bash", "-c", "export HF_TOKEN=abc; python x.py --epochs 3"],
            "export HF_TOKEN=*** python",
        ),
        (
            ["bash", "-c", 'login --password "two words" --user me'],
            "login --password *** --user me",
        ),
        (["curl", "-H", "Authorization: Bearer abc.def", "h"], f"Authorization: Bearer {MASK}"),
        (["x", '{"api_key": "abc", "n": 1}'], '{"api_key": ***, "n": 1}'),
        (["git", "clone", "https://me:abc@host/x.git"], f"https://{MASK}@host/x.git"),
        (["x", "hf_abcdefghijklmnopqrstuvwxyzabcdefgh"], [MASK]),
        (["x", "--k", "ghp_abcdefghijklmnopqrst"], [MASK]),
        (["x", "--key", "abc1", "-key", "abc1"], ["--key", MASK, "-key", MASK]),
        (["x", "--sort-key", "name", "--max-tokens", "512", "--tokenizer", "bert"], None),
        (["x", "--key-frames", "3", "PWD=/home", "--author", "me"], None),
    ],
)
def test_mask_secrets_command_line_masks_secrets_alone(
    words: list[str], expected: list[str] | str | None
) -> None:
    found = mask_secrets(words)
    assert len(found) == len(words)
    assert "abc" not in " ".join(found)
    if expected is None:
        assert found == words
    elif isinstance(expected, str):
        assert expected in " ".join(found).replace(";", "")
    else:
        assert [word for word in found if word in expected or MASK in word][
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
def test_checked_out_commit_each_storage_of_refs_equals_git(tmp_path: Path) -> None:
    assert facts.checked_out_commit(tmp_path) is None
    project = tmp_path / "project"
    (project / "deep/er").mkdir(parents=True)
    git(project, "init", "-q", "-b", "main")
    assert facts.checked_out_commit(project) is None
    git(project, "commit", "-q", "--allow-empty", "-m", "first")
    first = git(project, "rev-parse", "HEAD")
    assert facts.checked_out_commit(project / "deep/er") == first
    git(project, "pack-refs", "--all")
    assert not (project / ".git/refs/heads/main").exists()
    assert facts.checked_out_commit(project) == first
    git(project, "worktree", "add", "-q", "-b", "other", "../other")
    git(tmp_path / "other", "commit", "-q", "--allow-empty", "-m", "second")
    assert (
        facts.checked_out_commit(tmp_path / "other")
        == git(tmp_path / "other", "rev-parse", "HEAD")
        != first
    )
    git(project, "checkout", "-q", "--detach")
    assert facts.checked_out_commit(project) == first
    (project / ".git/HEAD").write_bytes(b"\xff\xfe")
    assert facts.checked_out_commit(project) is None


def test_start_facts_folder_deleted_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert facts.start_facts({})["commit"] is None
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("job", ["", "none", "-5", "\u0661"])
def test_oar_job_variable_invalid_returns_none(job: str) -> None:
    assert facts.oar_job({"OAR_JOB_ID": job, "OAR_ARRAY_INDEX": "1"}) is None
    assert facts.start_facts(os.environ)["host"]
