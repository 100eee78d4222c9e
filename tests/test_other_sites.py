"""Energy and estimates of jobs on the real nodes of ten other sites than Nancy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import other_sites
import polars as pl
import pytest
from answers import g5k_job, node, page, save
from other_sites import END, METRIC, MONTH, START
from stand_in import run_script

from footprint import settings, study
from footprint.errors import InputError
from footprint.site import folders

pytestmark = pytest.mark.filterwarnings("error")

SITES = ["grenoble", "lille", "louvain", "luxembourg", "lyon"]
SITES += ["nantes", "rennes", "sophia", "strasbourg", "toulouse"]
TOTAL_NULL = {"estats-1": "processor Carmel Unknown: thermal design power"}
"""Nodes with a processor whose thermal design power is not catalogued."""


class Exported:
    """Scripts from the files of a study to the estimates of its jobs, as the rules run them."""

    def __init__(self, folder: Path, *, site: str, **source: Any) -> None:
        self.folder = folder
        self.config = settings.load(
            {
                "study": {"site": site, "start": START, "end": END},
                "source": {"kind": "exports", "directory": str(folder / "exports")} | source,
                "privacy": {"key": "public"},
                "integration": {"metric": METRIC},
            }
        )
        self.planned = study.plan(self.config)
        self.of_site = {"site": site, "source": self.planned.source}
        self.window = {"start": START, "end": END}

    def paths(self, *names: str) -> dict[str, str]:
        return {name: str(self.folder / f"{name}.parquet") for name in names}

    def read(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.paths(name)[name])

    def script(self, rule: str, **given: Any) -> None:
        run_script(rule, logs=self.folder, config=self.config, **given)

    def run(self) -> None:
        """Everything as far as the estimates."""
        clusters = {"clusters": self.planned.clusters}
        self.script("download_nodes", output=self.paths("nodes"), params=self.of_site)
        self.script(
            "download_jobs",
            output=self.paths("jobs", "allocations", "states", "set_aside"),
            params=self.of_site | self.window,
        )
        converted = {"converted": str(self.folder / "converted" / METRIC)}
        (self.folder / "converted").mkdir()
        self.script(
            "convert_power",
            output=converted | {"set_aside": self.folder / "power_aside.parquet"},
            params=self.of_site | self.window | clusters | {"metric": METRIC},
        )
        self.script(
            "build_gates",
            input=self.paths("nodes", "jobs", "allocations"),
            output=self.paths("gates", "occupancy", "overlaps"),
            params=self.window | clusters | {"policy": "reserved"},
        )
        for cluster in self.planned.clusters:
            self._integrate(cluster, converted)
        self.script(
            "look_up_hardware",
            input=self.paths("nodes"),
            output={"set_aside": self.folder / "hardware_aside.parquet"} | self.paths("hardware"),
            params=clusters | {"hardware": self.planned.hardware},
        )
        self._gather(clusters)
        energies = {"job_energy": "job_energy", "job_nodes": "job_nodes", "records": "jobs"}
        raw = self.paths("hardware", "allocations", "nodes")
        self.script(
            "estimate_energy",
            input={name: self.paths(of)[of] for name, of in energies.items()} | raw,
            output=self.paths("estimates"),
            params={"estimators": "all"},
        )

    def _integrate(self, cluster: str, converted: Mapping[str, str]) -> None:
        of = {"cluster": cluster, "month": MONTH}
        names = ("power", "quality", "spells")
        own = {name: self.folder / f"{name}-{cluster}.parquet" for name in names}
        self.script(
            "download_power",
            input=self.paths("nodes", "jobs", "allocations", "states") | converted,
            output=own,
            params=self.of_site
            | self.window
            | {"metric": METRIC, "max_gap_s": 30, "off_threshold_w": 20, "sum_over": None}
            | {"calibration": None},
            wildcards=of,
        )
        self.script(
            "integrate_energy",
            input=self.paths("nodes", "states", "gates", "occupancy")
            | {"power": str(own["power"]), "node_power": []},
            output={
                "jobs": self.folder / f"sums-{cluster}.parquet",
                "classes": self.folder / f"classes-{cluster}.parquet",
            },
            params=self.window | {"integration": self.planned.integration, "jobs_complete": True},
            wildcards=of,
        )

    def _gather(self, clusters: Mapping[str, Any]) -> None:
        by_cluster = {
            name: [str(self.folder / f"{what}-{each}.parquet") for each in self.planned.clusters]
            for name, what in (
                ("job_sums", "sums"),
                ("classes", "classes"),
                ("quality", "quality"),
                ("spells", "spells"),
            )
        }
        aside = [self.paths(name)[name] for name in ("set_aside", "power_aside", "hardware_aside")]
        self.script(
            "gather_energy",
            input=self.paths("nodes", "jobs", "allocations", "overlaps")
            | by_cluster
            | {"set_aside": aside},
            output={
                "jobs": self.folder / "job_energy.parquet",
                "nodes": self.folder / "node_energy.parquet",
                "set_aside": self.folder / "all_aside.parquet",
            }
            | self.paths("job_nodes", "quality"),
            params=self.window
            | clusters
            | {"method": "trapezoid", "metric": METRIC}
            | {"privacy": self.planned.privacy, "simulated": False},
        )


@pytest.mark.parametrize("site", SITES)
def test_each_node_of_a_site_gives_its_energy_and_estimates(
    site: str, shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "reference-api/other-sites" / f"{site}.json"
    of_job = other_sites.write(source, tmp_path / "exports")
    made = Exported(tmp_path, site=site)
    made.run()
    energies = made.read("job_energy").sort("job_id")
    assert energies["job_id"].to_list() == list(of_job)
    assert energies["energy_kwh"].to_list() == pytest.approx([0.2] * len(of_job), rel=1e-9)
    assert energies["coverage_frac"].to_list() == pytest.approx([1.0] * len(of_job))
    lacking = {job: TOTAL_NULL[name] for job, name in of_job.items() if name in TOTAL_NULL}
    estimates = made.read("estimates")
    by_processor = pl.col("estimator").str.contains("green_algorithms@|ga4hpc|codecarbon_3@")
    null = estimates.filter(by_processor, pl.col("energy_kwh").is_null())
    assert set(null["job_id"]) == set(lacking)
    assert estimates.filter(by_processor & (pl.col("energy_kwh") <= 0)).is_empty()
    assert estimates.filter(pl.col("estimator") == "mlco2@025b988")["energy_kwh"].null_count() == 0
    hardware = made.read("all_aside").filter(pl.col("stage") == "hardware")
    assert hardware["example"].to_list() == sorted(lacking.values())


def test_generations_of_real_gpus_are_those_of_their_descriptions(
    shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "reference-api/other-sites/lyon.json"
    other_sites.write(source, tmp_path / "exports")
    made = Exported(tmp_path, site="lyon")
    made.script("download_nodes", output=made.paths("nodes"), params=made.of_site)
    rows = {row["node"]: row for row in made.read("nodes").iter_rows(named=True)}
    assert rows["hydra-1"]["gpu_generations"] == ["Hopper"]
    assert rows["hydra-1"]["gpu_power_limits_w"] == [None]
    assert rows["neowise-1"]["gpu_generations"] == ["Vega20"] * 8
    assert rows["pyxis-1"]["gpu_generations"] == []


def test_names_without_a_hyphen_are_read_by_their_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    described = [node(name, main_memory=None) for name in ("node7", "node8", "gpu1")]
    save(folder / "nodes/all.json", page(*described))
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
    save(folder / "jobs/all.json", page(*jobs))
    other_sites.write_power(folder / "power/all.csv", ["gpu1", "node7", "node8"])
    made = Exported(
        tmp_path, site="lyon", node_pattern=r"(?P<cluster>node|gpu|login)(?P<number>\d+)"
    )
    assert made.planned.clusters == ["gpu", "node"]
    made.run()
    energies = made.read("job_energy").sort("job_id")
    assert dict(energies.select("job_id", "energy_kwh").iter_rows()) == {
        1: pytest.approx(0.2),
        2: pytest.approx(0.2),
    }
    assert energies["clusters"].to_list() == [["node"], ["node"]]
    aside = made.read("all_aside")
    elsewhere = aside.filter(pl.col("reason") == "on other clusters only")
    assert elsewhere["example"].to_list() == ["3"]
    (row,) = aside.filter(pl.col("stage") == "hardware").to_dicts()
    assert (row["n_rows"], row["example"]) == (3, "memory of gpu; memory of node")


def test_names_that_do_not_match_the_pattern_are_refused_in_one_line(tmp_path: Path) -> None:
    save(tmp_path / "nodes/all.json", page(node("node7")))
    with pytest.raises(InputError, match=r"set source\.node_pattern") as raised:
        folders.clusters(tmp_path)
    assert "\n" not in str(raised.value)
