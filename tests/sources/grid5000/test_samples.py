"""Readings from Kwollect: chunks in parts if they are too large or a node fails; kept answers."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from footprint.core.errors import InputError
from footprint.sources.grid5000 import samples
from footprint.sources.grid5000.chunks import Chunk
from footprint.sources.grid5000.refusals import Refused
from tests.support.http_service import (
    DAY,
    FORMER_METRIC,
    HOUR,
    MINUTE,
    POWER_METRIC,
    Api,
    kwollect_reading,
    open_service,
    running_api,
    set_clock,
)
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


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api(small_kwollect()) as running:
        yield running


# Chunks that are too large


def test_chunk_that_is_too_large_is_halved_and_its_halves_are_kept(
    api: Api, tmp_path: Path
) -> None:
    """With both bounds, an hour of two nodes has 122 readings, half of it 62, a quarter 32."""
    api.answer = small_kwollect(max_rows=40)
    found = downloaded_samples(api, tmp_path, sample_query(), nodes=NODES[:2])
    assert nodes_and_times(found) == every_minute(NODES[:2], 1)
    both = "gruss-1,gruss-2"
    assert requested_minutes(api) == [
        (both, 0, 60),
        (both, 0, 30),
        (both, 0, 15),
        (both, 15, 30),
        (both, 30, 60),
        (both, 30, 45),
        (both, 45, 60),
    ]
    api.clear_requests()
    assert downloaded_samples(api, tmp_path, sample_query(), nodes=NODES[:2]).equals(found)
    assert api.requests == []


def test_second_run_requests_the_missing_halves_alone(api: Api, tmp_path: Path) -> None:
    """The first run is refused after the first quarter."""
    limited = small_kwollect(max_rows=40)

    def refuse_after_three(path: str, params: dict[str, str]) -> Any:
        return limited(path, params) if len(api.requests) <= 3 else (403, "not any more")

    api.answer = refuse_after_three
    with pytest.raises(Refused, match="not any more"):
        downloaded_samples(api, tmp_path, sample_query(), nodes=NODES[:2])
    api.clear_requests()
    api.answer = limited
    found = downloaded_samples(api, tmp_path, sample_query(), nodes=NODES[:2])
    assert nodes_and_times(found) == every_minute(NODES[:2], 1)
    minutes = [(first, last) for _, first, last in requested_minutes(api)]
    assert minutes == [(15, 30), (30, 60), (30, 45), (45, 60)]


def test_chunk_of_ten_minutes_that_is_too_large_is_halved_by_nodes(
    api: Api, tmp_path: Path
) -> None:
    api.answer = small_kwollect(max_rows=15)
    found = downloaded_samples(api, tmp_path, sample_query(), nodes=NODES[:2], hours=1 / 3)
    assert nodes_and_times(found) == every_minute(NODES[:2], 1 / 3)
    assert [(nodes, last - first) for nodes, first, last in requested_minutes(api)] == [
        ("gruss-1,gruss-2", 20),
        *[("gruss-1,gruss-2", 10), ("gruss-1", 10), ("gruss-2", 10)] * 2,
    ]


def test_one_node_and_ten_minutes_that_are_too_large_are_an_error(api: Api, tmp_path: Path) -> None:
    api.answer = small_kwollect(max_rows=5)
    with pytest.raises(InputError, match=r"node gruss-1 \(500: plpy.Error: Request timeout"):
        downloaded_samples(api, tmp_path, sample_query(), nodes=NODES[:1], hours=1 / 6)
    assert requested_minutes(api) == [("gruss-1", 0, 10)]


def test_chunks_are_halved_untried_after_three_that_are_too_large(api: Api, tmp_path: Path) -> None:
    api.answer = small_kwollect(max_rows=40)
    found = downloaded_samples(api, tmp_path, sample_query(), nodes=NODES[:1], hours=6)
    assert nodes_and_times(found) == every_minute(NODES[:1], 6)
    lengths = Counter(last - first for _, first, last in requested_minutes(api))
    assert lengths == {60: samples.MAX_TOO_LARGE_IN_A_ROW, 30: 12}


@hypothesis_settings(max_examples=15)
@given(
    n_nodes=st.integers(1, 4),
    group_size=st.integers(1, 4),
    hours=st.sampled_from([0.25, 0.5, 1.0, 24.0]),
    lasts=st.sampled_from([0.5, 1.25, 2.0]),
    max_rows=st.integers(20, 300),
    concurrency=st.integers(1, 3),
)
def test_download_has_each_reading_once_for_any_division(
    n_nodes: int, group_size: int, hours: float, lasts: float, max_rows: int, concurrency: int
) -> None:
    """Readings lie at the bounds of chunks, and the service includes both bounds."""
    request = sample_query(hours=hours, n_nodes=group_size, concurrency=concurrency)
    nodes = NODES[:n_nodes]
    with (
        running_api(small_kwollect(max_rows=max_rows)) as api,
        tempfile.TemporaryDirectory() as folder,
    ):
        found = downloaded_samples(api, Path(folder), request, nodes=nodes, hours=lasts)
        n_requests = len(api.requests)
        assert downloaded_samples(api, Path(folder), request, nodes=nodes, hours=lasts).equals(
            found
        )
        assert len(api.requests) == n_requests
    assert nodes_and_times(found) == every_minute(nodes, lasts)
    assert found["node"].is_sorted()
    assert not found["from_summary"].any()


# Failing nodes


def test_failing_node_is_named_and_all_others_are_kept(api: Api, tmp_path: Path) -> None:
    failing = small_kwollect(failing={"gruss-3"})
    api.answer = failing
    with pytest.raises(InputError) as error:
        downloaded_samples(api, tmp_path, sample_query(), hours=2)
    line = str(error.value)
    assert line.startswith(
        f"/sites/nancy/metrics: no {POWER_METRIC} of node gruss-3 (500: could not "
    )
    assert line.endswith("or set download: {allow_missing: [gruss-3]}")
    halves = ["gruss-1,gruss-2,gruss-3,gruss-4", "gruss-1,gruss-2", "gruss-3,gruss-4"]
    # the failed node is left out of the second hour
    assert [nodes for nodes, _, _ in requested_minutes(api)] == [
        *(*halves, "gruss-3", "gruss-4"),
        "gruss-1,gruss-2,gruss-4",
    ]

    api.clear_requests()
    without = downloaded_samples(
        api, tmp_path, sample_query(missing=frozenset(["gruss-3"])), hours=2
    )
    assert nodes_and_times(without) == every_minute(["gruss-1", "gruss-2", "gruss-4"], 2)
    assert api.requests == []

    failing.failing.clear()
    found = downloaded_samples(api, tmp_path, sample_query(), hours=2)
    assert nodes_and_times(found) == every_minute(NODES, 2)
    assert requested_minutes(api) == [("gruss-3", 0, 60), ("gruss-3", 60, 120)]


def test_missing_node_is_never_requested(api: Api, tmp_path: Path) -> None:
    request = sample_query(missing=frozenset(["gruss-1", "gruss-4"]), n_nodes=2, summaries=True)
    found = downloaded_samples(api, tmp_path, request)
    assert nodes_and_times(found) == every_minute(["gruss-2", "gruss-3"], 1)
    assert [nodes for nodes, _, _ in requested_minutes(api)] == ["gruss-2", "gruss-3"]


def test_error_of_failing_nodes_includes_configured_missing_nodes(api: Api, tmp_path: Path) -> None:
    api.answer = small_kwollect(failing={"gruss-3", "gruss-2"})
    with pytest.raises(InputError) as error:
        downloaded_samples(api, tmp_path, sample_query(missing=frozenset(["gruss-1"])))
    assert "of nodes gruss-2, gruss-3 (500" in str(error.value)
    assert str(error.value).endswith("{allow_missing: [gruss-1, gruss-2, gruss-3]}")


def test_service_is_refused_after_five_failed_nodes_in_a_row(api: Api, tmp_path: Path) -> None:
    nodes = [f"gruss-{number}" for number in range(1, 9)]
    api.answer = small_kwollect(*nodes, failing=set(nodes))
    with pytest.raises(Refused) as error:
        downloaded_samples(api, tmp_path, sample_query(n_nodes=1), nodes=nodes)
    assert str(error.value) == (
        "/sites/nancy/metrics: does not answer for gruss-1, gruss-2, gruss-3, gruss-4, gruss-5 "
        "(500: could not read gruss-5); received answers are kept; try again later, or add them "
        "to download.allow_missing"
    )
    assert [nodes for nodes, _, _ in requested_minutes(api)] == nodes[: samples.MAX_FAILED_IN_A_ROW]


def test_error_names_all_failing_nodes_among_others(api: Api, tmp_path: Path) -> None:
    nodes = [f"gruss-{number}" for number in range(1, 9)]
    failing = {"gruss-1", "gruss-2", "gruss-3", "gruss-4", "gruss-6", "gruss-8"}
    api.answer = small_kwollect(*nodes, failing=failing)
    with pytest.raises(InputError, match="gruss-1, gruss-2, gruss-3, gruss-4, gruss-6, gruss-8 "):
        downloaded_samples(api, tmp_path, sample_query(n_nodes=1), nodes=nodes)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_refusal_ends_the_download_at_once(api: Api, tmp_path: Path, status: int) -> None:
    api.answer = lambda *_: (status, "no")
    with pytest.raises(Refused, match=r"\(no\)"):
        downloaded_samples(api, tmp_path, sample_query(), hours=6)
    assert len(api.requests) == 1


@pytest.mark.parametrize(("node", "metric"), [("gruss-9", POWER_METRIC), ("gruss-1", "other_watt")])
def test_answer_with_another_node_or_metric_is_refused(
    api: Api, tmp_path: Path, node: str, metric: str
) -> None:
    api.answer = lambda *_: [kwollect_reading(node, START, 1, metric=metric)]
    with pytest.raises(InputError, match=f"returned {metric} of {node}, which was not requested"):
        downloaded_samples(api, tmp_path, sample_query())


# Answers that were cut


@pytest.mark.parametrize("max_rows", [8, 60, 100])
def test_answers_that_were_cut_are_completed(api: Api, tmp_path: Path, max_rows: int) -> None:
    """PostgREST's `db-max-rows` leaves out the last rows of an answer without a word."""
    whole = small_kwollect()
    api.answer = lambda path, query: sorted(whole(path, query), key=itemgetter("timestamp"))
    expected = downloaded_samples(api, tmp_path / "whole", sample_query(), hours=2)
    api.clear_requests()
    api.answer = lambda path, query: sorted(whole(path, query), key=itemgetter("timestamp"))[
        :max_rows
    ]
    found = downloaded_samples(api, tmp_path / "cut", sample_query(), hours=2)
    assert found.sort("node", "timestamp").equals(expected.sort("node", "timestamp"))
    api.clear_requests()
    downloaded_samples(api, tmp_path / "cut", sample_query(), hours=2)
    assert api.requests == []


