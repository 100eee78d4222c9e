"""Scripts of the download and energy stages, run as their rules run them."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.allocation import node_allocations
from footprint.core import pseudonyms
from footprint.core.errors import InputError
from footprint.core.units import KWH_PER_J
from footprint.energy import gate_policies
from footprint.schemas.energy import (
    GatePolicies,
    JobEnergy,
    JobNodeEnergy,
    NodeEnergy,
    NodePower,
    Quality,
)
from footprint.schemas.gaps import (
    ClassGaps,
    JobGaps,
    SegmentGaps,
    Segments,
    SegmentSeries,
    VirtualMeter,
)
from footprint.schemas.raw import Allocations, Jobs, Nodes, Power, RejectedRows, States
from footprint.schemas.validation import SimulationCheck, TrueKinds, Truth
from footprint.schemas.writing import conform
from footprint.sources import monthly_files
from footprint.sources.registry import open_site
from tests.scripts.conftest import IDLE_POWER
from tests.support import api_answers
from tests.support.rule_chain import CLUSTERS, END, METRIC, MONTHS, START, RuleChain

Run = Callable[..., str]


@pytest.fixture(scope="module")
def chain(energy_chain: RuleChain, tmp_path_factory: pytest.TempPathFactory) -> RuleChain:
    """Chain from the nodes of a simulated site to its energies, compared with the truth."""
    made = energy_chain.continue_in(tmp_path_factory.mktemp("energies"))
    made.run(
        "check_simulation",
        input={"jobs": made.path("energy-jobs"), "job_nodes": made.path("energy-job_nodes")}
        | made.paths("truth"),
        output=made.paths("check"),
        params=made.source,
    )
    return made


def utc_midnight(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("nodes", Nodes),
        ("jobs", Jobs),
        ("allocations", Allocations),
        ("states", States),
        ("rejected", RejectedRows),
        ("truth", Truth),
        ("kinds", TrueKinds),
        ("power-grele-2025-03", Power),
        ("power-gres-2025-03", Power),
        ("quality-grele-2025-04", Quality),
        ("quality-gres-2025-04", Quality),
        ("segments-grele-2025-03", Segments),
        ("virtual_meter", VirtualMeter),
        ("gaps_of_jobs-gres", JobGaps),
        ("gaps_of_classes-gres", ClassGaps),
        ("gaps_of_segments-gres", SegmentGaps),
        ("energy-jobs", JobEnergy),
        ("energy-job_nodes", JobNodeEnergy),
        ("energy-nodes", NodeEnergy),
        ("energy-quality", Quality),
        ("energy-rejected", RejectedRows),
        ("check", SimulationCheck),
    ],
)
def test_scripts_of_energy_write_valid_tables(chain: RuleChain, name: str, schema: Any) -> None:
    found = chain.read(name)
    assert schema.is_valid(found)
    empty = ("states", "rejected", "-gres-", "energy-rejected")
    assert len(found) > 0 or any(word in name for word in empty)


def test_download_scripts_write_records_of_the_site(chain: RuleChain) -> None:
    site = open_site(chain.planned.source, site="nancy")
    assert_frame_equal(chain.read("nodes"), conform(Nodes, site.nodes()))
    records = site.jobs(start=utc_midnight(START), end=utc_midnight(END))
    assert_frame_equal(chain.read("jobs"), conform(Jobs, records.jobs))
    assert len(chain.read("jobs")) > 30
    assert chain.read("truth")["true_kwh"].sum() > 1


def test_download_power_writes_months_with_margins(chain: RuleChain) -> None:
    march, april = (chain.read(f"power-grele-{month}") for month in MONTHS)
    midnight, margin = utc_midnight("2025-04-01"), timedelta(seconds=30)
    assert march["node"].unique().sort().to_list() == ["grele-1", "grele-2"]
    last, first = march["timestamp"].max(), april["timestamp"].min()
    assert midnight < last < midnight + margin
    assert midnight - margin <= first < midnight
    both = [chain.path(f"power-grele-{month}") for month in MONTHS]
    assert len(monthly_files.sample_reader(*both)("grele-1")) > 34_000
    account = pl.concat([chain.read(f"quality-grele-{month}") for month in MONTHS])
    assert account["n_kept"].sum() < len(march) + len(april)
    assert set(account["day"]) == {utc_midnight(START).date(), midnight.date()}


def test_build_allocations_covers_jobs_of_studied_nodes(chain: RuleChain) -> None:
    pieces = chain.read("node_allocations")
    assert pieces.schema == node_allocations.ALLOCATION_SCHEMA
    assert chain.read("occupancy").schema == node_allocations.OCCUPANCY_SCHEMA
    held = pieces.group_by("job_id", "node").agg(pl.col("share").first())
    allocated = chain.read("allocations")
    assert set(held["job_id"]) <= set(allocated["job_id"])
    assert pieces["started_at"].min() >= utc_midnight(START)
    assert pieces["stopped_at"].max() <= utc_midnight(END)


def test_integrate_energy_without_sensor_gives_no_data(chain: RuleChain) -> None:
    classes = chain.read("classes-gres-2025-03")
    assert classes["class"].to_list() == ["no_data"]
    assert classes["duration_s"].to_list() == [86_400]
    assert chain.read("classes-grele-2025-03")["duration_s"].sum() == pytest.approx(2 * 86_400)


def test_combine_energy_sums_months_under_pseudonyms(chain: RuleChain) -> None:
    jobs = chain.read("energy-jobs")
    sums = pl.concat([chain.read(f"sums-grele-{month}") for month in MONTHS])
    assert jobs["measured_kwh"].sum() == pytest.approx(sums["energy_j"].sum() / 3.6e6)
    logins = chain.read("jobs").select("job_id", login="user")
    names = pseudonyms.pseudonyms_of(set(logins["login"]), key=pseudonyms.PUBLIC_KEY)
    both = jobs.join(logins, on="job_id")
    assert both["user"].to_list() == [names[each] for each in both["login"]]
    # gres has no power readings
    rejected_rows = chain.read("energy-rejected")
    assert rejected_rows.select("stage", "source", "n_rows").rows() == [("power", "gres", 0)]
    assert rejected_rows["reason"][0].startswith(
        "no reading: bmc_node_power_watt is not collected unless"
    )
    quality = chain.read("energy-quality")
    assert set(quality["node"]) == {"grele-1", "grele-2"}


def test_combine_energy_completes_the_cluster_without_sensors(chain: RuleChain) -> None:
    job_nodes = chain.read("energy-job_nodes").filter(pl.col("cluster") == "gres")
    assert set(job_nodes["estimate_basis"]) == {"hardware"}
    assert job_nodes["measured_kwh"].null_count() == len(job_nodes) > 0
    assert job_nodes["total_kwh"].min() > 0
    nodes = chain.read("energy-nodes").filter(pl.col("cluster") == "gres")
    in_jobs = nodes.filter(pl.col("class") == "job")["total_kwh"].sum()
    assert in_jobs == pytest.approx(job_nodes["total_kwh"].sum(), rel=1e-9)


def test_estimate_gaps_uses_series_of_the_cluster_without_sensors(
    chain: RuleChain, tmp_path: Path
) -> None:
    made = chain.continue_in(tmp_path / "series")
    for cluster in CLUSTERS:
        for month in MONTHS:
            made.run(
                "download_devices",
                input=made.paths("nodes"),
                output={
                    "devices": made.path(f"devices-{cluster}-{month}"),
                    "rejected": made.path(f"devices_rejected-{cluster}-{month}"),
                },
                params=made.source | made.window | {"max_gap_s": 30},
                wildcards={"cluster": cluster, "month": month},
            )
            made.integrate_series(cluster, month, devices=[made.path(f"devices-{cluster}-{month}")])
    assert SegmentSeries.is_valid(made.read("segment_series-gres-2025-03"))
    made.estimate_gaps(with_series=True)
    made.combine_energy(CLUSTERS)
    found = made.read("energy-job_nodes")
    of_gres = found.filter(pl.col("cluster") == "gres").join(
        made.read("truth"), on=["job_id", "node"]
    )
    assert "virtual_meter" in set(of_gres["estimate_basis"])
    assert of_gres["total_kwh"].sum() == pytest.approx(of_gres["true_kwh"].sum(), rel=0.2)
    # the measured energy does not depend on estimates
    before = chain.read("energy-job_nodes")
    assert_frame_equal(found.select("measured_kwh"), before.select("measured_kwh"))


def test_check_simulation_prints_small_errors(chain: RuleChain) -> None:
    check = chain.read("check")
    assert check["sensors"].to_list() == ["1 W", "all", "no readings"]
    assert check["n_jobs_compared"][0] > 5
    assert check["largest_error_frac"].max() < 0.005
    assert "sensors" in chain.logs["check_simulation"]


def test_scripts_without_warnings_leave_logs_empty(chain: RuleChain) -> None:
    """Warnings of libraries would be in the log."""
    loud = {name for name, log in chain.logs.items() if log}
    assert loud == {"check_simulation"}


def test_download_series_writes_readings_without_cleaning(chain: RuleChain) -> None:
    load = "prom_node_load1"
    chain.run(
        "download_series",
        output=chain.paths("series"),
        params=chain.source | chain.window,
        wildcards={"series": load, "cluster": "grele", "month": "2025-03"},
    )
    assert chain.logs["download_series"] == ""
    window = {"start": datetime(2025, 3, 31, tzinfo=UTC), "end": datetime(2025, 4, 1, tzinfo=UTC)}
    site = open_site(chain.planned.source, site="nancy")
    expected = pl.concat(site.devices(metric=load, cluster="grele", **window))
    assert expected["node"].unique(maintain_order=True).to_list() == ["grele-1", "grele-2"]
    assert_frame_equal(chain.read("series"), expected)


def test_combine_energy_of_one_cluster_rejects_jobs_of_others(chain: RuleChain) -> None:
    chain.combine_energy(["grele"])
    studied = chain.read("energy-jobs")
    (row,) = chain.read("energy-rejected").rows(named=True)
    chain.combine_energy(CLUSTERS)
    assert row["reason"] == "held no node of the studied clusters"
    assert row["n_rows"] == len(chain.read("energy-jobs")) - len(studied) > 0


def test_combine_energy_with_another_key_changes_pseudonyms(
    chain: RuleChain, tmp_path: Path
) -> None:
    known = set(chain.read("energy-jobs")["user"])
    (tmp_path / "key").write_text("0123456789abcdef" * 4)
    (tmp_path / "key").chmod(0o600)
    chain.combine_energy(CLUSTERS, key=str(tmp_path / "key"))
    assert known.isdisjoint(chain.read("energy-jobs")["user"])
    chain.combine_energy(CLUSTERS)


def test_two_part_gate_gives_jobs_more_energy_than_reserved_gate(
    chain: RuleChain, tmp_path: Path
) -> None:
    two = RuleChain(tmp_path, gate="two_part", idle_power={"grele": 150})
    for name in ("nodes", "jobs", "allocations", "states", "node_allocations", "occupancy"):
        Path(two.path(name)).symlink_to(chain.path(name))
    for path in chain.monthly_paths("power", "grele") + chain.monthly_paths("power", "gres"):
        (tmp_path / Path(path).name).symlink_to(path)
    for cluster in CLUSTERS:
        two.measure_node_power(cluster)
        assert NodePower.is_valid(two.read(f"node_power-{cluster}"))
    measured = two.read("node_power-grele")
    assert measured["node"].to_list() == ["grele-1", "grele-2"]
    # jobs follow one another on these nodes, so that no sample is idle
    assert measured["idle_basis"].to_list() == ["configuration", "configuration"]
    assert measured["idle_power_w"].to_list() == [150, 150]
    assert 150 < measured["max_power_w"].min() < measured["max_power_w"].max() < 1000
    assert two.read("node_power-gres")["idle_power_w"].to_list() == [None]
    two.integrate_energy("gres", "2025-03", node_power=two.path("node_power-gres"))
    for month in MONTHS:
        two.integrate_energy("grele", month, node_power=two.path("node_power-grele"))

    def joules(made: RuleChain, what: str) -> float:
        return sum(made.read(f"{what}-grele-{month}")["energy_j"].sum() for month in MONTHS)

    # jobs get all power above idle: more than by `reserved`, and less than the nodes drew
    assert joules(chain, "sums") + 1000 < joules(two, "sums") < joules(two, "classes")
    assert joules(two, "classes") == pytest.approx(joules(chain, "classes"), rel=1e-9)


# Exports: the scripts that read them, and their errors


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """Exports: a job from 12:00 to 13:00, and readings of 100 W every 5 s of that day."""
    folder = tmp_path / "exports"
    described = api_answers.collection_page(
        api_answers.reference_node("gruss-1"), api_answers.reference_node("gruss-2")
    )
    api_answers.save_json(folder / "nodes/gruss.json", described)
    api_answers.save_json(
        folder / "jobs/page.json", api_answers.collection_page(api_answers.g5k_job(11))
    )
    (folder / "power").mkdir()
    midnight = api_answers.NOON_S - 43_200
    readings = [(midnight + 5 * i, "gruss-1", METRIC) for i in range(17_281)]
    others = [(midnight, "gruss-1", "other_metric"), (midnight - 3600, "gruss-2", METRIC)]
    (folder / "power/day.jsonl").write_text(
        "".join(
            json.dumps({"timestamp": at, "device_id": who, "metric_id": what, "value": 100}) + "\n"
            for at, who, what in [*readings, *others]
        )
    )
    return folder


DAY = {"start": "2025-03-03", "end": "2025-03-04"}


def exports_source(folder: Path) -> dict[str, Any]:
    return {"site": "nancy", "source": {"kind": "exports", "directory": str(folder)}}


def run_convert_power(run: Run, exports: Path, folder: Path) -> str:
    return run(
        "convert_power",
        input={"files": []},
        output={
            "converted": folder / "converted" / METRIC,
            "rejected": folder / "rejected.parquet",
        },
        params=exports_source(exports) | DAY | {"metric": METRIC, "clusters": ["gruss"]},
    )


def test_exports_converted_and_cleaned_keep_every_reading(
    run: Run, exports: Path, tmp_path: Path
) -> None:
    assert run_convert_power(run, exports, tmp_path) == ""
    rejected = pl.read_parquet(tmp_path / "rejected.parquet")
    assert RejectedRows.is_valid(rejected)
    assert dict(rejected.select("reason", "n_rows").iter_rows()) == {
        "other metric": 1,
        "outside the study's days": 2,  # an hour before it, and the midnight after it
    }
    run(
        "download_nodes",
        output={"nodes": tmp_path / "nodes.parquet"},
        params=exports_source(exports),
    )
    run_download_jobs(run, exports, tmp_path)
    run(
        "download_power",
        input={
            name: str(tmp_path / f"{name}.parquet")
            for name in ("nodes", "jobs", "allocations", "states")
        }
        | {"converted": str(tmp_path / "converted" / METRIC)},
        output={name: tmp_path / f"{name}.parquet" for name in ("power", "quality", "spells")},
        params=exports_source(exports)
        | DAY
        | {"metric": METRIC, "max_gap_s": 30, "off_threshold_w": 20}
        | {"sum_over": None, "calibration": None},
        wildcards={"cluster": "gruss", "month": "2025-03"},
    )
    power = monthly_files.sample_reader(tmp_path / "power.parquet")("gruss-1")
    assert len(power) == 17_281
    (row,) = pl.read_parquet(tmp_path / "quality.parquet").rows(named=True)
    assert (row["node"], row["n_read"], row["n_kept"]) == ("gruss-1", 17_280, 17_280)


def run_download_jobs(run: Run, exports: Path, folder: Path) -> str:
    names = ("jobs", "allocations", "states", "rejected")
    return run(
        "download_jobs",
        output={name: folder / f"{name}.parquet" for name in names},
        params=exports_source(exports) | DAY,
    )


def test_download_jobs_without_states_logs_it(run: Run, exports: Path, tmp_path: Path) -> None:
    assert "has no node states" in run_download_jobs(run, exports, tmp_path)
    states = pl.read_parquet(tmp_path / "states.parquet")
    assert states.is_empty()
    assert States.is_valid(states)
    assert pl.read_parquet(tmp_path / "jobs.parquet")["job_id"].to_list() == [11]
    (exports / "states").mkdir()
    (exports / "states/notes.csv").write_text(
        "node,state,from,to\ngruss-2,Absent,2025-03-03T00:00:00Z,2025-03-03T06:00:00Z\n"
    )
    assert run_download_jobs(run, exports, tmp_path) == ""
    assert pl.read_parquet(tmp_path / "states.parquet")["state"].to_list() == ["absent"]


def test_scripts_with_faulty_exports_raise_input_errors(
    run: Run, exports: Path, tmp_path: Path
) -> None:
    lines = (exports / "power/day.jsonl").read_text().splitlines()
    (exports / "power/day.jsonl").write_text("\n".join(lines[:20])[:-9])
    with pytest.raises(InputError, match=r"day\.jsonl:20: this is not a whole record"):
        run_convert_power(run, exports, tmp_path)
    stranger = api_answers.g5k_job(12, assigned_nodes=["gruss-9"], resources_by_type={})
    api_answers.save_json(exports / "jobs/more.json", api_answers.collection_page(stranger))
    with pytest.raises(InputError, match=r"jobs/more\.json: job 12 held node gruss-9"):
        run_download_jobs(run, exports, tmp_path)


def test_log_of_input_error_is_one_line_without_traceback(tmp_path: Path) -> None:
    """The script sets an exception hook, which needs its own interpreter."""
    log = tmp_path / "x.log"
    lines = [
        "from footprint.core import errors, logs",
        f"logs.log_to_file({str(log)!r})",
        "print('first')",
    ]
    for raised, written in [
        (
            "errors.InputError('no node', where='a.json:3', do='add it')",
            "a.json:3: no node; add it",
        ),
        ("ValueError('a defect')", "ValueError: a defect"),
    ]:
        code = "\n".join([*lines, f"raise {raised}"])
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
        text = log.read_text()
        assert text.startswith("first\n")
        assert text.splitlines()[-1] == written
        assert ("Traceback" in text) is (written != "a.json:3: no node; add it")


@pytest.mark.parametrize("gate", ["reserved", "active"])
def test_energies_by_gate_of_the_configured_gate_are_those_of_the_study(
    energy_chain: RuleChain, tmp_path: Path, gate: str
) -> None:
    made = energy_chain.continue_in(tmp_path, gate=gate, idle_power=IDLE_POWER)
    for cluster in CLUSTERS:
        for month in MONTHS:
            made.integrate_energy(cluster, month)
    made.estimate_gaps()
    made.combine_energy(CLUSTERS)
    made.compare_gates()
    monthly = [path for each in CLUSTERS for path in made.monthly_paths("segments", each)]
    found = gate_policies.energies_by_gate(
        [pl.read_parquet(path) for path in monthly],
        pl.concat([made.read(f"gaps_of_segments-{cluster}") for cluster in CLUSTERS]),
        made.read("node_allocations"),
        pl.concat([made.read(f"node_power-{cluster}") for cluster in CLUSTERS]),
    )
    both = made.read("energy-jobs").join(found, on="job_id")
    assert (both["estimated_kwh"] > 0).any()
    assert "shared_node" in both["flags"].explode()
    assert (both[gate] * KWH_PER_J).to_list() == pytest.approx(
        both["total_kwh"].to_list(), rel=1e-9
    )
    by_gate = made.read("gate_policies")
    assert GatePolicies.is_valid(by_gate)
    own = by_gate.filter(pl.col("gate") == gate)
    assert_frame_equal(own.drop("gate"), made.read("energy-jobs").select("job_id", "total_kwh"))
