"""Segments with readings, with device series and jobs, as the power models are fitted on them."""

from __future__ import annotations

import polars as pl

from footprint.core.calendar import Window
from footprint.energy import segments as cuts
from footprint.energy.power_model import OBSERVED_SCHEMA
from footprint.schemas.gaps import SegmentSeries


def observed_segments(
    segments: pl.LazyFrame,
    series: pl.LazyFrame | None,
    allocations: pl.LazyFrame,
    window: Window,
) -> pl.DataFrame:
    """Segments with readings (`power_model.OBSERVED_SCHEMA`), sorted by node and start.

    Args:
        segments: `schemas.gaps.Segments` of all clusters and months.
        series: `schemas.gaps.SegmentSeries` of all clusters and months; None: no device series.
        allocations: `node_allocations.ALLOCATION_SCHEMA`.
        window: Window of the study.
    """
    observed = segments.filter((pl.col("covered_s") > 0) & (pl.col("energy_j") > 0)).collect()
    rows = observed.sort("node", "from_us").with_row_index("row")
    limits = cuts.IntegrationWindow.of(window.start, window.end)
    held = cuts.clip_to_window(
        cuts.with_bounds_in_microseconds(allocations.filter(pl.col("share") > 0).collect(), limits),
        limits,
    )
    found = rows.join(_jobs_of_rows(rows, held), on="row", how="left", maintain_order="left")
    key = ["node", "from_us"]
    if series is None:
        columns = [name for name in SegmentSeries.column_names() if name not in key]
        found = found.with_columns(pl.lit(None, pl.Float64).alias(name) for name in columns)
    else:
        found = found.join(series.collect(), on=key, how="left", maintain_order="left")
    no_job = pl.lit([], pl.List(pl.Int64))
    return found.with_columns(pl.col("job_ids").fill_null(no_job)).select(list(OBSERVED_SCHEMA))


def _jobs_of_rows(rows: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Jobs that hold a part of the node, of each row that has any: `row`, `job_ids`.

    Args:
        rows: Segments with `row`, their number, sorted by node and start.
        held: Allocations whose bounds are bounds of segments: `job_id`, `node`, `held_from_us`,
            `held_to_us`.
    """
    places = rows.select("node", "row", "from_us", "to_us")
    first = held.select("job_id", "node", "held_from_us", "held_to_us").sort("held_from_us")
    # segments without readings are not among the rows: the first row from the start on, and the
    # last row up to the end
    bounded = first.join_asof(
        places.select("node", "from_us", first="row").sort("from_us"),
        left_on="held_from_us",
        right_on="from_us",
        by="node",
        strategy="forward",
        check_sortedness=False,
    ).sort("held_to_us")
    bounded = bounded.join_asof(
        places.select("node", "to_us", last="row").sort("to_us"),
        left_on="held_to_us",
        right_on="to_us",
        by="node",
        strategy="backward",
        check_sortedness=False,
    )
    numbers = pl.int_ranges("first", pl.col("last").cast(pl.Int64) + 1)
    return (
        bounded.drop_nulls(["first", "last"])
        .filter(pl.col("last") >= pl.col("first"))
        .select("job_id", row=numbers)
        .explode("row", empty_as_null=False, keep_nulls=False)
        .with_columns(pl.col("row").cast(places.schema["row"]))
        .group_by("row")
        .agg(job_ids=pl.col("job_id").unique().sort())
    )
