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
wanted = snakemake.params.papers
shown = ratios.members(runs, levels=levels, papers_wanted=wanted).select("run_id").unique()
rows = ratios.ratios(
    runs,
    levels=levels,
    labelled=labelled,
    variants=kinds.variants(
        evidence.join(shown, on="run_id", how="semi"),
        kinds.Thresholds.from_config(snakemake.params.thresholds),
    ),
    baseline=baseline.kinds(evidence),
    papers_wanted=wanted,
)
tables.write(tables.PhaseRatio, rows, snakemake.output.ratio)
