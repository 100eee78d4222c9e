"""Faults of Kwollect and the proxies: what the client gets, and that it reads all the same."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint import serve
from footprint.serve import metric_faults, metrics
from footprint.sources.grid5000 import http, samples
from footprint.sources.grid5000.refusals import RequestTooLarge, raise_for_status
from tests.support.http_service import open_service
from tests.support.kwollect_downloads import sample_query
from tests.support.simulated_server import (
    POWER_METRIC,
    ServedSite,
    epoch_seconds,
    served_site,
    simulated_config,
)

NODES = ["gruss-1", "gruss-2"]
MINUTES = 160
"""Length of the window, whose fourth halves are of ten minutes."""


def small_study() -> dict[str, Any]:
    return simulated_config(nodes={"gruss": 2}, jobs=3)


@pytest.fixture(scope="module")
def whole() -> Iterator[ServedSite]:
    with served_site(small_study()) as served:
        yield served


def window_of(served: ServedSite) -> tuple[datetime, datetime]:
    return served.site.start, served.site.start + timedelta(minutes=MINUTES)


def metrics_query(served: ServedSite, **changes: Any) -> dict[str, Any]:
    start, end = window_of(served)
    times = {"start_time": epoch_seconds(start), "end_time": epoch_seconds(end)}
    return {"nodes": ",".join(NODES), "metrics": POWER_METRIC} | times | changes


def download(served: ServedSite, folder: Path) -> pl.DataFrame:
    """Return the readings that the client downloads."""
    start, end = window_of(served)
    frames = samples.download_samples(
        open_service(served.server.url, folder, retries=4),
        sample_query(hours=8),
        nodes=NODES,
        start=start,
        end=end,
    )
    return pl.concat(frames).sort("node", "timestamp", "value", nulls_last=True)


@pytest.mark.parametrize("kind", ["too_much_data", "statement_timeout", "out_of_memory"])
def test_refusal_of_too_much_has_a_code_and_is_met_by_smaller_requests(
    whole: ServedSite, tmp_path: Path, kind: str
) -> None:
    faults = serve.Faults(rate=1.0, kinds=[kind])
    with served_site(small_study(), faults=faults) as served:
        for seconds in range(5):
            query = metrics_query(served, end_time=epoch_seconds(served.site.start) + 900 + seconds)
            answer = served.client.get("/sites/nancy/metrics", params=query)
            document = answer.json()
            given = (document["message"], document["code"], answer.status_code)
            assert given in metric_faults.SIZE_REFUSALS[kind]
            with pytest.raises(RequestTooLarge):
                raise_for_status(answer.status_code, answer.content, where="")
        assert_frame_equal(download(served, tmp_path / "b"), download(whole, tmp_path / "a"))
    assert faults.counts[kind] > 10


def test_answers_without_their_last_rows_are_completed(
    whole: ServedSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_faults, "MAX_CUT_ROWS", 500)
    faults = serve.Faults(rate=1.0, kinds=["cut_rows"])
    with served_site(small_study(), faults=faults) as served:
        rows = served.get_json("/sites/nancy/metrics", **metrics_query(served))
        n_all = len(whole.get_json("/sites/nancy/metrics", **metrics_query(whole)))
        assert len(rows) == 500 < n_all
        assert_frame_equal(download(served, tmp_path / "b"), download(whole, tmp_path / "a"))
    assert faults.counts["cut_rows"] > n_all // 500


def test_time_out_of_the_proxy_is_met_by_smaller_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first three tries of any request fail after a time that counts as slow."""
    monkeypatch.setattr(http, "SLOW_TRY_S", 0.04)
    faults = serve.Faults(rate=1.0, kinds=["proxy_timeout"], delay_s=0.05)
    with served_site(small_study(), faults=faults, log_requests=True) as served:
        began = time.monotonic()
        answer = served.get_response("/sites/nancy/metrics", **metrics_query(served), expect=502)
        assert time.monotonic() - began >= 0.05
        assert "Error reading from remote server" in answer.text
        with pytest.raises(samples.InputError, match="502: 502 Proxy Error"):
            download(served, tmp_path / "b")  # two tries each, down to ten minutes of one node
    asked = [each.query for each in served.server.requests][1:]
    windows = [float(each["end_time"]) - float(each["start_time"]) for each in asked]
    assert min(windows) == 600.0
    single = {(each["nodes"], window) for each, window in zip(asked, windows, strict=True)}
    assert single >= {(node, 600.0) for node in NODES}


def test_two_means_of_one_bucket_differ(whole: ServedSite) -> None:
    faults = serve.Faults(rate=1.0, kinds=["two_numbers"])
    query = {"summary": "true"}
    means = whole.get_json("/sites/nancy/metrics", **metrics_query(whole), **query)
    with served_site(small_study(), faults=faults) as served:
        found = served.get_json("/sites/nancy/metrics", **metrics_query(served), **query)
        single = served.get_json("/sites/nancy/metrics", **metrics_query(served))
    n_numbers = sum(isinstance(each["value"], int | float) for each in means[::12])
    assert len(found) == len(means) + n_numbers > len(means)
    assert found[1] == found[0] | {"value": found[0]["value"] + 10}
    assert single == whole.get_json("/sites/nancy/metrics", **metrics_query(whole))


@pytest.mark.parametrize("timestamp", ["1200000000", "yesterday", "2025-03-03"])
def test_reference_api_hangs_before_its_first_commit(timestamp: str) -> None:
    with served_site(small_study(), faults=serve.Faults(delay_s=0.05)) as served:
        for path in ("/sites", "/sites/nancy/clusters", "/sites/nancy/clusters/gruss/nodes"):
            began = time.monotonic()
            served.get_response(path, timestamp=timestamp, expect=502)
            assert time.monotonic() - began >= 0.05
        served.get_response("/sites", timestamp="1743000000")
        served.get_response("/sites/nancy/jobs", timestamp=timestamp)


def test_records_are_separated_as_postgresql_does() -> None:
    assert metrics.RECORD_SEPARATOR == ", \n "
    row = {"timestamp": "2025-03-03T00:00:00+01:00", "value": 1}
    body = f"[{metrics.RECORD_SEPARATOR.join([json.dumps(row)] * 3)}]".encode()
    assert len(json.loads(metric_faults.add_different_means(body))) == 4
