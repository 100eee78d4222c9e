"""Snakemake's side: jobs are handed to OAR, watched together, and cancelled together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

from snakemake_executor_plugin_oar import answers, commands, demands, records
from snakemake_executor_plugin_oar.answers import Job, OarError, Verdict

common_settings = CommonSettings(
    job_deploy_sources=False,  # homes are shared between the frontend and the nodes
    non_local_exec=True,
    implies_no_shared_fs=False,
    pass_group_args=True,
)

STARTED = datetime.now()
"""When Snakemake loaded its plugins, which is before it looks for what is to be done: a job of an
earlier run that ended later counts as going on, since its outputs were missing then."""

ROUNDS_UNKNOWN = 20
"""Rounds after which a job that OAR does not know any longer counts as lost."""

ATTEMPTS = 10
"""How often OAR is asked which jobs an earlier run left, before anything is submitted."""


def _title(job: Any) -> tuple[str, tuple[str, ...]]:
    """A job's rule and wildcards, or its group."""
    if job.is_group():
        return str(job.groupid), ()
    return job.name, tuple(map(str, job.wildcards_dict.values()))


class Executor(RemoteExecutor):
    """Runs each job, or group of jobs, of Snakemake as a job of OAR."""

    def __post_init__(self) -> None:
        """Look whether OAR is here, before anything is planned for it."""
        try:
            commands.check_installed()
        except OarError as error:
            raise WorkflowError(str(error)) from None
        self._earlier: list[records.Earlier] | None = None
        self._open: set[str] = set()  # ids of jobs that have not ended, as far as is known
        # A thread submits, so that Ctrl-C waits for an id that is on its way, and cancels that too.
        self._submitting = ThreadPoolExecutor(max_workers=1)
        self._silent_since: float | None = None

    # --- submission -----------------------------------------------------------------------------

    def run_job(self, job: Any) -> None:
        """Submit a job, unless one of an earlier run makes the same, or still writes its files."""
        wanted = records.outputs(job)
        ids, same = records.makers(wanted, self._left_behind())
        info = SubmittedJobInfo(job, external_jobid=",".join(ids) or None, aux={"ids": ids})
        if ids:
            self._open.update(ids)
            info.aux["next"] = not same
            earlier = f"OAR job {', '.join(ids)} of an earlier run"
            self.logger.info(
                f"Adopted: {earlier}." if same else f"Waiting: {earlier} still writes these files."
            )
            self.report_job_submission(info)
            return
        try:
            self._submitting.submit(self._submit, info).result()
        except OarError as error:
            self.report_job_error(info, msg=f"not submitted: {error}. ")
        else:
            self.report_job_submission(info)

    def _submit(self, info: SubmittedJobInfo) -> None:
        """Write the script of a job, and submit it."""
        script = Path(self.get_jobscript(info.job))
        self.write_jobscript(info.job, str(script))
        records.write(script, records.outputs(info.job))
        try:
            submission = self._submission(info.job, script)
        except ValueError as error:
            raise OarError(str(error)) from None
        job_id = commands.oarsub(submission)
        self._open.add(job_id)
        info.external_jobid = job_id
        info.aux = {"ids": [job_id], "log": submission.log.replace("%jobid%", job_id)}

    def _submission(self, job: Any, script: Path) -> demands.Submission:
        settings = self.workflow.executor_settings
        resources = job.resources

        def told(name: str) -> str:
            return str(resources.get(f"oar_{name}", getattr(settings, name)))

        if resources.get("runtime") is None:
            raise ValueError("no runtime, in minutes; give one to the rule or to default-resources")
        types = tuple(each.strip() for each in told("types").split(",") if each.strip())
        if "idempotent" in types:
            raise ValueError("OAR starts jobs of type idempotent again by itself; retries do that")
        name = demands.job_name(*_title(job))
        logs = Path(settings.logdir).absolute()
        logs.mkdir(parents=True, exist_ok=True)
        return demands.Submission(
            script=str(script),
            directory=str(Path.cwd()),
            log=str(logs / f"{name}.%jobid%.log"),
            name=name,
            resources=demands.resource_request(
                cores=job.threads,
                runtime_min=resources.get("runtime"),
                memory_mb=resources.get("mem_mb", 0),
                memory_per_core_mb=settings.memory_per_core_mb,
                gpus=resources.get("gpu", 0),
                request=str(resources.get("oar_request", "")),
            ),
            queue=told("queue"),
            project=told("project"),
            properties=told("properties"),
            types=types,
        )

    def _left_behind(self) -> list[records.Earlier]:
        """Jobs of earlier runs that went on as this one began; asked for before all submissions."""
        if self._earlier is None:
            jobs = self._ask_patiently()
            self._earlier = records.left_behind(jobs, Path(".snakemake").absolute())
        return self._earlier

    def _ask_patiently(self) -> dict[str, Job]:
        attempts = 0
        while True:
            try:
                return commands.jobs_since(STARTED)
            except OarError as error:
                attempts += 1
                if attempts == ATTEMPTS:
                    raise WorkflowError(
                        f"{error}. Nothing is submitted while OAR does not tell which jobs of an "
                        "earlier run go on."
                    ) from None
                self.logger.warning(f"{error}. OAR is asked again in a moment.")
            time.sleep(self.next_seconds_between_status_checks)

    # --- watching -------------------------------------------------------------------------------

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncIterator[SubmittedJobInfo]:
        """Ask once for all jobs, and report those that ended; gives those that go on."""
        known = await self._states([each for info in active_jobs for each in info.aux["ids"]])
        for info in active_jobs:
            if known is None or not await self._ended(info, known):
                yield info

    async def _states(self, ids: list[str]) -> dict[str, Job] | None:
        """What OAR knows of jobs; None while it does not answer, which is no reason to give up."""
        if not ids:
            return {}
        try:
            async with self.status_rate_limiter:
                known = await asyncio.to_thread(commands.oarstat, sorted(set(ids)))
        except OarError as error:
            if self._silent_since is None:
                self._silent_since = time.monotonic()
                self.logger.warning(f"{error}. Jobs go on; OAR is asked again until it answers.")
            return None
        if self._silent_since is not None:
            silence_s = time.monotonic() - self._silent_since
            self.logger.info(f"OAR answers again, after {silence_s:.0f} s.")
            self._silent_since = None
        return known

    async def _ended(self, info: SubmittedJobInfo, known: dict[str, Job]) -> bool:
        """Report how a job ended; False while it has not."""
        verdicts = [self._verdict(each, known, info) for each in info.aux["ids"]]
        if any(each is None for each in verdicts):
            return False
        self._open.difference_update(info.aux["ids"])
        if info.aux.get("next"):
            return await self._refused_next(info)
        failed = [
            (job_id, found)
            for job_id, found in zip(info.aux["ids"], verdicts, strict=True)
            if found is not None and not found.success
        ]
        if failed:
            # What is tried again is submitted, not adopted from the job that failed.
            lost = {job_id for job_id, _ in failed}
            self._earlier = [each for each in self._earlier or () if each.job_id not in lost]
            self._report_failure(info, *failed[0], known)
        else:
            self.report_job_success(info)
        return True

    def _verdict(
        self, job_id: str, known: dict[str, Job], info: SubmittedJobInfo
    ) -> Verdict | None:
        if job_id in known:
            info.aux.pop("unknown", None)
            return answers.verdict(known[job_id])
        info.aux["unknown"] = info.aux.get("unknown", 0) + 1
        if info.aux["unknown"] < ROUNDS_UNKNOWN:
            return None
        return Verdict(False, "OAR does not know it any longer")

    async def _refused_next(self, info: SubmittedJobInfo) -> bool:
        """Submit a job that waited for those of an earlier run; tells whether OAR refused it."""
        try:
            await asyncio.wrap_future(self._submitting.submit(self._submit, info))
        except OarError as error:
            self.report_job_error(info, msg=f"not submitted: {error}. ")
            return True
        return False

    def _report_failure(
        self, info: SubmittedJobInfo, job_id: str, found: Verdict, known: dict[str, Job]
    ) -> None:
        job = known.get(job_id, {})
        nodes = ", ".join(job.get("assigned_network_address") or ())
        log = info.aux.get("log") or job.get("stdout_file", "").replace("%jobid%", job_id)
        where = f" on {nodes}" if nodes else ""
        # The message of a group is not shown by Snakemake: this line is.
        name = demands.job_name(*_title(info.job))
        self.logger.error(f"OAR job {job_id} ({name}){where}: {found.reason}; its log: {log}")
        logs = [log] if Path(log).is_file() else []
        self.report_job_error(info, msg=f"{found.reason}. ", aux_logs=logs)

    # --- the end --------------------------------------------------------------------------------

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:  # noqa: ARG002
        """Have OAR end all jobs at once.

        Those that OAR is being asked about at this moment are not among the active jobs.
        """
        self._submitting.shutdown(wait=True)
        if not self._open:
            return
        try:
            commands.oardel(sorted(self._open))
        except OarError as error:
            ids = " ".join(sorted(self._open))
            self.logger.error(f"{error}. These jobs may go on; end them with: oardel {ids}")
