"""Every script of the estimators, run as its rule runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from chaining import CLUSTERS, END, MONTHS, START, Chain
from paper_frames import PROVENANCE
from polars.testing import assert_frame_equal
from test_scripts import day

from footprint import comparison, device_use, hardware, recorded, tables
from footprint.errors import InputError
from footprint.estimators import facts, registry
from footprint.site import recorded as files

pytestmark = pytest.mark.filterwarnings("error")

Run = Callable[..., str]
LOAD_METRIC = "prom_node_load1"
HEADER = "timestamp,run_id,project_name,duration,cpu_energy,gpu_energy,ram_energy,energy_consumed"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Two days of a simulated site over the end of a month, from its nodes to the comparison."""
    made = Chain(tmp_path_factory.mktemp("estimates"))
    made.to_energies()
    made.describe_gpus()
    window = made.window
    for month in MONTHS:
        made.run(
            "download_series",
            output={"series": made.path(f"load-grele-{month}")},
            params=made.source | window,
            wildcards={"cluster": "grele", "month": month, "series": LOAD_METRIC},
        )
    made.run(
        "integrate_gpu_power",
        input={"gates": made.path("gpu_gates"), "devices": made.by_month("devices", "grele")},
        output=made.paths("gpu_power"),
        params=window | {"node_pattern": made.planned.node_pattern},
        wildcards={"cluster": "grele"},
    )
    for cluster, load in (("grele", made.by_month("load", "grele")), ("gres", [])):
        made.run(
            "integrate_cpu_series",
            input=made.paths("gates", "hardware") | {"load": load, "package": []},
            output={"cpu_series": made.path(f"cpu_series-{cluster}")},
            params=window | {"policy": "reserved", "node_pattern": made.planned.node_pattern},
            wildcards={"cluster": cluster},
        )
    estimate(made, "estimates", "all")
    made.run(
        "compare_estimates",
        input=made.paths("estimates", "hardware") | made.measured(),
        output=made.paths("ratios"),
    )
    empty = pl.DataFrame(schema={"job_id": pl.Int64, "paper": pl.String})
    empty.write_parquet(made.path("papers"))
    made.build_levels(minimum_group=3)
    return made


def inputs(made: Chain, **recorded_in: str) -> dict[str, Any]:
    """Inputs of `estimate_energy`; what a `branch` did not choose is an empty list."""
    series = {
        "gpu_power": [made.path("gpu_power")],
        "cpu_series": [made.path("cpu_series-grele"), made.path("cpu_series-gres")],
    }
    raw = made.paths("hardware", "allocations", "nodes") | {"records": made.path("jobs")}
    return made.measured() | raw | series | ({"recorded": [], "tracked": []} | recorded_in)


def estimate(made: Chain, name: str, estimators: Any, **recorded_in: str) -> None:
    made.run(
        "estimate_energy",
        name,
        input=inputs(made, **recorded_in),
        output={"estimates": made.path(name)},
        params={"estimators": estimators},
    )


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("hardware", tables.Hardware),
        ("devices-grele-2025-03", tables.DevicePower),
        ("load-grele-2025-03", tables.DeviceSeries),
        ("gpu_power", tables.GpuPower),
        ("cpu_series-grele", tables.CpuSeries),
        ("cpu_series-gres", tables.CpuSeries),
        ("estimates", tables.Estimates),
        ("ratios", tables.EstimateRatios),
        ("levels", tables.Levels),
    ],
)
def test_scripts_write_the_tables_declared(chain: Chain, name: str, schema: Any) -> None:
    found = chain.read(name)
    assert schema.is_valid(found)
    assert found.height > 0


def test_hardware_is_that_of_the_studied_clusters(chain: Chain) -> None:
    found = chain.read("hardware")
    nodes = chain.read("nodes").lazy()
    assert_frame_equal(found, tables.conform(tables.Hardware, hardware.look_up(nodes)))
    assert set(found["cluster"]) == set(CLUSTERS)
    only = chain.folder / "grele.parquet"
    chain.run(
        "look_up_hardware",
        "of one cluster",
        input=chain.paths("nodes"),
        output={"hardware": only, "set_aside": chain.folder / "grele_aside.parquet"},
        params={"clusters": ["grele"], "hardware": {}},
    )
    assert set(pl.read_parquet(only)["cluster"]) == {"grele"}


