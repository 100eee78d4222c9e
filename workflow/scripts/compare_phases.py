"""Write what development cost beside the training of the reported model, by paper and project."""

import polars as pl

from footprint import logs, tables
from footprint.phases import baseline, kinds, ratios, roles

logs.to_file(snakemake.log[0])

labelled = roles.of_runs(pl.scan_parquet(snakemake.input.labelled))
papers = labelled.select("run_id", "paper")
runs = pl.scan_parquet(snakemake.input.runs).join(papers, on="run_id", how="left")
evidence = pl.scan_parquet(snakemake.input.evidence)
levels = pl.scan_parquet(snakemake.input.levels)
rows = ratios.ratios(
    runs,
    levels=levels,
    labelled=labelled,
    time=ratios.time_of_runs(runs, pl.scan_parquet(snakemake.input.job_nodes)),
    variants=kinds.variants(evidence, kinds.Thresholds.from_config(snakemake.params.thresholds)),
    baseline=baseline.kinds(evidence),
    papers_wanted=snakemake.params.papers,
)
tables.write(tables.PhaseRatio, rows, snakemake.output.ratio)
