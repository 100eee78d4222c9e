"""Public frames of a study: the only input of published figures, tables and texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from footprint.energy.job_count import has_held_node
from footprint.report.publication import level_rows, node_rows, rounding
from footprint.report.publication.columns import public_columns
from footprint.report.publication.printed import PrintedRows
from footprint.report.publication.rounding import JobList
from footprint.report.publication.study import FinishedStudy

WITHOUT_PEOPLE: Final = ("active_users", "notable_models", "hardware", "node_power")
"""Tables whose rows are of no group of people; `active_users` itself hides small numbers."""


@dataclass(frozen=True)
class PublicFrames:
    """Public frames by name, and why some are missing.

    Attributes:
        frames: By the name of the table; `nodes_by_cluster` and `nodes_by_step` are both of
            `node_energy`.
        withheld: Reason by the name of a frame that is not published.
        printed: Rounds the readers' tables that are made of the frames.
        n_hidden: Number of rows of `levels` that are not published.
    """

    frames: dict[str, pl.DataFrame]
    withheld: dict[str, str]
    printed: PrintedRows
    n_hidden: int


def public_frames(study: FinishedStudy) -> PublicFrames:
    """Make the public frames of a study.

    Raises:
        InputError: A table is missing, or the study has too few people to publish any energy.
    """
    jobs, papers = study.read("job_energy").filter(has_held_node()), study.read("papers")
    job_list = JobList.of_study(jobs, study.read("phase_of_job"), papers, study.disclosure)
    frames, n_hidden = level_rows.frames_of_groups(study, jobs, papers, job_list)
    shown = set(frames["levels"].filter(pl.col("level") != "overhead")["name"])
    withheld = {}
    clusters = node_rows.nodes_by_cluster(study, jobs, job_list)
    frames["nodes_by_cluster"] = clusters.frame
    steps = node_rows.nodes_by_step(study, jobs, job_list)
    if steps is None:
        withheld["nodes_by_step"] = "too few people had a job in a day, week or month of it"
    else:
        frames["nodes_by_step"] = steps.frame
    energies = _phase_energies(study, job_list)
    if energies is None:
        withheld["phase_energies"] = "a kind of run or a phase is that of too few people"
    else:
        frames["phase_energies"] = energies
    is_shown = pl.col("cluster").is_in(sorted(clusters.jobs))
    others = {name: study.read(name) for name in WITHOUT_PEOPLE}
    # the highest power of a node is that of its jobs
    others["node_power"] = others["node_power"].filter(is_shown)
    others["virtual_meter"] = study.read("virtual_meter").filter(is_shown)
    for name, frame in others.items():
        rows = public_columns(name, frame)
        frames[name] = rounding.round_rows(name, rows, rounding.MOST_DIGITS)
    by_group = clusters.jobs | (steps.jobs if steps else {})
    return PublicFrames(frames, withheld, PrintedRows(job_list, shown, by_group), n_hidden)


def _phase_energies(study: FinishedStudy, job_list: JobList) -> pl.DataFrame | None:
    """Phases and kinds of the whole site; None: too few people have runs of one of them.

    A part whose energy fits too few people at any number of digits has no energy.
    """
    runs, name = study.read("runs"), "phase_energies"
    people = [
        set(users)
        for part in ("kind", "phase")
        for users in runs.drop_nulls(part).group_by(part).agg("user")["user"]
    ]
    rows = study.read(name).filter(pl.col("scope") == "site")
    digits = [job_list.digits_of_row(row) for row in rows.iter_rows(named=True)]
    if not all(study.disclosure.is_safe(each) for each in people):
        return None
    number = pl.Series("digits", digits, dtype=pl.Int64)
    rows = public_columns(name, rows).with_columns(number)
    return rounding.round_rows(name, rows, pl.col("digits")).drop("digits")
