"""Simulated sites whose runs are classified and labelled as proposed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint.allocation import node_allocations
from footprint.allocation.shares import reserved_shares
from footprint.labels import files, matching
from footprint.phases import (
    features,
    group_agreement,
    label_drafts,
    label_proposals,
    recalibration,
    weighed_kinds,
)
from footprint.schemas.labels import GroupLabels, JobLabels
from footprint.schemas.phases import GroupRuns, PowerHistograms
from footprint.sources.simulated import SimulatedSite
from tests.support.habit_sites import HabitStudy, Withheld

WORDS = ("command_work", "name_work", "prompt", "waiting", "endless")
"""Features from words of commands and names."""

WALLTIMES = ("walltime_s", "training_walltime_s", "step", "training_step")
"""Features from requested walltimes."""


class Outcome(NamedTuple):
    """Shares of energy that have their true kind.

    Attributes:
        labelled_frac: Share of the energy of the labelled runs in all energy.
        before_frac: Right share of the energy that is not labelled, as found.
        after_frac: The same after recalibration.
        all_before_frac: Right share of all energy, as found.
        all_after_frac: Right share of all energy, with labels and recalibration.
    """

    labelled_frac: float
    before_frac: float
    after_frac: float
    all_before_frac: float
    all_after_frac: float


class LabelledSite:
    """Runs of a site without habits and power, with their true kinds, found kinds and labels."""

    def __init__(self, seed: int, *, weeks: int = 4, withheld: Sequence[str] = ()) -> None:
        end = date.fromordinal(date(2025, 3, 3).toordinal() + 7 * weeks)
        self.site = SimulatedSite.from_config({"start": date(2025, 3, 3), "end": end, "seed": seed})
        self.withheld = withheld

    @cached_property
    def runs_of_jobs(self) -> pl.LazyFrame:
        """`schemas.RunOfJob` of the true chains."""
        chained = pl.when(pl.col("chain_id").is_null()).then(pl.lit("single"))
        return self.site.true_kinds().select(
            "job_id",
            run_id=pl.coalesce("chain_id", "job_id"),
            merged_by=chained.otherwise(pl.lit("chain")),
        )

    @cached_property
    def jobs(self) -> pl.LazyFrame:
        """`schemas.Jobs`."""
        return self.site.jobs(start=self.site.start, end=self.site.end).jobs.lazy()

    @cached_property
    def features(self) -> pl.LazyFrame:
        """Features of runs without power histograms and without the withheld features."""
        records = self.site.jobs(start=self.site.start, end=self.site.end)
        shares = reserved_shares(self.jobs, records.allocations.lazy(), self.site.nodes())
        held_h = (pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds() / 3600
        energy = self.site.truth().rename({"true_kwh": "measured_kwh"})
        job_nodes = (
            node_allocations.unclipped_allocations(self.jobs, shares, end=self.site.end)
            .group_by("job_id", "node")
            .agg(
                pl.col("share").first(),
                duration_s=held_h.sum() * 3600,
                covered_s=held_h.sum() * 3600,
                gpu_hours=(held_h * pl.col("gpus")).sum(),
            )
            .join(energy, on=["job_id", "node"], how="left")
        )
        found = features.collect_features(
            jobs=self.jobs,
            run_of_job=self.runs_of_jobs,
            job_energy=job_nodes.group_by("job_id").agg(
                pl.col("duration_s").max(), pl.col("gpu_hours", "measured_kwh").sum()
            ),
            job_nodes=job_nodes,
            power_histograms=PowerHistograms.create_empty().lazy(),
        ).collect()
        hidden = [
            (pl.lit(False) if found.schema[name] == pl.Boolean else pl.lit(None))
            .cast(found.schema[name])
            .alias(name)
            for name in self.withheld
        ]
        return found.with_columns(hidden).lazy()

    @cached_property
    def truth(self) -> pl.LazyFrame:
        """`run_id`, `true_kind`, `total_kwh` (exact) of each run."""
        kinds = (
            self.site.true_kinds()
            .group_by(run_id=pl.coalesce("chain_id", "job_id"))
            .agg(true_kind=pl.col("kind").drop_nulls().first().cast(pl.String))
        )
        return kinds.join(self.features.select("run_id", total_kwh="measured_kwh"), on="run_id")

    @cached_property
    def runs(self) -> pl.DataFrame:
        """Started runs: `run_id`, `true_kind`, found `kind` and `confidence`, owner, energy."""
        first = self.jobs.select("user", "project", "command", run_id="job_id")
        members = self.runs_of_jobs.group_by("run_id").agg(job_ids=pl.col("job_id").sort())
        return (
            weighed_kinds.weigh_runs(self.features)
            .drop("features")
            .join(
                self.features.select(pl.exclude("merged_by", "user", "project", "command")),
                on="run_id",
            )
            .join(first, on="run_id")
            .join(self.truth, on="run_id")
            .join(members, on="run_id")
            .with_columns(
                group=recalibration.alike_runs(),
                **{"role": pl.lit(None, pl.String), "features": pl.lit("{}")},
            )
            .drop_nulls(["kind", "true_kind"])
            .sort("run_id")
            .collect()
        )

    def label(self, n_groups: int, folder: Path) -> Outcome:
        """Label the first proposed groups with the true kind of most of their energy.

        Args:
            n_groups: Number of groups.
            folder: Folder of the label file.
        """
        no_groups = pl.DataFrame(GroupLabels.create_empty()).lazy()
        study = label_proposals.StudyTables(
            runs=self.runs.lazy(),
            group_runs=pl.DataFrame(GroupRuns.create_empty()).lazy(),
            features=self.features,
            labelled=pl.DataFrame(JobLabels.create_empty()).lazy(),
            group_labels=no_groups,
            jobs=self.jobs,
            run_of_job=self.runs_of_jobs,
        )
        proposed = label_proposals.propose_groups(study).head(n_groups)
        rows = []
        for i in range(len(proposed)):
            of_group = self.runs.filter(pl.col("run_id").is_in(proposed["run_ids"][i].implode()))
            by_kind = of_group.group_by("true_kind").agg(pl.col("total_kwh").sum())
            kind = by_kind.sort("total_kwh", "true_kind")["true_kind"][-1]
            rows.append(label_drafts.format_drafts(proposed[i]).replace("kind:", f"kind: {kind}"))
        path = folder / "labels.yaml"
        path.write_text("".join(rows), encoding="utf-8")
        matched = matching.match_label_files(
            files.read_labels([path]), self.jobs, self.runs_of_jobs
        )
        checked = group_agreement.check_groups(
            self.runs.lazy().with_columns(**group_agreement.power_of_runs()),
            single=matched.single,
            groups=matched.groups,
            run_of_job=self.runs_of_jobs,
        )
        labels = checked.labels.select(run_id="job_id", label=pl.col("kind").cast(pl.String))
        return self._outcome(labels.drop_nulls().collect())

    def _outcome(self, labels: pl.DataFrame) -> Outcome:
        updated = recalibration.recalibrate(self.runs, labels.rename({"label": "kind"}))
        after = recalibration.decide_kinds(
            self.runs, updated, min_probability=weighed_kinds.MIN_PROBABILITY
        )
        rows = (
            self.runs.select(
                "run_id", "true_kind", "total_kwh", found=pl.col("kind").cast(pl.String)
            )
            .join(after.select("run_id", after=pl.col("kind").cast(pl.String)), on="run_id")
            .join(labels, on="run_id", how="left")
        )
        energy = pl.col("total_kwh")
        is_open = pl.col("label").is_null()

        def right(kind: pl.Expr, counted: pl.Expr) -> pl.Expr:
            whole = energy.filter(counted).sum()
            return energy.filter(counted & (kind == pl.col("true_kind"))).sum() / whole

        every = pl.lit(True)
        found = rows.select(
            labelled_frac=energy.filter(~is_open).sum() / energy.sum(),
            before_frac=right(pl.col("found"), is_open),
            after_frac=right(pl.col("after"), is_open),
            all_before_frac=right(pl.col("found"), every),
            all_after_frac=right(pl.coalesce("label", "after"), every),
        )
        return Outcome(*found.row(0))


class LabelledHabitSite(LabelledSite):
    """Runs of a site with habits, found as chains of jobs, with what a study withholds."""

    def __init__(self, study: HabitStudy, withheld: Withheld) -> None:
        self._jobs, self._found = study.jobs, study.runs(withheld)

    @cached_property
    def runs_of_jobs(self) -> pl.LazyFrame:
        """`schemas.RunOfJob` of the found chains; `merged_by` is not used."""
        return self._found.jobs.lazy().select("job_id", "run_id", merged_by=pl.lit("single"))

    @cached_property
    def jobs(self) -> pl.LazyFrame:
        """`schemas.Jobs`, with the commands by which people label."""
        return self._jobs.lazy()

    @cached_property
    def features(self) -> pl.LazyFrame:
        """Features of runs without what is withheld."""
        return self._found.features.lazy()

    @cached_property
    def truth(self) -> pl.LazyFrame:
        """`run_id`, `true_kind`, `total_kwh` (exact) of each run."""
        return self._found.truth.lazy().select(
            "run_id", true_kind=pl.col("kind").cast(pl.String), total_kwh="true_kwh"
        )
