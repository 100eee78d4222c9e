"""How half widths add up over nodes and jobs."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.energy import uncertainty


def job_nodes(*rows: tuple[int, str, float | None, float | None, float | None, float | None]):
    """Rows of (job, node, calibration, quantisation, sampling, gap); node `a-1` is of cluster a."""
    return pl.LazyFrame(
        rows,
        schema={"job_id": pl.Int64, "node": pl.String}
        | dict.fromkeys(uncertainty.HALF_WIDTH_COLUMNS, pl.Float64),
        orient="row",
    ).with_columns(cluster=pl.col("node").str.head(1))


def half_width(rows: pl.LazyFrame) -> float | None:
    (width,) = (
        uncertainty.combine_half_widths(rows.with_columns(site=pl.lit("nancy")), by=["site"])
        .collect()["half_width_kwh"]
        .to_list()
    )
    return width


def test_combine_one_job_on_one_node_is_the_root_sum_of_squares() -> None:
    assert half_width(job_nodes((1, "a-1", 1.0, 2.0, 4.0, 10.0))) == 11.0  # 1 + 4 + 16 + 100


def test_combine_nodes_of_a_job_adds_calibration_and_quantisation_linearly() -> None:
    rows = job_nodes((1, "a-1", 1.0, 0.0, 3.0, 0.0), (1, "a-2", 1.0, 0.0, 0.0, 4.0))
    assert half_width(rows) == pytest.approx(math.sqrt(2**2 + 3**2 + 4**2))
    steps = job_nodes((1, "a-1", 0.0, 1.0, 0.0, 0.0), (1, "a-2", 0.0, 2.0, 0.0, 0.0))
    assert half_width(steps) == 3.0


def test_combine_jobs_of_a_group_adds_only_calibration_linearly() -> None:
    calibration = job_nodes((1, "a-1", 3.0, 0.0, 0.0, 0.0), (2, "a-1", 4.0, 0.0, 0.0, 0.0))
    assert half_width(calibration) == 7.0
    for part in range(3):
        first, second = [0.0] * 3, [0.0] * 3
        first[part], second[part] = 3.0, 4.0
        rows = job_nodes((1, "a-1", 0.0, *first), (2, "a-1", 0.0, *second))
        assert half_width(rows) == 5.0


def test_combine_calibrations_of_two_clusters_add_in_quadrature() -> None:
    def calibrated(*of: tuple[int, str, float]) -> pl.LazyFrame:
        return job_nodes(*((job, node, kwh, 0.0, 0.0, 0.0) for job, node, kwh in of))

    # cluster a: 1 + 2 = 3 kWh over two jobs, cluster b: 4 kWh; sqrt(3^2 + 4^2), not 3 + 4
    jobs = calibrated((1, "a-1", 1.0), (2, "a-2", 2.0), (2, "b-1", 4.0))
    assert half_width(jobs) == pytest.approx(5.0, rel=1e-15)
    # one job on both clusters: sqrt(2^2 + 4^2)
    both = uncertainty.combine_half_widths(jobs, by=["job_id"]).collect()
    assert both["half_width_kwh"].to_list() == pytest.approx([1.0, math.sqrt(20)], rel=1e-15)


def test_combine_group_without_name_keeps_its_width() -> None:
    rows = job_nodes((1, "a-1", 3.0, 0.0, 4.0, 0.0), (2, "a-1", 1.0, 0.0, 0.0, 0.0))
    named = rows.with_columns(
        project=pl.when(pl.col("job_id") == 2).then(pl.lit("p")).otherwise(None)
    )
    found = uncertainty.combine_half_widths(named, by=["project"]).collect()
    assert found.rows() == [(None, 5.0), ("p", 1.0)]


def test_combine_adds_systematic_and_random_errors_in_quadrature() -> None:
    rows = job_nodes(
        (1, "a-1", 1.0, 1.0, 0.0, 0.0),
        (1, "a-2", 1.0, 2.0, 0.0, 0.0),
        (2, "a-1", 2.0, 4.0, 0.0, 0.0),
    )  # (1 + 1 + 2)^2 + (1 + 2)^2 + 4^2 = 16 + 9 + 16
    assert half_width(rows) == pytest.approx(math.sqrt(41))


def test_combine_returns_sorted_groups() -> None:
    rows = job_nodes((2, "a-1", 0.0, 1.0, 0.0, 0.0), (1, "a-1", 0.0, 2.0, 0.0, 0.0))
    assert_frame_equal(
        uncertainty.combine_half_widths(rows, by=["job_id"]).collect(),
        pl.DataFrame({"job_id": [1, 2], "half_width_kwh": [2.0, 1.0]}),
    )
    nodes = uncertainty.combine_half_widths(rows, by=["job_id", "node"]).collect()
    assert nodes.columns == ["job_id", "node", "half_width_kwh"]


def test_combine_ignores_unknown_energies() -> None:
    unknown = (1, "a-1", None, None, None, None)
    assert half_width(job_nodes(unknown)) is None
    assert half_width(job_nodes(unknown, (2, "a-1", None, 2.0, None, None))) == 2.0


widths = st.floats(min_value=0, max_value=1e3)
rows_of_jobs = st.lists(
    st.tuples(
        st.integers(1, 4), st.sampled_from(["a-1", "a-2", "b-1"]), widths, widths, widths, widths
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row[:2],
)


@given(rows_of_jobs, st.randoms(use_true_random=False))
def test_combine_is_independent_of_order_and_within_bounds(rows: list, random) -> None:
    shuffled = random.sample(rows, len(rows))
    width = half_width(job_nodes(*rows))
    assert width == half_width(job_nodes(*shuffled))
    single = [math.hypot(*row[2:]) for row in rows]
    # Never more than if everything were systematic, never less than if everything were random.
    assert math.hypot(*single) <= width * (1 + 1e-12)
    assert width <= sum(single) * (1 + 1e-12)
