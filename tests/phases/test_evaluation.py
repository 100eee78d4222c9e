"""Tests of the evaluation: arithmetic by hand, and accuracy on a small simulated site."""

from datetime import timedelta

import polars as pl
import pytest

from footprint.allocation import node_allocations
from footprint.config import settings, study
from footprint.core import calendar, pseudonyms
from footprint.core.calendar import Window
from footprint.energy import attribution, idle_power, study_energy
from footprint.energy.study_records import StudyRecords
from footprint.hardware import catalogue
from footprint.phases import baseline, chains, classifier, evaluation, features, power_histograms
from footprint.schemas.raw import Nodes, States
from footprint.schemas.writing import conform
from footprint.sources import cleaning
from footprint.sources.simulated import SimulatedSite

pytestmark = pytest.mark.filterwarnings("error")


def evaluation_table() -> pl.DataFrame:
    """Evaluation of six runs.

    Jobs 1 and 2 are one run, job 4 never started, the energy of job 5 is unknown, job 7 stopped as
    it started.
    """
    run_of_job = pl.LazyFrame({"job_id": [1, 2, 3, 4, 5, 6, 7], "run_id": [1, 1, 3, 4, 5, 6, 7]})
    truth = ["training_run", "training_run", "debug", None, "debug", "inference_run", "debug"]
    return evaluation.confusion_table(
        {
            "rules": pl.LazyFrame(
                {"run_id": [1, 3, 5, 6], "kind": ["training_run", "debug", "debug", "unknown"]}
            ),
            "baseline": pl.LazyFrame(
                {"run_id": [1, 3, 5, 6], "kind": ["training_run", "training_run", "debug", None]}
            ),
        },
        run_of_job=run_of_job,
        truth=pl.LazyFrame({"job_id": [1, 2, 3, 4, 5, 6, 7], "kind": truth}),
        job_energy=pl.LazyFrame(
            {
                "job_id": [1, 2, 3, 4, 5, 6, 7],
                "n_nodes": [1, 1, 1, 0, 1, 2, 0],
                "total_kwh": [6.0, 2.0, 0.5, 9.0, None, 1.5, 0.0],
            }
        ),
    )


def test_confusion_table_counts_jobs_and_energy_of_jobs_that_held_nodes() -> None:
    assert evaluation_table().filter(method="rules").drop("method").rows() == [
        ("debug", "debug", 2, 0.5),
        ("inference_run", "unknown", 1, 1.5),
        ("training_run", "training_run", 2, 8.0),
    ]
    # a run without a kind is unknown
    assert ("inference_run", "unknown", 1, 1.5) in evaluation_table().filter(
        method="baseline"
    ).drop("method").rows()


def test_accuracy_by_method_counts_unknown_as_wrong_and_weights_energy() -> None:
    rows = evaluation.accuracy_by_method(evaluation_table()).rows(named=True)
    by_method = {row["method"]: row for row in rows}
    assert by_method["rules"]["energy_frac"] == pytest.approx(8.5 / 10)
    assert by_method["rules"]["jobs_frac"] == pytest.approx(4 / 5)
    assert by_method["baseline"]["energy_frac"] == pytest.approx(8 / 10)
    assert by_method["baseline"]["jobs_frac"] == pytest.approx(3 / 5)


def test_recall_by_kind_without_energy_is_null() -> None:
    rules = evaluation.recall_by_kind(evaluation_table()).filter(method="rules")
    assert rules.select("truth", "energy_frac", "jobs_frac").rows() == [
        ("debug", 1.0, 1.0),
        ("inference_run", 0.0, 0.0),
        ("training_run", 1.0, 1.0),
    ]
    no_energy = evaluation_table().with_columns(total_kwh=pl.lit(0.0))
    assert evaluation.accuracy_by_method(no_energy)["energy_frac"].to_list() == [None, None]


