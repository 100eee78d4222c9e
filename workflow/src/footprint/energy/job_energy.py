"""Energy of each job, its coverage, estimate and interval, from the sums of each month."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from footprint.allocation.node_allocations import held_until, latest_end
from footprint.allocation.shares import SHARE_TOLERANCE
from footprint.core.calendar import Window
from footprint.core.sums import known_sum, quotient, sum_or_zero
from footprint.core.units import H_PER_S, KWH_PER_J, Z95
from footprint.core.vocabulary import WELL_COVERED_FRAC
from footprint.energy.attribution import JOB_SUM_COLUMNS
from footprint.energy.conservation import CONSERVATION_TOLERANCE_FRAC, ConservationError
from footprint.energy.gap_power import BASES
from footprint.energy.sample_intervals import COUNTER_METHOD, HOLDING_METHODS
from footprint.energy.study_records import StudyRecords


def job_node_energies(
    sums: pl.LazyFrame,
    nodes: pl.LazyFrame,
    *,
    method: str,
    gaps: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """Energy of each job on each of its nodes (`schemas.JobNodeEnergy`).

    The energy of time without measurement is estimated in columns of its own (`gap_energy`). A
    method of whole samples may find none inside a job; the mean power of the job on its other nodes
    of the cluster, else of all jobs of the cluster, then counts as `own_readings`. The half width
    of estimates from readings is that of the node's power under the job, as if the whole gap could
    be off by it (docs/method.md, sections 5 and 6).

    Args:
        sums: `job_id`, `node` and `attribution.JOB_SUM_COLUMNS`, by month.
        nodes: `node`, `cluster`, `has_gpu`.
        method: Integration method.
        gaps: `schemas.gaps.JobGaps` of all clusters; None: time without measurement is unknown.
    """
    held = (
        sums.sort("job_id", "node", *JOB_SUM_COLUMNS)
        .group_by("job_id", "node", maintain_order=True)
        .agg(sum_or_zero(pl.col(JOB_SUM_COLUMNS)))
        .join(nodes, on="node")
        .sort("job_id", "node")
    )
    is_nothing_held = pl.col("share_s") <= SHARE_TOLERANCE * pl.col("duration_s")
    # methods of whole samples may find no sample inside a job that the others measure
    has_samples = (
        pl.col("share_covered_s") > 0
        if method in ("trapezoid", *HOLDING_METHODS)
        else pl.col("energy_j") != 0
    )
    is_measured = is_nothing_held | has_samples
    held = held.with_columns(
        is_nothing_held=is_nothing_held,
        is_measured=is_measured,
        energy_j=pl.when(is_nothing_held).then(0.0).otherwise("energy_j"),
        # without a sample inside the job, the method covers none of it
        unsampled_s=pl.when(is_measured).then(0.0).otherwise("share_covered_s"),
        **{
            name: pl.when(is_measured).then(name).otherwise(0.0)
            for name in ("covered_s", "share_covered_s")
        },
    )
    held = _with_estimates(held, gaps)
    measured = pl.col("is_measured")
    # A sum of samples is off by up to half a period at each end, in either direction; inner
    # samples always leave out as much (docs/method.md, section 6). What a counter gained in the
    # time between two moves at each end is known, but not how much of it inside.
    edge_j = {
        COUNTER_METHOD: pl.col("edge_j") * (Z95 / 6**0.5),
        "sum_of_samples": pl.col("edge_j") * (Z95 / 6**0.5),
        "inner_trapezoid": pl.col("edge_j"),
    }.get(method, pl.lit(0.0))
    sampling_j = ((Z95**2) * pl.col("variance_j2") + edge_j.pow(2)).sqrt()
    from_readings_j = pl.col("own_readings_j") + pl.col("same_job_j")
    gap_j = Z95 * from_readings_j * _first_known(_relative_deviation)
    is_known = pl.col("is_known")
    return held.select(
        "job_id",
        "node",
        "cluster",
        "has_gpu",
        "duration_s",
        "covered_s",
        share=quotient(pl.col("share_s"), pl.col("duration_s")),
        gpu_hours=(pl.col("gpu_s") * H_PER_S).clip(lower_bound=0.0),
        core_hours=(pl.col("core_s") * H_PER_S).clip(lower_bound=0.0),
        measured_kwh=pl.when(measured).then(pl.col("energy_j") * KWH_PER_J),
        coverage_frac=pl.when("is_nothing_held")
        .then(quotient(pl.col("covered_s"), pl.col("duration_s")))
        .otherwise(quotient(pl.col("share_covered_s"), pl.col("share_s")))
        .clip(0.0, 1.0),
        **{
            f"{basis}_kwh": pl.when(is_known).then(pl.col(f"{basis}_j") * KWH_PER_J)
            for basis in BASES
        },
        estimated_kwh=pl.when(is_known).then(
            pl.sum_horizontal(f"{basis}_j" for basis in BASES) * KWH_PER_J
        ),
        unknown_node_h=pl.col("unknown_s") * H_PER_S,
        resolution_kwh=pl.when(measured).then(pl.col("quantisation_j") * KWH_PER_J),
        sampling_kwh=pl.when(measured).then(sampling_j * KWH_PER_J),
        gap_kwh=pl.when(from_readings_j == 0).then(0.0).otherwise(gap_j * KWH_PER_J),
    )


def _with_estimates(held: pl.LazyFrame, gaps: pl.LazyFrame | None) -> pl.LazyFrame:
    """Sums of jobs on nodes with their estimates in J by basis, `unknown_s` and `is_known`.

    `is_known` is false where time is without an estimate and no other time has one.

    Args:
        held: Sums of jobs on nodes, with `unsampled_s`.
        gaps: `schemas.gaps.JobGaps`; None: all time without measurement is without an estimate.
    """
    parts = [f"{basis}_j" for basis in BASES]
    if gaps is None:
        missing_s = pl.col("share_s") - pl.col("share_covered_s") - pl.col("unsampled_s")
        is_some = (missing_s > 1e-9 * pl.col("share_s")) & ~pl.col("is_nothing_held")
        found = held.with_columns(
            **dict.fromkeys(parts, pl.lit(0.0)),
            unknown_s=pl.when(is_some).then(missing_s).otherwise(0.0),
        )
    else:
        found = held.join(
            gaps.select("job_id", "node", *parts, "unknown_s"),
            on=["job_id", "node"],
            how="left",
            maintain_order="left",
        ).with_columns(pl.col(*parts, "unknown_s").fill_null(0.0))
    unsampled_j = pl.when(pl.col("unsampled_s") > 0).then(
        _first_known(_mean_power_w) * pl.col("unsampled_s")
    )
    is_unsampled = (pl.col("unsampled_s") > 0) & unsampled_j.is_null()
    return found.with_columns(
        own_readings_j=pl.col("own_readings_j") + unsampled_j.fill_null(0.0),
        unknown_s=pl.col("unknown_s") + pl.when(is_unsampled).then("unsampled_s").otherwise(0.0),
    ).with_columns(
        is_known=(pl.col("unknown_s") == 0) | (pl.sum_horizontal(parts) > 0),
    )


def _mean_power_w(group: list[str]) -> pl.Expr:
    """Mean power over the measured share x time, of each row or of its group."""
    energy, seconds = pl.col("energy_j"), pl.col("share_covered_s")
    if group:
        energy, seconds = sum_or_zero(energy).over(group), sum_or_zero(seconds).over(group)
    return quotient(energy, seconds)


def _relative_deviation(group: list[str]) -> pl.Expr:
    """Standard deviation over mean of the probed power, of each row or of its group."""
    sums = [pl.col(name) for name in ("n_probes", "probe_w", "probe_w2")]
    count, power, square = [sum_or_zero(each).over(group) if group else each for each in sums]
    variance = (square / count - (power / count).pow(2)).clip(lower_bound=0.0)
    return pl.when((count > 1) & (power > 0)).then(variance.sqrt() * count / power)


def _first_known(of: Callable[[list[str]], pl.Expr]) -> pl.Expr:
    """Quantity of the job on the node, else of the job on the cluster, else of the cluster."""
    groups: list[list[str]] = [[], ["job_id", "cluster"], ["cluster"]]
    return pl.coalesce([of(group) for group in groups])


def job_energies(per_node: pl.LazyFrame, records: StudyRecords) -> pl.LazyFrame:
    """Energy of each job (`schemas.JobEnergy`), with the login instead of the pseudonym.

    The energy of a job that never started, or lasted no second, is exactly 0. Energies are sums
    over the nodes for which they are known; `unknown_node_h` is the rest. `mean_power_w` is the sum
    of the mean powers of its nodes.

    Args:
        per_node: Result of `job_node_energies`.
        records: Records of the study.
    """
    weight = pl.col("share") * pl.col("duration_s")
    by_job = (
        per_node.sort("job_id", "node")
        .group_by("job_id", maintain_order=True)
        .agg(
            clusters=pl.col("cluster").unique().sort(),
            duration_s=pl.col("duration_s").max(),
            gpu_hours=sum_or_zero(pl.col("gpu_hours")),
            core_hours=sum_or_zero(pl.col("core_hours")),
            n_nodes=pl.len().cast(pl.Int64),
            measured_kwh=known_sum(pl.col("measured_kwh").drop_nulls()),
            coverage_frac=quotient(
                sum_or_zero(weight * pl.col("coverage_frac")), sum_or_zero(weight)
            ),
            estimated_kwh=known_sum(pl.col("estimated_kwh").drop_nulls()),
            unknown_node_h=sum_or_zero(pl.col("unknown_node_h")),
            mean_power_w=_power_of_nodes_w(),
            is_shared=(pl.col("share") < 1 - 1e-9).any(),
        )
    )
    basis = records.allocations.group_by("job_id").agg(
        assumed=(pl.col("basis") == "whole_node").any(), n_allocated=pl.len()
    )
    return (
        records.jobs.with_columns(similar=_similar_jobs())
        .join(by_job, on="job_id", how="left")
        .join(basis, on="job_id", how="left")
        .with_columns(
            pl.col("clusters").fill_null(pl.lit([], dtype=pl.List(pl.String))),
            pl.col("n_nodes").fill_null(0),
            pl.col("duration_s", "gpu_hours", "core_hours", "unknown_node_h").fill_null(0.0),
        )
        .with_columns(
            pl.when(_is_without_energy(records)).then(0.0).otherwise(pl.col(name)).alias(name)
            for name in ("measured_kwh", "estimated_kwh")
        )
        .with_columns(
            covered_s=(pl.col("coverage_frac") * pl.col("duration_s")).fill_null(0.0),
            flags=_job_flags(records),
        )
        .sort("job_id")
    )


def _similar_jobs() -> pl.Expr:
    """Number of the group of jobs with the same user and name, else the same user and command.

    A job with neither is a group of its own. Groups are numbered by their first job.
    """
    texts = [pl.when(pl.col(name) != "").then(pl.col(name)) for name in ("name", "command")]
    text = pl.coalesce(texts)
    first = (
        pl.when(text.is_null()).then("job_id").otherwise(pl.col("job_id").min().over("user", text))
    )
    return first.rank("dense").cast(pl.Int64)


def _power_of_nodes_w() -> pl.Expr:
    """Mean power (W) of a job: the sum over its nodes of total energy / allocated time.

    Null where the energy of a node is unknown: the sum over the other nodes would be the power of a
    part of the job.
    """
    total_kwh = pl.col("measured_kwh").fill_null(0.0) + pl.col("estimated_kwh")
    power_w = quotient(total_kwh * (1 / KWH_PER_J), pl.col("duration_s"))
    of_node = pl.when(total_kwh == 0).then(0.0).otherwise(power_w)
    return pl.when(of_node.is_not_null().all()).then(known_sum(of_node))


def _is_without_energy(records: StudyRecords) -> pl.Expr:
    """Whether a job cannot have used energy.

    Such a job never ran, ran outside the window, or was trimmed: a job shorter than the longest
    trim may lose all of its time to another on the same cores.
    """
    start, end = records.window
    begin = pl.max_horizontal("started_at", pl.lit(start))
    until = pl.min_horizontal(held_until(end), pl.lit(end))
    is_none = pl.col("started_at").is_null() | (until <= begin) | _is_trimmed(records)
    return (pl.col("duration_s") == 0) & is_none


def _is_trimmed(records: StudyRecords) -> pl.Expr:
    """Whether a job is among the trimmed ones."""
    return pl.col("job_id").is_in(records.trimmed_jobs().unique().implode())


def _job_flags(records: StudyRecords) -> pl.Expr:
    """Flags of a job (`schemas.JobEnergy`), a list of words in this order."""
    start, end = records.window
    never = pl.col("started_at").is_null()
    held_s = pl.col("duration_s")
    words = {
        "never_started": never,
        "starts_before_window": pl.col("started_at") < pl.lit(start),
        "ends_after_window": (latest_end() > pl.lit(end)) | (~never & latest_end().is_null()),
        "still_running": ~never & pl.col("stopped_at").is_null(),
        "nodes_unknown": (held_s == 0) & ~_is_without_energy(records),
        "unmeasured": (held_s > 0) & pl.col("measured_kwh").is_null(),
        "partly_measured": (held_s > 0)
        & pl.col("measured_kwh").is_not_null()
        & (pl.col("coverage_frac") < WELL_COVERED_FRAC),
        "shared_node": pl.col("is_shared"),
        "whole_node_assumed": pl.col("assumed"),
        "nodes_outside_study": (pl.col("n_nodes") > 0)
        & (pl.col("n_allocated") > pl.col("n_nodes")),
        "suspended": pl.col("state").is_in(["suspended", "resuming"])
        & pl.col("suspensions").is_null(),
        "walltime_unknown": ~never & latest_end().is_null(),
        "overlap_trimmed": _is_trimmed(records),
    }
    return pl.concat_list(
        pl.when(condition.fill_null(False)).then(pl.lit(word)) for word, condition in words.items()
    ).list.drop_nulls()


def jobs_of_study(
    records: pl.LazyFrame, allocations: pl.LazyFrame, nodes: pl.LazyFrame
) -> tuple[pl.LazyFrame, int]:
    """Jobs that held a node of the study or never held any, and the number of other jobs.

    Args:
        records: `schemas.Jobs`.
        allocations: `schemas.Allocations`.
        nodes: `schemas.Nodes` of the study.
    """
    here = allocations.join(nodes.select("node").unique(), on="node", how="semi")
    elsewhere = allocations.join(here, on="job_id", how="anti").select("job_id").unique()
    kept = records.join(elsewhere, on="job_id", how="anti")
    return kept, int(
        elsewhere.join(records, on="job_id", how="semi").select(pl.len()).collect().item()
    )


def check_job_sums(per_node: pl.DataFrame, classes: pl.DataFrame, window: Window) -> None:
    """Fail unless, for every node, jobs add up to the class `job` and classes to the study's time.

    Args:
        per_node: Result of `job_node_energies`.
        classes: Result of `node_energy.node_class_energies`.
        window: Window of the study.

    Raises:
        ConservationError: Energies differ by more than `CONSERVATION_TOLERANCE_FRAC`, or times by
            more than 1 ms.
    """
    of_jobs = per_node.group_by("node").agg(sum_or_zero(pl.col("measured_kwh")))
    job = pl.col("class") == "job"
    accounted = pl.col("measured_kwh") + pl.col("overcount_kwh") - pl.col("left_out_kwh")
    of_classes = classes.group_by("node").agg(
        expected_kwh=sum_or_zero(accounted.filter(job)),
        duration_s=sum_or_zero(pl.col("duration_s")),
    )
    both = of_classes.join(of_jobs, on="node", how="full", coalesce=True).with_columns(
        pl.col("measured_kwh", "expected_kwh").fill_null(0.0)
    )
    tolerance = CONSERVATION_TOLERANCE_FRAC * pl.col("expected_kwh").abs().clip(lower_bound=1e-6)
    wrong = both.filter(
        ((pl.col("measured_kwh") - pl.col("expected_kwh")).abs() > tolerance)
        | ((pl.col("duration_s") - (window.end - window.start).total_seconds()).abs() > 1e-3)
        | pl.col("duration_s").is_null()
    ).sort("node")
    if len(wrong):
        raise ConservationError(f"jobs and classes do not add up on: {wrong.rows(named=True)[:3]}")
