"""Write energies of jobs by samples of power beside those of their nodes' energy counters."""

from pathlib import Path

import polars as pl

from footprint.core import calendar, logs
from footprint.schemas.validation import AgainstCounters
from footprint.schemas.writing import write_table
from footprint.sources.registry import open_site
from footprint.validation import against_counters

logs.log_to_file(snakemake.log[0])

given, params = snakemake.input, snakemake.params
start, end = calendar.study_window(params.start, params.end)
site = open_site(params.source, site=params.site, converted=Path(given.converted).parent)
readings = (
    frame
    for cluster in params.clusters
    for frame in site.counters(metric=params.metric, cluster=cluster, start=start, end=end)
)
table = against_counters.compare_with_counters(
    pl.read_parquet(given.job_nodes),
    pl.read_parquet(given.allocations),
    readings,
    max_gap_s=params.max_gap_s,
)
write_table(AgainstCounters, table, snakemake.output.compared)