def test_unknown_processors_are_null_and_listed_and_estimated_without(
    run: Run, chain: Chain, tmp_path: Path
) -> None:
    is_other = pl.col("node") == "grele-2"
    nodes = chain.read("nodes").with_columns(
        cpu_model=pl.when(is_other).then(pl.lit("Zilog Z80")).otherwise("cpu_model")
    )
    nodes.write_parquet(tmp_path / "nodes.parquet")
    made = {name: tmp_path / f"{name}.parquet" for name in ("hardware", "set_aside")}
    given: dict[str, Any] = {
        "input": {"nodes": str(tmp_path / "nodes.parquet")},
        "output": made,
        "params": {"clusters": CLUSTERS, "hardware": {}},
    }
    logged = run("look_up_hardware", **given)
    assert "the catalogue lacks processor Zilog Z80: thermal design power" in logged
    found = pl.read_parquet(made["hardware"])
    assert found.filter(pl.col("tdp_w").is_null())["node"].to_list() == ["grele-2"]
    (row,) = pl.read_parquet(made["set_aside"]).to_dicts()
    assert (row["stage"], row["n_rows"]) == ("hardware", 1)
    assert row["example"] == "processor Zilog Z80: thermal design power"
    estimates = tmp_path / "estimates.parquet"
    run(
        "estimate_energy",
        input=inputs(chain) | {"hardware": str(made["hardware"])},
        output={"estimates": estimates},
        params={"estimators": ["green_algorithms", "mlco2"]},
    )
    on_it = chain.read("energy-job_nodes").filter(is_other, pl.col("core_hours") > 0)["job_id"]
    told = pl.read_parquet(estimates).filter(pl.col("job_id").is_in(on_it.implode()))
    ga = told.filter(pl.col("estimator").str.starts_with("green_algorithms"))
    assert ga.height > 0
    assert ga["energy_kwh"].null_count() == ga.height
    assert ga["basis"].str.contains("unknown").all()
    assert told.filter(pl.col("estimator").str.starts_with("mlco2"))["energy_kwh"].null_count() == 0
    given["params"]["hardware"] = {"cpus": {"Zilog Z80": {"tdp_w": 1.5}}}
    assert run("look_up_hardware", **given) == ""
    assert pl.read_parquet(made["hardware"])["tdp_w"].null_count() == 0
    assert pl.read_parquet(made["set_aside"]).is_empty()


def trapezoid(readings: pl.DataFrame, low: datetime, high: datetime) -> tuple[float, float]:
    """Joules and seconds of readings between two moments, pairs over 60 s apart left out."""
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


def test_energy_of_gpus_is_the_integral_of_their_readings(chain: Chain) -> None:
    pieces = device_use.of_cluster(chain.read("gpu_gates"), "grele")
    paths = chain.by_month("devices", "grele")
    window = {"start": day(START), "end": day(END)}
    found = chain.read("gpu_power")
    assert_frame_equal(found, device_use.gpu_power(paths, pieces, **window))
    readings = pl.concat(map(pl.read_parquet, paths)).unique(["node", "gpu", "timestamp"])
    by_gpu = {
        f"{node}/{gpu}": rows
        for (node, gpu), rows in readings.sort("timestamp").group_by(["node", "gpu"])
    }
    joules = seconds = 0.0
    for piece in pieces.filter(pl.col("share") > 0).iter_rows(named=True):
        own = trapezoid(by_gpu[piece["node"]], piece["started_at"], piece["stopped_at"])
        joules += own[0] * piece["share"]
        seconds += own[1] * piece["share"]
    assert joules > 1e6
    assert found["energy_kwh"].sum() == pytest.approx(joules / 3.6e6, rel=1e-9)
    assert found["covered_gpu_hours"].sum() == pytest.approx(seconds / 3600, rel=1e-9)
    held = chain.read("energy-job_nodes").filter(pl.col("cluster") == "grele")
    both = held.join(found, on=["job_id", "node"], suffix="_of_gpus")
    assert both["gpu_hours_of_gpus"].to_list() == pytest.approx(both["gpu_hours"].to_list())


def test_series_of_processors_are_those_of_the_cluster(chain: Chain) -> None:
    expected = device_use.cpu_series(
        device_use.of_cluster(chain.read("gates"), "grele"),
        chain.read("hardware").filter(pl.col("cluster") == "grele"),
        load=chain.by_month("load", "grele"),
        package=[],
        policy="reserved",
        start=day(START),
        end=day(END),
    )
    found = chain.read("cpu_series-grele")
    assert_frame_equal(found, expected)
    assert found["core_use_frac"].drop_nulls().max() > 0
    without = chain.read("cpu_series-gres")
    assert set(without["node"].str.replace(r"-\d+$", "")) == {"gres"}
    assert without["core_use_frac"].null_count() == len(without)
    assert without["load_covered_s"].sum() == 0


def test_every_usual_estimator_tells_of_every_job(chain: Chain) -> None:
    found = chain.read("estimates")
    gathered = facts.load(inputs(chain))
    usual = registry.chosen("all")
    expected = [registry.estimate(gathered, each) for each in usual]
    assert_frame_equal(found, pl.concat(expected).sort("estimator", "job_id"))
    labels = [each.label for each in usual if each.of_all]
    assert set(found["estimator"]) == set(labels)
    assert set(found["job_id"]) == set(chain.read("energy-jobs")["job_id"])
    n_jobs = len(chain.read("energy-jobs"))
    lines = chain.logs["estimates"].splitlines()
    assert [line.split()[0] for line in lines] == sorted(each.label for each in usual)
    assert f"mlco2@025b988 tells of {n_jobs} of {n_jobs} jobs" in lines
    assert found.filter(pl.col("basis").str.contains("series")).height > 0
    assert found.filter(pl.col("basis").str.contains("load")).height > 0


