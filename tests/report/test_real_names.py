"""Real names: written only if the configuration allows it, into a folder marked private."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.core import pseudonyms
from footprint.core.errors import InputError
from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS
from footprint.report import real_names
from footprint.schemas.gaps import VirtualMeter
from footprint.schemas.levels import Levels
from footprint.schemas.phases import Runs
from footprint.schemas.usage import Logins
from footprint.schemas.writing import conform
from tests.support import study_frames

pytestmark = pytest.mark.filterwarnings("error")

Run = Callable[..., str]
KEY = pseudonyms.PUBLIC_KEY
NAMES = pseudonyms.pseudonyms_of(["amy", "bob", "cem"], key=KEY)
JOBS = pl.LazyFrame({"job_id": [1, 2, 3, 4], "user": ["bob", "amy", "bob", None]})


def test_logins_of_jobs_map_each_pseudonym_to_its_login() -> None:
    found = conform(Logins, real_names.logins_of_pseudonyms(JOBS, key=KEY, reveal=True))
    assert dict(found.rows()) == {NAMES["amy"]: "amy", NAMES["bob"]: "bob"}
    assert found["user"].is_sorted()


def test_logins_without_reveal_are_refused() -> None:
    with pytest.raises(InputError, match=r"privacy\.reveal: real names .*; set it to true"):
        real_names.logins_of_pseudonyms(JOBS, key=KEY, reveal=False)


def test_logins_without_jobs_are_empty() -> None:
    found = real_names.logins_of_pseudonyms(JOBS.clear(), key=KEY, reveal=True)
    assert conform(Logins, found).is_empty()
    assert_frame_equal(real_names.replace_pseudonyms(JOBS, found), JOBS)


def test_named_replaces_pseudonyms_and_nothing_else() -> None:
    logins = real_names.logins_of_pseudonyms(JOBS, key=KEY, reveal=True)
    concealed = pseudonyms.conceal_logins(JOBS, key=KEY)
    assert_frame_equal(real_names.replace_pseudonyms(concealed, logins), JOBS)
    levels = pl.LazyFrame({"name": ["nancy", NAMES["amy"], NAMES["cem"], "(others)"]})
    shown = real_names.replace_pseudonyms(levels, logins, column="name").collect()["name"].to_list()
    assert shown == ["nancy", "amy", NAMES["cem"], "(others)"]  # cem has no job


def test_logins_schema_refuses_two_pseudonyms_of_one_login() -> None:
    twice = pl.LazyFrame({"user": list(NAMES.values())[:2], "login": ["amy", "amy"]})
    with pytest.raises(Exception, match="nobody_has_two_pseudonyms"):
        conform(Logins, twice)


def test_mark_private_writes_notice_and_restricts_access(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    for _ in range(2):
        real_names.mark_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "Not for publication" in (folder / "README.md").read_text()


@pytest.mark.skipif(shutil.which("git") is None, reason="Git is not installed")
def test_mark_private_hides_the_folder_from_git(tmp_path: Path) -> None:
    real_names.mark_private(tmp_path / "private")
    (tmp_path / "private" / "logins.parquet").write_bytes(b"")
    (tmp_path / "seen").write_text("")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    status = ["git", "-C", str(tmp_path), "status", "--porcelain", "-uall"]
    said = subprocess.run(status, check=True, capture_output=True, text=True).stdout
    assert said == "?? seen\n"


# The script, as its rule runs it


def runs_of(job_energy: pl.DataFrame) -> pl.DataFrame:
    """Every job as a run of its own."""
    constant: dict[str, Any] = {
        "merged_by": "single",
        "kind": "training_run",
        "role": None,
        "role_basis": None,
        "phase": "unknown",
        "rule": "plateau",
        "features": "{}",
        "confidence": 1.0,
        "rule_set": "1",
        **dict.fromkeys(PROBABILITY_COLUMNS),
        "idle_kwh": None,
        "started_at": datetime(2025, 3, 3, tzinfo=UTC),
        "stopped_at": datetime(2025, 3, 4, tzinfo=UTC),
    }
    frame = job_energy.select(
        "user",
        "project",
        "duration_s",
        "gpu_hours",
        *("measured_kwh", "estimated_kwh", "total_kwh", "total_low_kwh", "total_high_kwh"),
        "measured_frac",
        run_id="job_id",
        job_ids=pl.concat_list("job_id"),
        **{name: pl.lit(value) for name, value in constant.items()},
    )
    checked: pl.DataFrame = conform(Runs, frame)
    return checked


def reveal(run: Run, folder: Path, *, asked: bool) -> str:
    """Run the script on a made-up study of people `login0`, `login1`, ..."""
    study = study_frames.invented_study(n_jobs=60, days=2)
    people = sorted(set(study.job_energy["user"]))
    login = {person: f"login{i}" for i, person in enumerate(people)}
    records = study.job_energy.select("job_id", pl.col("user").replace_strict(login))
    job_energy = pseudonyms.conceal_logins(
        study.job_energy.lazy().with_columns(pl.col("user").replace_strict(login)), key=KEY
    ).collect()
    frames = {
        "jobs": records,
        "runs": runs_of(job_energy),
        "papers": pl.DataFrame({"job_id": [1], "paper": ["ours"]}),
        "job_energy": job_energy,
        "job_nodes": study.job_nodes,
        "node_energy": study.node_energy,
        "estimates": study.estimates,
        "virtual_meter": VirtualMeter.create_empty(),
    }
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return run(
        "reveal_names",
        input={name: str(folder / f"{name}.parquet") for name in frames},
        output={n: folder / "private" / f"{n}.parquet" for n in ("logins", "levels", "runs")},
        params={
            "site": "nancy",
            "levels": {"projects": "all", "users": [], "papers": "all", "redistribution": "none"},
            "privacy": {"key": None, "minimum_group": 3},
            "reveal": asked,
            "simulated": True,
            "meters": {"low": 0.95, "high": 1.15, "correlation": 0.5, "calibration": {}},
        },
    )


def test_script_with_reveal_writes_every_login(run: Run, tmp_path: Path) -> None:
    log = reveal(run, tmp_path, asked=True)
    assert "login" not in log
    private = tmp_path / "private"
    logins, levels, runs = (
        pl.read_parquet(private / f"{name}.parquet") for name in ("logins", "levels", "runs")
    )
    people = set(logins["login"])
    assert len(people) > 2
    assert all(name.startswith("login") for name in people)
    assert Levels.is_valid(levels)
    assert set(levels.filter(pl.col("level") == "user")["name"]) == people
    assert levels.filter(pl.col("level") == "paper")["name"].unique().to_list() == ["ours"]
    assert Runs.is_valid(runs)
    assert set(runs["user"]) <= people
    assert (private / ".gitignore").read_text() == "*\n"


def test_script_without_reveal_writes_nothing(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"privacy\.reveal"):
        reveal(run, tmp_path, asked=False)
    assert not list((tmp_path / "private").glob("*"))
