"""Power readings with one fault each, run with Snakemake to the energies of jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cases import Case
from tests.support.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.workflow]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def test_case_per_psu_metric_is_refused_then_summed_on_request(
    shared_cases: Path, project: Project, tmp_path: Path
) -> None:
    case = Case(shared_cases / "cluster-02-per-psu-metric", tmp_path)
    ran = case.run(project, status=1)
    assert (
        "bmc_psu_power_watt of grele-1 has 2 series, distinguished by the label `psu`" in ran.output
    )
    assert "set integration.sum_over: psu" in ran.output
    case.configure(integration={"metric": "bmc_psu_power_watt", "sum_over": "psu"})
    case.run(project)
    assert case.energies_kwh() == {1: pytest.approx(0.21, rel=1e-6)}
    quality = case.table("energy/quality").row(0, named=True)
    assert quality["n_merged"] == quality["n_kept"] == quality["n_read"] // 2


def test_case_watthour_counter_is_refused(
    shared_cases: Path, project: Project, tmp_path: Path
) -> None:
    case = Case(shared_cases / "cluster-03-watthour-counter", tmp_path)
    ran = case.run(project, status=1)
    assert "bmc_node_power_watthour_total is a counter" in ran.output


def test_case_50hz_samples_count_for_their_own_period(
    shared_cases: Path, project: Project, tmp_path: Path
) -> None:
    case = Case(shared_cases / "cluster-04-50hz-sum-of-samples", tmp_path)
    case.run(project)
    assert case.energies_kwh() == {1: pytest.approx(200 * 60 / 3.6e6, rel=1e-3)}


def test_case_summary_means_are_used_and_counted(
    shared_cases: Path, project: Project, tmp_path: Path
) -> None:
    case = Case(shared_cases / "cluster-08-summary-answers", tmp_path)
    case.run(project)
    assert case.energies_kwh() == {1: pytest.approx(0.2, rel=1e-6)}
    quality = case.table("energy/quality").row(0, named=True)
    assert quality["n_summary"] == quality["n_read"] > 0


def test_case_former_metric_name_counts_as_the_metric(
    shared_cases: Path, project: Project, tmp_path: Path
) -> None:
    case = Case(shared_cases / "cluster-09-former-metric-name", tmp_path)
    case.run(project)
    assert case.energies_kwh() == {1: pytest.approx(0.2), 2: pytest.approx(0.2)}
    assert case.table("energy/rejected").is_empty()


def test_case_kilowatts_are_rejected_with_reason(
    shared_cases: Path, project: Project, tmp_path: Path
) -> None:
    case = Case(shared_cases / "cluster-13-kilowatts", tmp_path)
    case.run(project, "results/energy/jobs.parquet", "results/summary.md")
    (job,) = case.table("energy/jobs").rows(named=True)
    assert job["measured_kwh"] is None
    assert {"unmeasured", "sensor_drop_out"} <= set(job["flags"])
    [row] = case.table("energy/rejected").rows()
    assert row[:2] == ("power", "grele")
    assert row[2].endswith("while a job held the node: a dead sensor, or a unit other than W")
    assert row[3:] == (720, "grele-1, 0.999 node hours of its cluster")
    summary = (case.directory / "results/summary.md").read_text("utf-8")
    assert "a dead sensor, or a unit other than W: 720" in summary


def test_case_nan_literals_are_counted_as_nan(
    shared_cases: Path, project: Project, tmp_path: Path
) -> None:
    case = Case(shared_cases / "cluster-17-nan-literal", tmp_path)
    case.run(project)
    assert case.energies_kwh() == {1: pytest.approx(0.2, rel=1e-6)}
    assert case.table("energy/quality")["n_nan"].sum() > 0


def test_case_clusters_without_metrics_keep_energies(
    shared_cases: Path, project: Project, tmp_path: Path
) -> None:
    case = Case(shared_cases / "cluster-18-clusters-without-metrics", tmp_path)
    case.run(project)
    assert case.energies_kwh() == {1: pytest.approx(0.2, rel=1e-6)}
