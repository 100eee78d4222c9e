"""Write kinds found against the true kinds of the simulated site."""

import polars as pl

from footprint import logs, tables
from footprint.phases import baseline, evaluation, kinds

logs.to_file(snakemake.log[0])

evidence = pl.scan_parquet(snakemake.input.evidence)
thresholds = kinds.Thresholds.from_config(snakemake.params.thresholds)
table = evaluation.confusion(
    {"rules": kinds.classify(evidence, thresholds), "baseline": baseline.kinds(evidence)},
    run_of_job=pl.scan_parquet(snakemake.input.run_of_job),
    truth=pl.scan_parquet(snakemake.input.truth),
    job_energy=pl.scan_parquet(snakemake.input.job_energy),
)
print(evaluation.summary(table))
tables.write(tables.PhaseEvaluation, table, snakemake.output.evaluation)
