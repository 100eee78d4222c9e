"""Write the features of each run, by which runs are classified."""

import polars as pl

from footprint.core import logs
from footprint.phases import classifier, features, job_words

logs.log_to_file(snakemake.log[0])

run_features = features.collect_features(
    jobs=pl.scan_parquet(snakemake.input.jobs),
    run_of_job=pl.scan_parquet(snakemake.input.run_of_job),
    job_energy=pl.scan_parquet(snakemake.input.job_energy),
    job_nodes=pl.scan_parquet(snakemake.input.job_nodes),
    power_histograms=pl.scan_parquet(snakemake.input.power_histograms),
    tokens=job_words.Tokens.from_config(snakemake.params.tokens),
    thresholds=classifier.Thresholds.from_config(snakemake.params.thresholds),
)
run_features.collect().write_parquet(snakemake.output.features)
