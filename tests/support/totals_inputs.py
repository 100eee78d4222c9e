"""Rows of jobs on nodes, and errors of meters and estimates, for tests of totals."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from footprint.totals.error_model import ErrorModel

METERS: Mapping[str, Any] = {"low": 0.95, "high": 1.15, "correlation": 0.5, "calibration": {}}


def error_model(
    *,
    measured: Sequence[str] = ("a", "b"),
    unmeasured: Sequence[str] = ("u", "v"),
    cluster_sd: float = 0.12,
    mean_sd: float = 0.08,
    df: int = 5,
    run_sd: float = 0.1,
    **meters: Any,
) -> ErrorModel:
    """Errors of a study; errors of the basis `hardware` are twice those of `virtual_meter`."""
    clusters = [*measured, *unmeasured]
    table = pl.DataFrame(
        {
            "basis": basis,
            "cluster": cluster,
            "is_measured": cluster in measured,
            "n_clusters": len(measured),
            "cluster_sd_log": cluster_sd * factor,
            "mean_sd_log": mean_sd * factor,
            "degrees_of_freedom": df,
            "run_sd_log": run_sd * factor,
        }
        for basis, factor in (("virtual_meter", 1), ("hardware", 2))
        for cluster in clusters
    )
    return ErrorModel.of_study(table, {**METERS, **meters})


def job_node(job_id: int, node: str, measured: float | None = None, **more: Any) -> dict[str, Any]:
    """A row of a job on a node (`a-1` is of cluster a); `estimated_kwh` sums its parts."""
    parts = ("own_readings_kwh", "same_job_kwh", "virtual_meter_kwh", "hardware_kwh")
    row: dict[str, Any] = dict.fromkeys(
        (*parts, "sampling_kwh", "resolution_kwh", "gap_kwh", "unknown_node_h"), 0.0
    )
    row |= {"job_id": job_id, "node": node, "cluster": node.split("-")[0]}
    row |= {"measured_kwh": measured, "share": 1.0, "covered_s": 3600.0 if measured else 0.0}
    row |= {"similar": None} | more
    return {"estimated_kwh": sum(row[part] or 0.0 for part in parts)} | row


def frame(*rows: Mapping[str, Any]) -> pl.LazyFrame:
    """A frame of such rows."""
    types = {"measured_kwh": pl.Float64, "estimated_kwh": pl.Float64, "similar": pl.Int64}
    return pl.LazyFrame(list(rows), schema_overrides=types, infer_schema_length=None)


def amounts(*rows: tuple[str, str, float, float]) -> pl.DataFrame:
    """Amounts of groups: (group, cluster, measured, virtual meter), without independent errors."""
    return pl.DataFrame(
        rows,
        schema={
            "name": pl.String,
            "cluster": pl.String,
            "measured_kwh": pl.Float64,
            "virtual_meter_kwh": pl.Float64,
        },
        orient="row",
    ).with_columns(hardware_kwh=0.0, independent_kwh2=0.0)


EXACT = error_model(
    cluster_sd=0.0,
    mean_sd=0.0,
    run_sd=0.0,
    low=1.0,
    high=1.0,
    calibration={cluster: {"slope": 1.0, "residual_w": 0.0} for cluster in ("a", "b")},
)
"""Meters and estimates without error: intervals are of sampling, resolution and gaps alone."""