def test_accuracy_table_draws_users_with_replacement() -> None:
    jobs = pl.LazyFrame(
        {
            "job_id": [1, 2, 3, 4],
            "user": ["a", "a", "b", "b"],
            "n_nodes": 1,
            "total_kwh": [8.0, 2.0, 5.0, None],
        }
    )
    run_of_job = pl.LazyFrame({"job_id": [1, 2, 3, 4], "run_id": [1, 2, 3, 4]})
    truth = ["training_run", "debug", "debug", "training_run"]
    ended = pl.Series(["completed"] * 4, dtype=features.ENDED_TYPE)
    of_runs = pl.LazyFrame({"run_id": [1, 2, 3, 4], "ended": ended})
    table = evaluation.accuracy_table(
        {"everything_is_training": baseline.classify_everything_as_training(of_runs)},
        run_of_job=run_of_job,
        truth=pl.LazyFrame({"job_id": [1, 2, 3, 4], "kind": truth}),
        job_energy=jobs,
    )
    # a is right for 8 of 10 kWh and 1 of 2 jobs, b for 0 of 5 kWh and 1 of 2 jobs; in a quarter of
    # the draws both are a, in a quarter both are b
    assert table.rows() == [
        ("everything_is_training", "energy", 4, 2, 8.0 / 15.0, 0.0, 0.8),
        ("everything_is_training", "jobs", 4, 2, 0.5, 0.5, 0.5),
    ]


def test_accuracy_of_one_user_has_no_interval() -> None:
    table = evaluation.accuracy_table(
        {"rules": pl.LazyFrame({"run_id": [1], "kind": ["debug"]})},
        run_of_job=pl.LazyFrame({"job_id": [1], "run_id": [1]}),
        truth=pl.LazyFrame({"job_id": [1], "kind": ["debug"]}),
        job_energy=pl.LazyFrame({"job_id": [1], "user": ["a"], "n_nodes": [1], "total_kwh": [3.0]}),
    )
    assert (
        table.select("right_frac", "right_low_frac", "right_high_frac").rows()
        == [(1.0, None, None)] * 2
    )


def test_format_summary_shows_both_methods_and_all_kinds() -> None:
    lines = evaluation.format_summary(evaluation_table()).splitlines()
    assert lines[0].split() == [
        "true",
        "kind",
        "jobs",
        "kWh",
        *["rules", "%", "jobs", "%", "baseline", "%", "jobs", "%"],
    ]
    assert lines[1].split() == ["debug", "2", "0.5", "100.0", "100.0", "0.0", "50.0"]
    assert lines[-1].split() == ["all", "kinds", "5", "10.0", "85.0", "80.0", "80.0", "60.0"]


SMALL_SITE = {
    "study": {"site": "nancy", "start": "2025-03-03", "end": "2025-03-17"},
    "source": {
        **{"kind": "simulated", "seed": 41, "jobs": 350},
        "mix": {"long_inference": 0.12, "idle_hold": 0.08, "interactive": 0.2},
        "nodes": {"graffiti": 3, "grappe": 2, "gruss": 1, "grele": 2},
    },
}


