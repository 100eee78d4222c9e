"""Download of a cluster and month: what is asked for, kept, and accounted for."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import answers
import numpy as np
import polars as pl
import pytest

from footprint import partitions, power_months, tables
from footprint.errors import InputError
from footprint.held_time import HeldTime

MARCH, APRIL = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC)


class Recorded:
    """A site that has these readings of some nodes, and remembers what it was asked."""

    def __init__(self, **readings: dict[float, float | None]) -> None:
        """Readings by node (`c_1` for c-1): power by seconds since the start of April."""
        self.readings = {name.replace("_", "-"): each for name, each in readings.items()}
        self.asked: list[tuple[str, str, datetime, datetime]] = []

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        self.asked.append((metric, cluster, start, end))
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
    described = answers.nodes_table(*map(answers.node, names))
    return described.with_columns(max_plausible_power_w=pl.lit(limit_w))


def download(
    site: Recorded,
    described: pl.DataFrame,
    path: Path,
    *,
    start: datetime = MARCH,
    end: datetime = APRIL,
) -> pl.DataFrame:
    account, _ = power_months.download(
        site,  # type: ignore[arg-type]
        described,
        path,
        metric="bmc_node_power_watt",
        cluster="c",
        start=start,
        end=end,
        max_gap_s=30,
    )
    rows: pl.DataFrame = tables.conform(tables.Quality, account)
    return rows


def kept(path: Path, node: str) -> dict[float, float]:
    return {
        (time - APRIL).total_seconds(): power
        for time, power in partitions.reader(path)(node).iter_rows()
    }


def test_a_month_has_the_margin_of_a_gap_but_counts_its_own_readings(tmp_path: Path) -> None:
    site = Recorded(c_1={-40: 1, -10: 2, -5: 3, 0: 4, 25: 5, 30: 6, 60: 7})
    march = download(site, nodes("c-1"), tmp_path / "march")
    april = download(
        site, nodes("c-1"), tmp_path / "april", start=APRIL, end=APRIL + timedelta(days=1)
    )
    margin = timedelta(seconds=30)
    assert site.asked == [
        ("bmc_node_power_watt", "c", MARCH - margin, APRIL + margin),
        ("bmc_node_power_watt", "c", APRIL - margin, APRIL + timedelta(days=1) + margin),
    ]
    assert kept(tmp_path / "march", "c-1") == {-40: 1, -10: 2, -5: 3, 0: 4, 25: 5}
    assert kept(tmp_path / "april", "c-1") == {-10: 2, -5: 3, 0: 4, 25: 5, 30: 6, 60: 7}
    # each reading is counted in its own month only
    assert march.select("day", "n_read", "n_kept").rows() == [(datetime(2025, 3, 31).date(), 3, 3)]
    assert april.select("day", "n_read", "n_kept").rows() == [(APRIL.date(), 4, 4)]


def test_what_is_set_aside_is_counted_and_not_written(tmp_path: Path) -> None:
    site = Recorded(
        c_1={0: 100, 5: None, 10: float("nan"), 15: 0, 20: -3, 25: 1001, 30: 1000},
        c_2={0: 0.0},
    )
    end = APRIL + timedelta(days=1)
    account = download(site, nodes("c-1", "c-2"), tmp_path / "p", start=APRIL, end=end)
    assert kept(tmp_path / "p", "c-1") == {0: 100, 30: 1000}
    assert kept(tmp_path / "p", "c-2") == {}
    first, second = account.rows(named=True)
    assert {name: first[name] for name in ("n_read", "n_kept", "n_nan", "n_not_positive")} == {
        "n_read": 7,
        "n_kept": 2,
        "n_nan": 2,
        "n_not_positive": 2,
    }
    assert (first["n_spike"], first["n_gaps"]) == (1, 0)
    assert (second["n_read"], second["n_kept"], second["n_not_positive"]) == (1, 0, 1)


def test_a_cluster_without_readings_has_an_empty_partition(tmp_path: Path) -> None:
    account = download(Recorded(c_1={}), nodes("c-1"), tmp_path / "p")
    assert account.is_empty()
    assert kept(tmp_path / "p", "c-1") == {}


@pytest.mark.parametrize(
    ("since", "n_kept"),
    [
        # limits of 300, 200 and 100 W; what holds at the end of the month decides
        (("2025-01-01", "2025-02-01", "2025-03-31"), 1),
        (("2025-01-01", "2025-03-31", "2025-04-02"), 2),
        (("2025-03-31", "2025-04-02", "2025-05-01"), 3),
        # described only later: the first description is the best there is
        (("2025-04-02", "2025-05-01", "2025-06-01"), 3),
    ],
)
def test_the_limit_of_plausible_power_is_of_the_description_at_the_end(
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
    site = Recorded(c_1={-15: 50, -10: 150, -5: 250})
    account = download(site, pl.concat(periods[::-1]), tmp_path / "p")
    assert account["n_kept"].to_list() == [n_kept]


class Parts(Recorded):
    """A site whose node has the same readings from two parts."""

    def power(
        self, *, metric: str, cluster: str, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        for frame in super().power(metric=metric, cluster=cluster, start=start, end=end):
            yield pl.concat(
                frame.with_columns(labels=pl.lit(json.dumps({"psu": part}))) for part in ("1", "2")
            )


def test_parts_of_a_node_are_refused_or_summed(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"metric": "bmc_psu_power_watt", "cluster": "c", "max_gap_s": 30}
    arguments |= {"start": APRIL, "end": APRIL + timedelta(days=1)}
    site: Any = Parts(c_1={0: 100, 5: 110, 10: 0})
    with pytest.raises(InputError, match=r"c-1 has 2 series, .* set integration\.sum_over: psu"):
        power_months.download(site, nodes("c-1"), tmp_path / "p", **arguments)
    account, _ = power_months.download(
        site, nodes("c-1"), tmp_path / "p", **arguments, sum_over="psu"
    )
    assert kept(tmp_path / "p", "c-1") == {0: 200, 5: 220}
    counts = account.select("n_read", "n_kept", "n_merged", "n_not_positive", "n_duplicate")
    assert counts.rows() == [(6, 2, 3, 1, 0)]


def test_means_in_files_stand_for_readings_and_parts_are_summed_before(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"metric": "bmc_psu_power_watt", "cluster": "c", "max_gap_s": 30}
    arguments |= {"start": APRIL, "end": APRIL + timedelta(days=1)}
    site: Any = Parts(c_1={0: 100, 300: 110})
    account, _ = power_months.download(
        site, nodes("c-1"), tmp_path / "p", **arguments, sum_over="psu"
    )
    power = kept(tmp_path / "p", "c-1")
    assert power == {second: 200 if second < 300 else 220 for second in range(0, 600, 5)}
    assert account.select("n_read", "n_kept", "n_merged", "n_summary").rows() == [
        (122, 120, 2, 120)
    ]


def test_drop_outs_are_gaps_and_listed(tmp_path: Path) -> None:
    site: Any = Recorded(c_1={0: 100, 5: 0.2, 10: 0.2, 15: 100}, c_2={0: 9})
    us = int(APRIL.timestamp() * 1e6)
    held = HeldTime(np.array([us]), np.array([us + 60_000_000]))
    account, spells = power_months.download(
        site,
        nodes("c-1", "c-2"),
        tmp_path / "p",
        **{"metric": "m", "cluster": "c", "max_gap_s": 10, "off_threshold_w": 20},
        **{"start": APRIL, "end": APRIL + timedelta(days=1), "held": {"c-1": held}},
    )
    assert kept(tmp_path / "p", "c-1") == {0: 100, 15: 100}
    assert kept(tmp_path / "p", "c-2") == {0: 9}
    assert account.select("n_drop_out", "n_gaps").rows() == [(2, 1), (0, 0)]
    assert spells.select("node", "kind", "n_readings").rows() == [("c-1", "drop_out", 2)]
