"""Write the energy of each recorded run by every method, with the wattmeter's."""

import polars as pl

from footprint.core import logs
from footprint.schemas.validation import ValidationRuns
from footprint.schemas.writing import write_table
from footprint.validation import against_wattmeter, recordings

logs.log_to_file(snakemake.log[0])

runs = against_wattmeter.compare_methods(
    recordings.read_recordings(snakemake.params.directory or snakemake.input.folder),
    estimators=snakemake.params.estimators,
)
print(f"{runs['run_id'].n_unique()} runs, {runs['method'].n_unique()} methods; rejected:")
print(runs.filter(pl.col("reason").is_not_null()).select("run_id", "method", "reason").write_csv())
write_table(ValidationRuns, runs, snakemake.output.runs)
