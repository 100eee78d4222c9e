"""Estimates for time without readings: bases, split among jobs and classes, conservation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.allocation import node_allocations
from footprint.core.calendar import Window
from footprint.energy import gap_energy
from footprint.energy.conservation import ConservationError, check_gap_conservation
from footprint.energy.gap_power import BASES
from footprint.energy.node_hardware import NODE_HARDWARE_SCHEMA
from footprint.energy.power_model import OBSERVED_SCHEMA, fit_power_models, predict_power
from footprint.schemas.gaps import Segments, SegmentSeries

START = datetime(2025, 3, 1, tzinfo=UTC)
ORIGIN_US = int(START.timestamp()) * 1_000_000
WINDOW = Window(START, START + timedelta(days=2))
END_S = 2 * 86_400

HARDWARE = pl.DataFrame(
    [
        {
            "node": node,
            "cluster": "c",
            "has_gpu": False,
            "n_gpus": 0,
            "gpu_limit_w": 0.0,
            "n_cpus": 2,
            "tdp_w": 200.0,
            "n_cores": 16,
        }
        for node in ("c-1", "c-2")
    ],
    schema=NODE_HARDWARE_SCHEMA,
)
MODELS = fit_power_models(pl.DataFrame(schema=OBSERVED_SCHEMA), HARDWARE)
"""Models without any readings: their priors."""


def predicted_w(*, share: float = 0.0, load: float | None = None) -> float:
    """Power of c-1 by the models, from its load or else from its hardware."""
    covered_s = None if load is None else 1.0
    row = {"node": "c-1", "share": share, "duration_s": 1.0, "gpu_j": 0.0, "gpu_covered_s": 1.0}
    rows = pl.DataFrame(
        row | {"load_s": load, "load_covered_s": covered_s},
        schema_overrides={"load_s": pl.Float64, "load_covered_s": pl.Float64},
    )
    found = predict_power(rows, HARDWARE, MODELS).collect()
    assert found["basis"].to_list() == ["hardware" if load is None else "virtual_meter"]
    return float(found["power_w"].item())


IDLE_W = predicted_w()


def segment(
    node: str, start_s: float, end_s: float, share: float, watts: float | None, **columns: Any
) -> dict[str, Any]:
    """Segment of a node; `watts` is the power read over all of it, None: no readings."""
    duration_s = float(end_s - start_s)
    covered_s = columns.pop("covered_s", 0.0 if watts is None else duration_s)
    return {
        "node": node,
        "from_us": ORIGIN_US + round(start_s * 1e6),
        "to_us": ORIGIN_US + round(end_s * 1e6),
        "share": share,
        "is_unavailable": False,
        "duration_s": duration_s,
        "covered_s": covered_s,
        "energy_j": (watts or 0.0) * covered_s,
        "weight": 1.0,
    } | columns


def segments(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=pl.DataFrame(Segments.create_empty()).schema)


def held(*rows: tuple[int, str, float, float, float]) -> pl.DataFrame:
    """Allocations from (job, node, start, stop, share)."""
    return pl.DataFrame(
        [
            {
                "job_id": job,
                "node": node,
                "started_at": START + timedelta(seconds=start_s),
                "stopped_at": START + timedelta(seconds=stop_s),
                "share": share,
                "gpus": 0.0,
                "cores": 16 * share,
                "opens": True,
                "closes": True,
            }
            for job, node, start_s, stop_s, share in rows
        ],
        schema=node_allocations.ALLOCATION_SCHEMA,
    )


def estimate(
    rows: pl.DataFrame, jobs: pl.DataFrame, *, gate: str = "reserved", **options: Any
) -> gap_energy.GapEnergy:
    given = {"hardware": HARDWARE, "models": MODELS, "series": None} | options
    return gap_energy.estimate_gaps(rows, jobs, WINDOW, gate=gate, **given)


def parts_of(found: gap_energy.GapEnergy, job_id: int) -> dict[str, float]:
    """Estimates of a job by basis that are not 0, in J, over its nodes."""
    own = found.jobs.filter(pl.col("job_id") == job_id)
    sums = {basis: own[f"{basis}_j"].sum() for basis in BASES} | {"unknown": own["unknown_s"].sum()}
    return {name: value for name, value in sums.items() if value}


def classes_of(found: gap_energy.GapEnergy, column: str = "estimated_j") -> dict[str, float]:
    by_class = found.classes.group_by("class").agg(pl.col(column).sum())
    return dict(by_class.with_columns(pl.col("class").cast(pl.String)).iter_rows())


NOTHING = held((9, "c-9", 0, 10, 1.0))


class TestBases:
    def test_gap_inside_a_job_has_the_power_of_its_readings(self) -> None:
        rows = segments(
            segment("c-1", 0, 1000, 1.0, 300.0, covered_s=400.0),
            segment("c-1", 1000, END_S, 0.0, 100.0),
        )
        found = estimate(rows, held((1, "c-1", 0, 1000, 1.0)))
        assert parts_of(found, 1) == {"own_readings": pytest.approx(600 * 300)}
        assert classes_of(found) == {"job": pytest.approx(600 * 300)}

    def test_gap_has_the_power_of_a_neighbouring_segment_with_the_same_jobs(self) -> None:
        # the day ends inside the job; the second job has no readings of its own, and counts with
        # those of the node under other jobs
        rows = segments(
            segment("c-1", 0, 86_400, 1.0, 300.0),
            segment("c-1", 86_400, 90_000, 1.0, None),
            segment("c-1", 90_000, END_S, 0.5, None),
        )
        found = estimate(
            rows, held((1, "c-1", 0, 90_000, 1.0), (2, "c-1", 90_000, END_S, 0.5)), models=None
        )
        assert parts_of(found, 1) == {"own_readings": pytest.approx(3600 * 300)}
        assert parts_of(found, 2) == {"own_readings": pytest.approx(0.5 * 82_800 * 300)}

    def test_same_share_of_other_jobs_is_another_spell(self) -> None:
        rows = segments(
            segment("c-1", 0, 1000, 1.0, 300.0),
            segment("c-1", 1000, 2000, 1.0, None),
            segment("c-1", 2000, END_S, 0.0, 100.0),
        )
        jobs = held((1, "c-1", 0, 1000, 1.0), (2, "c-1", 1000, 2000, 1.0))
        assert set(parts_of(estimate(rows, jobs), 2)) == {"hardware"}

    def test_free_time_does_not_estimate_held_time(self) -> None:
        rows = segments(segment("c-1", 0, 1000, 1.0, None), segment("c-1", 1000, END_S, 0.0, 100.0))
        found = estimate(rows, held((1, "c-1", 0, 1000, 1.0)), models=None)
        assert parts_of(found, 1) == {"unknown": 1000}

    def test_few_readings_count_only_where_nothing_better_is_known(self) -> None:
        rows = segments(
            segment("c-1", 0, 1000, 1.0, 300.0, covered_s=10.0),
            segment("c-1", 1000, END_S, 0.0, 100.0),
        )
        jobs = held((1, "c-1", 0, 1000, 1.0))
        assert set(parts_of(estimate(rows, jobs), 1)) == {"hardware"}
        last = parts_of(estimate(rows, jobs, models=None), 1)
        assert last == {"own_readings": pytest.approx(990 * 300)}

    def test_node_of_a_job_has_the_mean_power_of_its_other_nodes(self) -> None:
        rows = segments(
            segment("c-1", 0, 1000, 1.0, 300.0),
            segment("c-1", 1000, END_S, 0.0, 100.0),
            segment("c-2", 0, 1000, 1.0, None),
            segment("c-2", 1000, END_S, 0.0, 100.0),
        )
        jobs = held((1, "c-1", 0, 1000, 1.0), (1, "c-2", 0, 1000, 1.0))
        assert parts_of(estimate(rows, jobs), 1) == {"same_job": pytest.approx(300_000)}

    def test_shared_nodes_do_not_estimate_other_nodes_of_a_job(self) -> None:
        rows = segments(
            segment("c-1", 0, 1000, 1.0, 300.0),
            segment("c-1", 1000, END_S, 0.0, 100.0),
            segment("c-2", 0, 1000, 1.0, None),
            segment("c-2", 1000, END_S, 0.0, 100.0),
        )
        jobs = held(
            (1, "c-1", 0, 1000, 0.5),
            (2, "c-1", 0, 1000, 0.5),
            (1, "c-2", 0, 1000, 0.5),
            (3, "c-2", 0, 1000, 0.5),
        )
        assert set(parts_of(estimate(rows, jobs), 1)) == {"hardware"}

    def test_nodes_held_in_part_do_not_estimate_other_nodes_of_a_job(self) -> None:
        rows = segments(
            segment("c-1", 0, 1000, 0.5, 300.0),
            segment("c-1", 1000, END_S, 0.0, 100.0),
            segment("c-2", 0, 1000, 0.5, None),
            segment("c-2", 1000, END_S, 0.0, 100.0),
        )
        jobs = held((1, "c-1", 0, 1000, 0.5), (1, "c-2", 0, 1000, 0.5))
        assert set(parts_of(estimate(rows, jobs), 1)) == {"hardware"}

    def test_node_without_readings_has_the_power_of_its_hardware(self) -> None:
        rows = segments(segment("c-1", 0, END_S, 0.0, None))
        found = estimate(rows, NOTHING)
        assert classes_of(found) == {"idle": pytest.approx(IDLE_W * END_S)}
        assert found.jobs.is_empty()

    def test_series_of_the_node_give_the_virtual_meter(self) -> None:
        rows = segments(segment("c-1", 0, 1000, 1.0, None), segment("c-1", 1000, END_S, 0.0, 100.0))
        series = series_of(rows, load=[0.5, 0.0])
        found = estimate(rows, held((1, "c-1", 0, 1000, 1.0)), series=series)
        power_w = predicted_w(share=1.0, load=0.5)
        assert parts_of(found, 1) == {"virtual_meter": pytest.approx(1000 * power_w)}

    def test_series_scale_the_readings_around_a_gap(self) -> None:
        # twice the predicted power where it is read: twice in the gap, which has another load
        rows = segments(
            segment("c-1", 0, 86_400, 1.0, 2 * predicted_w(share=1.0, load=0.0)),
            segment("c-1", 86_400, END_S, 1.0, None),
        )
        series = series_of(rows, load=[0.0, 1.0])
        found = estimate(rows, held((1, "c-1", 0, END_S, 1.0)), series=series)
        expected_j = 86_400 * 2 * predicted_w(share=1.0, load=1.0)
        assert parts_of(found, 1) == {"own_readings": pytest.approx(expected_j)}

    def test_unknown_hardware_leaves_the_energy_unknown(self) -> None:
        rows = segments(segment("c-1", 0, END_S, 0.25, None))
        unknown = HARDWARE.with_columns(tdp_w=pl.lit(None, pl.Float64))
        found = estimate(rows, held((1, "c-1", 0, END_S, 0.25)), hardware=unknown)
        assert parts_of(found, 1) == {"unknown": pytest.approx(0.25 * END_S)}
        assert classes_of(found, "unknown_s") == {
            "job": pytest.approx(0.25 * END_S),
            "stranded": pytest.approx(0.75 * END_S),
        }

    def test_study_without_segments_has_no_estimates(self) -> None:
        found = estimate(segments(), held())
        assert found.jobs.is_empty()
        assert found.classes.is_empty()


def series_of(rows: pl.DataFrame, load: list[float]) -> pl.DataFrame:
    """Series of nodes without GPUs that cover each segment."""
    return rows.select(
        "node",
        "from_us",
        gpu_j=0.0,
        gpu_covered_s="duration_s",
        load_s=pl.col("duration_s") * pl.Series(load),
        load_covered_s="duration_s",
    ).cast(pl.DataFrame(SegmentSeries.create_empty()).schema)


class TestSplit:
    ROWS = (
        segment("c-1", 0, 1000, 0.75, None),
        segment("c-1", 1000, 2000, 0.25, 200.0, covered_s=500.0),
        segment("c-1", 2000, 86_400, 0.0, None, is_unavailable=True),
        segment("c-1", 86_400, END_S, 0.0, None),
    )
    JOBS = ((1, "c-1", 0, 1000, 0.5), (2, "c-1", 0, 2000, 0.25))

    def test_reserved_gate_gives_jobs_their_share_and_strands_the_rest(self) -> None:
        found = estimate(segments(*self.ROWS), held(*self.JOBS))
        first_j, second_j = 1000 * predicted_w(share=0.75), 500 * 200.0
        assert parts_of(found, 1) == {"hardware": pytest.approx(0.5 * first_j)}
        assert parts_of(found, 2) == {
            "hardware": pytest.approx(0.25 * first_j),
            "own_readings": pytest.approx(0.25 * second_j),
        }
        assert classes_of(found) == {
            "job": pytest.approx(0.75 * first_j + 0.25 * second_j),
            "stranded": pytest.approx(0.25 * first_j + 0.75 * second_j),
            "unavailable": pytest.approx(84_400 * IDLE_W),
            "idle": pytest.approx(86_400 * IDLE_W),
        }
        assert found.classes["day"].n_unique() == 2

    def test_active_gate_divides_all_power_among_the_jobs(self) -> None:
        rows = segments(*self.ROWS).with_columns(
            weight=pl.when(pl.col("share") > 0).then(1 / pl.col("share")).otherwise(1.0)
        )
        found = estimate(rows, held(*self.JOBS), gate="active")
        first_j, second_j = 1000 * predicted_w(share=0.75), 500 * 200.0
        assert parts_of(found, 1) == {"hardware": pytest.approx(first_j * 2 / 3)}
        assert classes_of(found)["job"] == pytest.approx(first_j + second_j)
        assert "stranded" not in classes_of(found)

    def test_binary_gate_gives_each_job_the_whole_node(self) -> None:
        rows = segments(segment("c-1", 0, 1000, 2.0, None), segment("c-1", 1000, END_S, 0.0, 100.0))
        jobs = held((1, "c-1", 0, 1000, 1.0), (2, "c-1", 0, 1000, 1.0))
        found = estimate(rows, jobs, gate="binary")
        whole_j = 1000 * predicted_w(share=1.0)
        assert parts_of(found, 1) == parts_of(found, 2) == {"hardware": pytest.approx(whole_j)}
        assert classes_of(found) == {"job": pytest.approx(whole_j)}

    def test_incomplete_jobs_leave_the_rest_unattributed(self) -> None:
        found = estimate(segments(*self.ROWS), held(*self.JOBS), jobs_complete=False)
        assert set(classes_of(found)) == {"job", "unattributed", "unavailable"}

    @settings(max_examples=30, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.floats(0.0, 1.0),
                st.one_of(st.none(), st.floats(10.0, 2000.0)),
                st.floats(0.0, 1.0),
                st.booleans(),
            ),
            min_size=1,
            max_size=8,
        )
    )
    def test_estimates_of_any_segments_conserve_energy(
        self, parts: list[tuple[float, float | None, float, bool]]
    ) -> None:
        cuts_s = [END_S * k / len(parts) for k in range(len(parts) + 1)]
        rows, jobs = [], []
        for k, (share, watts, covered, away) in enumerate(parts):
            start_s, end_s = round(cuts_s[k]), round(cuts_s[k + 1])
            covered_s = 0.0 if watts is None else covered * (end_s - start_s)
            rows.append(
                segment(
                    "c-1",
                    start_s,
                    end_s,
                    share,
                    watts,
                    covered_s=covered_s,
                    is_unavailable=away,
                )
            )
            jobs += [(k, "c-1", start_s, end_s, share)] if share else []
        found = estimate(segments(*rows), held(*jobs))
        of_jobs = found.jobs.select(pl.sum_horizontal(f"{basis}_j" for basis in BASES).sum()).item()
        assert of_jobs == pytest.approx(classes_of(found).get("job", 0.0), rel=1e-9, abs=1e-6)
        assert found.jobs["unknown_s"].sum() == 0

    def test_check_refuses_a_lost_estimate(self) -> None:
        found = estimate(segments(*self.ROWS), held(*self.JOBS))
        gaps = pl.DataFrame(
            {"node": ["c-1"], "share": [0.5], "weight": [1.0]}
            | {"estimated_j": [1e6], "unknown_s": [0.0]}
        )
        parts = [f"{basis}_j" for basis in BASES]
        with pytest.raises(ConservationError, match="estimates of classes do not add up"):
            check_gap_conservation(found.jobs, found.classes, gaps, parts=parts)
