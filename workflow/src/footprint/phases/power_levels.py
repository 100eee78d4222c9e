"""How long each job's power stood at which level: a histogram of its gated samples.

A level is 0 at idle power and 1 at the highest, of the node, and where the series of its GPUs are
known, of the GPUs that the job held. From the histogram follow the parts of the time below or above
any threshold, so that thresholds can be varied without reading the samples again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from footprint import activity, tables
from footprint import hardware as descriptions
from footprint.device_use import MAX_GAP_S as MAX_GPU_GAP_S
from footprint.gpu_gates import node_of
from footprint.integration import Calibration
from footprint.intervals import Floats, Integers
from footprint.tables.phases import N_LEVELS

LEVELS = pl.Schema(
    {"job_id": pl.Int64(), "node": pl.String(), "level_s": pl.Array(pl.Float64(), N_LEVELS)}
)

WHOLE_NODE = 0.99
"""Part of a node from which on it is a job's own: all but what rounding leaves."""

IDLE_SPREAD = 1.25
"""GPUs of one model idle within a quarter of each other's power: one further above the lowest of
its cluster was busy whenever it was read. Exporters tell the most while jobs hold the node."""

LEAST_RANGE_W = 1.0
"""Range of a node that never moved: a sensor reads whole watts at best."""


class Span(NamedTuple):
    """Idle and highest power, between which levels are counted."""

    idle_w: float
    max_w: float


def levels(
    nodes: Sequence[str],
    read: Callable[[str], pl.DataFrame],
    read_gpus: Callable[[str], pl.DataFrame] | None,
    *,
    pieces: pl.DataFrame,
    gpu_pieces: pl.DataFrame | None,
    node_power: pl.DataFrame,
    hardware: pl.DataFrame,
    max_gap_s: float,
    calibration: Calibration | None = None,
) -> pl.DataFrame:
    """Seconds at each level of power, of every job on the nodes of a cluster, over the study.

    The samples of one node are in memory at a time.

    Args:
        nodes: Names of the cluster's nodes.
        read: Gives a node's `timestamp` and `power_w` over the study, strictly ascending in time.
        read_gpus: Gives the readings of a node's GPUs (`gpu`, `timestamp`, `power_w`), ascending in
            time for each GPU; None: there are none.
        pieces: `gates.PIECES` of the nodes.
        gpu_pieces: Result of `gpu_gates.build`, needed with `read_gpus`.
        node_power: `tables.NodePower` of the cluster.
        hardware: `tables.Hardware`, whose power limits are the highest level of a GPU.
        max_gap_s: A sample of a node counts until the next, where that comes within so many
            seconds, and not at all elsewhere, as in the integration of energy.
        calibration: Applied to a node's samples, as in `node_power`.

    Returns:
        `tables.PowerLevels`. No row for a node whose idle or highest power is not known, nor where
        neither the node nor a GPU was read while the job held it.
    """
    spans = node_spans(node_power)
    limits = limits_w(hardware)
    held = _by_node(pieces)
    gpus_held = _by_node(gpu_pieces, of_gpus=True)
    line = calibration or Calibration()
    power = (pl.col("power_w") * line.slope + line.offset).clip(lower_bound=0.0)
    known = [node for node in nodes if node in spans and node in held]
    none = pl.DataFrame(schema=LEVELS)
    found = [none]
    for node in known:
        samples = read(node).with_columns(power_w=power)
        found.append(seconds_at_levels(node, samples, spans[node], held[node], max_gap_s=max_gap_s))
    with_gpus = [node for node in known if read_gpus is not None and node in gpus_held]
    of_gpus = [none]
    if read_gpus is not None and with_gpus:
        gpus = gpu_spans(with_gpus, read_gpus, limits)
        for node in with_gpus:
            of_gpus.append(gpu_levels(node, read_gpus(node), gpus[node], gpus_held[node]))
    table: pl.DataFrame = tables.conform(
        tables.PowerLevels, _joined(pl.concat(found), pl.concat(of_gpus), spans)
    )
    return table