def test_answer_that_ends_early_for_some_nodes_alone_is_whole(api: Api, tmp_path: Path) -> None:
    api.answer = small_kwollect(silent={("gruss-1", 1), ("gruss-1", 2)})
    downloaded_samples(api, tmp_path, sample_query(hours=2), hours=2)
    assert len(api.requests) == 1
    api.answer = small_kwollect(silent={(node, hour) for node in NODES for hour in (1, 2)})
    downloaded_samples(api, tmp_path / "all", sample_query(hours=2), hours=2)
    assert requested_minutes(api)[1:] == [(",".join(NODES), 0, 120), (",".join(NODES), 59, 120)]


# Former name


def test_chunks_before_former_until_are_requested_by_both_names(api: Api, tmp_path: Path) -> None:
    """The name changed at 1:30; the former one is requested until 3:00, and again after its end."""
    api.answer = small_kwollect(renamed=START + 1.5 * HOUR)
    request = sample_query(former_name=FORMER_METRIC, former_until=START + 3 * HOUR)
    found = downloaded_samples(api, tmp_path, request, nodes=NODES[:1], hours=4)
    assert nodes_and_times(found) == every_minute(NODES[:1], 4)
    first_minutes = [
        (start, params["metrics"])
        for (_, start, _), (_, params) in zip(requested_minutes(api), api.requests, strict=True)
    ]
    assert sorted(first_minutes) == sorted(
        [
            *((start, name) for start in (0, 60, 120) for name in (POWER_METRIC, FORMER_METRIC)),
            (89, FORMER_METRIC),
            (180, POWER_METRIC),
        ]
    )


