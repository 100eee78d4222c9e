"""The registry: selection of estimators, properties of all estimators, the table, a new one."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import footprint
from footprint.core.errors import InputError
from footprint.estimators import registry
from footprint.estimators.inputs import EstimatorInputs
from footprint.schemas.estimates import Estimates
from footprint.schemas.labels import Tracked
from footprint.schemas.writing import conform
from tests.support.estimator_inputs import (
    AMOUNT_COLUMNS,
    frame_of_schema,
    inputs_of_jobs,
    job_node,
    scenario_inputs,
)

pytestmark = pytest.mark.filterwarnings("error")

NAMES = [
    "mlco2",
    "mlco2_table",
    "green_algorithms",
    "green_algorithms_any",
    "green_algorithms_pue_2",
    "green_algorithms_pue_3",
    "ga4hpc",
    "ga4hpc_idle_as_full",
    "codecarbon_2",
    "codecarbon_2_pre_volta",
    "codecarbon_3",
    "codecarbon_3_pre_volta",
    "recorded",
    "tracker_nvml",
    "tracker_rapl",
    "tracker_devices",
]
PARTS = ("gpu_kwh", "cpu_kwh", "memory_kwh")
ENERGIES = (*PARTS, "energy_kwh", "covered_kwh")

Job = tuple[list[dict[str, Any]], dict[str, float | None]]
"""What a job held on each of its nodes, and the energies of its record."""


def study() -> EstimatorInputs:
    """All scenarios, and a record of the first job, which was tracked as well."""
    made = scenario_inputs()
    row = {"job_id": 1, "tools": "codecarbon", "n_runs": 1, "duration_s": 3600.0, "energy_kwh": 1.5}
    record = pl.LazyFrame([row], schema=made.recorded.collect_schema())
    read = {"gpu_kwh": 0.5, "cpu_kwh": 0.2, "memory_kwh": 0.1}
    tracked = {"job_id": 1, "node": "node-1", "n_runs": 1, "duration_s": 3600.0} | read
    return made._replace(recorded=record, tracked=frame_of_schema(Tracked, tracked))


# Selection


def test_registry_has_all_estimators_in_order() -> None:
    assert list(registry.ESTIMATORS) == NAMES
    labels = [each.label for each in registry.ESTIMATORS.values()]
    assert labels[0] == "mlco2@025b988"
    assert len(set(labels)) == len(labels)


def test_select_all_gives_the_default_estimators() -> None:
    found = [each.name for each in registry.select_estimators("all")]
    assert found == [name for name in NAMES if name != "ga4hpc_idle_as_full"]


def test_select_gives_the_order_of_the_registry() -> None:
    wanted = ["recorded", "ga4hpc_idle_as_full", "mlco2", "recorded"]
    found = registry.select_estimators(wanted)
    assert [each.name for each in found] == ["mlco2", "ga4hpc_idle_as_full", "recorded"]
    assert registry.select_estimators([]) == []


@pytest.mark.parametrize(
    ("name", "do"),
    [
        ("codecarbon_4", "did you mean `codecarbon_3`?"),
        ("mlco", "did you mean `mlco2`?"),
        ("guess", "choose among " + ", ".join(NAMES)),
    ],
)
def test_select_unknown_name_is_an_error_with_a_suggestion(name: str, do: str) -> None:
    with pytest.raises(InputError) as error:
        registry.select_estimators(["mlco2", name])
    assert str(error.value) == f"estimators: there is no estimator `{name}`; {do}"


# Properties of all estimators


@pytest.mark.parametrize("name", NAMES)
def test_estimate_gives_a_valid_table_with_every_job(name: str) -> None:
    found = registry.estimate_jobs(study(), registry.ESTIMATORS[name])
    assert Estimates.is_valid(found)
    assert_frame_equal(found, conform(Estimates, found))
    jobs = study().jobs.select("job_id").collect()["job_id"].sort().to_list()
    assert found["job_id"].to_list() == (jobs if registry.ESTIMATORS[name].covers_all_jobs else [1])
    assert set(found["estimator"]) == {registry.ESTIMATORS[name].label}


@pytest.mark.parametrize("name", NAMES)
def test_estimate_part_that_is_not_counted_is_0(name: str) -> None:
    estimator = registry.ESTIMATORS[name]
    found = registry.estimate_jobs(scenario_inputs(), estimator)
    known = found.filter(pl.col("basis") != "none")
    for part in ("gpu", "cpu", "memory"):
        is_counted = (known[f"{part}_kwh"] > 0).any()
        assert is_counted == (part in estimator.parts and estimator.covers_all_jobs)


def amounts() -> st.SearchStrategy[float]:
    return st.floats(0, 1e4).map(lambda value: round(value, 3))


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """What a job held on a node: any hardware, with and without series."""

    def maybe(low: float, high: float) -> float | None:
        return draw(st.none() | st.floats(low, high))

    row = job_node(
        {
            "n_cpus": draw(st.integers(1, 4)),
            "n_cores": draw(st.integers(1, 256)),
            "tdp_w": draw(st.floats(50, 400)),
            "memory_gb": draw(st.sampled_from([32.0, 64.0, 96.0, 192.0, 512.0, 6144.0])),
            "gpu_limit_w": draw(st.floats(50, 700)),
            "gpu_mlco2_w": maybe(50, 700),
            "pre_volta_frac": draw(st.floats(0, 1)),
        },
        hours=0,
        cores=0,
        coverage=maybe(0, 1),
        gpu_series_w=maybe(0, 700),
        core_use_frac=maybe(0, 1),
        thread_load_cubed=maybe(0, 1),
        package_power_w=maybe(0, 1000),
    )
    return row | {amount: draw(amounts()) for amount in AMOUNT_COLUMNS}


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    parts = {part: draw(st.none() | st.floats(0, 100)) for part in PARTS}
    known = sum(part or 0.0 for part in parts.values())
    return draw(st.lists(rows(), min_size=1, max_size=3)), parts | {"energy_kwh": known}


def multiply(row: dict[str, Any], factor: float, *names: str) -> dict[str, Any]:
    return row | {name: row[name] * factor for name in names if row[name] is not None}


def estimates_of_parts(job: Job, factors: list[float]) -> dict[str, list[dict[str, Any]]]:
    """Estimates by every estimator for jobs that held parts of what `job` held."""
    nodes, record = job
    energies = ("energy_kwh", *PARTS)
    made = inputs_of_jobs(
        {
            place: [multiply(row, factor, *AMOUNT_COLUMNS) for row in nodes]
            for place, factor in enumerate(factors)
        },
        changes={place: {"duration_s": 3600 * factor} for place, factor in enumerate(factors)},
        recorded=[
            multiply(
                {"job_id": place, "duration_s": 3600.0} | record, factor, "duration_s", *energies
            )
            for place, factor in enumerate(factors)
        ],
    )
    return {
        name: registry.estimate_jobs(made, estimator).to_dicts()
        for name, estimator in registry.ESTIMATORS.items()
        if not name.startswith("tracker_")  # they sum counters of nodes, not what jobs held
    }


def assert_sum(parts: list[dict[str, Any]], whole: dict[str, Any]) -> None:
    for energy in ENERGIES:
        terms = [part[energy] for part in parts]
        if whole[energy] is None:
            assert terms == [None] * len(parts)
        else:
            assert sum(terms) == pytest.approx(whole[energy], rel=1e-9, abs=1e-12)


@settings(max_examples=25)
@given(jobs(), st.floats(0.01, 0.99))
def test_estimate_of_a_job_split_in_time_sums_to_the_whole(job: Job, first: float) -> None:
    for whole, *days in estimates_of_parts(job, [1.0, first, 1 - first]).values():
        assert_sum(days, whole)


@settings(max_examples=25)
@given(jobs())
def test_estimates_of_two_half_nodes_sum_to_the_whole_node(job: Job) -> None:
    for whole, *halves in estimates_of_parts(job, [1.0, 0.5, 0.5]).values():
        assert_sum(halves, whole)
        assert halves[0] == halves[1] | {"job_id": 1}


@settings(max_examples=25)
@given(jobs(), st.floats(0.1, 100))
def test_estimate_is_proportional_to_hours(job: Job, factor: float) -> None:
    for once, longer in estimates_of_parts(job, [1.0, factor]).values():
        for energy in ENERGIES:
            if once[energy] is None:
                assert longer[energy] is None
            else:
                expected = pytest.approx(once[energy] * factor, rel=1e-9, abs=1e-12)
                assert longer[energy] == expected


@settings(max_examples=25)
@given(jobs())
def test_estimate_parts_sum_to_the_energy_and_covered_is_less(job: Job) -> None:
    for name, (row,) in estimates_of_parts(job, [1.0]).items():
        parts = [row[part] for part in PARTS]
        if name == "recorded":
            parts = [part or 0.0 for part in parts]
        if None in parts:
            assert row["energy_kwh"] is None
            assert row["covered_kwh"] is None
        else:
            assert sum(parts) == pytest.approx(row["energy_kwh"] / row["pue"], rel=1e-9, abs=1e-12)
            if name == "recorded":  # not compared, unless it covers what the job held
                assert (row["covered_kwh"] or 0.0) <= row["energy_kwh"] * (1 + 1e-12)
            else:
                assert 0 <= row["covered_kwh"] <= row["energy_kwh"] * (1 + 1e-12)


# The table


def test_write_has_all_estimates_by_estimator_and_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "jobs.parquet"
    chosen = [registry.ESTIMATORS[name] for name in NAMES]
    registry.write_estimates(study(), chosen, path)
    messages = [record.getMessage() for record in caplog.records]
    each = [registry.estimate_jobs(study(), estimator) for estimator in chosen]
    expected = pl.concat(each).sort("estimator", "job_id")
    assert_frame_equal(pl.read_parquet(path), expected)
    assert Estimates.is_valid(pl.read_parquet(path))
    # 14 jobs: the nodes of one are unknown; two held A40, which the table lacks
    assert "mlco2@025b988 estimates 13 of 14 jobs" in messages
    assert "mlco2_table@025b988 estimates 11 of 14 jobs" in messages
    assert "recorded@1 estimates 1 of 1 jobs" in messages
    assert [line.split()[0] for line in messages] == sorted(each.label for each in chosen)


def test_write_gives_the_same_bytes_for_any_order(tmp_path: Path) -> None:
    orders = [NAMES, NAMES[::-1], NAMES]
    written = []
    for place, names in enumerate(orders):
        path = tmp_path / f"{place}.parquet"
        registry.write_estimates(study(), [registry.ESTIMATORS[name] for name in names], path)
        written.append(path.read_bytes())
    assert written[0] == written[1] == written[2]


def test_write_study_without_jobs_gives_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"
    registry.write_estimates(
        inputs_of_jobs({}), registry.select_estimators(["mlco2", "codecarbon_3"]), path
    )
    assert pl.read_parquet(path).schema == Estimates.create_empty().schema


# A new estimator


def test_registry_new_estimator_needs_a_module_and_its_name(tmp_path: Path) -> None:
    copied = tmp_path / "footprint"
    original = Path(footprint.__file__).parent
    shutil.copytree(original, copied, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("flat_rate.py"), copied / "estimators")
    path = copied / "estimators" / "registry.py"
    before = path.read_text()
    # the name is in the list of modules, and in the line that imports them
    after = before.replace(
        "from footprint.estimators import codecarbon,",
        "from footprint.estimators import codecarbon, flat_rate,",
    ).replace("MODULES = (mlco2,", "MODULES = (mlco2, flat_rate,")
    path.write_text(after)
    changes = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    added = [line[2:] for line in changes if line.startswith("+ ")]
    assert len([line for line in changes if line.startswith("- ")]) == len(added) == 2
    assert added[0].startswith("from footprint.estimators import ")
    assert added[1].startswith("MODULES = (")
    folders = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.estimators.print_flat_rate"],
        env=os.environ | {"PYTHONPATH": folders},
        capture_output=True,
        text=True,
        check=True,
    )
    where, names, row = done.stdout.splitlines()
    assert where == str(copied / "__init__.py")
    assert names.split() == [*NAMES[:2], "flat_rate", *NAMES[2:]]
    # 3 h x (2 GPUs x 100 W + 4 cores x 5 W) = 660 Wh
    (found,) = json.loads(row)
    assert (found["job_id"], found["estimator"], found["basis"]) == (1, "flat_rate@1", "any")
    assert found["energy_kwh"] == pytest.approx(0.66, rel=1e-12)
    assert found["memory_gbh"] == pytest.approx(3 * 128 / 4, rel=1e-12)
