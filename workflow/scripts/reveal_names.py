"""Write who is behind the pseudonyms, and levels and runs by real names, into a private folder."""

from pathlib import Path

import polars as pl

from footprint import levels, logs, privacy, revealed, tables
from footprint.tables.revealed import Logins

logs.to_file(snakemake.log[0])

params = snakemake.params
logins = revealed.logins(
    pl.scan_parquet(snakemake.input.jobs),
    key=privacy.load_key(params.privacy["key"], simulated=params.simulated),
    reveal=params.reveal,
)
revealed.mark_private(Path(snakemake.output.logins).parent)
tables.write(Logins, logins, snakemake.output.logins)
runs = revealed.named(pl.scan_parquet(snakemake.input.runs), logins)
tables.write(tables.Runs, runs, snakemake.output.runs)
rows = levels.levels(
    revealed.named(pl.scan_parquet(snakemake.input.job_energy), logins),
    pl.scan_parquet(snakemake.input.job_nodes),
    pl.scan_parquet(snakemake.input.node_energy),
    pl.scan_parquet(snakemake.input.papers),
    pl.scan_parquet(snakemake.input.estimates),
    site=params.site,
    projects=params.levels["projects"],
    users="all",
    papers_wanted=params.levels["papers"],
    redistribution=params.levels["redistribution"],
    minimum_group=1,
)
tables.write(tables.Levels, rows, snakemake.output.levels)
