"""Energies and estimates of jobs on real nodes of ten sites other than Nancy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.config import settings, study
from footprint.core.errors import InputError
from footprint.sources.exports import folders
from tests.support import other_sites
from tests.support.api_answers import collection_page, g5k_job, reference_node, save_json
from tests.support.other_sites import END, METRIC, MONTH, START
from tests.support.rule_scripts import run_script

pytestmark = pytest.mark.filterwarnings("error")

SITES = ["grenoble", "lille", "louvain", "luxembourg", "lyon"]
SITES += ["nantes", "rennes", "sophia", "strasbourg", "toulouse"]
UNKNOWN_HARDWARE = {"estats-1": "processor Carmel Unknown: thermal design power"}
"""Missing catalogue data by node."""


class ExportedStudy:
    """Study of exported files, whose scripts run as their rules run them."""

    def __init__(self, folder: Path, *, site: str, **source: Any) -> None:
        self.folder = folder
        self.config = settings.prepare_configuration(
            {
                "study": {"site": site, "start": START, "end": END},
                "source": {"kind": "exports", "directory": str(folder / "exports")} | source,
                "privacy": {"key": "public"},
                "integration": {"metric": METRIC},
            }
        )
        self.planned = study.plan_study(self.config)
        self.of_site = {"site": site, "source": self.planned.source}
        self.window = {"start": START, "end": END}

    def paths(self, *names: str) -> dict[str, str]:
        return {name: str(self.folder / f"{name}.parquet") for name in names}

    def read(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.paths(name)[name])

    def run_script(self, rule: str, **given: Any) -> None:
        run_script(rule, logs=self.folder, config=self.config, **given)

    def run_to_estimates(self) -> None:
        """Run all scripts up to the estimates."""
        clusters = {"clusters": self.planned.clusters}
        self.run_script("download_nodes", output=self.paths("nodes"), params=self.of_site)
        self.run_script(
            "download_jobs",
            output=self.paths("jobs", "allocations", "states", "rejected"),
            params=self.of_site | self.window,
        )
        converted = {"converted": str(self.folder / "converted" / METRIC)}
        (self.folder / "converted").mkdir()
        self.run_script(
            "convert_power",
            output=converted | {"rejected": self.folder / "power_rejected.parquet"},
            params=self.of_site | self.window | clusters | {"metric": METRIC},
        )
        self.run_script(
            "build_allocations",
            input=self.paths("nodes", "jobs", "allocations"),
            output=self.paths("node_allocations", "occupancy", "overlaps")
            | {"gpu_allocations": []},
            params=self.window | clusters | {"policy": "reserved"},
        )
        for cluster in self.planned.clusters:
            self._integrate(cluster, converted)
        self.run_script(
            "look_up_hardware",
            input=self.paths("nodes"),
            output={"rejected": self.folder / "hardware_rejected.parquet"} | self.paths("hardware"),
            params=clusters | {"hardware": self.planned.hardware},
        )
        self._estimate_gaps()
        self._combine(clusters)
        energies = {"job_energy": "job_energy", "job_nodes": "job_nodes", "records": "jobs"}
        raw = self.paths("hardware", "allocations", "nodes")
        self.run_script(
            "estimate_energy",
            input={name: self.paths(of)[of] for name, of in energies.items()} | raw,
            output=self.paths("estimates"),
            params={"estimators": "all"},
        )

    def _integrate(self, cluster: str, converted: Mapping[str, str]) -> None:
        of = {"cluster": cluster, "month": MONTH}
        names = ("power", "quality", "spells")
        own = {name: self.folder / f"{name}-{cluster}.parquet" for name in names}
        self.run_script(
            "download_power",
            input=self.paths("nodes", "jobs", "allocations", "states") | converted,
            output=own,
            params=self.of_site
            | self.window
            | {"metric": METRIC, "max_gap_s": 30, "off_threshold_w": 20}
            | {"sum_over": None, "calibration": None},
            wildcards=of,
        )
        self.run_script(
            "integrate_energy",
            input=self.paths("nodes", "states", "node_allocations", "occupancy")
            | {"power": str(own["power"]), "node_power": []},
            output={
                "jobs": self.folder / f"sums-{cluster}.parquet",
                "classes": self.folder / f"classes-{cluster}.parquet",
                "segments": self.folder / f"segments-{cluster}.parquet",
            },
            params=self.window | {"integration": self.planned.integration, "jobs_complete": True},
            wildcards=of,
        )

    def _estimate_gaps(self) -> None:
        segments = {
            each: str(self.folder / f"segments-{each}.parquet") for each in self.planned.clusters
        }
        self.run_script(
            "fit_virtual_meter",
            input=self.paths("hardware", "node_allocations")
            | {"segments": list(segments.values()), "series": []},
            output=self.paths("virtual_meter", "free_power"),
            params=self.window,
        )
        for cluster, path in segments.items():
            self.run_script(
                "estimate_gaps",
                input=self.paths("hardware", "node_allocations", "virtual_meter", "free_power")
                | {"segments": [path], "series": []},
                output={
                    name: self.folder / f"gaps_of_{name}-{cluster}.parquet"
                    for name in ("jobs", "classes", "segments")
                },
                params=self.window
                | {"integration": self.planned.integration, "jobs_complete": True},
                wildcards={"cluster": cluster},
            )

    def _combine(self, clusters: Mapping[str, Any]) -> None:
        by_cluster = {
            name: [str(self.folder / f"{what}-{each}.parquet") for each in self.planned.clusters]
            for name, what in (
                ("job_sums", "sums"),
                ("classes", "classes"),
                ("quality", "quality"),
                ("spells", "spells"),
                ("job_gaps", "gaps_of_jobs"),
                ("class_gaps", "gaps_of_classes"),
            )
        }
        rejected_rows = [
            self.paths(name)[name] for name in ("rejected", "power_rejected", "hardware_rejected")
        ]
        self.run_script(
            "combine_energy",
            input=self.paths("nodes", "jobs", "allocations", "overlaps", "virtual_meter")
            | by_cluster
            | {"rejected": rejected_rows},
            output={
                "jobs": self.folder / "job_energy.parquet",
                "nodes": self.folder / "node_energy.parquet",
                "rejected": self.folder / "all_rejected.parquet",
            }
            | self.paths("job_nodes", "quality"),
            params=self.window
            | clusters
            | {"method": "trapezoid", "metric": METRIC, "meters": self.planned.meters}
            | {"privacy": self.planned.privacy, "simulated": False},
        )


@pytest.mark.parametrize("site", SITES)
def test_study_of_other_site_gives_energies_and_estimates(
    site: str, shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "reference-api/other-sites" / f"{site}.json"
    of_job = other_sites.write_exports(source, tmp_path / "exports")
    made = ExportedStudy(tmp_path, site=site)
    made.run_to_estimates()
    energies = made.read("job_energy").sort("job_id")
    assert energies["job_id"].to_list() == list(of_job)
    assert energies["measured_kwh"].to_list() == pytest.approx([0.2] * len(of_job), rel=1e-9)
    assert energies["coverage_frac"].to_list() == pytest.approx([1.0] * len(of_job))
    lacking = {
        job: UNKNOWN_HARDWARE[name] for job, name in of_job.items() if name in UNKNOWN_HARDWARE
    }
    estimates = made.read("estimates")
    by_processor = pl.col("estimator").str.contains("green_algorithms@|ga4hpc|codecarbon_3@")
    null = estimates.filter(by_processor, pl.col("energy_kwh").is_null())
    assert set(null["job_id"]) == set(lacking)
    assert estimates.filter(by_processor & (pl.col("energy_kwh") <= 0)).is_empty()
    assert estimates.filter(pl.col("estimator") == "mlco2@025b988")["energy_kwh"].null_count() == 0
    hardware = made.read("all_rejected").filter(pl.col("stage") == "hardware")
    assert hardware["example"].to_list() == sorted(lacking.values())


def test_download_nodes_reads_gpu_generations_of_lyon(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "reference-api/other-sites/lyon.json"
    other_sites.write_exports(source, tmp_path / "exports")
    made = ExportedStudy(tmp_path, site="lyon")
    made.run_script("download_nodes", output=made.paths("nodes"), params=made.of_site)
    rows = {row["node"]: row for row in made.read("nodes").iter_rows(named=True)}
    assert rows["hydra-1"]["gpu_generations"] == ["Hopper"]
    assert rows["hydra-1"]["gpu_power_limits_w"] == [None]
    assert rows["neowise-1"]["gpu_generations"] == ["Vega20"] * 8
    assert rows["pyxis-1"]["gpu_generations"] == []


def test_node_pattern_reads_names_without_hyphen(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    described = [reference_node(name, main_memory=None) for name in ("node7", "node8", "gpu1")]
    save_json(folder / "nodes/all.json", collection_page(*described))
    hosts = {1: ["node7"], 2: ["node8"], 3: ["login1"]}
    jobs = [
        g5k_job(
            job_id,
            resources_by_type={"cores": [f"{name}.example.org/{core}" for core in range(4)]},
            assigned_nodes=[f"{name}.example.org" for name in names],
        )
        for job_id, names in hosts.items()
        for name in names
    ]
    save_json(folder / "jobs/all.json", collection_page(*jobs))
    other_sites.write_power(folder / "power/all.csv", ["gpu1", "node7", "node8"])
    made = ExportedStudy(
        tmp_path, site="lyon", node_pattern=r"(?P<cluster>node|gpu|login)(?P<number>\d+)"
    )
    assert made.planned.clusters == ["gpu", "node"]
    made.run_to_estimates()
    energies = made.read("job_energy").sort("job_id")
    assert dict(energies.select("job_id", "measured_kwh").iter_rows()) == {
        1: pytest.approx(0.2),
        2: pytest.approx(0.2),
    }
    assert energies["clusters"].to_list() == [["node"], ["node"]]
    rejected_rows = made.read("all_rejected")
    elsewhere = rejected_rows.filter(pl.col("reason") == "on other clusters only")
    assert elsewhere["example"].to_list() == ["3"]
    (row,) = rejected_rows.filter(pl.col("stage") == "hardware").to_dicts()
    assert (row["n_rows"], row["example"]) == (3, "memory of gpu; memory of node")


def test_node_name_outside_pattern_is_refused_in_one_line(tmp_path: Path) -> None:
    save_json(tmp_path / "nodes/all.json", collection_page(reference_node("node7")))
    with pytest.raises(InputError, match=r"set source\.node_pattern") as raised:
        folders.described_clusters(tmp_path)
    assert "\n" not in str(raised.value)
