"""The tables of a study as frames, and what-if questions about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

import dataframely as dy
import polars as pl

from footprint import __version__
from footprint.allocation.node_allocations import ALLOCATION_SCHEMA
from footprint.core.errors import InputError
from footprint.estimators import comparison
from footprint.labels import files, matching
from footprint.phases import (
    assembly,
    baseline,
    classifier,
    labelling_queue,
    ratio,
    recorded_time,
    reported_runs,
)
from footprint.phases.energies import complete_job_nodes
from footprint.phases.roles import labels_of_runs
from footprint.schemas.catalogue import TABLES
from footprint.schemas.energy import JobEnergy, JobNodeEnergy, NodeEnergy
from footprint.schemas.estimates import EstimateRatios, Estimates, Hardware
from footprint.schemas.labels import JobLabels
from footprint.schemas.levels import Levels
from footprint.schemas.phases import PhaseRatio, PhaseSensitivities, RunOfJob, Runs
from footprint.schemas.raw import Allocations, Jobs, Power
from footprint.schemas.writing import conform
from footprint.sources import monthly_files

SchemaT = TypeVar("SchemaT", bound=dy.Schema)

PATHS: dict[type[dy.Schema], str] = dict(TABLES.values())
"""File of each table, from the folder of the study."""


def open_results(folder: str | Path = "results") -> Results:
    """Open the results of a study.

    Args:
        folder: Folder of the results. A relative path is looked for in the current folder and in
            the folders above, so that a notebook in a folder of its own finds `results`.

    Returns:
        The tables of the study, each read at its first use.

    Raises:
        InputError: There is no such folder.

    Example:
        >>> import footprint
        >>> results = footprint.open_results("results")
        >>> results.jobs.columns[:3]
        ['job_id', 'site', 'user']
        >>> node = results.job_nodes.drop_nulls("measured_kwh")["node"][0]
        >>> energy = footprint.integrate(results.power(node), results.allocations)
    """
    path = Path(folder).expanduser()
    places = (
        [path] if path.is_absolute() else [at / path for at in (Path.cwd(), *Path.cwd().parents)]
    )
    for place in places:
        if place.is_dir():
            return Results(place)
    raise InputError(
        "there is no such folder here or above",
        where=str(folder),
        do="run `make results` first, or pass the folder of your study's results",
    )


@dataclass(frozen=True)
class Results:
    """Tables of a study, each read at its first use and kept (`open_results`).

    Columns and types of each table are compared with those of this version of footprint. A missing
    table, or one of another version, raises an `InputError` with its path.

    Attributes:
        folder: Folder of the results; raw records are in `resources/` beside it.
    """

    folder: Path

    @cached_property
    def jobs(self) -> dy.DataFrame[JobEnergy]:
        """Energy of each job, with its coverage and interval."""
        return self._table(JobEnergy)

    @cached_property
    def job_nodes(self) -> dy.DataFrame[JobNodeEnergy]:
        """Energy of each job on each of its nodes, with the parts of the interval."""
        return self._table(JobNodeEnergy)

    @cached_property
    def nodes(self) -> dy.DataFrame[NodeEnergy]:
        """Energy and time of each node by UTC day and class."""
        return self._table(NodeEnergy)

    @cached_property
    def runs(self) -> dy.DataFrame[Runs]:
        """Kind, role and phase of each run."""
        return self._table(Runs)

    @cached_property
    def ratio(self) -> dy.DataFrame[PhaseRatio]:
        """R, development over reported training, of each paper and project."""
        return self._table(PhaseRatio)

    @cached_property
    def sensitivities(self) -> dy.DataFrame[PhaseSensitivities]:
        """R under other choices, as other jobs of a paper."""
        return self._table(PhaseSensitivities)

    @cached_property
    def levels(self) -> dy.DataFrame[Levels]:
        """Energy of site, overhead, queues, projects, people and papers, by each method."""
        return self._table(Levels)

    @cached_property
    def estimates(self) -> dy.DataFrame[Estimates]:
        """Energy of each job by each estimator."""
        return self._table(Estimates)

    @cached_property
    def allocations(self) -> pl.DataFrame:
        """Share, GPUs and cores that each job held of each node, by interval, for `integrate`.

        Under the gate `binary` every share is 1.
        """
        return _read_table(self.folder / "energy/node_allocations.parquet", ALLOCATION_SCHEMA)

    @cached_property
    def site(self) -> str:
        """Name of the site, as `nancy`."""
        if self.jobs.is_empty():
            raise InputError(
                "has no job, so that the site is unknown",
                where=str(self.folder / "energy/jobs.parquet"),
                do="choose a study with jobs",
            )
        return str(self.jobs["site"][0])

    @property
    def provenance(self) -> str:
        """Site, first and last day, and version, as one line for the foot of a figure."""
        first, last = self._days
        return f"{self.site} · {first} to {last} · footprint {__version__}"

    def power(self, node: str, *, metric: str | None = None) -> dy.DataFrame[Power]:
        """Cleaned samples of a node's power (W), of all months in `resources/`.

        Args:
            node: Node of the study.
            metric: Name of the series; None: the only one there is.

        Raises:
            InputError: The node is not of the study, or there is no monthly file of its cluster, or
                there are several metrics and none is chosen.
        """
        clusters = self.nodes.filter(pl.col("node") == node)["cluster"]
        if clusters.is_empty():
            known = ", ".join(self.nodes["node"].unique().sort().head(3))
            raise InputError(
                f"{node!r} is no node of the study",
                where=str(self.folder),
                do=f"choose one of results.nodes, as {known}",
            )
        folder = self.folder.parent / "resources" / self.site / "power"
        months = sorted(folder.glob(f"{metric or '*'}/{clusters[0]}/*.parquet"))
        metrics = sorted({path.parts[-3] for path in months})
        if len(metrics) != 1:
            raise InputError(
                f"has {len(metrics)} metrics of the cluster {clusters[0]}"
                + (f": {', '.join(metrics)}" if metrics else ""),
                where=str(folder / (metric or "")),
                do="choose one as metric=..." if metrics else "run the workflow first",
            )
        samples = monthly_files.sample_reader(*months)(node)
        rows: dy.DataFrame[Power] = conform(Power, samples.with_columns(node=pl.lit(node)))
        return rows

    def compare_estimates(self, jobs: pl.DataFrame) -> dy.DataFrame[EstimateRatios]:
        """Ratios of estimated to measured energy, by estimator and group of some jobs.

        Args:
            jobs: Rows of `jobs`, as those of one user.
        """
        chosen = jobs.lazy()
        rows: dy.DataFrame[EstimateRatios] = conform(
            EstimateRatios,
            comparison.ratios_by_group(
                self.estimates.lazy().join(chosen, on="job_id", how="semi"),
                chosen,
                self.job_nodes.lazy(),
                self._table(Hardware).lazy(),
            ),
        )
        return rows

    def unlabelled_runs(
        self, *, project: str | None = None, paper: str | None = None, user: str | None = None
    ) -> pl.DataFrame:
        """Runs whose phase no label determines, by decreasing energy, with logins and commands.

        Args:
            project: Only runs of this project.
            paper: Only runs of this paper, by labels.
            user: Only runs of this login or pseudonym.

        Returns:
            Columns of `labelling_queue.rank_unlabelled_runs`.
        """
        return labelling_queue.rank_unlabelled_runs(
            self.runs.lazy(),
            self._table(JobLabels).lazy(),
            self._table(Jobs).lazy(),
            project=project,
            paper=paper,
            user=user,
        ).collect()

    def ratio_with_labels(self, labels: str) -> dy.DataFrame[PhaseRatio]:
        """R of each paper and project as if a label file with this text were in `labels.files`.

        Intervals are null: they need the configured meters, which results do not contain. The
        kinds of the runs are decided anew, with the default thresholds. A label of the
        text replaces the study's label of the same job. Results on disk stay as they are.

        Args:
            labels: Text of a label file in YAML (docs/labels.md), as `- {chain: 7, role: other}`.

        Raises:
            InputError: The text is no label file, or two of its labels contradict each other.
        """
        jobs, run_of_job = self._table(Jobs).lazy(), self._table(RunOfJob).lazy()
        stated = files.parse_labels(labels, shown="labels")
        added = matching.match_label_files(stated, jobs, run_of_job)
        added_jobs = pl.concat(each.select("job_id") for each in added).unique()
        known = self._table(JobLabels).lazy().join(added_jobs, on="job_id", how="anti")
        features = pl.scan_parquet(_existing(self.folder / "phases/features.parquet"))
        thresholds = classifier.Thresholds()
        tables = assembly.assemble_phase_tables(
            features,
            thresholds=thresholds,
            run_of_job=run_of_job,
            job_energy=self.jobs.lazy(),
            labelled=pl.concat([added.single, known]),
            jobs=jobs,
            groups=added.groups,
        )
        labelled = labels_of_runs(tables.labels)
        runs = tables.runs.join(labelled.select("run_id", "paper"), on="run_id", how="left")
        first, last = self._days
        of_jobs = recorded_time.recorded_time_of_jobs(
            jobs,
            self._table(Allocations).lazy(),
            complete_job_nodes(self.job_nodes.lazy()),
            start=datetime.combine(first, time.min, UTC),
            end=datetime.combine(last, time.min, UTC) + timedelta(days=1),
        )
        compared = ratio.compare_development_with_training(
            runs,
            levels=self.levels.lazy(),
            time=ratio.time_of_runs(runs, of_jobs),
            baseline=baseline.classify_by_exit_state(features),
            uncertain=reported_runs.uncertain_reported_runs(tables.runs, labelled).lazy(),
        )
        rows: dy.DataFrame[PhaseRatio] = conform(PhaseRatio, compared)
        return rows

    @property
    def _days(self) -> tuple[date, date]:
        """First and last day of the study."""
        return self.nodes.select(first=pl.col("day").min(), last=pl.col("day").max()).row(0)

    def _table(self, schema: type[SchemaT]) -> dy.DataFrame[SchemaT]:
        """Table of a schema, read from its file."""
        top, *parts = Path(PATHS[schema]).parts
        folder = self.folder if top == "results" else self.folder.parent / top / self.site
        path = folder.joinpath(*(part for part in parts if part != "<site>"))
        return cast("dy.DataFrame[SchemaT]", _read_table(path, schema.create_empty().schema))


def _read_table(path: Path, schema: pl.Schema) -> pl.DataFrame:
    """Table of a file, whose columns and types must be those of the schema."""
    try:
        frame = pl.read_parquet(_existing(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"the table cannot be read ({reason})", where=str(path), do="run the workflow again"
        ) from None
    names = schema | frame.schema
    differing = [name for name in names if schema.get(name) != frame.schema.get(name)]
    if differing:
        found, expected = (of.get(differing[0], "missing") for of in (frame.schema, schema))
        raise InputError(
            f"the table is of another version: column {differing[0]} is {found} in it, and "
            f"{expected} in footprint {__version__}",
            where=str(path),
            do="run the workflow again with this version",
        )
    return frame.select(schema.names())


def _existing(path: Path) -> Path:
    """The path of a table, which must exist."""
    if not path.is_file():
        raise InputError(
            "there is no such table yet",
            where=str(path),
            do="run the workflow first, or open the folder `results` of the study",
        )
    return path
