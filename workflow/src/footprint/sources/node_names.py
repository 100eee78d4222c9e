"""Names of nodes: the short name, and the cluster by the pattern `source.node_pattern`.

Functions over columns import Polars themselves, because the Snakefile imports this module on every
start.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from footprint.core.errors import InputError

if TYPE_CHECKING:
    import polars as pl

GRID5000_PATTERN = r"(?P<cluster>.+)-(?P<number>\d+)"
"""Pattern of the names of nodes of Grid'5000, as in `gros-12` of the cluster `gros`."""

GENERIC_PATTERN = r"(?P<cluster>.*?[A-Za-z])(?:[-_]?\d+)*"
"""Pattern of the source `generic`: a node's cluster is its name without the numbers at the end, as
`gpu` for `gpu012` or `gpu-3-12`."""

GRID5000_DOMAIN = ".grid5000.fr"
"""End of the full names of nodes of Grid'5000, as in `gros-12.nancy.grid5000.fr`."""

OTHER_SITE_REASON = "node of another site"
"""Reason in `schemas.RejectedRows` for rows about nodes of another site."""

CLUSTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""Pattern of the names of clusters; such names can be names of files."""

CLUSTER_NAME_RULE = "names of clusters are made of letters, digits, `-` and `_`"
"""The rule behind `CLUSTER_NAME`, for error messages."""


def cluster_of(node: str, pattern: str = GRID5000_PATTERN) -> str:
    """Cluster of a node from its short name; empty where the name does not match.

    Args:
        node: Short name, without a domain.
        pattern: Regular expression with the group `cluster` (`check_pattern`).
    """
    match = re.fullmatch(pattern, node)
    found = (match["cluster"] or "") if match else ""
    return found if CLUSTER_NAME.fullmatch(found) else ""


def cluster_of_column(node: pl.Expr, pattern: str = GRID5000_PATTERN) -> pl.Expr:
    """Cluster of each short name in a column; empty where the name does not match.

    Args:
        node: Short names.
        pattern: Regular expression with the group `cluster`.
    """
    import polars as pl

    def clusters_of(names: pl.Series) -> pl.Series:
        clusters = {name: cluster_of(name, pattern) for name in names.unique().drop_nulls()}
        return names.replace_strict(clusters, default=None, return_dtype=pl.String)

    return node.map_batches(clusters_of, return_dtype=pl.String, is_elementwise=True)


def short_names(name: pl.Expr, site: str | None) -> pl.Expr:
    """Short name of each node in a column; the full name for nodes of another Grid'5000 site.

    Args:
        name: Short or full names.
        site: Site of the study; None: all names are taken for nodes of it.
    """
    import polars as pl

    parts = name.str.split(".")
    short = parts.list.first()
    if site is None:
        return short
    other = is_of_another_site(name) & (parts.list.get(1, null_on_oob=True) != site)
    return pl.when(other).then(name).otherwise(short)


def is_of_another_site(name: pl.Expr) -> pl.Expr:
    """Whether each name, a result of `short_names`, is of a node of another site."""
    return name.str.ends_with(GRID5000_DOMAIN)


def check_pattern(pattern: str, *, where: str) -> None:
    """Refuse a pattern that is not a regular expression or has no group `cluster`.

    Args:
        pattern: The pattern.
        where: Key of the configuration, for the message.

    Raises:
        InputError: The pattern cannot be used.
    """
    do = f"add a group `cluster`, as in `{GRID5000_PATTERN}`"
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise InputError(f"not a regular expression ({error})", where=where, do=do) from None
    if "cluster" not in groups:
        raise InputError(f"`{pattern}` has no group `cluster`", where=where, do=do)
