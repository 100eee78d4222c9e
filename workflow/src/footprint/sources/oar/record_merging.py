"""Merging of the records of a job from several answers."""

from __future__ import annotations

import polars as pl

from footprint.core.errors import InputError
from footprint.sources.oar import job_checks
from footprint.sources.oar.job_records import RECORD_SCHEMA
from footprint.sources.oar.rejected_jobs import (
    KEEP_ONE_SITE,
    file_names,
    listed_values,
    rejected_rows,
    verb_form,
)


def merge_records(records: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one record a job, and the counts of the other records by file.

    OAR lists a moldable job several times, pages overlap, and several exports may contain a job.
    The best record of a job has ended rather than runs, has times, and has the most fields; ties
    are broken by the larger walltime, then by the order of the files. A field that the best record
    lacks comes from the next record that has it. Nodes come from the record with the most detail
    about them. If an ended job has several walltimes, the smallest that is not shorter than the
    job counts; the walltime is unknown if all are shorter. Records whose end differs from the end
    of the best record have their own reason.

    Args:
        records: Records with the columns of `job_records.RECORD_SCHEMA`.

    Returns:
        The merged records by `job_id`, and rejected rows (`schemas.RejectedRows`).

    Raises:
        InputError: A job has two owners or two times of submission.
    """
    fields = [name for name in RECORD_SCHEMA if name not in ("job_id", "held_nodes", "file")]
    has_cores = pl.col("held_nodes").list.eval(pl.element().struct.field("cores").is_not_null())
    records = records.with_columns(
        has_ended=job_checks.has_ended(),
        n_known=pl.sum_horizontal(pl.col(fields).is_not_null()),
        detail=pl.col("unknown_resource").is_null().cast(pl.Int8)
        + 2 * (pl.col("held_nodes").list.len() > 0)
        + has_cores.list.any().fill_null(False).cast(pl.Int8),
    )
    is_repeated = pl.col("job_id").is_duplicated()
    several = records.filter(is_repeated).sort(
        ["job_id", "has_ended", "has_times", "n_known", "walltime_s", "file"],
        descending=[False, True, True, True, True, False],
        nulls_last=True,
        maintain_order=True,
    )
    _check_same_job(several)
    end_fields = ["state", "has_ended", "stopped_at"]
    has_best_end = pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(name).first()) for name in end_fields
    )
    walltimes = pl.col("walltime_s").filter(has_best_end).drop_nulls()
    duration = pl.col("stopped_at").drop_nulls().first() - pl.col("started_at").drop_nulls().first()
    of_best = ["state", "has_ended", "n_known", "detail", "file"]
    by_detail = ["held_nodes", "unknown_resource"]
    merged = several.group_by("job_id", maintain_order=True).agg(
        pl.col(of_best).first(),
        pl.col(by_detail).sort_by("detail", descending=True, maintain_order=True).first(),
        has_times=(
            pl.col("has_times") & (pl.col("has_ended") == pl.col("has_ended").first())
        ).any(),
        has_node_fields=pl.col("has_node_fields").any(),
        **{
            name: pl.col(name).drop_nulls().first()
            for name in fields
            if name not in (*of_best, *by_detail, "has_times", "has_node_fields", "walltime_s")
        },
        walltime_s=pl.when(pl.col("has_ended").first() & (walltimes.n_unique() > 1))
        .then(walltimes.filter(walltimes >= duration).min())
        .otherwise(pl.col("walltime_s").drop_nulls().first()),
    )
    end = pl.col("stopped_at").filter("has_ended").drop_nulls().first().over("job_id")
    differs = (pl.col("has_ended") & (pl.col("stopped_at") != end)).fill_null(False)
    reason = (
        pl.when(differs)
        .then(pl.lit(job_checks.DIFFERENT_END))
        .otherwise(pl.lit(job_checks.REPEATED_RECORD))
    )
    others = several.with_columns(reason=reason).filter(~pl.col("job_id").is_first_distinct())
    jobs = pl.concat([records.filter(~is_repeated), merged.select(records.columns)])
    return jobs.select(list(RECORD_SCHEMA)).sort("job_id"), rejected_rows(others, pl.col("reason"))


def _check_same_job(several: pl.DataFrame) -> None:
    """Refuse jobs whose records have different owners or times of submission."""
    by_job = several.group_by("job_id", maintain_order=True).agg(
        pl.col("user", "submitted_at").drop_nulls().n_unique(),
        pl.col("file").unique().sort().str.join(", "),
    )
    for field, noun in (("user", "owners"), ("submitted_at", "times of submission")):
        differing = by_job.filter(pl.col(field) > 1)
        if len(differing):
            have = verb_form(differing["job_id"], "has", "have")
            what = f"{listed_values('job', differing['job_id'])} {have} different {noun}"
            raise InputError(what, where=file_names(differing), do=KEEP_ONE_SITE)
