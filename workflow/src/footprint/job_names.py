"""Labels in the names of jobs: `oarsub -n "big7 fp:paper=enhancement,phase=training"`.

For those who have no tracker: OAR keeps the name, and refuses types of its own making (`-t`).
"""

from __future__ import annotations

import re

import polars as pl

from footprint.told import ROWS, Weighed, weighed
from footprint.vocabulary import ALLOWED, STATEMENTS

LABEL = re.compile(r"(?:^|(?<=[^A-Za-z0-9]))fp:(\S*)")


def said(name: str) -> tuple[dict[str, str], str | None]:
    """Statements in the name of a job, and what of it cannot be understood.

    Args:
        name: As in `big7 fp:paper=enhancement,phase=training`.
    """
    found: dict[str, str] = {}
    fault = None
    for label in LABEL.findall(name):
        for pair in label.split(","):
            key, _, value = pair.partition("=")
            if key not in STATEMENTS:
                fault = f"`fp:` knows {', '.join(STATEMENTS)}"
            elif not value or value not in ALLOWED.get(key, (value,)):
                fault = f"{key} is {', '.join(ALLOWED.get(key, ('any word',)))}"
            elif found.setdefault(key, value) != value:
                fault = f"{key} is given twice"
    return found, fault


def labelled(jobs: pl.LazyFrame, run_of_job: pl.LazyFrame) -> Weighed:
    """What the names of jobs say of them and of their runs; no message quotes a name.

    Args:
        jobs: `tables.Jobs`.
        run_of_job: `tables.RunOfJob`.
    """
    held_s = (pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds(fractional=True)
    named = (
        jobs.filter(pl.col("name").str.contains("fp:", literal=True))
        .select("job_id", "name", weight_s=held_s)
        .sort("job_id")
        .collect()
    )
    rows, faults = [], []
    for job, name, weight_s in named.iter_rows():
        statements, fault = said(name)
        where = f"the name of job {job}"
        rows.append({"job_id": job, "where": where, "weight_s": weight_s, **statements})
        if fault is not None:
            faults.append(f"{where} has a label that is not known: {fault}")
    found = weighed(pl.DataFrame(rows, schema=ROWS), run_of_job)
    return Weighed(found.labelled, [*faults, *found.contradictions])
