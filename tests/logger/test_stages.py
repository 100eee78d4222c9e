"""Jobs by stage, and the expected end of a run."""

from pathlib import Path

import pytest

from snakemake_logger_plugin_footprint.stages import OTHER_STAGE, STAGES, Progress, duration_text

RULES = Path(__file__).parents[2] / "workflow/rules"
WITHOUT_JOBS = {"report", "report_files"}  # rules that others inherit, and functions


def test_every_rule_file_has_a_stage() -> None:
    assert {path.stem for path in RULES.glob("*.smk")} - WITHOUT_JOBS == set(STAGES)


def test_stages_count_their_jobs_in_order() -> None:
    files = {"plot": "paper", "download": "download", "convert": "power"}
    progress = Progress({"plot": 2, "download": 1, "convert": 3, "odd": 1}, files, 0)
    assert [(each.name, each.n_jobs) for each in progress.stages.values()] == [
        ("records", 4),
        ("results and report", 2),
        (OTHER_STAGE, 1),
    ]
    assert (progress.n_finished, progress.n_jobs) == (0, 7)


def test_stage_begins_with_its_first_job_and_ends_with_its_last() -> None:
    progress = Progress({"plot": 2}, {"plot": "paper"}, 0)
    stage = progress.stages["results and report"]
    progress.begin_job(4, "plot", 10)
    progress.begin_job(5, "plot", 11)
    assert (stage.began_s, stage.ended_s) == (10, None)
    assert progress.finish_job(5, 20) is None
    assert progress.finish_job(4, 31) is stage
    assert (stage.began_s, stage.ended_s) == (10, 31)


def test_unknown_jobs_are_not_counted() -> None:
    progress = Progress({"plot": 1}, {}, 0)
    progress.begin_job(1, "all", 1)
    assert progress.finish_job(1, 2) is None
    assert progress.finish_job(9, 2) is None
    assert progress.n_finished == 0


def test_end_is_expected_from_jobs_so_far() -> None:
    progress = Progress({"plot": 20}, {}, 100)
    for job in range(20):
        assert progress.expected_end_s(150) is None or job >= 5
        progress.begin_job(job, "plot", 100)
        progress.finish_job(job, 150)
        if job == 4:
            assert progress.expected_end_s(150) == 300  # 5 of 20 took 50 s
    assert progress.expected_end_s(150) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.9, "1 h 00 min"),
        (7641, "2 h 07 min"),
    ],
)
def test_duration_text_has_two_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
