"""Write what tools recorded in jobs, by job, and what of it cannot be used."""

from pathlib import Path

import polars as pl

from footprint import logs, recorded, tables, told
from footprint.site import folders
from footprint.site import recorded as files
from footprint.summation import exact_sum

logs.to_file(snakemake.log[0])

folder = Path(snakemake.params.folder)
runs = files.parse(
    ((folders.label(Path(path), folder), Path(path)) for path in snakemake.input.files),
    unreadable=snakemake.params.unreadable,
)
matched = recorded.match(
    runs,
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.allocations),
    pl.scan_parquet(snakemake.input.nodes),
)
told.warn(
    f"{source}: {reason} ({n_rows}, {example})"
    for source, reason, n_rows, example in matched.set_aside.select(
        "source", "reason", "n_rows", "example"
    ).iter_rows()
)
n_runs = runs["started_at"].count()
n_matched = matched.jobs.select(exact_sum(pl.col("n_runs"))).item()
print(f"{n_runs} runs recorded; {n_matched} are of {len(matched.jobs)} jobs")
tables.write(tables.Recorded, matched.jobs, snakemake.output.recorded)
tables.write(tables.SetAside, matched.set_aside, snakemake.output.set_aside)
