"""Samples from Kwollect: in parts where it is too much or a node fails, and kept once they came."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from asking import DAY, FORMER, HOUR, METRIC, MINUTE, Api, answering, reading, service, set_clock
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from sampling import (
    NODES,
    START,
    download,
    every_minute,
    kwollect,
    places,
    query,
    spans,
)

from footprint.errors import InputError
from footprint.site.grid5000 import samples
from footprint.site.grid5000.chunks import Chunk
from footprint.site.grid5000.refusals import Refused


@pytest.fixture
def api() -> Iterator[Api]:
    with answering(kwollect()) as running:
        yield running


# Cut where it is too much


def test_too_much_is_halved_and_the_halves_are_remembered(api: Api, tmp_path: Path) -> None:
    """An hour of two nodes is 122 samples with both bounds, half of it 62, a quarter 32."""
    api.answer = kwollect(max_rows=40)
    found = download(api, tmp_path, query(), nodes=NODES[:2])
    assert places(found) == every_minute(NODES[:2], 1)
    both = "gruss-1,gruss-2"
    assert spans(api) == [
        (both, 0, 60),
        (both, 0, 30),
        (both, 0, 15),
        (both, 15, 30),
        (both, 30, 60),
        (both, 30, 45),
        (both, 45, 60),
    ]
    api.forget()
    assert download(api, tmp_path, query(), nodes=NODES[:2]).equals(found)
    assert api.asked == []


def test_halving_goes_on_where_it_stopped(api: Api, tmp_path: Path) -> None:
    """The first run is refused after the first quarter; the second asks for the rest alone."""
    limited = kwollect(max_rows=40)

    def until_then(path: str, asked: dict[str, str]) -> Any:
        return limited(path, asked) if len(api.asked) <= 3 else (403, "not any more")

    api.answer = until_then
    with pytest.raises(Refused, match="not any more"):
        download(api, tmp_path, query(), nodes=NODES[:2])
    api.forget()
    api.answer = limited
    found = download(api, tmp_path, query(), nodes=NODES[:2])
    assert places(found) == every_minute(NODES[:2], 1)
    minutes = [(first, last) for _, first, last in spans(api)]
    assert minutes == [(15, 30), (30, 60), (30, 45), (45, 60)]


def test_below_ten_minutes_nodes_are_parted(api: Api, tmp_path: Path) -> None:
    api.answer = kwollect(max_rows=15)
    found = download(api, tmp_path, query(), nodes=NODES[:2], hours=1 / 3)
    assert places(found) == every_minute(NODES[:2], 1 / 3)
    assert [(nodes, last - first) for nodes, first, last in spans(api)] == [
        ("gruss-1,gruss-2", 20),
        *[("gruss-1,gruss-2", 10), ("gruss-1", 10), ("gruss-2", 10)] * 2,
    ]


def test_too_much_of_one_node_in_ten_minutes_cannot_be_had(api: Api, tmp_path: Path) -> None:
    api.answer = kwollect(max_rows=5)
    with pytest.raises(InputError, match=r"node gruss-1 \(500: plpy.Error: Request timeout"):
        download(api, tmp_path, query(), nodes=NODES[:1], hours=1 / 6)
    assert spans(api) == [("gruss-1", 0, 10)]


def test_what_was_too_much_three_times_is_asked_for_in_halves(api: Api, tmp_path: Path) -> None:
    api.answer = kwollect(max_rows=40)
    found = download(api, tmp_path, query(), nodes=NODES[:1], hours=6)
    assert places(found) == every_minute(NODES[:1], 6)
    lengths = Counter(last - first for _, first, last in spans(api))
    assert lengths == {60: samples.TOO_MUCH_IN_A_ROW, 30: 12}


@how(max_examples=15)
@given(
    n_nodes=st.integers(1, 4),
    at_once=st.integers(1, 4),
    hours=st.sampled_from([0.25, 0.5, 1.0, 24.0]),
    lasts=st.sampled_from([0.5, 1.25, 2.0]),
    max_rows=st.integers(20, 300),
    concurrency=st.integers(1, 3),
)
def test_each_sample_comes_once_however_it_is_cut(
    n_nodes: int, at_once: int, hours: float, lasts: float, max_rows: int, concurrency: int
) -> None:
    """Readings lie on the seams, and the service's bounds are inclusive."""
    asks = query(hours=hours, n_nodes=at_once, concurrency=concurrency)
    nodes = NODES[:n_nodes]
    with answering(kwollect(max_rows=max_rows)) as api, tempfile.TemporaryDirectory() as folder:
        found = download(api, Path(folder), asks, nodes=nodes, hours=lasts)
        n_asked = len(api.asked)
        assert download(api, Path(folder), asks, nodes=nodes, hours=lasts).equals(found)
        assert len(api.asked) == n_asked
    assert places(found) == every_minute(nodes, lasts)
    assert found["node"].is_sorted()
    assert not found["from_summary"].any()