def _joined(of_nodes: pl.DataFrame, of_gpus: pl.DataFrame, spans: Mapping[str, Span]) -> Any:
    names = list(spans)
    watts = pl.DataFrame(
        {
            "node": names,
            "idle_power_w": [spans[name].idle_w for name in names],
            "max_power_w": [spans[name].max_w for name in names],
        },
        schema={"node": pl.String(), "idle_power_w": pl.Float64(), "max_power_w": pl.Float64()},
    )
    return (
        of_nodes.rename({"level_s": "node_level_s"})
        .join(
            of_gpus.rename({"level_s": "gpu_level_s"}),
            on=["job_id", "node"],
            how="full",
            coalesce=True,
        )
        .join(watts, on="node")
        .with_columns(pl.col("node_level_s", "gpu_level_s").cast(pl.List(pl.Float64)))
    )


def _by_node(pieces: pl.DataFrame | None, *, of_gpus: bool = False) -> dict[str, pl.DataFrame]:
    if pieces is None:
        return {}
    held = pieces.filter(pl.col("share") > 0).with_columns(
        of=node_of() if of_gpus else pl.col("node")
    )
    return {str(of): own.drop("of") for (of,), own in held.partition_by("of", as_dict=True).items()}


def node_spans(node_power: pl.DataFrame) -> dict[str, Span]:
    """Idle and highest power of each node of a cluster where both are known.

    A node that was never busy in the study would have its own noise for a range, so the highest is
    at least the median of the cluster's.

    Args:
        node_power: `tables.NodePower` of one cluster.
    """
    usual_w = pl.col("max_power_w").median()
    known = node_power.with_columns(max_power_w=pl.max_horizontal("max_power_w", usual_w))
    rows = known.drop_nulls(["idle_power_w", "max_power_w"]).sort("node")
    return {
        node: Span(idle_w, max(max_w, idle_w + LEAST_RANGE_W))
        for node, idle_w, max_w in rows.select("node", "idle_power_w", "max_power_w").iter_rows()
    }


def limits_w(hardware: pl.DataFrame) -> dict[str, dict[int, float]]:
    """Power limit of each GPU of each node, by the node's last description, where it is known.

    Args:
        hardware: `tables.Hardware`.
    """
    each = (
        descriptions.latest(hardware)
        .select("node", "gpus", "gpu_limits_w")
        .explode("gpus", "gpu_limits_w", empty_as_null=False, keep_nulls=False)
    )
    found: dict[str, dict[int, float]] = {}
    for node, gpu, limit_w in each.drop_nulls().iter_rows():
        found.setdefault(node, {})[gpu] = limit_w
    return found


def gpu_spans(
    nodes: Sequence[str],
    read_gpus: Callable[[str], pl.DataFrame],
    limits: Mapping[str, Mapping[int, float]],
) -> dict[str, dict[int, Span]]:
    """Idle power and power limit of each GPU of a cluster where both are known.

    Idle power is that of `activity.idle_power_w`, but at most `IDLE_SPREAD` times the lowest of the
    cluster's GPUs of the same limit.

    Args:
        nodes: Names of the cluster's nodes.
        read_gpus: Gives the readings of a node's GPUs.
        limits: Result of `limits_w`.
    """
    idle_w = {node: activity.idle_power_w(read_gpus(node)) for node in nodes}
    lowest_w: dict[float, float] = {}
    for node in nodes:
        for gpu, limit_w in limits.get(node, {}).items():
            own_w = idle_w[node].get(gpu, np.inf)
            lowest_w[limit_w] = min(own_w, lowest_w.get(limit_w, np.inf))
    return {
        node: {
            gpu: Span(own_w, max(limit_w, own_w + LEAST_RANGE_W))
            for gpu, limit_w in sorted(limits.get(node, {}).items())
            if gpu in idle_w[node]
            for own_w in [min(idle_w[node][gpu], IDLE_SPREAD * lowest_w[limit_w])]
        }
        for node in nodes
    }


