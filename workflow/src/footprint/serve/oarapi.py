"""OAR's own REST API: jobs by date with their resources, and the table of resources.

One key is not OAR's: jobs of `jobs/details` and `jobs/<id>/details` have `state_logs`, the rows of
OAR's table `job_state_logs` about suspensions (`{job_state, date_start, date_stop}`, 0 while one
lasts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from footprint.serve import jobs, reference
from footprint.serve.recorded import RecordedSite
from footprint.serve.refusals import OarRefusal
from footprint.sources.oar.job_records import ENDED_STATES

DEFAULT_LIMIT = 500
SELECTION_PARAMETERS = ("from", "to", "state", "array", "ids")
"""Parameters that select jobs; without any of them, a list has the active jobs only."""

EMPTY_LIST: dict[str, Any] = {"items": [], "links": [], "offset": 0, "total": 0}
"""A list without a job, and one of which the query failed."""

BYTES_PER_MIB = 2**20


class OarApi:
    """OAR's REST API for the jobs and nodes on record."""

    def __init__(self, recorded: RecordedSite) -> None:
        self._recorded = recorded
        rows = [row for of_cluster in recorded.nodes_by_cluster.values() for row in of_cluster]
        self._resources = _core_resources(rows)
        self._by_core = {
            (each["host"].partition(".")[0], each["cpuset"]): each for each in self._resources
        }

    def version_document(self) -> dict[str, Any]:
        """Return the versions that this server stands for, and the time."""
        versions = {"oar_version": "2.5.9 (simulated)", "api_version": "1.0.2"}
        zone = {"api_timezone": "UTC", "api_timestamp": self._recorded.now_s}
        return versions | {"apilib_version": "1.0.2"} | zone

    def timezone_document(self) -> dict[str, Any]:
        """Return the time zone and the time (s since 1970)."""
        return {"timezone": "UTC", "api_timestamp": self._recorded.now_s}

    def jobs_page(self, path: str, query: Mapping[str, str], form: str) -> dict[str, Any]:
        """Return a page of the jobs that the parameters select, by id.

        As OAR's API, it answers an empty list where its query fails, as with a time that is no
        number, and a total without items where the second of its queries fails.

        Args:
            path: Path of the list, for its links.
            query: Parameters.
            form: `simple`, `details` or `table`.
        """
        try:
            selected = self._select_jobs(query)
        except _FailedQuery:
            return dict(EMPTY_LIST)
        describe = {
            "simple": self._short_job,
            "details": self._detailed_job,
            "table": self._table_row,
        }[form]
        total = len(selected) + self._n_overdue(query, selected)
        if not total:
            return dict(EMPTY_LIST)
        return self._page(selected, path, query, describe=describe, total=total)

    def one_job(self, job_id: str, *, details: bool) -> dict[str, Any]:
        """Return one job, with or without its resources.

        Raises:
            OarRefusal: The job is not on record.
        """
        row = self._recorded.find_job(job_id)
        if row is None:
            raise OarRefusal(404, "Job not found", "Job not found")
        return self._detailed_job(row) if details else self._full_job(row)

    def resources_page(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return a page of the table of resources: one row for each core, `cpuset` as a number."""
        return self._page(self._resources, path, query)

    def _n_overdue(self, query: Mapping[str, str], selected: list[dict[str, Any]]) -> int:
        """Return how many running jobs OAR counts and does not list: walltime over at `from`.

        Source: `OAR::IO::count_jobs_for_user_query` lacks the condition on the walltime that
        `get_jobs_for_user_query` has.
        """
        if "from" not in query:
            return 0
        ids = {row["job_id"] for row in selected}
        rows = self._select_jobs({name: value for name, value in query.items() if name != "from"})
        return sum(row["state"] == "running" and row["job_id"] not in ids for row in rows)

    def _select_jobs(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        kept: Iterable[dict[str, Any]] = self._recorded.jobs_by_id.values()
        if "user" in query:
            kept = [row for row in kept if row["user"] == query["user"]]
        if not any(name in query for name in SELECTION_PARAMETERS):
            return [row for row in kept if row["state"] not in ENDED_STATES]
        if "state" in query:
            states = query["state"].split(",")
            kept = [row for row in kept if state_name(row) in states]
        if "array" in query:
            kept = [row for row in kept if row["array_id"] == _whole_number(query, "array", 0)]
        if "ids" in query:
            ids = [_parse_whole_number(text) for text in query["ids"].split(":")]
            kept = [row for row in kept if row["job_id"] in ids]
        start_s = _whole_number(query, "from", 0)
        end_s = _whole_number(query, "to", self._recorded.now_s)
        return [row for row in kept if _overlaps(row, start_s, end_s)]

    def _page(
        self,
        rows: Sequence[dict[str, Any]],
        path: str,
        query: Mapping[str, str],
        *,
        describe: Callable[[dict[str, Any]], dict[str, Any]] = dict,
        total: int | None = None,
    ) -> dict[str, Any]:
        total = len(rows) if total is None else total
        try:
            offset = _whole_number(query, "offset", 0)
            # OAR takes a limit of 0 for none
            limit = _whole_number(query, "limit", DEFAULT_LIMIT) or DEFAULT_LIMIT
        except _FailedQuery:
            limit = -1
        if limit < 0 or offset < 0:
            rows, offset, limit = [], 0, 1

        def link(relation: str, first: int) -> dict[str, str]:
            others = {name: value for name, value in query.items() if name != "offset"}
            href = f"{path}?{urlencode({**others, 'offset': first}, safe=',:')}"
            return {"rel": relation, "href": href}

        links = [link("self", offset)]
        if offset + limit < total:
            links.append(link("next", offset + limit))
        if offset > 0:
            links.append(link("previous", max(0, offset - limit)))
        return {
            "total": total,
            "offset": offset,
            "items": [describe(row) for row in rows[offset : offset + limit]],
            "links": links,
            "api_timestamp": self._recorded.now_s,
        }

    def _job_links(self, job_id: int) -> list[dict[str, str]]:
        href = f"/oarapi/jobs/{job_id}"
        return [
            {"rel": "self", "href": href},
            {"rel": "collection", "href": f"{href}/resources", "title": "resources"},
            {"rel": "collection", "href": f"{href}/nodes", "title": "nodes"},
        ]

    def _short_job(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": row["job_id"],
            "state": state_name(row),
            "owner": row["user"],
            "name": row["name"],
            "queue": row["queue"],
            "submission": row["submitted_at"],
            "links": self._job_links(row["job_id"]),
            "api_timestamp": self._recorded.now_s,
        }

    def _common_fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Fields that details and table have in common."""
        return {
            "id": row["job_id"],
            "state": state_name(row),
            "project": row["project"],
            "command": row["command"],
            "initial_request": "",
            "launching_directory": row["directory"],
            "submission_time": row["submitted_at"],
            "start_time": row["started_at"] or 0,
            "stop_time": row["stopped_at"] or 0,
            "walltime": row["walltime_s"],
            "exit_code": row["exit_code"],
            "array_id": row["array_id"],
            "reservation": "None",
            "message": "",
            "properties": "",
            "stdout_file": f"OAR.{row['job_id']}.stdout",
            "stderr_file": f"OAR.{row['job_id']}.stderr",
            "links": self._job_links(row["job_id"]),
            "api_timestamp": self._recorded.now_s,
        }

    def _table_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return self._common_fields(row) | {
            "job_id": row["job_id"],
            "job_user": row["user"],
            "job_name": row["name"],
            "job_type": row["job_type"],
            "queue_name": row["queue"],
            "assigned_moldable_job": row["job_id"] if row["allocations"] else 0,
        }

    def _full_job(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return self._common_fields(row) | {
            "owner": row["user"],
            "name": row["name"],
            "queue": row["queue"],
            "type": row["job_type"],
            "types": row["types"],
            "wanted_resources": row["request"],
            "array_index": row["array_index"],
            "dependencies": [],
            "resubmit_job_id": 0,
            "cpuset_name": None,
            "scheduled_start": row["started_at"] if row["state"] not in ENDED_STATES else None,
            "events": [
                {
                    "event_id": event_id,
                    "job_id": row["job_id"],
                    "date": date,
                    "type": kind,
                    "to_check": "NO",
                    "description": "",
                }
                for event_id, date, kind in jobs.job_events(row)
            ],
        }

    def _detailed_job(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return self._full_job(row) | {
            "resources": [
                {**resource, "cpuset": str(core), "status": "assigned"}
                for allocation in row["allocations"]
                for core in allocation["cores"]
                for resource in [self._by_core[allocation["node"], core]]
            ],
            "nodes": [
                {
                    "network_address": jobs.full_node_name(allocation["node"], row),
                    "status": "assigned",
                }
                for allocation in row["allocations"]
            ],
            "state_logs": [
                {
                    "job_state": "Suspended",
                    "date_start": suspension["started_at"],
                    "date_stop": suspension["stopped_at"] or 0,
                }
                for suspension in row["suspensions"]
            ],
        }


def state_name(row: Mapping[str, Any]) -> str:
    """Return the state of a job as OAR writes it."""
    return str(row["state"]).capitalize()


def _overlaps(row: Mapping[str, Any], start_s: int, end_s: int) -> bool:
    """Whether a job ran in a window, or may run in it until its walltime is over.

    A job that never started counts at its submission.
    """
    started_s: int | None = row["started_at"]
    if started_s is None:
        return bool(start_s <= row["submitted_at"] <= end_s)
    stopped_s: int = row["stopped_at"] or started_s + row["walltime_s"]
    return started_s < end_s and stopped_s >= start_s


class _FailedQuery(Exception):
    """A query that the database refuses."""


def _whole_number(query: Mapping[str, str], name: str, otherwise: int) -> int:
    return _parse_whole_number(query[name]) if name in query else otherwise


def _parse_whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _FailedQuery from None


def _core_resources(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the cores of all nodes; ids of cores, CPUs and GPUs are unique on the site."""
    found: list[dict[str, Any]] = []
    n_cpus = n_gpus = 0
    for row in rows:
        numbering, host = reference.core_numbering(row), jobs.full_node_name(row["node"], row)
        memory = row["memory_bytes"] // BYTES_PER_MIB
        for core, gpu in zip(row["cores"], row["core_gpus"], strict=True):
            number = len(found) + 1
            found.append(
                {
                    "id": number,
                    "type": "default",
                    "state": "Alive",
                    "host": host,
                    "network_address": host,
                    "cluster": row["cluster"],
                    "core": number,
                    "cpuset": core,
                    "cpu": n_cpus + 1 + reference.socket_of_core(core, row, numbering),
                    "gpu": None if gpu is None else n_gpus + 1 + gpu,
                    "gpudevice": gpu,
                    "gpu_model": None if gpu is None else row["gpu_models"][gpu],
                    "gpu_count": len(row["gpus"]),
                    "core_count": row["n_cores"],
                    "thread_count": row["n_threads"],
                    "cpu_count": row["n_cpus"],
                    "cputype": row["cpu_model"],
                    "memnode": memory,
                    "memcpu": memory // row["n_cpus"],
                    "memcore": memory // row["n_cores"],
                    "production": "YES" if "production" in row["queues"] else "NO",
                    "max_walltime": reference.MAX_WALLTIME_S,
                    "exotic": "NO",
                }
            )
        n_cpus += row["n_cpus"]
        n_gpus += len(row["gpus"])
    return found
