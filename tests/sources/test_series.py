"""Series of one node: several series that are refused, sums of parts, and counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.core.errors import InputError
from footprint.sources.series import merge_series, series_keys

START = datetime(2025, 3, 3, 10, tzinfo=UTC)
Reading = tuple[float, float | None, dict[str, Any]]


def raw_readings(*readings: Reading) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "node": ["c-1"] * len(readings),
            "timestamp": [START + timedelta(seconds=second) for second, _, _ in readings],
            "power_w": [value for _, value, _ in readings],
            "labels": [json.dumps(labels) for _, _, labels in readings],
        },
        schema={
            "node": pl.String,
            "timestamp": pl.Datetime("us", "UTC"),
            "power_w": pl.Float64,
            "labels": pl.String,
        },
    )


def merged(*readings: Reading, sum_over: str | None = None) -> pl.DataFrame:
    return merge_series(raw_readings(*readings), metric="bmc_psu_power_watt", sum_over=sum_over)


def used_power(frame: pl.DataFrame) -> dict[float, float | None]:
    """Power by second, of readings that are not rejected."""
    kept = frame.filter(pl.col("reason").is_null()) if "reason" in frame.columns else frame
    return {
        (time - START).total_seconds(): power
        for time, power in kept.sort("timestamp").select("timestamp", "power_w").iter_rows()
    }


def counts_by_reason(frame: pl.DataFrame) -> dict[str | None, int]:
    return dict(frame.group_by("reason").len().iter_rows())


def psu_reading(second: float, value: float | None, number: int) -> Reading:
    return (second, value, {"psu": str(number)})


def test_several_series_without_sum_over_are_refused_with_the_label_to_set() -> None:
    with pytest.raises(InputError) as refused:
        merged(
            psu_reading(0, 100, 1),
            psu_reading(0, 110, 2),
            psu_reading(5, 100, 1),
            psu_reading(5, 110, 2),
        )
    assert str(refused.value) == (
        "integration.metric: bmc_psu_power_watt of c-1 has 2 series, distinguished by the label "
        "`psu`; set integration.sum_over: psu to add them up, or choose a metric of the node"
    )


def test_sum_over_adds_parts_at_the_same_times() -> None:
    found = merged(
        psu_reading(0, 100, 1),
        psu_reading(0, 110, 2),
        psu_reading(5, 90, 1),
        psu_reading(5, 111, 2),
        sum_over="psu",
    )
    assert used_power(found) == {0: 210, 5: 201}
    assert counts_by_reason(found) == {None: 2, "n_merged": 2}


def test_sum_over_counts_a_time_without_a_part_as_incomplete() -> None:
    found = merged(
        *(psu_reading(second, 100, 1) for second in (0, 5, 10, 15)),
        *(psu_reading(second, 7, 2) for second in (0, 5, 15)),
        sum_over="psu",
    )
    assert used_power(found) == {0: 107, 5: 107, 15: 107}
    assert counts_by_reason(found) == {None: 3, "n_merged": 3, "n_incomplete": 1}


def test_sum_over_aligns_parts_within_half_a_period() -> None:
    found = merged(
        *(psu_reading(second, 100, 1) for second in range(0, 50, 5)),
        *(psu_reading(second + 1.5, 7, 2) for second in range(0, 40, 5)),
        sum_over="psu",
    )
    assert used_power(found) == dict.fromkeys(range(0, 40, 5), 107)
    assert counts_by_reason(found) == {None: 8, "n_merged": 8, "n_incomplete": 2}


def test_sum_over_of_three_parts_needs_all_three() -> None:
    found = merged(
        *(psu_reading(second, 1, 1) for second in (0, 5, 10)),
        *(psu_reading(second, 10, 2) for second in (0, 10)),
        *(psu_reading(second, 100, 3) for second in (5, 10)),
        sum_over="psu",
    )
    assert used_power(found) == {10: 111}
    assert counts_by_reason(found) == {None: 1, "n_merged": 2, "n_incomplete": 4}


def test_sum_over_counts_repetitions_of_a_part_as_duplicates() -> None:
    found = merged(
        psu_reading(0, 100, 1),
        psu_reading(0, 101, 1),
        psu_reading(0, 10, 2),
        psu_reading(0, 10, 2),
        sum_over="psu",
    )
    assert used_power(found) == {0: 110}
    assert counts_by_reason(found) == {None: 1, "n_merged": 1, "n_duplicate": 2}


def test_sum_over_makes_no_sum_with_an_invalid_reading_of_a_part() -> None:
    nothing = merged(psu_reading(0, 100, 1), psu_reading(0, None, 2), sum_over="psu")
    assert used_power(nothing) == {}
    assert counts_by_reason(nothing) == {"n_incomplete": 1, "n_nan": 1}
    bad = (150.0, -1.0, float("nan"), None, 0.0)
    found = merged(
        *(psu_reading(5 * place, 150, 1) for place in range(5)),
        *(psu_reading(5 * place, value, 2) for place, value in enumerate(bad)),
        sum_over="psu",
    )
    assert used_power(found) == {0: 300, 20: 150}
    assert counts_by_reason(found) == {
        None: 2,
        "n_merged": 2,
        "n_incomplete": 3,
        "n_not_positive": 1,
        "n_nan": 2,
    }


def test_sum_over_requires_a_part_that_ends_where_another_begins() -> None:
    found = merged(
        *(psu_reading(second, 150, 1) for second in (0, 5)),
        *(psu_reading(second, 150, 2) for second in (10, 15)),
        sum_over="psu",
    )
    assert used_power(found) == {}
    assert counts_by_reason(found) == {"n_incomplete": 4}


def test_repeated_readings_of_one_series_are_one_series() -> None:
    found = merged((0, 100, {}), (0, 100, {}), (5, 90, {}))
    assert "reason" not in found.columns
    assert len(found) == 3


def test_labels_without_identity_make_no_series() -> None:
    found = merged(
        (0, 100, {}),
        (5, float("nan"), {"value_str": "No Reading"}),
        (10, 100, {"_metric_scrape_time": "2025-03-03T10:00:10Z"}),
        (15, 100, {"_metric_scrape_time": "2025-03-03T10:00:15Z", "_device_alias": "c-1-bmc"}),
    )
    assert "reason" not in found.columns
    assert len(found) == 4


def test_series_that_follow_one_another_in_time_are_one_series() -> None:
    found = merged(
        *((second, 100, {"_device_orig": ["pdu1-1"]}) for second in (0, 5)),
        *((second, 90, {"_device_orig": ["pdu2-7"]}) for second in (10, 15)),
    )
    assert used_power(found) == {0: 100, 5: 100, 10: 90, 15: 90}


def test_sums_over_fewer_ports_are_incomplete() -> None:
    both, one = {"_device_orig": ["w-0", "w-1"]}, {"_device_orig": ["w-0"]}
    found = merged((0, 200, both), (1, 100, one), (2, 201, both), (3, 202, both))
    assert used_power(found) == {0: 200, 2: 201, 3: 202}
    assert counts_by_reason(found) == {None: 3, "n_incomplete": 1}


def test_separate_outlets_are_refused_or_summed_by_their_origin() -> None:
    readings = [
        (second, value, {"_device_orig": [port], "_info": f"from single PSU on {port}"})
        for second in (0.0, 1.0)
        for port, value in (("pdu3-7", 50.0), ("pdu4-7", 60.0))
    ]
    with pytest.raises(InputError, match=r"label `_device_orig`, `_info`; set .*_device_orig"):
        merged(*readings)
    for label in ("_device_orig", "_info"):
        assert used_power(merged(*readings, sum_over=label)) == {0: 110, 1: 110}


def test_sum_over_with_several_series_a_part_is_refused() -> None:
    readings = [(0.0, 1.0, {"psu": psu, "rail": rail}) for psu in ("1", "2") for rail in ("a", "b")]
    with pytest.raises(InputError, match=r"has 2 series for one value of `psu`.*label `rail`"):
        merged(*readings, sum_over="psu")


def test_sum_over_of_one_part_keeps_its_readings() -> None:
    assert used_power(merged(psu_reading(0, 100, 1), psu_reading(5, 90, 1), sum_over="psu")) == {
        0: 100,
        5: 90,
    }


def test_readings_without_labels_are_returned_unchanged() -> None:
    frame = raw_readings((0, 100, {})).drop("labels")
    assert merge_series(frame, metric="m", sum_over=None) is frame


def test_keys_are_equal_for_labels_in_any_order_and_spacing() -> None:
    texts = pl.Series(['{"b":"2", "a":1}', '{"a": 1, "b": "2"}', None, "{}", "{not json"])
    found = series_keys(texts).to_list()
    assert found[0] == found[1]
    assert found[2] == found[3] == "{}"
    assert series_keys(series_keys(texts)).to_list() == found


PARTS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([1.0, 50.0, None]), st.integers(1, 3)),
    min_size=2,
    max_size=40,
)


@given(PARTS)
@settings(max_examples=100, deadline=None)
def test_sum_over_returns_one_row_for_every_reading(
    readings: list[tuple[int, float | None, int]],
) -> None:
    found = merged(*(psu_reading(*each) for each in readings), sum_over="psu")
    assert len(found) == len(readings)
