"""Snakemake's jobs through a real OAR, as a user runs them, with what can go wrong."""

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
from oar_server import STATE, Server, User, command, wait_for
from running import PARTS, ROOT, job_counts

pytestmark = [pytest.mark.oar, pytest.mark.slow, pytest.mark.workflow]

HASTE = ("--seconds-between-status-checks", "2", "--latency-wait", "10", "--retries", "0")


@pytest.fixture(scope="module")
def alice(real_oar: Server) -> Iterator[User]:  # noqa: ARG001
    """A user in a folder outside of pytest's, where only root can go."""
    folder = Path(command("mktemp", "-d", "/tmp/footprint-oar-XXXXXX").strip())
    folder.chmod(0o755)
    try:
        user = User("alice", folder)
        library = folder / "project/workflow/src"
        for part in PARTS:
            target = folder / "project" / part
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / part).is_dir() else shutil.copy2)(ROOT / part, target)
        command("chown", "-R", "alice:", str(folder))
        user.python = user.environment_of_python(library)
        yield user
    finally:
        shutil.rmtree(folder)


class Run:
    """Snakemake of alice on a workflow in a directory."""

    def __init__(self, user: User, folder: Path) -> None:
        self.user, self.folder = user, folder
        self.process: subprocess.Popen[str] | None = None

    def write(self, snakefile: str) -> None:
        (self.folder / "Snakefile").write_text(snakefile)
        command("chown", "-R", f"{self.user.name}:", str(self.folder))

    def start(self, *options: str, **environment: str) -> None:
        profile = self.user.folder / "project/profiles/grid5000"
        words = (self.user.python, "-m", "snakemake", "--profile", str(profile), *HASTE, *options)
        self.process = self.user.start(*words, cwd=self.folder, **environment)

    def end(self, *, longest_s: float = 240) -> int:
        assert self.process
        return self.process.wait(longest_s)

    def run(
        self, *options: str, status: int = 0, longest_s: float = 240, **environment: str
    ) -> str:
        self.start(*options, **environment)
        assert self.end(longest_s=longest_s) == status, self.said
        return self.said

    @property
    def said(self) -> str:
        return (self.folder / "said.log").read_text(encoding="utf-8")

    def go(self) -> None:
        """Let the jobs of WAITING end."""
        (self.folder / "go").touch()

    def instead_of(self, name: str, lines: str) -> str:
        """A PATH on which lines of shell come before a command of OAR."""
        path = self.folder / "bin" / name
        path.parent.mkdir()
        path.write_text(f'#!/bin/sh\n{lines}\nexec /usr/bin/{name} "$@"\n')
        path.chmod(0o755)
        return f"{path.parent}:/usr/bin:/bin"

    def running(self, *names: str) -> Callable[[], bool]:
        """Whether all jobs of these names run."""

        def check() -> bool:
            assert self.process
            assert self.process.poll() is None, self.said
            active = self.user.active()
            return {job["name"] for job in active if job["state"] == "Running"} >= set(names)

        return check

    def starts(self, name: str) -> int:
        """How often the script of a job began."""
        path = self.folder / f"{name}.starts"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def here(alice: User, request: pytest.FixtureRequest) -> Iterator[Run]:
    """A directory of alice; what is left of its jobs is ended."""
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
        "fine", "fails", "over", "deleted", "refused", "unasked",

rule fine:
    output: touch("fine")
    shell: "echo of the good one"

rule fails:
    output: "fails"
    shell: "echo told by the rule; exit 3"

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

rule unasked:
    output: touch("unasked")
    resources: oar_types="exotic,idempotent"
    shell: "true"
