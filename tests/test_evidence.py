"""What is known of a run: endings, words, neighbours, amounts and levels, and no names."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint import tables
from footprint.phases import evidence, kinds, runs
from footprint.phases.evidence import EVIDENCE
from footprint.phases.words import Tokens, script_of, step_of, words, work_of
from footprint.tables.phases import N_LEVELS

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


def gather(*jobs: dict, merge: bool = False, **more: Any) -> pl.DataFrame:
    """Evidence of jobs that each held one of two GPUs of a node at 100 W for all their time."""
    records = pl.DataFrame(list(jobs), schema=tables.Jobs.create_empty().schema)
    single = records.lazy().select(
        "job_id", run_id="job_id", merged_by=pl.lit("single", pl.Enum(["single", "chain", "array"]))
    )
    ran = records.filter(pl.col("started_at").is_not_null())
    held_s = (pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds().fill_null(HOUR)
    amounts = ran.lazy().select(
        "job_id",
        duration_s=held_s.cast(pl.Float64),
        gpu_hours=held_s / HOUR,
        energy_kwh=held_s * 0.1 / HOUR,
    )
    nodes = amounts.with_columns(node=pl.lit("n-1"), share=0.5, covered_s="duration_s")
    options: dict[str, Any] = {
        "run_of_job": runs.merge(records.lazy(), gap_h=48) if merge else single,
        "job_energy": amounts,
        "job_nodes": nodes,
        "power_levels": pl.LazyFrame(schema=tables.PowerLevels.create_empty().schema),
        **more,
    }
    return evidence.gather(jobs=records.lazy(), **options).collect()


def of(*jobs: dict, **more: Any) -> dict[str, Any]:
    return gather(*jobs, **more).row(0, named=True)


def test_evidence_has_the_documented_columns_one_row_a_run() -> None:
    table = gather(job(3), job(1), job(2, ran_s=None))
    assert table.columns == list(EVIDENCE)
    assert table["run_id"].to_list() == [1, 2, 3]
    assert table["n_jobs"].to_list() == [1, 0, 1]
    assert gather().columns == list(EVIDENCE)


DELETED = ["FRAG_JOB_REQUEST", "SWITCH_INTO_ERROR_STATE"]


@pytest.mark.parametrize(
    ("row", "ended", "basis"),
    [
        ({"events": ["FRAG_JOB_REQUEST", "WALLTIME"], "exit_code": None}, "walltime", "events"),
        ({"events": ["BESTEFFORT_KILL", *DELETED], "exit_code": None}, "killed", "events"),
        ({"events": DELETED, "exit_code": None, "state": "error"}, "cancelled", "events"),
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
def test_how_a_job_ended_by_the_first_that_is_known(row: dict, ended: str, basis: str) -> None:
    found = of(job(1, **row))
    assert (found["ended"], found["end_basis"]) == (ended, basis)


def test_a_chain_ended_as_its_last_job_and_ran_for_the_sum() -> None:
    cut = {"events": ["WALLTIME"], "exit_code": None, "state": "error"}
    found = of(job(1, ran_s=2 * HOUR, **cut), job(2, 3 * HOUR, ran_s=HOUR), merge=True)
    assert (found["merged_by"], found["n_jobs"], found["ended"]) == ("chain", 2, "completed")
    assert found["ran_s"] == 3 * HOUR
    assert found["duration_s"] == 3 * HOUR
    assert found["energy_kwh"] == pytest.approx(0.3)  # 100 W x 3 h
    assert found["gpus"] == pytest.approx(1.0)
    assert found["node_share"] == 0.5


def test_what_the_record_says() -> None:
    found = of(job(1, job_type="INTERACTIVE", types=["container=x", "besteffort"]))
    assert found["interactive"] is found["container"] is found["besteffort"] is True
    assert found["waiting"] is True
    assert of(job(1, job_type=None))["interactive"] is None
    assert of(job(1, types=["inner=7"]))["container"] is False


def said(text: str | None) -> tuple[list[str] | None, str | None]:
    frame = pl.select(t=pl.lit(text, pl.String)).select(
        w=words(pl.col("t")), k=work_of(words(pl.col("t")), Tokens())
    )
    listed, work = frame.row(0)
    return listed, work


@pytest.mark.parametrize(
    ("text", "work"),
    [
        ("python train.py --config conf/a.yaml", "training"),
        ("python fit_model.py", "training"),
        ("python trainNet.py", "training"),
        ("python FineTune.py", None),
        ("./decode.sh", "inference"),
        ("python make_corpus.py", "preprocessing"),
        ("train_test", None),
        ("python constraint.py --latest", None),
        ("/home/test/run.sh conf/eval/x.yaml", None),
        ("python main.py --data=/train/x", None),
        ("", None),
        (None, None),
    ],
)
def test_only_whole_words_outside_folders_speak_and_only_of_one_kind(
    text: str | None, work: str | None
) -> None:
    assert said(text)[1] == work


def test_words_are_split_where_letters_end_and_capitals_begin() -> None:
    assert said("python /home/x/trainNet2.py")[0] == ["python", "train", "net", "py"]
    assert Tokens.from_config({"training": ["Lernen"]}).training == ("lernen",)
    assert Tokens.from_config({}).inference == Tokens().inference


def test_a_script_is_a_command_without_settings_and_step() -> None:
    def read(command: str) -> tuple[str, int | None]:
        frame = pl.select(c=pl.lit(command))
        return frame.select(script_of(pl.col("c")), s=step_of(pl.col("c"))).row(0)

    assert read("./run.sh --stage 4 egs/x/v1.yaml") == ("./run.sh", 4)
    assert read("./run.sh --start-stage=11 --ngpu 2") == ("./run.sh --ngpu 2", 11)
    assert read("python main.py conf/a.json") == ("python main.py", None)
    assert read("python main.py --steps 500") == ("python main.py --steps 500", None)


def test_waits_prompts_and_waits_without_end() -> None:
    for command, expected in {
        "sleep 12h": (True, False, False),
        "sleep infinity": (True, True, False),
        "bash -c 'while true; do sleep 60; done'": (True, True, False),
        "jupyter lab": (False, False, True),
        "./run.sh": (False, False, False),
    }.items():
        found = of(job(1, command=command))
        assert (found["waiting"], found["endless"], found["prompt"]) == expected


def resubmitted(*at_s: float, **more: Any) -> list[bool]:
    jobs = [job(i, s, **more) for i, s in enumerate(at_s, 1)]
    return gather(*jobs)["resubmitted"].to_list()


def test_all_but_the_last_of_three_submissions_in_two_hours_are_attempts() -> None:
    assert resubmitted(0, HOUR, 2 * HOUR) == [True, True, False]
    assert resubmitted(0, HOUR, 2 * HOUR + 1) == [False, False, False]
    assert resubmitted(0, HOUR) == [False, False]
    assert resubmitted(0, 600, 1200, 1800) == [True, True, True, False]
    # another command, another person, no command
    other = gather(job(1, 0), job(2, 600, command="./b.sh"), job(3, 1200, user="oak"))
    assert other["resubmitted"].to_list() == [False] * 3
    assert resubmitted(0, 600, 1200, command="") == [False] * 3


def test_jobs_submitted_together_are_one_batch_and_one_attempt() -> None:
    table = gather(job(1, 0, array_id=None), job(2, 5, array_id=None), job(3, 11, array_id=None))
    assert table["batch_size"].to_list() == [2, 2, 1]
    assert table["array_size"].to_list() == [None] * 3
    assert resubmitted(0, 1, 2) == [False] * 3
    array = gather(job(1, array_id=1), job(2, array_id=1, array_index=2), job(3))
    assert array["array_size"].to_list() == [2, 2, 1]


def test_the_training_step_is_the_one_with_the_longest_walltime_of_an_hour_and_more() -> None:
    week = {"walltime_s": 168 * HOUR}
    table = gather(
        job(1, command="./run.sh --stage 4 a.yaml", ran_s=HOUR, **week),
        job(2, 9000, command="./run.sh --stage 6 a.yaml", ran_s=5 * HOUR),
        # asks for longer, but fails at once
        job(3, 30000, command="./run.sh --stage 7 a.yaml", ran_s=60, walltime_s=300 * HOUR),
        job(4, 90000, command="./run.sh --stage 6 a.yaml", user="oak", ran_s=60),
    )
    assert table["step"].to_list() == [4, 6, 7, 6]
    assert table["training_step"].to_list() == [4, 4, 4, None]
    assert table["training_walltime_s"].to_list() == [168 * HOUR] * 3 + [None]


def test_hours_since_a_long_run_of_the_same_person_and_project() -> None:
    table = gather(
        job(1, 0, ran_s=6 * HOUR),
        job(2, 7 * HOUR),
        job(3, 7 * HOUR, project="other"),
        job(4, 7 * HOUR, user="oak"),
        job(5, HOUR),
    )
    assert table["after_long_h"].to_list() == [None, 1.0, None, None, None]


def histogram(**steps: float) -> list[float]:
    seconds = [0.0] * N_LEVELS
    for step, value in steps.items():
        seconds[int(step[1:])] = float(value)
    return seconds


def levels(*rows: tuple[int, list[float] | None, list[float] | None]) -> pl.LazyFrame:
    return pl.LazyFrame(
        [(number, "n-1", 200.0, 1200.0, node, gpu) for number, node, gpu in rows],
        schema=tables.PowerLevels.create_empty().schema,
        orient="row",
    )


def test_histograms_of_the_jobs_of_a_run_add_up() -> None:
    cut = {"events": ["WALLTIME"], "exit_code": None, "state": "error"}
    found = of(
        job(1, ran_s=2 * HOUR, **cut),
        job(2, 3 * HOUR, ran_s=HOUR),
        merge=True,
        power_levels=levels((1, histogram(s2=60), None), (2, histogram(s2=5, s9=1), None)),
    )
    assert found["node_level_s"] == histogram(s2=65, s9=1)
    assert (found["gpu_level_s"], found["level_basis"]) == (None, "node")


def test_mean_spread_and_bursts_are_those_of_the_own_gpus_where_known() -> None:
    # half at 0.3875 (step 15), half at 0.6125 (step 24): mean 0.5, which is 1.225 times exceeded
    even = histogram(s15=50, s24=50)
    found = of(job(1), power_levels=levels((1, histogram(s1=100), even)))
    assert found["level_basis"] == "gpu"
    assert found["mean_level"] == pytest.approx(0.5)
    assert found["spread"] == pytest.approx((0.1125**2 - 0.025**2 / 12) ** 0.5 / 0.5)
    assert found["burst_frac"] == 0.0
    # mean 0.1 x 0.9125 + 0.9 x 0.4125 = 0.4625; a quarter more is 0.578
    some = of(job(1), power_levels=levels((1, histogram(s16=90, s36=10), None)))
    assert some["burst_frac"] == pytest.approx(0.1)


def test_a_level_that_never_moves_has_no_spread() -> None:
    assert of(job(1), power_levels=levels((1, histogram(s7=10), None)))["spread"] == 0.0


def test_idle_energy_is_time_at_idle_x_share_x_idle_power() -> None:
    # half of 1000 s below 0.1, half of the node, 200 W: 500 x 0.5 x 200 / 3.6e6
    found = of(job(1), power_levels=levels((1, histogram(s3=50, s20=50), None)))
    assert found["idle_kwh"] == pytest.approx(500 * 0.5 * 200 / 3.6e6)
    # its own GPU was idle all the time, whatever others drew
    gpu = of(job(1), power_levels=levels((1, histogram(s20=100), histogram(s0=100))))
    assert gpu["idle_kwh"] == pytest.approx(1000 * 0.5 * 200 / 3.6e6)
    assert of(job(1))["idle_kwh"] is None


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(0, N_LEVELS - 1), st.integers(1, 1000)),
        max_size=20,
    )
)
@settings(max_examples=25)
def test_no_second_of_a_histogram_is_lost(parts: list[tuple[int, int, int]]) -> None:
    by_job: dict[int, list[float]] = {}
    for number, step, seconds in parts:
        by_job.setdefault(number, [0.0] * N_LEVELS)[step] += seconds
    table = gather(
        *(job(number, number * HOUR) for number in range(1, 6)),
        power_levels=levels(*((number, own, None) for number, own in by_job.items())),
    )
    for number, own in zip(table["run_id"], table["node_level_s"].to_list(), strict=True):
        assert own == by_job.get(number)


def test_neither_evidence_nor_decisions_name_a_person_or_a_command() -> None:
    secret = {"user": "xyzzy", "command": "python /home/xyzzy/plugh.py", "name": "plugh-xyzzy"}
    table = gather(job(1, ran_s=5 * HOUR, directory="/home/xyzzy", project="plugh", **secret))
    told = kinds.classify(table.lazy(), kinds.Thresholds()).collect()
    for text in (table.write_json(), told.write_json(), json.dumps(told.to_dicts())):
        assert "xyzzy" not in text
        assert "plugh" not in text


def test_the_same_rows_in_another_order_give_the_same_evidence() -> None:
    jobs = [job(i, i * 7, ran_s=100 + i * 1.1) for i in range(1, 30)]
    assert gather(*jobs).equals(gather(*reversed(jobs)))
