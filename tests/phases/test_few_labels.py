"""Tests of the phases of large papers after twenty labels, on the simulated site."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from footprint.allocation import node_allocations
from footprint.allocation.shares import reserved_shares
from footprint.core.vocabulary import KINDS
from footprint.phases import classifier, features, roles
from footprint.schemas.phases import PowerHistograms
from footprint.sources.simulated import SimulatedSite

pytestmark = pytest.mark.filterwarnings("error")

N_RUNS_OF_LARGE_PAPER = 200
N_LABELLED = 20
WRONG_FRACTIONS = {"unknown": 0.10, "other": 0.30}
"""Fraction of kinds replaced by `unknown`, and by any other kind than the true one."""


@pytest.fixture(scope="module")
def site() -> SimulatedSite:
    study = {"start": date(2025, 3, 3), "end": date(2025, 4, 28), "seed": 2025}
    return SimulatedSite.from_config(study)


@pytest.fixture(scope="module")
def energy(site: SimulatedSite) -> pl.DataFrame:
    """Exact energy of each job on each of its nodes."""
    return site.truth().rename({"true_kwh": "measured_kwh"}).collect()


@pytest.fixture(scope="module")
def truth(site: SimulatedSite, energy: pl.DataFrame) -> pl.DataFrame:
    """True kind, role and phase and exact energy of the runs of papers of the simulated site."""
    job_energy = energy.lazy().group_by("job_id").agg(pl.col("measured_kwh").sum())
    jobs = site.true_kinds().filter(pl.col("paper").is_not_null(), pl.col("kind").is_not_null())
    return (
        jobs.join(job_energy, on="job_id", how="left")
        .group_by(run_id=pl.coalesce("chain_id", "job_id"))
        .agg(
            pl.col("paper", "kind", "role", "phase").first(),
            pl.col("measured_kwh").sum(),
            pl.lit("q").alias("project"),
            pl.lit(0.0).alias("gpu_hours"),
        )
        .sort("run_id")
        .collect()
    )


@pytest.fixture(scope="module")
def by_rules(site: SimulatedSite, energy: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """`truth` with the kinds that the rules give without power histograms, their hardest case."""
    records = site.jobs(start=site.start, end=site.end)
    jobs = records.jobs.lazy()
    shares = reserved_shares(jobs, records.allocations.lazy(), site.nodes())
    held_h = (pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds() / 3600
    job_nodes = (
        node_allocations.unclipped_allocations(jobs, shares, end=site.end)
        .group_by("job_id", "node")
        .agg(
            pl.col("share").first(),
            duration_s=held_h.sum() * 3600,
            covered_s=held_h.sum() * 3600,
            gpu_hours=(held_h * pl.col("gpus")).sum(),
        )
        .join(energy.lazy(), on=["job_id", "node"], how="left")
    )
    chained = pl.when(pl.col("chain_id").is_null()).then(pl.lit("single"))
    run_features = features.collect_features(
        jobs=jobs,
        run_of_job=site.true_kinds().select(
            "job_id",
            run_id=pl.coalesce("chain_id", "job_id"),
            merged_by=chained.otherwise(pl.lit("chain")),
        ),
        job_energy=job_nodes.group_by("job_id").agg(
            pl.col("duration_s").max(), pl.col("gpu_hours", "measured_kwh").sum()
        ),
        job_nodes=job_nodes,
        power_histograms=PowerHistograms.create_empty().lazy(),
    )
    found = (
        classifier.classify_runs(run_features, classifier.Thresholds())
        .select("run_id", "kind")
        .collect()
    )
    return truth.drop("kind").join(found, on="run_id").sort("run_id")


def with_wrong_kinds(truth: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    """`truth` with the kinds of a poor classifier."""
    rng = np.random.default_rng(seed)
    draw, other = rng.random(len(truth)), rng.choice(KINDS[:-1], len(truth))
    frame = truth.with_columns(pl.Series("draw", draw), pl.Series("other_kind", other))
    return frame.with_columns(
        pl.when(pl.col("draw") < WRONG_FRACTIONS["unknown"])
        .then(pl.lit("unknown"))
        .when(pl.col("draw") < WRONG_FRACTIONS["unknown"] + WRONG_FRACTIONS["other"])
        .then(pl.col("other_kind"))
        .otherwise(pl.col("kind"))
        .alias("kind")
    )


def wrong_energy_frac(truth: pl.DataFrame, runs: pl.DataFrame, labelled: pl.DataFrame) -> float:
    """Share of the energy whose phase differs from the true one."""
    assigned = (
        roles.assign_roles(runs.lazy().rename({"measured_kwh": "total_kwh"}), labelled.lazy())
        .select("run_id", found="phase")
        .collect()
    )
    wrong = truth.join(assigned, on="run_id").filter(
        pl.col("found").cast(pl.String) != pl.col("phase")
    )
    return float(wrong["measured_kwh"].sum() / truth["measured_kwh"].sum())


def assert_twenty_labels_correct_large_papers(truth: pl.DataFrame, found: pl.DataFrame) -> None:
    large = [own for own in truth.partition_by("paper") if len(own) >= N_RUNS_OF_LARGE_PAPER]
    assert len(large) >= 2
    for own in large:
        runs = found.join(own, on="run_id", how="semi")
        first = own.sort("measured_kwh", "run_id", descending=[True, False]).head(N_LABELLED)
        labels = first.select("run_id", "kind", "role", "phase")
        after = wrong_energy_frac(own, runs, labels)
        assert after < 0.05 < wrong_energy_frac(own, runs, labels.clear())


@pytest.mark.parametrize("seed", range(5))
def test_twenty_labels_of_large_paper_correct_phases_of_poor_classifier(
    truth: pl.DataFrame, seed: int
) -> None:
    assert_twenty_labels_correct_large_papers(truth, with_wrong_kinds(truth, seed=seed))


def test_twenty_labels_of_large_paper_correct_phases_of_rules(
    truth: pl.DataFrame, by_rules: pl.DataFrame
) -> None:
    assert len(by_rules) == len(truth)
    assert_twenty_labels_correct_large_papers(truth, by_rules)
