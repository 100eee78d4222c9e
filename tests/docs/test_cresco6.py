"""The study of CRESCO6 in docs/examples: real jobs of LSF, real power and real counters.

Bounds are those of the sensors (steps of 10 W every 1 to 4 s), not fitted to these days.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from footprint.totals.error_model import ErrorModel
from footprint.totals.study_totals import group_intervals
from tests.support.project import Project, configure

pytestmark = [pytest.mark.slow, pytest.mark.workflow]

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs/examples/cresco6"
N_DRAWS = 20


def run_example(project: Project, study: Path, *targets: str, extra: str = "") -> None:
    text = (EXAMPLE / "study.yaml").read_text(encoding="utf-8")
    (study / "study.yaml").write_text(text + extra, encoding="utf-8")
    project.run(study, "--cores", "2", *targets)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("cresco6"))


@pytest.fixture(scope="module")
def study(shared_data: Path, project: Project) -> Path:
    """Folder in which the whole study ran."""
    folder = configure(project.folder.parent / "study")
    command = [sys.executable, str(EXAMPLE / "convert.py"), str(shared_data / "cresco6"), "tables"]
    subprocess.run(command, cwd=folder, check=True)
    run_example(project, folder)
    return folder


def table(study: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(study / f"results/{name}.parquet")


def test_energies_agree_with_the_counters_of_the_nodes(study: Path) -> None:
    compared = table(study, "validation/against_counters").filter("compared")
    ratio = compared["ratio"]
    low, median, high = (ratio.quantile(each, "linear") for each in (0.05, 0.5, 0.95))
    print(f"{len(ratio)} pairs of job and node: {median:.4f} ({low:.4f} to {high:.4f})")
    assert len(ratio) > 90
    assert low is not None
    assert median == pytest.approx(1, abs=0.01)
    assert low >= 0.975
    assert high is not None
    assert high <= 1.025
    assert f"all,{len(ratio)}," in (study / "results/tables/counters.csv").read_text()


def test_job_that_ends_before_it_starts_is_counted(study: Path) -> None:
    rejected = table(study, "energy/rejected").filter(pl.col("stage") == "jobs")
    assert rejected.select("reason", "n_rows", "example").rows() == [
        ("ended before it started", 1, "job 901246")
    ]


def test_published_energies_include_seconds_outside_of_short_jobs(
    study: Path, shared_data: Path
) -> None:
    published = pl.read_csv(shared_data / "cresco6/jobs_info.csv.gz", infer_schema_length=None)
    jobs = table(study, "energy/jobs").join(
        published.select(job_id="jobid", published_kwh="energy_from_delta_e"), on="job_id"
    )
    ratio = pl.col("published_kwh") / pl.col("measured_kwh")
    jobs = jobs.with_columns(ratio=ratio, excess_s=(ratio - 1) * pl.col("duration_s"))
    for low, high in ((0, 15), (15, 60), (60, 300), (300, 1e5)):
        rows = jobs.filter(pl.col("duration_s").is_between(low, high, closed="right"))
        median, excess_s = rows["ratio"].median(), rows["excess_s"].median()
        print(f"{low} to {high} s: {len(rows)} jobs, ratio {median:.3f}, excess {excess_s:.1f} s")
    long_jobs = jobs.filter(pl.col("duration_s") > 300)
    assert long_jobs["ratio"].median() == pytest.approx(1, abs=0.01)
    assert jobs.filter(pl.col("duration_s") <= 15)["ratio"].median() > 1.1
    excess_s = jobs.filter(pl.col("duration_s") <= 300)["excess_s"]
    assert excess_s.quantile(0.95) < 10


def test_counter_as_source_gives_its_differences(study: Path, project: Project) -> None:
    folder = configure(project.folder.parent / "counter")
    (folder / "tables").symlink_to(study / "tables")
    text = (EXAMPLE / "study.yaml").read_text(encoding="utf-8")
    text = text.replace("kind: generic", "kind: generic, power: counter")
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    project.run(folder, "--cores", "2", "combine_energy")
    by_power = table(study, "validation/against_counters").filter("compared")
    by_counter = table(folder, "energy/job_nodes").select("job_id", "node", energy="measured_kwh")
    both = by_power.join(by_counter, on=["job_id", "node"])
    assert len(both) == len(by_power)
    assert (both["energy"] / both["counter_kwh"] - 1).abs().max() < 1e-9
    counted = table(folder, "energy/rejected").filter(pl.col("reason").str.contains("counter"))
    assert counted["n_rows"].to_list() == [1]


def withhold_power(study: Path, folder: Path, *, seed: int) -> None:
    """Tables without the power of 30 % of the nodes."""
    (folder / "tables").mkdir(parents=True)
    for name in ("nodes.csv", "jobs.csv"):
        shutil.copy(study / "tables" / name, folder / "tables" / name)
    power = pl.read_csv(study / "tables/power.csv", infer_schema_length=0)
    nodes = sorted(power["node"].unique())
    withheld = random.Random(seed).sample(nodes, round(0.3 * len(nodes)))
    power.filter(~pl.col("node").is_in(withheld)).write_csv(folder / "tables/power.csv")


def test_totals_without_power_of_some_nodes_contain_the_measured_ones(
    study: Path, project: Project
) -> None:
    """The gain of the meters is set to 1: it is in the measured energies as well."""
    measured = table(study, "energy/jobs").select("job_id", known_kwh="measured_kwh")
    known_kwh = measured["known_kwh"].sum()
    n_inside, errors, job_errors = 0, [], []
    for seed in range(N_DRAWS):
        folder = project.folder.parent / f"draw-{seed}"
        withhold_power(study, folder, seed=seed)
        unit = "integration: {meter: {low: 1, high: 1}}\n"
        run_example(project, folder, "combine_energy", extra=unit)
        meters = {"low": 1.0, "high": 1.0, "correlation": 0.5, "calibration": {}}
        model = ErrorModel.of_study(table(folder, "energy/virtual_meter"), meters)
        # without `similar` jobs the interval is the narrower one
        rows = table(folder, "energy/job_nodes").lazy().with_columns(name=pl.lit("jobs"))
        total = group_intervals(rows, ["name"], model)
        found = total.lazy().collect().row(0, named=True)
        n_inside += found["total_low_kwh"] <= known_kwh <= found["total_high_kwh"]
        errors.append(abs(found["total_kwh"] / known_kwh - 1))
        jobs = table(folder, "energy/jobs").join(measured, on="job_id")
        same_job = jobs.filter(pl.col("estimate_basis") == "same_job")
        job_errors.append((same_job["total_kwh"] / same_job["known_kwh"] - 1).abs().median())
        shutil.rmtree(folder)
    error, job_error = pl.Series(errors).median(), pl.Series(job_errors).median()
    print(f"inside {n_inside} of {N_DRAWS}, total off by {error:.4f}, a job by {job_error:.4f}")
    assert n_inside >= 18
    assert error is not None
    assert error <= 0.05
    assert job_error is not None
    assert job_error <= 0.05
