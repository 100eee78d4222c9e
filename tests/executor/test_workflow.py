"""Jobs of Snakemake through a real OAR, as a user runs them, with failures."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.oar_server import STATE_FOLDER, ClusterUser, OarServer, command_output, wait_for
from tests.support.project import COPIED_PATHS, ROOT, job_counts

pytestmark = [pytest.mark.oar, pytest.mark.slow, pytest.mark.workflow]

FAST_OPTIONS = ("--seconds-between-status-checks", "2", "--latency-wait", "10", "--retries", "0")


@pytest.fixture(scope="module")
def alice(real_oar: OarServer) -> Iterator[ClusterUser]:  # noqa: ARG001
    """A user in a folder outside pytest's, which only root may enter."""
    folder = Path(command_output("mktemp", "-d", "/tmp/footprint-oar-XXXXXX").strip())
    folder.chmod(0o755)
    try:
        user = ClusterUser("alice", folder)
        library = folder / "project/workflow/src"
        for part in COPIED_PATHS:
            target = folder / "project" / part
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / part).is_dir() else shutil.copy2)(ROOT / part, target)
        command_output("chown", "-R", "alice:", str(folder))
        user.python = user.environment_of_python(library)
        yield user
    finally:
        shutil.rmtree(folder)


class Run:
    """Snakemake of a user on a workflow in a directory."""

    def __init__(self, user: ClusterUser, folder: Path) -> None:
        self.user, self.folder = user, folder
        self.process: subprocess.Popen[str] | None = None

    def write(self, snakefile: str) -> None:
        (self.folder / "Snakefile").write_text(snakefile)
        command_output("chown", "-R", f"{self.user.name}:", str(self.folder))

    def start(self, *options: str, **environment: str) -> None:
        profile = self.user.folder / "project/profiles/grid5000"
        words = (
            self.user.python,
            "-m",
            "snakemake",
            "--profile",
            str(profile),
            *FAST_OPTIONS,
            *options,
        )
        self.process = self.user.start(*words, cwd=self.folder, **environment)

    def end(self, *, longest_s: float = 240) -> int:
        assert self.process
        return self.process.wait(longest_s)

    def run(
        self, *options: str, status: int = 0, longest_s: float = 240, **environment: str
    ) -> str:
        self.start(*options, **environment)
        assert self.end(longest_s=longest_s) == status, self.output
        return self.output

    @property
    def output(self) -> str:
        return (self.folder / "said.log").read_text(encoding="utf-8")

    def release_jobs(self) -> None:
        """Let the jobs of WAITING end."""
        (self.folder / "go").touch()

    def path_with_wrapper(self, name: str, lines: str) -> str:
        """A PATH with a wrapper of an OAR command that runs lines of shell first."""
        path = self.folder / "bin" / name
        path.parent.mkdir()
        path.write_text(f'#!/bin/sh\n{lines}\nexec /usr/bin/{name} "$@"\n')
        path.chmod(0o755)
        return f"{path.parent}:/usr/bin:/bin"

    def all_running(self, *names: str) -> Callable[[], bool]:
        """A condition that holds while all jobs of these names run."""

        def check() -> bool:
            assert self.process
            assert self.process.poll() is None, self.output
            active = self.user.active()
            return {job["name"] for job in active if job["state"] == "Running"} >= set(names)

        return check

    def n_starts(self, name: str) -> int:
        """Number of times the script of a job began."""
        path = self.folder / f"{name}.starts"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def here(alice: ClusterUser, request: pytest.FixtureRequest) -> Iterator[Run]:
    """Snakemake in a new directory of alice; jobs left at the end are deleted."""
    folder = alice.folder / request.node.name
    folder.mkdir()
    run = Run(alice, folder)
    yield run
    if run.process and run.process.poll() is None:
        run.process.kill()
        run.process.wait()
    left = [str(job["Job_Id"]) for job in alice.active()]
    if left:
        alice.does("oardel", *left)
        wait_for("jobs to end", lambda: not alice.active())


# --- failures ------------------------------------------------------------------------------------

FAILURES = """
rule all:
    input:
        "fine", "fails", "over", "deleted", "refused", "idempotent",

rule fine:
    output: touch("fine")
    shell: "echo output of a success"

rule fails:
    output: "fails"
    shell: "echo written by the rule; exit 3"

rule over:
    output: "over"
    resources: runtime=1
    shell: "sleep 300"

rule deleted:
    output: "deleted"
    shell: "sleep 300"

rule refused:
    output: touch("refused")
    resources: oar_request="host=1/core=1000"
    shell: "true"

rule idempotent:
    output: touch("idempotent")
    resources: oar_types="exotic,idempotent"
    shell: "true"
"""