"""


def test_each_failure_is_told_with_its_reason_and_its_log(here: Run) -> None:
    here.write(FAILURES)
    study = here.folder / "study"
    here.start("--keep-going", "--directory", str(study))
    wait_for("the job to run", here.running("deleted"))
    [deleted] = [job["Job_Id"] for job in here.user.active() if job["name"] == "deleted"]
    command("oardel", str(deleted))
    assert here.end() == 1
    assert (study / "fine").exists()
    told = dict(re.findall(r"^OAR job \d+ \((\w+)\) on [\w.-]+: (.*); its log: ", here.said, re.M))
    assert told == {
        "fails": "exit status 1",  # of the Snakemake inside, which tells the rest
        "over": "killed at the end of its walltime of 60 s",
        "deleted": "deleted by root",
    }
    logs = dict(re.findall(r"^OAR job \d+ \((\w+)\) .*; its log: (.*)$", here.said, re.M))
    text = Path(logs["fails"]).read_text(encoding="utf-8")
    assert "told by the rule" in text
    assert "rule over:" in Path(logs["over"]).read_text(encoding="utf-8")
    for path in logs.values():
        assert Path(path).parent == study / "logs/oar"
    assert (
        "not submitted: There are not enough resources for your request (of: oarsub -n refused "
        "-l host=1/core=1000,walltime=0:10:00"
    ) in here.said
    assert "not submitted: OAR starts jobs of type idempotent again by itself" in here.said
    assert "1 of 7 steps" in here.said


# --- runs that break off -------------------------------------------------------------------------

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


def waiting(mark: str) -> str:
    """A workflow whose jobs end when there is a file `go`."""
    return WAITING.replace("MARK", f'"{mark}"')


def kill(run: Run) -> None:
    """Kill Snakemake without a chance to tidy up, and free the directory."""
    assert run.process
    run.process.kill()
    run.process.wait()
    done = run.user.does(run.user.python, "-m", "snakemake", "--unlock", cwd=run.folder)
    assert done.returncode == 0, done.stderr


def test_after_a_kill_running_jobs_are_adopted(here: Run) -> None:
    here.write(waiting("1"))
    here.start(*GROUPED, "--set-resources", "single:oar_types=exotic")
    names = ("one", "two", "three", "four", "single")
    wait_for("all jobs to start", lambda: all(here.starts(name) for name in names))
    kill(here)
    ids = {str(job["Job_Id"]) for job in here.user.active()}
    assert len(ids) == 3  # two of the group, with two months each, and the single one
    here.start(*GROUPED)
    wait_for("the adoption", lambda: here.said.count("Adopted: OAR job") == 3)
    here.go()
    assert here.end() == 0, here.said
    assert [here.starts(name) for name in names] == [1] * 5
    # Groups may be made up in another way in the second run; all that runs is adopted.
    adopted = re.findall(r"^Adopted: OAR job ([\d, ]+) of an earlier run", here.said, re.M)
    assert {each for ids in adopted for each in ids.split(", ")} == ids
    assert "6 of 6 steps (100%) done" in here.said


def test_a_job_that_ends_while_the_next_run_begins_is_adopted_too(here: Run) -> None:
    here.write(waiting("1"))
    here.start("single.done")
    wait_for("the job to start", lambda: here.starts("single"))
    kill(here)
    # The next run has planned when it first asks OAR; the job ends then.
    end = (
        "touch go; while [ ! -e single.done ] || /usr/bin/oarstat | grep -q ' R '; do sleep 1; done"
    )
    path = here.instead_of("oarstat", f'if [ "$2" = -u ] && [ ! -e go ]; then {end}; sleep 2; fi')
    said = here.run("single.done", PATH=path)
    assert "Adopted: OAR job" in said
    assert here.starts("single") == 1


def test_what_was_adopted_and_fails_is_submitted_again(here: Run) -> None:
    here.write(waiting("1"))
    here.start("single.done")
    wait_for("the job to start", lambda: here.starts("single"))
    kill(here)
    here.start("single.done", "--retries", "1")
    wait_for("the adoption", lambda: "Adopted: OAR job" in here.said)
    [adopted] = here.user.active()
    command("oardel", str(adopted["Job_Id"]))
    wait_for("the second start", lambda: here.starts("single") == 2)
    here.go()
    assert here.end() == 0, here.said
    assert f"OAR job {adopted['Job_Id']} (single)" in here.said
    assert here.said.count("Adopted") == 1


def test_after_a_kill_what_changed_waits_for_the_job_that_still_writes(here: Run) -> None:
    here.write(waiting("1"))
    here.start("one.done", "two.done", *GROUPED)
    wait_for("the jobs to start", lambda: here.starts("one") and here.starts("two"))
    kill(here)
    here.write(waiting("2"))
    here.start("one.done", "two.done", *GROUPED)
    wait_for("the next run to look", lambda: "still writes these files." in here.said)
    here.go()
    assert here.end() == 0, here.said
    ran = [(here.folder / f"{name}.starts").read_text().split() for name in ("one", "two")]
    assert ran[0] == ran[1]
    assert len(ran[0]) == 2
    assert f"Waiting: OAR job {ran[0][0]} of an earlier run" in here.said
    told = here.user.does("oarstat", "-f", "-J", "-j", ran[0][0], "-j", ran[0][1]).stdout
    before, after = (json.loads(told)[each] for each in ran[0])
    assert after["startTime"] >= before["stopTime"]


def test_ctrl_c_ends_all_jobs(here: Run) -> None:
    here.write(waiting("1"))
    here.start(*GROUPED)
    wait_for("the jobs to run", lambda: here.starts("single") and here.starts("one"))
    assert here.process
    os.killpg(here.process.pid, signal.SIGINT)  # a terminal tells all processes of the group
    assert here.end(longest_s=30) == 1
    wait_for("OAR to end them", lambda: not here.user.active())
    assert not list(here.folder.glob("*.done"))
    assert "Terminating processes on user request" in here.said


# --- when OAR is not well ------------------------------------------------------------------------


def test_a_server_that_is_down_at_submission_runs_each_job_once(
    here: Run, real_oar: Server
) -> None:
    pid = int((STATE / "run/almighty.pid").read_text().split()[0])
    here.write(waiting("1"))
    os.kill(pid, signal.SIGTERM)
    try:
        wait_for("the server to be down", lambda: not lives(pid))
        here.go()
        here.start("single.done")
        wait_for("the submission", here.user.active)
        assert [job["state"] for job in here.user.active()] == ["Waiting"]
    finally:
        command(str(real_oar.scripts / "setup-real-oar.sh"))
    assert here.end() == 0, here.said
    assert here.starts("single") == 1


def lives(pid: int) -> bool:
    """Whether a process is there; one that has ended may still wait for its parent."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_while_oarstat_fails_jobs_go_on(here: Run) -> None:
    here.write(waiting("1"))
    broken = here.folder / "broken"
    path = here.instead_of(
        "oarstat", f"if [ -e {broken} ]; then echo 'no route to host' >&2; exit 3; fi"
    )
    here.start("single.done", PATH=path)
    wait_for("the job to start", lambda: here.starts("single"))
    broken.touch()
    wait_for("the warning", lambda: "no route to host" in here.said)
    here.go()
    wait_for("the end of the job", lambda: not here.user.active())
    broken.unlink()
    assert here.end() == 0, here.said
    assert here.said.count("oarstat ended with status 3: no route to host. Jobs go on") == 1
    assert "OAR answers again, after" in here.said
    assert here.starts("single") == 1


# --- the default study ---------------------------------------------------------------------------


def test_the_default_study_has_the_same_bytes_as_without_oar(alice: User) -> None:
    project, local = alice.folder / "project", alice.folder / "local"
    command("cp", "-a", str(project), str(local))
    words = (alice.python, "-m", "snakemake", "--cores", "2")
    assert alice.start(*words, cwd=local).wait(900) == 0, (local / "said.log").read_text()
    run = Run(alice, project)
    said = run.run("--jobs", "2", "--cores", "2", longest_s=1500)
    found, expected = made(project), made(local)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert len(expected) > 200
    submitted = [path.name.partition(".")[0] for path in (project / "logs/oar").iterdir()]
    grouped = {name: submitted.count(name) for name in ("downloads", "months", "clusters")}
    assert grouped == {"downloads": 5, "months": 3, "clusters": 1}
    assert submitted.count("figures") == 1
    assert job_counts(said)["integrate_energy"] == 18
    assert len(submitted) < 35 < sum(job_counts(said).values())


def made(folder: Path) -> dict[str, bytes]:
    """All that a study makes, by path; a report holds the times of its making."""
    files = [path for part in ("resources", "results") for path in (folder / part).rglob("*")]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if path.is_file() and path.name != "report.html"
    }
