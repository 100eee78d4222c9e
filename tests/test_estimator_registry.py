"""All estimators at once: which there are, what all keep to, the table, and how to add one."""

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
from estimating import AMOUNTS, facts_of, held, of_schema, scenarios
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import footprint
from footprint import tables
from footprint.errors import InputError
from footprint.estimators import registry
from footprint.estimators.facts import Facts

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


def study() -> Facts:
    """All scenarios, and a record of the first job, which was tracked as well."""
    made = scenarios()
    row = {"job_id": 1, "tools": "codecarbon", "n_runs": 1, "duration_s": 3600.0, "energy_kwh": 1.5}
    record = pl.LazyFrame([row], schema=made.recorded.collect_schema())
    read = {"gpu_kwh": 0.5, "cpu_kwh": 0.2, "memory_kwh": 0.1}
    tracked = {"job_id": 1, "node": "node-1", "n_runs": 1, "duration_s": 3600.0} | read
    return made._replace(recorded=record, tracked=of_schema(tables.Tracked, tracked))


# Which there are


def test_the_registry_has_these_in_this_order() -> None:
    assert list(registry.ESTIMATORS) == NAMES
    labels = [each.label for each in registry.ESTIMATORS.values()]
    assert labels[0] == "mlco2@025b988"
    assert len(set(labels)) == len(labels)


def test_all_are_the_usual_ones() -> None:
    found = [each.name for each in registry.chosen("all")]
    assert found == [name for name in NAMES if name != "ga4hpc_idle_as_full"]


def test_chosen_ones_come_in_the_order_of_the_registry() -> None:
    wanted = ["recorded", "ga4hpc_idle_as_full", "mlco2", "recorded"]
    found = registry.chosen(wanted)
    assert [each.name for each in found] == ["mlco2", "ga4hpc_idle_as_full", "recorded"]
    assert registry.chosen([]) == []


@pytest.mark.parametrize(
    ("name", "do"),
    [
        ("codecarbon_4", "did you mean `codecarbon_3`?"),
        ("mlco", "did you mean `mlco2`?"),
        ("guess", "choose among " + ", ".join(NAMES)),
    ],
)
def test_a_name_that_no_estimator_has_is_refused_with_a_suggestion(name: str, do: str) -> None:
    with pytest.raises(InputError) as error:
        registry.chosen(["mlco2", name])
    assert str(error.value) == f"estimators: there is no estimator `{name}`; {do}"


# What all keep to


@pytest.mark.parametrize("name", NAMES)
def test_estimates_are_a_valid_table_with_every_job(name: str) -> None:
    found = registry.estimate(study(), registry.ESTIMATORS[name])
    assert tables.Estimates.is_valid(found)
    assert_frame_equal(found, tables.conform(tables.Estimates, found))
    jobs = study().jobs.select("job_id").collect()["job_id"].sort().to_list()
    assert found["job_id"].to_list() == (jobs if registry.ESTIMATORS[name].of_all else [1])
    assert set(found["estimator"]) == {registry.ESTIMATORS[name].label}


@pytest.mark.parametrize("name", NAMES)
def test_a_part_that_an_estimator_does_not_see_is_0(name: str) -> None:
    estimator = registry.ESTIMATORS[name]
    found = registry.estimate(scenarios(), estimator)
    known = found.filter(pl.col("basis") != "none")
    for part in ("gpu", "cpu", "memory"):
        seen = (known[f"{part}_kwh"] > 0).any()
        assert seen == (part in estimator.sees and estimator.of_all)


