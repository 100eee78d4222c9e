"""Write the readers' table of the energy of the largest jobs and runs."""

import polars as pl

from footprint.core import logs
from footprint.report.tables import formats, usage

logs.log_to_file(snakemake.log[0])

table = usage.concentration_table(
    pl.read_parquet(snakemake.input.job_energy), pl.read_parquet(snakemake.input.runs)
)
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
