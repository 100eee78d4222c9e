"""Scripts of the estimators, run as their rules run them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.core.errors import InputError
from footprint.estimators import comparison, device_use, recorded_runs, registry
from footprint.estimators import inputs as estimator_inputs
from footprint.hardware import catalogue
from footprint.schemas.estimates import (
    CpuSeries,
    EstimateRatios,
    Estimates,
    GpuPower,
    Hardware,
    Recorded,
)
from footprint.schemas.levels import Levels
from footprint.schemas.raw import DevicePower, DeviceSeries, RejectedRows
from footprint.schemas.writing import conform
from footprint.sources.tool_logs import runs as files
from tests.scripts.test_energy import utc_midnight
from tests.support.rule_chain import CLUSTERS, END, MONTHS, START, RuleChain
from tests.support.study_frames import PROVENANCE

pytestmark = pytest.mark.filterwarnings("error")

Run = Callable[..., str]
LOAD_METRIC = "prom_node_load1"
HEADER = "timestamp,run_id,project_name,duration,cpu_energy,gpu_energy,ram_energy,energy_consumed"


@pytest.fixture(scope="module")
def chain(energy_chain: RuleChain, tmp_path_factory: pytest.TempPathFactory) -> RuleChain:
    """Chain from the nodes of a simulated site to the ratios of the estimators."""
    made = energy_chain.continue_in(tmp_path_factory.mktemp("estimates"))
    window = made.window
    for month in MONTHS:
        made.run(
            "download_series",
            output={"series": made.path(f"load-grele-{month}")},
            params=made.source | window,
            wildcards={"cluster": "grele", "month": month, "series": LOAD_METRIC},
        )
    for cluster, load, gpu_power in (
        ("grele", made.monthly_paths("load", "grele"), made.path("gpu_power")),
        ("gres", [], []),
    ):
        made.run(
            "integrate_devices",
            input=made.paths("node_allocations", "gpu_allocations", "hardware")
            | {"devices": made.monthly_paths("devices", "grele") if gpu_power else []}
            | {"load": load, "package": []},
            output={"gpu_power": gpu_power, "cpu_series": made.path(f"cpu_series-{cluster}")},
            params=window | {"policy": "reserved", "node_pattern": made.planned.node_pattern},
            wildcards={"cluster": cluster},
        )
    run_estimate_energy(made, "estimates", "all")
    made.run(
        "compare_estimates",
        input=made.paths("estimates", "hardware") | made.energy_paths(),
        output=made.paths("ratios"),
    )
    empty = pl.DataFrame(schema={"job_id": pl.Int64, "paper": pl.String})
    empty.write_parquet(made.path("papers"))
    made.build_levels(minimum_group=3)
    return made


def estimate_inputs(made: RuleChain, **recorded_in: str) -> dict[str, Any]:
    """Inputs of `estimate_energy`; tables that the study lacks are empty lists."""
    series = {
        "gpu_power": [made.path("gpu_power")],
        "cpu_series": [made.path("cpu_series-grele"), made.path("cpu_series-gres")],
    }
    raw = made.paths("hardware", "allocations", "nodes") | {"records": made.path("jobs")}
    return made.energy_paths() | raw | series | ({"recorded": [], "tracked": []} | recorded_in)


def run_estimate_energy(made: RuleChain, name: str, estimators: Any, **recorded_in: str) -> None:
    made.run(
        "estimate_energy",
        name,
        input=estimate_inputs(made, **recorded_in),
        output={"estimates": made.path(name)},
        params={"estimators": estimators},
    )


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("hardware", Hardware),
        ("devices-grele-2025-03", DevicePower),
        ("load-grele-2025-03", DeviceSeries),
        ("gpu_power", GpuPower),
        ("cpu_series-grele", CpuSeries),
        ("cpu_series-gres", CpuSeries),
        ("estimates", Estimates),
        ("ratios", EstimateRatios),
        ("levels", Levels),
    ],
)
def test_scripts_of_estimates_write_valid_tables(chain: RuleChain, name: str, schema: Any) -> None:
    found = chain.read(name)
    assert schema.is_valid(found)
    assert found.height > 0


def test_look_up_hardware_lists_nodes_of_studied_clusters(chain: RuleChain) -> None:
    found = chain.read("hardware")
    nodes = chain.read("nodes").lazy()
    assert_frame_equal(found, conform(Hardware, catalogue.look_up_hardware(nodes)))
    assert set(found["cluster"]) == set(CLUSTERS)
    only = chain.folder / "grele.parquet"
    chain.run(
        "look_up_hardware",
        "of one cluster",
        input=chain.paths("nodes"),
        output={"hardware": only, "rejected": chain.folder / "grele_rejected.parquet"},
        params={"clusters": ["grele"], "hardware": {}},
    )
    assert set(pl.read_parquet(only)["cluster"]) == {"grele"}


def test_unknown_processor_gives_null_estimates_until_configured(
    run: Run, chain: RuleChain, tmp_path: Path
) -> None:
    is_other = pl.col("node") == "grele-2"
    nodes = chain.read("nodes").with_columns(
        cpu_model=pl.when(is_other).then(pl.lit("Zilog Z80")).otherwise("cpu_model")
    )
    nodes.write_parquet(tmp_path / "nodes.parquet")
    made = {name: tmp_path / f"{name}.parquet" for name in ("hardware", "rejected")}
    given: dict[str, Any] = {
        "input": {"nodes": str(tmp_path / "nodes.parquet")},
        "output": made,
        "params": {"clusters": CLUSTERS, "hardware": {}},
    }
    logged = run("look_up_hardware", **given)
    assert "the catalogue lacks processor Zilog Z80: thermal design power" in logged
    found = pl.read_parquet(made["hardware"])
    assert found.filter(pl.col("tdp_w").is_null())["node"].to_list() == ["grele-2"]
    (row,) = pl.read_parquet(made["rejected"]).to_dicts()
    assert (row["stage"], row["n_rows"]) == ("hardware", 1)
    assert row["example"] == "processor Zilog Z80: thermal design power"
    estimates = tmp_path / "estimates.parquet"
    run(
        "estimate_energy",
        input=estimate_inputs(chain) | {"hardware": str(made["hardware"])},
        output={"estimates": estimates},
        params={"estimators": ["green_algorithms", "mlco2"]},
    )
    on_it = chain.read("energy-job_nodes").filter(is_other, pl.col("core_hours") > 0)["job_id"]
    estimated = pl.read_parquet(estimates).filter(pl.col("job_id").is_in(on_it.implode()))
    ga = estimated.filter(pl.col("estimator").str.starts_with("green_algorithms"))
    assert ga.height > 0
    assert ga["energy_kwh"].null_count() == ga.height
    assert ga["basis"].str.contains("unknown").all()
    assert (
        estimated.filter(pl.col("estimator").str.starts_with("mlco2"))["energy_kwh"].null_count()
        == 0
    )
    given["params"]["hardware"] = {"cpus": {"Zilog Z80": {"tdp_w": 1.5}}}
    assert run("look_up_hardware", **given) == ""
    assert pl.read_parquet(made["hardware"])["tdp_w"].null_count() == 0
    assert pl.read_parquet(made["rejected"]).is_empty()


def integrate_trapezoids(
    readings: pl.DataFrame, low: datetime, high: datetime
) -> tuple[float, float]:
    """Joules and seconds of readings between two moments, without pairs over 60 s apart."""
    at_s = readings["timestamp"].dt.epoch("us").to_numpy() / 1e6
    power_w = readings["power_w"].to_numpy()
    since, until = low.timestamp(), high.timestamp()
    joules = seconds = 0.0
    for i in np.flatnonzero((at_s[1:] > since) & (at_s[:-1] < until)):
        first, last = max(at_s[i], since), min(at_s[i + 1], until)
        if at_s[i + 1] - at_s[i] <= 60:
            ends = np.interp([first, last], at_s[i : i + 2], power_w[i : i + 2])
            joules += float(ends.mean()) * (last - first)
            seconds += last - first
    return joules, seconds


def test_integrate_gpu_power_equals_integral_of_readings(chain: RuleChain) -> None:
    pieces = device_use.allocations_on_cluster(chain.read("gpu_allocations"), "grele")
    paths = chain.monthly_paths("devices", "grele")
    window = {"start": utc_midnight(START), "end": utc_midnight(END)}
    found = chain.read("gpu_power")
    assert_frame_equal(found, device_use.integrate_gpu_power(paths, pieces, **window))
    readings = pl.concat(map(pl.read_parquet, paths)).unique(["node", "gpu", "timestamp"])
    by_gpu = {
        f"{node}/{gpu}": rows
        for (node, gpu), rows in readings.sort("timestamp").group_by(["node", "gpu"])
    }
    joules = seconds = 0.0
    for piece in pieces.filter(pl.col("share") > 0).iter_rows(named=True):
        own = integrate_trapezoids(by_gpu[piece["node"]], piece["started_at"], piece["stopped_at"])
        joules += own[0] * piece["share"]
        seconds += own[1] * piece["share"]
    assert joules > 1e6
    assert found["energy_kwh"].sum() == pytest.approx(joules / 3.6e6, rel=1e-9)
    assert found["covered_gpu_hours"].sum() == pytest.approx(seconds / 3600, rel=1e-9)
    held = chain.read("energy-job_nodes").filter(pl.col("cluster") == "grele")
    both = held.join(found, on=["job_id", "node"], suffix="_of_gpus")
    assert both["gpu_hours_of_gpus"].to_list() == pytest.approx(both["gpu_hours"].to_list())


def test_integrate_cpu_series_covers_allocations_of_the_cluster(chain: RuleChain) -> None:
    expected = device_use.integrate_cpu_series(
        device_use.allocations_on_cluster(chain.read("node_allocations"), "grele"),
        chain.read("hardware").filter(pl.col("cluster") == "grele"),
        load=chain.monthly_paths("load", "grele"),
        package=[],
        policy="reserved",
        start=utc_midnight(START),
        end=utc_midnight(END),
    )
    found = chain.read("cpu_series-grele")
    assert_frame_equal(found, expected)
    assert found["core_use_frac"].drop_nulls().max() > 0
    without = chain.read("cpu_series-gres")
    assert set(without["node"].str.replace(r"-\d+$", "")) == {"gres"}
    assert without["core_use_frac"].null_count() == len(without)
    assert without["load_covered_s"].sum() == 0


def test_estimate_energy_gives_rows_of_every_usual_estimator(chain: RuleChain) -> None:
    found = chain.read("estimates")
    gathered = estimator_inputs.scan_inputs(estimate_inputs(chain))
    usual = registry.select_estimators("all")
    expected = [registry.estimate_jobs(gathered, each) for each in usual]
    assert_frame_equal(found, pl.concat(expected).sort("estimator", "job_id"))
    labels = [each.label for each in usual if each.covers_all_jobs]
    assert set(found["estimator"]) == set(labels)
    assert set(found["job_id"]) == set(chain.read("energy-jobs")["job_id"])
    n_jobs = len(chain.read("energy-jobs"))
    lines = chain.logs["estimates"].splitlines()
    assert [line.split()[0] for line in lines] == sorted(each.label for each in usual)
    assert f"mlco2@025b988 estimates {n_jobs} of {n_jobs} jobs" in lines
    assert found.filter(pl.col("basis").str.contains("series")).height > 0
    assert found.filter(pl.col("basis").str.contains("load")).height > 0


def test_estimate_energy_gives_chosen_estimators_alone(chain: RuleChain) -> None:
    run_estimate_energy(chain, "chosen", ["mlco2", "ga4hpc_idle_as_full"])
    assert set(chain.read("chosen")["estimator"]) == {"mlco2@025b988", "ga4hpc_idle_as_full@0.4"}
    with pytest.raises(InputError, match=r"there is no estimator `mlco3`"):
        run_estimate_energy(chain, "unknown", ["mlco3"])


def test_compare_estimates_writes_ratios_of_compared_jobs(chain: RuleChain) -> None:
    frames = (chain.read("estimates"), *map(pl.read_parquet, chain.energy_paths().values()))
    lazy = [frame.lazy() for frame in (*frames, chain.read("hardware"))]
    found = chain.read("ratios")
    expected = conform(EstimateRatios, comparison.ratios_by_group(*lazy))
    assert_frame_equal(found, expected)
    assert found.filter(pl.col("group") == "all")["n_jobs"].min() > 5
    assert chain.logs["compare_estimates"] == ""


def write_emissions(path: Path, rows: Iterable[str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return str(path)


def test_match_recorded_matches_jobs_and_counts_rejected_records(
    chain: RuleChain, tmp_path: Path
) -> None:
    inside = (pl.col("started_at") >= utc_midnight(START)) & (
        pl.col("stopped_at") <= utc_midnight(END)
    )
    jobs = chain.read("energy-jobs").filter(inside, pl.col("coverage_frac") > 0)
    longest = jobs.sort("duration_s").row(-1, named=True)
    stopped, duration_s = longest["stopped_at"], longest["duration_s"]
    of_job = f"{stopped:%Y-%m-%dT%H:%M:%S}+00:00,r1,oar-{longest['job_id']},{duration_s}"
    stray = f"{stopped + timedelta(days=9):%Y-%m-%dT%H:%M:%S}Z,r2,codecarbon,60"
    rows = [f"{of_job},0.01,0.02,0.005,0.035", f"{stray},0.1,0.2,0.05,0.35"]
    path = write_emissions(tmp_path / "kept/emissions.csv", rows)
    chain.run(
        "match_recorded",
        input=chain.paths("jobs", "allocations", "nodes") | {"files": [path]},
        output={"recorded": chain.path("recorded"), "rejected": chain.path("recorded_rejected")},
        params={"folder": str(tmp_path), "unreadable": [["x.csv", "a link"]]},
    )
    found, rejected = chain.read("recorded"), chain.read("recorded_rejected")
    assert Recorded.is_valid(found)
    assert RejectedRows.is_valid(rejected)
    assert "2 recorded runs; 1 belong to 1 jobs" in chain.logs["match_recorded"]
    assert "x.csv: a link (1, the whole file)" in chain.logs["match_recorded"]
    raw = (pl.scan_parquet(chain.path(name)) for name in ("jobs", "allocations", "nodes"))
    read = files.parse_runs([("kept/emissions.csv", Path(path))], unreadable=[("x.csv", "a link")])
    matched = recorded_runs.match_runs_to_jobs(read, *raw)
    assert_frame_equal(found, conform(Recorded, matched.jobs))
    assert_frame_equal(rejected, matched.rejected)
    (row,) = found.rows(named=True)
    assert (row["job_id"], row["energy_kwh"], row["n_runs"]) == (longest["job_id"], 0.035, 1)
    assert rejected["source"].to_list() == ["kept/emissions.csv", "x.csv"]
    run_estimate_energy(
        chain, "with records", ["recorded", "mlco2"], recorded=chain.path("recorded")
    )
    estimated = chain.read("with records").filter(pl.col("estimator") == "recorded@1")
    assert estimated["job_id"].to_list() == [longest["job_id"]]
    assert estimated["energy_kwh"].to_list() == [0.035]
    assert "recorded@1 estimates 1 of 1 jobs" in chain.logs["with records"]


def test_scripts_of_estimates_write_figures_and_tables(chain: RuleChain, tmp_path: Path) -> None:
    params = {"provenance": PROVENANCE, "pue": 1.25}
    figures = {form: tmp_path / f"f.{form}" for form in ("svg", "pdf", "png")}
    written = {form: tmp_path / f"t.{form}" for form in ("html", "csv", "tex")}
    of_levels, of_ratios = chain.paths("levels"), chain.paths("ratios")
    for rule, given, output in (
        ("plot_methods", of_levels, figures),
        ("plot_ratios", of_ratios, figures),
        ("tabulate_methods", of_levels, written),
        ("tabulate_ratios", of_ratios, written),
        ("tabulate_estimators", of_ratios | chain.paths("estimates"), written),
    ):
        chain.run(rule, input=given, output=output, params=params)
        assert chain.logs[rule] == ""
        for path in output.values():
            assert path.stat().st_size > 100
            path.rename(path.with_name(f"{rule}{path.suffix}"))
    assert "PUE of 1.25" in (tmp_path / "tabulate_methods.html").read_text()
    assert "PUE 1.25" in (tmp_path / "plot_methods.svg").read_text()
    assert "Against the measured energy" in (tmp_path / "plot_methods.svg").read_text()
    table = pl.read_csv(tmp_path / "tabulate_estimators.csv")
    assert table["Estimator"].to_list()[-1] == "bmc"
    assert len(table) == 1 + chain.read("estimates")["estimator"].n_unique()


def test_build_levels_has_every_estimator(chain: RuleChain) -> None:
    site = chain.read("levels").filter(pl.col("level") == "site")
    labels = set(chain.read("estimates")["estimator"])
    assert set(site["method"]) == {"bmc"} | labels
    assert site["n_jobs"].n_unique() == 1


def test_scripts_without_warnings_leave_logs_empty(chain: RuleChain) -> None:
    """Warnings of libraries would be in the log."""
    quiet = ("look_up_hardware", "build_allocations", "integrate_devices", "build_levels")
    assert [chain.logs[rule] for rule in quiet] == [""] * 4
