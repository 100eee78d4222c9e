"""Whole workflow on a small simulated study, run by its command."""

import gzip
import hashlib
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from polars.testing import assert_frame_equal

from footprint.energy.rejected_power import REASON_OF_SPELL_KIND
from footprint.schemas import catalogue
from tests.support import logins
from tests.support.export_folders import write_exports
from tests.support.project import Project, configure, job_counts, small_study
from tests.support.small_study import END, METRIC, MONTHS, SEAM, START, Study

pytestmark = pytest.mark.workflow

FINE, COARSE, UNMEASURED = "graffiti", "gruss", "gres"
ENERGY = ("jobs", "job_nodes", "nodes", "quality", "rejected")
FIGURES = ("energy_by_class", "levels", "methods", "node_week", "ratios", "simulation_check")
FIGURES += ("energy_per_run", "phases", "paper_runs", "concentration", "energy_over_time")
FIGURES += ("active_users", "models", "site_map", "sensitivities", "uncertainty")
FIGURES += ("phase_energies", "ratio_uncertainty", "reliability")
TABLES = ("energy_by_class", "levels", "quality", "simulation_check")
TABLES += ("estimators", "methods", "ratios", "phases", "evaluation")
TABLES += ("carbon", "hardware", "study_summary", "sensitivities", "uncertainty")
TABLES += ("virtual_meter", "stages", "phase_energies", "ratio_uncertainty", "reliability")
TABLES += ("active_users", "concentration", "energy_over_time")
PHASES = ("features", "accuracy", "evaluation", "group_runs", "jobs", "ratio", "runs")
PHASES += ("sensitivities", "stages", "energies", "ratio_uncertainty", "reliability")


