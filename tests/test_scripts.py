"""Every script of the download and energy stages, run as its rule runs it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import answers
import polars as pl
import pytest
from chaining import CLUSTERS, END, METRIC, MONTHS, START, Chain
from polars.testing import assert_frame_equal
from stand_in import SCRIPTS

from footprint import gates, partitions, privacy, tables
from footprint.errors import InputError
from footprint.site import open_site

RULES = SCRIPTS.parent / "rules"
RULES = SCRIPTS.parent / "rules"

Run = Callable[..., str]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Two days of a simulated site over the end of a month, from its nodes to its energies."""
    made = Chain(tmp_path_factory.mktemp("chain"))
    made.to_energies()
    made.run(
        "check_simulation",
        input={"jobs": made.path("energy-jobs"), "job_nodes": made.path("energy-job_nodes")}
        | made.paths("truth"),
        output=made.paths("check"),
        params=made.source,
    )
    return made


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("nodes", tables.Nodes),
        ("jobs", tables.Jobs),
        ("allocations", tables.Allocations),
        ("states", tables.States),
        ("set_aside", tables.SetAside),
        ("truth", tables.Truth),
        ("kinds", tables.TrueKinds),
        ("power-grele-2025-03", tables.Power),
        ("power-gres-2025-03", tables.Power),
        ("quality-grele-2025-04", tables.Quality),
        ("quality-gres-2025-04", tables.Quality),
        ("energy-jobs", tables.JobEnergy),
        ("energy-job_nodes", tables.JobNodeEnergy),
        ("energy-nodes", tables.NodeEnergy),
        ("energy-quality", tables.Quality),
        ("energy-set_aside", tables.SetAside),
        ("check", tables.SimulationCheck),
    ],
)
def test_scripts_write_the_tables_declared(chain: Chain, name: str, schema: Any) -> None:
    found = chain.read(name)
    assert schema.is_valid(found)
    empty = ("states", "set_aside", "gres", "energy-set_aside")
    assert len(found) > 0 or any(word in name for word in empty)


def test_what_is_downloaded_is_what_the_site_has(chain: Chain) -> None:
    site = open_site(chain.planned.source, site="nancy")
    assert_frame_equal(chain.read("nodes"), tables.conform(tables.Nodes, site.nodes()))
    records = site.jobs(start=day(START), end=day(END))
    assert_frame_equal(chain.read("jobs"), tables.conform(tables.Jobs, records.jobs))
    assert len(chain.read("jobs")) > 30
    assert chain.read("truth")["true_kwh"].sum() > 1


def test_power_is_cleaned_by_month_with_a_margin(chain: Chain) -> None:
    march, april = (chain.read(f"power-grele-{month}") for month in MONTHS)
    midnight, margin = day("2025-04-01"), timedelta(seconds=30)
    assert march["node"].unique().sort().to_list() == ["grele-1", "grele-2"]
    last, first = march["timestamp"].max(), april["timestamp"].min()
    assert midnight < last < midnight + margin
    assert midnight - margin <= first < midnight
    both = [chain.path(f"power-grele-{month}") for month in MONTHS]
    assert len(partitions.reader(*both)("grele-1")) > 34_000
    account = pl.concat([chain.read(f"quality-grele-{month}") for month in MONTHS])
    assert account["n_kept"].sum() < len(march) + len(april)
    assert set(account["day"]) == {day(START).date(), midnight.date()}


def test_gates_are_the_pieces_of_the_studied_nodes(chain: Chain) -> None:
    pieces = chain.read("gates")
    assert pieces.schema == gates.PIECES
    assert chain.read("occupancy").schema == gates.OCCUPANCY
    held = pieces.group_by("job_id", "node").agg(pl.col("share").first())
    allocated = chain.read("allocations")
    assert set(held["job_id"]) <= set(allocated["job_id"])
    assert pieces["started_at"].min() >= day(START)
    assert pieces["stopped_at"].max() <= day(END)


def test_a_month_without_a_sensor_is_no_data(chain: Chain) -> None:
    classes = chain.read("classes-gres-2025-03")
    assert classes["class"].to_list() == ["no_data"]
    assert classes["duration_s"].to_list() == [86_400]
    assert chain.read("classes-grele-2025-03")["duration_s"].sum() == pytest.approx(2 * 86_400)


def test_energies_of_both_months_are_gathered_under_pseudonyms(chain: Chain) -> None:
    jobs = chain.read("energy-jobs")
    sums = pl.concat([chain.read(f"sums-grele-{month}") for month in MONTHS])
    assert jobs["energy_kwh"].sum() == pytest.approx(sums["energy_j"].sum() / 3.6e6)
    logins = chain.read("jobs").select("job_id", login="user")
    names = privacy.pseudonyms(set(logins["login"]), key=privacy.PUBLIC_KEY)
    both = jobs.join(logins, on="job_id")
    assert both["user"].to_list() == [names[each] for each in both["login"]]
    # of gres no power is read
    aside = chain.read("energy-set_aside")
    assert aside.select("stage", "source", "n_rows").rows() == [("power", "gres", 0)]
    assert aside["reason"][0].startswith("no reading: bmc_node_power_watt is not collected unless")
    quality = chain.read("energy-quality")
    assert set(quality["node"]) == {"grele-1", "grele-2"}


