"""Write how far measured energies are from the true ones of the simulated site."""

import polars as pl

from footprint import logs, simulation_check, tables

logs.to_file(snakemake.log[0])

compared = simulation_check.compare(
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.job_nodes),
    pl.scan_parquet(snakemake.input.truth),
    simulation_check.sensor_steps(snakemake.params.source, site=snakemake.params.site),
)
table = simulation_check.summarise(compared)
print(table.collect())
tables.write(tables.SimulationCheck, table, snakemake.output.check)