def test_executor_failed_jobs_report_reason_and_log(here: Run) -> None:
    here.write(FAILURES)
    study = here.folder / "study"
    here.start("--keep-going", "--directory", str(study))
    wait_for("the job to run", here.all_running("deleted"))
    [deleted] = [job["Job_Id"] for job in here.user.active() if job["name"] == "deleted"]
    command_output("oardel", str(deleted))
    assert here.end() == 1
    assert (study / "fine").exists()
    reasons = dict(
        re.findall(r"^OAR job \d+ \((\w+)\) on [\w.-]+: (.*); its log: ", here.output, re.M)
    )
    assert reasons == {
        "fails": "exit status 1",  # of the inner Snakemake, whose log has the details
        "over": "killed at the end of its walltime of 60 s",
        "deleted": "deleted by root",
    }
    logs = dict(re.findall(r"^OAR job \d+ \((\w+)\) .*; its log: (.*)$", here.output, re.M))
    text = Path(logs["fails"]).read_text(encoding="utf-8")
    assert "written by the rule" in text
    assert "rule over:" in Path(logs["over"]).read_text(encoding="utf-8")
    for path in logs.values():
        assert Path(path).parent == study / "logs/oar"
    assert (
        "not submitted: There are not enough resources for your request (of: oarsub -n refused "
        "-l host=1/core=1000,walltime=0:10:00"
    ) in here.output
    assert "not submitted: OAR starts jobs of type idempotent again by itself" in here.output
    assert "1 of 7 steps" in here.output


# --- interrupted runs ----------------------------------------------------------------------------

WAITING = """
NAMES = ["one", "two", "three", "four"]

rule all:
    input:
        collect("{name}.done", name=NAMES),
        "single.done",

rule several:
    output: touch("{name}.done")
    params: code=MARK
    group: "several"
    shell: "echo $OAR_JOB_ID >> {wildcards.name}.starts; while [ ! -e go ]; do sleep 0.5; done"

rule single:
    output: touch("single.done")
    shell: "echo $OAR_JOB_ID >> single.starts; while [ ! -e go ]; do sleep 0.5; done"
"""
GROUPED = ("--group-components", "several=2")


def waiting_workflow(mark: str) -> str:
    """A workflow whose jobs end once a file `go` exists."""
    return WAITING.replace("MARK", f'"{mark}"')


def kill_and_unlock(run: Run) -> None:
    """Kill Snakemake by SIGKILL, and unlock the directory."""
    assert run.process
    run.process.kill()
    run.process.wait()
    done = run.user.does(run.user.python, "-m", "snakemake", "--unlock", cwd=run.folder)
    assert done.returncode == 0, done.stderr


def test_executor_run_killed_running_jobs_are_adopted(here: Run) -> None:
    here.write(waiting_workflow("1"))
    here.start(*GROUPED, "--set-resources", "single:oar_types=exotic")
    names = ("one", "two", "three", "four", "single")
    wait_for("all jobs to start", lambda: all(here.n_starts(name) for name in names))
    kill_and_unlock(here)
    ids = {str(job["Job_Id"]) for job in here.user.active()}
    assert len(ids) == 3  # two of the group, with two months each, and the single one
    here.start(*GROUPED)
    wait_for("the adoption", lambda: here.output.count("Adopted: OAR job") == 3)
    here.release_jobs()
    assert here.end() == 0, here.output
    assert [here.n_starts(name) for name in names] == [1] * 5
    # the second run may form other groups, yet every running job is adopted
    adopted = re.findall(r"^Adopted: OAR job ([\d, ]+) of an earlier run", here.output, re.M)
    assert {each for ids in adopted for each in ids.split(", ")} == ids
    assert "6 of 6 steps (100%) done" in here.output


def test_executor_job_ends_while_next_run_starts_is_adopted(here: Run) -> None:
    here.write(waiting_workflow("1"))
    here.start("single.done")
    wait_for("the job to start", lambda: here.n_starts("single"))
    kill_and_unlock(here)
    # the next run has planned when it first calls oarstat; the job ends then
    end = (
        "touch go; while [ ! -e single.done ] || /usr/bin/oarstat | grep -q ' R '; do sleep 1; done"
    )
    path = here.path_with_wrapper(
        "oarstat", f'if [ "$2" = -u ] && [ ! -e go ]; then {end}; sleep 2; fi'
    )
    output = here.run("single.done", PATH=path)
    assert "Adopted: OAR job" in output
    assert here.n_starts("single") == 1


def test_executor_adopted_job_fails_is_submitted_again(here: Run) -> None:
    here.write(waiting_workflow("1"))
    here.start("single.done")
    wait_for("the job to start", lambda: here.n_starts("single"))
    kill_and_unlock(here)
    here.start("single.done", "--retries", "1")
    wait_for("the adoption", lambda: "Adopted: OAR job" in here.output)
    [adopted] = here.user.active()
    command_output("oardel", str(adopted["Job_Id"]))
    wait_for("the second start", lambda: here.n_starts("single") == 2)
    here.release_jobs()
    assert here.end() == 0, here.output
    assert f"OAR job {adopted['Job_Id']} (single)" in here.output
    assert here.output.count("Adopted") == 1


