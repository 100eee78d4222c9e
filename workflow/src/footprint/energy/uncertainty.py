"""Half widths of 95 % intervals, from a job on a node up to a site.

Each row of `job_nodes` has four half widths, which add up in different ways:

- *calibration*: the sensors of a cluster read a few per cent low or high, alike on all its nodes
  and for all jobs. Within a cluster the error is systematic: half widths add linearly over nodes
  and jobs. Each cluster has a calibration of its own, measured apart from the others, so that the
  sums of different clusters add in quadrature.
- *quantisation*: a sensor that reads in steps can be off by half a step for as long as the load is
  steady. The nodes of one job run the same work at the same time, so that half widths add linearly
  within a job. Other jobs lie elsewhere on the steps: over jobs they add in quadrature.
- *sampling* (power between two samples) and *gap* (estimated energy): random, in quadrature over
  nodes and jobs.

With the half widths c, q, s and g of job j on node n of cluster k, the half width of a group of
jobs is::

    sqrt( sum_k (sum_jn in k c)^2 + sum_j [ (sum_n q)^2 + sum_n (s^2 + g^2) ] )

since systematic and random errors do not depend on each other. For one job on one node it is the
square root of the sum of the four squares (JCGM 100:2008, sections 5.1 and 5.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from footprint.core.sums import sum_or_zero

HALF_WIDTH_COLUMNS = ("calibration_kwh", "resolution_kwh", "sampling_kwh", "gap_kwh")


def combine_half_widths(job_nodes: pl.LazyFrame, *, by: Sequence[str]) -> pl.LazyFrame:
    """Half width (kWh) of the 95 % interval of the energy of each group of jobs.

    Args:
        job_nodes: `job_id`, `cluster`, the columns of `by`, and the half widths `calibration_kwh`,
            `resolution_kwh`, `sampling_kwh` and `gap_kwh` (null where the energy that they belong
            to is unknown, and not part of the group's).
        by: Columns that make a group: `["job_id"]` for jobs, `["project"]` for projects.

    Returns:
        The columns of `by` and `half_width_kwh`, one row a group, sorted by `by`; null for a group
        in which every half width is null.
    """
    calibration, quantisation, sampling, gap = (
        pl.col(part).fill_null(0.0) for part in HALF_WIDTH_COLUMNS
    )
    known = pl.any_horizontal(pl.col(part).is_not_null() for part in HALF_WIDTH_COLUMNS)
    random = sum_or_zero(quantisation).pow(2) + sum_or_zero(sampling.pow(2) + gap.pow(2))
    of_jobs = (
        job_nodes.group_by(list(dict.fromkeys([*by, "job_id"])))
        .agg(random.alias("random_kwh2"), known.any().alias("known"))
        .group_by(by)
        .agg(sum_or_zero(pl.col("random_kwh2")), pl.col("known").any())
    )
    of_clusters = (
        job_nodes.group_by(list(dict.fromkeys([*by, "cluster"])))
        .agg(sum_or_zero(calibration).pow(2).alias("systematic_kwh2"))
        .group_by(by)
        .agg(sum_or_zero(pl.col("systematic_kwh2")))
    )
    return (
        of_jobs.join(of_clusters, on=by, nulls_equal=True)
        .select(
            *by,
            pl.when("known")
            .then((pl.col("systematic_kwh2") + pl.col("random_kwh2")).sqrt())
            .alias("half_width_kwh"),
        )
        .sort(by)
    )
