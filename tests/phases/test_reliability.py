"""Tests of the reliability of probabilities, by hand."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.phases import reliability
from footprint.phases.kind_weights import WEIGHED_KINDS
from footprint.phases.weighed_kinds import WEIGHED_SCHEMA
from footprint.schemas.validation import KindReliability

pytestmark = pytest.mark.filterwarnings("error")

JOB_SCHEMA = {"job_id": pl.Int64(), "user": pl.String(), "n_nodes": pl.Int64()}
JOB_SCHEMA |= {"total_kwh": pl.Float64()}


def table(
    *jobs: tuple[str, float | None, str | None, dict[str, float]], **more: Any
) -> pl.DataFrame:
    """Reliability of jobs given by owner, energy, true kind and probabilities of kinds.

    `more` replaces `rules` of the runs, or the number of nodes of jobs (`n_nodes`).
    """
    ids = list(range(1, len(jobs) + 1))
    rules, nodes = more.get("rules", {}), more.get("n_nodes", {})
    weighed = [
        {"run_id": i, "kind": "debug", "rule": rules.get(i, "weights"), "features": ""}
        | {"confidence": max(chances.values())}
        | {f"p_{kind}": chances.get(kind, 0.0) for kind in WEIGHED_KINDS}
        for i, (_, _, _, chances) in zip(ids, jobs, strict=True)
    ]
    energies = [(i, job[0], nodes.get(i, 1), job[1]) for i, job in zip(ids, jobs, strict=True)]
    found = reliability.reliability_table(
        pl.LazyFrame(weighed, WEIGHED_SCHEMA),
        known=pl.LazyFrame(
            {"job_id": ids, "kind": [job[2] for job in jobs]}, schema_overrides={"kind": pl.String}
        ),
        basis="truth",
        run_of_job=pl.LazyFrame({"job_id": ids, "run_id": ids}),
        job_energy=pl.LazyFrame(energies, JOB_SCHEMA, orient="row"),
    )
    valid: pl.DataFrame = KindReliability.validate(found, cast=True)
    return valid


SURE = {"training_run": 0.95, "debug": 0.05}
LESS = {"training_run": 0.92, "debug": 0.08}
UNSURE = {"training_run": 0.4, "inference_run": 0.6}
JOBS = [
    ("a", 30.0, "training_run", SURE),
    ("b", 10.0, "debug", LESS),
    ("c", 20.0, "inference_run", UNSURE),
]


def rows_of(found: pl.DataFrame, subject: str) -> list[tuple[Any, ...]]:
    columns = ("bin", "n_jobs", "total_kwh", "probability_frac", "observed_frac")
    return found.filter(subject=subject).select(columns).rows()


def test_frequency_and_mean_probability_of_a_tenth_are_weighted_by_energy() -> None:
    found = table(*JOBS)
    # (30 x 0.95 + 10 x 0.92) / 40, of which the 30 kWh are right
    expected = [(6, 1, 20.0, 0.6, 1.0), (9, 2, 40.0, 0.9425, 0.75)]
    assert rows_of(found, "most_probable") == [pytest.approx(row) for row in expected]
    expected = [(4, 1, 20.0, 0.4, 0.0), (9, 2, 40.0, 0.9425, 0.75)]
    assert rows_of(found, "training_run") == [pytest.approx(row) for row in expected]
    # of debug: 10 of 40 kWh with a probability below 0.1, and never where it is 0
    expected = [(0, 3, 60.0, (1.5 + 0.8) / 60, 10 / 60)]
    assert rows_of(found, "debug") == [pytest.approx(row) for row in expected]
    assert found["subject"].unique(maintain_order=True).to_list() == list(reliability.SUBJECTS)


def test_frequency_sums_the_energy_of_all_right_jobs() -> None:
    jobs = [("a", kwh, "training_run", SURE) for kwh in (1.0, 2.0)] + [("b", 1.0, "debug", SURE)]
    assert rows_of(table(*jobs), "training_run") == [(9, 3, 4.0, pytest.approx(0.95), 0.75)]


def test_intervals_are_by_bootstrap_over_owners() -> None:
    found = table(*JOBS).filter(subject="most_probable")
    # one owner alone has no interval; of two, a quarter of the resamples has one of them twice
    assert found["n_users"].to_list() == [1, 2]
    assert found["observed_low_frac"].to_list() == [None, 0.0]
    assert found["observed_high_frac"].to_list() == [None, 1.0]


def test_calibration_error_is_the_mean_difference_by_energy() -> None:
    errors = reliability.calibration_errors(table(*JOBS))
    own = errors.row(by_predicate=pl.col("subject") == "most_probable", named=True)
    # (20 x |0.6 - 1| + 40 x |0.9425 - 0.75|) / 60
    assert own["error_frac"] == pytest.approx((8 + 7.7) / 60)
    assert own["observed_frac"] == pytest.approx(50 / 60)
    assert own["probability_frac"] == pytest.approx((12 + 37.7) / 60)
    assert (own["n_jobs"], own["total_kwh"]) == (3, 60.0)
    assert errors["subject"].to_list() == list(reliability.SUBJECTS)


def test_kinds_that_are_certain_or_not_known_do_not_count() -> None:
    others = [
        ("d", 5.0, "unknown", SURE),
        ("d", 5.0, None, SURE),
        ("d", None, "debug", SURE),
        ("d", 0.0, "debug", SURE),
        ("d", 5.0, "interactive", {"interactive": 1.0}),
        ("d", 5.0, "debug", SURE),
    ]
    found = table(*JOBS, *others, rules={8: "interactive"}, n_nodes={9: 0})
    assert_frame_equal(found, table(*JOBS))


def test_probability_of_one_is_in_the_last_tenth_and_a_full_tenth_in_the_next() -> None:
    found = table(("a", 1.0, "debug", {"debug": 1.0}), ("a", 1.0, "debug", {"debug": 0.7}))
    assert [row[0] for row in rows_of(found, "debug")] == [7, 9]


def test_study_without_true_kinds_has_no_rows() -> None:
    found = table(("a", 1.0, None, SURE))
    assert found.is_empty()
    assert reliability.calibration_errors(found).is_empty()
