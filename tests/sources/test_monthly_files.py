"""Monthly files: written samples are read node by node, and samples out of order are refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.schemas.raw import Power
from footprint.sources import monthly_files
from footprint.sources.monthly_files import OrderError

START = datetime(2025, 3, 31, 23, 59, 50, tzinfo=UTC)


def samples(node: str, seconds: list[float], power_w: list[float] | None = None) -> pl.DataFrame:
    watts = [100.0 + i for i in range(len(seconds))] if power_w is None else power_w
    return pl.DataFrame(
        {
            "node": [node] * len(seconds),
            "timestamp": [START + timedelta(seconds=each) for each in seconds],
            "power_w": watts,
        },
        schema=Power.create_empty().schema,
    )


def read_power(paths: Path | list[str], node: str) -> list[tuple[float, float]]:
    found = monthly_files.sample_reader(*(paths if isinstance(paths, list) else [paths]))(node)
    assert found.columns == ["timestamp", "power_w"]
    return [((time - START).total_seconds(), power) for time, power in found.iter_rows()]


def test_reader_returns_the_samples_of_one_node(tmp_path: Path) -> None:
    path = tmp_path / "power.parquet"
    frames = [samples("gros-1", [0, 5]), samples("gros-10", []), samples("gros-2", [1, 6.5, 11])]
    monthly_files.write_monthly_file(frames, path)
    assert read_power(path, "gros-1") == [(0, 100), (5, 101)]
    assert read_power(path, "gros-2") == [(1, 100), (6.5, 101), (11, 102)]
    assert read_power(path, "gros-10") == read_power(path, "gros-3") == []


def test_write_makes_one_row_group_a_node_with_the_columns_of_power(tmp_path: Path) -> None:
    path = tmp_path / "power.parquet"
    # columns in another order, and more rows than a default row group of Parquet
    long = samples("gros-1", list(range(200_000)), [50.0] * 200_000)
    monthly_files.write_monthly_file(
        [long.select("power_w", "node", "timestamp"), samples("gros-2", [0])], path
    )
    groups = pq.ParquetFile(path).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [200_000, 1]
    assert Power.is_valid(pl.read_parquet(path))


def test_write_without_samples_makes_an_empty_table(tmp_path: Path) -> None:
    monthly_files.write_monthly_file([], tmp_path / "power.parquet")
    found = pl.read_parquet(tmp_path / "power.parquet")
    assert_frame_equal(found, pl.DataFrame(Power.create_empty()))
    assert read_power(tmp_path / "power.parquet", "gros-1") == []


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
def test_write_refuses_samples_out_of_order(tmp_path: Path, frames: list[pl.DataFrame]) -> None:
    with pytest.raises(OrderError, match="not sorted by node and time"):
        monthly_files.write_monthly_file(frames, tmp_path / "power.parquet")


def test_reader_joins_months_with_margins_without_repeated_samples(tmp_path: Path) -> None:
    paths = [tmp_path / "2025-03.parquet", tmp_path / "2025-04.parquet"]
    monthly_files.write_monthly_file([samples("gros-1", [0, 5, 10], [1, 2, 3])], paths[0])
    monthly_files.write_monthly_file([samples("gros-1", [5, 10, 15], [2, 3, 4])], paths[1])
    both = [str(path) for path in paths]
    assert read_power(both, "gros-1") == [(0, 1), (5, 2), (10, 3), (15, 4)]
    assert read_power(both[::-1], "gros-1") == read_power(both, "gros-1")


@given(
    st.dictionaries(
        st.integers(1, 30),
        st.dictionaries(st.integers(0, 10**9), st.floats(0.5, 1e5), max_size=20),
        max_size=6,
    )
)
def test_reader_returns_any_written_samples(
    tmp_path_factory: pytest.TempPathFactory, drawn: dict[int, dict[int, float]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "power.parquet"
    by_node = {
        f"gros-{number}": samples(
            f"gros-{number}", [micros / 1e6 for micros in sorted(held)], list(held.values())
        )
        for number, held in drawn.items()
    }
    monthly_files.write_monthly_file([by_node[node] for node in sorted(by_node)], path)
    for node, frame in by_node.items():
        assert_frame_equal(monthly_files.sample_reader(path)(node), frame.drop("node"))
    assert len(pl.read_parquet(path)) == sum(map(len, by_node.values()))


def test_write_gives_the_same_bytes_for_the_same_samples(tmp_path: Path) -> None:
    for name in ("one", "two"):
        monthly_files.write_monthly_file(
            [samples("gros-1", [0, 5]), samples("gros-2", [1])], tmp_path / name
        )
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def gpu_readings(node: str, gpu: int, seconds: list[float]) -> pl.DataFrame:
    gpu_column = pl.lit(gpu, pl.UInt8).alias("gpu")
    return samples(node, seconds).select("node", gpu_column, "timestamp", "power_w")


def test_gpu_reader_returns_the_gpus_of_a_node_or_one_gpu_across_months(tmp_path: Path) -> None:
    months = [
        [gpu_readings("gres-1", 0, [0, 15]), gpu_readings("gres-1", 2, [3])],
        [
            gpu_readings("gres-1", 0, [15, 30]),
            gpu_readings("gres-1", 1, [40]),
            gpu_readings("gres-10", 0, [7]),
        ],
    ]
    paths = [tmp_path / f"{month}.parquet" for month in range(2)]
    for path, frames in zip(paths, months, strict=True):
        monthly_files.write_monthly_file(frames, path, schema=monthly_files.DEVICE_POWER_SCHEMA)
    read = monthly_files.gpu_power_reader(*paths)

    def rows(name: str) -> list[tuple[int, float]]:
        found = read(name)
        assert found.schema == {"gpu": pl.UInt8, **found.select("timestamp", "power_w").schema}
        return [(gpu, (time - START).total_seconds()) for gpu, time, _ in found.iter_rows()]

    assert rows("gres-1") == [(0, 0), (0, 15), (0, 30), (1, 40), (2, 3)]
    assert rows("gres-1/0") == [(0, 0), (0, 15), (0, 30)]
    assert rows("gres-10") == rows("gres-10/0") == [(0, 7)]
    assert rows("gres-2") == rows("gres-1/3") == []
