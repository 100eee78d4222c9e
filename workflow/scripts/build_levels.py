"""Write the energy at each level of the study."""

import polars as pl

from footprint.core import logs, pseudonyms
from footprint.energy.energy_tables import EnergyTables
from footprint.levels import levels
from footprint.levels.selection import LevelSelection
from footprint.schemas.levels import Levels
from footprint.schemas.writing import write_table
from footprint.totals.error_model import ErrorModel

logs.log_to_file(snakemake.log[0])

params = snakemake.params
key = pseudonyms.load_key(params.privacy["key"], simulated=params.simulated)
rows = levels.energy_by_level(
    EnergyTables(
        pl.scan_parquet(snakemake.input.job_energy),
        pl.scan_parquet(snakemake.input.job_nodes),
        pl.scan_parquet(snakemake.input.node_energy),
    ),
    pl.scan_parquet(snakemake.input.papers),
    pl.scan_parquet(snakemake.input.estimates),
    site=params.site,
    selection=LevelSelection(
        projects=params.levels["projects"],
        users=pseudonyms.shown_pseudonyms(params.levels["users"], key=key),
        papers=params.levels["papers"],
        minimum_group=params.privacy["minimum_group"],
    ),
    redistribution=params.levels["redistribution"],
    model=ErrorModel.of_study(
        pl.read_parquet(snakemake.input.virtual_meter),
        params.meters,
    ),
)
write_table(Levels, rows, snakemake.output.levels)
