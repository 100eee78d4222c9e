"""Write the jobs of the study's window, their allocations, and when nodes were unavailable."""

from footprint import logs, tables, windows
from footprint.site import open_site

logs.to_file(snakemake.log[0])

params, download = snakemake.params, snakemake.config["download"]
start, end = windows.window(params.start, params.end)
site = open_site(params.source, site=params.site, download=download)
records = site.jobs(start=start, end=end)
states = site.states(start=start, end=end)
if states is None:
    print("the source does not know node states: time without a job is idle, never unavailable")
    states = tables.States.create_empty().lazy()
tables.write(tables.Jobs, records.jobs, snakemake.output.jobs)
tables.write(tables.Allocations, records.allocations, snakemake.output.allocations)
tables.write(tables.SetAside, records.set_aside, snakemake.output.set_aside)
tables.write(tables.States, states, snakemake.output.states)
