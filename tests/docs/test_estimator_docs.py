"""The worked example of docs/estimators.md, computed again."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from footprint.estimators import inputs, registry
from footprint.hardware import catalogue
from footprint.schemas.raw import Allocations
from tests.support.api_answers import nodes_table, reference_node

pytestmark = pytest.mark.filterwarnings("error")

PAGE = (Path(__file__).parents[2] / "docs/estimators.md").read_text(encoding="utf-8")
EXAMPLE_ROW = re.compile(r"^\| `(\w+@[\w.]+)` \| .+ \| (?:([\d.]+) kWh|unknown) \|$", re.M)
START = datetime(2025, 3, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def example() -> inputs.EstimatorInputs:
    """Inputs of a job of two hours on one of two GPUs of gruss-1, with half of its cores."""
    described = nodes_table(
        reference_node("gruss-1", n_cores=48, n_gpus=2, main_memory={"ram_size": 256 * 2**30})
    )
    held = {"job_id": 1, "node": "gruss-1", "duration_s": 7200.0}
    return inputs.collect_inputs(
        inputs.InputTables(
            job_energy=pl.LazyFrame(
                {
                    "job_id": [1],
                    "duration_s": [7200.0],
                    "coverage_frac": [1.0],
                    "gpu_hours": [2.0],
                    "core_hours": [48.0],
                    "flags": [[]],
                },
                schema_overrides={"flags": pl.List(pl.String)},
            ),
            job_nodes=pl.LazyFrame(
                [held | {"gpu_hours": 2.0, "core_hours": 48.0, "coverage_frac": 1.0}]
            ),
            hardware=catalogue.look_up_hardware(described.lazy()).lazy(),
            records=pl.LazyFrame({"job_id": [1], "started_at": [START]}),
            allocations=Allocations.create_empty().lazy(),
            nodes=described.lazy(),
            gpu_power=pl.LazyFrame(
                [
                    {"job_id": 1, "node": "gruss-1", "gpu_hours": 2.0, "covered_gpu_hours": 2.0}
                    | {"energy_kwh": 0.36}
                ]
            ),
            cpu_series=pl.LazyFrame(
                [
                    held
                    | {"load_covered_s": 7200.0, "core_use_frac": 12 / 48}
                    | {"thread_load_cubed": (12 / 96) ** 3}
                    | {"package_covered_s": 0.0, "package_power_w": None}
                ],
                schema_overrides={"package_power_w": pl.Float64},
            ),
        )
    )


def test_every_estimator_is_in_the_worked_example() -> None:
    labels = {each.label for each in registry.ESTIMATORS.values() if each.covers_all_jobs}
    assert {label for label, _ in EXAMPLE_ROW.findall(PAGE)} == labels


@pytest.mark.parametrize(("label", "kwh"), EXAMPLE_ROW.findall(PAGE))
def test_worked_example_has_the_computed_energy(
    example: inputs.EstimatorInputs, label: str, kwh: str
) -> None:
    estimator = registry.ESTIMATORS[label.partition("@")[0]]
    energy_kwh = registry.estimate_jobs(example, estimator)["energy_kwh"].item()
    assert estimator.label == label
    assert energy_kwh == (pytest.approx(float(kwh), abs=5e-6) if kwh else None)


def test_estimators_page_explains_every_estimator() -> None:
    for name in registry.ESTIMATORS:
        if not name.endswith("_pre_volta") and "_pue_" not in name:
            assert f"`{name}`" in PAGE.replace("@", "` ")


def test_estimators_page_example_module_is_valid(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.+?)```", PAGE, re.S)
    assert code
    found: dict[str, object] = {}
    exec(compile(code[1], str(tmp_path / "flat.py"), "exec"), found)
    assert [each.label for each in found["ESTIMATORS"]] == ["flat@1"]  # type: ignore[attr-defined]
