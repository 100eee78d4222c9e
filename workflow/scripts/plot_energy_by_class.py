"""Draw energy and time of the nodes by cluster and class."""

import polars as pl

from footprint.core import logs
from footprint.report.figures import energy_by_class, style

logs.log_to_file(snakemake.log[0])

drawn = energy_by_class.plot(
    pl.read_parquet(snakemake.input.node_energy),
    site=snakemake.params.site,
    provenance=snakemake.params.provenance,
)
style.save_figure(drawn, snakemake.output)
