"""Other ways to the energy of jobs, from the same Parquet files and with the same results.

Power is linear between samples at most `MAX_GAP_S` apart and unknown elsewhere. A job gets its
share of the node's energy between its bounds. Each function returns `job_id` and `energy_j` in J.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

MAX_GAP_S = 30.0


def duckdb_asof(power: Sequence[Path], held: Sequence[Path]) -> pl.DataFrame:
    """Cumulative energy by a window function, joined to the jobs' bounds by DuckDB's ASOF join."""
    import duckdb

    powers, allocations = ([str(path) for path in paths] for paths in (power, held))
    return duckdb.sql(f"""
        WITH samples AS (
            SELECT node, epoch_us(timestamp) AS t, power_w AS p,
                lead(epoch_us(timestamp)) OVER w AS next_t, lead(power_w) OVER w AS next_p
            FROM read_parquet({powers}) WINDOW w AS (PARTITION BY node ORDER BY timestamp)
        ), steps AS (
            SELECT *, CASE WHEN next_t - t <= {MAX_GAP_S * 1e6} THEN next_t - t ELSE 0 END AS long
            FROM samples
        ), running AS (
            SELECT *, coalesce(sum((p + next_p) / 2 * long) OVER (
                PARTITION BY node ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ), 0) AS before
            FROM steps
        ), bounds AS (
            SELECT job_id, node, share, epoch_us(started_at) AS t, -1 AS sign
            FROM read_parquet({allocations})
            UNION ALL
            SELECT job_id, node, share, epoch_us(stopped_at), 1 FROM read_parquet({allocations})
        )
        SELECT job_id, sum(sign * share * (before + CASE WHEN long > 0 THEN
            (p + (next_p - p) * (bounds.t - running.t) / long / 2) * (bounds.t - running.t)
            ELSE 0 END)) * 1e-6 AS energy_j
        FROM bounds ASOF JOIN running ON bounds.node = running.node AND bounds.t >= running.t
        GROUP BY job_id
    """).pl()


def polars_join_asof(power: Sequence[Path], held: Sequence[Path]) -> pl.DataFrame:
    """Cumulative energy by Polars, joined to the jobs' bounds by one `join_asof`."""
    long = pl.col("t").shift(-1) - pl.col("t")
    step = pl.col("p").shift(-1)
    samples = (
        pl.scan_parquet(list(power))
        .select("node", t=pl.col("timestamp").cast(pl.Int64), p="power_w")
        .with_columns(
            next_p=step.over("node"),
            long=pl.when(long <= MAX_GAP_S * 1e6).then(long).otherwise(0).over("node"),
        )
        .with_columns(
            before=((pl.col("p") + pl.col("next_p")) / 2 * pl.col("long"))
            .fill_null(0)
            .cum_sum()
            .shift(1, fill_value=0)
            .over("node")
        )
    )
    allocations = pl.scan_parquet(list(held))
    bounds = pl.concat(
        allocations.select(
            "job_id", "node", "share", t=pl.col(bound).cast(pl.Int64), sign=pl.lit(sign)
        )
        for bound, sign in (("started_at", -1.0), ("stopped_at", 1.0))
    ).sort("t")
    since = pl.col("t") - pl.col("t_sample")
    inside_w = pl.col("p") + (pl.col("next_p") - pl.col("p")) * since / pl.col("long") / 2
    reached = pl.when(pl.col("long") > 0).then(inside_w * since).otherwise(0)
    return (
        bounds.join_asof(
            samples.with_columns(t_sample="t").sort("t"), on="t", by="node", check_sortedness=False
        )
        .group_by("job_id")
        .agg(
            energy_j=(pl.col("sign") * pl.col("share") * (pl.col("before") + reached)).sum() * 1e-6
        )
        .collect()
    )


def pandas_by_job(power: Sequence[Path], held: Sequence[Path]) -> pl.DataFrame:
    """Samples of each job selected with pandas and summed, as in a notebook."""
    import pandas as pd

    series = {
        node: (each["timestamp"].astype("int64").to_numpy(), each["power_w"].to_numpy())
        for path in power
        for node, each in pd.read_parquet(path).groupby("node", observed=True)
    }
    jobs = pd.concat(pd.read_parquet(path) for path in held)
    energies = []
    for job in jobs.itertuples():
        times, watts = series[job.node]
        begin, stop = (int(at.timestamp() * 1e6) for at in (job.started_at, job.stopped_at))
        inside = slice(*np.searchsorted(times, [begin, stop]))
        # with the samples next to the bounds, for interpolation
        around = slice(max(0, inside.start - 1), inside.stop + 1)
        t, p = times[around].astype(np.float64), watts[around]
        whole = np.diff(t) <= MAX_GAP_S * 1e6
        low, high = np.maximum(t[:-1], begin), np.minimum(t[1:], stop)
        middle_w = np.interp((low + high) / 2, t, p)
        energies.append(job.share * (middle_w * (high - low))[whole].sum() * 1e-6)
    return pl.DataFrame({"job_id": jobs["job_id"].to_numpy(), "energy_j": energies})
