"""Rules that `snakemake -n` plans for each kind of study."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support import api_answers
from tests.support.project import Project, configure, job_counts, small_study

pytestmark = pytest.mark.workflow

RULES_OF_EVERY_STUDY = {
    "download_nodes": 1,
    "download_jobs": 1,
    "match_labels": 1,
    "build_allocations": 1,
    "combine_energy": 1,
    "fit_virtual_meter": 1,
    "look_up_hardware": 1,
    "estimate_energy": 1,
    "compare_estimates": 1,
    "build_levels": 1,
    "plot_energy_by_class": 1,
    "plot_levels": 1,
    "plot_methods": 1,
    "plot_ratios": 1,
    "plot_node_week": 1,
    "tabulate_energy_by_class": 1,
    "tabulate_estimators": 1,
    "tabulate_levels": 1,
    "tabulate_methods": 1,
    "tabulate_quality": 1,
    "tabulate_ratios": 1,
    "read_models": 1,
    "count_users": 1,
    "plot_models": 1,
    "plot_active_users": 1,
    "tabulate_active_users": 1,
    "plot_site_map": 1,
    "plot_energy_over_time": 1,
    "plot_concentration": 1,
    "tabulate_energy_over_time": 1,
    "tabulate_concentration": 1,
    "plot_paper_runs": 1,
    "estimate_carbon": 1,
    "write_summary": 1,
    "write_report": 1,
    "tabulate_study": 1,
    "tabulate_hardware": 1,
    "tabulate_carbon": 1,
    "merge_runs": 1,
    "extract_features": 1,
    "classify_runs": 1,
    "compare_gates": 1,
    "compare_phases": 1,
    "plot_phases": 1,
    "plot_energy_per_run": 1,
    "tabulate_phases": 1,
    "plot_sensitivities": 1,
    "tabulate_sensitivities": 1,
    "measure_reliability": 1,
    "plot_reliability": 1,
    "tabulate_reliability": 1,
    "plot_phase_energies": 1,
    "tabulate_phase_energies": 1,
    "plot_ratio_uncertainty": 1,
    "tabulate_ratio_uncertainty": 1,
    "break_down_stages": 1,
    "tabulate_stages": 1,
    "budget_uncertainty": 1,
    "plot_uncertainty": 1,
    "tabulate_uncertainty": 1,
    "tabulate_virtual_meter": 1,
}
RULES_OF_SIMULATED_SITE = {
    "download_truth": 1,
    "evaluate_phases": 1,
    "tabulate_evaluation": 1,
}
RULES_OF_SIMULATION_CHECK = {
    "check_simulation": 1,
    "check_totals": 1,
    "plot_simulation_check": 1,
    "tabulate_simulation_check": 1,
}


def jobs_by_cluster(n: int, *rules: str) -> dict[str, int]:
    usual = ("measure_node_power", "measure_power_histograms", "estimate_gaps")
    return dict.fromkeys((*usual, *rules), n)


def jobs_by_month(n: int, *rules: str) -> dict[str, int]:
    return dict.fromkeys(rules or ("download_power", "integrate_energy"), n)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("dag"))


def cluster_months(output: str, rule: str) -> set[tuple[str, str]]:
    """Cluster and month of each planned job of a rule."""
    jobs = re.findall(rf"^(?:local)?rule {rule}:\n((?:    .*\n)+)", output, re.M)
    return {
        (cluster, month)
        for job in jobs
        for cluster, month in re.findall(r"wildcards: cluster=([^,\n]+), month=([^,\n]+)", job)
    }


def test_plan_of_simulated_study_has_a_job_for_each_cluster_and_month(
    project: Project, tmp_path: Path
) -> None:
    config = small_study(project)
    config["study"] |= {"start": "2024-12-15", "end": "2025-03-01"}
    output = project.run(configure(tmp_path, **config), "-n").output
    of_the_site = RULES_OF_EVERY_STUDY | RULES_OF_SIMULATED_SITE | RULES_OF_SIMULATION_CHECK
    assert job_counts(output) == of_the_site | jobs_by_month(9) | jobs_by_cluster(3)
    months = ("2024-12", "2025-01", "2025-02")  # the end is excluded: no March
    expected = {(cluster, month) for cluster in ("graffiti", "gres", "gruss") for month in months}
    for rule in ("download_power", "integrate_energy"):
        assert cluster_months(output, rule) == expected
    # planning writes nothing
    assert {path.name for path in tmp_path.iterdir()} <= {"study.yaml", ".snakemake"}


def test_plan_with_binary_gate_omits_simulation_check(project: Project, tmp_path: Path) -> None:
    config = small_study(project, integration={"gate": "binary"})
    config["study"]["clusters"] = ["gruss"]
    planned = project.planned(configure(tmp_path, **config))
    of_the_site = RULES_OF_EVERY_STUDY | RULES_OF_SIMULATED_SITE
    assert planned == of_the_site | jobs_by_month(2) | jobs_by_cluster(1)


def test_plan_with_two_part_gate_measures_node_power(project: Project, tmp_path: Path) -> None:
    config = small_study(project, integration={"gate": "two_part"})
    planned = project.planned(configure(tmp_path, **config))
    of_the_site = RULES_OF_EVERY_STUDY | RULES_OF_SIMULATED_SITE
    assert planned == of_the_site | jobs_by_month(6) | jobs_by_cluster(3)


def test_plan_with_device_series_integrates_them_by_cluster(
    project: Project, tmp_path: Path
) -> None:
    devices = ["prom_DCGM_FI_DEV_POWER_USAGE", "prom_node_load1"]
    config = small_study(project, download={"devices": devices}, integration={"gate": "binary"})
    planned = project.planned(configure(tmp_path, **config))
    of_clusters = jobs_by_cluster(3, "integrate_devices")
    of_months = jobs_by_month(
        6,
        *("download_power", "integrate_energy", "integrate_series"),
        *("download_devices", "download_series"),
    )
    of_the_site = RULES_OF_EVERY_STUDY | RULES_OF_SIMULATED_SITE
    assert planned == of_the_site | of_clusters | of_months


@pytest.fixture
def exports(tmp_path: Path) -> dict[str, Any]:
    """Configuration of a study of exported files, with a label file."""
    folder = tmp_path / "exports"
    api_answers.save_json(
        folder / "nodes/gruss.json",
        api_answers.collection_page(api_answers.reference_node("gruss-1")),
    )
    api_answers.save_json(
        folder / "nodes/gros.json",
        api_answers.collection_page(api_answers.reference_node("gros-1")),
    )
    api_answers.save_json(
        folder / "jobs/page.json", api_answers.collection_page(api_answers.g5k_job(11))
    )
    api_answers.save_json(folder / "power/day.json", [])
    (tmp_path / "labels.csv").write_text("jobs,paper\n11,enhancement\n")
    return {
        "study": {"site": "nancy", "start": "2025-03-03", "end": "2025-03-04"},
        "source": {"kind": "exports", "directory": "exports"},
        "labels": {"files": ["labels.csv"]},
        "privacy": {"key": "public"},
    }


def test_plan_of_exports_omits_labels_of_simulated_site(
    project: Project, tmp_path: Path, exports: dict[str, Any]
) -> None:
    shutil.copy2(project.folder / "config.yaml", tmp_path)
    shutil.copytree(project.folder / "docs", tmp_path / "docs")
    del exports["labels"]
    output = project.run(configure(tmp_path, **exports), "-n").output
    assert job_counts(output) == RULES_OF_EVERY_STUDY | jobs_by_month(2) | jobs_by_cluster(2) | {
        "convert_power": 1
    }
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", output, re.M))
    assert "labels" not in inputs["match_labels"]
    # the default study has labels, with the same config.yaml
    output = project.run(configure(tmp_path, study={"clusters": ["gres"]}), "-n").output
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", output, re.M))
    assert inputs["match_labels"].endswith("docs/labels/simulated.yaml")
    assert job_counts(output)["download_series"] == 2


def test_plan_of_exports_converts_power_and_omits_truth(
    project: Project, tmp_path: Path, exports: dict[str, Any]
) -> None:
    output = project.run(configure(tmp_path, **exports), "-n").output
    assert job_counts(output) == RULES_OF_EVERY_STUDY | jobs_by_month(2) | jobs_by_cluster(2) | {
        "convert_power": 1
    }
    assert cluster_months(output, "integrate_energy") == {("gros", "2025-03"), ("gruss", "2025-03")}
    # every file is an input of the rules that read it: a new file reruns them
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", output, re.M))
    nodes = "exports/nodes/gros.json, exports/nodes/gruss.json"
    assert inputs["download_nodes"] == nodes
    assert inputs["download_jobs"] == f"{nodes}, exports/jobs/page.json"
    assert inputs["convert_power"] == f"{nodes}, exports/power/day.json"
    assert inputs["match_labels"].endswith("labels.csv")


def test_plan_of_exports_with_device_series_reads_them_of_each_cluster(
    project: Project, tmp_path: Path, exports: dict[str, Any]
) -> None:
    api_answers.save_json(tmp_path / "exports/devices/day.json", [])
    output = project.run(configure(tmp_path, **exports), "-n").output
    of_clusters = {"download_devices": 2, "download_series": 4, "integrate_devices": 2}
    others = jobs_by_month(2) | jobs_by_cluster(2) | {"convert_power": 1, "convert_devices": 1}
    of_series = {"integrate_series": 2}
    assert job_counts(output) == RULES_OF_EVERY_STUDY | others | of_clusters | of_series
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", output, re.M))
    assert inputs["convert_devices"].endswith("exports/devices/day.json")
    assert inputs["download_series"].endswith("resources/nancy/converted/devices")


def test_plan_with_ledgers_adds_their_rules_and_inputs(
    project: Project, tmp_path: Path, exports: dict[str, Any]
) -> None:
    for name in ("anne/job-1.jsonl", "bob/job-2.jsonl"):
        path = tmp_path / "ledgers" / name
        path.parent.mkdir(parents=True)
        path.write_text("")
    exports["labels"]["ledgers"] = ["ledgers", "ledgers/anne"]
    output = project.run(configure(tmp_path, **exports), "-n").output
    others = jobs_by_month(2) | jobs_by_cluster(2) | {"convert_power": 1}
    of_ledgers = dict.fromkeys(("match_ledgers", "reconcile_ledgers", "tabulate_ledgers"), 1)
    assert job_counts(output) == RULES_OF_EVERY_STUDY | others | of_ledgers
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", output, re.M))
    both = "ledgers/anne/job-1.jsonl, ledgers/bob/job-2.jsonl"
    assert inputs["match_ledgers"].startswith(f"{both}, ")
    needs = {
        "match_labels": "ledger",
        "estimate_energy": "tracked",
        "combine_energy": "rejected/ledger",
    }
    for rule, name in needs.items():
        assert f"resources/nancy/{name}.parquet" in inputs[rule]


def test_plan_with_recorded_runs_adds_match_recorded(
    project: Project, tmp_path: Path, exports: dict[str, Any]
) -> None:
    path = tmp_path / "exports/recorded/11/emissions.csv"
    path.parent.mkdir(parents=True)
    path.write_text("timestamp,run_id,duration,energy_consumed\n")
    output = project.run(configure(tmp_path, **exports), "-n").output
    others = jobs_by_month(2) | jobs_by_cluster(2) | {"convert_power": 1}
    assert job_counts(output) == RULES_OF_EVERY_STUDY | others | {"match_recorded": 1}
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", output, re.M))
    assert inputs["match_recorded"].startswith("exports/recorded/11/emissions.csv")
    # the same rule counts a broken link, also without any other file
    path.unlink()
    path.symlink_to("nowhere.csv")
    assert project.planned(tmp_path)["match_recorded"] == 1
