"""Energy of jobs from sums of months: coverage, estimate, interval, flags, conservation."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.allocation.overlaps import OVERLAPS_SCHEMA
from footprint.core.calendar import Window
from footprint.energy import job_energy, node_energy, study_energy
from footprint.energy.attribution import JOB_SUM_COLUMNS
from footprint.energy.conservation import ConservationError
from footprint.energy.study_records import StudyRecords
from footprint.schemas.energy import JobEnergy, JobNodeEnergy, NodeEnergy
from footprint.schemas.gaps import ClassGaps, JobGaps
from footprint.schemas.raw import Allocations, Jobs, Nodes
from footprint.schemas.writing import conform
from footprint.totals.study_totals import add_job_totals, add_totals_of_jobs
from tests.support.totals_inputs import EXACT

START = datetime(2025, 3, 1, tzinfo=UTC)
END = datetime(2025, 3, 3, tzinfo=UTC)
WINDOW = Window(START, END)
KWH = 3.6e6

NODES = pl.LazyFrame(
    {
        "node": ["a-1", "a-2", "b-1"],
        "cluster": ["a", "a", "b"],
        "has_gpu": [True, True, False],
    }
)


def sums(*rows: dict[str, Any]) -> pl.LazyFrame:
    """Sums of a job on a node; an hour of a whole node, measured at 1 kW, by default."""
    usual = dict.fromkeys(JOB_SUM_COLUMNS, 0.0) | {
        "duration_s": 3600.0,
        "covered_s": 3600.0,
        "gpu_s": 4 * 3600.0,
        "core_s": 16 * 3600.0,
        "share_s": 3600.0,
        "share_covered_s": 3600.0,
        "energy_j": KWH,
        "n_probes": 90.0,
        "probe_w": 90 * 1000.0,
        "probe_w2": 90 * 1000.0**2,
    }
    unmeasured = {"covered_s": 0.0, "share_covered_s": 0.0, "energy_j": 0.0, "n_probes": 0.0}
    unmeasured |= {"probe_w": 0.0, "probe_w2": 0.0}
    frame = pl.DataFrame(
        [usual | (unmeasured if row.pop("unmeasured", False) else {}) | row for row in rows]
    )
    return frame.lazy()


def job_gaps(*rows: dict[str, Any]) -> pl.LazyFrame:
    """Estimates of jobs on nodes (`schemas.gaps.JobGaps`), 0 where a row gives none."""
    columns = pl.DataFrame(JobGaps.create_empty()).schema
    nothing = dict.fromkeys(list(columns)[2:], 0.0)
    return pl.DataFrame([nothing | row for row in rows], schema=columns).lazy()


def per_node(
    *rows: dict[str, Any], method: str = "trapezoid", gaps: pl.LazyFrame | None = None
) -> pl.DataFrame:
    found = job_energy.job_node_energies(sums(*rows), NODES, method=method, gaps=gaps)
    return conform(JobNodeEnergy, add_job_totals(found, EXACT))


def records(*rows: dict[str, Any]) -> pl.LazyFrame:
    empty = pl.DataFrame(Jobs.create_empty())
    usual = {
        "site": "nancy",
        "user": "amaro",
        "types": [],
        "state": "terminated",
        "started_at": START,
        "stopped_at": START + timedelta(hours=1),
    }
    return pl.DataFrame(
        [{name: (usual | row).get(name) for name in empty.columns} for row in rows],
        schema=empty.schema,
    ).lazy()


def allocations(*pairs: tuple[int, str], basis: str = "cores") -> pl.LazyFrame:
    empty = pl.DataFrame(Allocations.create_empty())
    rows = [
        {"job_id": job, "node": node, "cores": [0], "gpus": [], "basis": basis}
        for job, node in pairs
    ]
    return pl.DataFrame(rows, schema=empty.schema).lazy()


def trimmed(*job_ids: int) -> pl.DataFrame:
    rows = [(job_id, "a-1", "trimmed") for job_id in job_ids]
    return pl.DataFrame(rows, schema=OVERLAPS_SCHEMA, orient="row")


def whole(nodes: pl.DataFrame, jobs: pl.LazyFrame, held: pl.LazyFrame) -> dict[int, dict[str, Any]]:
    records_of_study = StudyRecords(window=WINDOW, jobs=jobs, allocations=held)
    found = job_energy.job_energies(nodes.lazy(), records_of_study)
    frame = conform(JobEnergy, add_totals_of_jobs(found, nodes.lazy(), EXACT))
    return {row["job_id"]: row for row in frame.iter_rows(named=True)}


class TestJobNodes:
    def test_months_of_a_job_on_a_node_add_up(self) -> None:
        row = per_node(
            {"job_id": 1, "node": "a-1"},
            {"job_id": 1, "node": "a-1", "energy_j": 2 * KWH},
        ).row(0, named=True)
        assert row["measured_kwh"] == pytest.approx(3)
        assert row["duration_s"] == 7200
        assert row["gpu_hours"] == pytest.approx(8)
        assert row["core_hours"] == pytest.approx(32)
        assert row["coverage_frac"] == 1
        assert row["estimated_kwh"] == 0

    def test_estimates_of_all_bases_add_up(self) -> None:
        half = {"covered_s": 1800.0, "share_covered_s": 1800.0, "energy_j": 0.4 * KWH}
        parts = {"own_readings_j": 0.1 * KWH, "same_job_j": 0.2 * KWH}
        parts |= {"virtual_meter_j": 0.3 * KWH, "hardware_j": 0.25 * KWH}
        gaps = job_gaps({"job_id": 1, "node": "a-1"} | parts)
        row = per_node({"job_id": 1, "node": "a-1"} | half, gaps=gaps).row(0, named=True)
        assert row["measured_kwh"] == pytest.approx(0.4)
        assert row["estimated_kwh"] == pytest.approx(0.85)
        assert row["total_kwh"] == pytest.approx(1.25)
        assert row["measured_frac"] == pytest.approx(0.4 / 1.25)
        assert row["coverage_frac"] == pytest.approx(0.5)
        found = [row[f"{name[:-2]}_kwh"] for name in parts]
        assert found == pytest.approx([0.1, 0.2, 0.3, 0.25])
        assert row["estimate_basis"] == "virtual_meter"
        assert row["unknown_node_h"] == 0

    def test_time_without_an_estimate_is_unknown_not_zero(self) -> None:
        rows = per_node(
            {"job_id": 1, "node": "a-1"},
            {"job_id": 1, "node": "a-2", "unmeasured": True},
            {"job_id": 2, "node": "a-2", "unmeasured": True},
            gaps=job_gaps(
                {"job_id": 1, "node": "a-2", "unknown_s": 3600.0},
                {"job_id": 2, "node": "a-2", "hardware_j": 0.5 * KWH, "unknown_s": 1800.0},
            ),
        )
        assert rows["estimated_kwh"].to_list() == [0, None, pytest.approx(0.5)]
        assert rows["hardware_kwh"].to_list() == [0, None, pytest.approx(0.5)]
        assert rows["total_kwh"].to_list() == [pytest.approx(1), None, pytest.approx(0.5)]
        assert rows["total_low_kwh"].null_count() == 1
        assert rows["unknown_node_h"].to_list() == pytest.approx([0, 1, 0.5])
        assert rows["estimate_basis"].to_list() == ["none", None, "hardware"]
        assert rows["measured_frac"].to_list() == [1, None, 0]

    def test_time_without_readings_is_unknown_without_any_estimates(self) -> None:
        part = {"covered_s": 900.0, "share_covered_s": 900.0}
        rows = per_node(
            {"job_id": 3, "node": "b-1", "unmeasured": True}, {"job_id": 4, "node": "a-1"} | part
        )
        assert rows["estimated_kwh"].to_list() == [None, None]
        assert rows["unknown_node_h"].to_list() == pytest.approx([1, 0.75])

    def test_time_without_samples_for_the_method_is_unknown_where_nothing_is_read(self) -> None:
        unsampled = {"job_id": 1, "node": "a-1", "energy_j": 0.0}
        row = per_node(unsampled, method="inner_trapezoid").row(0, named=True)
        assert (row["measured_kwh"], row["estimated_kwh"]) == (None, None)
        assert row["unknown_node_h"] == pytest.approx(1)

    def test_interval_combines_sampling_and_resolution(self) -> None:
        row = per_node(
            {
                "job_id": 1,
                "node": "a-1",
                "variance_j2": (0.03 * KWH / 1.96) ** 2,
                "quantisation_j": 0.04 * KWH,
            }
        ).row(0, named=True)
        assert row["sampling_kwh"] == pytest.approx(0.03)
        assert row["resolution_kwh"] == pytest.approx(0.04)
        assert row["total_high_kwh"] == pytest.approx(1.05)
        assert row["total_low_kwh"] == pytest.approx(0.95)

    def test_gap_half_width_is_the_deviation_of_the_power(self) -> None:
        half = {"covered_s": 1800.0, "share_covered_s": 1800.0, "energy_j": 0.5 * KWH}
        varied = {"probe_w2": 90 * (1000.0**2 + 100.0**2)}  # a deviation of 100 W
        estimates = {"own_readings_j": 0.5 * KWH, "hardware_j": 0.7 * KWH}
        row = per_node(
            {"job_id": 1, "node": "a-1"} | half | varied,
            gaps=job_gaps({"job_id": 1, "node": "a-1"} | estimates),
        ).row(0, named=True)
        assert row["gap_kwh"] == pytest.approx(1.96 * 0.1 * 0.5)

    def test_gap_half_width_of_a_node_without_readings_is_that_of_the_job(self) -> None:
        varied = {"probe_w2": 90 * (1000.0**2 + 200.0**2)}
        rows = per_node(
            {"job_id": 1, "node": "a-1"} | varied,
            {"job_id": 1, "node": "a-2", "unmeasured": True},
            gaps=job_gaps({"job_id": 1, "node": "a-2", "same_job_j": KWH}),
        )
        assert rows["gap_kwh"].to_list() == pytest.approx([0, 1.96 * 0.2])

    def test_sampling_half_width_of_methods_without_interpolation_includes_edges(self) -> None:
        sums_of = {"job_id": 1, "node": "a-1", "edge_j": 0.06 * KWH}
        inner = per_node(dict(sums_of), method="inner_trapezoid").row(0, named=True)
        summed = per_node(dict(sums_of), method="sum_of_samples").row(0, named=True)
        assert inner["sampling_kwh"] == pytest.approx(0.06)
        assert summed["sampling_kwh"] == pytest.approx(1.96 * 0.06 / 6**0.5)

    def test_share_of_zero_has_energy_zero_and_full_coverage(self) -> None:
        row = per_node(
            {"job_id": 1, "node": "a-1", "share_s": 0.0, "share_covered_s": 0.0, "energy_j": 0.0}
        ).row(0, named=True)
        assert row["measured_kwh"] == row["estimated_kwh"] == row["total_high_kwh"] == 0
        assert row["coverage_frac"] == 1

    def test_energy_of_0_w_is_measured(self) -> None:
        row = per_node({"job_id": 1, "node": "a-1", "energy_j": 0.0}).row(0, named=True)
        assert row["measured_kwh"] == 0
        assert row["coverage_frac"] == 1

    def test_job_without_sample_for_the_method_is_unmeasured(self) -> None:
        rows = per_node(
            {"job_id": 1, "node": "a-1", "energy_j": 0.0},
            {"job_id": 2, "node": "a-2"},
            method="inner_trapezoid",
        )
        row = rows.row(0, named=True)
        assert row["measured_kwh"] is None
        assert row["coverage_frac"] == 0
        assert row["estimated_kwh"] == pytest.approx(1)
        assert row["total_high_kwh"] >= row["estimated_kwh"]


class TestJobs:
    def test_jobs_sums_nodes_and_weights_coverage_by_share_and_time(self) -> None:
        nodes = per_node(
            {"job_id": 1, "node": "a-1"},
            {
                "job_id": 1,
                "node": "a-2",
                "share_s": 900.0,
                "share_covered_s": 450.0,
                "covered_s": 1800.0,
                "energy_j": 0.2 * KWH,
            },
            gaps=job_gaps({"job_id": 1, "node": "a-2", "own_readings_j": 0.2 * KWH}),
        )
        row = whole(nodes, records({"job_id": 1}), allocations((1, "a-1"), (1, "a-2")))[1]
        assert row["measured_kwh"] == pytest.approx(1.2)
        assert row["estimated_kwh"] == pytest.approx(0.2)
        assert row["total_kwh"] == pytest.approx(1.4)
        assert row["measured_frac"] == pytest.approx(1.2 / 1.4)
        assert row["estimate_basis"] == "own_readings"
        assert row["coverage_frac"] == pytest.approx((3600 + 450) / (3600 + 900))
        assert row["n_nodes"] == 2
        assert row["clusters"] == ["a"]
        assert row["flags"] == ["partly_measured", "shared_node"]

    @pytest.mark.parametrize(
        ("measured_h", "energies_wh"), [(1.0, 100.0), (0.5, 50.0), (0.1, 10.0)]
    )
    def test_mean_power_of_a_node_measured_for_part_of_the_time_counts_whole(
        self, measured_h: float, energies_wh: float
    ) -> None:
        # two nodes at 100 W each, the second measured for a part of the hour: 200 W in each case
        nodes = per_node(
            {"job_id": 1, "node": "a-1", "energy_j": 0.1 * KWH},
            {
                "job_id": 1,
                "node": "a-2",
                "covered_s": 3600 * measured_h,
                "share_covered_s": 3600 * measured_h,
                "energy_j": energies_wh * 1e-3 * KWH,
            },
            gaps=job_gaps(
                {"job_id": 1, "node": "a-2", "own_readings_j": (0.1 - energies_wh * 1e-3) * KWH}
            ),
        )
        row = whole(nodes, records({"job_id": 1}), allocations((1, "a-1"), (1, "a-2")))[1]
        assert row["mean_power_w"] == pytest.approx(200.0, rel=1e-12)

    def test_mean_power_of_a_share_is_the_power_of_the_share(self) -> None:
        # a quarter of a node at 400 W for the hour, a quarter of it measured: 100 W
        held = {"share_s": 900.0, "share_covered_s": 225.0, "covered_s": 900.0}
        gap = {"job_id": 1, "node": "a-1", "hardware_j": 100.0 * 2700}
        nodes = per_node(
            {"job_id": 1, "node": "a-1", "energy_j": 100.0 * 900} | held, gaps=job_gaps(gap)
        )
        row = whole(nodes, records({"job_id": 1}), allocations((1, "a-1")))[1]
        assert row["mean_power_w"] == pytest.approx(100.0, rel=1e-12)

    def test_mean_power_of_a_job_with_an_unknown_node_is_null(self) -> None:
        nodes = per_node(
            {"job_id": 1, "node": "a-1"}, {"job_id": 1, "node": "b-1", "unmeasured": True}
        )
        row = whole(nodes, records({"job_id": 1}), allocations((1, "a-1"), (1, "b-1")))[1]
        assert row["measured_kwh"] == pytest.approx(1)
        assert row["mean_power_w"] is None

    def test_mean_power_of_a_node_without_share_is_zero_measured_or_not(self) -> None:
        nothing = {"share_s": 0.0, "share_covered_s": 0.0, "energy_j": 0.0}
        for covered_s in (0.0, 3600.0):
            nodes = per_node(
                {"job_id": 1, "node": "a-1"},
                {"job_id": 1, "node": "a-2", "covered_s": covered_s} | nothing,
            )
            row = whole(nodes, records({"job_id": 1}), allocations((1, "a-1"), (1, "a-2")))[1]
            assert row["mean_power_w"] == pytest.approx(1000.0, rel=1e-12)

    def test_mean_power_of_a_job_that_held_no_node_is_null(self) -> None:
        row = whole(per_node({"job_id": 2, "node": "a-1"}), records({"job_id": 1}), allocations())
        assert row[1]["mean_power_w"] is None

    @given(
        st.lists(st.tuples(st.floats(1.0, 3000.0), st.floats(0.01, 1.0)), min_size=1, max_size=2)
    )
    def test_mean_power_is_the_sum_of_steady_powers_for_any_measured_time(
        self, of_nodes: list[tuple[float, float]]
    ) -> None:
        rows = [
            {
                "job_id": 1,
                "node": f"a-{number}",
                "covered_s": 3600 * part,
                "share_covered_s": 3600 * part,
                "energy_j": power_w * 3600 * part,
            }
            for number, (power_w, part) in enumerate(of_nodes, start=1)
        ]
        held = allocations(*((1, str(row["node"])) for row in rows))
        missing = job_gaps(
            *(
                {
                    "job_id": 1,
                    "node": f"a-{number}",
                    "own_readings_j": power_w * 3600 * (1 - part),
                }
                for number, (power_w, part) in enumerate(of_nodes, start=1)
            )
        )
        row = whole(per_node(*rows, gaps=missing), records({"job_id": 1}), held)[1]
        assert row["mean_power_w"] == pytest.approx(sum(w for w, _ in of_nodes), rel=1e-9)

    def test_job_with_an_unknown_node_sums_the_known_ones(self) -> None:
        nodes = per_node(
            {"job_id": 1, "node": "a-1"},
            {"job_id": 1, "node": "a-2", "unmeasured": True},
            {"job_id": 1, "node": "b-1", "unmeasured": True},
            gaps=job_gaps(
                {"job_id": 1, "node": "a-2", "unknown_s": 1800.0},
                {"job_id": 1, "node": "b-1", "unknown_s": 3600.0},
            ),
        )
        held = allocations((1, "a-1"), (1, "a-2"), (1, "b-1"))
        row = whole(nodes, records({"job_id": 1}), held)[1]
        assert (row["estimated_kwh"], row["total_kwh"]) == (0, pytest.approx(1))
        assert row["unknown_node_h"] == pytest.approx(1.5)

    def test_similar_jobs_share_user_and_name_or_command(self) -> None:
        jobs = records(
            {"job_id": 1, "name": "train", "command": "a"},
            {"job_id": 2, "name": "train", "command": "b"},
            {"job_id": 3, "command": "a"},
            {"job_id": 4, "command": "a", "name": ""},
            {"job_id": 5, "name": "train", "user": "birch"},
            {"job_id": 6, "command": ""},
            {"job_id": 7},
            {"job_id": 9, "name": "train"},
        )
        found = whole(per_node({"job_id": 8, "node": "a-1"}), jobs, allocations())
        similar = [found[job]["similar"] for job in (1, 2, 3, 4, 5, 6, 7, 9)]
        assert similar == [1, 1, 2, 2, 3, 4, 5, 1]

    def test_job_that_never_started_has_energy_zero(self) -> None:
        jobs = records({"job_id": 1, "started_at": None, "stopped_at": None, "state": "error"})
        row = whole(per_node({"job_id": 2, "node": "a-1"}), jobs, allocations())[1]
        assert row["measured_kwh"] == row["total_high_kwh"] == row["estimated_kwh"] == 0
        assert row["coverage_frac"] is None
        assert row["flags"] == ["never_started"]

    def test_job_without_known_node_has_unknown_energy(self) -> None:
        jobs = records({"job_id": 1})
        row = whole(per_node({"job_id": 2, "node": "a-1"}), jobs, allocations())[1]
        assert row["measured_kwh"] is None
        assert row["flags"] == ["nodes_unknown"]

    def test_running_job_with_a_walltime_has_one_flag(self) -> None:
        jobs = records({"job_id": 1, "stopped_at": None, "walltime_s": 3600})
        row = whole(per_node({"job_id": 1, "node": "a-1"}), jobs, allocations((1, "a-1")))[1]
        assert row["flags"] == ["still_running"]

    def test_job_without_any_measurement_has_null_energy(self) -> None:
        nodes = per_node({"job_id": 1, "node": "b-1", "unmeasured": True})
        row = whole(nodes, records({"job_id": 1}), allocations((1, "b-1")))[1]
        assert row["measured_kwh"] is None
        assert row["estimated_kwh"] is None
        assert row["total_low_kwh"] is None
        assert row["coverage_frac"] == 0
        assert "unmeasured" in row["flags"]

    def test_flags_of_window_walltime_and_nodes(self) -> None:
        jobs = records(
            {"job_id": 1, "started_at": START - timedelta(hours=1), "stopped_at": None},
            {"job_id": 2, "stopped_at": END + timedelta(hours=1), "state": "suspended"},
            {"job_id": 3},
        )
        nodes = per_node(*({"job_id": i, "node": "a-1"} for i in (1, 2, 3)))
        held = pl.concat(
            [
                allocations((1, "a-1"), basis="whole_node"),
                allocations((2, "a-1"), (2, "z-9"), (3, "a-1")),
            ]
        )
        found = whole(nodes, jobs, held)
        assert found[1]["flags"] == [
            "starts_before_window",
            "ends_after_window",
            "still_running",
            "whole_node_assumed",
            "walltime_unknown",
        ]
        assert found[2]["flags"] == ["ends_after_window", "nodes_outside_study", "suspended"]
        assert found[3]["flags"] == []

    def test_flags_of_trimmed_jobs(self) -> None:
        nodes = per_node(*({"job_id": i, "node": "a-1"} for i in (1, 2)))
        jobs = records({"job_id": 1}, {"job_id": 2})
        held = allocations((1, "a-1"), (2, "a-1"))
        study = StudyRecords(window=WINDOW, jobs=jobs, allocations=held, overlaps=trimmed(2))
        found = job_energy.job_energies(nodes.lazy(), study)
        assert found.collect()["flags"].to_list() == [[], ["overlap_trimmed"]]

    def test_job_trimmed_to_nothing_has_energy_zero(self) -> None:
        nodes = per_node({"job_id": 1, "node": "a-1"})
        jobs, held = records({"job_id": 1}, {"job_id": 2}), allocations((1, "a-1"), (2, "a-1"))
        study = StudyRecords(window=WINDOW, jobs=jobs, allocations=held, overlaps=trimmed(2))
        row = job_energy.job_energies(nodes.lazy(), study).collect().row(1, named=True)
        assert (row["measured_kwh"], row["flags"]) == (0.0, ["overlap_trimmed"])

    def test_jobs_of_study_leaves_out_jobs_on_other_clusters_and_counts_them(self) -> None:
        jobs = records({"job_id": 1}, {"job_id": 2}, {"job_id": 3, "started_at": None})
        kept, elsewhere = job_energy.jobs_of_study(
            jobs, allocations((1, "a-1"), (1, "z-9"), (2, "z-9")), NODES
        )
        assert kept.collect()["job_id"].to_list() == [1, 3]
        assert elsewhere == 1


def classes(*rows: tuple[str, str, float, float]) -> pl.LazyFrame:
    return pl.LazyFrame(
        [
            {
                "node": node,
                "day": date(2025, 3, 1),
                "class": cls,
                "energy_j": energy * KWH,
                "duration_s": seconds,
                "overcount_j": 0.0,
                "left_out_j": 0.0,
            }
            for node, cls, energy, seconds in rows
        ]
    )


TWO_DAYS_S = 2 * 86_400.0


class TestConservation:
    def test_node_classes_energy_of_no_data_is_null(self) -> None:
        found = node_energy.node_class_energies(classes(("a-1", "no_data", 0.0, TWO_DAYS_S)), NODES)
        frame = conform(NodeEnergy, found)
        assert frame["measured_kwh"].to_list() == [None]
        assert frame["total_kwh"].to_list() == [None]

    def test_node_classes_add_estimates_to_the_class_of_their_use(self) -> None:
        measured = classes(
            ("a-1", "job", 1.0, 3600.0),
            ("a-1", "no_data", 0.0, 7200.0),
            ("b-1", "no_data", 0.0, 3600.0),
        )
        day = date(2025, 3, 1)
        rows = [
            ("a-1", day, "job", 0.5 * KWH, 0.0),
            ("a-1", day, "idle", 0.25 * KWH, 1800.0),
            ("b-1", day, "job", 0.0, 3600.0),
        ]
        schema = pl.DataFrame(ClassGaps.create_empty()).schema
        gaps = pl.DataFrame(rows, schema=schema, orient="row").lazy()
        found = conform(NodeEnergy, node_energy.node_class_energies(measured, NODES, gaps))
        columns = ("node", "class", "measured_kwh", "estimated_kwh", "total_kwh", "unknown_node_h")
        rounded = found.with_columns(pl.selectors.float().round(9))
        assert rounded.select(columns).rows() == [
            ("a-1", "job", 1.0, 0.5, 1.5, 0.0),
            ("a-1", "idle", None, 0.25, 0.25, 0.5),
            ("a-1", "no_data", None, None, None, 0.0),
            ("b-1", "job", None, None, None, 1.0),
            ("b-1", "no_data", None, None, None, 0.0),
        ]
        assert found["duration_s"].to_list() == [3600, 0, 7200, 0, 3600]

    def test_check_accepts_equal_sums_and_refuses_a_lost_share(self) -> None:
        of_node = node_energy.node_class_energies(
            classes(("a-1", "job", 1.0, 3600.0), ("a-1", "idle", 5.0, TWO_DAYS_S - 3600)), NODES
        ).collect()
        job_energy.check_job_sums(per_node({"job_id": 1, "node": "a-1"}), of_node, WINDOW)
        lost = per_node({"job_id": 1, "node": "a-1", "energy_j": KWH * (1 - 1e-8)})
        with pytest.raises(ConservationError):
            job_energy.check_job_sums(lost, of_node, WINDOW)

    def test_check_refuses_a_missing_hour(self) -> None:
        of_node = node_energy.node_class_energies(
            classes(("a-1", "job", 1.0, 3600.0), ("a-1", "idle", 5.0, TWO_DAYS_S - 7200)), NODES
        ).collect()
        with pytest.raises(ConservationError):
            job_energy.check_job_sums(per_node({"job_id": 1, "node": "a-1"}), of_node, WINDOW)


def test_study_energy_conceals_people_and_counts_rejected_jobs() -> None:
    empty = pl.DataFrame(Nodes.create_empty())
    node = {
        "node": "a-1",
        "valid_from": datetime(1970, 1, 1, tzinfo=UTC),
        "cluster": "a",
        "gpu_reservable": [True],
    }
    nodes = pl.DataFrame([{k: node.get(k) for k in empty.columns}], schema=empty.schema).lazy()
    found = study_energy.build_study_energy(
        StudyRecords(
            window=WINDOW,
            jobs=records({"job_id": 1}, {"job_id": 2}),
            allocations=allocations((1, "a-1"), (2, "z-9")),
            overlaps=pl.concat([trimmed(1, 1), trimmed(1).with_columns(kind=pl.lit("shared"))]),
        ),
        nodes,
        job_sums=sums({"job_id": 1, "node": "a-1"}),
        classes=classes(("a-1", "job", 1.0, 3600.0), ("a-1", "idle", 5.0, TWO_DAYS_S - 3600)),
        method="trapezoid",
        key=b"k" * 32,
    )
    assert found.jobs["job_id"].to_list() == [1]
    assert found.jobs["user"].to_list() != ["amaro"]
    assert found.rejected.collect().select("reason", "n_rows", "example").rows() == [
        ("held no node of the studied clusters", 1, None),
        (study_energy.TRIMMED_REASON, 2, "1"),
    ]
    assert found.jobs["flags"].to_list() == [["overlap_trimmed"]]