def test_executor_rule_changed_after_kill_waits_for_writing_job(here: Run) -> None:
    here.write(waiting_workflow("1"))
    here.start("one.done", "two.done", *GROUPED)
    wait_for("the jobs to start", lambda: here.n_starts("one") and here.n_starts("two"))
    kill_and_unlock(here)
    here.write(waiting_workflow("2"))
    here.start("one.done", "two.done", *GROUPED)
    wait_for("the next run to look", lambda: "still writes these files." in here.output)
    here.release_jobs()
    assert here.end() == 0, here.output
    job_ids = [(here.folder / f"{name}.starts").read_text().split() for name in ("one", "two")]
    assert job_ids[0] == job_ids[1]
    assert len(job_ids[0]) == 2
    assert f"Waiting: OAR job {job_ids[0][0]} of an earlier run" in here.output
    listing = here.user.does("oarstat", "-f", "-J", "-j", job_ids[0][0], "-j", job_ids[0][1]).stdout
    before, after = (json.loads(listing)[each] for each in job_ids[0])
    assert after["startTime"] >= before["stopTime"]


def test_executor_ctrl_c_ends_all_jobs(here: Run) -> None:
    here.write(waiting_workflow("1"))
    here.start(*GROUPED)
    wait_for("the jobs to run", lambda: here.n_starts("single") and here.n_starts("one"))
    assert here.process
    os.killpg(here.process.pid, signal.SIGINT)  # a terminal signals every process of the group
    assert here.end(longest_s=30) == 1
    wait_for("OAR to end them", lambda: not here.user.active())
    assert not list(here.folder.glob("*.done"))
    assert "Terminating processes on user request" in here.output


# --- failures of OAR -----------------------------------------------------------------------------


def test_executor_server_down_at_submission_runs_job_once(here: Run, real_oar: OarServer) -> None:
    pid = int((STATE_FOLDER / "run/almighty.pid").read_text().split()[0])
    here.write(waiting_workflow("1"))
    os.kill(pid, signal.SIGTERM)
    try:
        wait_for("the server to be down", lambda: not is_alive(pid))
        here.release_jobs()
        here.start("single.done")
        wait_for("the submission", here.user.active)
        assert [job["state"] for job in here.user.active()] == ["Waiting"]
    finally:
        command_output(str(real_oar.scripts / "setup-real-oar.sh"))
    assert here.end() == 0, here.output
    assert here.n_starts("single") == 1


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_executor_oarstat_fails_jobs_go_on(here: Run) -> None:
    here.write(waiting_workflow("1"))
    broken = here.folder / "broken"
    path = here.path_with_wrapper(
        "oarstat", f"if [ -e {broken} ]; then echo 'no route to host' >&2; exit 3; fi"
    )
    here.start("single.done", PATH=path)
    wait_for("the job to start", lambda: here.n_starts("single"))
    broken.touch()
    wait_for("the warning", lambda: "no route to host" in here.output)
    here.release_jobs()
    wait_for("the end of the job", lambda: not here.user.active())
    broken.unlink()
    assert here.end() == 0, here.output
    assert here.output.count("oarstat ended with status 3: no route to host. Jobs go on") == 1
    assert "oarstat succeeds again, after" in here.output
    assert here.n_starts("single") == 1


# --- the default study ---------------------------------------------------------------------------


def test_executor_default_study_equals_study_without_oar(alice: ClusterUser) -> None:
    project, local = alice.folder / "project", alice.folder / "local"
    command_output("cp", "-a", str(project), str(local))
    words = (alice.python, "-m", "snakemake", "--cores", "2")
    assert alice.start(*words, cwd=local).wait(900) == 0, (local / "said.log").read_text()
    run = Run(alice, project)
    options = ("--jobs", "2", "--cores", "2", "--logger-footprint-off")
    output = run.run(*options, longest_s=1500)
    found, expected = study_files(project), study_files(local)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert len(expected) > 200
    submitted = [path.name.partition(".")[0] for path in (project / "logs/oar").iterdir()]
    names = ("downloads", "months", "clusters", "series", "gaps")
    grouped = {name: submitted.count(name) for name in names}
    assert grouped == {"downloads": 3, "months": 3, "clusters": 1, "series": 2, "gaps": 1}
    assert submitted.count("figures") == 1
    assert job_counts(output)["integrate_energy"] == 18
    assert len(submitted) < 40 < sum(job_counts(output).values())


def study_files(folder: Path) -> dict[str, bytes]:
    """Contents of a study's files by path."""
    files = [path for part in ("resources", "results") for path in (folder / part).rglob("*")]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in files if path.is_file()
    }
