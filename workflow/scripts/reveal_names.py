"""Write the login of each pseudonym, and levels and runs by real names, to a private folder."""

from pathlib import Path

import polars as pl

from footprint.core import logs, pseudonyms
from footprint.energy.energy_tables import EnergyTables
from footprint.levels import levels
from footprint.levels.selection import LevelSelection
from footprint.report import real_names
from footprint.schemas.levels import Levels
from footprint.schemas.phases import Runs
from footprint.schemas.usage import Logins
from footprint.schemas.writing import write_table
from footprint.totals.error_model import ErrorModel

logs.log_to_file(snakemake.log[0])

params, inputs, wanted = snakemake.params, snakemake.input, snakemake.params.levels
key = pseudonyms.load_key(params.privacy["key"], simulated=params.simulated)
jobs, runs = pl.scan_parquet(inputs.jobs), pl.scan_parquet(inputs.runs)
logins = real_names.logins_of_pseudonyms(jobs, key=key, reveal=params.reveal)
real_names.mark_private(Path(snakemake.output.logins).parent)
write_table(Logins, logins, snakemake.output.logins)
write_table(Runs, real_names.replace_pseudonyms(runs, logins), snakemake.output.runs)
rows = levels.energy_by_level(
    EnergyTables(
        real_names.replace_pseudonyms(pl.scan_parquet(inputs.job_energy), logins),
        pl.scan_parquet(inputs.job_nodes),
        pl.scan_parquet(inputs.node_energy),
    ),
    pl.scan_parquet(inputs.papers),
    pl.scan_parquet(inputs.estimates),
    site=params.site,
    selection=LevelSelection(projects=wanted["projects"], papers=wanted["papers"], minimum_group=1),
    redistribution=wanted["redistribution"],
    model=ErrorModel.of_study(pl.read_parquet(inputs.virtual_meter), params.meters),
)
write_table(Levels, rows, snakemake.output.levels)
