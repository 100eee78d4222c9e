"""Write the labels of each job, those of groups apart, papers of labelled jobs, similar names."""

import polars as pl

from footprint.core import logs
from footprint.labels import (
    files,
    from_job_names,
    from_ledgers,
    matching,
    precedence,
    similar_names,
)
from footprint.schemas.labels import GroupLabels, JobLabels
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

jobs = pl.scan_parquet(snakemake.input.jobs)
run_of_job = pl.scan_parquet(snakemake.input.run_of_job)
labels = files.read_labels(snakemake.input.labels)
matched = matching.match_label_files(labels, jobs, run_of_job)
labelled = precedence.labels_by_precedence(
    files=matched.single,
    ledgers=[
        from_ledgers.labels_of_ledgers(pl.read_parquet(each), run_of_job)
        for each in snakemake.input.ledger
    ],
    job_names=from_job_names.labels_of_job_names(jobs, run_of_job),
)
write_table(JobLabels, labelled, snakemake.output.labels)
write_table(GroupLabels, matched.groups, snakemake.output.group_labels)
complete = precedence.apply_precedence([labelled.lazy(), matched.groups])
papers = complete.select("job_id", "paper").drop_nulls()
papers.write_parquet(snakemake.output.papers)
projects = jobs.select("project").drop_nulls().unique().collect()["project"]
similar = similar_names.count_similar_names(papers["paper"], projects, labels)
write_table(RejectedRows, similar, snakemake.output.rejected)
