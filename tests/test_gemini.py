"""Real recordings: 152 benchmark windows on an 8-GPU node, against their authors' energies.

Jay et al., "An experimental comparison of software-based power meters", CCGrid 2023. The authors
integrated the samples inside each window alone; see docs/validation-gemini.md for the table.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from footprint import energy, gates, partitions, power_months
from footprint.energy import Gate
from footprint.integration import NOMINAL_PERIOD_S
from footprint.intervals import Method
from footprint.site import JobRecords, open_site
from footprint.tables import States

START, END = datetime(2022, 11, 7, tzinfo=UTC), datetime(2022, 11, 9, tzinfo=UTC)
BMC, WATTMETRE = "bmc_node_power_watt", "wattmetre_power_watt"
DOCUMENT = Path(__file__).parents[1] / "docs" / "validation-gemini.md"

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def recordings(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Partitions of both metrics, written by the pipeline's own download."""
    folder = tmp_path_factory.mktemp("gemini")
    source = {"kind": "exports", "directory": str(shared_data / "gemini-2022-11")}
    site = open_site(source, site="lyon", converted=folder)
    for metric in (BMC, WATTMETRE):
        site.convert_power(metric=metric, directory=folder)  # type: ignore[attr-defined]
        account, _ = power_months.download(
            site,
            site.nodes().collect(),
            folder / f"{metric}.parquet",
            metric=metric,
            cluster="gemini",
            start=START,
            end=END,
            max_gap_s=30,
        )
        assert (account["n_kept"] == account["n_read"]).all()
    return folder


@pytest.fixture(scope="module")
def records(shared_data: Path) -> JobRecords:
    source = {"kind": "exports", "directory": str(shared_data / "gemini-2022-11")}
    return open_site(source, site="lyon").jobs(start=START, end=END)


@pytest.fixture(scope="module")
def published(shared_data: Path) -> pl.DataFrame:
    return pl.read_csv(shared_data / "gemini-2022-11" / "runs.csv").rename({"uid": "job_id"})


def windows(published: pl.DataFrame, bounds: str, records: JobRecords) -> pl.DataFrame:
    """Gates of the windows: `fractional` as in runs.csv, `whole` seconds as the API gives."""
    jobs = records.jobs.select("job_id", "started_at", "stopped_at").collect()
    if bounds == "fractional":
        moment = (pl.col("started_at", "stopped_at") * 1e6).round().cast(pl.Int64)
        jobs = published.select("job_id", moment.cast(pl.Datetime("us", "UTC")))
    constants = {"share": 1.0, "gpus": 8.0, "cores": 40.0, "opens": True, "closes": True}
    return jobs.with_columns(
        node=pl.lit("gemini-1"), **{name: pl.lit(value) for name, value in constants.items()}
    ).select(gates.PIECES.names())


def energies(
    recordings: Path, pieces: pl.DataFrame, *, metric: str, method: str
) -> dict[int, float]:
    jobs, _ = energy.integrate(
        ["gemini-1"],
        partitions.reader(recordings / f"{metric}.parquet"),
        Gate("reserved", Method(method, 30, 20, NOMINAL_PERIOD_S[metric])),
        pieces=pieces,
        occupancy=gates.occupancy(pieces.lazy()).collect(),
        states=pl.DataFrame(States.create_empty()),
        start=START,
        end=END,
    )
    return dict(jobs.select("job_id", pl.col("energy_j") / 3.6e6).iter_rows())


def ratios(
    recordings: Path,
    records: JobRecords,
    published: pl.DataFrame,
    *,
    metric: str,
    method: str,
    bounds: str,
    shortest_s: float = 60,
) -> pl.Series:
    """Our energy / that of the authors, for windows of at least `shortest_s`."""
    column = {BMC: "authors_bmc_kwh", WATTMETRE: "authors_wattmetre_kwh"}[metric]
    ours = energies(recordings, windows(published, bounds, records), metric=metric, method=method)
    long = published.filter(pl.col("stopped_at") - pl.col("started_at") >= shortest_s)
    return long.select(
        pl.col("job_id").replace_strict(ours, return_dtype=pl.Float64) / pl.col(column)
    ).to_series()


def test_every_window_gets_an_energy_from_both_meters(
    recordings: Path, records: JobRecords, published: pl.DataFrame
) -> None:
    for metric in (BMC, WATTMETRE):
        pieces = windows(published, "whole", records)
        found = energies(recordings, pieces, metric=metric, method="trapezoid")
        assert len(found) == 152
        assert min(found.values()) > 0


def test_the_authors_wattmetre_energies_are_reproduced(
    recordings: Path, records: JobRecords, published: pl.DataFrame
) -> None:
    inner = ratios(
        recordings,
        records,
        published,
        metric=WATTMETRE,
        method="inner_trapezoid",
        bounds="fractional",
    )
    assert len(inner) == 72
    assert (inner - 1).abs().max() < 0.001  # type: ignore[operator]
    whole = ratios(
        recordings, records, published, metric=WATTMETRE, method="trapezoid", bounds="fractional"
    )
    assert whole.min() > 1.001  # type: ignore[operator]
    assert whole.max() < 1.018  # type: ignore[operator]


@pytest.mark.parametrize("method", ["trapezoid", "inner_trapezoid"])
def test_whole_seconds_lie_a_little_above(
    recordings: Path, records: JobRecords, published: pl.DataFrame, method: str
) -> None:
    found = ratios(recordings, records, published, metric=WATTMETRE, method=method, bounds="whole")
    assert found.min() > 1.006  # type: ignore[operator]
    assert found.max() < 1.018  # type: ignore[operator]


def test_the_authors_bmc_energies_are_met_in_the_median(
    recordings: Path, records: JobRecords, published: pl.DataFrame
) -> None:
    found = ratios(
        recordings, records, published, metric=BMC, method="inner_trapezoid", bounds="fractional"
    )
    assert found.median() == pytest.approx(1, abs=0.001)


def test_the_bmc_reads_nine_tenths_of_the_wattmetre(
    recordings: Path, records: JobRecords, published: pl.DataFrame
) -> None:
    pieces = windows(published, "fractional", records)
    bmc = energies(recordings, pieces, metric=BMC, method="trapezoid")
    wattmetre = energies(recordings, pieces, metric=WATTMETRE, method="trapezoid")
    ratio = pl.Series([bmc[job] / wattmetre[job] for job in bmc])
    assert ratio.median() == pytest.approx(0.89, abs=0.01)


def table(recordings: Path, records: JobRecords, published: pl.DataFrame) -> list[str]:
    """Rows of the table in docs/validation-gemini.md."""
    rows = []
    for metric in (WATTMETRE, BMC):
        for bounds in ("fractional", "whole"):
            for method in ("inner_trapezoid", "trapezoid", "left_hold", "sum_of_samples"):
                found = ratios(
                    recordings, records, published, metric=metric, method=method, bounds=bounds
                )
                parts = [found.median(), found.min(), found.max()]
                shown = " | ".join(f"{100 * (float(part) - 1):+.2f} %" for part in parts)  # type: ignore[arg-type]
                rows.append(f"| `{metric}` | {bounds} | `{method}` | {shown} |")
    return rows


def test_the_documented_table_is_what_comes_out(
    recordings: Path, records: JobRecords, published: pl.DataFrame
) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for row in table(recordings, records, published):
        assert row in text
