"""Jobs of a run by stage, and the time at which the run is expected to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STAGES = {
    "download": "records",
    "power": "records",
    "devices": "records",
    "ledgers": "records",
    "energy": "energy",
    "gaps": "energy",
    "estimates": "estimates",
    "phases": "runs and kinds",
    "phase_results": "results and report",
    "paper": "results and report",
    "comparison": "results and report",
    "ledger_results": "results and report",
    "background": "results and report",
    "summary": "results and report",
    "private": "results and report",
    "report_page": "results and report",
    "counters": "results and report",
    "validation": "validation",
}
"""Stage by rule file of `workflow/rules`, in the order of the printed lines."""

OTHER_STAGE = "other rules"

MIN_FINISHED = 5
"""Number of finished jobs from which on an end is expected."""


@dataclass
class Stage:
    """Jobs of a stage: their number, those that began and those that finished; times in s."""

    name: str
    n_jobs: int
    n_finished: int = 0
    began_s: float | None = None
    ended_s: float | None = None


class Progress:
    """Stages of a run in order, from the numbers of its jobs by rule.

    Args:
        n_jobs: Number of jobs by rule, without `total`.
        files: Name of the rule file by rule. A rule without one has the stage `OTHER_STAGE`.
        now_s: Time of the start in s.
    """

    def __init__(self, n_jobs: Mapping[str, int], files: Mapping[str, str], now_s: float) -> None:
        self._stage_of_rule = {
            rule: STAGES.get(files.get(rule, ""), OTHER_STAGE) for rule in n_jobs
        }
        totals: dict[str, int] = {}
        for rule, number in n_jobs.items():
            name = self._stage_of_rule[rule]
            totals[name] = totals.get(name, 0) + number
        order = dict.fromkeys([*STAGES.values(), OTHER_STAGE])
        self.stages = {name: Stage(name, totals[name]) for name in order if name in totals}
        self._rule_of_job: dict[int, str] = {}
        self._began_s = now_s

    def begin_job(self, job: int, rule: str, now_s: float) -> None:
        """Count the start of a job, with which its stage may begin."""
        self._rule_of_job[job] = rule
        stage = self._stage(rule)
        if stage is not None and stage.began_s is None:
            stage.began_s = now_s

    def finish_job(self, job: int, now_s: float) -> Stage | None:
        """Count the end of a job; return its stage if that ends with it."""
        stage = self._stage(self._rule_of_job.pop(job, ""))
        if stage is None:
            return None
        stage.n_finished += 1
        if stage.n_finished != stage.n_jobs:
            return None
        stage.ended_s = now_s
        return stage

    def _stage(self, rule: str) -> Stage | None:
        return self.stages.get(self._stage_of_rule.get(rule, ""))

    @property
    def n_jobs(self) -> int:
        """Number of all jobs."""
        return sum(stage.n_jobs for stage in self.stages.values())

    @property
    def n_finished(self) -> int:
        """Number of finished jobs."""
        return sum(stage.n_finished for stage in self.stages.values())

    def expected_end_s(self, now_s: float) -> float | None:
        """Expected time of the end in s if jobs to come take as long as earlier ones; else None."""
        if self.n_finished < MIN_FINISHED or self.n_finished >= self.n_jobs:
            return None
        return now_s + (now_s - self._began_s) * (self.n_jobs / self.n_finished - 1)


def duration_text(seconds: float) -> str:
    """Return a duration such as `42 s`, `3 min 05 s` or `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
