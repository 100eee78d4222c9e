"""Every script of the ledgers, run as its rule runs it, on a campaign that was tracked throughout.

Where every run is labelled as it was, no rule decides anything, and R is what it truly was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import campaign
import polars as pl
import pytest
from chaining import CLUSTERS, Chain
from paper_frames import PROVENANCE
from test_scripts_phases import classify, measure_levels

from footprint import published, tables
from footprint.summation import total
from footprint.tracker import reading

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Two days of a simulated site, from its nodes to R of papers, labelled by ledgers alone."""
    made = Chain(tmp_path_factory.mktemp("ledgers"), idle_power={"grele": 90.0})
    made.to_energies(node_power=True)
    made.describe_gpus()
    made.run(
        "merge_runs",
        input=made.paths("jobs", "allocations"),
        output=made.paths("run_of_job"),
        params={"gap_h": 48, "arrays": "lines", "node_pattern": made.planned.node_pattern},
    )
    jobs = made.read("jobs").join(
        made.read("energy-jobs").select("job_id", "energy_kwh"), on="job_id", how="left"
    )
    folder = made.folder / "ledger"
    campaign.write(folder, jobs, made.read("allocations"), made.read("kinds"))
    campaign.spoil(folder)
    match_ledgers(made, folder)
    made.run(
        "match_labels",
        input=made.paths("jobs", "run_of_job") | {"labels": [], "ledger": [made.path("ledger")]},
        output=made.paths("papers", "labelled"),
    )
    for cluster in CLUSTERS:
        measure_levels(made, cluster, f"power_levels-{cluster}", gpus=cluster == "grele")
    classify(made)
    made.run(
        "estimate_energy",
        input=made.measured()
        | made.paths("hardware", "allocations", "nodes", "tracked")
        | {"records": made.path("jobs"), "gpu_power": [], "cpu_series": [], "recorded": []},
        output=made.paths("estimates"),
        params={"estimators": ["tracker_nvml", "tracker_rapl", "tracker_devices"]},
    )
    made.run(
        "compare_estimates",
        input=made.paths("estimates", "hardware") | made.measured(),
        output=made.paths("ratios"),
    )
    made.build_levels(minimum_group=1)
    made.run(
        "compare_phases",
        input=made.paths("runs", "evidence", "labelled", "levels", "allocations")
        | made.jobs_inside()
        | {"job_nodes": made.path("energy-job_nodes")},
        output=made.paths("ratio"),
        params={"thresholds": {}, "papers": "all"} | made.window,
    )
    made.run(
        "reconcile_ledgers",
        input={
            "ledger": made.path("ledger"),
            "set_aside": made.path("ledger_aside"),
            "job_energy": made.path("energy-jobs"),
        },
        output=made.paths("reconciliation"),
        params={
            "users": "all",
            "privacy": {"key": None, "minimum_group": 1},
            "simulated": True,
        },
    )
    return made


def match_ledgers(made: Chain, folder: Path) -> None:
    made.run(
        "match_ledgers",
        input=made.paths("jobs", "allocations", "nodes")
        | {"files": [str(path) for path in reading.files(folder)]},
        output=made.paths("ledger", "tracked") | {"set_aside": made.path("ledger_aside")},
        params={"site": "nancy", "unreadable": []},
    )


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("ledger", tables.Ledger),
        ("tracked", tables.Tracked),
        ("ledger_aside", tables.SetAside),
        ("labelled", tables.Labelled),
        ("estimates", tables.Estimates),
        ("reconciliation", tables.Reconciliation),
        ("ratio", tables.PhaseRatio),
    ],
)
def test_scripts_write_the_tables_declared(chain: Chain, name: str, schema: Any) -> None:
    found = chain.read(name)
    assert schema.is_valid(found)
    assert found.height > 0


def tracked(made: Chain) -> pl.DataFrame:
    """Jobs of papers, with what they truly were and what they drew."""
    started = made.read("kinds").drop_nulls(["phase", "paper"])
    return started.join(made.read("energy-jobs").select("job_id", "energy_kwh"), on="job_id")


def test_a_campaign_that_was_tracked_needs_no_rule(chain: Chain) -> None:
    truth = tracked(chain)
    assert len(truth) > 20
    runs = chain.read("runs").explode("job_ids", empty_as_null=True)
    own = runs.join(truth, left_on="job_ids", right_on="job_id", suffix="_true")
    assert len(own) == len(truth)
    assert set(own["rule"]) == {"label"}
    assert set(own["confidence"]) == {1.0}
    assert (own["phase"].cast(pl.String) == own["phase_true"].cast(pl.String)).all()
    assert (own["kind"] == own["kind_true"]).all()


