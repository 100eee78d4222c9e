"""Clusters from the names of nodes."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.core.errors import InputError
from footprint.sources import node_names

pytestmark = pytest.mark.filterwarnings("error")

NO_HYPHEN = r"(?P<cluster>[a-z]+)(?P<number>\d+)"


@pytest.mark.parametrize(
    ("name", "cluster"),
    [
        ("gros-12", "gros"),
        ("abacus9-1", "abacus9"),
        ("my-cluster-3", "my-cluster"),
        ("Gros-1", "Gros"),
        ("gros", ""),
        ("node12", ""),
        ("gros-1-bmc", ""),
        ("gros-", ""),
        ("-1", ""),
        ("gr os-1", ""),
        ("../../x-1", ""),
        (".hidden-1", ""),
    ],
)
def test_cluster_of_default_pattern_gives_the_part_before_the_number(
    name: str, cluster: str
) -> None:
    assert node_names.cluster_of(name) == cluster


@pytest.mark.parametrize(
    ("pattern", "name", "cluster"),
    [
        (NO_HYPHEN, "node12", "node"),
        (NO_HYPHEN, "node-12", ""),
        (r"r\d+i\d+n\d+|(?P<cluster>gpu)\d+", "gpu7", "gpu"),
        (r"r\d+i\d+n\d+|(?P<cluster>gpu)\d+", "r1i2n3", ""),
    ],
)
def test_cluster_of_custom_pattern_gives_the_group_cluster(
    pattern: str, name: str, cluster: str
) -> None:
    node_names.check_pattern(pattern, where="source.node_pattern")
    assert node_names.cluster_of(name, pattern) == cluster


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?P<cluster>", "source.node_pattern: not a regular expression (missing"),
        (r"(.+)-\d+", r"source.node_pattern: `(.+)-\d+` has no group `cluster`; add a group"),
    ],
)
def test_check_pattern_without_a_group_cluster_is_refused_in_one_line(
    pattern: str, message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        node_names.check_pattern(pattern, where="source.node_pattern")
    assert "\n" not in str(raised.value)


@given(st.lists(st.none() | st.from_regex(r"[a-z-]{0,4}\d{0,2}", fullmatch=True), max_size=20))
def test_cluster_of_a_column_gives_the_cluster_of_each_name(names: list[str | None]) -> None:
    frame = pl.DataFrame({"node": names}, schema={"node": pl.String})
    for pattern in (node_names.GRID5000_PATTERN, NO_HYPHEN):
        found = frame.lazy().select(node_names.cluster_of_column(pl.col("node"), pattern)).collect()
        expected = [
            name if name is None else node_names.cluster_of(name, pattern) for name in names
        ]
        assert found["node"].to_list() == expected
