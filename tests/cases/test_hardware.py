"""Whole studies of clusters outside Nancy, with catalogued and unknown processors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support import other_sites
from tests.support.cases import Case
from tests.support.project import Project, configure

pytestmark = [pytest.mark.slow, pytest.mark.workflow]

UNKNOWN_CPU = "processor Zilog Z80: thermal design power"
UNKNOWN_HARDWARE_REASON = "hardware: nodes whose hardware the catalogue lacks"
UNKNOWN_GPU = "GPU Voodoo 2: generation, power limit"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("hardware"))


def read_estimates(folder: Path, estimator: str) -> pl.DataFrame:
    rows = pl.read_parquet(folder / "results/estimates/jobs.parquet")
    return rows.filter(pl.col("estimator").str.starts_with(f"{estimator}@")).sort("job_id")


def test_case_cluster_outside_nancy_gives_energy_figures_and_estimates(
    project: Project, shared_cases: Path, tmp_path: Path
) -> None:
    case = Case(shared_cases / "cluster-06-cluster-outside-nancy", tmp_path)
    output = case.run(project, "all").output
    assert case.energies_kwh() == {1: pytest.approx(0.2)}  # 200 W for an hour
    assert UNKNOWN_HARDWARE_REASON not in output
    found = read_estimates(case.directory, "green_algorithms")
    # 2 x 95 W and 128 GB of 0.3725 W for an hour
    assert found["energy_kwh"].to_list() == [pytest.approx(0.19 + 128 * 0.3725 / 1000)]
    for name in ("energy_by_class", "methods", "ratios", "site_map"):
        assert (case.directory / f"results/figures/{name}.pdf").exists()


def lyon_config(folder: Path, shared_data: Path) -> dict[str, Any]:
    """Write a study of the nodes of Lyon, two with unknown processor or GPUs; its configuration."""
    path = shared_data / "reference-api/other-sites/lyon.json"
    other_sites.write_exports(path, folder / "exports")
    document = json.loads(path.read_text())
    for node in document["items"]:
        if node["uid"] == "pyxis-1":
            node["processor"] |= {"model": "Zilog", "version": "Z80"}
        if node["uid"] == "neowise-1":
            for gpu in node["gpu_devices"].values():
                gpu |= {"model": "Voodoo 2", "microarchitecture": None}
                del gpu["power_default_limit"]
    (folder / "exports/nodes/all.json").write_text(json.dumps(document))
    return {
        "study": {"site": "lyon", "start": other_sites.START, "end": other_sites.END},
        "source": {"kind": "exports", "directory": "exports"},
        "privacy": {"key": "public"},
        "labels": {"files": []},
        "levels": {"users": []},
        "integration": {"metric": other_sites.METRIC},
    }


def test_unknown_hardware_gives_null_estimates_until_configured(
    project: Project, shared_data: Path, tmp_path: Path
) -> None:
    config = lyon_config(tmp_path, shared_data)
    configure(tmp_path, **config)
    output = project.run(tmp_path, "--cores", "2", "all").output
    energies = pl.read_parquet(tmp_path / "results/energy/jobs.parquet").sort("job_id")
    assert energies["measured_kwh"].to_list() == pytest.approx([0.2] * 4)
    # jobs 1 to 4 are on hydra, neowise, pyxis and taurus
    ga = read_estimates(tmp_path, "green_algorithms")
    assert [value is None for value in ga["energy_kwh"]] == [False, True, True, False]
    assert ga["basis"].to_list() == ["tdp", "tdp+unknown", "unknown", "tdp"]
    lines = [line for line in output.splitlines() if UNKNOWN_HARDWARE_REASON in line]
    assert len(lines) == 1
    assert UNKNOWN_CPU in lines[0]
    assert UNKNOWN_GPU in lines[0]
    for path in ("summary.md", "tables/hardware.html"):
        text = (tmp_path / "results" / path).read_text("utf-8")
        assert UNKNOWN_CPU in text, path
        assert UNKNOWN_GPU in text, path
    ratios = pl.read_parquet(tmp_path / "results/estimates/ratios.parquet")
    (row,) = ratios.filter(
        pl.col("group") == "all", pl.col("estimator").str.starts_with("green_algorithms@")
    ).to_dicts()
    assert (row["n_jobs"], row["n_jobs_unknown"]) == (2, 2)
    hardware = {
        "cpus": {"Zilog Z80": {"tdp_w": 1.5, "source": "a data sheet"}},
        "gpus": {"Voodoo 2": {"power_limit_w": 15, "generation": "SST-1"}},
    }
    configure(tmp_path, **config, hardware=hardware)
    output = project.run(tmp_path, "--cores", "2", "all").output
    assert UNKNOWN_HARDWARE_REASON not in output
    assert read_estimates(tmp_path, "green_algorithms")["energy_kwh"].null_count() == 0
