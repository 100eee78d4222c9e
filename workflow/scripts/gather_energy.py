"""Write the energy of every job and node over the study, and the accounts of what was read."""

from pathlib import Path

import polars as pl

from footprint import gather, held_time, logs, power_findings, privacy, tables, windows

logs.to_file(snakemake.log[0])

start, end = windows.window(snakemake.params.start, snakemake.params.end)
results = gather.gather(
    nodes=pl.scan_parquet(snakemake.input.nodes),
    records=pl.scan_parquet(snakemake.input.jobs),
    allocations=pl.scan_parquet(snakemake.input.allocations),
    job_sums=pl.scan_parquet(snakemake.input.job_sums),
    classes=pl.scan_parquet(snakemake.input.classes),
    clusters=snakemake.params.clusters,
    method=snakemake.params.method,
    start=start,
    end=end,
    key=privacy.load_key(snakemake.params.privacy["key"], simulated=snakemake.params.simulated),
)
quality = pl.read_parquet(snakemake.input.quality)
spells = pl.read_parquet(snakemake.input.spells)
held = held_time.intervals(
    pl.scan_parquet(snakemake.input.jobs), pl.scan_parquet(snakemake.input.allocations), end=end
)
jobs = power_findings.with_flags(results.jobs, power_findings.flags(spells, held))
folder = snakemake.input.get("converted")
of_power = power_findings.set_aside(
    quality,
    spells,
    pl.read_parquet(snakemake.input.nodes),
    clusters=snakemake.params.clusters,
    metric=snakemake.params.metric,
    converted=Path(folder) if folder else None,
)
tables.write(tables.JobEnergy, jobs, snakemake.output.jobs)
tables.write(tables.JobNodeEnergy, results.job_nodes, snakemake.output.job_nodes)
tables.write(tables.NodeEnergy, results.nodes, snakemake.output.nodes)
tables.write(tables.Quality, quality, snakemake.output.quality)
tables.write(
    tables.SetAside,
    pl.concat([pl.scan_parquet(snakemake.input.set_aside), results.set_aside, of_power.lazy()]),
    snakemake.output.set_aside,
)
