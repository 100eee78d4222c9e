"""Kinds found against true kinds: arithmetic by hand, and a guard on a small simulated site."""

from datetime import timedelta

import polars as pl
import pytest

from footprint import (
    cleaning,
    energy,
    gates,
    gather,
    hardware,
    node_power,
    privacy,
    settings,
    study,
    tables,
    windows,
)
from footprint.phases import baseline, evaluation, evidence, kinds, power_levels, runs
from footprint.site.simulated import SimulatedSite

pytestmark = pytest.mark.filterwarnings("error")


def table() -> pl.DataFrame:
    """Jobs 1 and 2 are a run; job 4 never started; 5 was not measured; 7 ended as it began."""
    run_of_job = pl.LazyFrame({"job_id": [1, 2, 3, 4, 5, 6, 7], "run_id": [1, 1, 3, 4, 5, 6, 7]})
    truth = ["training_run", "training_run", "debug", None, "debug", "inference_run", "debug"]
    return evaluation.confusion(
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
                "energy_kwh": [6.0, 2.0, 0.5, 9.0, None, 1.5, 0.0],
            }
        ),
    )


def test_confusion_counts_jobs_and_energy_of_what_ran() -> None:
    assert table().filter(method="rules").drop("method").rows() == [
        ("debug", "debug", 2, 0.5),
        ("inference_run", "unknown", 1, 1.5),
        ("training_run", "training_run", 2, 8.0),
    ]
    # what a method says nothing of is unknown
    assert ("inference_run", "unknown", 1, 1.5) in table().filter(method="baseline").drop(
        "method"
    ).rows()


def test_unknown_is_wrong_and_energy_weighs() -> None:
    rows = evaluation.accuracy(table()).rows(named=True)
    by_method = {row["method"]: row for row in rows}
    assert by_method["rules"]["energy_frac"] == pytest.approx(8.5 / 10)
    assert by_method["rules"]["jobs_frac"] == pytest.approx(4 / 5)
    assert by_method["baseline"]["energy_frac"] == pytest.approx(8 / 10)
    assert by_method["baseline"]["jobs_frac"] == pytest.approx(3 / 5)


def test_recall_is_by_true_kind_and_unknown_without_energy() -> None:
    rules = evaluation.recall(table()).filter(method="rules")
    assert rules.select("truth", "energy_frac", "jobs_frac").rows() == [
        ("debug", 1.0, 1.0),
        ("inference_run", 0.0, 0.0),
        ("training_run", 1.0, 1.0),
    ]
    nothing = table().with_columns(energy_kwh=pl.lit(0.0))
    assert evaluation.accuracy(nothing)["energy_frac"].to_list() == [None, None]


def test_the_summary_shows_both_methods_and_all_kinds() -> None:
    lines = evaluation.summary(table()).splitlines()
    assert lines[0].split() == [
        "true",
        "kind",
        "jobs",
        "kWh",
        *["rules", "%", "jobs", "%", "baseline", "%", "jobs", "%"],
    ]
    assert lines[1].split() == ["debug", "2", "0.5", "100.0", "100.0", "0.0", "50.0"]
    assert lines[-1].split() == ["all", "kinds", "5", "10.0", "85.0", "80.0", "80.0", "60.0"]


SMALL = {
    "study": {"site": "nancy", "start": "2025-03-03", "end": "2025-03-17"},
    "source": {
        **{"kind": "simulated", "seed": 41, "jobs": 350},
        "mix": {"long_inference": 0.12, "idle_hold": 0.08, "interactive": 0.2},
        "nodes": {"graffiti": 3, "grappe": 2, "gruss": 1, "grele": 2},
    },
}


