"""Write the energy of each recorded run by every method, with the wattmeter's."""

import polars as pl

from footprint import schemas
from footprint.core import logs
from footprint.validation import against_wattmeter, recordings

logs.log_to_file(snakemake.log[0])

runs = against_wattmeter.compare_methods(
    recordings.read_recordings(snakemake.params.directory or snakemake.input.folder),
    estimators=snakemake.params.estimators,
)
print(f"{runs['run_id'].n_unique()} runs, {runs['method'].n_unique()} methods; rejected:")
print(runs.filter(pl.col("reason").is_not_null()).select("run_id", "method", "reason").write_csv())
schemas.write_table(schemas.ValidationRuns, runs, snakemake.output.runs)
