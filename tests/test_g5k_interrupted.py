"""Downloads that end before their end: nothing more is asked for, and nothing that came is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import HOUR, MINUTE, Api, answering, service
from sampling import NODES, START, download, every_minute, kwollect, places, query, spans

from footprint.site.grid5000 import samples
from footprint.site.grid5000.refusals import Refused

HANGS_S = 120
"""Seconds after which a request is taken to hang."""


@pytest.fixture
def api() -> Iterator[Api]:
    with answering(kwollect(hours=24)) as running:
        yield running


def test_a_refusal_stops_all_requests_at_once(api: Api, tmp_path: Path) -> None:
    """Though the first chunk is waited for, the other 23 are not asked for until it is there."""
    readings, began = api.answer, str(int(START.timestamp()))
    refused = threading.Event()

    def refuses_others(path: str, asked: dict[str, str]) -> Any:
        if asked["start_time"] != began:
            refused.set()
            return 401, "who is it?"
        refused.wait(HANGS_S)
        time.sleep(0.3)
        return readings(path, asked)

    api.answer = refuses_others
    with pytest.raises(Refused, match="who is it"):
        download(api, tmp_path, query(concurrency=4), hours=24)
    assert 2 <= len(api.asked) <= 4  # each thread once at most


def test_a_refusal_in_the_midst_gives_no_node_with_holes(api: Api, tmp_path: Path) -> None:
    """Groups before the refusal may come, the others not at all; what was kept is not asked for."""
    readings, lock = api.answer, threading.Lock()
    answered: list[dict[str, str]] = []

    def until_then(path: str, asked: dict[str, str]) -> Any:
        with lock:
            if len(answered) == 8:
                return 403, "not any more"
            answered.append(asked)
        return readings(path, asked)

    api.answer = until_then
    asks = query(n_nodes=1, concurrency=3)
    came: list[Any] = []

    def take() -> None:
        window = {"start": START, "end": START + 6 * HOUR}
        for frame in samples.download(service(api.url, tmp_path), asks, nodes=NODES, **window):
            came.extend(places(frame))

    with pytest.raises(Refused, match="not any more"):
        take()
    assert came in ([], every_minute(NODES[:1], 6))
    api.forget()
    api.answer = readings
    assert places(download(api, tmp_path, asks, hours=6)) == every_minute(NODES, 6)
    assert len(api.asked) == 4 * 6 - 8
    assert not [asked for _, asked in api.asked if asked in answered]


def test_who_reads_no_further_asks_no_further(api: Api, tmp_path: Path) -> None:
    readings, closing = api.answer, threading.Event()

    def only_the_first_node(path: str, asked: dict[str, str]) -> Any:
        if asked["nodes"] != NODES[0]:
            closing.wait(HANGS_S)
        return readings(path, asked)

    api.answer = only_the_first_node
    client = service(api.url, tmp_path)
    asks = query(n_nodes=1)
    frames = samples.download(client, asks, nodes=NODES, start=START, end=START + 6 * HOUR)
    assert places(next(frames)) == every_minute(NODES[:1], 6)
    closing.set()
    frames.close()  # type: ignore[attr-defined]
    n_asked = len(api.asked)
    assert 6 <= n_asked < 4 * 6
    assert list((client.answers.folder / "partial").iterdir()) == []
    time.sleep(0.1)
    assert len(api.asked) == n_asked


def test_samples_on_their_way_to_a_rule_leave_no_files(api: Api, tmp_path: Path) -> None:
    download(api, tmp_path, query(), hours=2)
    assert list((tmp_path / "answers/partial").iterdir()) == []


def test_margins_are_chunks_of_their_own_so_that_days_are_shared(api: Api, tmp_path: Path) -> None:
    """A month is read with a margin, which the next run of a longer study need not have."""
    found = download(api, tmp_path, query(), hours=2 + 2 / 60, start=START - MINUTE)
    minutes = every_minute(NODES, 2 + 2 / 60, since=START - MINUTE)
    assert places(found) == minutes
    all_nodes = ",".join(NODES)
    assert spans(api) == [
        (all_nodes, -1, 0),
        (all_nodes, 0, 60),
        (all_nodes, 60, 120),
        (all_nodes, 120, 121),
    ]
    api.forget()
    assert places(download(api, tmp_path, query(), hours=3)) == every_minute(NODES, 3)
    assert spans(api) == [(all_nodes, 120, 180)]
