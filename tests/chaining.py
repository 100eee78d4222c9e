"""Scripts of rules on two days of a simulated site over the end of a month, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from stand_in import run_script

from footprint import settings, study

METRIC = "bmc_node_power_watt"
START, END = "2025-03-31", "2025-04-02"
MONTHS = ("2025-03", "2025-04")
CLUSTERS = ["grele", "gres"]


class Chain:
    """Scripts run one after the other, as the graph of the rules has them."""

    def __init__(self, folder: Path, **integration: Any) -> None:
        self.folder = folder
        self.logs: dict[str, str] = {}
        config = settings.load(
            {
                "study": {"site": "nancy", "start": START, "end": END},
                "source": {
                    "nodes": {"grele": 2, "gres": 1},
                    "jobs": 60,
                    "mix": {"chain": 0, "training": 0, "long_inference": 0},
                },
                "integration": integration,
            }
        )
        self.config = config
        self.planned = study.plan(config)
        self.source = {"site": "nancy", "source": self.planned.source}
        self.window = {"start": START, "end": END}

    def path(self, name: str) -> str:
        return str(self.folder / f"{name}.parquet")

    def paths(self, *names: str) -> dict[str, str]:
        return {name: self.path(name) for name in names}

    def by_month(self, what: str, cluster: str) -> list[str]:
        return [self.path(f"{what}-{cluster}-{month}") for month in MONTHS]

    def run(self, rule: str, name: str = "", **given: Any) -> None:
        self.logs[name or rule] = run_script(rule, logs=self.folder, config=self.config, **given)

    def read(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.path(name))

    def download(self) -> None:
        self.run("download_nodes", output=self.paths("nodes"), params=self.source)
        self.run(
            "download_jobs",
            output=self.paths("jobs", "allocations", "states", "set_aside"),
            params=self.source | self.window,
        )
        self.run("download_truth", output=self.paths("truth", "kinds"), params=self.source)
        for cluster in CLUSTERS:
            for month in MONTHS:
                self.run(
                    "download_power",
                    f"download_power-{cluster}-{month}",
                    input=self.paths("nodes", "jobs", "allocations", "states"),
                    output={
                        name: self.path(f"{name}-{cluster}-{month}")
                        for name in ("power", "quality", "spells")
                    },
                    params=self.source
                    | self.window
                    | {"metric": METRIC, "max_gap_s": 30, "off_threshold_w": 20, "sum_over": None}
                    | {"calibration": None},
                    wildcards={"cluster": cluster, "month": month},
                )

    def build_gates(self) -> None:
        self.run(
            "build_gates",
            input=self.paths("nodes", "jobs", "allocations"),
            output=self.paths("gates", "occupancy", "overlaps"),
            params=self.window | {"clusters": CLUSTERS, "policy": self.planned.integration["gate"]},
        )

    def measure_node_power(self, cluster: str) -> None:
        self.run(
            "measure_node_power",
            input=self.paths("nodes", "occupancy") | {"power": self.by_month("power", cluster)},
            output={"node_power": self.path(f"node_power-{cluster}")},
            params=self.window | {"integration": self.planned.integration},
            wildcards={"cluster": cluster},
        )

    def integrate(self, cluster: str, month: str, *, node_power: str | None = None) -> None:
        self.run(
            "integrate_energy",
            input=self.paths("nodes", "states", "gates", "occupancy")
            | {"power": self.path(f"power-{cluster}-{month}")}
            # what Snakemake gives where `branch` chose nothing
            | {"node_power": node_power or []},
            output={
                "jobs": self.path(f"sums-{cluster}-{month}"),
                "classes": self.path(f"classes-{cluster}-{month}"),
            },
            params=self.window | {"integration": self.planned.integration, "jobs_complete": True},
            wildcards={"cluster": cluster, "month": month},
        )

    def gather(self, clusters: list[str], **privacy_settings: Any) -> None:
        monthly = {
            name: [path for cluster in clusters for path in self.by_month(what, cluster)]
            for name, what in (
                ("job_sums", "sums"),
                ("classes", "classes"),
                ("quality", "quality"),
                ("spells", "spells"),
            )
        }
        self.run(
            "gather_energy",
            input=self.paths("nodes", "jobs", "allocations", "overlaps")
            | monthly
            | {"set_aside": [self.path("set_aside")]},
            output={
                name: self.path(f"energy-{name}")
                for name in ("jobs", "job_nodes", "nodes", "quality", "set_aside")
            },
            params=self.window
            | {
                "clusters": clusters,
                "method": "trapezoid",
                "metric": METRIC,
                "privacy": self.planned.privacy | privacy_settings,
                "simulated": not privacy_settings,
            },
        )

    def to_energies(self, *, node_power: bool = False) -> None:
        """From the nodes to the energies of jobs."""
        self.download()
        self.build_gates()
        for cluster in CLUSTERS:
            for month in MONTHS:
                self.integrate(cluster, month)
            if node_power:
                self.measure_node_power(cluster)
        self.gather(CLUSTERS)

    def describe_gpus(self) -> None:
        """Hardware, the parts of GPUs that jobs hold, and the power of the GPUs of grele."""
        self.run(
            "look_up_hardware",
            input=self.paths("nodes"),
            output=self.paths("hardware") | {"set_aside": self.path("hardware_aside")},
            params={"clusters": CLUSTERS, "hardware": self.planned.hardware},
        )
        self.run(
            "build_gpu_gates",
            input=self.paths("nodes", "jobs", "allocations"),
            output={"gates": self.path("gpu_gates")},
            params=self.window | {"clusters": CLUSTERS},
        )
        for month in MONTHS:
            self.run(
                "download_devices",
                input=self.paths("nodes"),
                output={
                    "devices": self.path(f"devices-grele-{month}"),
                    "set_aside": self.path(f"devices_aside-grele-{month}"),
                },
                params=self.source | self.window | {"max_gap_s": 30},
                wildcards={"cluster": "grele", "month": month},
            )

    def measured(self) -> dict[str, str]:
        """Energies of jobs, by the names of the inputs."""
        return {"job_energy": self.path("energy-jobs"), "job_nodes": self.path("energy-job_nodes")}

    def build_levels(self, *, minimum_group: int) -> None:
        self.run(
            "build_levels",
            input=self.measured()
            | {"node_energy": self.path("energy-nodes")}
            | self.paths("papers", "estimates"),
            output=self.paths("levels"),
            params={
                "site": "nancy",
                "levels": {
                    "projects": "all",
                    "users": [],
                    "papers": "all",
                    "redistribution": "none",
                },
                "privacy": {"key": None, "minimum_group": minimum_group},
                "simulated": True,
            },
        )
