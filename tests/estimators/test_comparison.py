"""Estimates beside the measurement: jobs compared, groups, and levels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from footprint.core import vocabulary
from footprint.energy.energy_tables import EnergyTables
from footprint.estimators import comparison
from footprint.estimators.comparison import NO_GPU, NOT_CATALOGUED, SEVERAL_NAMES
from footprint.levels import levels
from footprint.levels.selection import LevelSelection
from footprint.schemas.estimates import EstimateRatios, Hardware
from footprint.schemas.levels import Levels
from footprint.schemas.writing import conform
from tests.support import study_frames
from tests.support.estimator_inputs import frame_of_schema
from tests.support.figure_checks import levels_of_study
from tests.support.study_frames import (
    ERROR_MODEL,
    estimate_row,
    estimates_frame,
    job_energy_frame,
    job_node_row,
    job_nodes_frame,
)

pytestmark = pytest.mark.filterwarnings("error")

START = study_frames.START
TOOL = "mlco2@025b988"


def node(name: str, *gpus: tuple[str, str | None], since: datetime | None = None) -> dict[str, Any]:
    """A row of `schemas.Hardware`, with GPUs of (model, generation)."""
    return {
        "node": name,
        "valid_from": since or datetime(1970, 1, 1, tzinfo=UTC),
        "cluster": name.rpartition("-")[0],
        "cpu_model": "Intel Xeon Gold 5220",
        "tdp_w": 125.0,
        "n_cpus": 1,
        "n_cores": 16,
        "n_threads": 32,
        "memory_gb": 96.0,
        "gpus": list(range(len(gpus))),
        "gpu_models": [model for model, _ in gpus],
        "gpu_generations": [generation for _, generation in gpus],
        "gpu_limits_w": [250.0] * len(gpus),
        "gpu_mlco2_w": [None] * len(gpus),
    }


A40, A100, T4 = ("A40", "Ampere"), ("A100", "Ampere"), ("T4", "Turing")
NODES = [
    node("gros-1"),
    node("gros-2"),
    node("graffiti-1", A40, A40),
    node("grat-1", A100),
    node("gruss-1", A40, A100),
    node("grue-1", A40, T4),
    node("gnew-1", ("B300", None)),
    node("gmix-1", ("B300", None), ("B400", None)),
]


def hardware(*nodes: dict[str, Any]) -> pl.LazyFrame:
    return frame_of_schema(Hardware, *(nodes or NODES))


def measured(
    job_nodes: list[dict[str, Any]], started: dict[int, datetime] | None = None
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """`schemas.JobEnergy` and `schemas.JobNodeEnergy` of some jobs."""
    nodes = job_nodes_frame(job_nodes)
    owners = [
        {"job_id": job, "user": "u-amy", "project": "p", "queue": "q"}
        | {"started_at": (started or {}).get(job, START)}
        for job in dict.fromkeys(row["job_id"] for row in job_nodes)
    ]
    return job_energy_frame(nodes, owners).lazy(), nodes.lazy()


def ratios(job_nodes: list[dict[str, Any]], estimates: list[dict[str, Any]]) -> pl.DataFrame:
    rows = comparison.ratios_by_group(
        estimates_frame(estimates).lazy(), *measured(job_nodes), hardware()
    ).collect()
    return conform(EstimateRatios, rows)


def of(rows: pl.DataFrame, group: str = "all", name: str = "all") -> dict[str, Any]:
    (row,) = rows.filter(pl.col("group") == group, pl.col("name") == name).rows(named=True)
    return row


def names(rows: pl.DataFrame, group: str) -> dict[str, int]:
    of_group = rows.filter(pl.col("group") == group)
    return dict(of_group.select("name", "n_jobs").iter_rows())


class TestComparedJobs:
    @pytest.mark.parametrize(
        ("duration_s", "covered_s", "energy_kwh", "is_compared"),
        [
            (59.9, 59.9, 1.0, False),
            (60.0, 60.0, 1.0, True),
            (2000.0, 1900.0, 1.0, True),  # 95 %
            (2000.0, 1899.0, 1.0, False),
            (2000.0, 2000.0, 0.0, False),
            (2000.0, 0.0, None, False),
        ],
    )
    def test_ratios_compare_jobs_of_a_minute_or_more_with_measured_energy(
        self, duration_s: float, covered_s: float, energy_kwh: float | None, is_compared: bool
    ) -> None:
        own = {"duration_s": duration_s, "covered_s": covered_s}
        usual = job_node_row(2, "gros-1", 1.0)
        rows = ratios(
            [job_node_row(1, "gros-1", energy_kwh, **own), usual],
            [estimate_row(1, TOOL, 8.0), estimate_row(2, TOOL, 2.0)],
        )
        assert of(rows)["estimated_kwh"] == (8.0 + 2.0 if is_compared else 2.0)
        assert of(rows)["n_jobs"] == (2 if is_compared else 1)

    def test_ratios_compare_the_measured_time_only(self) -> None:
        held = job_node_row(
            1, "gros-1", 2.0, duration_s=2000.0, covered_s=1950.0, estimated_kwh=0.5
        )
        row = of(ratios([held], [estimate_row(1, TOOL, 4.0, covered_kwh=3.9)]))
        assert (row["measured_kwh"], row["estimated_kwh"]) == (2.0, 3.9)
        assert row["total_ratio"] == pytest.approx(3.9 / 2.0, rel=1e-12)

    def test_ratios_count_jobs_without_an_estimate_apart(self) -> None:
        jobs = [job_node_row(job, "gros-1", 1.0) for job in (1, 2, 3)]
        estimated = [estimate_row(1, TOOL, 2.0), estimate_row(2, TOOL, None)]
        # job 3, which the tool did not record, has no row
        row = of(ratios(jobs, estimated))
        assert (row["n_jobs"], row["n_jobs_unknown"]) == (1, 1)
        assert (row["measured_kwh"], row["estimated_kwh"], row["total_ratio"]) == (1.0, 2.0, 2.0)
        nothing = of(ratios(jobs, [estimate_row(1, TOOL, None)]))
        assert (nothing["n_jobs"], nothing["n_jobs_unknown"]) == (0, 1)
        assert (nothing["measured_kwh"], nothing["estimated_kwh"]) == (0, 0)
        assert nothing["total_ratio"] is nothing["ratio_p50"] is None

    def test_ratios_have_quantiles_over_jobs_and_total_over_energies(self) -> None:
        # ratios 1, 2, 3, 4, 5; the first job is as large as all others together
        sizes = [4.0, 1.0, 1.0, 1.0, 1.0]
        jobs = [job_node_row(job, "gros-1", size) for job, size in enumerate(sizes, start=1)]
        estimated = [estimate_row(job, TOOL, job * size) for job, size in enumerate(sizes, start=1)]
        row = of(ratios(jobs, estimated))
        assert [row[f"ratio_p{part}"] for part in ("05", "25", "50", "75", "95")] == pytest.approx(
            [1 + 0.05 * 4, 2, 3, 4, 1 + 0.95 * 4], rel=1e-12
        )
        assert row["measured_kwh"] == 4 + 4 * 1
        assert row["estimated_kwh"] == 4 * 1 + 2 + 3 + 4 + 5
        assert row["total_ratio"] == pytest.approx(18 / 8, rel=1e-12)

    def test_ratios_of_a_study_without_jobs_have_no_rows(self) -> None:
        job_energy, job_nodes = measured([job_node_row(1, "gros-1", 1.0)])
        empty = (estimates_frame([]).lazy(), job_energy.clear(), job_nodes.clear(), hardware())
        rows = conform(EstimateRatios, comparison.ratios_by_group(*empty))
        assert rows.is_empty()


class TestGroups:
    @staticmethod
    def found(*rows: dict[str, Any], started: dict[int, datetime] | None = None) -> dict[str, Any]:
        job_energy, job_nodes = measured(list(rows), started)
        columns = ["cluster", "gpu_model", "gpu_generation"]
        return (
            comparison.groups_of_jobs(job_energy, job_nodes, hardware())
            .select("job_id", *columns)
            .collect()
            .row(0, named=True)
        )

    @pytest.mark.parametrize(
        ("nodes", "cluster", "model", "generation"),
        [
            ({"gros-1": 0}, "gros", NO_GPU, NO_GPU),
            ({"graffiti-1": 2}, "graffiti", "A40", "Ampere"),
            ({"graffiti-1": 0}, "graffiti", NO_GPU, NO_GPU),  # cores alone of a node with GPUs
            ({"gros-1": 0, "gros-2": 0}, "gros", NO_GPU, NO_GPU),
            ({"gros-1": 0, "graffiti-1": 1}, SEVERAL_NAMES, SEVERAL_NAMES, SEVERAL_NAMES),
            ({"graffiti-1": 1, "grat-1": 1}, SEVERAL_NAMES, SEVERAL_NAMES, "Ampere"),
            ({"gruss-1": 2}, "gruss", SEVERAL_NAMES, "Ampere"),
            ({"grue-1": 2}, "grue", SEVERAL_NAMES, SEVERAL_NAMES),
            ({"gnew-1": 1}, "gnew", "B300", NOT_CATALOGUED),
            ({"gmix-1": 2}, "gmix", SEVERAL_NAMES, NOT_CATALOGUED),
            ({"gnew-1": 1, "grat-1": 1}, SEVERAL_NAMES, SEVERAL_NAMES, SEVERAL_NAMES),
        ],
    )
    def test_groups_by_cluster_and_gpu(
        self, nodes: dict[str, float], cluster: str, model: str, generation: str
    ) -> None:
        held = [job_node_row(1, name, 1.0, gpu_hours=float(gpus)) for name, gpus in nodes.items()]
        row = self.found(*held)
        assert (row["cluster"], row["gpu_model"]) == (cluster, model)
        assert row["gpu_generation"] == generation

    def test_groups_use_the_gpus_at_the_start_of_the_job(self) -> None:
        later = START + timedelta(days=1)
        both = hardware(node("graffiti-1", T4), node("graffiti-1", A100, since=later))
        jobs = [job_node_row(job, "graffiti-1", 1.0) for job in (1, 2)]
        job_energy, job_nodes = measured(jobs, {2: later})
        rows = comparison.groups_of_jobs(job_energy, job_nodes, both).sort("job_id").collect()
        assert rows["gpu_model"].to_list() == ["T4", "A100"]

    def test_groups_duration_at_a_bound_belongs_to_the_next_group(self) -> None:
        bounds = {
            599.9: "under 10 min",
            600.0: "10 min to 1 h",
            3599.9: "10 min to 1 h",
            3600.0: "1 to 12 h",
            43_200.0: "12 to 24 h",
            86_399.0: "12 to 24 h",
            86_400.0: "over 24 h",
            8_640_000.0: "over 24 h",
        }
        jobs = [job_node_row(job, "gros-1", 1.0, duration_s=s) for job, s in enumerate(bounds)]
        rows = comparison.groups_of_jobs(*measured(jobs), hardware()).sort("job_id").collect()
        assert rows["duration"].to_list() == list(bounds.values())
        assert set(bounds.values()) == set(comparison.DURATION_BOUNDS_S)

    def test_ratios_have_every_job_once_in_each_grouping(self) -> None:
        jobs = [
            job_node_row(1, "graffiti-1", 1.0, duration_s=599.0),
            job_node_row(2, "gros-1", 2.0, duration_s=600.0),
            job_node_row(3, "gros-1", 4.0, duration_s=600.0),
            job_node_row(3, "grat-1", 8.0, gpu_hours=1.0, duration_s=600.0),
        ]
        rows = ratios(jobs, [estimate_row(job, TOOL, 10.0**job) for job in (1, 2, 3)])
        assert names(rows, "cluster") == {"graffiti": 1, "gros": 1, SEVERAL_NAMES: 1}
        assert names(rows, "gpu_model") == {"A40": 1, NO_GPU: 1, SEVERAL_NAMES: 1}
        assert names(rows, "gpu_generation") == {"Ampere": 1, NO_GPU: 1, SEVERAL_NAMES: 1}
        assert names(rows, "duration") == {"under 10 min": 1, "10 min to 1 h": 2}
        assert of(rows, "cluster", SEVERAL_NAMES)["measured_kwh"] == 4.0 + 8.0
        sums = rows.group_by("group").agg(pl.col("n_jobs", "measured_kwh", "estimated_kwh").sum())
        assert set(sums["group"]) == set(comparison.GROUP_COLUMNS)
        assert set(sums.drop("group").iter_rows()) == {(3, 15.0, 1110.0)}


# Levels


def at_levels(
    job_nodes: list[dict[str, Any]], owners: list[dict[str, Any]], estimated: list[dict[str, Any]]
) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Rows of `levels.energy_by_level` by level, name and method."""
    nodes = job_nodes_frame(job_nodes)
    rows = levels.energy_by_level(
        EnergyTables(
            job_energy_frame(nodes, owners).lazy(),
            nodes.lazy(),
            study_frames.node_energy_frame([]).lazy(),
        ),
        pl.LazyFrame({"job_id": [1], "paper": ["demo"]}),
        estimates_frame(estimated).lazy(),
        site="nancy",
        selection=LevelSelection(
            projects=["large", "none of them"], users=["u-1"], minimum_group=2
        ),
        redistribution="none",
        model=ERROR_MODEL,
    )
    found = conform(Levels, rows)
    return {(row["level"], row["name"], row["method"]): row for row in found.iter_rows(named=True)}


