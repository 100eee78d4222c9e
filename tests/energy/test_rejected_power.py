"""Rejected rows of power: clusters without a usable reading, and drop-outs."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from footprint.energy import rejected_power
from footprint.report import rejected_rows
from footprint.schemas.energy import Quality
from footprint.schemas.writing import conform
from footprint.sources.exports.conversion import SERIES_COUNTS_COLUMNS, SERIES_COUNTS_FILE
from tests.support import api_answers
from tests.support.sensor_spells import spells

METRIC = "bmc_node_power_watt"


def quality(node: str, **counts: int) -> pl.DataFrame:
    zero = dict.fromkeys(name for name in Quality.create_empty().columns if name.startswith("n_"))
    row: dict[str, Any] = {"node": node, "day": date(2025, 3, 3), **zero}
    row |= dict.fromkeys(zero, 0) | counts
    found: pl.DataFrame = conform(Quality, pl.DataFrame([row]))
    return found


def nodes(*names: str, power_metrics: list[str] | None = None) -> pl.DataFrame:
    described = api_answers.nodes_table(*map(api_answers.reference_node, names))
    return described.with_columns(power_metrics=pl.lit(power_metrics, dtype=pl.List(pl.String)))


def found(
    counts: pl.DataFrame, described: pl.DataFrame, *rows: Any, converted: Path | None = None
) -> list[tuple[Any, ...]]:
    rejected = rejected_power.rejected_power_rows(
        counts,
        spells(*rows),
        described,
        clusters=described["cluster"].unique().to_list(),
        metric=METRIC,
        converted=converted,
    )
    return rejected.drop("stage").rows()


NOTHING = pl.DataFrame(Quality.create_empty())


def test_cluster_without_readings_is_a_row_with_the_metric() -> None:
    assert found(NOTHING, nodes("c-1")) == [("c", f"no reading of {METRIC} in the source", 0, None)]


def test_cluster_whose_power_is_not_collected_is_a_row_with_the_reason() -> None:
    described = nodes("c-1", power_metrics=["wattmetre_power_watt"])
    reason = f"no reading: {METRIC} is not collected unless a job asks for it"
    assert found(NOTHING, described) == [("c", reason, 0, None)]
    described = nodes("c-1", power_metrics=["bmc_power_node_watt"])
    assert found(NOTHING, described) == [("c", f"no reading of {METRIC} in the source", 0, None)]


def test_cluster_with_other_metrics_alone_is_a_row_with_their_names(tmp_path: Path) -> None:
    rows = [("other_watt", "c-1", 3), ("a_watt", "c-2", 4), ("other_watt", "d-1", 9)]
    pl.DataFrame(
        [*rows, (METRIC, "d-1", 1)], schema=SERIES_COUNTS_COLUMNS, orient="row"
    ).write_parquet(tmp_path / SERIES_COUNTS_FILE)
    counts = quality("d-1", n_read=1, n_kept=1)
    assert found(counts, nodes("c-1", "c-2", "d-1"), converted=tmp_path) == [
        ("c", f"no reading of {METRIC}, of other metrics only", 7, "a_watt, other_watt")
    ]


def test_cluster_without_usable_reading_is_a_row_with_all_reasons() -> None:
    counts = pl.concat(
        [
            quality("c-2", n_read=5, n_not_positive=5),
            quality("c-1", n_read=3, n_nan=1, n_not_positive=2),
            quality("d-1", n_read=2, n_drop_out=2),
            quality("e-1", n_read=2, n_kept=1, n_nan=1),
        ]
    )
    assert found(counts, nodes("c-1", "c-2", "d-1", "e-1")) == [
        ("c", f"no usable reading of {METRIC}: all not a number, 0 W or less", 8, "c-1"),
        (
            "d",
            f"no usable reading of {METRIC}: all below `integration.off_threshold_w` under a job",
            2,
            "d-1",
        ),
    ]


def test_failed_sensors_are_counted_by_cluster_in_readings_and_node_hours() -> None:
    counts = quality("c-1", n_read=9, n_kept=9)
    rows = [
        ("c-1", "drop_out", 0, 3600, 721),
        ("c-2", "drop_out", 0, 7200, 1441),
        ("c-1", "drop_out", 9000, 10_800, 361),
        ("c-1", "stuck", 0, 3600, 721),
    ]
    stuck, dropped = sorted(found(counts, nodes("c-1", "c-2"), *rows))
    assert dropped[0] == stuck[0] == "c"
    assert dropped[1].endswith("a dead sensor, or a unit other than W")
    assert dropped[2:] == (2523, "c-2, 3.5 node hours of its cluster")
    assert stuck[1].startswith("constant reading of a stuck sensor")
    assert stuck[2:] == (721, "c-1, 1 node hours of its cluster")


def test_summary_lists_a_cluster_without_readings() -> None:
    rejected = rejected_power.rejected_power_rows(
        NOTHING, spells(), nodes("c-1"), clusters=["c"], metric=METRIC
    )
    assert rejected_rows.rejected_row_lines(rejected) == [
        f"power: no reading of {METRIC} in the source: 0 (c)"
    ]