@pytest.fixture(scope="module")
def small() -> dict[str, pl.LazyFrame]:
    """Tables of a site of eight nodes and two weeks, without readings of GPUs."""
    planned = study.plan(settings.load(SMALL))
    site = SimulatedSite.from_config(planned.source, site="nancy")
    start, end = windows.window(planned.start, planned.end)
    records, known = site.jobs(start=start, end=end), tables.conform(tables.Nodes, site.nodes())
    jobs, held = records.jobs, records.allocations
    built = gates.build_with_overlaps(
        jobs, held, known.lazy(), start=start, end=end, policy="reserved"
    )
    pieces = built.pieces
    occupancy = gates.occupancy(pieces.lazy()).collect()
    spikes = dict(known.select("node", "max_plausible_power_w").iter_rows())
    gap_s = planned.integration["max_gap_s"]
    sums, classes, levels = [], [], []
    for cluster in planned.source["nodes"]:
        margin = timedelta(seconds=gap_s)
        samples = {}
        for raw in site.power(
            metric=planned.metric, cluster=cluster, start=start - margin, end=end + margin
        ):
            node = raw["node"][0]
            cleaned = cleaning.clean(
                *(raw,),
                **{"max_plausible_power_w": spikes[node], "max_gap_s": gap_s},
                **{"start": start, "end": end},
            )
            samples[node] = cleaned.samples.select("timestamp", "power_w")
        inside = pl.col("timestamp").is_between(start, end, closed="left")
        power = node_power.complete(
            node_power.measure(
                ((node, own.filter(inside)) for node, own in samples.items()),
                occupancy,
                off_threshold_w=20,
            ),
            cluster=cluster,
            idle_power_w=None,
            max_power_w=None,
        )
        gate = energy.Gate.from_config(planned.integration, cluster=cluster, jobs_complete=True)
        integrated = energy.integrate(
            list(samples),
            samples.__getitem__,
            gate,
            pieces=pieces,
            occupancy=occupancy,
            states=tables.conform(tables.States, site.states(start=start, end=end)),
            start=start,
            end=end,
        )
        sums.append(integrated[0])
        classes.append(integrated[1])
        levels.append(
            power_levels.levels(
                list(samples),
                samples.__getitem__,
                None,
                pieces=pieces,
                gpu_pieces=None,
                node_power=power,
                hardware=hardware.look_up(known.lazy()),
                max_gap_s=gap_s,
            )
        )
    measured = gather.gather(
        nodes=known.lazy(),
        records=jobs,
        allocations=held,
        overlaps=built.overlaps,
        job_sums=pl.concat(sums).lazy(),
        classes=pl.concat(classes).lazy(),
        clusters=list(planned.source["nodes"]),
        method="trapezoid",
        start=start,
        end=end,
        key=privacy.PUBLIC_KEY,
    )
    return {
        "jobs": jobs,
        "allocations": held,
        "job_energy": measured.jobs.lazy(),
        "job_nodes": measured.job_nodes.lazy(),
        "power_levels": pl.concat(levels).lazy(),
        "truth": site.truth_of_jobs(),
    }


BARE = {"array_id": pl.Int64, "array_index": pl.Int64, "exit_code": pl.Int64}


@pytest.mark.parametrize("bare", [False, True])
def test_nine_tenths_of_the_energy_are_classified_rightly_with_and_without_endings(
    small: dict[str, pl.LazyFrame], bare: bool
) -> None:
    jobs = small["jobs"]
    if bare:
        jobs = jobs.with_columns(
            *(pl.lit(None, kind).alias(name) for name, kind in BARE.items()),
            events=pl.lit(None, pl.List(pl.String)),
        )
    run_of_job = runs.merge(jobs, gap_h=48, allocations=small["allocations"])
    measured = {name: small[name] for name in ("job_energy", "job_nodes", "power_levels")}
    known = evidence.gather(jobs=jobs, run_of_job=run_of_job, **measured)
    found = {
        "rules": kinds.classify(known, kinds.Thresholds()),
        "baseline": baseline.kinds(known),
    }
    told = evaluation.confusion(
        found, run_of_job=run_of_job, truth=small["truth"], job_energy=small["job_energy"]
    )
    by_method = dict(evaluation.accuracy(told).select("method", "energy_frac").iter_rows())
    assert by_method["rules"] >= 0.9
    assert by_method["rules"] > by_method["baseline"]
