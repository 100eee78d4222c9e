"""Totals and R of whole simulated studies against their true values, for three seeds."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.schemas.validation import AgainstTruth
from tests.support.project import Project, configure

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TARGETS = ("results/validation/against_truth.parquet", "results/summary.md")
LARGEST_MISS_HALF_WIDTHS = 2.0
LEVELS_OF_SITE = ("queue", "project", "user")


def drawn_study(project: Project, seed: int) -> dict[str, Any]:
    """Two weeks of eight nodes; the seed draws hardware, gains, outages, missing meters, series."""
    return {
        "study": {"site": "nancy", "start": "2025-03-03", "end": "2025-03-17"},
        "source": {
            "kind": "simulated",
            "seed": seed,
            "nodes": {"graffiti": 2, "grele": 1, "gruss": 1, "grouille": 1, "gres": 1, "grappe": 2},
            "jobs": 400,
            "without_meters": "seed",
            "without_series": "seed",
        },
        "levels": {"users": "all"},
        "privacy": {"minimum_group": 1},
        "labels": {"files": [str(project.folder / "docs/labels/simulated.yaml")]},
    }


@pytest.fixture(scope="module", params=[101, 102, 103])
def study(project: Project, request: pytest.FixtureRequest) -> Path:
    """Folder of a study of a seed, with its totals and its summary."""
    folder = project.folder.parent / f"seed-{request.param}"
    configure(folder, **drawn_study(project, request.param))
    project.run(folder, "--cores", "2", *TARGETS)
    return folder


def test_totals_and_ratios_miss_by_at_most_two_half_widths(study: Path) -> None:
    found = pl.read_parquet(study / TARGETS[0])
    assert AgainstTruth.is_valid(found)
    groups = found.filter(pl.col("level") != "job")
    assert {"site", "project", "user", "paper"} <= set(groups["level"])
    missed = groups.filter(
        ~pl.col("is_inside")
        & (pl.col("miss_half_widths").fill_null(float("inf")) > LARGEST_MISS_HALF_WIDTHS)
    )
    assert missed.is_empty(), missed


def test_levels_add_up_to_the_site(study: Path) -> None:
    levels = pl.read_parquet(study / "results/levels.parquet").filter(pl.col("method") == "bmc")
    truth = pl.read_parquet(study / TARGETS[0])
    site = levels.filter(pl.col("level") == "site").row(0, named=True)
    for level in LEVELS_OF_SITE:
        own = levels.filter(pl.col("level") == level)
        for name in ("measured_kwh", "estimated_kwh", "total_kwh"):
            assert own[name].sum() == pytest.approx(site[name], rel=1e-9)
        if level in truth["level"].cast(pl.String):
            true = truth.filter(pl.col("level").cast(pl.String) == level)["truth"].sum()
            assert true == pytest.approx(truth.filter(pl.col("level") == "site")["truth"].item())
    jobs = pl.read_parquet(study / "results/energy/jobs.parquet")
    assert jobs["total_kwh"].sum() == pytest.approx(site["total_kwh"], rel=1e-9)


def test_summary_counts_the_intervals_that_contain_the_truth(study: Path) -> None:
    found = pl.read_parquet(study / TARGETS[0])
    totals = found.filter(~pl.col("level").cast(pl.String).is_in(["ratio", "job"]))
    text = (study / TARGETS[1]).read_text().replace("\u00a0", " ")
    assert f"intervals of {totals['n_inside'].sum()} of {len(totals)} totals" in text
