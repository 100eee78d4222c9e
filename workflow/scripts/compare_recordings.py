"""Write the energy of each recorded run by every method, beside the wattmetre."""

import polars as pl

from footprint import logs, tables
from footprint.validation import against_wattmetre, recordings

logs.to_file(snakemake.log[0])

runs = against_wattmetre.compare(
    recordings.read(snakemake.params.directory or snakemake.input.folder),
    estimators=snakemake.params.estimators,
)
print(f"{runs['run_id'].n_unique()} runs, {runs['method'].n_unique()} methods; set aside:")
print(runs.filter(pl.col("reason").is_not_null()).select("run_id", "method", "reason").write_csv())
tables.write(tables.ValidationRuns, runs, snakemake.output.runs)