def test_r_of_a_tracked_campaign_is_the_truth(chain: Chain) -> None:
    phase, kwh = pl.col("phase"), pl.col("energy_kwh")
    expected = (
        tracked(chain)
        .group_by("paper")
        .agg(
            development=total(kwh.filter(phase == "development")),
            training=total(kwh.filter(phase == "training")),
        )
        .filter(pl.col("training") > 0)
    )
    found = (
        chain.read("ratio").filter(scope="paper").join(expected, left_on="name", right_on="paper")
    )
    assert len(found) == len(expected) >= 2
    for row in found.iter_rows(named=True):
        assert row["training_kwh"] == pytest.approx(row["training"], rel=1e-12)
        assert row["ratio"] == pytest.approx(row["development"] / row["training"], rel=1e-12)
        # nothing is assumed and nothing is unknown: the range is a point
        assert row["ratio_low"] == pytest.approx(row["ratio"], rel=1e-12)
        assert row["ratio_high"] == pytest.approx(row["ratio"], rel=1e-12)
        assert row["ratio_all_unknown"] == pytest.approx(row["ratio"], rel=1e-12)
        assert row["role_basis"] == "label"
    assert found["ratio"].max() > 0


def test_devices_explain_as_much_as_they_were_made_to(chain: Chain) -> None:
    ratios = chain.read("ratios").filter(group="all")
    found = dict(ratios.select("estimator", "total_ratio").iter_rows())
    assert found["tracker_nvml@1"] == pytest.approx(campaign.GPU_FRAC, rel=1e-9)
    # of the processors, a job has the part of its cores of the node that it shares
    assert 0 < found["tracker_rapl@1"] <= campaign.CPU_FRAC * (1 + 1e-9)
    assert found["tracker_devices@1"] == pytest.approx(
        found["tracker_nvml@1"] + found["tracker_rapl@1"], rel=1e-9
    )
    assert ratios["n_jobs"].min() > 10


def test_what_cannot_be_used_is_told_with_its_place(chain: Chain) -> None:
    log = chain.logs["match_ledgers"]
    assert f"spoilt.jsonl:1: {reading.NEWER}" in log
    assert f"spoilt.jsonl:3: {reading.CUT}" in log
    n = len(chain.read("ledger"))
    assert f"{n} were tracked; {n - 1} are part of a job" in log
    rows = {row["name"]: row["n_rows"] for row in chain.read("reconciliation").to_dicts()}
    assert rows["its job is not known"] == rows[reading.NEWER] == rows[reading.CUT] == 1
    ran = tracked(chain).join(
        chain.read("energy-jobs").filter(pl.col("duration_s") > 0), on="job_id", how="semi"
    )
    assert (rows["in a job of the study"], rows["tracked"]) == (n - 1, len(ran))


def test_label_files_go_before_ledgers_and_names_come_last(chain: Chain, tmp_path: Path) -> None:
    job, phase = tracked(chain).sort("job_id").select("job_id", "phase").row(0)
    other = "inference" if phase != "inference" else "development"
    written = tmp_path / "labels.csv"
    written.write_text(f"jobs,phase\n{job},{other}\n")
    named = chain.read("jobs").with_columns(
        name=pl.when(job_id=job).then(pl.lit("fp:paper=named,kind=debug")).otherwise("name")
    )
    named.write_parquet(tmp_path / "jobs.parquet")
    chain.run(
        "match_labels",
        "by file",
        input=chain.paths("run_of_job")
        | {"jobs": str(tmp_path / "jobs.parquet"), "labels": [str(written)]}
        | {"ledger": [chain.path("ledger")]},
        output={name: tmp_path / f"{name}.parquet" for name in ("papers", "labelled")},
    )
    row = pl.read_parquet(tmp_path / "labelled.parquet").filter(job_id=job).row(0, named=True)
    truth = tracked(chain).filter(job_id=job).row(0, named=True)
    assert (row["phase"], row["paper"], row["kind"]) == (other, truth["paper"], truth["kind"])


def test_the_table_is_written_and_names_nobody(chain: Chain, tmp_path: Path) -> None:
    paths = {form: tmp_path / f"ledger.{form}" for form in ("csv", "html", "tex")}
    chain.run(
        "tabulate_ledgers",
        input=chain.paths("reconciliation"),
        output=paths,
        params={"provenance": PROVENANCE},
    )
    assert all(path.stat().st_size > 100 for path in paths.values())
    (tmp_path / "ledger.parquet").write_bytes(Path(chain.path("reconciliation")).read_bytes())
    logins = chain.read("jobs")["user"].unique().to_list()
    hosts = chain.read("allocations")["node"].unique().to_list()
    assert published.found(tmp_path, [*logins, *hosts, "run.sh"]) == []
