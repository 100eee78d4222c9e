"""Write the energy of development of each paper and project by stage."""

import polars as pl

from footprint.core import logs
from footprint.phases import energies, stages
from footprint.schemas.phases import PhaseStages
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

given, params = snakemake.input, snakemake.params
found = stages.development_by_stage(
    pl.scan_parquet(given.runs),
    labelled=pl.scan_parquet(given.labels),
    levels=pl.scan_parquet(given.levels),
    errors=energies.read_errors(
        given.job_nodes, given.job_energy, given.virtual_meter, params.meters
    ),
    papers_wanted=params.papers,
)
write_table(PhaseStages, found, snakemake.output.stages)
