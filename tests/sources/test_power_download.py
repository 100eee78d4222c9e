"""Power of a cluster and month: window, written samples, and counts."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from footprint.core.calendar import Window
from footprint.core.errors import InputError
from footprint.schemas.energy import Quality
from footprint.schemas.writing import conform
from footprint.sources import monthly_files, power_download
from footprint.sources.cleaning import CleaningSettings
from footprint.sources.held_time import HeldTime
from footprint.sources.kwollect import means
from tests.support import api_answers

MARCH, APRIL = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC)


class RecordedSite:
    """A site with given readings of some nodes, which records the calls of `power`."""

    def __init__(self, **readings: dict[float, float | None]) -> None:
        """Set readings by node (`c_1` for c-1): power in W by seconds since the start of April."""
        self.readings = {name.replace("_", "-"): each for name, each in readings.items()}
        self.calls: list[tuple[str, str, datetime, datetime]] = []

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        self.calls.append((metric, cluster, start, end))
        for node, readings in sorted(self.readings.items()):
            yield pl.DataFrame(
                {
                    "node": [node] * len(readings),
                    "timestamp": [APRIL + timedelta(seconds=each) for each in readings],
                    "power_w": list(readings.values()),
                },
                schema={
                    "node": pl.String,
                    "timestamp": pl.Datetime("us", "UTC"),
                    "power_w": pl.Float64,
                },
            ).filter(pl.col("timestamp").is_between(start, end, closed="left"))


def nodes(*names: str, limit_w: float = 1000.0) -> pl.DataFrame:
    described = api_answers.nodes_table(*map(api_answers.reference_node, names))
    return described.with_columns(max_plausible_power_w=pl.lit(limit_w))


def download(
    site: RecordedSite,
    described: pl.DataFrame,
    path: Path,
    *,
    start: datetime = MARCH,
    end: datetime = APRIL,
) -> pl.DataFrame:
    counts, _ = power_download.download_power(
        site,  # type: ignore[arg-type]
        described,
        path,
        metric="bmc_node_power_watt",
        cluster="c",
        window=Window(start, end),
        settings=CleaningSettings(30),
    )
    rows: pl.DataFrame = conform(Quality, counts)
    return rows


def written_power(path: Path, node: str) -> dict[float, float]:
    return {
        (time - APRIL).total_seconds(): power
        for time, power in monthly_files.sample_reader(path)(node).iter_rows()
    }


def test_download_writes_margins_but_counts_only_readings_of_the_month(tmp_path: Path) -> None:
    site = RecordedSite(c_1={-40: 1, -10: 2, -5: 3, 0: 4, 25: 5, 30: 6, 60: 7})
    march = download(site, nodes("c-1"), tmp_path / "march")
    april = download(
        site, nodes("c-1"), tmp_path / "april", start=APRIL, end=APRIL + timedelta(days=1)
    )
    margin = timedelta(seconds=30)
    assert site.calls == [
        ("bmc_node_power_watt", "c", MARCH - margin, APRIL + margin),
        ("bmc_node_power_watt", "c", APRIL - margin, APRIL + timedelta(days=1) + margin),
    ]
    assert written_power(tmp_path / "march", "c-1") == {-40: 1, -10: 2, -5: 3, 0: 4, 25: 5}
    assert written_power(tmp_path / "april", "c-1") == {-10: 2, -5: 3, 0: 4, 25: 5, 30: 6, 60: 7}
    # each reading is counted in its own month alone
    assert march.select("day", "n_read", "n_kept").rows() == [(datetime(2025, 3, 31).date(), 3, 3)]
    assert april.select("day", "n_read", "n_kept").rows() == [(APRIL.date(), 4, 4)]


def test_download_counts_rejected_readings_and_does_not_write_them(tmp_path: Path) -> None:
    site = RecordedSite(
        c_1={0: 100, 5: None, 10: float("nan"), 15: 0, 20: -3, 25: 1001, 30: 1000},
        c_2={0: 0.0},
    )
    end = APRIL + timedelta(days=1)
    counts = download(site, nodes("c-1", "c-2"), tmp_path / "p", start=APRIL, end=end)
    assert written_power(tmp_path / "p", "c-1") == {0: 100, 30: 1000}
    assert written_power(tmp_path / "p", "c-2") == {}
    first, second = counts.rows(named=True)
    assert {name: first[name] for name in ("n_read", "n_kept", "n_nan", "n_not_positive")} == {
        "n_read": 7,
        "n_kept": 2,
        "n_nan": 2,
        "n_not_positive": 2,
    }
    assert (first["n_spike"], first["n_gaps"]) == (1, 0)
    assert (second["n_read"], second["n_kept"], second["n_not_positive"]) == (1, 0, 1)


def test_download_without_readings_writes_an_empty_monthly_file(tmp_path: Path) -> None:
    counts = download(RecordedSite(c_1={}), nodes("c-1"), tmp_path / "p")
    assert counts.is_empty()
    assert written_power(tmp_path / "p", "c-1") == {}


@pytest.mark.parametrize(
    ("since", "n_kept"),
    [
        # limits of 300, 200 and 100 W; the description valid at the end of the month counts
        (("2025-01-01", "2025-02-01", "2025-03-31"), 1),
        (("2025-01-01", "2025-03-31", "2025-04-02"), 2),
        (("2025-03-31", "2025-04-02", "2025-05-01"), 3),
        # all descriptions begin later: the first one counts
        (("2025-04-02", "2025-05-01", "2025-06-01"), 3),
    ],
)
def test_download_takes_the_plausible_limit_of_the_description_at_the_end(
    tmp_path: Path, since: tuple[str, ...], n_kept: int
) -> None:
    periods = [
        nodes("c-1", limit_w=limit_w).with_columns(
            valid_from=pl.lit(datetime.fromisoformat(day).replace(tzinfo=UTC)).dt.cast_time_unit(
                "us"
            )
        )
        for day, limit_w in zip(since, (300.0, 200.0, 100.0), strict=True)
    ]
    site = RecordedSite(c_1={-15: 50, -10: 150, -5: 250})
    counts = download(site, pl.concat(periods[::-1]), tmp_path / "p")
    assert counts["n_kept"].to_list() == [n_kept]


class SiteWithParts(RecordedSite):
    """A site whose node has the same readings from two parts."""

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        for frame in super().power(metric=metric, cluster=cluster, start=start, end=end):
            yield pl.concat(
                frame.with_columns(labels=pl.lit(json.dumps({"psu": part}))) for part in ("1", "2")
            )


def test_download_refuses_parts_of_a_node_or_sums_them(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"metric": "bmc_psu_power_watt", "cluster": "c"}
    arguments["window"] = Window(APRIL, APRIL + timedelta(days=1))
    arguments["settings"] = CleaningSettings(30)
    site: Any = SiteWithParts(c_1={0: 100, 5: 110, 10: 0})
    with pytest.raises(InputError, match=r"c-1 has 2 series, .* set integration\.sum_over: psu"):
        power_download.download_power(site, nodes("c-1"), tmp_path / "p", **arguments)
    counts, _ = power_download.download_power(
        site, nodes("c-1"), tmp_path / "p", **arguments, sum_over="psu"
    )
    assert written_power(tmp_path / "p", "c-1") == {0: 200, 5: 220}
    counts = counts.select("n_read", "n_kept", "n_merged", "n_not_positive", "n_duplicate")
    assert counts.rows() == [(6, 2, 3, 1, 0)]


def test_download_sums_parts_before_it_expands_means(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"metric": "bmc_psu_power_watt", "cluster": "c"}
    arguments["window"] = Window(APRIL, APRIL + timedelta(days=1))
    arguments["settings"] = CleaningSettings(30)
    site: Any = SiteWithParts(c_1={0: 100, 300: 110})
    counts, _ = power_download.download_power(
        site, nodes("c-1"), tmp_path / "p", **arguments, sum_over="psu"
    )
    power = written_power(tmp_path / "p", "c-1")
    assert power == {second: 200 if second < 300 else 220 for second in range(0, 600, 5)}
    assert counts.select("n_read", "n_kept", "n_merged", "n_summary").rows() == [(122, 120, 2, 120)]


@pytest.mark.parametrize("label", ["_device_alias", "_device_orig"])
@pytest.mark.parametrize("is_expanded", [True, False])
def test_download_takes_neither_of_two_means_of_one_bucket(
    tmp_path: Path, label: str, is_expanded: bool
) -> None:
    """Labels change in the second of three buckets, which has two means and one without a number.

    The first label does not distinguish series, the second one does.
    """
    rows = [
        (0, 100.0, {}),
        (300, 110.0, {}),
        (300, math.nan, {"value_str": "N/A"}),
        (300, 130.0, {label: ["new"]}),
        (600, 140.0, {label: ["new"]}),
    ]
    raw = pl.DataFrame(
        {
            "node": ["c-1"] * len(rows),
            "timestamp": pl.Series(
                [APRIL + timedelta(seconds=at) for at, _, _ in rows],
                dtype=pl.Datetime("us", "UTC"),
            ),
            "power_w": [value for _, value, _ in rows],
            "labels": [json.dumps(labels) for *_, labels in rows],
        }
    )
    if is_expanded:
        day = {"start": APRIL, "end": APRIL + timedelta(days=1)}
        raw = means.expand_means(raw, **day, value="power_w")

    class SiteOfMeans(RecordedSite):
        def power(self, **_: Any) -> Iterator[pl.DataFrame]:
            yield raw

    counts = download(
        SiteOfMeans(), nodes("c-1"), tmp_path / "p", start=APRIL, end=APRIL + timedelta(days=1)
    )
    power = written_power(tmp_path / "p", "c-1")
    first, last = range(0, 300, 5), range(600, 900, 5)
    assert power == dict.fromkeys(first, 100.0) | dict.fromkeys(last, 140.0)
    n_nan = 0 if is_expanded else 1
    columns = ("n_read", "n_kept", "n_duplicate", "n_nan", "n_summary", "n_gaps")
    assert counts.select(columns).rows() == [(240 + n_nan, 120, 120, n_nan, 240, 1)]


def test_download_leaves_gaps_for_drop_outs_and_lists_them(tmp_path: Path) -> None:
    site: Any = RecordedSite(c_1={0: 100, 5: 0.2, 10: 0.2, 15: 100}, c_2={0: 9})
    us = int(APRIL.timestamp() * 1e6)
    held = HeldTime(np.array([us]), np.array([us + 60_000_000]))
    counts, spells = power_download.download_power(
        site,
        nodes("c-1", "c-2"),
        tmp_path / "p",
        metric="m",
        cluster="c",
        window=Window(APRIL, APRIL + timedelta(days=1)),
        settings=CleaningSettings(10, 20),
        held={"c-1": held},
    )
    assert written_power(tmp_path / "p", "c-1") == {0: 100, 15: 100}
    assert written_power(tmp_path / "p", "c-2") == {0: 9}
    assert counts.select("n_drop_out", "n_gaps").rows() == [(2, 1), (0, 0)]
    assert spells.select("node", "kind", "n_readings").rows() == [("c-1", "drop_out", 2)]
