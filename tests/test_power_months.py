"""Download of a cluster and month: what is asked for, kept, and accounted for."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import answers
import polars as pl
import pytest

from footprint import partitions, power_months, tables

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
