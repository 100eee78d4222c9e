"""Readings in many files, asked for node by node."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.site import pieces

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SCHEMA = {"timestamp": pl.Datetime("us", "UTC"), "node": pl.String, "value": pl.Int64}


def readings(*rows: tuple[str, int, int]) -> pl.DataFrame:
    """Node, seconds after noon, and value."""
    times = [(NOON + after * SECOND, node, value) for node, after, value in rows]
    return pl.DataFrame(times, schema=SCHEMA, orient="row")


def test_a_file_is_sorted_and_its_places_are_told(tmp_path: Path) -> None:
    unsorted = readings(("b-2", 7, 1), ("a-1", 9, 2), ("b-2", 3, 3), ("a-1", 9, 4))
    place = pieces.write(unsorted, tmp_path / "7.parquet")
    assert place.schema == pieces.PLACE
    assert place.rows() == [
        ("7.parquet", "a-1", NOON + 9 * SECOND, NOON + 9 * SECOND),
        ("7.parquet", "b-2", NOON + 3 * SECOND, NOON + 7 * SECOND),
    ]
    kept = pl.read_parquet(tmp_path / "7.parquet")
    # what has the same time stays in the order in which it came
    assert kept.rows() == [
        (NOON + 9 * SECOND, "a-1", 2),
        (NOON + 9 * SECOND, "a-1", 4),
        (NOON + 3 * SECOND, "b-2", 3),
        (NOON + 7 * SECOND, "b-2", 1),
    ]


def test_without_readings_there_is_no_file(tmp_path: Path) -> None:
    place = pieces.write(readings(), tmp_path / "7.parquet")
    assert place.schema == pieces.PLACE
    assert place.is_empty()
    assert list(tmp_path.iterdir()) == []


def test_only_files_that_may_hold_something_are_opened(tmp_path: Path) -> None:
    index = pl.concat(
        [
            pieces.write(readings(("a-1", 0, 1), ("b-2", 0, 2)), tmp_path / "0"),
            pieces.write(readings(("a-1", 10, 3), ("a-1", 19, 4)), tmp_path / "1"),
            pieces.write(readings(("a-1", 20, 5)), tmp_path / "2"),
            pieces.write(readings(("b-2", 12, 6)), tmp_path / "3"),
        ]
    )
    for other in ("0", "2", "3"):  # of another time, from the end on, and of another node
        (tmp_path / other).unlink()
    window = {"start": NOON + 10 * SECOND, "end": NOON + 20 * SECOND}
    [found] = pieces.read(tmp_path, index, nodes=["a-1"], **window)
    assert found["value"].to_list() == [3, 4]


def test_groups_of_rows_are_small_enough_to_skip_those_of_other_nodes(tmp_path: Path) -> None:
    n_rows = 2 * pieces.ROWS_A_GROUP
    many = pl.DataFrame(
        {
            "timestamp": [NOON] * n_rows,
            "node": ["a-1"] * (n_rows // 2) + ["b-2"] * (n_rows // 2),
            "value": range(n_rows),
        },
        schema=SCHEMA,
    )
    index = pieces.write(many, tmp_path / "0")
    window = {"start": NOON, "end": NOON + SECOND}
    [found] = pieces.read(tmp_path, index, nodes=["b-2"], **window)
    assert found["value"].to_list() == list(range(n_rows // 2, n_rows))
    # without statistics by group, a node would be found in the whole file alone
    file = pq.ParquetFile(tmp_path / "0")
    bounds = [
        file.metadata.row_group(group).column(1).statistics for group in range(file.num_row_groups)
    ]
    assert [(each.min, each.max) for each in bounds] == [("a-1", "a-1"), ("b-2", "b-2")]


ROWS = st.tuples(st.sampled_from(["a-1", "a-2", "b-1"]), st.integers(0, 9), st.integers(0, 3))


@settings(max_examples=40)
@given(
    files=st.lists(st.lists(ROWS, max_size=6), max_size=4),
    nodes=st.sets(st.sampled_from(["a-1", "a-2", "b-1", "c-9"])),
    first=st.integers(-1, 10),
    lasts=st.integers(0, 11),
)
def test_what_is_read_is_what_was_written(
    files: list[list[tuple[str, int, int]]], nodes: set[str], first: int, lasts: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = [
            pieces.write(readings(*rows), folder / f"{number}.parquet")
            for number, rows in enumerate(files)
        ]
        index = pl.concat([pl.DataFrame(schema=pieces.PLACE), *places])
        start, end = NOON + first * SECOND, NOON + (first + lasts) * SECOND
        frames = list(pieces.read(folder, index, nodes=nodes, start=start, end=end))
    found = [
        (node, (time - NOON) // SECOND, value)
        for frame in frames
        for time, node, value in frame.rows()
    ]
    wanted = [
        row for rows in files for row in rows if row[0] in nodes and first <= row[1] < first + lasts
    ]
    assert sorted(found) == sorted(wanted)
    owners = [frame["node"].unique().to_list() for frame in frames]
    assert owners == [[node] for node in sorted({row[0] for row in wanted})]
