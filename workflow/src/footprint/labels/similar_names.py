"""Papers and projects whose names differ in case or blanks alone, which people may mean as one.

They count as several, since only their authors know. The names are in the log; the count, which is
published, has none: a paper of few people is not shown by name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from footprint.core.names import near_equal_names
from footprint.labels.files import Label
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform

LOG = logging.getLogger(__name__)


def count_similar_names(
    papers: Iterable[str], projects: Iterable[str], labels: Sequence[Label]
) -> pl.DataFrame:
    """Number of names that differ from another in case or blanks alone, with a warning for each.

    Args:
        papers: Papers of jobs.
        projects: Projects of jobs.
        labels: Rows of label files, for a place in a file as example.

    Returns:
        `schemas.RejectedRows`: no row is rejected, the count is a limit of the input.
    """
    rows = []
    for what, names in (("papers", papers), ("projects", projects)):
        groups = near_equal_names(names)
        for group in groups:
            shown = " and ".join(repr(name) for name in group)
            LOG.warning("the %s %s differ in case or blanks alone: each counts apart", what, shown)
        if groups:
            similar = {name for group in groups for name in group}
            places = (each.where for each in labels if what == "papers" and each.paper in similar)
            where = next(places, None)
            rows.append(
                {
                    "stage": "labels",
                    "source": "labels.files" if where else what,
                    "reason": f"{what} whose names differ in case or blanks alone: each counts "
                    "apart (the log of match_labels has the names)",
                    "n_rows": len(similar),
                    "example": None if where is None else Path(where).name,
                }
            )
    schema = pl.DataFrame(RejectedRows.create_empty()).schema
    found: pl.DataFrame = conform(RejectedRows, pl.DataFrame(rows, schema=schema))
    return found
