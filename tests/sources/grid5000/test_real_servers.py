"""The whole client against the real OAR and the real Kwollect: jobs, power, energies by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

import footprint
from footprint import serve
from footprint.allocation.shares import reserved_shares
from footprint.config import study
from footprint.core.calendar import Window
from footprint.serve import metric_faults
from footprint.serve.faults import FaultyApplication
from footprint.sources import power_download
from footprint.sources.cleaning import CleaningSettings
from footprint.sources.grid5000.refusals import RequestTooLarge, raise_for_status
from footprint.sources.grid5000.site import Grid5000Site
from footprint.sources.registry import open_site
from tests.support import kwollect_server
from tests.support.http_service import POWER_METRIC, grid5000_config
from tests.support.kwollect_server import KwollectServer
from tests.support.oar_server import OarServer
from tests.support.real_site import (
    END,
    FIRST_JOB,
    LANES,
    MAX_GAP_S,
    START,
    START_S,
    KnownJob,
    energy_by_hand,
    real_services,
    recorded_study,
)

pytestmark = pytest.mark.oar

CLUSTERS = ("cpux", "gpux")
FAULT_RATE = 0.15


@pytest.fixture(scope="module")
def recorded(real_oar: OarServer, real_kwollect: KwollectServer) -> Iterator[list[KnownJob]]:
    with recorded_study(real_oar, real_kwollect) as jobs:
        yield jobs


def open_study_site(address: str, **download: Any) -> Grid5000Site:
    """Return the site as a rule's script opens it."""
    options = {"retries": 6, "concurrency": 4, "chunks": {"hours": 2, "nodes": 2}, "jobs": "oarapi"}
    loaded = grid5000_config(
        address,
        study={"start": f"{START:%Y-%m-%d}", "end": f"{END:%Y-%m-%d}"},
        download=options | download,
        privacy={"key": "public"},
    )
    planned = study.plan_study(loaded)
    site = open_site(planned.source, site=planned.site, download=loaded["download"])
    assert isinstance(site, Grid5000Site)
    return site


def energies(site: Grid5000Site, folder: Path) -> tuple[dict[int, float], pl.DataFrame]:
    """Return the measured energy of each job (kWh), and what the lists of jobs lack."""
    nodes, records = site.nodes().collect(), site.jobs(start=START, end=END)
    jobs = records.jobs.collect()
    power = []
    for cluster in CLUSTERS:
        path = folder / f"{cluster}.parquet"
        power_download.download_power(
            site,
            nodes,
            path,
            metric=POWER_METRIC,
            cluster=cluster,
            window=Window(START, END),
            settings=CleaningSettings(MAX_GAP_S, 20.0),
        )
        power.append(pl.read_parquet(path))
    shares = reserved_shares(records.jobs, records.allocations, nodes.lazy()).collect()
    times = jobs.select(
        "job_id",
        pl.col("started_at").clip(START, END),
        pl.col("stopped_at").clip(START, END),
    )
    held = shares.join(times, on="job_id").select(
        "job_id", "node", "share", "started_at", "stopped_at"
    )
    found = footprint.integrate(pl.concat(power), held, max_gap_s=MAX_GAP_S)
    by_job = dict(found.select("job_id", "measured_kwh").iter_rows())
    return by_job, records.rejected.collect()


@pytest.mark.parametrize("rate", [0.0, FAULT_RATE])
def test_energies_of_the_real_servers_equal_those_by_hand(
    recorded: list[KnownJob],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rate: float,
) -> None:
    monkeypatch.chdir(tmp_path)  # the answers are kept in the folder of the study
    monkeypatch.setattr(metric_faults, "MAX_CUT_ROWS", 1000)  # an hour has 720 readings
    faults = serve.Faults(seed=5, rate=rate, delay_s=0.05)
    with (
        real_services() as services,
        serve.running_application(FaultyApplication(services, faults)) as address,
    ):
        found, lacking = energies(open_study_site(address), tmp_path)
    expected = {job.job_id: energy_by_hand(job) for job in recorded if job.stopped_s > START_S}
    assert {key for key in found if key >= FIRST_JOB} == expected.keys()
    assert lacking.rows() == []
    for job_id, energy_kwh in expected.items():
        assert found[job_id] == pytest.approx(energy_kwh, rel=1e-9), job_id
    assert len(faults.counts) >= (5 if rate else 0), faults.counts
    assert len({job.lane for job in recorded}) == len(LANES)


def test_jobs_of_damaged_lists_of_the_real_oar_are_complete(
    recorded: list[KnownJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page is damaged three times in a row."""
    monkeypatch.chdir(tmp_path)
    end = START + timedelta(days=1)
    faults = serve.Faults(rate=1.0, kinds=("empty_list", "total_without_items", "cut_jobs"))
    with (
        real_services() as services,
        serve.running_application(FaultyApplication(services, faults)) as address,
    ):
        site = open_study_site(address)
        records = site.jobs(start=START, end=end)
    ids = set(records.jobs.select("job_id").collect()["job_id"])
    expected = {
        job.job_id
        for job in recorded
        if job.stopped_s > START_S and job.started_s < end.timestamp()
    }
    assert {job_id for job_id in ids if job_id >= FIRST_JOB} == expected
    assert records.rejected.collect().rows() == []
    assert len(faults.counts) == 3


@pytest.mark.usefixtures("recorded")
def test_names_that_the_database_holds_twice_encoded_are_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with real_services() as services, serve.running_application(services) as address:
        jobs = open_study_site(address).jobs(start=START, end=START + timedelta(days=1))
    names = jobs.jobs.filter(pl.col("job_id") >= FIRST_JOB).select("name").collect()
    assert set(names["name"]) == {None, "entraîné"}


@pytest.mark.usefixtures("recorded")
def test_refusals_of_too_much_by_the_real_database_are_understood(
    real_kwollect: KwollectServer,
) -> None:
    """The time-out of statements is a millisecond for this request."""
    before = real_kwollect.run_sql("SHOW statement_timeout").strip()
    query = {"nodes": "cpux-1", "metrics": POWER_METRIC}
    query |= {"start_time": str(START_S), "end_time": str(START_S + 86_400)}
    real_kwollect.run_sql("ALTER ROLE kwuser SET statement_timeout TO '1ms'")
    try:
        with httpx.Client(base_url=kwollect_server.API_URL, trust_env=False) as client:
            answer = client.get("/rpc/get_metrics", params=query)
    finally:
        real_kwollect.run_sql(
            f"SET statement_timeout TO 0; ALTER ROLE kwuser SET statement_timeout TO '{before}'"
        )
    assert answer.json()["code"] in ("38000", "57014")
    with pytest.raises(RequestTooLarge):
        raise_for_status(answer.status_code, answer.content, where="/metrics")
