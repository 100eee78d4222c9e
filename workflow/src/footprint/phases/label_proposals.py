"""Propose groups of runs to label, the most energy times doubt first.

A group is the runs of one user and one group of commands that agree in duration and power
(`group_agreement`). Its doubt is one minus the confidence of the kind of each run. The proposals
contain logins and commands, so that they are for the owner of the study alone: for the terminal and
label files, never for `results/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint.core.errors import InputError
from footprint.core.names import check_known, clean_name
from footprint.core.sums import known_sum, quotient, sum_or_zero
from footprint.labels.commands import group_of_command
from footprint.phases import group_agreement, reported_runs

MAX_PARTS = 20
"""Parts into which the runs of a command are split; what is left then is a part for each run."""

_COMMAND = ["login", "command_group"]


class StudyTables(NamedTuple):
    """Tables of a study whose workflow has run.

    Attributes:
        runs: `schemas.Runs`.
        group_runs: `schemas.GroupRuns`.
        features: Result of `features.collect_features`.
        labelled: `schemas.JobLabels`.
        group_labels: `schemas.GroupLabels`.
        jobs: `schemas.Jobs`.
        run_of_job: `schemas.RunOfJob`.
    """

    runs: pl.LazyFrame
    group_runs: pl.LazyFrame
    features: pl.LazyFrame
    labelled: pl.LazyFrame
    group_labels: pl.LazyFrame
    jobs: pl.LazyFrame
    run_of_job: pl.LazyFrame


def read_study(directory: Path, *, site: str | None = None) -> StudyTables:
    """Tables of the study in a folder.

    Args:
        directory: Folder of the study.
        site: Grid'5000 site; None: the only site in the folder.

    Raises:
        InputError: A table is missing, or the folder has several sites and none is chosen.
    """
    phases = directory / "results/phases"
    sites = [path.parent.name for path in sorted(directory.glob("resources/*/labels.parquet"))]
    if site is None and len(sites) > 1:
        raise InputError(
            f"there are several sites ({', '.join(sites)})", where="--site", do="choose one"
        )
    folder = directory / "resources" / (site or (sites[0] if sites else "<site>"))
    names = ("labels", "group_labels", "jobs", "run_of_job")
    paths = [phases / f"{name}.parquet" for name in ("runs", "group_runs", "features")]
    paths += [folder / f"{name}.parquet" for name in names]
    for path in paths:
        if not path.is_file():
            raise InputError(
                "there is no such file yet",
                where=str(path),
                do="run the workflow first, or name its folder with --directory",
            )
    return StudyTables(*(pl.scan_parquet(path) for path in paths))


def propose_groups(
    study: StudyTables,
    *,
    user: str | None = None,
    project: str | None = None,
    paper: str | None = None,
) -> pl.DataFrame:
    """Groups of runs without a labelled kind or phase, to be labelled by one row each.

    Reported runs of uncertain kind (`reported_runs`) come first, each alone. The other runs of a
    user and command are split into parts whose runs agree in duration and power. The first part is
    selected by `group`, unless a label row has the group already; other parts are selected by their
    jobs.

    Args:
        study: Tables of the study.
        user: Only runs of this login (or pseudonym).
        project: Only runs of this project.
        paper: Only runs of this paper, by labels.

    Returns:
        `rank`, `reason` (of reported runs; null: doubt), `user` (login), `command_group` (null: no
        command), `is_group` (selected by `group`; else by `run_ids`), `run_ids`, `n_runs`,
        `n_differing` (other runs of the user and command), `command` (of the run with most energy),
        `project`, `paper`, `role` (null: none, or several), `first_start`, `last_start`,
        `duration_s` and `power_w` (of the run with most energy), `gpu_hours`, `total_kwh`,
        `doubt_kwh` (energy times doubt), `kind` (found for most of the energy), `kind_frac` (share
        of the energy with this kind), `confidence` (mean by energy), `cumulated_frac` (share of all
        `doubt_kwh` up to the row). Sorted by rank.

    Raises:
        InputError: There is no such user, project or paper in the study.
    """
    user, project, paper = (each and clean_name(each) for each in (user, project, paper))
    _check_filters(study, {"user": user, "project": project, "paper": paper})
    rows = _runs_without_kind(study)
    parts = _split_commands(rows)
    criteria = {("login", "user"): user, ("project",): project, ("paper",): paper}
    for columns, value in criteria.items():
        if value is not None:
            parts = parts.filter(pl.any_horizontal(*(pl.col(name) == value for name in columns)))
    energy, doubt = pl.col("total_kwh"), pl.col("doubt_kwh")
    largest = pl.col("total_kwh").fill_null(0.0).arg_max()
    main = (
        pl.struct("kind", "kind_weight", "run_id")
        .sort_by("kind_weight", "run_id", descending=[True, False])
        .first()
    )
    key = ["reason", *_COMMAND, "part"]
    found = (
        parts.sort(*key, "run_id", nulls_last=True)
        .group_by(key, maintain_order=True)
        .agg(
            pl.col("user").first(),
            pl.col("is_group").all(),
            pl.col("n_command").first(),
            run_ids="run_id",
            n_runs=pl.len().cast(pl.Int64),
            **{name: pl.col(name).get(largest) for name in ("command", "duration_s", "power_w")},
            **{
                name: pl.when(pl.col(name).n_unique() == 1).then(pl.col(name).first())
                for name in ("project", "paper", "role")
            },
            first_start=pl.col("started_at").min(),
            last_start=pl.col("started_at").max(),
            gpu_hours=sum_or_zero(pl.col("gpu_hours")),
            total_kwh=known_sum(energy),
            doubt_kwh=known_sum(doubt),
            kind=main.struct.field("kind"),
            kind_frac=quotient(main.struct.field("kind_weight"), sum_or_zero(pl.col("weight"))),
            confidence=quotient(
                sum_or_zero(pl.col("confidence") * pl.col("weight")), sum_or_zero(pl.col("weight"))
            ),
        )
    )
    ranked = found.with_columns(
        _rank_energy=pl.when(pl.col("reason").is_null()).then("doubt_kwh")
    ).sort(
        pl.col("reason").is_null(),
        pl.coalesce("_rank_energy", "total_kwh").fill_null(-1.0),
        "gpu_hours",
        pl.col("run_ids").list.first(),
        descending=[False, True, True, False],
    )
    return ranked.select(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("rank"),
        "reason",
        pl.coalesce("login", "user").alias("user"),
        "command_group",
        "is_group",
        "run_ids",
        "n_runs",
        (pl.col("n_command") - pl.col("n_runs")).alias("n_differing"),
        *("command", "project", "paper", "role", "first_start", "last_start"),
        *("duration_s", "power_w", "gpu_hours", "total_kwh", "doubt_kwh"),
        *("kind", "kind_frac", "confidence"),
        cumulated_frac=quotient(doubt.fill_null(0.0).cum_sum(), sum_or_zero(doubt)).clip(0.0, 1.0),
    )


def _check_filters(study: StudyTables, wanted: Mapping[str, str | None]) -> None:
    """Refuse a user, project or paper that the study does not have, with the nearest names."""
    sources = {
        "user": (study.jobs, study.runs),
        "project": (study.runs,),
        "paper": (study.labelled, study.group_labels),
    }
    for what, name in wanted.items():
        if name is not None:
            known = {
                each
                for table in sources[what]
                for each in table.select(what).unique().collect()[what].drop_nulls()
            }
            check_known(name, known, where=f"--{what}", what=what)


def _runs_without_kind(study: StudyTables) -> pl.DataFrame:
    """Runs that started and have no labelled kind or phase, with owner, command and doubt."""
    labels = study.labelled.select(
        "paper",
        run_id="job_id",
        **{name: pl.col(name).cast(pl.String) for name in ("kind", "role", "phase")},
    )
    uncertain = reported_runs.uncertain_reported_runs(study.runs, labels)
    command_group = group_of_command(pl.col("command"))
    owners = study.jobs.select(
        "command", run_id="job_id", login="user", command_group=command_group
    )
    labelled_groups = (
        study.group_labels.select(run_id="job_id")
        .join(owners, on="run_id")
        .select(*_COMMAND, has_row=pl.lit(True))
        .drop_nulls()
        .unique()
    )
    energy, doubt = pl.col("total_kwh"), 1.0 - pl.col("confidence")
    return (
        study.runs.drop("role")
        .filter(pl.col("kind").is_not_null())
        .with_columns(pl.col("kind").cast(pl.String))
        .join(
            labels.rename({"kind": "label_kind", "phase": "label_phase"}), on="run_id", how="left"
        )
        .filter(pl.col("label_kind").is_null() & pl.col("label_phase").is_null())
        .join(owners, on="run_id", how="left")
        .join(study.features.select("run_id", "node_share", "n_nodes"), on="run_id", how="left")
        .join(uncertain.lazy(), on="run_id", how="left")
        .join(labelled_groups, on=_COMMAND, how="left")
        .with_columns(
            **group_agreement.power_of_runs(),
            doubt_kwh=energy * doubt,
            has_row=pl.col("has_row").fill_null(False),
        )
        .sort("run_id")
        .collect()
    )


def _split_commands(rows: pl.DataFrame) -> pl.DataFrame:
    """Runs with the `part` of their command, `n_command`, `is_group` and weights.

    Reported runs of uncertain kind are parts of their own. Runs of a user without a command are
    split as those of one command.
    """
    is_alone = pl.col("reason").is_not_null()
    alone = rows.filter(is_alone).with_columns(
        part=pl.col("run_id"), is_group=pl.lit(False), n_command=pl.lit(1, pl.UInt32)
    )
    rest = rows.filter(~is_alone).with_columns(n_command=pl.len().over(_COMMAND))
    parts = []
    columns = rest.columns
    for part in range(MAX_PARTS):
        compared = group_agreement.compare_with_groups(rest, _COMMAND)
        agreeing = compared.filter("agrees").select(columns)
        is_first = pl.lit(part == 0) & ~pl.col("has_row") & pl.col("command_group").is_not_null()
        parts.append(agreeing.with_columns(part=pl.lit(-1 - part, pl.Int64), is_group=is_first))
        rest = compared.filter(~pl.col("agrees")).select(columns)
        if rest.is_empty():
            break
    parts.append(rest.with_columns(part=pl.col("run_id"), is_group=pl.lit(False)))
    split = pl.concat([alone.select(parts[0].columns), *parts])
    key = ["reason", *_COMMAND, "part"]
    energy = pl.col("total_kwh").fill_null(0.0)
    weight = pl.when((energy > 0).any().over(key)).then(energy).otherwise(1.0)
    return split.with_columns(weight=weight).with_columns(
        kind_weight=_sum_over(pl.col("weight"), [*key, "kind"])
    )


def _sum_over(values: pl.Expr, by: list[str]) -> pl.Expr:
    """Sum by group in the order of the values, for each row."""
    return sum_or_zero(values).over(by)
