"""Tables and settings of the finished study that is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from footprint.core.errors import InputError
from footprint.report.publication.groups import Disclosure

RUN_FIRST: Final = "run snakemake for this study first"

PATHS: Final[Mapping[str, str]] = {
    "levels": "results/levels.parquet",
    "carbon": "results/carbon.parquet",
    "uncertainty": "results/energy/uncertainty.parquet",
    "phase_ratio": "results/phases/ratio.parquet",
    "phase_sensitivities": "results/phases/sensitivities.parquet",
    "ratio_uncertainty": "results/phases/ratio_uncertainty.parquet",
    "phase_energies": "results/phases/energies.parquet",
    "node_energy": "results/energy/nodes.parquet",
    "active_users": "results/active_users.parquet",
    "notable_models": "results/notable_models.parquet",
    "hardware": "resources/<site>/hardware.parquet",
    "node_power": "results/energy/node_power/*.parquet",
    "virtual_meter": "results/energy/virtual_meter.parquet",
    # read to know whose energy a row has, and never published
    "job_energy": "results/energy/jobs.parquet",
    "runs": "results/phases/runs.parquet",
    "phase_of_job": "results/phases/jobs.parquet",
    "papers": "resources/<site>/papers.parquet",
    "jobs": "resources/<site>/jobs.parquet",
}
"""Files of the tables that publication reads."""


@dataclass(frozen=True, kw_only=True)
class FinishedStudy:
    """A study whose workflow has run.

    Attributes:
        folder: Folder with `results/` and `resources/`.
        site: Name of the site.
        start: First moment of the study.
        end: First moment after the study.
        simulated: Whether the site is simulated.
        provenance: Foot line of figures and tables.
        pue: Power usage effectiveness.
        factors: `carbon.factors` of the configuration.
        embodied: `carbon.embodied` of the configuration.
        redistribution: `levels.redistribution` of the configuration.
        disclosure: Who may be shown.
    """

    folder: Path
    site: str
    start: datetime
    end: datetime
    simulated: bool
    provenance: str
    pue: float
    factors: Sequence[Mapping[str, Any]]
    embodied: Mapping[str, Any] | None
    redistribution: str
    disclosure: Disclosure

    def read(self, table: str) -> pl.DataFrame:
        """A table of the study by its name in `PATHS`.

        Raises:
            InputError: The file is missing or is no Parquet.
        """
        pattern = PATHS[table].replace("<site>", self.site)
        paths = sorted(self.folder.glob(pattern))
        if not paths:
            raise InputError("there is no such file", where=pattern, do=RUN_FIRST)
        try:
            return pl.read_parquet(paths)
        except pl.exceptions.ComputeError as error:
            what = f"the file cannot be read ({error!s:.80})"
            raise InputError(what, where=pattern, do=RUN_FIRST) from None