def test_metric_without_a_former_name_is_requested_once(api: Api, tmp_path: Path) -> None:
    request = sample_query(former_name=None, former_until=START + 3 * HOUR)
    downloaded_samples(api, tmp_path, request, nodes=NODES[:1])
    assert len(api.requests) == 1


# Means without readings


def test_means_replace_readings_of_a_node_without_any(api: Api, tmp_path: Path) -> None:
    """In the second of three hours, gruss-2 has 12 means and no readings."""
    api.answer = small_kwollect("gruss-1", "gruss-2", silent={("gruss-2", 1)})
    found = downloaded_samples(
        api, tmp_path, sample_query(summaries=True), nodes=NODES[:2], hours=3
    )
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
    assert nodes_and_times(found.filter(~pl.col("from_summary"))) == others
    params = [params for _, params in api.requests if "summary" in params]
    assert [(each["nodes"], each["summary"]) for each in params] == [("gruss-2", "true")]
    api.clear_requests()
    again = downloaded_samples(
        api, tmp_path, sample_query(summaries=True), nodes=NODES[:2], hours=3
    )
    assert again.equals(found)
    assert api.requests == []


def test_means_are_not_requested_without_summaries(api: Api, tmp_path: Path) -> None:
    api.answer = small_kwollect(silent={("gruss-1", 0)})
    assert downloaded_samples(api, tmp_path, sample_query(), nodes=NODES[:1]).is_empty()
    assert len(api.requests) == 1


