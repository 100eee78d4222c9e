"""Idle and maximum power of nodes: percentiles by hand, and values for unmeasured nodes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from footprint.allocation import node_allocations
from footprint.energy import idle_power
from footprint.schemas.energy import NodePower
from footprint.schemas.writing import conform, write_table
from footprint.sources.calibration import Calibration

START = datetime(2025, 3, 3, tzinfo=UTC)


def samples(power_w: list[float]) -> pl.DataFrame:
    """A sample every 5 s from START on."""
    times = [START + timedelta(seconds=5 * i) for i in range(len(power_w))]
    return pl.DataFrame(
        {"timestamp": times, "power_w": power_w},
        schema={"timestamp": pl.Datetime("us", "UTC"), "power_w": pl.Float64()},
    )


def held(*steps: tuple[str, float, float]) -> pl.DataFrame:
    """Occupancy from (node, seconds, share)."""
    return pl.DataFrame(
        [
            {"node": node, "at": START + timedelta(seconds=at), "share": share}
            for node, at, share in steps
        ],
        schema=node_allocations.OCCUPANCY_SCHEMA,
    )


def measure(
    power_w: list[float], *steps: tuple[str, float, float], off_threshold_w: float = 20
) -> dict[str, float]:
    row = idle_power.measure_node_power(
        [("c-1", samples(power_w))], held(*steps), off_threshold_w=off_threshold_w
    )
    return row.row(0, named=True)


def test_measure_node_without_jobs_gives_both_percentiles() -> None:
    found = measure([float(100 + i) for i in range(201)])
    assert found["idle_power_w"] == pytest.approx(110)  # 5 % of the way from 100 to 300
    assert found["max_power_w"] == pytest.approx(299)
    assert found["n_idle_samples"] == 201


def test_measure_leaves_samples_under_a_job_out_of_idle() -> None:
    """100 W for 20 samples, 500 W under a job for 20, 100 W again: the job starts at a sample."""
    power_w = [100.0] * 20 + [500.0] * 20 + [100.0] * 20
    found = measure(power_w, ("c-1", 100, 0.25), ("c-1", 200, 0.0))
    assert found["idle_power_w"] == 100
    assert found["n_idle_samples"] == 40
    assert found["max_power_w"] == 500
    # jobs of another node change nothing
    assert measure(power_w, ("c-2", 100, 0.25))["n_idle_samples"] == 60


def test_measure_leaves_samples_in_standby_out_of_idle() -> None:
    found = measure([5.0] * 50 + [20.0] * 50)
    assert found["idle_power_w"] == 20
    assert found["n_idle_samples"] == 50


def test_measure_with_few_samples_gives_null() -> None:
    found = measure([100.0] * 11)
    assert found["idle_power_w"] is None
    assert found["max_power_w"] is None
    assert found["n_idle_samples"] == 11
    assert measure([100.0] * 12)["idle_power_w"] == 100
    assert measure([])["n_idle_samples"] == 0


def table(**idle_power_w: float | None) -> pl.DataFrame:
    """Nodes with these idle powers, and maxima of twice as much."""
    return pl.DataFrame(
        {
            "node": [name.replace("_", "-") for name in idle_power_w],
            "idle_power_w": list(idle_power_w.values()),
            "max_power_w": [None if each is None else 2 * each for each in idle_power_w.values()],
            "n_idle_samples": [0 if each is None else 99 for each in idle_power_w.values()],
        },
        schema_overrides={"idle_power_w": pl.Float64, "max_power_w": pl.Float64},
    )


def complete(
    measured: pl.DataFrame, *, idle_power_w: float | None = None, max_power_w: float | None = None
) -> list[tuple[str, float | None, str | None, float | None]]:
    found = idle_power.fill_node_power(
        measured, cluster="c", idle_power_w=idle_power_w, max_power_w=max_power_w
    )
    rows = conform(NodePower, found)
    assert set(rows["cluster"]) <= {"c"}
    return rows.select("node", "idle_power_w", "idle_basis", "max_power_w").rows()


def test_fill_node_never_idle_takes_the_median_of_its_cluster() -> None:
    assert complete(table(c_1=100.0, c_2=None, c_3=110.0, c_4=150.0)) == [
        ("c-1", 100, "samples", 200),
        ("c-2", 110, "cluster", 220),
        ("c-3", 110, "samples", 220),
        ("c-4", 150, "samples", 300),
    ]


def test_fill_uses_configuration_after_samples_before_other_nodes() -> None:
    measured = table(c_1=100.0, c_2=None)
    assert complete(measured, idle_power_w=90.0, max_power_w=400.0) == [
        ("c-1", 100, "samples", 200),
        ("c-2", 90, "configuration", 400),
    ]


def test_fill_without_any_value_stays_null() -> None:
    assert complete(table(c_1=None)) == [("c-1", None, None, None)]
    assert complete(table()) == []


def test_read_idle_power_reads_known_nodes_and_accepts_no_file(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    rows = idle_power.fill_node_power(
        pl.concat([table(c_1=100.0)]), cluster="c", idle_power_w=None, max_power_w=None
    )
    unknown = idle_power.fill_node_power(
        table(d_1=None), cluster="d", idle_power_w=None, max_power_w=None
    )
    write_table(NodePower, pl.concat([rows, unknown]), str(path))
    assert idle_power.read_idle_power(str(path)) == {"c-1": 100}
    assert idle_power.read_idle_power(None) is None
    assert (
        idle_power.read_idle_power([]) is None
    )  # what Snakemake gives where a rule has no such input


def test_measure_applies_calibration_before_threshold_and_percentiles() -> None:
    readings = [("c-1", samples([15.0] * 40 + [100.0] * 40))]
    line = Calibration(slope=2.0, offset=-5.0)
    row = idle_power.measure_node_power(readings, held(), off_threshold_w=20, calibration=line)
    # 15 W read are 25 W, above the threshold of standby
    assert row["idle_power_w"].to_list() == [25.0]
    assert row["n_idle_samples"].to_list() == [80]
