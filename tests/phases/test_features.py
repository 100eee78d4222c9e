"""Tests of features: endings, words, neighbours, amounts, histograms, and no personal names."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.labels.commands import script_of, step_of
from footprint.phases import chains, classifier, features
from footprint.phases.features import FEATURE_DESCRIPTIONS
from footprint.schemas.phases import N_POWER_BINS, PowerHistograms
from footprint.schemas.raw import Jobs

pytestmark = pytest.mark.filterwarnings("error")

START = datetime(2025, 3, 3, tzinfo=UTC)
HOUR = 3600


def job(job_id: int, submitted_s: float = 0, ran_s: float | None = 1000, **more: Any) -> dict:
    """A job of `willow` that starts a minute after its submission."""
    submitted = START + timedelta(seconds=submitted_s)
    started = None if ran_s is None else submitted + timedelta(seconds=60)
    return {
        **{"job_id": job_id, "site": "nancy", "user": "willow", "project": "team"},
        **{"job_type": "PASSIVE", "types": [], "state": "terminated", "command": "./run.sh"},
        **{"array_id": job_id, "array_index": 1, "walltime_s": 24 * HOUR, "exit_code": 0},
        **{"events": ["SWITCH_INTO_TERMINATE_STATE"], "submitted_at": submitted},
        "started_at": started,
        "stopped_at": None if started is None else started + timedelta(seconds=ran_s or 0),
        **more,
    }


def features_of_runs(*jobs: dict, merge: bool = False, **more: Any) -> pl.DataFrame:
    """Features of runs whose jobs each held one of two GPUs of a node at 100 W all the time."""
    records = pl.DataFrame(list(jobs), schema=Jobs.create_empty().schema)
    single = records.lazy().select(
        "job_id", run_id="job_id", merged_by=pl.lit("single", pl.Enum(["single", "chain", "array"]))
    )
    ran = records.filter(pl.col("started_at").is_not_null())
    held_s = (pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds().fill_null(HOUR)
    amounts = ran.lazy().select(
        "job_id",
        duration_s=held_s.cast(pl.Float64),
        gpu_hours=held_s / HOUR,
        measured_kwh=held_s * 0.1 / HOUR,
    )
    nodes = amounts.with_columns(node=pl.lit("n-1"), share=0.5, covered_s="duration_s")
    options: dict[str, Any] = {
        "run_of_job": chains.merge_jobs_into_runs(records.lazy(), gap_h=48) if merge else single,
        "job_energy": amounts,
        "job_nodes": nodes,
        "power_histograms": pl.LazyFrame(schema=PowerHistograms.create_empty().schema),
        **more,
    }
    return features.collect_features(jobs=records.lazy(), **options).collect()


def features_of_run(*jobs: dict, **more: Any) -> dict[str, Any]:
    return features_of_runs(*jobs, **more).row(0, named=True)


def test_collect_features_returns_documented_columns_and_one_row_a_run() -> None:
    table = features_of_runs(job(3), job(1), job(2, ran_s=None))
    assert table.columns == list(FEATURE_DESCRIPTIONS)
    assert table["run_id"].to_list() == [1, 2, 3]
    assert table["n_jobs"].to_list() == [1, 0, 1]
    assert features_of_runs().columns == list(FEATURE_DESCRIPTIONS)


DELETION_EVENTS = ["FRAG_JOB_REQUEST", "SWITCH_INTO_ERROR_STATE"]


@pytest.mark.parametrize(
    ("row", "ended", "basis"),
    [
        ({"events": ["FRAG_JOB_REQUEST", "WALLTIME"], "exit_code": None}, "walltime", "events"),
        ({"events": ["BESTEFFORT_KILL", *DELETION_EVENTS], "exit_code": None}, "killed", "events"),
        ({"events": DELETION_EVENTS, "exit_code": None, "state": "error"}, "cancelled", "events"),
        ({"exit_code": 0}, "completed", "events"),
        ({"exit_code": 256}, "failed", "events"),
        ({"exit_code": 9}, "failed", "events"),
        ({"events": None, "exit_code": 256}, "failed", "exit_code"),
        ({"events": None, "exit_code": None}, "completed", "state"),
        ({"events": None, "exit_code": None, "state": "error"}, "cancelled", "state"),
        ({"events": None, "exit_code": None, "walltime_s": 1060}, "walltime", "state"),
        ({"events": None, "exit_code": None, "walltime_s": 1061}, "completed", "state"),
        (
            {"events": None, "exit_code": None, "state": "error", "types": ["besteffort"]},
            *("killed", "state"),
        ),
        ({"stopped_at": None, "state": "running", "exit_code": None}, "running", "events"),
    ],
)
def test_ended_uses_first_of_events_exit_code_and_state(row: dict, ended: str, basis: str) -> None:
    features = features_of_run(job(1, **row))
    assert (features["ended"], features["end_basis"]) == (ended, basis)


def test_chain_has_ending_of_last_job_and_summed_run_time() -> None:
    cut = {"events": ["WALLTIME"], "exit_code": None, "state": "error"}
    features = features_of_run(
        job(1, ran_s=2 * HOUR, **cut), job(2, 3 * HOUR, ran_s=HOUR), merge=True
    )
    assert (features["merged_by"], features["n_jobs"], features["ended"]) == (
        "chain",
        2,
        "completed",
    )
    assert features["ran_s"] == 3 * HOUR
    assert features["duration_s"] == 3 * HOUR
    assert features["measured_kwh"] == pytest.approx(0.3)  # 100 W x 3 h
    assert features["gpus"] == pytest.approx(1.0)
    assert features["node_share"] == 0.5


def test_job_type_and_types_give_interactive_container_and_waiting() -> None:
    features = features_of_run(job(1, job_type="INTERACTIVE", types=["container=x", "besteffort"]))
    assert features["interactive"] is features["container"] is features["besteffort"] is True
    assert features["waiting"] is True
    assert features_of_run(job(1, job_type=None))["interactive"] is None
    assert features_of_run(job(1, types=["inner=7"]))["container"] is False


def test_script_of_command_omits_settings_and_step() -> None:
    def script_and_step(command: str) -> tuple[str, int | None]:
        frame = pl.select(c=pl.lit(command))
        return frame.select(script_of(pl.col("c")), s=step_of(pl.col("c"))).row(0)

    assert script_and_step("./run.sh --stage 4 egs/x/v1.yaml") == ("./run.sh", 4)
    assert script_and_step("./run.sh --start-stage=11 --ngpu 2") == ("./run.sh --ngpu 2", 11)
    assert script_and_step("python main.py conf/a.json") == ("python main.py", None)
    assert script_and_step("python main.py --steps 500") == ("python main.py --steps 500", None)


def test_command_words_give_waiting_endless_and_prompt() -> None:
    for command, expected in {
        "sleep 12h": (True, False, False),
        "sleep infinity": (True, True, False),
        "bash -c 'while true; do sleep 60; done'": (True, True, False),
        "jupyter lab": (False, False, True),
        "./run.sh": (False, False, False),
    }.items():
        features = features_of_run(job(1, command=command))
        assert (features["waiting"], features["endless"], features["prompt"]) == expected


def resubmitted_flags(*at_s: float, **more: Any) -> list[bool]:
    jobs = [job(i, s, **more) for i, s in enumerate(at_s, 1)]
    return features_of_runs(*jobs)["resubmitted"].to_list()


def test_resubmitted_marks_three_submissions_in_two_hours_but_the_last() -> None:
    assert resubmitted_flags(0, HOUR, 2 * HOUR) == [True, True, False]
    assert resubmitted_flags(0, HOUR, 2 * HOUR + 1) == [False, False, False]
    assert resubmitted_flags(0, HOUR) == [False, False]
    assert resubmitted_flags(0, 600, 1200, 1800) == [True, True, True, False]
    # another command, another person, no command
    other = features_of_runs(job(1, 0), job(2, 600, command="./b.sh"), job(3, 1200, user="oak"))
    assert other["resubmitted"].to_list() == [False] * 3
    assert resubmitted_flags(0, 600, 1200, command="") == [False] * 3


def test_jobs_submitted_together_count_as_one_batch_and_one_attempt() -> None:
    table = features_of_runs(
        job(1, 0, array_id=None), job(2, 5, array_id=None), job(3, 11, array_id=None)
    )
    assert table["batch_size"].to_list() == [2, 2, 1]
    assert table["array_size"].to_list() == [None] * 3
    assert resubmitted_flags(0, 1, 2) == [False] * 3
    array = features_of_runs(job(1, array_id=1), job(2, array_id=1, array_index=2), job(3))
    assert array["array_size"].to_list() == [2, 2, 1]


def test_training_step_has_longest_walltime_among_runs_from_an_hour() -> None:
    week = {"walltime_s": 168 * HOUR}
    table = features_of_runs(
        job(1, command="./run.sh --stage 4 a.yaml", ran_s=HOUR, **week),
        job(2, 9000, command="./run.sh --stage 6 a.yaml", ran_s=5 * HOUR),
        # a longer walltime, but the job fails at once
        job(3, 30000, command="./run.sh --stage 7 a.yaml", ran_s=60, walltime_s=300 * HOUR),
        job(4, 90000, command="./run.sh --stage 6 a.yaml", user="oak", ran_s=60),
    )
    assert table["step"].to_list() == [4, 6, 7, 6]
    assert table["training_step"].to_list() == [4, 4, 4, None]
    assert table["training_walltime_s"].to_list() == [168 * HOUR] * 3 + [None]


def test_after_long_h_counts_from_long_run_of_same_user_and_project() -> None:
    table = features_of_runs(
        job(1, 0, ran_s=6 * HOUR),
        job(2, 7 * HOUR),
        job(3, 7 * HOUR, project="other"),
        job(4, 7 * HOUR, user="oak"),
        job(5, HOUR),
    )
    assert table["after_long_h"].to_list() == [None, 1.0, None, None, None]


def histogram(**bins: float) -> list[float]:
    """Power histogram with seconds by bin: `s2=60` are 60 s in the third of forty bins."""
    seconds = [0.0] * N_POWER_BINS
    for name, value in bins.items():
        seconds[int(name[1:])] = float(value)
    return seconds


def power_levels_frame(*rows: tuple[int, list[float] | None, list[float] | None]) -> pl.LazyFrame:
    return pl.LazyFrame(
        [(number, "n-1", 200.0, 1200.0, node, gpu) for number, node, gpu in rows],
        schema=PowerHistograms.create_empty().schema,
        orient="row",
    )


def test_histogram_of_run_is_sum_over_its_jobs() -> None:
    cut = {"events": ["WALLTIME"], "exit_code": None, "state": "error"}
    features = features_of_run(
        job(1, ran_s=2 * HOUR, **cut),
        job(2, 3 * HOUR, ran_s=HOUR),
        merge=True,
        power_histograms=power_levels_frame(
            (1, histogram(s2=60), None), (2, histogram(s2=5, s9=1), None)
        ),
    )
    assert features["node_histogram_s"] == histogram(s2=65, s9=1)
    assert (features["gpu_histogram_s"], features["histogram_basis"]) == (None, "node")


def test_histogram_shape_uses_own_gpus_where_read() -> None:
    # half at 0.3875 (step 15), half at 0.6125 (step 24): mean 0.5, which is 1.225 times exceeded
    even = histogram(s15=50, s24=50)
    features = features_of_run(
        job(1), power_histograms=power_levels_frame((1, histogram(s1=100), even))
    )
    assert features["histogram_basis"] == "gpu"
    assert features["mean_power_frac"] == pytest.approx(0.5)
    assert features["spread"] == pytest.approx((0.1125**2 - 0.025**2 / 12) ** 0.5 / 0.5)
    assert features["burst_frac"] == 0.0
    # mean 0.1 x 0.9125 + 0.9 x 0.4125 = 0.4625; a quarter more is 0.578
    uneven = features_of_run(
        job(1), power_histograms=power_levels_frame((1, histogram(s16=90, s36=10), None))
    )
    assert uneven["burst_frac"] == pytest.approx(0.1)


def test_spread_of_constant_power_is_zero() -> None:
    assert (
        features_of_run(job(1), power_histograms=power_levels_frame((1, histogram(s7=10), None)))[
            "spread"
        ]
        == 0.0
    )


def test_idle_kwh_is_idle_time_x_share_x_idle_power() -> None:
    # half of 1000 s below 0.1, half of the node, 200 W: 500 x 0.5 x 200 / 3.6e6
    features = features_of_run(
        job(1), power_histograms=power_levels_frame((1, histogram(s3=50, s20=50), None))
    )
    assert features["idle_kwh"] == pytest.approx(500 * 0.5 * 200 / 3.6e6)
    # its own GPU was idle all the time; the power of other jobs does not count
    gpu = features_of_run(
        job(1), power_histograms=power_levels_frame((1, histogram(s20=100), histogram(s0=100)))
    )
    assert gpu["idle_kwh"] == pytest.approx(1000 * 0.5 * 200 / 3.6e6)
    assert features_of_run(job(1))["idle_kwh"] is None


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(0, N_POWER_BINS - 1), st.integers(1, 1000)),
        max_size=20,
    )
)
@settings(max_examples=25)
def test_histograms_of_any_jobs_keep_every_second(parts: list[tuple[int, int, int]]) -> None:
    by_job: dict[int, list[float]] = {}
    for number, step, seconds in parts:
        by_job.setdefault(number, [0.0] * N_POWER_BINS)[step] += seconds
    table = features_of_runs(
        *(job(number, number * HOUR) for number in range(1, 6)),
        power_histograms=power_levels_frame(
            *((number, own, None) for number, own in by_job.items())
        ),
    )
    for number, own in zip(table["run_id"], table["node_histogram_s"].to_list(), strict=True):
        assert own == by_job.get(number)


def test_features_and_classifications_contain_no_login_or_command() -> None:
    secret = {"user": "xyzzy", "command": "python /home/xyzzy/plugh.py", "name": "plugh-xyzzy"}
    table = features_of_runs(
        job(1, ran_s=5 * HOUR, directory="/home/xyzzy", project="plugh", **secret)
    )
    classified = classifier.classify_runs(table.lazy(), classifier.Thresholds()).collect()
    for text in (table.write_json(), classified.write_json(), json.dumps(classified.to_dicts())):
        assert "xyzzy" not in text
        assert "plugh" not in text


def test_collect_features_is_independent_of_row_order() -> None:
    jobs = [job(i, i * 7, ran_s=100 + i * 1.1) for i in range(1, 30)]
    assert features_of_runs(*jobs).equals(features_of_runs(*reversed(jobs)))
