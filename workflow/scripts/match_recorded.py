"""Write the energies that tools recorded, by job, and the rejected records."""

from pathlib import Path

import polars as pl

from footprint.core import logs
from footprint.core.sums import exact_sum
from footprint.estimators import recorded_runs
from footprint.labels import precedence
from footprint.schemas.estimates import Recorded
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import write_table
from footprint.sources.exports import folders
from footprint.sources.tool_logs import runs as files

logs.log_to_file(snakemake.log[0])

folder = Path(snakemake.params.folder)
runs = files.parse_runs(
    ((folders.relative_name(Path(path), folder), Path(path)) for path in snakemake.input.files),
    unreadable=snakemake.params.unreadable,
)
matched = recorded_runs.match_runs_to_jobs(
    runs,
    pl.scan_parquet(snakemake.input.jobs),
    pl.scan_parquet(snakemake.input.allocations),
    pl.scan_parquet(snakemake.input.nodes),
)
precedence.log_warnings(
    f"{source}: {reason} ({n_rows}, {example})"
    for source, reason, n_rows, example in matched.rejected.select(
        "source", "reason", "n_rows", "example"
    ).iter_rows()
)
n_runs = runs["started_at"].count()
n_matched = matched.jobs.select(exact_sum(pl.col("n_runs"))).item()
print(f"{n_runs} recorded runs; {n_matched} belong to {len(matched.jobs)} jobs")
write_table(Recorded, matched.jobs, snakemake.output.recorded)
write_table(RejectedRows, matched.rejected, snakemake.output.rejected)