def gpu_levels(
    node: str, readings: pl.DataFrame, spans: Mapping[int, Span], pieces: pl.DataFrame
) -> pl.DataFrame:
    """GPU seconds at each level that jobs held on a node: seconds x the part of the GPU held.

    Args:
        node: The node.
        readings: `gpu`, `timestamp`, `power_w` of its GPUs, ascending in time for each.
        spans: Idle power and power limit of each GPU.
        pieces: Result of `gpu_gates.build` of the node's GPUs.

    Returns:
        `LEVELS`, summed over the GPUs of a job, sorted by job.
    """
    each = [
        seconds_at_levels(
            node,
            readings.filter(pl.col("gpu") == gpu),
            span,
            pieces.filter(pl.col("node") == f"{node}/{gpu}"),
            max_gap_s=MAX_GPU_GAP_S,
            by_share=True,
        )
        for gpu, span in spans.items()
    ]
    rows = pl.concat([pl.DataFrame(schema=LEVELS), *each]).sort("job_id", maintain_order=True)
    return _summed_by_job(node, rows["job_id"].to_numpy(), rows["level_s"].to_numpy())


def seconds_at_levels(
    node: str,
    samples: pl.DataFrame,
    span: Span,
    pieces: pl.DataFrame,
    *,
    max_gap_s: float,
    by_share: bool = False,
) -> pl.DataFrame:
    """Seconds that one node or GPU spent at each level while each job held part of it.

    Args:
        node: Name for the rows.
        samples: `timestamp`, `power_w`, strictly ascending in time.
        span: Idle and highest power.
        pieces: `gates.PIECES` of this node or GPU.
        max_gap_s: Longest time that a sample counts for.
        by_share: Whether seconds count by the part held, as GPU seconds do.

    Returns:
        `LEVELS`, sorted by job; no row for a job without samples.
    """
    held = pieces.filter(pl.col("share") > 0).sort("job_id", "started_at")
    if held.is_empty() or samples.is_empty():
        return pl.DataFrame(schema=LEVELS)
    times_us = samples["timestamp"].cast(pl.Int64).to_numpy()
    length_us = np.append(np.diff(times_us), 0)
    length_us[length_us > max_gap_s * 1e6] = 0
    level = (samples["power_w"].to_numpy() - span.idle_w) / (span.max_w - span.idle_w)
    seconds = histograms(
        times_us,
        np.clip(np.floor(level * N_LEVELS), 0, N_LEVELS - 1).astype(np.int64),
        length_us,
        starts_us=held["started_at"].cast(pl.Int64).to_numpy(),
        stops_us=held["stopped_at"].cast(pl.Int64).to_numpy(),
    )
    if by_share:
        seconds *= held["share"].to_numpy()[:, None]
    return _summed_by_job(node, held["job_id"].to_numpy(), seconds)


def _summed_by_job(node: str, jobs: Integers, seconds: Floats) -> pl.DataFrame:
    """Rows of a job, which follow one another, added; those without a second left out."""
    if not len(jobs):
        return pl.DataFrame(schema=LEVELS)
    first = np.flatnonzero(np.diff(jobs, prepend=jobs[0] - 1))
    per_job = np.add.reduceat(seconds, first, axis=0)
    some = per_job.sum(axis=1) > 0
    return pl.DataFrame(
        {
            "job_id": jobs[first][some],
            "node": pl.repeat(node, int(np.count_nonzero(some)), eager=True, dtype=pl.String),
            "level_s": pl.Series(per_job[some], dtype=LEVELS["level_s"]),
        },
        schema=LEVELS,
    )


