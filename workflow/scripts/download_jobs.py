"""Write the jobs of the study's window, their allocations, and the node states."""

import polars as pl

from footprint.core import calendar, logs
from footprint.schemas.raw import Allocations, Jobs, RejectedRows, States
from footprint.schemas.writing import write_table
from footprint.sources import job_texts
from footprint.sources.registry import open_site
from footprint.sources.state_notes import usable_states

logs.log_to_file(snakemake.log[0])

params, download = snakemake.params, snakemake.config["download"]
start, end = calendar.study_window(params.start, params.end)
site = open_site(params.source, site=params.site, download=download)
records = site.jobs(start=start, end=end)
states = site.states(start=start, end=end)
if states is None:
    print("the source has no node states: time without a job counts as idle, never as unavailable")
    states = States.create_empty().lazy()
states, unusable = usable_states(states, nodes=site.nodes())
write_table(Jobs, job_texts.normalise_texts(records.jobs.lazy()), snakemake.output.jobs)
write_table(Allocations, records.allocations, snakemake.output.allocations)
rejected = pl.concat([records.rejected, unusable.lazy()])
write_table(RejectedRows, rejected, snakemake.output.rejected)
write_table(States, states, snakemake.output.states)
