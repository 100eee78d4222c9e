"""Rule scripts run in sequence on a simulated site: two days over the end of a month."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import polars as pl

from footprint.config import settings, study
from footprint.core import calendar
from footprint.schemas.raw import Jobs
from footprint.schemas.writing import write_table
from tests.support.rule_scripts import run_script

METRIC = "bmc_node_power_watt"
START, END = "2025-03-31", "2025-04-02"
MONTHS = ("2025-03", "2025-04")
CLUSTERS = ["grele", "gres"]


class RuleChain:
    """Folder with the tables that rule scripts wrote, run in the order of the rules.

    Attributes:
        folder: Folder of the tables and logs.
        logs: Log of each script, by rule or by the name given to `run`.
        config: Configuration of the study.
        planned: Plan of the study.
        source: Parameters `site` and `source` of the rules.
        window: Parameters `start` and `end` of the rules.
    """

    def __init__(
        self, folder: Path, *, source: Mapping[str, Any] | None = None, **integration: Any
    ) -> None:
        """Configure the study; `source` and `integration` have keys of the configuration."""
        self.folder = folder
        self.logs: dict[str, str] = {}
        config = settings.prepare_configuration(
            {
                "study": {"site": "nancy", "start": START, "end": END},
                "source": {
                    "nodes": {"grele": 2, "gres": 1},
                    "jobs": 60,
                    "mix": {"chain": 0, "training": 0, "long_inference": 0},
                }
                | dict(source or {}),
                "integration": integration,
            }
        )
        self.config = config
        self.planned = study.plan_study(config)
        self.source = {"site": "nancy", "source": self.planned.source}
        self.window = {"start": START, "end": END}

    def continue_in(self, folder: Path, **integration: Any) -> Self:
        """Return a chain with copies of these tables and logs, which rules of a test may replace.

        Args:
            folder: Empty folder for the copies.
            integration: Keys of the configuration's `integration`, for the rules yet to run.
        """
        continued = type(self)(folder, **integration)
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        continued.logs = dict(self.logs)
        return continued

    def path(self, name: str) -> str:
        """Path of a table."""
        return str(self.folder / f"{name}.parquet")

    def paths(self, *names: str) -> dict[str, str]:
        """Paths of tables by name."""
        return {name: self.path(name) for name in names}

    def monthly_paths(self, table: str, cluster: str) -> list[str]:
        """Paths of the monthly files of a table of one cluster."""
        return [self.path(f"{table}-{cluster}-{month}") for month in MONTHS]

    def power(self) -> pl.LazyFrame:
        """Samples of all monthly files, each with its margins."""
        return pl.scan_parquet(
            [path for cluster in CLUSTERS for path in self.monthly_paths("power", cluster)]
        )

    def run(self, rule: str, name: str = "", **given: Any) -> None:
        """Run the script of a rule; its log is kept by `name` or, without, by the rule."""
        self.logs[name or rule] = run_script(rule, logs=self.folder, config=self.config, **given)

    def read(self, name: str) -> pl.DataFrame:
        """Table by its name."""
        return pl.read_parquet(self.path(name))

    def download_records(self) -> None:
        """Run the rules of the download stage."""
        self.run("download_nodes", output=self.paths("nodes"), params=self.source)
        self.run(
            "download_jobs",
            output=self.paths("jobs", "allocations", "states", "rejected"),
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
                    | {"metric": METRIC, "max_gap_s": 30, "off_threshold_w": 20}
                    | {"sum_over": None, "calibration": None},
                    wildcards={"cluster": cluster, "month": month},
                )

    def build_allocations(self) -> None:
        """Run `build_allocations` for both clusters."""
        self.run(
            "build_allocations",
            input=self.paths("nodes", "jobs", "allocations"),
            output=self.paths("node_allocations", "occupancy", "overlaps", "gpu_allocations"),
            params=self.window | {"clusters": CLUSTERS, "policy": self.planned.integration["gate"]},
        )

    def measure_node_power(self, cluster: str) -> None:
        """Run `measure_node_power` for a cluster."""
        self.run(
            "measure_node_power",
            input=self.paths("nodes", "occupancy")
            | {"power": self.monthly_paths("power", cluster)},
            output={"node_power": self.path(f"node_power-{cluster}")},
            params=self.window | {"integration": self.planned.integration},
            wildcards={"cluster": cluster},
        )

    def integrate_energy(self, cluster: str, month: str, *, node_power: str | None = None) -> None:
        """Run `integrate_energy`; `node_power` is the path of the cluster's table."""
        self.run(
            "integrate_energy",
            input=self.paths("nodes", "states", "node_allocations", "occupancy")
            | {"power": self.path(f"power-{cluster}-{month}")}
            # Snakemake passes an empty list where `branch` chose no file
            | {"node_power": node_power or []},
            output={
                "jobs": self.path(f"sums-{cluster}-{month}"),
                "classes": self.path(f"classes-{cluster}-{month}"),
                "segments": self.path(f"segments-{cluster}-{month}"),
            },
            params=self.window | {"integration": self.planned.integration, "jobs_complete": True},
            wildcards={"cluster": cluster, "month": month},
        )

    def look_up_hardware(self) -> None:
        """Run `look_up_hardware` for both clusters."""
        self.run(
            "look_up_hardware",
            input=self.paths("nodes"),
            output=self.paths("hardware") | {"rejected": self.path("hardware_rejected")},
            params={"clusters": CLUSTERS, "hardware": self.planned.hardware},
        )

    def integrate_series(self, cluster: str, month: str, **inputs: list[str]) -> None:
        """Run `integrate_series`; `inputs` are files of `devices` and `load`."""
        self.run(
            "integrate_series",
            f"integrate_series-{cluster}-{month}",
            input=self.paths("hardware")
            | {"segments": self.path(f"segments-{cluster}-{month}")}
            | {"devices": [], "load": []}
            | inputs,
            output={"series": self.path(f"segment_series-{cluster}-{month}")},
            wildcards={"cluster": cluster, "month": month},
        )

    def estimate_gaps(self, *, with_series: bool = False) -> None:
        """Run `fit_virtual_meter`, and `estimate_gaps` for both clusters."""

        def monthly(table: str, *clusters: str) -> list[str]:
            return [path for each in clusters for path in self.monthly_paths(table, each)]

        self.run(
            "fit_virtual_meter",
            input=self.paths("hardware", "node_allocations")
            | {"segments": monthly("segments", *CLUSTERS)}
            | {"series": monthly("segment_series", *CLUSTERS) if with_series else []},
            output=self.paths("virtual_meter", "free_power"),
            params=self.window,
        )
        for cluster in CLUSTERS:
            self.run(
                "estimate_gaps",
                f"estimate_gaps-{cluster}",
                input=self.paths("hardware", "node_allocations", "virtual_meter", "free_power")
                | {"segments": monthly("segments", cluster)}
                | {"series": monthly("segment_series", cluster) if with_series else []},
                output={
                    name: self.path(f"gaps_of_{name}-{cluster}")
                    for name in ("jobs", "classes", "segments")
                },
                params=self.window
                | {"integration": self.planned.integration, "jobs_complete": True},
                wildcards={"cluster": cluster},
            )

    def combine_energy(self, clusters: list[str], **privacy: Any) -> None:
        """Run `combine_energy`; with keys of `privacy` the site does not count as simulated."""
        monthly = {
            name: [path for cluster in clusters for path in self.monthly_paths(table, cluster)]
            for name, table in (
                ("job_sums", "sums"),
                ("classes", "classes"),
                ("quality", "quality"),
                ("spells", "spells"),
            )
        }
        self.run(
            "combine_energy",
            input=self.paths("nodes", "jobs", "allocations", "overlaps", "virtual_meter")
            | monthly
            | {
                f"{name}_gaps": [self.path(f"gaps_of_{table}-{cluster}") for cluster in clusters]
                for name, table in (("job", "jobs"), ("class", "classes"))
            }
            | {"rejected": [self.path("rejected")]},
            output={
                name: self.path(f"energy-{name}")
                for name in ("jobs", "job_nodes", "nodes", "quality", "rejected")
            },
            params=self.window
            | {
                "clusters": clusters,
                "method": "trapezoid",
                "meters": self.planned.meters,
                "metric": METRIC,
                "privacy": self.planned.privacy | privacy,
                "simulated": not privacy,
            },
        )

    def compare_gates(self) -> None:
        """Run `compare_gates` for both clusters."""
        for cluster in CLUSTERS:
            self.measure_node_power(cluster)
        self.run(
            "compare_gates",
            input=self.paths("node_allocations")
            | {
                "segments": [
                    path for each in CLUSTERS for path in self.monthly_paths("segments", each)
                ]
            }
            | {"gaps": [self.path(f"gaps_of_segments-{cluster}") for cluster in CLUSTERS]}
            | {"node_power": [self.path(f"node_power-{cluster}") for cluster in CLUSTERS]}
            | {"job_energy": self.path("energy-jobs")},
            output={"by_gate": self.path("gate_policies")},
            params={"gate": self.planned.integration["gate"], "jobs_complete": True},
        )

    def run_to_energies(self) -> None:
        """Run the rules from the nodes to the energies of jobs."""
        self.download_records()
        self.build_allocations()
        for cluster in CLUSTERS:
            for month in MONTHS:
                self.integrate_energy(cluster, month)
        self.look_up_hardware()
        self.estimate_gaps()
        self.combine_energy(CLUSTERS)

    def prepare_gpus(self) -> None:
        """Run the rules of the power of the GPUs of grele."""
        for month in MONTHS:
            self.run(
                "download_devices",
                input=self.paths("nodes"),
                output={
                    "devices": self.path(f"devices-grele-{month}"),
                    "rejected": self.path(f"devices_rejected-grele-{month}"),
                },
                params=self.source | self.window | {"max_gap_s": 30},
                wildcards={"cluster": "grele", "month": month},
            )

    def energy_paths(self) -> dict[str, str]:
        """Paths of the energies of jobs, by the names of the rules' inputs."""
        return {"job_energy": self.path("energy-jobs"), "job_nodes": self.path("energy-job_nodes")}

    def build_levels(self, *, minimum_group: int) -> None:
        """Run `build_levels` for all projects and papers, and no person."""
        self.run(
            "build_levels",
            input=self.energy_paths()
            | {"node_energy": self.path("energy-nodes")}
            | self.paths("papers", "estimates", "virtual_meter"),
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
                "meters": self.planned.meters,
            },
        )

    def run_to_features(self) -> None:
        """Run the rules from the energies of jobs and `prepare_gpus` to the features of runs."""
        self.run(
            "merge_runs",
            input=self.paths("jobs", "allocations"),
            output=self.paths("run_of_job"),
            params={"gap_h": 48, "arrays": "lines", "node_pattern": self.planned.node_pattern},
        )
        for cluster in CLUSTERS:
            self.measure_node_power(cluster)
            name = f"power_histograms-{cluster}"
            self.measure_power_histograms(cluster, name, with_gpus=cluster == "grele")
        histograms = [self.path(f"power_histograms-{cluster}") for cluster in CLUSTERS]
        self.run(
            "extract_features",
            input=self.paths("jobs", "run_of_job")
            | self.energy_paths()
            | {"power_histograms": histograms},
            output=self.paths("features"),
            params={"tokens": {}, "thresholds": {}},
        )

    def measure_power_histograms(self, cluster: str, name: str, *, with_gpus: bool) -> None:
        """Run `measure_power_histograms`; without GPUs their inputs are empty lists."""
        devices = self.monthly_paths("devices", cluster) if with_gpus else []
        gpu_allocations = self.path("gpu_allocations") if with_gpus else []
        self.run(
            "measure_power_histograms",
            name,
            input=self.paths("node_allocations", "hardware")
            | {"node_power": self.path(f"node_power-{cluster}")}
            | {"power": self.monthly_paths("power", cluster)}
            | {"gpu_allocations": gpu_allocations, "devices": devices},
            output={"power_histograms": self.path(name)},
            params={"integration": self.planned.integration},
            wildcards={"cluster": cluster},
        )

    def classify_runs(self) -> None:
        """Run `classify_runs`, which needs features and labels."""
        self.run(
            "classify_runs",
            input=self.paths("features", "run_of_job", "group_labels", "virtual_meter")
            | {"labels": self.path("single_labels"), "records": self.path("jobs")}
            | self.energy_paths(),
            output=self.paths("runs", "labels", "group_runs") | {"jobs": self.path("phase_of_job")},
            params={"thresholds": {}, "meters": self.planned.meters},
        )

    def break_down_stages(self) -> None:
        """Run `break_down_stages`, which needs runs and levels."""
        self.run(
            "break_down_stages",
            input=self.paths("runs", "labels", "levels", "virtual_meter") | self.energy_paths(),
            output=self.paths("stages"),
            params={"papers": "all", "meters": self.planned.meters},
        )

    @property
    def ratio_params(self) -> dict[str, Any]:
        """Parameters of `compare_phases`."""
        gate = self.planned.integration["gate"]
        settings = {"site": "nancy", "papers": "all", "meters": self.planned.meters, "gate": gate}
        return settings | self.window

    def compare_phases(self) -> None:
        """Run `compare_gates`, and `compare_phases` as if every job had run inside the window."""
        self.compare_gates()
        self.run(
            "compare_phases",
            input=self.paths("runs", "features", "labels", "levels", "allocations", "virtual_meter")
            | self._write_jobs_inside()
            | self.energy_paths()
            | {"by_gate": self.path("gate_policies")},
            output=self.paths("ratio", "sensitivities", "energies")
            | {"uncertainty": self.path("ratio_uncertainty")},
            params=self.ratio_params,
        )

    def _write_jobs_inside(self) -> dict[str, str]:
        """Write `jobs` with starts and ends moved into the window; its input path."""
        low, high = (
            pl.lit(at).cast(pl.Datetime("us", "UTC")) for at in calendar.study_window(START, END)
        )
        since = pl.max_horizontal("started_at", low)
        until = pl.min_horizontal("stopped_at", high)
        inside = pl.scan_parquet(self.path("jobs")).with_columns(
            started_at=pl.when(pl.col("started_at").is_not_null()).then(since),
            stopped_at=pl.when(pl.col("stopped_at").is_not_null()).then(until),
        )
        write_table(Jobs, inside, self.path("jobs_inside"))
        return {"jobs": self.path("jobs_inside")}
