"""Draw measured against true energy on the simulated site."""

import polars as pl

from footprint import logs, simulation_check
from footprint.figures import simulation_check as figure
from footprint.figures import style

logs.to_file(snakemake.log[0])

compared = simulation_check.compare(
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.job_nodes),
    pl.scan_parquet(snakemake.input.truth),
    simulation_check.sensor_steps(snakemake.params.source, site=snakemake.params.site),
)
drawn = figure.plot(
    pl.read_parquet(snakemake.input.check),
    compared.collect(),
    provenance=snakemake.params.provenance,
)
style.save(drawn, snakemake.output)
