"""Write assigned kinds against the true kinds of the simulated site, and their accuracy."""

import polars as pl

from footprint.core import logs
from footprint.phases import baseline, classifier, evaluation, weighed_kinds
from footprint.schemas.validation import PhaseAccuracy, PhaseEvaluation
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

features = pl.scan_parquet(snakemake.input.features)
thresholds = classifier.Thresholds.from_config(snakemake.params.thresholds)
kinds_by_method = {
    "weights": weighed_kinds.weigh_runs(features, min_probability=thresholds.min_probability),
    "rules": classifier.classify_runs(features, thresholds),
    "baseline": baseline.classify_by_exit_state(features),
    "everything_is_training": baseline.classify_everything_as_training(features),
}
given = {
    "run_of_job": pl.scan_parquet(snakemake.input.run_of_job),
    "truth": pl.scan_parquet(snakemake.input.truth),
    "job_energy": pl.scan_parquet(snakemake.input.job_energy),
}
table = evaluation.confusion_table(kinds_by_method, **given)
print(evaluation.format_summary(table))
write_table(PhaseEvaluation, table, snakemake.output.evaluation)
accuracy = evaluation.accuracy_table(kinds_by_method, **given)
write_table(PhaseAccuracy, accuracy, snakemake.output.accuracy)
