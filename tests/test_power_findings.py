"""What a study says of its power: flags of jobs, clusters without a usable reading, drop-outs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import answers
import polars as pl

from footprint import power_findings, rejected_rows, tables
from footprint.site.converted import SERIES, SERIES_SEEN

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
METRIC = "bmc_node_power_watt"


def quality(node: str, **counts: int) -> pl.DataFrame:
    zero = dict.fromkeys(
        name for name in tables.Quality.create_empty().columns if name.startswith("n_")
    )
    row: dict[str, Any] = {"node": node, "day": date(2025, 3, 3), **zero}
    row |= dict.fromkeys(zero, 0) | counts
    found: pl.DataFrame = tables.conform(tables.Quality, pl.DataFrame([row]))
    return found


def spells(*rows: tuple[str, str, float, float, int]) -> pl.DataFrame:
    """Spells from (node, kind, first and last second after noon, readings)."""
    empty = pl.DataFrame(tables.SensorSpells.create_empty())
    frame = pl.DataFrame(
        [
            (node, kind, NOON + timedelta(seconds=first), NOON + timedelta(seconds=last), n)
            for node, kind, first, last, n in rows
        ],
        schema=empty.schema,
        orient="row",
    )
    found: pl.DataFrame = tables.conform(tables.SensorSpells, frame)
    return found


def held(*rows: tuple[int, str, float, float]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (job, node, NOON + timedelta(seconds=start), NOON + timedelta(seconds=stop))
            for job, node, start, stop in rows
        ],
        schema={
            "job_id": pl.Int64,
            "node": pl.String,
            "started_at": pl.Datetime("us", "UTC"),
            "stopped_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    )


def nodes(*names: str, power_metrics: list[str] | None = None) -> pl.DataFrame:
    described = answers.nodes_table(*map(answers.node, names))
    return described.with_columns(power_metrics=pl.lit(power_metrics, dtype=pl.List(pl.String)))


def found(
    counts: pl.DataFrame, described: pl.DataFrame, *rows: Any, converted: Path | None = None
) -> list[tuple[Any, ...]]:
    aside = power_findings.set_aside(
        counts,
        spells(*rows),
        described,
        clusters=described["cluster"].unique().to_list(),
        metric=METRIC,
        converted=converted,
    )
    return aside.drop("stage").rows()


NOTHING = pl.DataFrame(tables.Quality.create_empty())


def test_jobs_are_flagged_by_spells_that_they_held_the_node_in() -> None:
    flags = power_findings.flags(
        spells(
            ("c-1", "stuck", 0, 4000, 801),
            ("c-1", "drop_out", 100, 100, 1),
            ("c-2", "drop_out", 0, 10, 3),
        ),
        held(
            (1, "c-1", -100, 50),
            (2, "c-1", 4000, 5000),
            (3, "c-1", 4001, 5000),
            (4, "c-1", -50, 0),
            (5, "c-1", 60, 200),
            (6, "c-2", 5, 6),
            (6, "c-3", 0, 100),
        ),
    )
    assert dict(flags.iter_rows()) == {
        1: ["stuck_sensor"],
        2: ["stuck_sensor"],
        5: ["stuck_sensor", "sensor_drop_out"],
        6: ["sensor_drop_out"],
    }


def test_flags_of_sensors_stand_behind_the_others() -> None:
    jobs = pl.DataFrame({"job_id": [2, 1], "flags": [["shared_node"], []]})
    flags = pl.DataFrame({"job_id": [2], "sensor_flags": [["stuck_sensor"]]})
    assert power_findings.with_flags(jobs, flags).rows() == [
        (2, ["shared_node", "stuck_sensor"]),
        (1, []),
    ]


def test_a_cluster_without_readings_says_so() -> None:
    assert found(NOTHING, nodes("c-1")) == [("c", f"no reading of {METRIC} in the source", 0, None)]


def test_a_cluster_whose_power_is_not_collected_says_so() -> None:
    described = nodes("c-1", power_metrics=["wattmetre_power_watt"])
    reason = f"no reading: {METRIC} is not collected unless a job asks for it"
    assert found(NOTHING, described) == [("c", reason, 0, None)]
    described = nodes("c-1", power_metrics=["bmc_power_node_watt"])
    assert found(NOTHING, described) == [("c", f"no reading of {METRIC} in the source", 0, None)]


def test_a_cluster_with_readings_of_other_metrics_names_them(tmp_path: Path) -> None:
    rows = [("other_watt", "c-1", 3), ("a_watt", "c-2", 4), ("other_watt", "d-1", 9)]
    pl.DataFrame([*rows, (METRIC, "d-1", 1)], schema=SERIES, orient="row").write_parquet(
        tmp_path / SERIES_SEEN
    )
    counts = quality("d-1", n_read=1, n_kept=1)
    assert found(counts, nodes("c-1", "c-2", "d-1"), converted=tmp_path) == [
        ("c", f"no reading of {METRIC}, of other metrics only", 7, "a_watt, other_watt")
    ]


def test_a_cluster_without_a_usable_reading_says_why() -> None:
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


def test_drop_outs_are_counted_in_readings_and_node_hours_by_cluster() -> None:
    counts = quality("c-1", n_read=9, n_kept=9)
    rows = [
        ("c-1", "drop_out", 0, 3600, 721),
        ("c-2", "drop_out", 0, 7200, 1441),
        ("c-1", "drop_out", 9000, 10_800, 361),
        ("c-1", "stuck", 0, 3600, 721),
    ]
    [row] = found(counts, nodes("c-1", "c-2"), *rows)
    assert row[0] == "c"
    assert row[1].endswith("a dead sensor, or a unit other than W")
    assert row[2:] == (2523, "c-2, 3.5 node hours in all")


def test_the_summary_lists_a_cluster_without_readings() -> None:
    aside = power_findings.set_aside(NOTHING, spells(), nodes("c-1"), clusters=["c"], metric=METRIC)
    assert rejected_rows.lines(aside) == [f"power: no reading of {METRIC} in the source: 0 (c)"]
