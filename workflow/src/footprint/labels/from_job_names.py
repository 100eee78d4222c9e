"""Labels in the names of jobs: `fp:paper=enhancement,phase=training`, or `project,stage,run_type`.

They serve people without the tracker: OAR keeps the name, and refuses unknown types (`-t`). The
second form is that of a French laboratory; its project is no paper, and is not read.
"""

from __future__ import annotations

import re

import polars as pl

from footprint.core.names import clean_name
from footprint.core.vocabulary import KIND_OF_RUN_TYPE, LABEL_FIELDS, LABEL_VALUES, STAGES
from footprint.labels.precedence import STATEMENT_SCHEMA, SourceLabels, resolve_contradictions

LABEL_PATTERN = re.compile(r"(?:^|(?<=[^A-Za-z0-9]))fp:(\S*)")
"""A label in a name; its group has the pairs `key=value`, separated by commas."""

TAG_PATTERN = re.compile(r"[^,\s]+,(\w+),(\w+)(?!\S)")
"""A name that begins with `project,stage,run_type`; its groups have the stage and the run type."""


def parse_job_name(name: str) -> tuple[dict[str, str], str | None]:
    """Parse the labels in the name of a job.

    Args:
        name: Name, as in `big7 fp:paper=enhancement,phase=training` or `speech,ablate,train`. A
            name of three words is a tag where the second is a stage and the third a run type.

    Returns:
        Values by statement, and the last fault; None without one.
    """
    found: dict[str, str] = {}
    fault = None
    for label in LABEL_PATTERN.findall(name):
        for pair in label.split(","):
            key, _, value = map(clean_name, pair.partition("="))
            if key not in LABEL_FIELDS:
                fault = f"`fp:` allows {', '.join(LABEL_FIELDS)}"
            elif not value or value not in LABEL_VALUES.get(key, (value,)):
                fault = f"{key} is {', '.join(LABEL_VALUES.get(key, ('any word',)))}"
            elif found.setdefault(key, value) != value:
                fault = f"{key} has two values"
    tag = TAG_PATTERN.match(name)
    if tag and tag[1] in STAGES and tag[2] in KIND_OF_RUN_TYPE:
        for key, value in (("stage", tag[1]), ("kind", KIND_OF_RUN_TYPE[tag[2]])):
            if found.setdefault(key, value) != value:
                fault = f"{key} has two values"
    return found, fault


def labels_of_job_names(jobs: pl.LazyFrame, run_of_job: pl.LazyFrame) -> SourceLabels:
    """Labels of runs from the names of their jobs; no message quotes a name.

    Args:
        jobs: `schemas.Jobs`.
        run_of_job: `schemas.RunOfJob`.

    Returns:
        `schemas.JobLabels`, and messages of faults and contradictions.
    """
    held_s = (pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds(fractional=True)
    named = (
        jobs.filter(pl.col("name").str.contains("fp:|,"))
        .select("job_id", "name", weight_s=held_s)
        .sort("job_id")
        .collect()
    )
    rows, faults = [], []
    for job, name, weight_s in named.iter_rows():
        statements, fault = parse_job_name(name)
        where = f"the name of job {job}"
        if statements:
            rows.append({"job_id": job, "where": where, "weight_s": weight_s, **statements})
        if fault is not None:
            faults.append(f"{where} has an invalid label: {fault}")
    found = resolve_contradictions(pl.DataFrame(rows, schema=STATEMENT_SCHEMA), run_of_job)
    return SourceLabels(found.labels, [*faults, *found.contradictions])
