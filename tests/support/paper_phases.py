"""Energies of phases and kinds of simulated studies without samples, beside their true energies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from footprint.phases import part_energies, roles
from footprint.phases.weighed_kinds import PROBABILITY_COLUMNS
from tests.support import paper_ratios

MIN_KWH = 0.1
"""True and found energies below this are not compared: intervals of nothing."""

KEY = ["scope", "name", "division", "part"]
COMPARED_COLUMNS = (*KEY, "total", "low", "high", "fixed_low", "fixed_high", "truth")


def compare_phases(source: Mapping[str, Any], *, setting: str = "reported") -> pl.DataFrame:
    """Compare intervals of the phases of papers, and of kinds of papers and the site, with truth.

    Args:
        source: Configuration of the simulated source, with `start` and `end`.
        setting: What labels give, as in `paper_ratios.SETTINGS`.

    Returns:
        `COMPARED_COLUMNS`: `fixed_low` and `fixed_high` are the interval with kinds as found.
        Rows of the kind and phase `unknown` are left out: no run is of it.
    """
    study = paper_ratios._study(source)
    labelled, _ = paper_ratios._labels(study, setting, 0, 0)
    inputs = paper_ratios.ratio_inputs(study, study.fast.jobs, labelled)
    truth = _true_energies(study)
    found = {}
    for name, runs in (("", inputs.runs), ("fixed_", _with_certain_kinds(inputs.runs))):
        rows = inputs.rows(runs)
        found[name] = part_energies.energies_of_parts(
            rows,
            inputs.with_papers(runs),
            labelled=roles.labels_of_runs(labelled.lazy()),
            jobs=study.fast.jobs.lazy(),
            errors=study.errors,
            site="site",
        ).select(
            *KEY,
            pl.col("total_kwh").alias("total"),
            pl.col("total_low_kwh").alias(f"{name}low"),
            pl.col("total_high_kwh").alias(f"{name}high"),
        )
    return (
        found[""]
        .join(found["fixed_"].drop("total"), on=KEY, how="left")
        .join(truth, on=KEY, how="left")
        .with_columns(pl.col("truth").fill_null(0.0))
        .filter(
            pl.col("part") != "unknown",
            ~((pl.col("scope") == "site") & (pl.col("division") == "phase")),
            pl.max_horizontal("total", "truth") > MIN_KWH,
            pl.col("low").is_not_null(),
        )
        .select(COMPARED_COLUMNS)
    )


def _with_certain_kinds(runs: pl.LazyFrame) -> pl.LazyFrame:
    """Runs whose found kinds are certain, so that no energy moves but that of unknown kinds."""
    kind = pl.col("kind").cast(pl.String)
    is_known = kind != "unknown"
    return runs.with_columns(
        pl.when(is_known)
        .then((kind == name.removeprefix("p_")).cast(pl.Float64))
        .otherwise(name)
        .alias(name)
        for name in PROBABILITY_COLUMNS
    )


def _true_energies(study: paper_ratios._Study) -> pl.DataFrame:
    """`KEY` and `truth` (kWh): true phases of papers, true kinds of papers and of the site."""
    kinds = study.true_kinds.select("job_id", pl.col("kind").cast(pl.String))
    rows = study.job_nodes.join(kinds, on="job_id").with_columns(pl.col("phase").cast(pl.String))
    papers = rows.drop_nulls("paper").with_columns(scope=pl.lit("paper"), name="paper")
    site = rows.with_columns(scope=pl.lit("site"), name=pl.lit("site"))
    parts = [(papers, "phase"), (papers, "kind"), (site, "kind")]
    return pl.concat(
        own.drop_nulls(division)
        .group_by("scope", "name", part=division)
        .agg(truth=pl.col("true_kwh").sum())
        .select("scope", "name", pl.lit(division).alias("division"), "part", "truth")
        for own, division in parts
    )
