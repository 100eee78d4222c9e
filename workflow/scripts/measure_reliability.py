"""Write probabilities of kinds beside how often they are right, by truth or by labels."""

import polars as pl

from footprint.core import logs
from footprint.phases import reliability, weighed_kinds
from footprint.schemas.validation import KindReliability
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

given = snakemake.input
basis = "truth" if given.truth else "labels"
table = reliability.reliability_table(
    weighed_kinds.weigh_runs(pl.scan_parquet(given.features)),
    known=pl.scan_parquet(given.truth or given.labels),
    basis=basis,
    run_of_job=pl.scan_parquet(given.run_of_job),
    job_energy=pl.scan_parquet(given.job_energy),
)
write_table(KindReliability, table, snakemake.output.reliability)
