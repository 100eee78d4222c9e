"""Tests of the scripts of the phases, run as their rules run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.core.vocabulary import GATES
from footprint.phases import features
from footprint.phases.sensitivities import CHOICES
from footprint.schemas.labels import JobLabels
from footprint.schemas.phases import (
    N_POWER_BINS,
    PhaseEnergies,
    PhaseOfJob,
    PhaseRatio,
    PhaseSensitivities,
    PhaseStages,
    PowerHistograms,
    RunOfJob,
    Runs,
)
from footprint.schemas.totals import RatioUncertainty
from footprint.schemas.validation import KindReliability, PhaseAccuracy, PhaseEvaluation
from tests.scripts.conftest import IDLE_POWER
from tests.support.rule_chain import RuleChain
from tests.support.study_frames import PROVENANCE

pytestmark = pytest.mark.filterwarnings("error")

PAPER = "enhancement-2025"


@pytest.fixture(scope="module")
def chain(features_chain: RuleChain, tmp_path_factory: pytest.TempPathFactory) -> RuleChain:
    """Chain from the nodes of a simulated site to R of a paper."""
    made = features_chain.continue_in(tmp_path_factory.mktemp("phases"), idle_power=IDLE_POWER)
    made.run(
        "match_labels",
        input=made.paths("jobs", "run_of_job") | {"labels": [write_labels(made)], "ledger": []},
        output=made.paths("papers", "group_labels", "rejected")
        | {"labels": made.path("single_labels")},
    )
    made.classify_runs()
    run_estimators(made)
    made.compare_phases()
    made.break_down_stages()
    made.run(
        "compare_phases",
        "compare_phases-whole_jobs",
        input=made.paths("runs", "features", "labels", "levels", "jobs", "allocations")
        | made.energy_paths()
        | {"virtual_meter": [], "by_gate": []},
        output={
            "ratio": made.path("ratio-whole_jobs"),
            "sensitivities": made.path("sensitivities-whole_jobs"),
            "energies": made.path("energies-whole_jobs"),
            "uncertainty": made.path("ratio_uncertainty-whole_jobs"),
        },
        params=made.ratio_params,
    )
    made.run(
        "evaluate_phases",
        input=made.paths("features", "run_of_job")
        | {"job_energy": made.path("energy-jobs"), "truth": made.path("kinds")},
        output=made.paths("evaluation", "accuracy"),
        params={"thresholds": {}},
    )
    for name, truth in (("", made.path("kinds")), ("-labels", [])):
        made.run(
            "measure_reliability",
            f"measure_reliability{name}",
            input=made.paths("features", "run_of_job")
            | {"job_energy": made.path("energy-jobs"), "labels": made.path("single_labels")}
            | {"truth": truth},
            output={"reliability": made.path(f"reliability{name}")},
        )
    return made


def largest_project_jobs(made: RuleChain) -> pl.DataFrame:
    """Measured jobs of the project with the most energy, the largest first."""
    jobs = made.read("energy-jobs").filter(pl.col("measured_kwh") > 0)
    by_project = jobs.group_by("project").agg(pl.col("measured_kwh").sum())
    largest = by_project.sort("measured_kwh", "project")["project"][-1]
    return jobs.filter(pl.col("project") == largest).sort("measured_kwh", descending=True)


def write_labels(made: RuleChain) -> str:
    """Write labels: all jobs of the project are of the paper, the largest is its training."""
    own = largest_project_jobs(made)["job_id"].to_list()
    path = made.folder / "labels.csv"
    rows = [
        f"{' '.join(map(str, own))},{PAPER},,,",
        f"{own[0]},{PAPER},training_run,reported,final",
        "999999,another,,,",
        f"{own[1]},,,,ablate",
    ]
    path.write_text("\n".join(["jobs,paper,kind,role,stage", *rows, ""]))
    return str(path)


def run_estimators(made: RuleChain) -> None:
    made.run(
        "estimate_energy",
        input=made.energy_paths()
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
        ("run_of_job", RunOfJob),
        ("labels", JobLabels),
        ("single_labels", JobLabels),
        ("stages", PhaseStages),
        ("power_histograms-grele", PowerHistograms),
        ("power_histograms-gres", PowerHistograms),
        ("runs", Runs),
        ("phase_of_job", PhaseOfJob),
        ("ratio", PhaseRatio),
        ("sensitivities", PhaseSensitivities),
        ("evaluation", PhaseEvaluation),
        ("accuracy", PhaseAccuracy),
        ("energies", PhaseEnergies),
        ("ratio_uncertainty", RatioUncertainty),
        ("reliability", KindReliability),
        ("reliability-labels", KindReliability),
    ],
)
def test_scripts_of_phases_write_valid_tables(chain: RuleChain, name: str, schema: Any) -> None:
    found = chain.read(name)
    assert schema.is_valid(found)
    assert found.height > 0 or name == "power_histograms-gres"  # without a sensor


def test_measure_power_histograms_covers_nodes_and_gpus(chain: RuleChain) -> None:
    found = chain.read("power_histograms-grele")
    assert found["node_histogram_s"].list.len().unique().to_list() == [N_POWER_BINS]
    assert found["gpu_histogram_s"].null_count() == 0
    measured = chain.read("energy-job_nodes").filter(pl.col("covered_s") > 0)
    both = found.join(measured, on=["job_id", "node"])
    seconds = both["node_histogram_s"].list.sum().to_list()
    assert len(both) == len(found) > 20
    assert seconds == pytest.approx(both["covered_s"].to_list(), rel=1e-6)


def test_measure_power_histograms_without_gpu_readings_has_no_gpu_histograms(
    chain: RuleChain,
) -> None:
    chain.measure_power_histograms("grele", "no_gpus", with_gpus=False)
    without_gpus, full = chain.read("no_gpus"), chain.read("power_histograms-grele")
    assert without_gpus["gpu_histogram_s"].null_count() == len(without_gpus) == len(full)
    assert_frame_equal(without_gpus.drop("gpu_histogram_s"), full.drop("gpu_histogram_s"))


def test_extract_features_writes_every_feature_of_every_run(chain: RuleChain) -> None:
    found = chain.read("features")
    assert found.columns == list(features.FEATURE_DESCRIPTIONS)
    assert found["run_id"].to_list() == sorted(set(chain.read("run_of_job")["run_id"]))


def test_classify_runs_conserves_energy_of_jobs(chain: RuleChain) -> None:
    total = chain.read("energy-jobs")["measured_kwh"].sum()
    assert chain.read("runs")["measured_kwh"].sum() == pytest.approx(total, rel=1e-12)
    assert chain.read("phase_of_job")["measured_kwh"].sum() == pytest.approx(total, rel=1e-12)
    jobs = chain.read("runs")["job_ids"].explode()
    assert sorted(jobs) == chain.read("jobs")["job_id"].to_list()


def test_classify_runs_with_label_overrides_rules(chain: RuleChain) -> None:
    reported = largest_project_jobs(chain)["job_id"][0]
    row = chain.read("runs").filter(pl.col("job_ids").list.contains(reported)).row(0, named=True)
    expected = {
        "kind": "training_run",
        "role": "reported",
        "role_basis": "label",
        "phase": "training",
    }
    assert {name: row[name] for name in expected} == expected
    assert (row["rule"], row["confidence"]) == ("label", 1.0)
    others = chain.read("runs").filter(pl.col("rule") != "label")
    assert set(others["rule"]) <= {"weights", "recalibrated", "interactive", "never_ran"}
    assert others.filter(rule="weights")["features"].str.contains(r"\(\+\d").all()
    assert "labels.csv:4: this label matches no job of the study" in chain.logs["match_labels"]


def test_compare_phases_writes_ratio_of_paper(chain: RuleChain) -> None:
    own = largest_project_jobs(chain)
    row = chain.read("ratio").filter(scope="paper", name=PAPER).row(0, named=True)
    assert row["measured_kwh"] == pytest.approx(own["measured_kwh"].sum(), rel=1e-9)
    of_jobs = chain.read("phase_of_job").join(own.select("job_id"), on="job_id", how="semi")
    assert row["total_kwh"] == pytest.approx(of_jobs["total_kwh"].sum(), rel=1e-9)
    best = of_jobs.filter(job_id=own["job_id"][0])["total_kwh"].item()
    assert row["training_kwh"] == pytest.approx(best, rel=1e-9)
    assert row["inference_kwh"] is None
    sum_of_phases = row["training_kwh"] + row["development_kwh"] + row["unknown_kwh"]
    assert sum_of_phases == pytest.approx(row["total_kwh"], rel=1e-9)
    assert row["ratio"] == pytest.approx(row["development_kwh"] / best, rel=1e-12)
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"]
    assert row["training_low_kwh"] < best < row["training_high_kwh"]
    assert row["ratio_all_unknown"] >= row["ratio"]
    assert (row["n_labelled"], row["role_basis"]) == (1, "label")


def test_compare_phases_writes_sensitivities_beside_the_ratio(chain: RuleChain) -> None:
    ratio = chain.read("ratio").filter(scope="paper", name=PAPER)["ratio"].item()
    own = chain.read("sensitivities").filter(scope="paper", name=PAPER)
    choices = own["choice"].unique().cast(pl.String).sort().to_list()
    assert choices == sorted(CHOICES)
    gates = own.filter(pl.col("choice") == "gate_policy")
    assert sorted(gates["value"]) == sorted(GATES)
    assert gates["ratio"].null_count() == 0
    assert own["choice"][0] == "membership"
    headlines = own.filter("is_headline")
    assert headlines["ratio"].to_list() == pytest.approx([ratio] * len(choices), rel=1e-12)


def test_compare_phases_writes_energies_of_parts_with_the_intervals_of_r(chain: RuleChain) -> None:
    row = chain.read("ratio").filter(scope="paper", name=PAPER).row(0, named=True)
    parts = chain.read("energies").filter(scope="paper", name=PAPER, division="phase")
    for part in parts.iter_rows(named=True):
        for column, end in (("total", ""), ("total_low", "_low"), ("total_high", "_high")):
            assert part[f"{column}_kwh"] == row[f"{part['part']}{end}_kwh"]
    total = chain.read("phase_of_job").filter(pl.col("kind").is_not_null())["total_kwh"].sum()
    for division in ("phase", "kind"):
        site = chain.read("energies").filter(scope="site", division=division)
        assert site["total_kwh"].sum() == pytest.approx(total, rel=1e-9)
        assert site["name"].unique().to_list() == ["nancy"]


def test_compare_phases_writes_a_budget_of_each_ratio(chain: RuleChain) -> None:
    given = chain.read("ratio").drop_nulls("ratio").select("scope", "name").rows()
    shares = (
        chain.read("ratio_uncertainty")
        .group_by("scope", "name")
        .agg(pl.col("share_frac").sum(), n=pl.len())
    )
    assert sorted(shares.select("scope", "name").rows()) == sorted(given)
    assert shares["share_frac"].to_list() == pytest.approx([1.0] * len(given))
    assert set(shares["n"]) == {8}


def test_measure_reliability_compares_with_truth_and_with_labels_of_single_runs(
    chain: RuleChain,
) -> None:
    by_truth, by_labels = chain.read("reliability"), chain.read("reliability-labels")
    known_kwh = by_truth.filter(subject="debug")["total_kwh"].sum()
    jobs = chain.read("energy-jobs").join(chain.read("kinds").drop_nulls("kind"), on="job_id")
    of_weights = chain.read("features").filter(~pl.col("interactive").fill_null(False))
    jobs = jobs.join(chain.read("run_of_job"), on="job_id").join(of_weights, on="run_id")
    assert known_kwh == pytest.approx(jobs["total_kwh"].sum(), rel=1e-9)
    # the one label that gives a kind
    assert by_labels.filter(subject="training_run")["n_jobs"].to_list() == [1]
    assert (by_truth["basis"].unique().item(), by_labels["basis"].unique().item()) == (
        "truth",
        "labels",
    )


def test_break_down_stages_adds_up_to_the_development(chain: RuleChain) -> None:
    development = chain.read("ratio").filter(scope="paper", name=PAPER)["development_kwh"].item()
    rows = chain.read("stages").filter(scope="paper", name=PAPER)
    assert rows["stage"].to_list() == ["ablate", None]
    assert rows["total_kwh"].sum() == pytest.approx(development, rel=1e-9)
    assert (rows["total_low_kwh"] < rows["total_kwh"]).all()


def test_evaluate_phases_writes_accuracy_beside_three_others(chain: RuleChain) -> None:
    rows = chain.read("accuracy")
    assert len(rows) == 8
    assert rows.filter(pl.col("right_frac") < pl.col("right_low_frac")).is_empty()
    assert rows.filter(pl.col("right_frac") > pl.col("right_high_frac")).is_empty()
    by_energy = dict(rows.filter(weight="energy").select("method", "right_frac").iter_rows())
    assert by_energy["weights"] > by_energy["baseline"]


def test_ratio_of_jobs_that_are_mostly_outside_the_window_is_null(chain: RuleChain) -> None:
    row = chain.read("ratio-whole_jobs").filter(scope="paper", name=PAPER).row(0, named=True)
    inside = chain.read("ratio").filter(scope="paper", name=PAPER).row(0, named=True)
    assert row["development_kwh"] == inside["development_kwh"]
    assert row["training_known_frac"] < inside["training_known_frac"]
    assert row["ratio"] is None
    assert row["ratio_reason"].endswith(" known")


def test_the_evaluation_counts_every_job_that_held_a_node(chain: RuleChain) -> None:
    held = pl.read_parquet(chain.path("energy-jobs")).filter(pl.col("n_nodes") > 0)
    started = chain.read("kinds").drop_nulls("kind").join(held, on="job_id", how="semi")
    assert len(started)
    found = chain.read("evaluation").group_by("method").agg(pl.col("n_jobs").sum())
    assert set(found["method"]) == {"weights", "rules", "baseline", "everything_is_training"}
    assert found["n_jobs"].to_list() == [len(started)] * 4
    assert "all kinds" in chain.logs["evaluate_phases"]


@pytest.mark.parametrize(
    ("name", "inputs", "params"),
    [
        ("plot_phases", ["ratio", "sensitivities"], {}),
        ("plot_energy_per_run", ["runs"], {"weeks": 2 / 7}),
        ("tabulate_phases", ["ratio"], {}),
        ("tabulate_evaluation", ["evaluation", "accuracy"], {}),
        ("tabulate_stages", ["stages"], {}),
        ("plot_phase_energies", ["energies"], {}),
        ("tabulate_phase_energies", ["energies"], {}),
        ("plot_reliability", ["reliability"], {}),
        ("tabulate_reliability", ["reliability"], {}),
    ],
)
def test_scripts_of_results_write_figures_and_tables(
    chain: RuleChain, tmp_path: Path, name: str, inputs: list[str], params: dict[str, str]
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


def test_scripts_without_warnings_leave_logs_empty(chain: RuleChain) -> None:
    quiet = ("merge_runs", "extract_features", "classify_runs", "compare_phases")
    assert {chain.logs[name] for name in quiet} == {""}