def owner(job_id: int, user: str, project: str) -> dict[str, Any]:
    return {"job_id": job_id, "user": user, "project": project, "queue": "q"}


OWNERS = [owner(1, "u-1", "large"), owner(2, "u-2", "large"), owner(3, "u-3", "small")]
HELD = [
    job_node_row(1, "gros-1", 1.0),
    job_node_row(2, "gros-1", 2.0, covered_s=1800.0, estimated_kwh=2.0),
    job_node_row(3, "gros-1", None),
]
OTHER = "recorded@1"


def test_levels_split_an_estimate_into_measured_time_and_rest() -> None:
    estimated = [
        estimate_row(1, TOOL, 3.0),
        estimate_row(2, TOOL, 8.0, covered_kwh=4.0),
        estimate_row(3, TOOL, 16.0, covered_kwh=0.0),
        estimate_row(9, TOOL, 32.0),  # of no job of the study
    ]
    rows = at_levels(HELD, OWNERS, estimated)
    site = rows["site", "nancy", TOOL]
    assert (site["covered_kwh"], site["total_kwh"]) == (3.0 + 4.0 + 0.0, 3.0 + 8.0 + 16.0)
    assert (site["n_jobs"], site["n_users"]) == (3, 3)
    others = ("measured_kwh", "estimated_kwh", "total_low_kwh", "total_high_kwh", "measured_frac")
    others += ("coverage_frac", "unknown_node_h", "gpu_hours", "overhead_kwh")
    assert [site[name] for name in others] == [None] * 9
    bmc = rows["site", "nancy", "bmc"]
    assert (bmc["measured_kwh"], bmc["covered_kwh"], bmc["total_kwh"]) == (3.0, 3.0, 5.0)
    paper = rows["paper", "demo", TOOL]
    assert (paper["covered_kwh"], paper["total_kwh"]) == (3.0, 3.0)


