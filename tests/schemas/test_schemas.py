"""Schemas of tables: written tables have the declared columns, order, key and invariants."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl
import pytest
from dataframely.exc import SchemaError, ValidationError

from footprint.core.vocabulary import NODE_CLASSES, OVERHEAD_CLASSES
from footprint.schemas import catalogue, writing
from footprint.schemas.energy import NodeEnergy, Quality
from footprint.schemas.raw import Jobs, Nodes

DAY = date(2025, 3, 3)
NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)

QUALITY = {
    "node": "c-1",
    "day": DAY,
    "n_read": 10,
    "n_kept": 5,
    "n_duplicate": 1,
    "n_nan": 1,
    "n_not_positive": 1,
    "n_spike": 2,
    "n_drop_out": 0,
    "n_merged": 0,
    "n_incomplete": 0,
    "n_stuck": 0,
    "n_summary": 0,
    "n_gaps": 0,
}


def quality_row(**changes: Any) -> pl.DataFrame:
    return pl.DataFrame([QUALITY | changes])


def test_write_table_orders_columns_and_rows_by_the_schema(tmp_path: Path) -> None:
    rows = pl.concat([quality_row(node="c-2"), quality_row(node="c-10"), quality_row(node="c-1")])
    shuffled = rows.select(reversed(rows.columns)).with_columns(unasked=pl.lit(1))
    writing.write_table(Quality, shuffled.lazy(), str(tmp_path / "quality.parquet"))
    found = pl.read_parquet(tmp_path / "quality.parquet")
    assert found.columns == list(QUALITY)
    assert found["node"].to_list() == ["c-1", "c-10", "c-2"]
    assert Quality.is_valid(found)


def test_write_table_of_the_same_rows_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = pl.concat([quality_row(node=f"c-{i}") for i in range(50)])
    for seed in (1, 2):
        shuffled = rows.sample(fraction=1, shuffle=True, seed=seed)
        writing.write_table(Quality, shuffled, str(tmp_path / f"{seed}.parquet"))
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        (quality_row(n_kept=6), "nothing_lost"),
        (quality_row(n_gaps=-1), "n_gaps|min"),
        (quality_row(n_spike=None), "n_spike|nullability"),
        (pl.concat([quality_row(), quality_row()]), "primary_key"),
    ],
)
def test_write_table_refuses_rows_that_break_a_rule(
    tmp_path: Path, rows: pl.DataFrame, rule: str
) -> None:
    with pytest.raises(ValidationError, match=rule):
        writing.write_table(Quality, rows, str(tmp_path / "quality.parquet"))
    assert not (tmp_path / "quality.parquet").exists()


def test_conform_names_a_missing_column() -> None:
    with pytest.raises((SchemaError, pl.exceptions.ColumnNotFoundError), match="n_gaps"):
        writing.conform(Quality, quality_row().drop("n_gaps"))


def test_node_energy_refuses_unknown_classes_and_negative_durations() -> None:
    row = {
        "node": "c-1",
        "day": DAY,
        "class": "job",
        "cluster": "c",
        "has_gpu": True,
        "measured_kwh": 1.0,
        "estimated_kwh": 0.0,
        "total_kwh": 1.0,
        "duration_s": 86_400.0,
        "unknown_node_h": 0.0,
        "overcount_kwh": 0.0,
        "left_out_kwh": 0.0,
    }
    assert len(writing.conform(NodeEnergy, pl.DataFrame([row]))) == 1
    with pytest.raises((ValidationError, pl.exceptions.InvalidOperationError)):
        writing.conform(NodeEnergy, pl.DataFrame([row | {"class": "asleep"}]))
    # time is exact to the microsecond: a negative duration is a defect
    with pytest.raises(ValidationError, match="duration_s"):
        writing.conform(NodeEnergy, pl.DataFrame([row | {"duration_s": -0.001}]))


def test_jobs_refuse_an_end_before_the_start() -> None:
    empty = pl.DataFrame(Jobs.create_empty())
    job = {
        "job_id": 1,
        "site": "nancy",
        "user": "someone",
        "types": [],
        "state": "terminated",
        "started_at": NOON,
        "stopped_at": NOON,
    }
    row = pl.DataFrame([job], schema_overrides=dict(empty.schema))
    valid = pl.concat([empty, row], how="diagonal")
    assert len(writing.conform(Jobs, valid)) == 1
    invalid = valid.with_columns(stopped_at=pl.lit(NOON).dt.offset_by("-1us"))
    with pytest.raises(ValidationError, match="stops_after_start"):
        writing.conform(Jobs, invalid)


def test_nodes_refuse_lists_without_every_core_and_its_gpu() -> None:
    empty = pl.DataFrame(Nodes.create_empty())
    node = {
        "node": "c-1",
        "valid_from": NOON,
        "site": "nancy",
        "cluster": "c",
        "n_cpus": 1,
        "n_cores": 2,
        "n_threads": 2,
        "cores": [0, 1],
        "core_gpus": [None, None],
        "gpus": [],
        "gpu_reservable": [],
        "gpu_models": [],
        "gpu_generations": [],
        "gpu_power_limits_w": [],
        "gpu_memory_bytes": [],
        "queues": [],
        "max_plausible_power_w": 500.0,
    }

    def conform(**changes: Any) -> pl.DataFrame:
        row = pl.DataFrame([node | changes], schema_overrides=dict(empty.schema))
        found: pl.DataFrame = writing.conform(Nodes, pl.concat([empty, row], how="diagonal"))
        return found

    assert len(conform()) == 1
    with pytest.raises(ValidationError, match="all_cores_named"):
        conform(n_cores=3)
    with pytest.raises(ValidationError, match="one_gpu_a_core"):
        conform(core_gpus=[None])


UNIT_OF_SUFFIX = {
    "g_per_kwh": "g/kWh",
    "_kwh": "kWh",
    "_s": "s",
    "_w": "W",
    "_bytes": "B",
    "_h": "h",
    "_hours": "h",
}


@pytest.mark.parametrize("name", sorted(catalogue.TABLES))
def test_table_has_a_path_a_docstring_and_units_by_column_name(name: str) -> None:
    schema, path = catalogue.TABLES[name]
    assert re.fullmatch(r"(resources|results|private)/.+\.parquet", path)
    assert schema.__doc__
    assert schema.__doc__.split("\n")[0].endswith(".")
    for column, kind in schema.columns().items():
        assert kind.metadata is None or set(kind.metadata) == {"unit"}
        unit = (kind.metadata or {}).get("unit")
        suffixes = [suffix for suffix in UNIT_OF_SUFFIX if column.endswith(suffix)]
        if suffixes:
            assert unit == UNIT_OF_SUFFIX[max(suffixes, key=len)], column
        assert column == column.lower(), column
        if isinstance(kind, dy.Datetime):
            assert kind.time_zone == "UTC", column
    empty = schema.create_empty()
    assert schema.is_valid(empty)


def test_tables_have_a_key_except_long_series() -> None:
    without = [name for name, (schema, _) in catalogue.TABLES.items() if not schema.primary_key()]
    # Series are too long for a key check: neighbouring rows are compared instead. A stage may be
    # null, and a key may not: a rule of the table checks its rows.
    assert without == ["power", "device_power", "device_series", "phase_stages"]
    paths = [path for _, path in catalogue.TABLES.values()]
    assert len(set(paths)) == len(paths)
    assert set(OVERHEAD_CLASSES) < set(NODE_CLASSES)
