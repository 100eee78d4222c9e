"""Scripts of the ledgers, run as their rules run them, on a campaign with every job tracked.

Labels then decide every run, no rule does, and R is the true one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.core.sums import sum_or_zero
from footprint.schemas.estimates import Estimates
from footprint.schemas.labels import JobLabels, Ledger, Reconciliation, Tracked
from footprint.schemas.phases import PhaseRatio
from footprint.schemas.raw import RejectedRows
from footprint.tracker import reading
from tests.scripts.conftest import IDLE_POWER
from tests.support import logins, tracked_campaign
from tests.support.rule_chain import RuleChain
from tests.support.study_frames import PROVENANCE

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def chain(features_chain: RuleChain, tmp_path_factory: pytest.TempPathFactory) -> RuleChain:
    """Chain from the nodes of a simulated site to R of papers, labelled by ledgers alone."""
    made = features_chain.continue_in(tmp_path_factory.mktemp("ledgers"), idle_power=IDLE_POWER)
    jobs = made.read("jobs").join(
        made.read("energy-jobs").select("job_id", "measured_kwh"), on="job_id", how="left"
    )
    folder = made.folder / "ledger"
    tracked_campaign.write_ledgers(folder, jobs, made.read("allocations"), made.read("kinds"))
    tracked_campaign.add_faulty_lines(folder)
    run_match_ledgers(made, folder)
    made.run(
        "match_labels",
        input=made.paths("jobs", "run_of_job") | {"labels": [], "ledger": [made.path("ledger")]},
        output=made.paths("papers", "group_labels", "rejected")
        | {"labels": made.path("single_labels")},
    )
    made.classify_runs()
    made.run(
        "estimate_energy",
        input=made.energy_paths()
        | made.paths("hardware", "allocations", "nodes", "tracked")
        | {"records": made.path("jobs"), "gpu_power": [], "cpu_series": [], "recorded": []},
        output=made.paths("estimates"),
        params={"estimators": ["tracker_nvml", "tracker_rapl", "tracker_devices"]},
    )
    made.run(
        "compare_estimates",
        input=made.paths("estimates", "hardware") | made.energy_paths(),
        output=made.paths("ratios"),
    )
    made.build_levels(minimum_group=1)
    made.compare_phases()
    made.run(
        "reconcile_ledgers",
        input={
            "ledger": made.path("ledger"),
            "rejected": made.path("ledger_rejected"),
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


def run_match_ledgers(made: RuleChain, folder: Path) -> None:
    made.run(
        "match_ledgers",
        input=made.paths("jobs", "allocations", "nodes")
        | {"files": [str(path) for path in reading.ledger_files(folder)]},
        output=made.paths("ledger", "tracked") | {"rejected": made.path("ledger_rejected")},
        params={"site": "nancy", "unreadable": []},
    )


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("ledger", Ledger),
        ("tracked", Tracked),
        ("ledger_rejected", RejectedRows),
        ("labels", JobLabels),
        ("estimates", Estimates),
        ("reconciliation", Reconciliation),
        ("ratio", PhaseRatio),
    ],
)
def test_scripts_of_ledgers_write_valid_tables(chain: RuleChain, name: str, schema: Any) -> None:
    found = chain.read(name)
    assert schema.is_valid(found)
    assert found.height > 0


def tracked(made: RuleChain) -> pl.DataFrame:
    """Jobs of papers, with true kind and phase and total energy."""
    started = made.read("kinds").drop_nulls(["phase", "paper"])
    return started.join(made.read("phase_of_job").select("job_id", "total_kwh"), on="job_id")


def test_tracked_campaign_classifies_every_run_by_label(chain: RuleChain) -> None:
    truth = tracked(chain)
    assert len(truth) > 20
    runs = chain.read("runs").explode("job_ids", empty_as_null=True)
    own = runs.join(truth, left_on="job_ids", right_on="job_id", suffix="_true")
    assert len(own) == len(truth)
    assert set(own["rule"]) == {"label"}
    assert set(own["confidence"]) == {1.0}
    assert (own["phase"].cast(pl.String) == own["phase_true"].cast(pl.String)).all()
    assert (own["kind"] == own["kind_true"]).all()


def test_tracked_campaign_gives_true_ratio(chain: RuleChain) -> None:
    phase, kwh = pl.col("phase"), pl.col("total_kwh")
    expected = (
        tracked(chain)
        .group_by("paper")
        .agg(
            development=sum_or_zero(kwh.filter(phase == "development")),
            training=sum_or_zero(kwh.filter(phase == "training")),
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
        assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
        # nothing is unknown
        assert row["ratio_all_unknown"] == pytest.approx(row["ratio"], rel=1e-12)
        assert row["role_basis"] == "label"
    assert found["ratio"].max() > 0


def test_device_estimators_give_the_ratios_written_to_ledgers(chain: RuleChain) -> None:
    ratios = chain.read("ratios").filter(group="all")
    found = dict(ratios.select("estimator", "total_ratio").iter_rows())
    assert found["tracker_nvml@1"] == pytest.approx(tracked_campaign.GPU_FRAC, rel=1e-9)
    # a job gets the processors' energy by its share of the node's cores
    assert 0 < found["tracker_rapl@1"] <= tracked_campaign.CPU_FRAC * (1 + 1e-9)
    assert found["tracker_devices@1"] == pytest.approx(
        found["tracker_nvml@1"] + found["tracker_rapl@1"], rel=1e-9
    )
    assert ratios["n_jobs"].min() > 10


def test_match_ledgers_logs_and_counts_unusable_lines(chain: RuleChain) -> None:
    log = chain.logs["match_ledgers"]
    assert f"spoilt.jsonl:1: {reading.NEWER_FORMAT}" in log
    assert f"spoilt.jsonl:3: {reading.LINE_TRUNCATED}" in log
    n = len(chain.read("ledger"))
    assert f"{n} tracked runs; {n - 1} are part of a job" in log
    rows = {row["name"]: row["n_rows"] for row in chain.read("reconciliation").to_dicts()}
    assert (
        rows["its job is not known"]
        == rows[reading.NEWER_FORMAT]
        == rows[reading.LINE_TRUNCATED]
        == 1
    )
    ran = tracked(chain).join(
        chain.read("energy-jobs").filter(pl.col("duration_s") > 0), on="job_id", how="semi"
    )
    assert (rows["in a job of the study"], rows["tracked"]) == (n - 1, len(ran))


def test_match_labels_prefers_files_to_ledgers_to_job_names(
    chain: RuleChain, tmp_path: Path
) -> None:
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
        output={
            name: tmp_path / f"{name}.parquet"
            for name in ("papers", "labels", "group_labels", "rejected")
        },
    )
    row = pl.read_parquet(tmp_path / "labels.parquet").filter(job_id=job).row(0, named=True)
    truth = tracked(chain).filter(job_id=job).row(0, named=True)
    assert (row["phase"], row["paper"], row["kind"]) == (other, truth["paper"], truth["kind"])


def test_tabulate_ledgers_writes_table_without_logins(chain: RuleChain, tmp_path: Path) -> None:
    paths = {form: tmp_path / f"ledger.{form}" for form in ("csv", "html", "tex")}
    chain.run(
        "tabulate_ledgers",
        input=chain.paths("reconciliation"),
        output=paths,
        params={"provenance": PROVENANCE},
    )
    assert all(path.stat().st_size > 100 for path in paths.values())
    (tmp_path / "ledger.parquet").write_bytes(Path(chain.path("reconciliation")).read_bytes())
    users = chain.read("jobs")["user"].unique().to_list()
    hosts = chain.read("allocations")["node"].unique().to_list()
    assert logins.found(tmp_path, [*users, *hosts, "run.sh"]) == []
