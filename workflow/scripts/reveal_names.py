"""Write the login of each pseudonym, and levels and runs by real names, to a private folder."""

from pathlib import Path

import polars as pl

from footprint import schemas
from footprint.core import logs, pseudonyms
from footprint.levels import levels
from footprint.report import real_names
from footprint.schemas.usage import Logins

logs.log_to_file(snakemake.log[0])

params = snakemake.params
logins = real_names.logins_of_pseudonyms(
    pl.scan_parquet(snakemake.input.jobs),
    key=pseudonyms.load_key(params.privacy["key"], simulated=params.simulated),
    reveal=params.reveal,
)
real_names.mark_private(Path(snakemake.output.logins).parent)
schemas.write_table(Logins, logins, snakemake.output.logins)
runs = real_names.replace_pseudonyms(pl.scan_parquet(snakemake.input.runs), logins)
schemas.write_table(schemas.Runs, runs, snakemake.output.runs)
rows = levels.energy_by_level(
    real_names.replace_pseudonyms(pl.scan_parquet(snakemake.input.job_energy), logins),
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
schemas.write_table(schemas.Levels, rows, snakemake.output.levels)
