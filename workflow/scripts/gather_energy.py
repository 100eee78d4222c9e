"""Write the energy of every job and node over the study, and the accounts of what was read."""

import polars as pl

from footprint import gather, logs, power_findings, privacy, tables, windows

logs.to_file(snakemake.log[0])

start, end = windows.window(snakemake.params.start, snakemake.params.end)
results = gather.gather(
    nodes=pl.scan_parquet(snakemake.input.nodes),
    records=pl.scan_parquet(snakemake.input.jobs),
    allocations=pl.scan_parquet(snakemake.input.allocations),
    overlaps=pl.read_parquet(snakemake.input.overlaps),
    job_sums=pl.scan_parquet(snakemake.input.job_sums),
    classes=pl.scan_parquet(snakemake.input.classes),
    clusters=snakemake.params.clusters,
    method=snakemake.params.method,
    start=start,
    end=end,
    key=privacy.load_key(snakemake.params.privacy["key"], simulated=snakemake.params.simulated),
)
found = power_findings.find(
    snakemake.input, clusters=snakemake.params.clusters, metric=snakemake.params.metric, end=end
)
jobs = power_findings.with_flags(results.jobs, found.flags)
tables.write(tables.JobEnergy, jobs, snakemake.output.jobs)
tables.write(tables.JobNodeEnergy, results.job_nodes, snakemake.output.job_nodes)
tables.write(tables.NodeEnergy, results.nodes, snakemake.output.nodes)
tables.write(tables.Quality, pl.scan_parquet(snakemake.input.quality), snakemake.output.quality)
tables.write(
    tables.SetAside,
    pl.concat([pl.scan_parquet(snakemake.input.set_aside), results.set_aside, found.set_aside]),
    snakemake.output.set_aside,
)
