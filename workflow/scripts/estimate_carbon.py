"""Estimate the carbon of each level of the study by named factors."""

import polars as pl

from footprint.core import calendar, logs
from footprint.levels import carbon
from footprint.schemas.levels import Carbon
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

names = ("levels", "job_energy", "job_nodes", "node_energy", "papers", "records")
energies = carbon.CarbonInputs(**{name: pl.read_parquet(snakemake.input[name]) for name in names})
settings = snakemake.params.carbon
rows = carbon.carbon_of_levels(
    energies,
    factors=settings["factors"],
    pue=snakemake.params.pue,
    window=calendar.study_window(snakemake.params.start, snakemake.params.end),
    intensity=pl.read_parquet(snakemake.input.eco2mix) if snakemake.input.eco2mix else None,
    embodied=settings["embodied"],
)
write_table(Carbon, rows, snakemake.output.carbon)
