"""Files of readings with an index, read node by node."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.sources import indexed_readings

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SCHEMA = {"timestamp": pl.Datetime("us", "UTC"), "node": pl.String, "value": pl.Int64}


def readings(*rows: tuple[str, int, int]) -> pl.DataFrame:
    """Readings from rows of node, seconds after noon, and value."""
    times = [(NOON + after * SECOND, node, value) for node, after, value in rows]
    return pl.DataFrame(times, schema=SCHEMA, orient="row")


def test_write_sorts_rows_and_returns_their_index(tmp_path: Path) -> None:
    unsorted = readings(("b-2", 7, 1), ("a-1", 9, 2), ("b-2", 3, 3), ("a-1", 9, 4))
    place = indexed_readings.write_readings(unsorted, tmp_path / "7.parquet")
    assert place.schema == indexed_readings.INDEX_COLUMNS
    assert place.rows() == [
        ("7.parquet", "a-1", NOON + 9 * SECOND, NOON + 9 * SECOND),
        ("7.parquet", "b-2", NOON + 3 * SECOND, NOON + 7 * SECOND),
    ]
    kept = pl.read_parquet(tmp_path / "7.parquet")
    # rows of the same time keep their order
    assert kept.rows() == [
        (NOON + 9 * SECOND, "a-1", 2),
        (NOON + 9 * SECOND, "a-1", 4),
        (NOON + 3 * SECOND, "b-2", 3),
        (NOON + 7 * SECOND, "b-2", 1),
    ]


def test_write_without_readings_creates_no_file(tmp_path: Path) -> None:
    place = indexed_readings.write_readings(readings(), tmp_path / "7.parquet")
    assert place.schema == indexed_readings.INDEX_COLUMNS
    assert place.is_empty()
    assert list(tmp_path.iterdir()) == []


def test_read_opens_only_files_of_the_node_and_window(tmp_path: Path) -> None:
    index = pl.concat(
        [
            indexed_readings.write_readings(readings(("a-1", 0, 1), ("b-2", 0, 2)), tmp_path / "0"),
            indexed_readings.write_readings(
                readings(("a-1", 10, 3), ("a-1", 19, 4)), tmp_path / "1"
            ),
            indexed_readings.write_readings(readings(("a-1", 20, 5)), tmp_path / "2"),
            indexed_readings.write_readings(readings(("b-2", 12, 6)), tmp_path / "3"),
        ]
    )
    for other in ("0", "2", "3"):  # before the window, from its end on, and of another node
        (tmp_path / other).unlink()
    window = {"start": NOON + 10 * SECOND, "end": NOON + 20 * SECOND}
    [found] = indexed_readings.readings_by_node(tmp_path, index, nodes=["a-1"], **window)
    assert found["value"].to_list() == [3, 4]


def test_write_cuts_row_groups_so_that_a_node_can_be_read_alone(tmp_path: Path) -> None:
    n_rows = 2 * indexed_readings.ROWS_PER_GROUP
    many = pl.DataFrame(
        {
            "timestamp": [NOON] * n_rows,
            "node": ["a-1"] * (n_rows // 2) + ["b-2"] * (n_rows // 2),
            "value": range(n_rows),
        },
        schema=SCHEMA,
    )
    index = indexed_readings.write_readings(many, tmp_path / "0")
    window = {"start": NOON, "end": NOON + SECOND}
    [found] = indexed_readings.readings_by_node(tmp_path, index, nodes=["b-2"], **window)
    assert found["value"].to_list() == list(range(n_rows // 2, n_rows))
    # without statistics of its groups, the whole file would be read
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
def test_read_returns_the_written_readings_of_each_node(
    files: list[list[tuple[str, int, int]]], nodes: set[str], first: int, lasts: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = [
            indexed_readings.write_readings(readings(*rows), folder / f"{number}.parquet")
            for number, rows in enumerate(files)
        ]
        index = pl.concat([pl.DataFrame(schema=indexed_readings.INDEX_COLUMNS), *places])
        start, end = NOON + first * SECOND, NOON + (first + lasts) * SECOND
        frames = list(
            indexed_readings.readings_by_node(folder, index, nodes=nodes, start=start, end=end)
        )
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
