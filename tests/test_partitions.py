"""Power partitions: what is written comes back, one node at a time, and disorder is refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint import partitions, tables
from footprint.partitions import OrderError

START = datetime(2025, 3, 31, 23, 59, 50, tzinfo=UTC)


def samples(node: str, seconds: list[float], power_w: list[float] | None = None) -> pl.DataFrame:
    watts = [100.0 + i for i in range(len(seconds))] if power_w is None else power_w
    return pl.DataFrame(
        {
            "node": [node] * len(seconds),
            "timestamp": [START + timedelta(seconds=each) for each in seconds],
            "power_w": watts,
        },
        schema=tables.Power.create_empty().schema,
    )


def read(paths: Path | list[str], node: str) -> list[tuple[float, float]]:
    found = partitions.reader(*(paths if isinstance(paths, list) else [paths]))(node)
    assert found.columns == ["timestamp", "power_w"]
    return [((time - START).total_seconds(), power) for time, power in found.iter_rows()]


def test_each_node_comes_back_alone(tmp_path: Path) -> None:
    path = tmp_path / "power.parquet"
    frames = [samples("gros-1", [0, 5]), samples("gros-10", []), samples("gros-2", [1, 6.5, 11])]
    partitions.write(frames, path)
    assert read(path, "gros-1") == [(0, 100), (5, 101)]
    assert read(path, "gros-2") == [(1, 100), (6.5, 101), (11, 102)]
    assert read(path, "gros-10") == read(path, "gros-3") == []


def test_a_node_is_a_row_group_with_the_columns_of_the_table(tmp_path: Path) -> None:
    path = tmp_path / "power.parquet"
    # columns in another order, and more than a group of Parquet usually holds
    long = samples("gros-1", list(range(200_000)), [50.0] * 200_000)
    partitions.write([long.select("power_w", "node", "timestamp"), samples("gros-2", [0])], path)
    groups = pq.ParquetFile(path).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [200_000, 1]
    assert tables.Power.is_valid(pl.read_parquet(path))


def test_a_partition_without_samples_is_a_table(tmp_path: Path) -> None:
    partitions.write([], tmp_path / "power.parquet")
    found = pl.read_parquet(tmp_path / "power.parquet")
    assert_frame_equal(found, pl.DataFrame(tables.Power.create_empty()))
    assert read(tmp_path / "power.parquet", "gros-1") == []


@pytest.mark.parametrize(
    "frames",
    [
        [samples("gros-2", [0]), samples("gros-1", [0])],
        [samples("gros-1", [0]), samples("gros-1", [5])],
        [samples("gros-1", [5, 0])],
        [samples("gros-1", [0, 5, 5])],
        [pl.concat([samples("gros-1", [0]), samples("gros-2", [5])])],
    ],
    ids=["nodes swapped", "node twice", "times swapped", "time twice", "two nodes"],
)
def test_disorder_is_refused(tmp_path: Path, frames: list[pl.DataFrame]) -> None:
    with pytest.raises(OrderError, match="not sorted by node and time"):
        partitions.write(frames, tmp_path / "power.parquet")


def test_months_with_margins_join_without_repeating(tmp_path: Path) -> None:
    paths = [tmp_path / "2025-03.parquet", tmp_path / "2025-04.parquet"]
    partitions.write([samples("gros-1", [0, 5, 10], [1, 2, 3])], paths[0])
    partitions.write([samples("gros-1", [5, 10, 15], [2, 3, 4])], paths[1])
    both = [str(path) for path in paths]
    assert read(both, "gros-1") == [(0, 1), (5, 2), (10, 3), (15, 4)]
    assert read(both[::-1], "gros-1") == read(both, "gros-1")


@given(
    st.dictionaries(
        st.integers(1, 30),
        st.dictionaries(st.integers(0, 10**9), st.floats(0.5, 1e5), max_size=20),
        max_size=6,
    )
)
def test_any_samples_come_back(
    tmp_path_factory: pytest.TempPathFactory, drawn: dict[int, dict[int, float]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "power.parquet"
    by_node = {
        f"gros-{number}": samples(
            f"gros-{number}", [micros / 1e6 for micros in sorted(held)], list(held.values())
        )
        for number, held in drawn.items()
    }
    partitions.write([by_node[node] for node in sorted(by_node)], path)
    for node, frame in by_node.items():
        assert_frame_equal(partitions.reader(path)(node), frame.drop("node"))
    assert len(pl.read_parquet(path)) == sum(map(len, by_node.values()))


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        partitions.write([samples("gros-1", [0, 5]), samples("gros-2", [1])], tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
