"""Interrupted downloads: no further request, and no received answer is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from footprint.sources.grid5000 import samples
from footprint.sources.grid5000.refusals import Refused
from tests.support.http_service import HOUR, MINUTE, Api, open_service, running_api
from tests.support.kwollect_downloads import (
    NODES,
    START,
    downloaded_samples,
    every_minute,
    nodes_and_times,
    requested_minutes,
    sample_query,
    small_kwollect,
)

HANGS_S = 120
"""Longest wait of a test for an event."""


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api(small_kwollect(hours=24)) as running:
        yield running


def test_refusal_stops_all_further_requests(api: Api, tmp_path: Path) -> None:
    """The other 23 chunks are not requested while the first one is awaited."""
    readings, began = api.answer, str(int(START.timestamp()))
    refused = threading.Event()

    def refuse_others(path: str, params: dict[str, str]) -> Any:
        if params["start_time"] != began:
            refused.set()
            return 401, "who is it?"
        refused.wait(HANGS_S)
        time.sleep(0.3)
        return readings(path, params)

    api.answer = refuse_others
    with pytest.raises(Refused, match="who is it"):
        downloaded_samples(api, tmp_path, sample_query(concurrency=4), hours=24)
    assert 2 <= len(api.requests) <= 4  # each thread once at most


def test_refusal_in_between_yields_no_node_with_gaps(api: Api, tmp_path: Path) -> None:
    """Nodes before the refusal may come, others may not. Kept answers are not requested again."""
    readings, lock = api.answer, threading.Lock()
    answered: list[dict[str, str]] = []

    def refuses_after_eight(path: str, params: dict[str, str]) -> Any:
        with lock:
            if len(answered) == 8:
                return 403, "not any more"
            answered.append(params)
        return readings(path, params)

    api.answer = refuses_after_eight
    request = sample_query(n_nodes=1, concurrency=3)
    received: list[Any] = []

    def read_frames() -> None:
        window = {"start": START, "end": START + 6 * HOUR}
        for frame in samples.download_samples(
            open_service(api.url, tmp_path), request, nodes=NODES, **window
        ):
            received.extend(nodes_and_times(frame))

    with pytest.raises(Refused, match="not any more"):
        read_frames()
    assert received in ([], every_minute(NODES[:1], 6))
    api.clear_requests()
    api.answer = readings
    assert nodes_and_times(downloaded_samples(api, tmp_path, request, hours=6)) == every_minute(
        NODES, 6
    )
    assert len(api.requests) == 4 * 6 - 8
    assert not [params for _, params in api.requests if params in answered]


def test_closed_download_makes_no_further_request(api: Api, tmp_path: Path) -> None:
    readings, closing = api.answer, threading.Event()

    def answer_first_node(path: str, params: dict[str, str]) -> Any:
        if params["nodes"] != NODES[0]:
            closing.wait(HANGS_S)
        return readings(path, params)

    api.answer = answer_first_node
    client = open_service(api.url, tmp_path)
    request = sample_query(n_nodes=1)
    frames = samples.download_samples(
        client, request, nodes=NODES, start=START, end=START + 6 * HOUR
    )
    assert nodes_and_times(next(frames)) == every_minute(NODES[:1], 6)
    closing.set()
    frames.close()  # type: ignore[attr-defined]
    n_requests = len(api.requests)
    assert 6 <= n_requests < 4 * 6
    assert list((client.answers.folder / "partial").iterdir()) == []
    time.sleep(0.1)
    assert len(api.requests) == n_requests


def test_download_leaves_no_partial_files(api: Api, tmp_path: Path) -> None:
    downloaded_samples(api, tmp_path, sample_query(), hours=2)
    assert list((tmp_path / "answers/partial").iterdir()) == []


def test_margins_are_chunks_of_their_own(api: Api, tmp_path: Path) -> None:
    """A month is read with a margin, which a longer study may lack there."""
    found = downloaded_samples(
        api, tmp_path, sample_query(), hours=2 + 2 / 60, start=START - MINUTE
    )
    minutes = every_minute(NODES, 2 + 2 / 60, since=START - MINUTE)
    assert nodes_and_times(found) == minutes
    all_nodes = ",".join(NODES)
    assert requested_minutes(api) == [
        (all_nodes, -1, 0),
        (all_nodes, 0, 60),
        (all_nodes, 60, 120),
        (all_nodes, 120, 121),
    ]
    api.clear_requests()
    assert nodes_and_times(
        downloaded_samples(api, tmp_path, sample_query(), hours=3)
    ) == every_minute(NODES, 3)
    assert requested_minutes(api) == [(all_nodes, 120, 180)]