def test_the_check_is_printed_and_close(chain: Chain) -> None:
    check = chain.read("check")
    assert check["sensors"].to_list() == ["1 W", "all"]
    assert check["n_jobs_compared"][0] > 5
    assert check["largest_error_frac"].max() < 0.005
    assert "sensors" in chain.logs["check_simulation"]


def test_quiet_scripts_say_nothing(chain: Chain) -> None:
    """A warning of any library would stand in the log."""
    loud = {name for name, log in chain.logs.items() if log}
    assert loud == {"check_simulation"}


def test_a_series_is_written_as_it_came(chain: Chain) -> None:
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


def test_jobs_of_other_clusters_are_counted(chain: Chain) -> None:
    chain.gather(["grele"])
    studied = chain.read("energy-jobs")
    (row,) = chain.read("energy-set_aside").rows(named=True)
    chain.gather(CLUSTERS)
    assert row["reason"] == "held no node of the studied clusters"
    assert row["n_rows"] == len(chain.read("energy-jobs")) - len(studied) > 0


def test_another_key_makes_other_pseudonyms(chain: Chain, tmp_path: Path) -> None:
    known = set(chain.read("energy-jobs")["user"])
    (tmp_path / "key").write_text("0123456789abcdef" * 4)
    chain.gather(CLUSTERS, key=str(tmp_path / "key"))
    assert known.isdisjoint(chain.read("energy-jobs")["user"])
    chain.gather(CLUSTERS)


def test_two_part_gives_idle_power_by_what_is_held(chain: Chain, tmp_path: Path) -> None:
    two = Chain(tmp_path, gate="two_part", idle_power={"grele": 150})
    for name in ("nodes", "jobs", "allocations", "states", "gates", "occupancy"):
        Path(two.path(name)).symlink_to(chain.path(name))
    for path in chain.by_month("power", "grele") + chain.by_month("power", "gres"):
        (tmp_path / Path(path).name).symlink_to(path)
    for cluster in CLUSTERS:
        two.measure_node_power(cluster)
        assert tables.NodePower.is_valid(two.read(f"node_power-{cluster}"))
    measured = two.read("node_power-grele")
    assert measured["node"].to_list() == ["grele-1", "grele-2"]
    # one job follows the other on these nodes: the samples in the margins of the study are not idle
    assert measured["idle_basis"].to_list() == ["configuration", "configuration"]
    assert measured["idle_power_w"].to_list() == [150, 150]
    assert 150 < measured["max_power_w"].min() < measured["max_power_w"].max() < 1000
    assert two.read("node_power-gres")["idle_power_w"].to_list() == [None]
    two.integrate("gres", "2025-03", node_power=two.path("node_power-gres"))
    for month in MONTHS:
        two.integrate("grele", month, node_power=two.path("node_power-grele"))

    def joules(made: Chain, what: str) -> float:
        return sum(made.read(f"{what}-grele-{month}")["energy_j"].sum() for month in MONTHS)

    # what is above idle goes to the jobs alone: they get more, and no more than the nodes drew
    assert joules(chain, "sums") + 1000 < joules(two, "sums") < joules(two, "classes")
    assert joules(two, "classes") == pytest.approx(joules(chain, "classes"), rel=1e-9)


# Exports: the scripts that read them, and what they say when they cannot.


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """A node with a job from noon to one, and a reading every 5 s of that day at 100 W."""
    folder = tmp_path / "exports"
    described = answers.page(answers.node("gruss-1"), answers.node("gruss-2"))
    answers.save(folder / "nodes/gruss.json", described)
    answers.save(folder / "jobs/page.json", answers.page(answers.g5k_job(11)))
    (folder / "power").mkdir()
    midnight = answers.NOON - 43_200
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


def of(folder: Path) -> dict[str, Any]:
    return {"site": "nancy", "source": {"kind": "exports", "directory": str(folder)}}


def convert(run: Run, exports: Path, folder: Path) -> str:
    return run(
        "convert_power",
        input={"files": []},
        output={
            "converted": folder / "converted" / METRIC,
            "set_aside": folder / "set_aside.parquet",
        },
        params=of(exports) | DAY | {"metric": METRIC, "clusters": ["gruss"]},
    )


