"""Write assigned kinds against the true kinds of the simulated site."""

import polars as pl

from footprint.core import logs
from footprint.phases import baseline, classifier, evaluation
from footprint.schemas.validation import PhaseEvaluation
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

features = pl.scan_parquet(snakemake.input.features)
thresholds = classifier.Thresholds.from_config(snakemake.params.thresholds)
table = evaluation.confusion_table(
    {
        "rules": classifier.classify_runs(features, thresholds),
        "baseline": baseline.classify_by_exit_state(features),
    },
    run_of_job=pl.scan_parquet(snakemake.input.run_of_job),
    truth=pl.scan_parquet(snakemake.input.truth),
    job_energy=pl.scan_parquet(snakemake.input.job_energy),
)
print(evaluation.format_summary(table))
write_table(PhaseEvaluation, table, snakemake.output.evaluation)
