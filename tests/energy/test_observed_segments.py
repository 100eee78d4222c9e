"""Segments with readings and the jobs that hold them."""

from __future__ import annotations

import polars as pl

from footprint.energy.observed_segments import observed_segments
from tests.energy.test_gap_energy import END_S, WINDOW, held, segment, segments, series_of


def test_observed_segments_have_readings_and_all_jobs_of_their_node() -> None:
    rows = segments(
        segment("c-1", 0, 1000, 0.5, 300.0),
        segment("c-1", 1000, 2000, 1.0, None),
        segment("c-1", 2000, 3000, 1.0, 400.0),
        segment("c-1", 3000, END_S, 0.0, 100.0),
        segment("c-2", 0, END_S, 0.0, 90.0),
    )
    jobs = held((1, "c-1", 0, 3000, 0.5), (2, "c-1", 1000, 3000, 0.5), (3, "c-1", 1000, 2000, 0.0))
    found = observed_segments(rows.lazy(), None, jobs.lazy(), WINDOW)
    assert found["energy_j"].to_list()[:2] == [300_000, 400_000]
    assert found["job_ids"].to_list() == [[1], [1, 2], [], []]
    assert found["gpu_j"].null_count() == 4
    series = series_of(rows, load=[0.1, 0.2, 0.3, 0.4, 0.5])
    found = observed_segments(rows.lazy(), series.lazy(), jobs.lazy(), WINDOW)
    load = (found["load_s"] / found["duration_s"]).round(9)
    assert load.to_list() == [0.1, 0.3, 0.4, 0.5]


def test_study_without_readings_has_no_observed_segments() -> None:
    rows = segments(segment("c-1", 0, END_S, 0.5, None))
    jobs = held((1, "c-1", 0, END_S, 0.5))
    found = observed_segments(rows.lazy(), None, jobs.lazy(), WINDOW)
    assert found.is_empty()
    assert found.schema["job_ids"] == pl.List(pl.Int64)
