"""Energies of jobs at their nodes, from the results of a study, for `footprint report`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from footprint.core.errors import InputError


class NodesEnergy(NamedTuple):
    """Total energy of a job or run at its nodes, by a study.

    Attributes:
        energy_kwh: Total energy, measured and estimated.
        known_s: Time with measured or estimated energy.
        held_s: Time that the job held its nodes, including time outside the window of the study;
            None: unknown, as for a job that also held nodes outside the study.
        measured_kwh: Measured part of the energy.
        low_kwh: Lower end of the 95 % interval; None: unknown.
        high_kwh: Upper end of the 95 % interval; None: unknown.
        site: Site of the nodes; None: unknown.
    """

    energy_kwh: float
    known_s: float
    held_s: float | None = None
    measured_kwh: float = 0.0
    low_kwh: float | None = None
    high_kwh: float | None = None
    site: str | None = None

    @property
    def known_frac(self) -> float | None:
        """Share of the time held with known energy, at most 1; None: the time held is unknown."""
        if self.held_s is None:
            return None
        return min(self.known_s / self.held_s, 1.0) if self.held_s else 1.0

    def part(self, share: float) -> NodesEnergy:
        """Energies of a share of the job's time."""
        low_kwh, high_kwh = (
            None if end is None else end * share for end in (self.low_kwh, self.high_kwh)
        )
        return self._replace(
            energy_kwh=self.energy_kwh * share,
            measured_kwh=self.measured_kwh * share,
            low_kwh=low_kwh,
            high_kwh=high_kwh,
        )


def read_job_energies(folder: Path) -> dict[tuple[str, int], NodesEnergy]:
    """Total energy of each job of a study, by site and job.

    Raises:
        InputError: The study has no such results, or Polars is not installed.
    """
    path = folder / "results/energy/jobs.parquet"
    if not path.is_file():
        raise InputError("there is no such file yet", where=str(path), do="run the workflow first")
    try:
        import polars as pl
    except ModuleNotFoundError:
        raise InputError(
            "reading the results of a study needs the package polars",
            where="--directory",
            do="pip install 'footprint[pipeline]'",
        ) from None
    flags = pl.col("flags").list
    is_clipped = flags.contains("starts_before_window") | (
        flags.contains("ends_after_window") & pl.col("stopped_at").is_not_null()
    )
    held_s = (
        pl.when(flags.contains("nodes_outside_study"))
        .then(None)
        .when(is_clipped)
        .then((pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds(fractional=True))
        .otherwise("duration_s")
    )
    covered_s = (pl.col("duration_s") * pl.col("coverage_frac")).fill_null(0.0)
    # with an estimate for all other time, the energy of the whole time is known
    known_s = pl.when(pl.col("unknown_node_h") > 0).then(covered_s).otherwise("duration_s")
    rows = (
        pl.read_parquet(path)
        .drop_nulls("total_kwh")
        .select(
            "job_id",
            "site",
            energy_kwh="total_kwh",
            known_s=known_s,
            held_s=held_s,
            measured_kwh=pl.col("measured_kwh").fill_null(0.0),
            low_kwh="total_low_kwh",
            high_kwh="total_high_kwh",
        )
    )
    return {
        (row["site"], row.pop("job_id")): NodesEnergy(**row) for row in rows.iter_rows(named=True)
    }