def test_levels_estimate_is_null_where_one_job_has_none() -> None:
    estimated = [
        estimate_row(1, TOOL, 3.0),
        estimate_row(2, TOOL, None),
        estimate_row(3, TOOL, 16.0, covered_kwh=0.0),
        estimate_row(1, OTHER, 5.0),  # the only job with a record
    ]
    rows = at_levels(HELD, OWNERS, estimated)
    known = {key[:2]: row["covered_kwh"] for key, row in rows.items() if key[2] == TOOL}
    assert known["user", "u-1"] == 3.0
    assert known["site", "nancy"] is known["user", "(others)"] is None
    assert rows["site", "nancy", TOOL]["total_kwh"] is None
    assert rows["site", "nancy", OTHER]["covered_kwh"] is None
    assert rows["user", "u-1", OTHER]["covered_kwh"] == 5.0
    assert rows["user", "u-1", OTHER]["n_jobs"] == 1


def test_levels_estimates_have_the_names_of_the_measurement() -> None:
    estimated = [estimate_row(job, TOOL, 1.0) for job in (1, 2, 3)]
    rows = at_levels(HELD, OWNERS, estimated)
    ours, theirs = ({key[:2] for key in rows if key[2] == method} for method in (TOOL, "bmc"))
    assert ours == theirs - {("project", "none of them")}
    # a project of one person goes with the next one
    assert ("project", "small") not in ours
    study = study_frames.invented_study(n_jobs=60)
    found = levels_of_study(study, users=[], minimum_group=9)
    counts = (
        found.filter(pl.col("level") != "overhead")
        .group_by("level", "name")
        .agg(pl.len(), pl.col("n_jobs").n_unique(), people=pl.col("n_users").n_unique())
    )
    assert set(counts.select("len", "n_jobs", "people").iter_rows()) == {
        (1 + len(study_frames.ESTIMATOR_POWERS), 1, 1)
    }
    assert vocabulary.SMALL_GROUPS in set(counts["name"])


