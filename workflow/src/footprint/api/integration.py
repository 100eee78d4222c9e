"""Energy of jobs from two frames, by the engine of the pipeline."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta

import dataframely as dy
import polars as pl

from footprint.api import frames
from footprint.core import calendar
from footprint.core.errors import InputError
from footprint.core.vocabulary import GATES
from footprint.energy import attribution, gap_energy, job_energy
from footprint.energy.sample_intervals import INTEGRATION_METHODS, IntegrationMethod
from footprint.schemas.energy import JobNodeEnergy
from footprint.schemas.writing import conform
from footprint.totals import study_totals
from footprint.totals.error_model import ErrorModel
from footprint.totals.meter_error import MeterInterval

MOST_GAP_S = 1e9
"""Highest `max_gap_s`, about 30 years."""


class IntegratedEnergy(dy.Schema):
    """Energy of a job on one of its nodes; columns as in `job_nodes` of a study."""

    job_id = JobNodeEnergy.job_id
    node = JobNodeEnergy.node
    share = JobNodeEnergy.share
    duration_s = JobNodeEnergy.duration_s
    measured_kwh = JobNodeEnergy.measured_kwh
    covered_s = JobNodeEnergy.covered_s
    coverage_frac = JobNodeEnergy.coverage_frac
    estimated_kwh = JobNodeEnergy.estimated_kwh
    resolution_kwh = JobNodeEnergy.resolution_kwh
    sampling_kwh = JobNodeEnergy.sampling_kwh
    gap_kwh = JobNodeEnergy.gap_kwh
    total_kwh = JobNodeEnergy.total_kwh
    total_low_kwh = JobNodeEnergy.total_low_kwh
    total_high_kwh = JobNodeEnergy.total_high_kwh


def integrate(
    power: pl.DataFrame | pl.LazyFrame,
    allocations: pl.DataFrame | pl.LazyFrame,
    gate: str = "reserved",
    method: str = "trapezoid",
    max_gap_s: float = 30,
    *,
    idle_power_w: Mapping[str, float] | None = None,
) -> dy.DataFrame[IntegratedEnergy]:
    """Energy of each job on each of its nodes, from samples of power and allocations.

    The numbers are those of the pipeline for the same samples and allocations (docs/method.md,
    sections 2 to 6). The energy of time without samples is in `estimated_kwh`, never in
    `measured_kwh`, and lowers `coverage_frac`: a job that lasts longer than the samples has a
    coverage below 1. It is estimated from the node's samples while the same jobs held it, else from
    those of the job's other nodes of the same cluster, which is the name of the node before its
    last hyphen. Without either it is null.

    Rows may be in any order. Times in other zones are converted to UTC, repeated samples are used
    once, and samples without power (null or NaN) count as no reading. A node's samples must be of
    one series: two meters with times of their own would be taken as one. Allocations of no duration
    get no row. Readings of single GPUs, which the pipeline uses under `two_part`, are not used.

    Args:
        power: Samples: `node`, `timestamp` (with a time zone), `power_w` (W). Samples of nodes
            without an allocation are not used.
        allocations: What each job held: `job_id` (whole number), `node`, `started_at`,
            `stopped_at` (with a time zone), and `share` of the node, 0 to 1, which is 1 where the
            column is missing. All jobs of the nodes are needed for the gates `active` and
            `two_part`, which divide power among the jobs that are there.
        gate: Part of a node's power that a job gets. `reserved`: its share; `binary`: all of it;
            `active`: its share among the shares held; `two_part`: its share of the idle power, and
            its share among the shares held of the rest.
        method: `trapezoid`, `inner_trapezoid`, `left_hold` or `sum_of_samples` (docs/method.md,
            section 2).
        max_gap_s: Longest time between two samples that is not a gap, in seconds.
        idle_power_w: Idle power (W) of each node, for the gate `two_part`.

    Returns:
        One row a job and node, sorted, with an energy of null where nothing was measured.

    Raises:
        InputError: A frame, gate, method or idle power that cannot be used; the message is one
            line: where, what is wrong, how to fix it.

    Example:
        >>> from datetime import UTC, datetime, timedelta
        >>> import polars as pl
        >>> import footprint
        >>> ten, hour = datetime(2025, 3, 3, 10, tzinfo=UTC), timedelta(hours=1)
        >>> times = pl.datetime_range(ten, ten + hour, "5s", eager=True)
        >>> power = pl.DataFrame({"node": "graffiti-1", "timestamp": times, "power_w": 400.0})
        >>> allocations = pl.DataFrame(
        ...     {"job_id": [7, 8], "node": "graffiti-1", "share": [0.5, 0.25]}
        ... ).with_columns(started_at=ten, stopped_at=pl.Series([ten + hour, ten + 2 * hour]))
        >>> energy = footprint.integrate(power, allocations)
        >>> numbers = pl.col("measured_kwh", "coverage_frac", "estimated_kwh")
        >>> energy.select("job_id", numbers.round(6)).rows()
        [(7, 0.2, 1.0, 0.0), (8, 0.1, 0.5, 0.1)]
    """
    _check_choice("gate", gate, GATES)
    _check_choice("method", method, INTEGRATION_METHODS)
    if not isinstance(max_gap_s, int | float) or not 0 < max_gap_s < MOST_GAP_S:
        raise InputError(
            f"is {max_gap_s}", where="max_gap_s", do=f"set seconds between 0 and {MOST_GAP_S:.0f}"
        )
    held = frames.read_allocations(allocations, gate=gate)
    nodes = held["node"].unique().sort().to_list()
    samples = frames.read_samples(power, nodes)
    settings = attribution.IntegrationSettings(gate, IntegrationMethod(method, max_gap_s, 0.0))
    idle_w = _check_idle_power(idle_power_w, nodes) if gate == "two_part" else None
    records = attribution.NodeRecords(held, idle_power_w=idle_w)
    margin = timedelta(seconds=max_gap_s)

    def energy_of_month(start: datetime, end: datetime) -> attribution.AttributedEnergy:
        near = pl.col("timestamp").is_between(start - margin, end + margin)
        return attribution.attribute_with_segments(
            nodes,
            lambda node: samples[node].filter(near),
            settings,
            records,
            start=start,
            end=end,
        )

    windows = list(_months_of(held))
    if not windows:
        return IntegratedEnergy.create_empty()
    months = [energy_of_month(start, end) for start, end in windows]
    by_node = pl.LazyFrame({"node": nodes}).with_columns(
        cluster=_cluster_of_node(), has_gpu=pl.lit(False)
    )
    gaps = [
        gap_energy.estimate_gaps(
            of_cluster,
            held,
            calendar.Window(windows[0][0], windows[-1][1]),
            gate=gate,
            hardware=None,
            models=None,
            series=None,
        ).jobs
        for of_cluster in _by_cluster(pl.concat(month.segments for month in months))
    ]
    energy = job_energy.job_node_energies(
        pl.concat(month.jobs for month in months).lazy(),
        by_node,
        method=method,
        gaps=pl.concat(gaps).lazy(),
    )
    errors = ErrorModel.of_study(None, vars(MeterInterval()))
    rows: dy.DataFrame[IntegratedEnergy] = conform(
        IntegratedEnergy, study_totals.add_job_totals(energy, errors)
    )
    return rows


def _cluster_of_node() -> pl.Expr:
    """Name of the node before its last hyphen."""
    return pl.col("node").str.replace("-[^-]*$", "")


def _by_cluster(segments: pl.DataFrame) -> list[pl.DataFrame]:
    """Segments of each cluster, by the name of the cluster."""
    of_clusters = segments.with_columns(cluster=_cluster_of_node()).sort("cluster")
    return of_clusters.partition_by("cluster", include_key=False, maintain_order=True)


def _months_of(held: pl.DataFrame) -> Iterator[tuple[datetime, datetime]]:
    """Windows of the engine between the first start and the last end: UTC months of whole days.

    The period and the step of a sensor may differ between months, as in the pipeline.
    """
    if held.is_empty():
        return
    first, last = held.select(pl.col("started_at").min(), pl.col("stopped_at").max()).row(0)
    last_day = (last - timedelta.resolution).astimezone(UTC).date()
    end = datetime.combine(last_day, time.min, UTC) + timedelta(days=1)
    for month in calendar.months_between(first, end):
        yield calendar.month_in_study(month, f"{first:%Y-%m-%d}", f"{end:%Y-%m-%d}")


def _check_choice(name: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise InputError(f"{value!r} is unknown", where=name, do=f"use {', '.join(known)}")


def _check_idle_power(
    given: Mapping[str, float] | None, nodes: Collection[str]
) -> Mapping[str, float]:
    """Idle power of every node; refused where one is missing or no power."""
    known = given if isinstance(given, Mapping) else {}
    for node in nodes:
        power_w = known.get(node)
        if not isinstance(power_w, int | float) or not 0 <= power_w < math.inf:
            raise InputError(
                f"is {power_w} for {node}, and the gate two_part needs it",
                where="idle_power_w",
                do=f'set it in W, as in idle_power_w={{"{node}": 150.0}}',
            )
    return known
