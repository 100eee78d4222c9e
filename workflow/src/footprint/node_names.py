"""Names of nodes: the cluster of a node by the pattern `source.node_pattern`.

Polars is loaded only where a table needs it: a Snakefile reads the clusters of a study from here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from footprint.errors import InputError

if TYPE_CHECKING:
    import polars as pl

GRID5000 = r"(?P<cluster>.+)-(?P<number>\d+)"
"""Pattern of Grid'5000, as in `gros-12` of the cluster `gros`."""

DOMAIN = ".grid5000.fr"
"""What full names of nodes of Grid'5000 end with, behind the site, as in
`gros-12.nancy.grid5000.fr`."""

OTHER_SITE = "node of another site"
"""Reason for which rows about such nodes are set aside."""

CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""Names of clusters that are names of files as well."""

RULE = "names of clusters are made of letters, digits, `-` and `_`"


def cluster_of(node: str, pattern: str = GRID5000) -> str:
    """Cluster of a node by its short name; empty where the name does not match.

    Args:
        node: Short name, without a domain.
        pattern: Regular expression with the group `cluster`, as `check_pattern` accepts it.
    """
    match = re.fullmatch(pattern, node)
    found = (match["cluster"] or "") if match else ""
    return found if CLUSTER.fullmatch(found) else ""


def cluster(node: pl.Expr, pattern: str = GRID5000) -> pl.Expr:
    """Cluster of each short name in a column; empty where the name does not match."""
    import polars as pl

    def of_names(names: pl.Series) -> pl.Series:
        known = {name: cluster_of(name, pattern) for name in names.unique().drop_nulls()}
        return names.replace_strict(known, default=None, return_dtype=pl.String)

    return node.map_batches(of_names, return_dtype=pl.String, is_elementwise=True)


def of_site(name: pl.Expr, site: str | None) -> pl.Expr:
    """Short name of each node in a column; the full one of a node of another Grid'5000 site.

    Args:
        name: Short or full names.
        site: The site; None: all names are of it.
    """
    import polars as pl

    parts = name.str.split(".")
    short = parts.list.first()
    if site is None:
        return short
    other = is_of_another_site(name) & (parts.list.get(1, null_on_oob=True) != site)
    return pl.when(other).then(name).otherwise(short)


def is_of_another_site(name: pl.Expr) -> pl.Expr:
    """Whether names that `of_site` gave are those of nodes of another site."""
    return name.str.ends_with(DOMAIN)


def check_pattern(pattern: str, *, where: str) -> None:
    """Refuse a pattern that is no regular expression or has no group `cluster`.

    Raises:
        InputError: The mistake, in one line.
    """
    do = f"write a group `cluster`, as in `{GRID5000}`"
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise InputError(f"not a regular expression ({error})", where=where, do=do) from None
    if "cluster" not in groups:
        raise InputError(f"`{pattern}` has no group `cluster`", where=where, do=do)
