"""A small simulated site that once could not be integrated, run with Snakemake to its energies."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.support.project import Project, configure

pytestmark = [pytest.mark.slow, pytest.mark.workflow]


@pytest.mark.parametrize("seed", [2025, 36])
def test_small_simulated_site_is_integrated_near_its_truth(tmp_path: Path, seed: int) -> None:
    configure(
        tmp_path,
        study={
            "site": "nancy",
            "start": "2025-03-31",
            "end": "2025-04-04",
            "clusters": ["graffiti", "grele"],
        },
        source={
            "kind": "simulated",
            "seed": seed,
            "nodes": {"graffiti": 2, "grele": 2},
            "jobs": 120,
        },
        labels={"files": []},
        levels={"users": []},
    )
    target = "results/energy/simulation_check.parquet"
    Project(tmp_path).run(tmp_path, "--cores", "2", target)
    check = pl.read_parquet(tmp_path / target).row(
        by_predicate=pl.col("sensors") == "all", named=True
    )
    assert check["n_jobs_compared"] >= 5
    assert check["largest_error_frac"] < 0.01
    jobs = pl.read_parquet(tmp_path / "results/energy/jobs.parquet")
    assert jobs["measured_kwh"].sum() > 10
    assert jobs["total_kwh"].null_count() == 0
    classes = pl.read_parquet(tmp_path / "results/energy/nodes.parquet")
    # 4 nodes for 4 days, each second in one class
    assert classes["duration_s"].sum() == pytest.approx(4 * 4 * 86_400)
    held = classes.filter(pl.col("class") == "job")["measured_kwh"].sum()
    assert held == pytest.approx(jobs["measured_kwh"].sum(), rel=1e-9)
