"""Write the errors of measured energies against the true ones of the simulated site."""

import polars as pl

from footprint.core import logs
from footprint.schemas.validation import SimulationCheck
from footprint.schemas.writing import write_table
from footprint.validation import against_truth

logs.log_to_file(snakemake.log[0])

compared = against_truth.compare_with_truth(
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.job_nodes),
    pl.scan_parquet(snakemake.input.truth),
    against_truth.sensor_steps_w(snakemake.params.source, site=snakemake.params.site),
)
table = against_truth.summarise_errors(compared)
print(table.collect())
write_table(SimulationCheck, table, snakemake.output.check)