def test_exports_are_converted_then_cleaned(run: Run, exports: Path, tmp_path: Path) -> None:
    assert convert(run, exports, tmp_path) == ""
    set_aside = pl.read_parquet(tmp_path / "set_aside.parquet")
    assert tables.SetAside.is_valid(set_aside)
    assert dict(set_aside.select("reason", "n_rows").iter_rows()) == {
        "other metric": 1,
        "outside the study's days": 2,  # an hour before it, and the midnight after it
    }
    run("download_nodes", output={"nodes": tmp_path / "nodes.parquet"}, params=of(exports))
    download_jobs(run, exports, tmp_path)
    run(
        "download_power",
        input={
            name: str(tmp_path / f"{name}.parquet")
            for name in ("nodes", "jobs", "allocations", "states")
        }
        | {"converted": str(tmp_path / "converted" / METRIC)},
        output={name: tmp_path / f"{name}.parquet" for name in ("power", "quality", "spells")},
        params=of(exports)
        | DAY
        | {"metric": METRIC, "max_gap_s": 30, "off_threshold_w": 20, "sum_over": None}
        | {"calibration": None},
        wildcards={"cluster": "gruss", "month": "2025-03"},
    )
    power = partitions.reader(tmp_path / "power.parquet")("gruss-1")
    assert len(power) == 17_281
    (row,) = pl.read_parquet(tmp_path / "quality.parquet").rows(named=True)
    assert (row["node"], row["n_read"], row["n_kept"]) == ("gruss-1", 17_280, 17_280)


def download_jobs(run: Run, exports: Path, folder: Path) -> str:
    names = ("jobs", "allocations", "states", "set_aside")
    return run(
        "download_jobs",
        output={name: folder / f"{name}.parquet" for name in names},
        params=of(exports) | DAY,
    )


def test_jobs_without_states_say_so(run: Run, exports: Path, tmp_path: Path) -> None:
    assert "does not know node states" in download_jobs(run, exports, tmp_path)
    states = pl.read_parquet(tmp_path / "states.parquet")
    assert states.is_empty()
    assert tables.States.is_valid(states)
    assert pl.read_parquet(tmp_path / "jobs.parquet")["job_id"].to_list() == [11]
    (exports / "states").mkdir()
    (exports / "states/notes.csv").write_text(
        "node,state,from,to\ngruss-2,Absent,2025-03-03T00:00:00Z,2025-03-03T06:00:00Z\n"
    )
    assert download_jobs(run, exports, tmp_path) == ""
    assert pl.read_parquet(tmp_path / "states.parquet")["state"].to_list() == ["absent"]


def test_what_a_user_can_mend_is_raised_as_such(run: Run, exports: Path, tmp_path: Path) -> None:
    lines = (exports / "power/day.jsonl").read_text().splitlines()
    (exports / "power/day.jsonl").write_text("\n".join(lines[:20])[:-9])
    with pytest.raises(InputError, match=r"day\.jsonl:20: this is not a whole record"):
        convert(run, exports, tmp_path)
    stranger = answers.g5k_job(12, assigned_nodes=["gruss-9"], resources_by_type={})
    answers.save(exports / "jobs/more.json", answers.page(stranger))
    with pytest.raises(InputError, match=r"jobs/more\.json: job 12 held node gruss-9"):
        download_jobs(run, exports, tmp_path)


def test_an_error_that_a_user_can_mend_is_one_line_of_the_log(tmp_path: Path) -> None:
    """The hook that a script sets, in an interpreter of its own."""
    log = tmp_path / "x.log"
    lines = ["from footprint import errors, logs", f"logs.to_file({str(log)!r})", "print('first')"]
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


@pytest.mark.parametrize("stage", sorted(RULES.glob("*.smk")), ids=lambda path: path.stem)
def test_every_rule_has_its_script_log_and_benchmark(stage: Path) -> None:
    bodies = re.split(r"^rule (\w+):", stage.read_text(), flags=re.M)[1:]
    named = dict(zip(bodies[::2], bodies[1::2], strict=True))
    assert named
    for name, body in named.items():
        assert f'"../scripts/{name}.py"' in body
        assert re.search(rf'"<logs>/{name}(/[^"]+)?\.log"', body)
        assert re.search(rf'"<benchmarks>/{name}(/[^"]+)?\.jsonl"', body)
        assert re.match(r'\s+"""[A-Z].*\."""\n', body)


def test_every_script_is_of_a_rule() -> None:
    rules = "".join(path.read_text() for path in RULES.glob("*.smk"))
    assert {path.stem for path in SCRIPTS.glob("*.py")} == set(
        re.findall(r"^rule (\w+):", rules, re.M)
    )


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_scripts_stay_thin(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= 40
    assert text.startswith('"""')
    assert "logs.to_file(snakemake.log[0])\n" in text
    assert not re.search(r"^(def|class|for|while|try)\b", text, re.M)
