"""Scripts of levels, classes, quality and the simulation check, run as their rules run them."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from snakemake.iocontainers import Namedlist

from footprint.core import pseudonyms
from footprint.report.tables import formats
from footprint.schemas.gaps import VirtualMeter
from footprint.schemas.levels import Levels
from footprint.schemas.phases import RunOfJob
from footprint.schemas.totals import Uncertainty
from footprint.schemas.writing import write_table
from footprint.validation import against_truth
from tests.support import study_frames
from tests.support.rule_scripts import figure_paths, table_paths
from tests.support.study_frames import PROVENANCE, START

Run = Callable[..., str]
METERS = {"low": 0.95, "high": 1.15, "correlation": 0.5, "calibration": {}}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of the tables of an invented study, by name."""
    folder = tmp_path_factory.mktemp("results")
    study = study_frames.invented_study()
    people = sorted(set(study.job_energy["user"]))
    logins = {person: f"login{i}" for i, person in enumerate(people)}
    names = pseudonyms.pseudonyms_of(logins.values(), key=pseudonyms.PUBLIC_KEY)
    job_energy = study.job_energy.with_columns(
        pl.col("user").replace_strict({person: names[logins[person]] for person in people})
    )
    records = study.job_energy.select(
        "job_id",
        pl.col("user").replace_strict(logins),
        "started_at",
        pl.col("started_at").alias("submitted_at"),
        pl.col("started_at").alias("stopped_at"),
        *(pl.lit(None, pl.String).alias(name) for name in ("name", "command", "project")),
        pl.lit(None, pl.Int64).alias("array_id"),
    )
    power, pieces = study_frames.power_week()
    early = power.filter(pl.col("timestamp") < START + timedelta(days=4))
    late = power.filter(pl.col("timestamp") >= START + timedelta(days=3, hours=23))
    rejected = pl.DataFrame(
        {"stage": ["jobs"], "source": ["a.json"], "reason": ["repeated"], "n_rows": [3]}
    ).with_columns(example=pl.lit(None, pl.String))
    frames = {
        "jobs": records,
        "job_energy": job_energy,
        "job_nodes": study.job_nodes,
        "node_energy": study.node_energy,
        "quality": study.quality,
        "check": study.check,
        "estimates": study.estimates,
        "rejected": rejected,
        "virtual_meter": VirtualMeter.create_empty(),
        "nodes": pl.DataFrame(
            {
                "node": ["gres-1", "graffiti-1", "gros-1", "grappe-1"],
                # the last has the former name of the metric
                "power_metrics": [[], ["bmc_node_power_watt"], None, ["bmc_power_node_watt"]],
            }
        ),
        "node_allocations": pieces,
        "power_early": early,
        "power_late": late,
        "truth": study.job_nodes.select(
            "job_id",
            "node",
            true_kwh=pl.col("measured_kwh").fill_null(1.0) * 1.1,
            metered_kwh=pl.col("measured_kwh") * 1.001,
        ),
    }
    paths = {name: str(folder / f"{name}.parquet") for name in frames}
    for name, frame in frames.items():
        frame.write_parquet(paths[name])
    return paths


def run_build_levels(run: Run, results: dict[str, str], folder: Path, **levels: object) -> str:
    labels = folder / "labels.csv"
    labels.write_text("jobs,paper\n1 2 3 4 5 6 7 8,enhancement-2025\n999999,enhancement-2025\n")
    alone = pl.scan_parquet(results["jobs"]).select("job_id", run_id="job_id")
    single = alone.with_columns(merged_by=pl.lit("single"))
    write_table(RunOfJob, single, folder / "run_of_job.parquet")
    log = run(
        "match_labels",
        input={
            "jobs": results["jobs"],
            "run_of_job": str(folder / "run_of_job.parquet"),
            "labels": [str(labels)],
            "ledger": [],
        },
        output={
            name: folder / f"{name}.parquet"
            for name in ("papers", "labels", "group_labels", "rejected")
        },
        params={},
    )
    chosen = {"projects": "all", "users": ["login1"], "papers": "all", "redistribution": "energy"}
    return log + run(
        "build_levels",
        input={
            name: results[name]
            for name in ("job_energy", "job_nodes", "node_energy", "estimates", "virtual_meter")
        }
        | {"papers": str(folder / "papers.parquet")},
        output={"levels": folder / "levels.parquet"},
        params={
            "site": "nancy",
            "levels": chosen | levels,
            "privacy": {"key": None, "minimum_group": 3},
            "simulated": True,
            "meters": METERS,
        },
    )


def assert_written(paths: Mapping[str, Path]) -> None:
    for form, path in paths.items():
        assert path.stat().st_size > 100, form


def test_build_levels_writes_every_level_under_pseudonyms(
    run: Run, results: dict[str, str], tmp_path: Path
) -> None:
    log = run_build_levels(run, results, tmp_path)
    rows = pl.read_parquet(tmp_path / "levels.parquet")
    assert Levels.is_valid(rows)
    assert set(rows["level"]) == {"site", "overhead", "queue", "project", "user", "paper"}
    person = pseudonyms.pseudonyms_of(["login1"], key=pseudonyms.PUBLIC_KEY)["login1"]
    of_people = rows.filter(pl.col("level") == "user", pl.col("method") == "bmc")
    assert of_people["name"].to_list() == ["(others)", person]
    assert set(rows["method"]) == {"bmc", *study_frames.ESTIMATOR_POWERS}
    assert "labels.csv:3: this label matches no job of the study" in log
    assert not re.findall(r"login\d", log)


