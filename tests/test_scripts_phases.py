"""Every script of the phases, run as its rule runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from chaining import CLUSTERS, END, START, Chain
from paper_frames import PROVENANCE
from polars.testing import assert_frame_equal

from footprint import tables
from footprint.phases import evidence, kinds
from footprint.tables.phases import N_LEVELS

pytestmark = pytest.mark.filterwarnings("error")

PAPER = "enhancement-2025"
THRESHOLDS: dict[str, float] = {}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Two days of a simulated site over the end of a month, from its nodes to R of a paper."""
    # in two days no node is idle for long enough to tell what it draws then
    made = Chain(tmp_path_factory.mktemp("phases"), idle_power={"grele": 90.0})
    made.to_energies(node_power=True)
    made.describe_gpus()
    made.run(
        "merge_runs",
        input=made.paths("jobs", "allocations"),
        output=made.paths("run_of_job"),
        params={"gap_h": 48, "arrays": "lines", "node_pattern": made.planned.node_pattern},
    )
    made.run(
        "match_labels",
        input=made.paths("jobs", "run_of_job") | {"labels": [write_labels(made)], "ledger": []},
        output=made.paths("papers", "labelled"),
    )
    for cluster in CLUSTERS:
        measure_levels(made, cluster, f"power_levels-{cluster}", gpus=cluster == "grele")
    classify(made)
    estimate(made)
    made.run(
        "compare_phases",
        input=made.paths("runs", "evidence", "labelled", "levels", "allocations")
        | made.jobs_inside()
        | {"job_nodes": made.path("energy-job_nodes")},
        output=made.paths("ratio"),
        params={"thresholds": THRESHOLDS, "papers": "all"} | made.window,
    )
    made.run(
        "compare_phases",
        "compare_phases-whole_jobs",
        input=made.paths("runs", "evidence", "labelled", "levels", "jobs", "allocations")
        | {"job_nodes": made.path("energy-job_nodes")},
        output={"ratio": made.path("ratio-whole_jobs")},
        params={"thresholds": THRESHOLDS, "papers": "all"} | made.window,
    )
    made.run(
        "evaluate_phases",
        input=made.paths("evidence", "run_of_job")
        | {"job_energy": made.path("energy-jobs"), "truth": made.path("kinds")},
        output=made.paths("evaluation"),
        params={"thresholds": THRESHOLDS},
    )
    return made


def measure_levels(made: Chain, cluster: str, name: str, *, gpus: bool) -> None:
    """What Snakemake gives where `branch` chose nothing is an empty list."""
    devices = made.by_month("devices", cluster) if gpus else []
    made.run(
        "measure_power_levels",
        name,
        input=made.paths("gates", "hardware")
        | {"node_power": made.path(f"node_power-{cluster}")}
        | {"power": made.by_month("power", cluster)}
        | {"gpu_gates": made.path("gpu_gates") if gpus else [], "devices": devices},
        output={"power_levels": made.path(name)},
        params={"integration": made.planned.integration},
        wildcards={"cluster": cluster},
    )


def project(made: Chain) -> pl.DataFrame:
    """Measured jobs of the project with the most energy, the largest first."""
    jobs = made.read("energy-jobs").filter(pl.col("energy_kwh") > 0)
    by_project = jobs.group_by("project").agg(pl.col("energy_kwh").sum())
    largest = by_project.sort("energy_kwh", "project")["project"][-1]
    return jobs.filter(pl.col("project") == largest).sort("energy_kwh", descending=True)


def write_labels(made: Chain) -> str:
    """All jobs of the project are the paper's; its largest is the reported training."""
    own = project(made)["job_id"].to_list()
    path = made.folder / "labels.csv"
    rows = [
        f"{' '.join(map(str, own))},{PAPER},,",
        f"{own[0]},{PAPER},training_run,reported",
        "999999,another,,",
    ]
    path.write_text("\n".join(["jobs,paper,kind,role", *rows, ""]))
    return str(path)


