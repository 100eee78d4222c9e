"""Which rules run for which study, as `snakemake -n` plans them."""

import re
import shutil
from pathlib import Path
from typing import Any

import answers
import pytest
from running import Project, configure, job_counts, small_study

pytestmark = pytest.mark.workflow

OF_EVERY_STUDY = {
    "download_nodes": 1,
    "download_jobs": 1,
    "match_labels": 1,
    "build_gates": 1,
    "gather_energy": 1,
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
    "gather_models": 1,
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
    "tabulate_study": 1,
    "tabulate_hardware": 1,
    "tabulate_carbon": 1,
    "merge_runs": 1,
    "gather_evidence": 1,
    "classify_runs": 1,
    "compare_phases": 1,
    "plot_phases": 1,
    "plot_energy_per_run": 1,
    "tabulate_phases": 1,
}
OF_THE_SIMULATED_SITE = {
    "download_truth": 1,
    "evaluate_phases": 1,
    "tabulate_evaluation": 1,
}
WHERE_TRUTH_IS_COMPARED = {
    "check_simulation": 1,
    "plot_simulation_check": 1,
    "tabulate_simulation_check": 1,
}


def by_cluster(n: int, *rules: str) -> dict[str, int]:
    return dict.fromkeys(("measure_node_power", "measure_power_levels", *rules), n)


def by_month(n: int, *rules: str) -> dict[str, int]:
    return dict.fromkeys(rules or ("download_power", "integrate_energy"), n)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("dag"))


def wildcards(said: str, rule: str) -> set[tuple[str, str]]:
    """Cluster and month of each job of a rule."""
    jobs = re.findall(rf"^(?:local)?rule {rule}:\n((?:    .*\n)+)", said, re.M)
    return {
        (cluster, month)
        for job in jobs
        for cluster, month in re.findall(r"wildcards: cluster=([^,\n]+), month=([^,\n]+)", job)
    }


def test_a_simulated_study_has_a_job_for_each_cluster_and_month(
    project: Project, tmp_path: Path
) -> None:
    config = small_study(project)
    config["study"] |= {"start": "2024-12-15", "end": "2025-03-01"}
    said = project.run(configure(tmp_path, **config), "-n").said
    of_the_site = OF_EVERY_STUDY | OF_THE_SIMULATED_SITE | WHERE_TRUTH_IS_COMPARED
    assert job_counts(said) == of_the_site | by_month(9) | by_cluster(3)
    months = ("2024-12", "2025-01", "2025-02")  # the end is excluded: no March
    expected = {(cluster, month) for cluster in ("graffiti", "gres", "gruss") for month in months}
    for rule in ("download_power", "integrate_energy"):
        assert wildcards(said, rule) == expected
    # planning writes nothing
    assert {path.name for path in tmp_path.iterdir()} <= {"study.yaml", ".snakemake"}


def test_other_gates_are_not_compared_with_the_truth_of_reserved_shares(
    project: Project, tmp_path: Path
) -> None:
    config = small_study(project, integration={"gate": "binary"})
    config["study"]["clusters"] = ["gruss"]
    planned = project.planned(configure(tmp_path, **config))
    of_the_site = OF_EVERY_STUDY | OF_THE_SIMULATED_SITE
    assert planned == of_the_site | by_month(2) | by_cluster(1)


def test_two_part_needs_the_power_of_idle_nodes(project: Project, tmp_path: Path) -> None:
    config = small_study(project, integration={"gate": "two_part"})
    planned = project.planned(configure(tmp_path, **config))
    of_the_site = OF_EVERY_STUDY | OF_THE_SIMULATED_SITE
    assert planned == of_the_site | by_month(6) | by_cluster(3)


def test_series_of_devices_are_integrated_by_cluster(project: Project, tmp_path: Path) -> None:
    devices = ["prom_DCGM_FI_DEV_POWER_USAGE", "prom_node_load1"]
    config = small_study(project, download={"devices": devices}, integration={"gate": "binary"})
    planned = project.planned(configure(tmp_path, **config))
    of_clusters = by_cluster(3, "integrate_gpu_power", "integrate_cpu_series")
    of_months = by_month(
        6, "download_power", "integrate_energy", "download_devices", "download_series"
    )
    of_the_site = OF_EVERY_STUDY | OF_THE_SIMULATED_SITE | {"build_gpu_gates": 1}
    assert planned == of_the_site | of_clusters | of_months