def amounts() -> st.SearchStrategy[float]:
    return st.floats(0, 1e4).map(lambda value: round(value, 3))


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """What a job held on a node: any hardware, with and without series."""

    def maybe(low: float, high: float) -> float | None:
        return draw(st.none() | st.floats(low, high))

    row = held(
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
    return row | {amount: draw(amounts()) for amount in AMOUNTS}


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    parts = {part: draw(st.none() | st.floats(0, 100)) for part in PARTS}
    known = sum(part or 0.0 for part in parts.values())
    return draw(st.lists(rows(), min_size=1, max_size=3)), parts | {"energy_kwh": known}


def times(row: dict[str, Any], factor: float, *names: str) -> dict[str, Any]:
    return row | {name: row[name] * factor for name in names if row[name] is not None}


def of_parts(job: Job, factors: list[float]) -> dict[str, list[dict[str, Any]]]:
    """What each estimator says of jobs that held so much of what `job` held."""
    nodes, record = job
    energies = ("energy_kwh", *PARTS)
    made = facts_of(
        {
            place: [times(row, factor, *AMOUNTS) for row in nodes]
            for place, factor in enumerate(factors)
        },
        changes={place: {"duration_s": 3600 * factor} for place, factor in enumerate(factors)},
        recorded=[
            times({"job_id": place, "duration_s": 3600.0} | record, factor, "duration_s", *energies)
            for place, factor in enumerate(factors)
        ],
    )
    return {
        name: registry.estimate(made, estimator).to_dicts()
        for name, estimator in registry.ESTIMATORS.items()
        if not name.startswith("tracker_")  # they add up counters of nodes, not what jobs held
    }


def assert_adds_up(parts: list[dict[str, Any]], whole: dict[str, Any]) -> None:
    for energy in ENERGIES:
        terms = [part[energy] for part in parts]
        if whole[energy] is None:
            assert terms == [None] * len(parts)
        else:
            assert sum(terms) == pytest.approx(whole[energy], rel=1e-9, abs=1e-12)


@settings(max_examples=25)
@given(jobs(), st.floats(0.01, 0.99))
def test_a_job_cut_into_two_days_uses_what_it_used_uncut(job: Job, first: float) -> None:
    for whole, *days in of_parts(job, [1.0, first, 1 - first]).values():
        assert_adds_up(days, whole)


@settings(max_examples=25)
@given(jobs())
def test_two_jobs_on_half_a_node_use_what_one_on_the_whole_node_does(job: Job) -> None:
    for whole, *halves in of_parts(job, [1.0, 0.5, 0.5]).values():
        assert_adds_up(halves, whole)
        assert halves[0] == halves[1] | {"job_id": 1}


@settings(max_examples=25)
@given(jobs(), st.floats(0.1, 100))
def test_energy_is_in_proportion_to_hours(job: Job, factor: float) -> None:
    for once, longer in of_parts(job, [1.0, factor]).values():
        for energy in ENERGIES:
            if once[energy] is None:
                assert longer[energy] is None
            else:
                expected = pytest.approx(once[energy] * factor, rel=1e-9, abs=1e-12)
                assert longer[energy] == expected


@settings(max_examples=25)
@given(jobs())
def test_parts_add_up_and_what_is_covered_is_a_part(job: Job) -> None:
    for name, (row,) in of_parts(job, [1.0]).items():
        parts = [row[part] for part in PARTS]
        if name == "recorded":
            parts = [part or 0.0 for part in parts]
        if None in parts:
            assert row["energy_kwh"] is None
            assert row["covered_kwh"] is None
        else:
            assert sum(parts) == pytest.approx(row["energy_kwh"] / row["pue"], rel=1e-9, abs=1e-12)
            if name == "recorded" and len(job[0]) > 1:
                assert row["covered_kwh"] is None  # the record is of one node of several
            else:
                assert 0 <= row["covered_kwh"] <= row["energy_kwh"] * (1 + 1e-12)


# The table


def test_the_table_has_all_estimates_by_estimator_and_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "jobs.parquet"
    chosen = [registry.ESTIMATORS[name] for name in NAMES]
    registry.write(study(), chosen, path)
    told = [record.getMessage() for record in caplog.records]
    each = [registry.estimate(study(), estimator) for estimator in chosen]
    expected = pl.concat(each).sort("estimator", "job_id")
    assert_frame_equal(pl.read_parquet(path), expected)
    assert tables.Estimates.is_valid(pl.read_parquet(path))
    # 14 jobs: of none does it tell whose nodes are unknown; two held A40, which the table lacks
    assert "mlco2@025b988 tells of 13 of 14 jobs" in told
    assert "mlco2_table@025b988 tells of 11 of 14 jobs" in told
    assert "recorded@1 tells of 1 of 1 jobs" in told
    assert [line.split()[0] for line in told] == sorted(each.label for each in chosen)


def test_the_same_facts_give_the_same_bytes(tmp_path: Path) -> None:
    orders = [NAMES, NAMES[::-1], NAMES]
    written = []
    for place, names in enumerate(orders):
        path = tmp_path / f"{place}.parquet"
        registry.write(study(), [registry.ESTIMATORS[name] for name in names], path)
        written.append(path.read_bytes())
    assert written[0] == written[1] == written[2]


def test_a_study_without_jobs_has_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"
    registry.write(facts_of({}), registry.chosen(["mlco2", "codecarbon_3"]), path)
    assert pl.read_parquet(path).schema == tables.Estimates.create_empty().schema


# A new one

FLAT_RATE = '''
"""The same power for every GPU and core."""

import polars as pl

from footprint.estimators.estimator import Estimator
from footprint.estimators.facts import Facts
from footprint.estimators.rates import ANY, NOTHING, Rates, energy


def flat(facts: Facts) -> pl.LazyFrame:
    """100 W a GPU and 5 W a core."""
    any_basis = pl.lit(ANY)
    rates = Rates(
        gpu_w=pl.lit(100.0),
        core_w=pl.lit(5.0),
        memory_w_per_gb=NOTHING,
        gpu_basis=any_basis,
        cpu_basis=any_basis,
    )
    return energy(facts, rates)


ESTIMATORS = (
    Estimator(name="flat_rate", version="1", tool="Flat rate", says="100 W", estimate=flat),
)
'''
USE = """
from estimating import GRAFFITI, facts_of, held
import footprint
from footprint.estimators import registry

(flat,) = registry.chosen(["flat_rate"])
found = registry.estimate(facts_of({1: [held(GRAFFITI, hours=3, cores=4, gpus=2)]}), flat)
print(footprint.__file__)
print(*registry.ESTIMATORS)
print(found.write_json())
"""


def test_a_new_estimator_is_a_module_and_a_word_in_the_registry(tmp_path: Path) -> None:
    copied = tmp_path / "footprint"
    original = Path(footprint.__file__).parent
    shutil.copytree(original, copied, ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "estimators" / "flat_rate.py").write_text(FLAT_RATE)
    path = copied / "estimators" / "registry.py"
    before = path.read_text()
    # the word stands in the list of modules, and in the line that imports them
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
    folders = os.pathsep.join([str(tmp_path), str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE],
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