@pytest.fixture(scope="module")
def site_tables() -> dict[str, pl.LazyFrame]:
    """Tables of a site of eight nodes and two weeks, without readings of GPUs."""
    planned = study.plan_study(settings.prepare_configuration(SMALL_SITE))
    site = SimulatedSite.from_config(planned.source, site="nancy")
    start, end = calendar.study_window(planned.start, planned.end)
    records, nodes = site.jobs(start=start, end=end), conform(Nodes, site.nodes())
    jobs, held = records.jobs, records.allocations
    built = node_allocations.build_allocations(
        jobs, held, nodes.lazy(), start=start, end=end, gate="reserved"
    )
    allocations = built.allocations
    occupancy = node_allocations.occupancy(allocations.lazy()).collect()
    spikes = dict(nodes.select("node", "max_plausible_power_w").iter_rows())
    gap_s = planned.integration["max_gap_s"]
    sums, classes, histograms = [], [], []
    for cluster in planned.source["nodes"]:
        margin = timedelta(seconds=gap_s)
        samples = {}
        for raw in site.power(
            metric=planned.metric, cluster=cluster, start=start - margin, end=end + margin
        ):
            node = raw["node"][0]
            cleaned = cleaning.clean_readings(
                raw,
                max_plausible_power_w=spikes[node],
                window=Window(start, end),
                settings=cleaning.CleaningSettings(gap_s),
            )
            samples[node] = cleaned.samples.select("timestamp", "power_w")
        inside = pl.col("timestamp").is_between(start, end, closed="left")
        power = idle_power.fill_node_power(
            idle_power.measure_node_power(
                ((node, own.filter(inside)) for node, own in samples.items()),
                occupancy,
                off_threshold_w=20,
            ),
            cluster=cluster,
            idle_power_w=None,
            max_power_w=None,
        )
        gate = attribution.IntegrationSettings.from_config(
            planned.integration, cluster=cluster, jobs_complete=True
        )
        integrated = attribution.attribute_energy(
            list(samples),
            samples.__getitem__,
            gate,
            attribution.NodeRecords(
                allocations, occupancy, conform(States, site.states(start=start, end=end))
            ),
            start=start,
            end=end,
        )
        sums.append(integrated[0])
        classes.append(integrated[1])
        histograms.append(
            power_histograms.measure_power_histograms(
                list(samples),
                samples.__getitem__,
                None,
                allocations=allocations,
                gpu_allocations=None,
                node_power=power,
                hardware=catalogue.look_up_hardware(nodes.lazy()),
                max_gap_s=gap_s,
            )
        )
    measured = study_energy.build_study_energy(
        StudyRecords(
            window=calendar.Window(start, end),
            jobs=jobs,
            allocations=held,
            overlaps=built.overlaps,
        ),
        nodes.lazy(),
        job_sums=pl.concat(sums).lazy(),
        classes=pl.concat(classes).lazy(),
        method="trapezoid",
        key=pseudonyms.PUBLIC_KEY,
    )
    return {
        "jobs": jobs,
        "allocations": held,
        "job_energy": measured.jobs.lazy(),
        "job_nodes": measured.job_nodes.lazy(),
        "power_histograms": pl.concat(histograms).lazy(),
        "truth": site.true_kinds(),
    }


ENDING_COLUMNS = {"array_id": pl.Int64, "array_index": pl.Int64, "exit_code": pl.Int64}


@pytest.mark.parametrize("without_endings", [False, True])
def test_classify_runs_with_and_without_endings_is_right_for_nine_tenths_of_energy(
    site_tables: dict[str, pl.LazyFrame], without_endings: bool
) -> None:
    jobs = site_tables["jobs"]
    if without_endings:
        jobs = jobs.with_columns(
            *(pl.lit(None, kind).alias(name) for name, kind in ENDING_COLUMNS.items()),
            events=pl.lit(None, pl.List(pl.String)),
        )
    run_of_job = chains.merge_jobs_into_runs(jobs, gap_h=48, allocations=site_tables["allocations"])
    measured = {name: site_tables[name] for name in ("job_energy", "job_nodes", "power_histograms")}
    of_runs = features.collect_features(jobs=jobs, run_of_job=run_of_job, **measured)
    kinds_by_method = {
        "rules": classifier.classify_runs(of_runs, classifier.Thresholds()),
        "baseline": baseline.classify_by_exit_state(of_runs),
    }
    table = evaluation.confusion_table(
        kinds_by_method,
        run_of_job=run_of_job,
        truth=site_tables["truth"],
        job_energy=site_tables["job_energy"],
    )
    by_method = dict(
        evaluation.accuracy_by_method(table).select("method", "energy_frac").iter_rows()
    )
    assert by_method["rules"] >= 0.9
    assert by_method["rules"] > by_method["baseline"]
