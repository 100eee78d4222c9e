"""Tests of the agreement of runs with their group in duration and power."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.phases import group_agreement
from footprint.schemas.labels import GroupLabels, JobLabels
from tests.support.estimator_inputs import frame_of_schema

pytestmark = pytest.mark.filterwarnings("error")

SCHEMA = {
    "run_id": pl.Int64,
    "group": pl.Int64,
    "kind": pl.String,
    "confidence": pl.Float64,
    "duration_s": pl.Float64,
    "total_kwh": pl.Float64,
    "on_gpus": pl.Boolean,
    "power_w": pl.Float64,
}


def run(run_id: int, hours: float, kwh: float | None, **more: Any) -> dict[str, Any]:
    """A run on one GPU, whose power follows from its energy."""
    power_w = None if kwh is None else 1000 * kwh / hours
    usual = {"group": 0, "kind": "training_run", "confidence": 0.8, "on_gpus": True}
    usual |= {"power_w": power_w}
    return {"run_id": run_id, "duration_s": hours * 3600, "total_kwh": kwh} | usual | more


def compared(*rows: dict[str, Any]) -> dict[int, bool]:
    found = group_agreement.compare_with_groups(pl.DataFrame(rows, SCHEMA), ["group"])
    return dict(found.select("run_id", "agrees").iter_rows())


def test_medians_are_weighted_by_energy() -> None:
    # 60 of 66 kWh are of the runs of 20 h, although most runs lasted an hour: the median duration
    # is 20 h, and the factor of an hour is 0.05.
    rows = [run(1, 20.0, 30.0), run(2, 20.0, 30.0), *(run(i, 1.0, 1.5) for i in range(3, 7))]
    frame = pl.DataFrame(rows, SCHEMA)
    found = group_agreement.compare_with_groups(frame, ["group"])
    assert found["duration_factor"].to_list() == pytest.approx([1.0, 1.0, *[0.05] * 4])
    assert found["power_factor"].to_list() == pytest.approx([1.0] * 6)
    assert found["agrees"].to_list() == [True, True, *[False] * 4]


@pytest.mark.parametrize(
    ("hours", "watts", "agrees"),
    [
        (30.0, 300.0, True),
        (30.1, 300.0, False),
        (3.34, 300.0, True),
        (3.3, 300.0, False),
        (10.0, 600.0, True),
        (10.0, 601.0, False),
        (10.0, 150.0, True),
        (10.0, 149.0, False),
    ],
)
def test_run_agrees_within_a_factor_of_3_in_duration_and_2_in_power(
    hours: float, watts: float, agrees: bool
) -> None:
    # the median is that of run 1, which has more energy than the other (at most 9.03 kWh)
    rows = [run(1, 10.0, 3.0, total_kwh=30.0, power_w=300.0), run(2, hours, hours * watts / 1000)]
    assert compared(*rows) == {1: True, 2: agrees}


def test_unknown_energy_and_power_agree_and_other_devices_differ() -> None:
    rows = [
        run(1, 10.0, 3.0),
        run(2, 10.0, None),
        run(3, 50.0, None),
        run(4, 10.0, 0.5, on_gpus=False, power_w=300.0),
        run(5, 10.0, None, group=1),
        run(6, 8.0, None, group=1),
        run(7, 1.0, None, group=1),
    ]
    # Group 1 has no known energy: each of its runs counts the same, and the median is 8 h.
    assert compared(*rows) == {1: True, 2: True, 3: False, 4: False, 5: True, 6: True, 7: False}


@pytest.mark.parametrize(
    ("kind", "confidence", "agrees"),
    [
        ("inference_run", 0.75, False),
        ("inference_run", 0.74, True),
        ("unknown", 0.9, True),
        ("training_run", 0.1, True),
    ],
)
def test_run_found_to_be_of_another_kind_differs(
    kind: str, confidence: float, agrees: bool
) -> None:
    # most of the energy of known kind is found to be training
    rows = [
        run(1, 10.0, 3.0),
        run(2, 10.0, 2.9, kind=kind, confidence=confidence),
        run(3, 10.0, 9.0, kind="unknown", confidence=0.0, power_w=300.0),
    ]
    assert compared(*rows) == {1: True, 2: agrees, 3: True}


@given(
    st.lists(
        st.tuples(st.floats(0.1, 100), st.floats(0.01, 100), st.integers(0, 2)),
        min_size=1,
        max_size=20,
    )
)
def test_some_run_of_each_group_has_the_median_duration(
    rows: list[tuple[float, float, int]],
) -> None:
    frame = pl.DataFrame(
        [run(i, hours, kwh, group=group) for i, (hours, kwh, group) in enumerate(rows)], SCHEMA
    )
    found = group_agreement.compare_with_groups(frame, ["group"])
    nearest = found.group_by("group").agg((pl.col("duration_factor") - 1).abs().min())
    assert nearest["duration_factor"].to_list() == pytest.approx([0.0] * len(nearest))
    again = group_agreement.compare_with_groups(frame.reverse(), ["group"])
    assert found.equals(again)


def test_power_of_runs_is_by_gpu_or_by_node() -> None:
    # 3 kWh in 10 GPU h: 300 W. 3 kWh on half of 2 nodes for 10 h, which is 10 node h: 300 W.
    features = pl.DataFrame(
        {
            "gpu_hours": [10.0, 0.0, 0.0],
            "duration_s": [36000.0] * 3,
            "node_share": [1.0, 0.5, None],
            "n_nodes": [1, 2, 2],
            "total_kwh": [3.0] * 3,
        }
    )
    found = features.select(**group_agreement.power_of_runs())
    assert found["on_gpus"].to_list() == [True, False, False]
    assert found["power_w"].to_list() == [pytest.approx(300.0), pytest.approx(300.0), None]


def check(
    runs: list[dict[str, Any]], groups: list[dict[str, Any]], single: list[dict[str, Any]]
) -> group_agreement.CheckedLabels:
    """Labels of runs of one job each."""
    usual = {"group": 0, "where": "l.yaml:3"}
    return group_agreement.check_groups(
        pl.LazyFrame(runs, SCHEMA).drop("group"),
        single=frame_of_schema(JobLabels, *single),
        groups=frame_of_schema(GroupLabels, *(usual | row for row in groups)),
        run_of_job=pl.LazyFrame({"job_id": [row["run_id"] for row in runs]}).with_columns(
            run_id="job_id"
        ),
    )


def test_check_groups_keeps_paper_and_stage_of_differing_runs() -> None:
    label = {"paper": "p", "kind": "training_run", "role": "other", "stage": "ablate"}
    runs = [run(1, 20.0, 6.0), run(2, 15.0, 4.0), run(3, 0.1, 0.03, kind="debug")]
    checked = check(runs, [{"job_id": job} | label for job in (1, 2, 3)], [])
    labels = checked.labels.collect().select("job_id", "paper", "kind", "role", "stage").rows()
    assert labels == [
        (1, "p", "training_run", "other", "ablate"),
        (2, "p", "training_run", "other", "ablate"),
        (3, "p", None, None, "ablate"),
    ]
    assert checked.group_runs.select("run_id", "found_kind", "label_kind", "agrees").rows() == [
        (1, "training_run", "training_run", True),
        (2, "training_run", "training_run", True),
        (3, "debug", "training_run", False),
    ]
    where = pl.DataFrame({"group": [0], "where": ["l.yaml:3"]})
    (message,) = group_agreement.disagreement_messages(checked.group_runs, where)
    assert message.startswith("l.yaml:3: 1 of its 3 runs (0.0 of 10.0 kWh) differ from the group")


def test_check_groups_labels_of_single_runs_take_precedence() -> None:
    # Run 1 has a kind of its own: it keeps it, and does not count in the medians, so that the
    # short runs agree with each other. Run 3 has only a paper of its own.
    runs = [run(1, 90.0, 30.0), run(2, 1.0, 0.3), run(3, 1.2, 0.3)]
    groups = [{"job_id": job, "paper": "p", "kind": "inference_run"} for job in (1, 2, 3)]
    single = [{"job_id": 1, "kind": "training_run"}, {"job_id": 3, "paper": "q"}]
    checked = check(runs, groups, single)
    assert checked.labels.collect().select("job_id", "paper", "kind").rows() == [
        (1, "p", "training_run"),
        (2, "p", "inference_run"),
        (3, "q", "inference_run"),
    ]
    assert checked.group_runs["run_id"].to_list() == [2, 3]


def test_check_groups_without_groups_keeps_labels() -> None:
    checked = check([run(1, 1.0, 1.0)], [], [{"job_id": 1, "kind": "debug"}])
    assert checked.labels.collect().select("job_id", "kind").rows() == [(1, "debug")]
    assert checked.group_runs.is_empty()
    where = pl.DataFrame(schema={"group": pl.Int64, "where": pl.String})
    assert group_agreement.disagreement_messages(checked.group_runs, where) == []