def histograms(
    times_us: Integers,
    bins: Integers,
    length_us: Integers,
    *,
    starts_us: Integers,
    stops_us: Integers,
) -> Floats:
    """Seconds in each bin inside each interval [start, stop), to the microsecond.

    Samples are counted once between the moments at which some interval begins or ends; an interval
    is then a difference of running sums, whatever its length. In whole microseconds, so that
    differences leave no residue.

    Args:
        times_us: Times of the samples, ascending.
        bins: Bin of each sample.
        length_us: How long each sample counts, at most until the next.
        starts_us: Start of each interval.
        stops_us: End of each interval.

    Returns:
        A row an interval, `N_LEVELS` columns.
    """
    cuts_us = np.unique(np.concatenate([starts_us, stops_us]))
    from_cut = np.searchsorted(times_us, cuts_us, side="left")
    n_between = np.diff(from_cut, prepend=0, append=len(times_us))
    between = np.repeat(np.arange(len(cuts_us) + 1), n_between)
    # sums of whole microseconds are exact in doubles up to 2^53, which is 285 years
    counted = np.bincount(
        between * N_LEVELS + bins, weights=length_us, minlength=(len(cuts_us) + 1) * N_LEVELS
    )
    running = np.cumsum(counted.reshape(-1, N_LEVELS), axis=0)
    # the sample before a cut counts beyond it: take off what lies there
    last = from_cut - 1
    row = np.flatnonzero(last >= 0)
    beyond_us = times_us[last[row]] + length_us[last[row]] - cuts_us[row]
    running[row, bins[last[row]]] -= np.maximum(beyond_us, 0)
    first, final = (np.searchsorted(cuts_us, moments) for moments in (starts_us, stops_us))
    return np.asarray((running[final] - running[first]) * 1e-6, dtype=np.float64)


def gpu_reader(devices: Sequence[str]) -> Callable[[str], pl.DataFrame] | None:
    """Reads a node's GPUs from partitions of `tables.DevicePower`; None where there are none.

    Args:
        devices: Partitions of a cluster, of every month of the study.
    """
    if not devices:
        return None

    def read(node: str) -> pl.DataFrame:
        own = pl.scan_parquet(list(devices)).filter(pl.col("node") == node)
        readings = own.select("gpu", "timestamp", "power_w").collect()
        # partitions begin with the end of the month before
        return readings.unique(["gpu", "timestamp"]).sort("gpu", "timestamp")

    return read


def below_frac(histogram: str, level: float) -> pl.Expr:
    """Part of a histogram's time below a level; a step that the level cuts counts in proportion.

    Args:
        histogram: Column of seconds at each level.
        level: From 0 (idle) to 1 (highest).

    Returns:
        Null where there is no histogram.
    """
    whole, part = divmod(min(max(level, 0.0), 1.0) * N_LEVELS, 1.0)
    steps = pl.col(histogram)
    cut = steps.list.get(int(whole), null_on_oob=True).fill_null(0.0) * round(part, 9)
    return (steps.list.head(int(whole)).list.sum() + cut) / steps.list.sum()


def own_below_frac(level: float, *, gpu_level: float) -> pl.Expr:
    """Part of the time that what a job held stood below a level, from both of its histograms.

    What others draw on a node lifts its level and not that of the job's own GPUs. Where these are
    known they tell, and on a node of its own the node must be as low, or its processors work.

    Args:
        level: Level of the node.
        gpu_level: Level of the GPUs.

    Returns:
        From `node_level_s`, `gpu_level_s` and `node_share`; null where neither is known.
    """
    node, gpus = below_frac("node_level_s", level), below_frac("gpu_level_s", gpu_level)
    alone = (pl.col("node_share") >= WHOLE_NODE).fill_null(False)
    return (
        pl.when(gpus.is_null())
        .then(node)
        .when(alone)
        .then(pl.min_horizontal(gpus, node))
        .otherwise(gpus)
    )