def test_estimators_are_those_chosen(chain: Chain) -> None:
    estimate(chain, "chosen", ["mlco2", "ga4hpc_idle_as_full"])
    assert set(chain.read("chosen")["estimator"]) == {"mlco2@025b988", "ga4hpc_idle_as_full@0.4"}
    with pytest.raises(InputError, match=r"there is no estimator `mlco3`"):
        estimate(chain, "unknown", ["mlco3"])


def test_ratios_are_those_of_the_jobs_compared(chain: Chain) -> None:
    frames = (chain.read("estimates"), *map(pl.read_parquet, chain.measured().values()))
    lazy = [frame.lazy() for frame in (*frames, chain.read("hardware"))]
    found = chain.read("ratios")
    expected = tables.conform(tables.EstimateRatios, comparison.ratios(*lazy))
    assert_frame_equal(found, expected)
    assert found.filter(pl.col("group") == "all")["n_jobs"].min() > 5
    assert chain.logs["compare_estimates"] == ""


def emissions(path: Path, rows: Iterable[str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return str(path)


def test_what_a_tool_recorded_is_matched_and_estimated(chain: Chain, tmp_path: Path) -> None:
    inside = (pl.col("started_at") >= day(START)) & (pl.col("stopped_at") <= day(END))
    jobs = chain.read("energy-jobs").filter(inside, pl.col("coverage_frac") > 0)
    longest = jobs.sort("duration_s").row(-1, named=True)
    stopped, duration_s = longest["stopped_at"], longest["duration_s"]
    of_job = f"{stopped:%Y-%m-%dT%H:%M:%S}+00:00,r1,oar-{longest['job_id']},{duration_s}"
    stray = f"{stopped + timedelta(days=9):%Y-%m-%dT%H:%M:%S}Z,r2,codecarbon,60"
    rows = [f"{of_job},0.01,0.02,0.005,0.035", f"{stray},0.1,0.2,0.05,0.35"]
    path = emissions(tmp_path / "kept/emissions.csv", rows)
    chain.run(
        "match_recorded",
        input=chain.paths("jobs", "allocations", "nodes") | {"files": [path]},
        output={"recorded": chain.path("recorded"), "set_aside": chain.path("recorded_aside")},
        params={"folder": str(tmp_path), "unreadable": [["x.csv", "a link"]]},
    )
    found, set_aside = chain.read("recorded"), chain.read("recorded_aside")
    assert tables.Recorded.is_valid(found)
    assert tables.SetAside.is_valid(set_aside)
    assert "2 runs recorded; 1 are of 1 jobs" in chain.logs["match_recorded"]
    assert "x.csv: a link (1, the whole file)" in chain.logs["match_recorded"]
    raw = (pl.scan_parquet(chain.path(name)) for name in ("jobs", "allocations", "nodes"))
    read = files.parse([("kept/emissions.csv", Path(path))], unreadable=[("x.csv", "a link")])
    matched = recorded.match(read, *raw)
    assert_frame_equal(found, tables.conform(tables.Recorded, matched.jobs))
    assert_frame_equal(set_aside, matched.set_aside)
    (row,) = found.rows(named=True)
    assert (row["job_id"], row["energy_kwh"], row["n_runs"]) == (longest["job_id"], 0.035, 1)
    assert set_aside["source"].to_list() == ["kept/emissions.csv", "x.csv"]
    estimate(chain, "with records", ["recorded", "mlco2"], recorded=chain.path("recorded"))
    told = chain.read("with records").filter(pl.col("estimator") == "recorded@1")
    assert told["job_id"].to_list() == [longest["job_id"]]
    assert told["energy_kwh"].to_list() == [0.035]
    assert "recorded@1 tells of 1 of 1 jobs" in chain.logs["with records"]


def test_figures_and_tables_are_written(chain: Chain, tmp_path: Path) -> None:
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


def test_levels_have_every_method(chain: Chain) -> None:
    site = chain.read("levels").filter(pl.col("level") == "site")
    labels = set(chain.read("estimates")["estimator"])
    assert set(site["method"]) == {"bmc"} | labels
    assert site["n_jobs"].n_unique() == 1


def test_quiet_scripts_say_nothing(chain: Chain) -> None:
    """A warning of any library would stand in the log."""
    quiet = ("look_up_hardware", "build_gpu_gates", "integrate_gpu_power", "integrate_cpu_series")
    assert [chain.logs[rule] for rule in (*quiet, "build_levels")] == [""] * 5
