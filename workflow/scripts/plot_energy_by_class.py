"""Draw where the energy and the time of the nodes went."""

import polars as pl

from footprint import logs
from footprint.figures import energy_by_class, style

logs.to_file(snakemake.log[0])

drawn = energy_by_class.plot(
    pl.read_parquet(snakemake.input.node_energy),
    site=snakemake.params.site,
    provenance=snakemake.params.provenance,
)
style.save(drawn, snakemake.output)