def classify(made: Chain, thresholds: dict[str, float] = THRESHOLDS) -> None:
    energies = {"job_energy": made.path("energy-jobs")}
    made.run(
        "gather_evidence",
        input=made.paths("jobs", "run_of_job")
        | energies
        | {"job_nodes": made.path("energy-job_nodes")}
        | {"power_levels": [made.path(f"power_levels-{cluster}") for cluster in CLUSTERS]},
        output=made.paths("evidence"),
        params={"tokens": {}, "thresholds": thresholds},
    )
    made.run(
        "classify_runs",
        input=made.paths("evidence", "run_of_job", "labelled") | energies,
        output={"runs": made.path("runs"), "jobs": made.path("phase_of_job")},
        params={"thresholds": thresholds},
    )


def estimate(made: Chain) -> None:
    made.run(
        "estimate_energy",
        input=made.measured()
        | made.paths("hardware", "allocations", "nodes")
        | {
            "records": made.path("jobs"),
            "gpu_power": [],
            "cpu_series": [],
            "recorded": [],
            "tracked": [],
        },
        output=made.paths("estimates"),
        params={"estimators": "all"},
    )
    made.build_levels(minimum_group=1)


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("run_of_job", tables.RunOfJob),
        ("labelled", tables.Labelled),
        ("power_levels-grele", tables.PowerLevels),
        ("power_levels-gres", tables.PowerLevels),
        ("runs", tables.Runs),
        ("phase_of_job", tables.PhaseOfJob),
        ("ratio", tables.PhaseRatio),
        ("evaluation", tables.PhaseEvaluation),
    ],
)
def test_scripts_write_the_tables_declared(chain: Chain, name: str, schema: Any) -> None:
    found = chain.read(name)
    assert schema.is_valid(found)
    assert found.height > 0 or name == "power_levels-gres"  # without a sensor


def test_levels_are_those_of_nodes_and_gpus(chain: Chain) -> None:
    found = chain.read("power_levels-grele")
    assert found["node_level_s"].list.len().unique().to_list() == [N_LEVELS]
    assert found["gpu_level_s"].null_count() == 0
    measured = chain.read("energy-job_nodes").filter(pl.col("covered_s") > 0)
    both = found.join(measured, on=["job_id", "node"])
    seconds = both["node_level_s"].list.sum().to_list()
    assert len(both) == len(found) > 20
    assert seconds == pytest.approx(both["covered_s"].to_list(), rel=1e-6)


def test_without_readings_of_gpus_there_are_none(chain: Chain) -> None:
    measure_levels(chain, "grele", "bare", gpus=False)
    bare, full = chain.read("bare"), chain.read("power_levels-grele")
    assert bare["gpu_level_s"].null_count() == len(bare) == len(full)
    assert_frame_equal(bare.drop("gpu_level_s"), full.drop("gpu_level_s"))


def test_evidence_has_every_column_of_every_run(chain: Chain) -> None:
    found = chain.read("evidence")
    assert found.columns == list(evidence.EVIDENCE)
    assert found["run_id"].to_list() == sorted(set(chain.read("run_of_job")["run_id"]))


def test_energies_of_runs_are_those_of_their_jobs(chain: Chain) -> None:
    total = chain.read("energy-jobs")["energy_kwh"].sum()
    assert chain.read("runs")["energy_kwh"].sum() == pytest.approx(total, rel=1e-12)
    assert chain.read("phase_of_job")["energy_kwh"].sum() == pytest.approx(total, rel=1e-12)
    jobs = chain.read("runs")["job_ids"].explode()
    assert sorted(jobs) == chain.read("jobs")["job_id"].to_list()