def file_digests(folder: Path) -> dict[str, str]:
    """Hash of each result."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# Outputs


def test_run_writes_every_output(done: Study) -> None:
    made = file_digests(done.folder / "results")
    expected = {
        "README.md",
        "summary.md",
        "opening.html",
        "report.html",
        "active_users.parquet",
        "carbon.parquet",
        "notable_models.parquet",
    }
    expected |= {"levels.parquet", "estimates/jobs.parquet", "estimates/ratios.parquet"}
    expected |= {f"energy/{name}.parquet" for name in ENERGY}
    expected |= {f"energy/{name}.parquet" for name in ("node_allocations", "occupancy", "overlaps")}
    expected |= {"energy/simulation_check.parquet", "validation/against_truth.parquet"}
    expected |= {
        f"energy/months/{cluster}/{month}.{what}.parquet"
        for cluster in (FINE, COARSE, UNMEASURED)
        for month in MONTHS
        for what in ("jobs", "classes", "segments")
    }
    expected |= {
        f"energy/gaps/{cluster}.{what}.parquet"
        for cluster in (FINE, COARSE, UNMEASURED)
        for what in ("jobs", "classes", "segments")
    }
    of_totals = ("free_power", "gate_policies", "uncertainty", "virtual_meter")
    expected |= {f"energy/{name}.parquet" for name in of_totals}
    expected |= {f"phases/{name}.parquet" for name in PHASES}
    expected |= {
        f"{folder}/{cluster}.parquet"
        for folder in ("phases/power_histograms", "energy/node_power")
        for cluster in (FINE, COARSE, UNMEASURED)
    }
    columns = ("energy_by_class", "energy_over_time", "methods", "paper_runs", "phases")
    expected |= {
        f"figures/{name}.{form}"
        for name in (*FIGURES, *(f"{name}_column" for name in columns))
        for form in ("pdf", "svg", "png")
    }
    expected |= {f"tables/{name}.{form}" for name in TABLES for form in ("csv", "html", "tex")}
    assert set(made) == expected
    assert all((done.folder / "results" / name).stat().st_size > 30 for name in made)
    report = (done.folder / "results/report.html").read_text()
    assert all(f'id="figure-{name}"' in report for name in FIGURES)
    assert all(f'id="table-{name}"' in report for name in TABLES)


def test_run_writes_tables_that_obey_their_schemas(done: Study) -> None:
    checked = []
    for name, (schema, path) in catalogue.TABLES.items():
        pattern = path.replace("<site>", "nancy").replace("<metric>", METRIC)
        pattern = pattern.replace("<cluster>", "*").replace("<month>", "*")
        for each in done.folder.glob(pattern):
            assert schema.is_valid(pl.read_parquet(each)), each
            checked.append(name)
    assert {name: checked.count(name) for name in checked if checked.count(name) > 1} == {
        "power": 6,
        "sensor_spells": 6,
        "node_power": 3,
        "power_histograms": 3,
    }
    of_options = {"device_power", "device_series", "gpu_power", "cpu_series"}
    of_options |= {"ledger", "tracked", "reconciliation", "against_counters"}
    assert set(catalogue.TABLES) - set(checked) <= of_options | {
        "recorded",
        "validation_runs",
        "logins",
    }


def test_energy_tables_list_every_job_and_node(done: Study) -> None:
    assert done.energy("jobs")["job_id"].to_list() == done.resource("jobs")["job_id"].to_list()
    assert set(done.energy("nodes")["node"]) == set(done.resource("nodes")["node"])
    held = done.resource("allocations").join(
        done.energy("jobs").filter(pl.col("duration_s") > 0), on="job_id", how="semi"
    )
    both = ["job_id", "node"]
    assert_frame_equal(done.energy("job_nodes").select(both), held.select(both).sort(both))


def test_run_logs_no_warning(done: Study) -> None:
    logs = {path: path.read_text() for path in (done.folder / "logs").rglob("*.log")}
    assert len(logs) > 20
    assert [path for path, text in logs.items() if "Warning" in text or "Traceback" in text] == []


def test_run_prints_summary_once(done: Study) -> None:
    assert done.ran.output.count("level    name") == 1
    assert done.ran.output.count("Against the simulated truth: ") == 1
    assert done.ran.output.index("site     nancy") < done.ran.output.index("overhead idle")


def test_second_run_does_nothing(project: Project, done: Study) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.folder.glob("res*/**/*.parquet")}
    assert "Nothing to be done" in project.run(done.folder, "--cores", "1").output
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.slow
def test_run_with_one_core_gives_same_bytes(project: Project, done: Study) -> None:
    folder = configure(project.folder.parent / "one", **small_study(project))
    project.run(folder, "--cores", "1")
    for part in ("results", "resources"):
        assert file_digests(folder / part) == file_digests(done.folder / part)


# Sums, against independent arithmetic


def integrate_kwh(
    samples: tuple[NDArray[np.float64], NDArray[np.float64]], start_s: float, stop_s: float
) -> float:
    """Energy of a node in kWh between two moments: trapezoids cut at the bounds, none over gaps."""
    times, power = samples
    begins, ends = times[:-1], times[1:]
    low, high = np.maximum(begins, start_s), np.minimum(ends, stop_s)
    counts = (high > low) & (ends - begins <= 30)
    slope = np.diff(power) / (ends - begins)
    middle = power[:-1] + slope * ((low + high) / 2 - begins)
    return float(np.sum((middle * (high - low))[counts])) / 3.6e6


def test_energies_of_classes_sum_to_integral_of_each_node_and_day(done: Study) -> None:
    classes = done.energy("nodes")
    by_day = classes.group_by("node", "day").agg(
        pl.col("duration_s").sum(), pl.col("measured_kwh").sum()
    )
    assert len(by_day) == 5 * 2
    for row in by_day.iter_rows(named=True):
        assert row["duration_s"] == pytest.approx(86_400, abs=1e-6)
        day_s = (row["day"] - START.date()) / timedelta(seconds=1)
        if row["node"].startswith(UNMEASURED):
            assert row["measured_kwh"] == 0
        else:
            drawn = integrate_kwh(done.samples(row["node"]), day_s, day_s + 86_400)
            assert row["measured_kwh"] == pytest.approx(drawn, rel=1e-9)
            assert drawn > 1
    assert {"job", "stranded", "idle", "no_data"} <= set(classes["class"])
    unknown = classes.filter(pl.col("class") == "no_data")["measured_kwh"]
    assert unknown.null_count() == len(unknown) > 0


def test_energies_of_jobs_sum_to_class_job(done: Study) -> None:
    of_jobs = done.energy("job_nodes").group_by("node").agg(pl.col("measured_kwh").sum())
    of_class = done.energy("nodes").filter(pl.col("class") == "job")
    both = of_class.group_by("node").agg(pl.col("measured_kwh").sum()).join(of_jobs, on="node")
    assert len(both) == 5
    for _, by_class, by_job in both.iter_rows():
        assert by_job == pytest.approx(by_class, rel=1e-9)
    total = done.energy("jobs")["measured_kwh"].sum()
    assert total == pytest.approx(of_jobs["measured_kwh"].sum(), rel=1e-9)
    site = (pl.col("level") == "site") & (pl.col("method") == "bmc")
    of_site = done.read("results/levels.parquet").filter(site)["measured_kwh"].item()
    assert of_site == pytest.approx(total, rel=1e-9)


def shares(done: Study) -> dict[tuple[int, str], float]:
    """Share of each node that each job holds, from its GPUs."""
    of_gpu = {
        row["node"]: (dict(zip(row["cores"], row["core_gpus"], strict=True)), row["core_gpus"])
        for row in done.resource("nodes").iter_rows(named=True)
    }
    found = {}
    for job, node, cores in done.resource("allocations").select("job_id", "node", "cores").rows():
        gpu_of, gpus = of_gpu[node]
        n_gpus = len(set(gpus))
        found[job, node] = sum(1 / gpus.count(gpu_of[core]) for core in cores) / n_gpus
    return found


def held(done: Study) -> Iterator[tuple[int, float, float]]:
    """Yield job id, start and end of each allocation inside the study, in seconds after START.

    Containers are omitted, because inner jobs hold a part of their nodes.
    """
    for row in done.resource("jobs").iter_rows(named=True):
        assert all(pause["stopped_at"] <= START for pause in row["suspensions"])
        if row["started_at"] is not None and "container" not in row["types"]:
            stopped = row["stopped_at"] or END
            bounds = (max(row["started_at"], START), min(stopped, END))
            low, high = ((each - START).total_seconds() for each in bounds)
            if high > low:
                yield row["job_id"], low, high


def test_energy_of_job_equals_share_of_node_integral(done: Study) -> None:
    part = shares(done)
    rows = done.energy("job_nodes").select("job_id", "node", "measured_kwh").rows()
    found = {(job, node): energy for job, node, energy in rows}
    samples = {node: done.samples(node) for node in {node for _, node in found}}
    seam_s = (SEAM - START).total_seconds()
    crossing = 0
    for job, low, high in held(done):
        for node in [node for of, node in found if of == job]:
            expected = part[job, node] * integrate_kwh(samples[node], low, high)
            if node.startswith(UNMEASURED) or expected == 0:  # no readings, or a drop-out
                assert found[job, node] is None
            else:
                assert found[job, node] == pytest.approx(expected, rel=1e-9)
                crossing += low < seam_s < high
    assert crossing >= 3  # jobs over the end of the month are integrated in two parts


def test_measured_energy_equals_perfect_meter_and_intervals_contain_truth(done: Study) -> None:
    energies = pl.col("metered_kwh", "true_kwh").sum()
    truth = done.resource("truth").group_by("job_id").agg(energies)
    jobs = (
        done.energy("jobs")
        .join(truth, on="job_id")
        .filter(pl.col("total_kwh").is_not_null(), pl.col("duration_s") > 0, pl.col("true_kwh") > 0)
    )
    of_fine = pl.col("clusters") == [FINE]
    whole = (pl.col("duration_s") > 600) & (pl.col("coverage_frac") > 1 - 1e-9)
    long = jobs.filter(of_fine & whole)
    assert len(long) > 30
    assert (long["measured_kwh"] / long["metered_kwh"] - 1).abs().max() < 0.005
    inside = jobs.select(
        pl.col("true_kwh").is_between("total_low_kwh", "total_high_kwh").mean()
    ).item()
    assert len(jobs) > 80
    assert inside >= 0.93
    check = done.energy("simulation_check").filter(pl.col("sensors") == "all")
    assert check["n_jobs"].item() == len(jobs)
    assert check["inside_frac"].item() == pytest.approx(inside)
    assert f"{inside:.1%}".replace("%", " %") in done.ran.output


def test_results_contain_no_login(done: Study) -> None:
    people = set(done.resource("jobs")["user"].drop_nulls())
    assert len(people) > 5
    for part in ("results", "logs", "benchmarks"):
        assert logins.found(done.folder / part, people) == []


# Other gates, methods and sources


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gate", "method", "n_jobs_run"),
    [
        ("binary", "left_hold", 7),
        ("active", "sum_of_samples", 7),
        ("two_part", "inner_trapezoid", 8),
    ],
)
def test_other_gates_and_methods_conserve_energy(
    project: Project, done: Study, gate: str, method: str, n_jobs_run: int
) -> None:
    """The runs study one cluster with the downloads of all."""
    folder = project.folder.parent / gate
    shutil.copytree(done.folder, folder)
    config = small_study(project, integration={"gate": gate, "method": method})
    config["study"]["clusters"] = [FINE]
    configure(folder, **config)
    study = Study(folder, project.run(folder, "--cores", "2", "results/energy/jobs.parquet"))
    jobs_run = job_counts(study.ran.output)
    assert not [rule for rule in jobs_run if rule.startswith("download")]
    assert sum(jobs_run.values()) == n_jobs_run
    assert "true energy" not in study.ran.output
    classes, of_jobs = study.energy("nodes"), study.energy("job_nodes")
    days = classes.group_by("node", "day").agg(pl.col("duration_s").sum())["duration_s"]
    assert days.to_list() == pytest.approx([86_400] * 6, abs=1e-6)
    assert set(classes["cluster"]) == {FINE}
    own = classes.filter(pl.col("class") == "job")
    for node in own["node"].unique():
        row = own.filter(pl.col("node") == node).sum()
        counted = row["measured_kwh"] + row["overcount_kwh"] - row["left_out_kwh"]
        by_job = of_jobs.filter(pl.col("node") == node)["measured_kwh"].sum()
        assert by_job == pytest.approx(counted.item(), rel=1e-9)
    assert (own["overcount_kwh"].sum() > 0.1) is (gate == "binary")
    assert (own["left_out_kwh"].sum() > 0.001) is (method == "inner_trapezoid")
    stranded = classes.filter(pl.col("class") == "stranded")["measured_kwh"].sum()
    assert (stranded > 0.1) is (gate == "two_part")  # idle power of parts that no job held
    # energies of nodes do not depend on the gate, and little on the method
    before = done.energy("nodes").filter(pl.col("cluster") == FINE)["measured_kwh"].sum()
    near = 1e-9 if method == "inner_trapezoid" else 2e-3
    assert classes["measured_kwh"].sum() == pytest.approx(before, rel=near)
    (row,) = study.energy("rejected").filter(pl.col("stage") == "jobs").rows(named=True)
    assert row["reason"] == "held no node of the studied clusters"


@pytest.mark.slow
def test_saved_exports_give_same_energies(project: Project, done: Study) -> None:
    folder = project.folder.parent / "exports"
    simulated = small_study(project)
    write_exports(simulated, folder / "saved")
    source = {"kind": "exports", "directory": "saved"}
    configure(folder, **{**simulated, "source": source, "privacy": {"key": "public"}})
    study = Study(folder, project.run(folder, "--cores", "2", "results/energy/jobs.parquet"))
    assert_frame_equal(
        study.resource("nodes").drop("power_metrics"),
        done.resource("nodes").drop("power_metrics"),
    )
    for name in ("quality", "nodes", "jobs", "job_nodes"):
        assert_frame_equal(study.energy(name), done.energy(name), rel_tol=1e-9)
    is_of_sensor = pl.col("reason").is_in(list(REASON_OF_SPELL_KIND.values()))
    rows = study.energy("rejected").filter(~is_of_sensor)  # spells are those of the other study
    rejected = rows.group_by("reason").agg(pl.col("n_rows").sum()).rows()
    assert dict(rejected) == {
        "outside the study's days": count_readings_outside(folder / "saved"),
        f"no reading of {METRIC} in the source": 0,  # of the cluster without sensors
    }


def count_readings_outside(saved: Path) -> int:
    """Count of readings saved before or after the study, with repeated ones."""
    with gzip.open(saved / "power/graffiti.jsonl.gz", "rt") as lines:
        # Paris' offset: the study's days begin and end at 02:00
        times = [line.split('"')[3][:19] for line in lines]
    n = sum(not "2025-03-31T02:00" <= time < "2025-04-02T02:00" for time in times)
    csv = pl.read_csv(saved / "power/gruss.csv")["timestamp"].str.head(10)
    return n + int((~csv.is_in(["2025-03-31", "2025-04-01"])).sum())
