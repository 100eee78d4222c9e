"""Recorded runs of one machine that overlap: tools record whole machines, so that one counts."""

from __future__ import annotations

from bisect import bisect_left, insort

import polars as pl

SAME_MACHINE_AND_TIME = "the same machine, at the same time"
SAME_TIME_BY_OTHER_TOOL = "another tool recorded the same time"
SAME_TIME_ON_UNKNOWN_NODE = "the same time as another record, and its node is not known"

MAX_OVERLAP_S = 5.0
"""Longest overlap of runs that follow each other: a tool writes its times in whole seconds."""

PREFERRED_TOOL = "codecarbon"
"""Tool that counts where several tools recorded the same time: it counts memory too."""

Interval = tuple[float, float, str]
"""Start and end of a run, in seconds since 1970, and its tool."""


def with_machine(runs: pl.DataFrame, nodes_of_jobs: pl.LazyFrame) -> pl.DataFrame:
    """Runs with their `machine`: the node that they were recorded on; null: unknown.

    It is the node of a job that held one node, else the host of the run if the job held it.

    Args:
        runs: `job`, `host` and other columns.
        nodes_of_jobs: `job`, `node`, without repetitions.
    """
    jobs = nodes_of_jobs.group_by("job").agg(nodes="node").collect()
    nodes = pl.col("nodes")
    machine = (
        pl.when(nodes.list.len() == 1)
        .then(nodes.list.first())
        .when(nodes.list.contains(pl.col("host")))
        .then("host")
    )
    return (
        runs.join(jobs, on="job", how="left", maintain_order="left")
        .with_columns(machine=machine)
        .drop("nodes")
    )


def overlapping_runs(runs: pl.DataFrame) -> pl.DataFrame:
    """Runs that are not used, because another run of the same job and machine is.

    Runs of CodeCarbon count before those of other tools, and longer runs before shorter ones. A run
    whose machine is not known overlaps runs of all machines of its job.

    Args:
        runs: Runs without a reason: `index`, `job`, `tool`, `machine` (null: unknown),
            `started_at`, `stopped_at`, `duration_s`.

    Returns:
        `index`, `why`.
    """
    ordered = runs.sort(
        pl.col("machine").is_null(),
        pl.col("tool") != PREFERRED_TOOL,
        "duration_s",
        "started_at",
        "index",
        descending=[False, False, True, False, False],
    )
    times = pl.col("started_at", "stopped_at").dt.epoch("us") / 1e6
    taken: dict[int, dict[str | None, list[Interval]]] = {}
    found = []
    for index, job, machine, *interval in ordered.select(
        "index", "job", "machine", times, "tool"
    ).iter_rows():
        start_s, stop_s, tool = interval
        of_job = taken.setdefault(job, {})
        tools = {
            other
            for name, intervals in of_job.items()
            if machine in (name, None)
            for other in _overlapping_tools(intervals, start_s, stop_s)
        }
        if not tools:
            insort(of_job.setdefault(machine, []), (start_s, stop_s, tool))
        elif machine is None:
            found.append((index, SAME_TIME_ON_UNKNOWN_NODE))
        else:
            found.append(
                (index, SAME_MACHINE_AND_TIME if tool in tools else SAME_TIME_BY_OTHER_TOOL)
            )
    schema = {"index": runs.schema["index"], "why": pl.String()}
    return pl.DataFrame(found, schema=schema, orient="row")


def _overlapping_tools(intervals: list[Interval], start_s: float, stop_s: float) -> set[str]:
    """Return the tools of the intervals that a run overlaps for more than `MAX_OVERLAP_S`.

    Args:
        intervals: Intervals, sorted, that hardly overlap each other.
        start_s: Start of the run.
        stop_s: End of the run.
    """
    allowed_s = min(MAX_OVERLAP_S, 0.5 * (stop_s - start_s))
    first = max(bisect_left(intervals, (start_s, stop_s, "")) - 1, 0)
    found = set()
    for start, stop, tool in intervals[first:]:
        if start >= stop_s:
            break
        if min(stop_s, stop) - max(start_s, start) > allowed_s:
            found.add(tool)
    return found