def test_labels_override_rules(chain: Chain) -> None:
    reported = project(chain)["job_id"][0]
    row = chain.read("runs").filter(pl.col("job_ids").list.contains(reported)).row(0, named=True)
    said = {"kind": "training_run", "role": "reported", "role_basis": "label", "phase": "training"}
    assert {name: row[name] for name in said} == said
    assert (row["rule"], row["confidence"]) == ("label", 1.0)
    others = chain.read("runs").filter(pl.col("rule") != "label")
    assert set(others["rule"]) <= {rule.name for rule in kinds.RULES}
    assert all(json.loads(text) is not None for text in others["evidence"])
    assert "labels.csv:4: this label matches no job of the study" in chain.logs["match_labels"]


def test_the_ratio_is_that_of_the_paper(chain: Chain) -> None:
    own = project(chain)
    row = chain.read("ratio").filter(scope="paper", name=PAPER).row(0, named=True)
    best = own["energy_kwh"][0]
    assert row["energy_kwh"] == pytest.approx(own["energy_kwh"].sum(), rel=1e-9)
    assert row["training_kwh"] == pytest.approx(best, rel=1e-9)
    assert row["inference_kwh"] is None
    known = row["training_kwh"] + row["development_kwh"] + row["unknown_kwh"]
    assert known == pytest.approx(row["energy_kwh"], rel=1e-9)
    assert row["ratio"] == pytest.approx(row["development_kwh"] / best, rel=1e-12)
    low, high = row["ratio_low"], row["ratio_high"]
    assert low <= row["ratio"] * (1 + 1e-12)  # sums in another order
    assert row["ratio"] <= high * (1 + 1e-12)
    assert row["ratio_all_unknown"] >= row["ratio"]
    assert (row["n_labelled"], row["role_basis"]) == (1, "label")


def test_ratio_of_jobs_that_are_mostly_outside_the_window_is_null(chain: Chain) -> None:
    row = chain.read("ratio-whole_jobs").filter(scope="paper", name=PAPER).row(0, named=True)
    inside = chain.read("ratio").filter(scope="paper", name=PAPER).row(0, named=True)
    assert row["development_kwh"] == inside["development_kwh"]
    assert row["training_coverage_frac"] < inside["training_coverage_frac"]
    assert row["ratio"] is None
    assert "measured" in row["ratio_reason"]


def test_the_evaluation_counts_every_job_that_held_a_node(chain: Chain) -> None:
    held = pl.read_parquet(chain.path("energy-jobs")).filter(pl.col("n_nodes") > 0)
    started = chain.read("kinds").drop_nulls("kind").join(held, on="job_id", how="semi")
    assert len(started)
    found = chain.read("evaluation").group_by("method").agg(pl.col("n_jobs").sum())
    assert set(found["method"]) == {"rules", "baseline"}
    assert found["n_jobs"].to_list() == [len(started)] * 2
    assert "all kinds" in chain.logs["evaluate_phases"]


@pytest.mark.parametrize(
    ("name", "inputs", "params"),
    [
        ("plot_phases", ["ratio"], {}),
        ("plot_energy_per_run", ["runs"], {"start": START, "end": END}),
        ("tabulate_phases", ["ratio"], {}),
        ("tabulate_evaluation", ["evaluation"], {}),
    ],
)
def test_figures_and_tables_are_written(
    chain: Chain, tmp_path: Path, name: str, inputs: list[str], params: dict[str, str]
) -> None:
    forms = ("svg", "pdf", "png") if name.startswith("plot") else ("csv", "html", "tex")
    paths = {form: tmp_path / f"{name}.{form}" for form in forms}
    chain.run(
        name,
        input=chain.paths(*inputs),
        output=paths,
        params={"provenance": PROVENANCE} | params,
    )
    assert all(path.stat().st_size > 100 for path in paths.values())
    assert chain.logs[name] == ""


def test_quiet_scripts_say_nothing(chain: Chain) -> None:
    quiet = ("merge_runs", "gather_evidence", "classify_runs", "compare_phases")
    assert {chain.logs[name] for name in quiet} == {""}
