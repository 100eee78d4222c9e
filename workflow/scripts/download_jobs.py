"""Write the jobs of the study's window, their allocations, and when nodes were unavailable."""

import polars as pl

from footprint import logs, tables, windows
from footprint.site import open_site
from footprint.site.states import of_described

logs.to_file(snakemake.log[0])

params, download = snakemake.params, snakemake.config["download"]
start, end = windows.window(params.start, params.end)
site = open_site(params.source, site=params.site, download=download)
records = site.jobs(start=start, end=end)
states = site.states(start=start, end=end)
if states is None:
    print("the source does not know node states: time without a job is idle, never unavailable")
    states = tables.States.create_empty().lazy()
states, stray = of_described(states, nodes=site.nodes())
tables.write(tables.Jobs, records.jobs, snakemake.output.jobs)
tables.write(tables.Allocations, records.allocations, snakemake.output.allocations)
set_aside = pl.concat([records.set_aside, stray.lazy()])
tables.write(tables.SetAside, set_aside, snakemake.output.set_aside)
tables.write(tables.States, states, snakemake.output.states)
