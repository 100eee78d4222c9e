"""A study without samples against the exact truth of the simulated site."""

import polars as pl

from tests.support.fast_site import build_fast_study

SOURCE = {
    "kind": "simulated",
    "seed": 11,
    "start": "2025-03-03",
    "end": "2025-03-10",
    "nodes": {"graffiti": 2, "grele": 2, "gres": 1, "grappe": 2},
    "jobs": 400,
}
MIN_JOB_S = 600.0


def test_fast_study_agrees_with_the_exact_truth_of_long_jobs() -> None:
    study = build_fast_study(SOURCE)
    exact = study.site.truth().collect()
    held = study.job_sums.filter(pl.col("duration_s") > MIN_JOB_S)
    both = (
        held.select("job_id", "node")
        .join(study.truth, on=["job_id", "node"])
        .join(exact, on=["job_id", "node"], suffix="_exact")
    )
    assert len(both) == len(held) > 30
    error = both["true_kwh"] / both["true_kwh_exact"] - 1
    assert error.abs().max() < 0.01
    assert both["metered_kwh"].is_null().to_list() == both["metered_kwh_exact"].is_null().to_list()
    gain = both["metered_kwh"] / both["metered_kwh_exact"] - 1
    assert gain.abs().max() < 0.01