# Apart where a node fails


def test_a_failing_node_is_named_and_all_others_are_kept(api: Api, tmp_path: Path) -> None:
    failing = kwollect(failing={"gruss-3"})
    api.answer = failing
    with pytest.raises(InputError) as error:
        download(api, tmp_path, query(), hours=2)
    line = str(error.value)
    assert line.startswith(f"/sites/nancy/metrics: no {METRIC} of node gruss-3 (500: could not ")
    assert line.endswith("go on without: download: {allow_missing: [gruss-3]}")
    apart = ["gruss-1,gruss-2,gruss-3,gruss-4", "gruss-1,gruss-2", "gruss-3,gruss-4"]
    # once known it is left out of the second hour
    assert [nodes for nodes, _, _ in spans(api)] == [
        *(*apart, "gruss-3", "gruss-4"),
        "gruss-1,gruss-2,gruss-4",
    ]

    api.forget()
    without = download(api, tmp_path, query(missing=frozenset(["gruss-3"])), hours=2)
    assert places(without) == every_minute(["gruss-1", "gruss-2", "gruss-4"], 2)
    assert api.asked == []

    failing.failing.clear()
    found = download(api, tmp_path, query(), hours=2)
    assert places(found) == every_minute(NODES, 2)
    assert spans(api) == [("gruss-3", 0, 60), ("gruss-3", 60, 120)]


def test_a_missing_node_is_never_asked_for(api: Api, tmp_path: Path) -> None:
    asks = query(missing=frozenset(["gruss-1", "gruss-4"]), n_nodes=2, summaries=True)
    found = download(api, tmp_path, asks)
    assert places(found) == every_minute(["gruss-2", "gruss-3"], 1)
    assert [nodes for nodes, _, _ in spans(api)] == ["gruss-2", "gruss-3"]


def test_nodes_that_are_to_be_missing_are_listed_with_those_that_were(
    api: Api, tmp_path: Path
) -> None:
    api.answer = kwollect(failing={"gruss-3", "gruss-2"})
    with pytest.raises(InputError) as error:
        download(api, tmp_path, query(missing=frozenset(["gruss-1"])))
    assert "of nodes gruss-2, gruss-3 (500" in str(error.value)
    assert str(error.value).endswith("{allow_missing: [gruss-1, gruss-2, gruss-3]}")


def test_a_service_of_which_every_node_fails_is_what_fails(api: Api, tmp_path: Path) -> None:
    nodes = [f"gruss-{number}" for number in range(1, 9)]
    api.answer = kwollect(*nodes, failing=set(nodes))
    with pytest.raises(Refused) as error:
        download(api, tmp_path, query(n_nodes=1), nodes=nodes)
    assert str(error.value) == (
        "/sites/nancy/metrics: does not answer for gruss-1, gruss-2, gruss-3, gruss-4, gruss-5 "
        "(500: could not read gruss-5); what came is kept; try again later, or leave them out with "
        "download.allow_missing"
    )
    assert [nodes for nodes, _, _ in spans(api)] == nodes[: samples.FAILED_IN_A_ROW]


