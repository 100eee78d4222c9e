"""Write the energy at each level of the study."""

import polars as pl

from footprint import levels, logs, privacy, tables

logs.to_file(snakemake.log[0])

params = snakemake.params
key = privacy.load_key(params.privacy["key"], simulated=params.simulated)
rows = levels.levels(
    pl.scan_parquet(snakemake.input.job_energy),
    pl.scan_parquet(snakemake.input.job_nodes),
    pl.scan_parquet(snakemake.input.node_energy),
    pl.scan_parquet(snakemake.input.papers),
    pl.scan_parquet(snakemake.input.estimates),
    site=params.site,
    projects=params.levels["projects"],
    users=privacy.shown(params.levels["users"], key=key),
    papers_wanted=params.levels["papers"],
    redistribution=params.levels["redistribution"],
    minimum_group=params.privacy["minimum_group"],
)
tables.write(tables.Levels, rows, snakemake.output.levels)
