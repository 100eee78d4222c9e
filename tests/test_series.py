"""One series of power a node: what is refused, what is summed, and what is counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.errors import InputError
from footprint.series import keys, one_a_node

START = datetime(2025, 3, 3, 10, tzinfo=UTC)
Reading = tuple[float, float | None, dict[str, Any]]


def raw(*readings: Reading) -> pl.DataFrame:
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


def of(*readings: Reading, sum_over: str | None = None) -> pl.DataFrame:
    return one_a_node(raw(*readings), metric="bmc_psu_power_watt", sum_over=sum_over)


def used(frame: pl.DataFrame) -> dict[float, float | None]:
    """Power by second, of what is not set aside."""
    kept = frame.filter(pl.col("reason").is_null()) if "reason" in frame.columns else frame
    return {
        (time - START).total_seconds(): power
        for time, power in kept.sort("timestamp").select("timestamp", "power_w").iter_rows()
    }


def counts(frame: pl.DataFrame) -> dict[str | None, int]:
    return dict(frame.group_by("reason").len().iter_rows())


def psu(second: float, value: float | None, number: int) -> Reading:
    return (second, value, {"psu": str(number)})


def test_several_series_are_refused_with_metric_node_label_count_and_key() -> None:
    with pytest.raises(InputError) as refused:
        of(psu(0, 100, 1), psu(0, 110, 2), psu(5, 100, 1), psu(5, 110, 2))
    assert str(refused.value) == (
        "integration.metric: bmc_psu_power_watt of c-1 has 2 series, told apart by the label "
        "`psu`; set integration.sum_over: psu to add them up, or choose a metric of the node"
    )


def test_parts_at_the_same_times_are_summed() -> None:
    found = of(psu(0, 100, 1), psu(0, 110, 2), psu(5, 90, 1), psu(5, 111, 2), sum_over="psu")
    assert used(found) == {0: 210, 5: 201}
    assert counts(found) == {None: 2, "n_merged": 2}


def test_a_time_without_a_part_is_left_out_and_counted() -> None:
    found = of(
        *(psu(second, 100, 1) for second in (0, 5, 10, 15)),
        *(psu(second, 7, 2) for second in (0, 5, 15)),
        sum_over="psu",
    )
    assert used(found) == {0: 107, 5: 107, 15: 107}
    assert counts(found) == {None: 3, "n_merged": 3, "n_incomplete": 1}


def test_parts_out_of_step_are_aligned_within_half_a_period() -> None:
    found = of(
        *(psu(second, 100, 1) for second in range(0, 50, 5)),
        *(psu(second + 1.5, 7, 2) for second in range(0, 40, 5)),
        sum_over="psu",
    )
    assert used(found) == dict.fromkeys(range(0, 40, 5), 107)
    assert counts(found) == {None: 8, "n_merged": 8, "n_incomplete": 2}


def test_three_parts_need_all_three() -> None:
    found = of(
        *(psu(second, 1, 1) for second in (0, 5, 10)),
        *(psu(second, 10, 2) for second in (0, 10)),
        *(psu(second, 100, 3) for second in (5, 10)),
        sum_over="psu",
    )
    assert used(found) == {10: 111}
    assert counts(found) == {None: 1, "n_merged": 2, "n_incomplete": 4}


def test_repetitions_of_a_part_stay_duplicates() -> None:
    found = of(psu(0, 100, 1), psu(0, 101, 1), psu(0, 10, 2), psu(0, 10, 2), sum_over="psu")
    assert used(found) == {0: 110}
    assert counts(found) == {None: 1, "n_merged": 1, "n_duplicate": 2}


def test_a_part_without_a_measurement_makes_no_sum() -> None:
    nothing = of(psu(0, 100, 1), psu(0, None, 2), sum_over="psu")
    assert used(nothing) == {}
    assert counts(nothing) == {"n_incomplete": 1, "n_nan": 1}
    bad = (150.0, -1.0, float("nan"), None, 0.0)
    found = of(
        *(psu(5 * place, 150, 1) for place in range(5)),
        *(psu(5 * place, value, 2) for place, value in enumerate(bad)),
        sum_over="psu",
    )
    assert used(found) == {0: 300, 20: 150}
    assert counts(found) == {
        None: 2,
        "n_merged": 2,
        "n_incomplete": 3,
        "n_not_positive": 1,
        "n_nan": 2,
    }


def test_a_part_that_ends_where_another_begins_is_half_of_a_node() -> None:
    found = of(
        *(psu(second, 150, 1) for second in (0, 5)),
        *(psu(second, 150, 2) for second in (10, 15)),
        sum_over="psu",
    )
    assert used(found) == {}
    assert counts(found) == {"n_incomplete": 4}


def test_repetitions_of_one_series_are_not_several() -> None:
    found = of((0, 100, {}), (0, 100, {}), (5, 90, {}))
    assert "reason" not in found.columns
    assert len(found) == 3


def test_labels_of_a_reading_alone_make_no_series() -> None:
    found = of(
        (0, 100, {}),
        (5, float("nan"), {"value_str": "No Reading"}),
        (10, 100, {"_metric_scrape_time": "2025-03-03T10:00:10Z"}),
        (15, 100, {"_metric_scrape_time": "2025-03-03T10:00:15Z", "_device_alias": "c-1-bmc"}),
    )
    assert "reason" not in found.columns
    assert len(found) == 4


def test_an_outlet_exchanged_for_another_is_one_series() -> None:
    found = of(
        *((second, 100, {"_device_orig": ["pdu1-1"]}) for second in (0, 5)),
        *((second, 90, {"_device_orig": ["pdu2-7"]}) for second in (10, 15)),
    )
    assert used(found) == {0: 100, 5: 100, 10: 90, 15: 90}


def test_sums_that_lack_a_port_are_incomplete() -> None:
    both, one = {"_device_orig": ["w-0", "w-1"]}, {"_device_orig": ["w-0"]}
    found = of((0, 200, both), (1, 100, one), (2, 201, both), (3, 202, both))
    assert used(found) == {0: 200, 2: 201, 3: 202}
    assert counts(found) == {None: 3, "n_incomplete": 1}


def test_outlets_that_nobody_summed_are_refused_and_summed_by_origin() -> None:
    readings = [
        (second, value, {"_device_orig": [port], "_info": f"from single PSU on {port}"})
        for second in (0.0, 1.0)
        for port, value in (("pdu3-7", 50.0), ("pdu4-7", 60.0))
    ]
    with pytest.raises(InputError, match=r"label `_device_orig`, `_info`; set .*_device_orig"):
        of(*readings)
    for label in ("_device_orig", "_info"):
        assert used(of(*readings, sum_over=label)) == {0: 110, 1: 110}


def test_a_label_that_leaves_several_series_a_part_is_refused() -> None:
    readings = [(0.0, 1.0, {"psu": psu, "rail": rail}) for psu in ("1", "2") for rail in ("a", "b")]
    with pytest.raises(InputError, match=r"has 2 series for one value of `psu`.*label `rail`"):
        of(*readings, sum_over="psu")


def test_a_node_with_one_part_needs_no_sum() -> None:
    assert used(of(psu(0, 100, 1), psu(5, 90, 1), sum_over="psu")) == {0: 100, 5: 90}


def test_readings_without_labels_are_left_as_they_are() -> None:
    frame = raw((0, 100, {})).drop("labels")
    assert one_a_node(frame, metric="m", sum_over=None) is frame


def test_keys_are_the_same_however_labels_are_written() -> None:
    texts = pl.Series(['{"b":"2", "a":1}', '{"a": 1, "b": "2"}', None, "{}", "{not json"])
    found = keys(texts).to_list()
    assert found[0] == found[1]
    assert found[2] == found[3] == "{}"
    assert keys(keys(texts)).to_list() == found


PARTS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([1.0, 50.0, None]), st.integers(1, 3)),
    min_size=2,
    max_size=40,
)


@given(PARTS)
@settings(max_examples=100, deadline=None)
def test_every_reading_of_parts_has_one_row(readings: list[tuple[int, float | None, int]]) -> None:
    found = of(*(psu(*each) for each in readings), sum_over="psu")
    assert len(found) == len(readings)