def test_nodes_that_fail_among_others_that_do_not_are_named_all(api: Api, tmp_path: Path) -> None:
    nodes = [f"gruss-{number}" for number in range(1, 9)]
    failing = {"gruss-1", "gruss-2", "gruss-3", "gruss-4", "gruss-6", "gruss-8"}
    api.answer = kwollect(*nodes, failing=failing)
    with pytest.raises(InputError, match="gruss-1, gruss-2, gruss-3, gruss-4, gruss-6, gruss-8 "):
        download(api, tmp_path, query(n_nodes=1), nodes=nodes)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_told_at_once(api: Api, tmp_path: Path, status: int) -> None:
    api.answer = lambda *_: (status, "no")
    with pytest.raises(Refused, match=r"\(no\)"):
        download(api, tmp_path, query(), hours=6)
    assert len(api.asked) == 1


@pytest.mark.parametrize(("node", "metric"), [("gruss-9", METRIC), ("gruss-1", "other_watt")])
def test_what_was_not_asked_for_is_no_answer(
    api: Api, tmp_path: Path, node: str, metric: str
) -> None:
    api.answer = lambda *_: [reading(node, START, 1, metric=metric)]
    with pytest.raises(InputError, match=f"answers with {metric} of {node}, which was not asked"):
        download(api, tmp_path, query())


# By a former name


def test_what_starts_before_a_day_is_asked_for_by_both_names(api: Api, tmp_path: Path) -> None:
    """The name changed at 1:30; the day until which the former one is tried ends at 3:00."""
    api.answer = kwollect(renamed=START + 1.5 * HOUR)
    asks = query(former_name=FORMER, former_until=START + 3 * HOUR)
    found = download(api, tmp_path, asks, nodes=NODES[:1], hours=4)
    assert places(found) == every_minute(NODES[:1], 4)
    names = [(asked["metrics"], asked["start_time"]) for _, asked in api.asked]
    hours = [str(round((START + n * HOUR).timestamp())) for n in range(4)]
    assert names == [
        *((name, at) for at in hours[:3] for name in (METRIC, FORMER)),
        (METRIC, hours[3]),
    ]


def test_without_a_former_name_there_is_one_request(api: Api, tmp_path: Path) -> None:
    asks = query(former_name=None, former_until=START + 3 * HOUR)
    download(api, tmp_path, asks, nodes=NODES[:1])
    assert len(api.asked) == 1


# Means where there are no readings


def test_means_stand_in_where_a_node_has_no_reading(api: Api, tmp_path: Path) -> None:
    """Of gruss-2, nothing but the 12 means of the second of three hours was kept."""
    api.answer = kwollect("gruss-1", "gruss-2", silent={("gruss-2", 1)})
    found = download(api, tmp_path, query(summaries=True), nodes=NODES[:2], hours=3)
    means = found.filter(pl.col("from_summary"))
    assert set(means["node"]) == {"gruss-2"}
    first = means.sort("timestamp").head(61)
    times = [START + HOUR + timedelta(seconds=5 * n) for n in range(61)]
    assert first["timestamp"].to_list() == times
    # the minutes since 23:00 of the day before, and 2 more: 122 for [1:00, 1:05), then 127
    assert first["value"].to_list() == [122.0] * 60 + [127.0]
    assert len(means) == 12 * 60
    others = [
        *every_minute(["gruss-1"], 3),
        *every_minute(["gruss-2"], 1),
        *every_minute(["gruss-2"], 1, since=START + 2 * HOUR),
    ]
    assert places(found.filter(~pl.col("from_summary"))) == others
    asked = [asked for _, asked in api.asked if "summary" in asked]
    assert [(each["nodes"], each["summary"]) for each in asked] == [("gruss-2", "true")]
    api.forget()
    again = download(api, tmp_path, query(summaries=True), nodes=NODES[:2], hours=3)
    assert again.equals(found)
    assert api.asked == []


