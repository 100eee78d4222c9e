"""`footprint.open_results`: tables of a study, and those that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import footprint
from footprint.schemas.raw import Power
from tests.support.rule_chain import METRIC, RuleChain


def test_open_results_gives_the_tables_of_the_study(chain: RuleChain, study: Path) -> None:
    results = footprint.open_results(study / "results")
    for name in ("jobs", "job_nodes", "nodes"):
        assert_frame_equal(getattr(results, name), chain.read(f"energy-{name}"))
    assert_frame_equal(results.allocations, chain.read("node_allocations"))
    assert results.jobs is results.jobs
    assert results.site == "nancy"
    version = footprint.__version__
    assert results.provenance == f"nancy · 2025-03-31 to 2025-04-01 · footprint {version}"


def test_open_results_finds_a_relative_folder_above_the_current_one(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study / "notebooks").mkdir(exist_ok=True)
    monkeypatch.chdir(study / "notebooks")
    assert footprint.open_results().folder == study / "results"
    with pytest.raises(
        footprint.InputError, match=r"^reslts: there is no such folder here or above"
    ):
        footprint.open_results("reslts")


def test_power_of_a_node_joins_its_months_without_repeats(chain: RuleChain, study: Path) -> None:
    power = footprint.open_results(study / "results").power("grele-2")
    assert Power.is_valid(power)
    expected = chain.power().filter(pl.col("node") == "grele-2").unique().sort("timestamp")
    assert_frame_equal(power, expected.collect())


def test_power_refuses_an_unknown_node_and_several_metrics(study: Path, tmp_path: Path) -> None:
    results = footprint.open_results(study / "results")
    with pytest.raises(
        footprint.InputError, match=r"'grele-9' is no node of the study; .+ as grele-1, grele-2"
    ):
        results.power("grele-9")
    with pytest.raises(
        footprint.InputError, match=r"has 0 metrics of the cluster grele; run the w"
    ):
        results.power("grele-1", metric="other")
    (tmp_path / "results").symlink_to(study / "results")
    for metric in ("one", "two"):
        (tmp_path / "resources/nancy/power" / metric).mkdir(parents=True)
        source = study / "resources/nancy/power" / METRIC / "grele"
        (tmp_path / "resources/nancy/power" / metric / "grele").symlink_to(source)
    several = footprint.open_results(tmp_path / "results")
    with pytest.raises(
        footprint.InputError, match=r"has 2 metrics of the cluster grele: one, two;"
    ):
        several.power("grele-1")
    assert len(several.power("grele-1", metric="two")) > 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.all().exclude("share"), r"column share is missing in it, and Float64 in footprint"),
        ([pl.all(), pl.lit(1).alias("later_kwh")], r"column later_kwh is Int32 in it, and missing"),
        (pl.all().cast(pl.String), r"column job_id is String in it, and Int64 in footprint"),
    ],
)
def test_results_refuse_a_table_of_another_version(
    study: Path, tmp_path: Path, change: Any, message: str
) -> None:
    table = pl.read_parquet(study / "results/energy/job_nodes.parquet")
    (tmp_path / "results/energy").mkdir(parents=True)
    table.select(change).write_parquet(tmp_path / "results/energy/job_nodes.parquet")
    results = footprint.open_results(tmp_path / "results")
    with pytest.raises(footprint.InputError, match=message) as caught:
        _ = results.job_nodes
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/results/energy/job_nodes.parquet: ")


def test_results_refuse_missing_and_broken_tables(tmp_path: Path) -> None:
    results = footprint.open_results(tmp_path)
    with pytest.raises(
        footprint.InputError, match=r"ratio\.parquet: there is no such table yet; r"
    ):
        _ = results.ratio
    (tmp_path / "energy").mkdir()
    (tmp_path / "energy/jobs.parquet").write_bytes(b"PAR1")
    with pytest.raises(
        footprint.InputError, match=r"jobs\.parquet: the table cannot be read \("
    ) as e:
        _ = results.jobs
    assert "\n" not in str(e.value)
