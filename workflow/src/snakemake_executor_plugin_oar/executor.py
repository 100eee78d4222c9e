"""The executor: jobs of Snakemake are submitted to OAR, polled together, and cancelled together."""

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

LOADED_AT = datetime.now()
"""Time at which Snakemake loaded its plugins, before it planned its jobs. A job of an earlier run
that ended later counts as running, since its outputs may have been missing at planning."""

MAX_UNLISTED_ROUNDS = 20
"""Rounds of polling after which a job that OAR no longer lists counts as lost."""

MAX_LISTING_ATTEMPTS = 10
"""Attempts to list the jobs of earlier runs before the first submission."""


def _name_parts(job: Any) -> tuple[str, tuple[str, ...]]:
    """Rule and wildcards of a job, or id of a group."""
    if job.is_group():
        return str(job.groupid), ()
    return job.name, tuple(map(str, job.wildcards_dict.values()))


class Executor(RemoteExecutor):
    """Runs each job, or group of jobs, of Snakemake as one job of OAR."""

    def __post_init__(self) -> None:
        """Check that OAR's commands are installed.

        Raises:
            WorkflowError: A command is missing.
        """
        try:
            commands.check_installed()
        except OarError as error:
            raise WorkflowError(str(error)) from None
        self._earlier: list[records.EarlierJob] | None = None
        self._open: set[str] = set()  # ids of jobs whose end was not observed
        # a thread submits: Ctrl-C then waits for the id of a submission, and cancels that job too
        self._submitter = ThreadPoolExecutor(max_workers=1)
        self._silent_since: float | None = None

    # --- submission -----------------------------------------------------------------------------

    def run_job(self, job: Any) -> None:
        """Submit a job, unless jobs of an earlier run write its outputs.

        Those jobs are adopted if they write all outputs with equal fingerprints. Else the job waits
        for their end.
        """
        wanted = records.output_fingerprints(job)
        ids, are_equal = records.jobs_that_write(wanted, self._earlier_jobs())
        info = SubmittedJobInfo(job, external_jobid=",".join(ids) or None, aux={"ids": ids})
        if ids:
            self._open.update(ids)
            info.aux["submit_next"] = not are_equal
            earlier_text = f"OAR job {', '.join(ids)} of an earlier run"
            self.logger.info(
                f"Adopted: {earlier_text}."
                if are_equal
                else f"Waiting: {earlier_text} still writes these files."
            )
            self.report_job_submission(info)
            return
        try:
            self._submitter.submit(self._submit_job, info).result()
        except OarError as error:
            self.report_job_error(info, msg=f"not submitted: {error}. ")
        else:
            self.report_job_submission(info)

    def _submit_job(self, info: SubmittedJobInfo) -> None:
        """Write the script of a job, and submit it.

        Raises:
            OarError: The job was not submitted.
        """
        script = Path(self.get_jobscript(info.job))
        self.write_jobscript(info.job, str(script))
        records.write_record(script, records.output_fingerprints(info.job))
        try:
            submission = self._submission(info.job, script)
        except ValueError as error:
            raise OarError(str(error)) from None
        job_id = commands.oarsub(submission)
        self._open.add(job_id)
        info.external_jobid = job_id
        info.aux = {"ids": [job_id], "log": submission.log.replace("%jobid%", job_id)}

    def _submission(self, job: Any, script: Path) -> demands.Submission:
        """Arguments of `oarsub` for a job.

        Raises:
            ValueError: The job has no runtime, a number that is too small, or a refused type.
        """
        settings = self.workflow.executor_settings
        resources = job.resources

        def setting_of_job(name: str) -> str:
            return str(resources.get(f"oar_{name}", getattr(settings, name)))

        if resources.get("runtime") is None:
            raise ValueError(
                "no runtime; set runtime, in minutes, in the rule or in default-resources"
            )
        types = tuple(each.strip() for each in setting_of_job("types").split(",") if each.strip())
        if "idempotent" in types:
            raise ValueError(
                "OAR starts jobs of type idempotent again by itself; use retries instead"
            )
        name = demands.job_name(*_name_parts(job))
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
            queue=setting_of_job("queue"),
            project=setting_of_job("project"),
            properties=setting_of_job("properties"),
            types=types,
        )

    def _earlier_jobs(self) -> list[records.EarlierJob]:
        """Jobs of earlier runs that ran as this run began; listed before the first submission."""
        if self._earlier is None:
            jobs = self._list_jobs()
            self._earlier = records.find_earlier_jobs(jobs, Path(".snakemake").absolute())
        return self._earlier

    def _list_jobs(self) -> dict[str, Job]:
        """Jobs that have not ended before `LOADED_AT`, by id, after several attempts if needed.

        Raises:
            WorkflowError: Every attempt failed.
        """
        attempts = 0
        while True:
            try:
                return commands.jobs_since(LOADED_AT)
            except OarError as error:
                attempts += 1
                if attempts == MAX_LISTING_ATTEMPTS:
                    raise WorkflowError(
                        f"{error}. No job is submitted, as OAR does not list the jobs of earlier "
                        "runs that still run."
                    ) from None
                self.logger.warning(f"{error}. The request is repeated in a moment.")
            time.sleep(self.next_seconds_between_status_checks)

    # --- polling --------------------------------------------------------------------------------

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncIterator[SubmittedJobInfo]:
        """Poll all jobs with one `oarstat`, report those that ended, and yield the others."""
        listed = await self._listed_jobs([each for info in active_jobs for each in info.aux["ids"]])
        for info in active_jobs:
            if listed is None or not await self._report_if_ended(info, listed):
                yield info

    async def _listed_jobs(self, ids: list[str]) -> dict[str, Job] | None:
        """Jobs that OAR lists, by id; None if `oarstat` failed, which ends no job."""
        if not ids:
            return {}
        try:
            async with self.status_rate_limiter:
                listed = await asyncio.to_thread(commands.oarstat, sorted(set(ids)))
        except OarError as error:
            if self._silent_since is None:
                self._silent_since = time.monotonic()
                self.logger.warning(
                    f"{error}. Jobs go on; oarstat is called again until it succeeds."
                )
            return None
        if self._silent_since is not None:
            silence_s = time.monotonic() - self._silent_since
            self.logger.info(f"oarstat succeeds again, after {silence_s:.0f} s.")
            self._silent_since = None
        return listed

    async def _report_if_ended(self, info: SubmittedJobInfo, listed: dict[str, Job]) -> bool:
        """Report how a job ended; False before its end."""
        verdicts = [self._verdict(each, listed, info) for each in info.aux["ids"]]
        if any(each is None for each in verdicts):
            return False
        self._open.difference_update(info.aux["ids"])
        if info.aux.get("submit_next"):
            return await self._submit_waiting_job(info)
        failed = [
            (job_id, verdict)
            for job_id, verdict in zip(info.aux["ids"], verdicts, strict=True)
            if verdict is not None and not verdict.success
        ]
        if failed:
            # a retry is submitted, not adopted from the job that failed
            failed_ids = {job_id for job_id, _ in failed}
            self._earlier = [each for each in self._earlier or () if each.job_id not in failed_ids]
            self._report_failure(info, *failed[0], listed)
        else:
            self.report_job_success(info)
        return True

    def _verdict(
        self, job_id: str, listed: dict[str, Job], info: SubmittedJobInfo
    ) -> Verdict | None:
        """How a job ended; None before its end. A job that OAR no longer lists fails in the end."""
        if job_id in listed:
            info.aux.pop("unlisted", None)
            return answers.job_verdict(listed[job_id])
        info.aux["unlisted"] = info.aux.get("unlisted", 0) + 1
        if info.aux["unlisted"] < MAX_UNLISTED_ROUNDS:
            return None
        return Verdict(False, "OAR no longer lists it")

    async def _submit_waiting_job(self, info: SubmittedJobInfo) -> bool:
        """Submit a job that waited for jobs of an earlier run; True if it was not submitted."""
        try:
            await asyncio.wrap_future(self._submitter.submit(self._submit_job, info))
        except OarError as error:
            self.report_job_error(info, msg=f"not submitted: {error}. ")
            return True
        return False

    def _report_failure(
        self, info: SubmittedJobInfo, job_id: str, verdict: Verdict, listed: dict[str, Job]
    ) -> None:
        job = listed.get(job_id, {})
        nodes = ", ".join(job.get("assigned_network_address") or ())
        log = info.aux.get("log") or job.get("stdout_file", "").replace("%jobid%", job_id)
        where = f" on {nodes}" if nodes else ""
        # Snakemake does not show the message of a group, hence this line
        name = demands.job_name(*_name_parts(info.job))
        self.logger.error(f"OAR job {job_id} ({name}){where}: {verdict.reason}; its log: {log}")
        logs = [log] if Path(log).is_file() else []
        self.report_job_error(info, msg=f"{verdict.reason}. ", aux_logs=logs)

    # --- cancellation ---------------------------------------------------------------------------

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:  # noqa: ARG002
        """End all jobs with one `oardel`.

        The ids are those of this executor: `active_jobs` lacks the jobs that are being polled.
        """
        self._submitter.shutdown(wait=True)
        if not self._open:
            return
        try:
            commands.oardel(sorted(self._open))
        except OarError as error:
            ids = " ".join(sorted(self._open))
            self.logger.error(f"{error}. These jobs may still run; end them with: oardel {ids}")
