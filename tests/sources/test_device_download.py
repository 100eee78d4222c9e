"""Device series: rejected and repeated readings, and the lowest of several values at one time."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.core.errors import InputError
from footprint.sources import device_download

START = datetime(2025, 3, 1, tzinfo=UTC)
NOT_POWER = (None, float("nan"), 0.0, -3.0, 2147483632.0)


def device_readings(rows: list[tuple[str, int, float | None]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "node": ["c-1"] * len(rows),
            "labels": [labels for labels, _, _ in rows],
            "timestamp": [START + timedelta(seconds=second) for _, second, _ in rows],
            "value": [value for _, _, value in rows],
        },
        schema={
            "node": pl.String,
            "labels": pl.String,
            "timestamp": pl.Datetime("us", "UTC"),
            "value": pl.Float64,
        },
    )


def test_gpu_index_is_the_label_whatever_the_other_labels() -> None:
    raw = device_readings(
        [('{"gpu":"3"}', 0, 50.0), ('{"gpu":"0"}', 0, 40.0), ('{"gpu":"3","model":"A"}', 15, 60.0)]
    )
    found = device_download.with_gpu_index(raw)
    assert found.columns == ["node", "gpu", "timestamp", "power_w"]
    assert found.select("gpu", "power_w").rows() == [(3, 50.0), (0, 40.0), (3, 60.0)]


@pytest.mark.parametrize("labels", ["{}", '{"gpu":"all"}', '{"gpu":"256"}'])
def test_gpu_index_without_a_number_is_refused(labels: str) -> None:
    raw = device_readings([('{"gpu":"0"}', 0, 50.0), (labels, 15, 60.0)])
    with pytest.raises(InputError, match="c-1 at 2025-03-01 00:00:15"):
        device_download.with_gpu_index(raw)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from((*NOT_POWER, 35.5, 70.0, 250.0))), min_size=1
    )
)
def test_rejected_readings_leave_the_lowest_valid_one_of_each_time(
    readings: list[tuple[int, float | None]],
) -> None:
    raw = device_readings([('{"gpu":"1"}', second, value) for second, value in readings])
    judged = device_download.mark_rejected_readings(device_download.with_gpu_index(raw))
    lowest: dict[int, float] = {}
    n_valid = 0
    for second, value in readings:
        if value is not None and 0 < value < 1000:
            lowest[second] = min(value, lowest.get(second, value))
            n_valid += 1
    kept = judged.filter(pl.col("reason").is_null())
    assert kept.select("timestamp", "power_w").rows() == [
        (START + timedelta(seconds=second), lowest[second]) for second in sorted(lowest)
    ]
    values = Counter(repr(value) for _, value in readings)
    assert Counter(judged["reason"].drop_nulls()) == +Counter(
        {
            "not a number": values["None"] + values["nan"],
            "0 W or less": values["0.0"] + values["-3.0"],
            "more than a GPU can draw": values["2147483632.0"],
            "repeated": n_valid - len(lowest),
        }
    )


def test_device_series_keep_the_lowest_value_of_each_time(tmp_path: Path) -> None:
    first = device_readings(
        [
            ('{"socket":"1"}', 30, 2.0),
            ('{"socket":"0"}', 15, 4.0),
            ('{"socket":"0"}', 0, None),
            ('{"socket":"1"}', 0, 7.0),
            ('{"socket":"0"}', 0, 9.0),
            ('{"socket":"0"}', 15, 3.0),
            ('{"socket":"0"}', 15, 3.0),
            ('{"socket":"0"}', 30, None),
        ]
    )
    second = device_readings([("{}", 0, 1.0)]).with_columns(node=pl.lit("c-2"))
    path = tmp_path / "series.parquet"
    assert device_download.write_device_series([first, second], path) == 3
    found = pl.read_parquet(path)
    assert found.select("node", "labels", "value").rows() == [
        ("c-1", '{"socket":"0"}', 9.0),
        ("c-1", '{"socket":"0"}', 3.0),
        ("c-1", '{"socket":"0"}', None),
        ("c-1", '{"socket":"1"}', 7.0),
        ("c-1", '{"socket":"1"}', 2.0),
        ("c-2", "{}", 1.0),
    ]
