"""Write what is known of each run: what its kind is decided from."""

import polars as pl

from footprint import logs
from footprint.phases import evidence, kinds, words

logs.to_file(snakemake.log[0])

known = evidence.gather(
    jobs=pl.scan_parquet(snakemake.input.jobs),
    run_of_job=pl.scan_parquet(snakemake.input.run_of_job),
    job_energy=pl.scan_parquet(snakemake.input.job_energy),
    job_nodes=pl.scan_parquet(snakemake.input.job_nodes),
    power_levels=pl.scan_parquet(snakemake.input.power_levels),
    tokens=words.Tokens.from_config(snakemake.params.tokens),
    thresholds=kinds.Thresholds.from_config(snakemake.params.thresholds),
)
known.collect().write_parquet(snakemake.output.evidence)
