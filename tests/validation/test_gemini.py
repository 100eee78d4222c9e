"""Energies of 152 real benchmark windows on an 8-GPU node against the authors' energies.

Jay et al., "An experimental comparison of software-based power meters", CCGrid 2023. The authors
integrated only the samples inside each window; docs/validation-gemini.md has the table.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from footprint.allocation import node_allocations
from footprint.core.calendar import Window
from footprint.energy import attribution
from footprint.energy.attribution import IntegrationSettings, NodeRecords
from footprint.energy.sample_intervals import IntegrationMethod
from footprint.energy.sensor_period import NOMINAL_PERIOD_S
from footprint.sources import monthly_files, power_download
from footprint.sources.cleaning import CleaningSettings
from footprint.sources.protocol import JobRecords
from footprint.sources.registry import open_site

START, END = datetime(2022, 11, 7, tzinfo=UTC), datetime(2022, 11, 9, tzinfo=UTC)
BMC_METRIC, WATTMETER_METRIC = "bmc_node_power_watt", "wattmetre_power_watt"
DOCUMENT = Path(__file__).parents[2] / "docs" / "validation-gemini.md"

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def recordings(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a file of samples per metric, written by the pipeline's download."""
    folder = tmp_path_factory.mktemp("gemini")
    source = {"kind": "exports", "directory": str(shared_data / "gemini-2022-11")}
    site = open_site(source, site="lyon", converted=folder)
    for metric in (BMC_METRIC, WATTMETER_METRIC):
        site.convert_power(metric=metric, directory=folder)  # type: ignore[attr-defined]
        account, _ = power_download.download_power(
            site,
            site.nodes().collect(),
            folder / f"{metric}.parquet",
            metric=metric,
            cluster="gemini",
            window=Window(START, END),
            settings=CleaningSettings(30),
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


def window_allocations(published: pl.DataFrame, bounds: str, records: JobRecords) -> pl.DataFrame:
    """Allocations of the windows, with `fractional` bounds of runs.csv or `whole` of OAR."""
    jobs = records.jobs.select("job_id", "started_at", "stopped_at").collect()
    if bounds == "fractional":
        moment = (pl.col("started_at", "stopped_at") * 1e6).round().cast(pl.Int64)
        jobs = published.select("job_id", moment.cast(pl.Datetime("us", "UTC")))
    constants = {"share": 1.0, "gpus": 8.0, "cores": 40.0, "opens": True, "closes": True}
    return jobs.with_columns(
        node=pl.lit("gemini-1"), **{name: pl.lit(value) for name, value in constants.items()}
    ).select(node_allocations.ALLOCATION_SCHEMA.names())


def window_energies(
    recordings: Path, pieces: pl.DataFrame, *, metric: str, method: str
) -> dict[int, float]:
    jobs, _ = attribution.attribute_energy(
        ["gemini-1"],
        monthly_files.sample_reader(recordings / f"{metric}.parquet"),
        IntegrationSettings(
            "reserved", IntegrationMethod(method, 30, 20, NOMINAL_PERIOD_S[metric])
        ),
        NodeRecords(pieces),
        start=START,
        end=END,
    )
    return dict(jobs.select("job_id", pl.col("energy_j") / 3.6e6).iter_rows())


def energy_ratios(
    recordings: Path,
    records: JobRecords,
    published: pl.DataFrame,
    *,
    metric: str,
    method: str,
    bounds: str,
    shortest_s: float = 60,
) -> pl.Series:
    """Ratio of our energy to the authors' energy, for windows of at least `shortest_s`."""
    column = {BMC_METRIC: "authors_bmc_kwh", WATTMETER_METRIC: "authors_wattmetre_kwh"}[metric]
    ours = window_energies(
        recordings, window_allocations(published, bounds, records), metric=metric, method=method
    )
    long = published.filter(pl.col("stopped_at") - pl.col("started_at") >= shortest_s)
    return long.select(
        pl.col("job_id").replace_strict(ours, return_dtype=pl.Float64) / pl.col(column)
    ).to_series()


def test_windows_have_energies_from_both_meters(
    recordings: Path, records: JobRecords, published: pl.DataFrame
) -> None:
    for metric in (BMC_METRIC, WATTMETER_METRIC):
        pieces = window_allocations(published, "whole", records)
        found = window_energies(recordings, pieces, metric=metric, method="trapezoid")
        assert len(found) == 152
        assert min(found.values()) > 0


def test_wattmeter_energies_reproduce_the_authors(
    recordings: Path, records: JobRecords, published: pl.DataFrame
) -> None:
    inner = energy_ratios(
        recordings,
        records,
        published,
        metric=WATTMETER_METRIC,
        method="inner_trapezoid",
        bounds="fractional",
    )
    assert len(inner) == 72
    assert (inner - 1).abs().max() < 0.001  # type: ignore[operator]
    whole = energy_ratios(
        recordings,
        records,
        published,
        metric=WATTMETER_METRIC,
        method="trapezoid",
        bounds="fractional",
    )
    assert whole.min() > 1.001  # type: ignore[operator]
    assert whole.max() < 1.018  # type: ignore[operator]


@pytest.mark.parametrize("method", ["trapezoid", "inner_trapezoid"])
def test_wattmeter_energies_of_whole_seconds_are_slightly_higher(
    recordings: Path, records: JobRecords, published: pl.DataFrame, method: str
) -> None:
    found = energy_ratios(
        recordings, records, published, metric=WATTMETER_METRIC, method=method, bounds="whole"
    )
    assert found.min() > 1.006  # type: ignore[operator]
    assert found.max() < 1.018  # type: ignore[operator]


def test_bmc_energies_match_the_authors_in_the_median(
    recordings: Path, records: JobRecords, published: pl.DataFrame
) -> None:
    found = energy_ratios(
        recordings,
        records,
        published,
        metric=BMC_METRIC,
        method="inner_trapezoid",
        bounds="fractional",
    )
    assert found.median() == pytest.approx(1, abs=0.001)


def test_bmc_reads_nine_tenths_of_the_wattmeter(
    recordings: Path, records: JobRecords, published: pl.DataFrame
) -> None:
    pieces = window_allocations(published, "fractional", records)
    bmc = window_energies(recordings, pieces, metric=BMC_METRIC, method="trapezoid")
    wattmeter = window_energies(recordings, pieces, metric=WATTMETER_METRIC, method="trapezoid")
    ratio = pl.Series([bmc[job] / wattmeter[job] for job in bmc])
    assert ratio.median() == pytest.approx(0.89, abs=0.01)


def document_rows(recordings: Path, records: JobRecords, published: pl.DataFrame) -> list[str]:
    """Rows of the table in docs/validation-gemini.md."""
    rows = []
    for metric in (WATTMETER_METRIC, BMC_METRIC):
        for bounds in ("fractional", "whole"):
            for method in ("inner_trapezoid", "trapezoid", "left_hold", "sum_of_samples"):
                found = energy_ratios(
                    recordings, records, published, metric=metric, method=method, bounds=bounds
                )
                parts = [found.median(), found.min(), found.max()]
                shown = " | ".join(f"{100 * (float(part) - 1):+.2f} %" for part in parts)  # type: ignore[arg-type]
                rows.append(f"| `{metric}` | {bounds} | `{method}` | {shown} |")
    return rows


def test_documented_table_matches_the_recordings(
    recordings: Path, records: JobRecords, published: pl.DataFrame
) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for row in document_rows(recordings, records, published):
        assert row in text