def test_budget_uncertainty_lists_sources_of_the_site_and_papers(
    run: Run, results: dict[str, str], tmp_path: Path
) -> None:
    run_build_levels(run, results, tmp_path)
    run(
        "budget_uncertainty",
        input={name: results[name] for name in ("job_energy", "job_nodes", "virtual_meter")}
        | {name: str(tmp_path / f"{name}.parquet") for name in ("levels", "papers")},
        output={"uncertainty": tmp_path / "uncertainty.parquet"},
        params={"site": "nancy", "meters": METERS},
    )
    rows = pl.read_parquet(tmp_path / "uncertainty.parquet")
    assert Uncertainty.is_valid(rows)
    assert set(rows.select("level", "name").rows()) == {
        ("site", "nancy"),
        ("paper", "enhancement-2025"),
    }


def test_scripts_of_levels_write_files_without_logins(
    run: Run, results: dict[str, str], tmp_path: Path
) -> None:
    run_build_levels(run, results, tmp_path)
    params = {"provenance": PROVENANCE, "redistribution": "energy"}
    built = {"levels": str(tmp_path / "levels.parquet")}
    run("plot_levels", input=built, output=figure_paths(tmp_path), params=params)
    run("tabulate_levels", input=built, output=table_paths(tmp_path), params=params)
    assert_written(figure_paths(tmp_path) | table_paths(tmp_path))
    published = (tmp_path / "figure.svg").read_text() + (tmp_path / "table.html").read_text()
    assert not re.findall(r"login\d", published)


def test_scripts_of_energy_by_class_write_files(
    run: Run, results: dict[str, str], tmp_path: Path
) -> None:
    wanted = {"node_energy": results["node_energy"]}
    params = {"provenance": PROVENANCE, "site": "nancy"}
    log = run("plot_energy_by_class", input=wanted, output=figure_paths(tmp_path), params=params)
    assert log == ""
    run("tabulate_energy_by_class", input=wanted, output=table_paths(tmp_path), params=params)
    assert_written(figure_paths(tmp_path) | table_paths(tmp_path))


@pytest.mark.parametrize("measured", [True, False])
def test_plot_node_week_draws_a_node_with_readings_alone(
    run: Run, results: dict[str, str], tmp_path: Path, measured: bool
) -> None:
    node_energy = pl.read_parquet(results["node_energy"])
    only = node_energy.filter(
        pl.col("node") == ("graffiti-3" if measured else "grappe-1"),
        pl.col("day") < START.date() + timedelta(days=7),
    )
    only.write_parquet(tmp_path / "nodes.parquet")
    study_frames.runs_of_week().write_parquet(tmp_path / "runs.parquet")
    log = run(
        "plot_node_week",
        input={
            "node_energy": str(tmp_path / "nodes.parquet"),
            "node_allocations": results["node_allocations"],
            "runs": str(tmp_path / "runs.parquet"),
            "power": [results["power_early"], results["power_late"]],
        },
        output=figure_paths(tmp_path),
        params={"max_gap_s": 90, "provenance": PROVENANCE},
    )
    assert ("graffiti-3" in log) is measured
    svg = (tmp_path / "figure.svg").read_text()
    assert ("8 jobs" in svg) is measured
    assert ("no node with power readings" in svg) is not measured
    assert_written(figure_paths(tmp_path))


def test_tabulate_quality_lists_uncollected_metrics_and_rejected_rows(
    run: Run, results: dict[str, str], tmp_path: Path
) -> None:
    run(
        "tabulate_quality",
        input={name: results[name] for name in ("quality", "rejected", "nodes")},
        output=table_paths(tmp_path),
        params={"provenance": PROVENANCE, "metric": "bmc_node_power_watt"},
    )
    assert_written(table_paths(tmp_path))
    assert (
        "no power is collected for gres-1: without readings"
        in (tmp_path / "table.html").read_text()
    )
    assert "jobs: repeated (3)" in " ".join((tmp_path / "table.tex").read_text().split())


def test_scripts_of_simulation_check_write_files(
    run: Run, results: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = {"graffiti": 36.0, "gros": 1.0, "grappe": 1.0}
    monkeypatch.setattr(against_truth, "sensor_steps_w", lambda *_args, **_kwargs: steps)
    params = {"provenance": PROVENANCE, "site": "nancy", "source": {"kind": "simulated"}}
    wanted = {name: results[name] for name in ("check", "job_nodes", "truth")}
    wanted["jobs"] = results["job_energy"]
    run("plot_simulation_check", input=wanted, output=figure_paths(tmp_path), params=params)
    of_check = {"check": results["check"]}
    run("tabulate_simulation_check", input=of_check, output=table_paths(tmp_path), params=params)
    assert_written(figure_paths(tmp_path) | table_paths(tmp_path))
    assert "36\u202fW, " in (tmp_path / "figure.svg").read_text()


def test_formats_write_uses_the_path_of_each_format(tmp_path: Path) -> None:
    table = formats.ReaderTable(
        name="t",
        title="T",
        note="N",
        rows=pl.DataFrame({"a": ["b"]}),
        columns=[formats.Column(name="a", header="A")],
    )
    paths = Namedlist(fromdict={f: str(tmp_path / f"t.{f}") for f in ("html", "csv", "tex")})
    formats.write_table(table, paths, provenance=PROVENANCE)
    assert (tmp_path / "t.csv").read_text() == f"A,Source\nb,{PROVENANCE}\n"
    assert (tmp_path / "t.tex").read_text().startswith(r"\begin{table}")
