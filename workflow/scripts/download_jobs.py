"""Write the jobs of the study's window, their allocations, and the node states."""

import polars as pl

from footprint import schemas
from footprint.core import calendar, logs
from footprint.sources.registry import open_site
from footprint.sources.state_notes import states_of_described_nodes

logs.log_to_file(snakemake.log[0])

params, download = snakemake.params, snakemake.config["download"]
start, end = calendar.study_window(params.start, params.end)
site = open_site(params.source, site=params.site, download=download)
records = site.jobs(start=start, end=end)
states = site.states(start=start, end=end)
if states is None:
    print("the source has no node states: time without a job counts as idle, never as unavailable")
    states = schemas.States.create_empty().lazy()
states, stray = states_of_described_nodes(states, nodes=site.nodes())
schemas.write_table(schemas.Jobs, records.jobs, snakemake.output.jobs)
schemas.write_table(schemas.Allocations, records.allocations, snakemake.output.allocations)
rejected = pl.concat([records.rejected, stray.lazy()])
schemas.write_table(schemas.RejectedRows, rejected, snakemake.output.rejected)
schemas.write_table(schemas.States, states, snakemake.output.states)