def test_means_are_not_requested_for_margins_of_a_minute(api: Api, tmp_path: Path) -> None:
    """The margins of a minute before and after the hour have no readings."""
    api.answer = small_kwollect(silent={("gruss-1", 23), ("gruss-1", 1)})
    request = sample_query(summaries=True)
    found = downloaded_samples(
        api, tmp_path, request, nodes=NODES[:1], start=START - MINUTE, hours=62 / 60
    )
    assert nodes_and_times(found) == every_minute(NODES[:1], 1)
    assert not any("summary" in params for _, params in api.requests)


def test_means_are_cut_at_the_bounds_of_a_chunk(api: Api, tmp_path: Path) -> None:
    """Means start at 0:00 and 0:05; the second one counts up to 0:07."""
    api.answer = small_kwollect(silent={("gruss-1", 0)})
    found = downloaded_samples(
        api, tmp_path, sample_query(summaries=True), nodes=NODES[:1], hours=7 / 60
    )
    assert len(found) == 60 + 24
    assert found["timestamp"].max() == START + timedelta(seconds=7 * 60 - 5)


def test_means_that_are_not_numbers_are_left_out(api: Api, tmp_path: Path) -> None:
    def answer(_: str, params: dict[str, str]) -> Any:
        values = {0: 7, 5: "NaN", 10: None, 15: 8}
        means = [
            kwollect_reading("gruss-1", START + n * MINUTE, value) for n, value in values.items()
        ]
        return means if "summary" in params else []

    api.answer = answer
    found = downloaded_samples(api, tmp_path, sample_query(summaries=True), nodes=NODES[:1])
    assert found["value"].to_list() == [7.0] * 60 + [8.0] * 60


# Kept answers


def test_chunks_younger_than_an_hour_are_requested_again(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 3:01, the chunk from 1:00 to 2:00 is final, and that to 3:00 is not."""
    set_clock(monkeypatch, START + 3 * HOUR + MINUTE)
    first = downloaded_samples(api, tmp_path, sample_query(), hours=4)
    api.clear_requests()
    assert downloaded_samples(api, tmp_path, sample_query(), hours=4).equals(first)
    params = [(start, end) for _, start, end in requested_minutes(api)]
    assert params == [(120, 180), (180, 240)]
    set_clock(monkeypatch, START + 5 * HOUR)
    downloaded_samples(api, tmp_path, sample_query(), hours=4)
    api.clear_requests()
    downloaded_samples(api, tmp_path, sample_query(), hours=4)
    assert api.requests == []


def test_is_kept_needs_no_request(api: Api, tmp_path: Path) -> None:
    api.answer = small_kwollect(max_rows=40, failing={"gruss-4"})
    whole = Chunk(tuple(NODES), START, START + HOUR)
    with pytest.raises(InputError):
        downloaded_samples(api, tmp_path, sample_query())
    n_requests = len(api.requests)
    again = open_service(api.url, tmp_path)
    assert not samples.is_chunk_kept(
        again, sample_query(), whole, POWER_METRIC
    )  # gruss-4 is not kept
    without = sample_query(missing=frozenset(["gruss-4"]))
    assert samples.is_chunk_kept(again, without, whole, POWER_METRIC)
    assert not samples.is_chunk_kept(
        again, without, Chunk(tuple(NODES), START, START + DAY), POWER_METRIC
    )
    assert not samples.is_chunk_kept(again, without, whole, FORMER_METRIC)
    assert len(api.requests) == n_requests


def test_series_of_a_node_have_their_labels(api: Api, tmp_path: Path) -> None:
    api.answer = lambda *_: [
        kwollect_reading("gruss-1", START, gpu, gpu=str(gpu), b="x", a="y") for gpu in range(2)
    ]
    found = downloaded_samples(api, tmp_path, sample_query(), nodes=NODES[:1])
    assert found.select("labels", "value").rows() == [
        ('{"a":"y","b":"x","gpu":"0"}', 0.0),
        ('{"a":"y","b":"x","gpu":"1"}', 1.0),
    ]