@pytest.fixture
def exports(tmp_path: Path) -> dict[str, Any]:
    """Configuration of a study of exported files, with a label file."""
    folder = tmp_path / "exports"
    answers.save(folder / "nodes/gruss.json", answers.page(answers.node("gruss-1")))
    answers.save(folder / "nodes/gros.json", answers.page(answers.node("gros-1")))
    answers.save(folder / "jobs/page.json", answers.page(answers.g5k_job(11)))
    answers.save(folder / "power/day.json", [])
    (tmp_path / "labels.csv").write_text("jobs,paper\n11,enhancement\n")
    return {
        "study": {"site": "nancy", "start": "2025-03-03", "end": "2025-03-04"},
        "source": {"kind": "exports", "directory": "exports"},
        "labels": {"files": ["labels.csv"]},
        "privacy": {"key": "public"},
    }


def test_source_of_exports_has_nothing_of_the_simulated_site(
    project: Project, tmp_path: Path, exports: dict[str, Any]
) -> None:
    shutil.copy2(project.folder / "config.yaml", tmp_path)
    shutil.copytree(project.folder / "docs", tmp_path / "docs")
    del exports["labels"]
    said = project.run(configure(tmp_path, **exports), "-n").said
    assert job_counts(said) == OF_EVERY_STUDY | by_month(2) | by_cluster(2) | {"convert_power": 1}
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", said, re.M))
    assert "labels" not in inputs["match_labels"]
    # the default study has them, over the same config.yaml
    said = project.run(configure(tmp_path, study={"clusters": ["gres"]}), "-n").said
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", said, re.M))
    assert inputs["match_labels"].endswith("docs/labels/simulated.yaml")
    assert job_counts(said)["download_series"] == 2


def test_exports_are_converted_and_have_no_truth(
    project: Project, tmp_path: Path, exports: dict[str, Any]
) -> None:
    said = project.run(configure(tmp_path, **exports), "-n").said
    assert job_counts(said) == OF_EVERY_STUDY | by_month(2) | by_cluster(2) | {"convert_power": 1}
    assert wildcards(said, "integrate_energy") == {("gros", "2025-03"), ("gruss", "2025-03")}
    # every file is an input of the rules that read it, so that a new one makes them run again
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", said, re.M))
    nodes = "exports/nodes/gros.json, exports/nodes/gruss.json"
    assert inputs["download_nodes"] == nodes
    assert inputs["download_jobs"] == f"{nodes}, exports/jobs/page.json"
    assert inputs["convert_power"] == f"{nodes}, exports/power/day.json"
    assert inputs["match_labels"].endswith("labels.csv")


def test_ledgers_bring_their_rules_and_go_to_labels(
    project: Project, tmp_path: Path, exports: dict[str, Any]
) -> None:
    for name in ("anne/job-1.jsonl", "bob/job-2.jsonl"):
        path = tmp_path / "ledgers" / name
        path.parent.mkdir(parents=True)
        path.write_text("")
    exports["labels"]["ledgers"] = ["ledgers", "ledgers/anne"]
    said = project.run(configure(tmp_path, **exports), "-n").said
    others = by_month(2) | by_cluster(2) | {"convert_power": 1}
    of_ledgers = dict.fromkeys(("match_ledgers", "reconcile_ledgers", "tabulate_ledgers"), 1)
    assert job_counts(said) == OF_EVERY_STUDY | others | of_ledgers
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", said, re.M))
    both = "ledgers/anne/job-1.jsonl, ledgers/bob/job-2.jsonl"
    assert inputs["match_ledgers"].startswith(f"{both}, ")
    needs = {
        "match_labels": "ledger",
        "estimate_energy": "tracked",
        "gather_energy": "set_aside/ledger",
    }
    for rule, name in needs.items():
        assert f"resources/nancy/{name}.parquet" in inputs[rule]


def test_records_of_tools_are_matched_with_jobs(
    project: Project, tmp_path: Path, exports: dict[str, Any]
) -> None:
    path = tmp_path / "exports/recorded/11/emissions.csv"
    path.parent.mkdir(parents=True)
    path.write_text("timestamp,run_id,duration,energy_consumed\n")
    said = project.run(configure(tmp_path, **exports), "-n").said
    others = by_month(2) | by_cluster(2) | {"convert_power": 1}
    assert job_counts(said) == OF_EVERY_STUDY | others | {"match_recorded": 1}
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", said, re.M))
    assert inputs["match_recorded"].startswith("exports/recorded/11/emissions.csv")
    # a link to nothing is counted by the same rule, which needs no other file
    path.unlink()
    path.symlink_to("nowhere.csv")
    assert project.planned(tmp_path)["match_recorded"] == 1
