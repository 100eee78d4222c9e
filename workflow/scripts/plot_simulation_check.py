"""Draw measured against true energy on the simulated site."""

import polars as pl

from footprint.core import logs
from footprint.report.figures import simulation_check as figure
from footprint.report.figures import style
from footprint.validation import against_truth

logs.log_to_file(snakemake.log[0])

compared = against_truth.compare_with_truth(
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.job_nodes),
    pl.scan_parquet(snakemake.input.truth),
    against_truth.sensor_steps_w(snakemake.params.source, site=snakemake.params.site),
)
drawn = figure.plot(
    pl.read_parquet(snakemake.input.check),
    compared.collect(),
    provenance=snakemake.params.provenance,
)
style.save_figure(drawn, snakemake.output)