def test_means_are_not_asked_for_unless_wanted(api: Api, tmp_path: Path) -> None:
    api.answer = kwollect(silent={("gruss-1", 0)})
    assert download(api, tmp_path, query(), nodes=NODES[:1]).is_empty()
    assert len(api.asked) == 1


def test_margins_of_minutes_without_readings_ask_for_no_means(api: Api, tmp_path: Path) -> None:
    """A month is read from a minute before to a minute after; nothing came in those."""
    api.answer = kwollect(silent={("gruss-1", 23), ("gruss-1", 1)})
    asks = query(summaries=True)
    found = download(api, tmp_path, asks, nodes=NODES[:1], start=START - MINUTE, hours=62 / 60)
    assert places(found) == every_minute(NODES[:1], 1)
    assert not any("summary" in asked for _, asked in api.asked)


def test_means_cut_by_the_bounds_of_a_chunk(api: Api, tmp_path: Path) -> None:
    """Means from 0:00 and 0:05 on: of the second, only what lies before 0:07 counts."""
    api.answer = kwollect(silent={("gruss-1", 0)})
    found = download(api, tmp_path, query(summaries=True), nodes=NODES[:1], hours=7 / 60)
    assert len(found) == 60 + 24
    assert found["timestamp"].max() == START + timedelta(seconds=7 * 60 - 5)


def test_means_that_are_no_numbers_are_left_out(api: Api, tmp_path: Path) -> None:
    def answer(_: str, asked: dict[str, str]) -> Any:
        values = {0: 7, 5: "NaN", 10: None, 15: 8}
        means = [reading("gruss-1", START + n * MINUTE, value) for n, value in values.items()]
        return means if "summary" in asked else []

    api.answer = answer
    found = download(api, tmp_path, query(summaries=True), nodes=NODES[:1])
    assert found["value"].to_list() == [7.0] * 60 + [8.0] * 60


# Kept once they came


def test_chunks_younger_than_an_hour_are_asked_for_again(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 3:00 and a minute, the chunk from 1:00 to 2:00 is final, that to 3:00 is not."""
    set_clock(monkeypatch, START + 3 * HOUR + MINUTE)
    first = download(api, tmp_path, query(), hours=4)
    api.forget()
    assert download(api, tmp_path, query(), hours=4).equals(first)
    asked = [(start, end) for _, start, end in spans(api)]
    assert asked == [(120, 180), (180, 240)]
    set_clock(monkeypatch, START + 5 * HOUR)
    download(api, tmp_path, query(), hours=4)
    api.forget()
    download(api, tmp_path, query(), hours=4)
    assert api.asked == []


def test_what_is_kept_is_known_without_asking(api: Api, tmp_path: Path) -> None:
    api.answer = kwollect(max_rows=40, failing={"gruss-4"})
    whole = Chunk(tuple(NODES), START, START + HOUR)
    with pytest.raises(InputError):
        download(api, tmp_path, query())
    n_asked = len(api.asked)
    again = service(api.url, tmp_path)
    assert not samples.is_kept(again, query(), whole, METRIC)  # gruss-4 is not
    without = query(missing=frozenset(["gruss-4"]))
    assert samples.is_kept(again, without, whole, METRIC)
    assert not samples.is_kept(again, without, Chunk(tuple(NODES), START, START + DAY), METRIC)
    assert not samples.is_kept(again, without, whole, FORMER)
    assert len(api.asked) == n_asked


def test_labels_tell_series_of_a_node_apart(api: Api, tmp_path: Path) -> None:
    api.answer = lambda *_: [
        reading("gruss-1", START, gpu, gpu=str(gpu), b="x", a="y") for gpu in range(2)
    ]
    found = download(api, tmp_path, query(), nodes=NODES[:1])
    assert found.select("labels", "value").rows() == [
        ('{"a":"y","b":"x","gpu":"0"}', 0.0),
        ('{"a":"y","b":"x","gpu":"1"}', 1.0),
    ]