def test_levels_rows_of_an_estimator_sum_to_the_site() -> None:
    study = study_frames.invented_study(n_jobs=150)
    found = levels_of_study(study)
    whole = {label for label in study_frames.ESTIMATOR_POWERS if "table" not in label}
    sums = ("n_jobs", "covered_kwh", "total_kwh")
    for label in whole:
        own = found.filter(pl.col("method") == label)
        (site,) = own.filter(pl.col("level") == "site").rows(named=True)
        estimated = study.estimates.filter(pl.col("estimator") == label)
        assert site["covered_kwh"] == pytest.approx(estimated["covered_kwh"].sum(), rel=1e-9)
        assert site["total_kwh"] == pytest.approx(estimated["energy_kwh"].sum(), rel=1e-9)
        for level in ("queue", "project", "user"):
            parts = own.filter(pl.col("level") == level).select(pl.col(sums).sum()).row(0)
            assert parts == pytest.approx([site[name] for name in sums], rel=1e-9)


# Relative to the measurement


def test_relative_pue_multiplies_every_energy_and_no_ratio() -> None:
    estimated = [estimate_row(job, TOOL, 6.0, covered_kwh=4.5) for job in (1, 2, 3)]
    rows = pl.DataFrame(list(at_levels(HELD, OWNERS, estimated).values()), infer_schema_length=None)
    plain, scaled = (comparison.relative_to_measurement(rows, pue=pue) for pue in (1.0, 1.5))
    assert plain.select(rows.columns).equals(rows)
    energies = [name for name in plain.columns if name.endswith("_kwh")]
    for name in energies:
        assert scaled[name].is_null().equals(plain[name].is_null(), check_names=False)
        expected = (plain[name].drop_nulls() * 1.5).to_list()
        assert scaled[name].drop_nulls().to_list() == pytest.approx(expected, rel=1e-12)
    assert scaled.drop(energies).equals(plain.drop(energies))
    site = plain.filter(pl.col("level") == "site")
    by_method = {row["method_name"]: row["ratio"] for row in site.iter_rows(named=True)}
    assert by_method == {"bmc": 1.0, "mlco2": pytest.approx(3 * 4.5 / 3.0, rel=1e-12)}


def test_relative_interval_is_that_of_the_total_in_proportion() -> None:
    estimated = [estimate_row(job, TOOL, 6.0, covered_kwh=4.5) for job in (1, 2, 3)]
    rows = pl.DataFrame(list(at_levels(HELD, OWNERS, estimated).values()), infer_schema_length=None)
    found = comparison.relative_to_measurement(rows)
    (bmc,) = found.filter(pl.col("level") == "site", pl.col("method") == "bmc").rows(named=True)
    # 3 of 5 kWh were measured
    assert bmc["covered_low_kwh"] == pytest.approx(0.6 * bmc["total_low_kwh"])
    assert bmc["covered_low_kwh"] < 3.0 < bmc["covered_high_kwh"]


def test_relative_without_a_measurement_has_no_ratio() -> None:
    for kwh in (None, 0.0):
        estimated = [estimate_row(1, TOOL, 6.0, covered_kwh=0.0)]
        found = at_levels([job_node_row(1, "gros-1", kwh)], OWNERS[:1], estimated)
        rows = comparison.relative_to_measurement(
            pl.DataFrame(list(found.values()), infer_schema_length=None)
        )
        assert rows["ratio"].to_list() == [None] * len(rows)
