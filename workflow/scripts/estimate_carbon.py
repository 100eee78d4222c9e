"""Estimate the carbon of each level of the study by named factors."""

import polars as pl

from footprint import carbon, logs, tables, windows
from footprint.tables.carbon import Carbon

logs.to_file(snakemake.log[0])

names = ("levels", "job_energy", "job_nodes", "node_energy", "papers", "records")
energies = carbon.Energies(**{name: pl.read_parquet(snakemake.input[name]) for name in names})
start, end = windows.window(snakemake.params.start, snakemake.params.end)
settings = snakemake.params.carbon
rows = carbon.estimate(
    energies,
    factors=settings["factors"],
    pue=snakemake.params.pue,
    start=start,
    end=end,
    intensity=pl.read_parquet(snakemake.input.eco2mix) if snakemake.input.eco2mix else None,
    embodied=settings["embodied"],
)
tables.write(Carbon, rows, snakemake.output.carbon)
