from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.core.errors import InputError
from footprint.sources.generic import counters
from footprint.sources.generic.site import GenericSite
from tests.support.generic_tables import write_csv

DAY: dict[str, Any] = {
    "start": datetime(2025, 3, 3, tzinfo=UTC),
    "end": datetime(2025, 3, 4, tzinfo=UTC),
}
NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
NOON_S = int(NOON.timestamp())


def site(tables: Path, **options: Any) -> GenericSite:
    return GenericSite(tables, site="here", converted=tables / "converted", **options)


def rejected(found: pl.LazyFrame | pl.DataFrame) -> dict[str, tuple[int, str]]:
    rows = found.lazy().collect().iter_rows(named=True)
    return {row["reason"]: (row["n_rows"], row["example"]) for row in rows}


def held(tables: Path) -> dict[tuple[int, str], tuple[list[int], list[int], str]]:
    rows = site(tables).jobs(**DAY).allocations.collect().iter_rows()
    return {(job, node): (cores, gpus, basis) for job, node, cores, gpus, basis in rows}


def test_nodes_row_of_a_list_describes_each_node(tables: Path) -> None:
    found = site(tables).nodes().collect()
    assert found["node"].to_list() == ["n1", "n2", "n3"]
    assert found["cluster"].unique().to_list() == ["n"]
    assert found["cores"].to_list() == [[0, 1, 2, 3]] * 3
    assert found["max_plausible_power_w"].to_list() == [2 * (4 * 12 + 300)] * 3


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["node,n_cores", "n[1-2],4", "n2,8"], "row 2: node n2 is described twice"),
        (["node,n_cores", "n1,0"], "row 1, column n_cores: 0 is not from 1 to 4096"),
        (["node,n_cores,n_cpus", "n1,4,8"], "column n_cpus: 8 is not from 1 to 4"),
        (["node,n_cores,n_threads", "n1,4,2"], "column n_threads"),
        (["node,n_cores,cores", "n1,4,0-2"], "3 cores in `cores`, 4 in `n_cores`"),
        (["node,n_cores,cores", 'n1,4,"0,x"'], "'0,x' is no list of numbers"),
        (["node,n_cores,n_gpus,core_gpus", "n1,4,2,0 0 1 2"], "'2' is no GPU"),
        (["node,n_cores,n_gpus,core_gpus", "n1,4,2,0*2"], "GPUs for 2 cores"),
        (["node,n_cores", "12,4"], "'12' is not the name of a node by the pattern"),
        (["node,n_cores,memory_gib", "n1,4,-3"], "column memory_gib"),
        (["node,n_cores"], "no row describes a node"),
    ],
)
def test_nodes_fault_is_refused_with_its_row(tables: Path, lines: list[str], said: str) -> None:
    write_csv(tables / "nodes.csv", *lines)
    with pytest.raises(InputError, match="nodes") as caught:
        site(tables).nodes()
    assert said in str(caught.value)


def test_jobs_have_times_nodes_and_states(tables: Path) -> None:
    records = site(tables).jobs(**DAY)
    jobs = records.jobs.collect()
    assert jobs["started_at"].to_list() == [NOON + timedelta(seconds=s) for s in (10, 20)]
    assert jobs["stopped_at"].to_list() == [NOON + timedelta(seconds=s) for s in (40, 30)]
    assert jobs["state"].to_list() == ["terminated", "terminated"]
    assert jobs["events"].to_list() == [None, None]
    assert not rejected(records.rejected)


def test_jobs_of_known_number_of_cores_get_different_ones(tables: Path) -> None:
    lines = [
        "job_id,user,started_at,stopped_at,nodes,n_cores",
        "1,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,n1,2",
        "2,a,2025-03-03T12:30:00Z,2025-03-03T14:00:00Z,n1,1",
        "3,a,2025-03-03T13:00:00Z,2025-03-03T14:00:00Z,n1,3",
        "4,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,4*n2:1*n3,",
    ]
    write_csv(tables / "jobs.csv", *lines)
    assert held(tables) == {
        (1, "n1"): ([0, 1], [], "cores"),
        (2, "n1"): ([2], [], "cores"),
        (3, "n1"): ([0, 1, 3], [], "cores"),
        (4, "n2"): ([0, 1, 2, 3], [], "cores"),
        (4, "n3"): ([0], [], "cores"),
    }


def test_jobs_exclusive_or_without_numbers_hold_whole_nodes(tables: Path) -> None:
    write_csv(
        tables / "jobs.csv",
        "job_id,user,started_at,stopped_at,nodes,n_cores,exclusive",
        "1,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,n1,2,yes",
        "2,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,n2,,no",
        "3,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,n3,1,no",
    )
    whole = [0, 1, 2, 3]
    assert held(tables) == {
        (1, "n1"): (whole, [], "cores"),
        (2, "n2"): (whole, [], "whole_node"),
        (3, "n3"): ([0], [], "cores"),
    }


def test_jobs_with_gpus_hold_the_cores_of_these_gpus(tables: Path) -> None:
    write_csv(tables / "nodes.csv", "node,n_cores,n_gpus", "n[1-3],8,4")
    write_csv(
        tables / "jobs.csv",
        "job_id,user,started_at,stopped_at,nodes,n_cores,n_gpus",
        "1,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,n1,1,1",
        "2,a,2025-03-03T12:10:00Z,2025-03-03T13:00:00Z,n1,1,2",
        "3,a,2025-03-03T12:10:00Z,2025-03-03T13:00:00Z,n2,,",
    )
    write_csv(tables / "allocations.csv", "job_id,node,cores,gpus", '2,n1,,"2,3"')
    assert held(tables) == {
        (1, "n1"): ([0, 1], [0], "cores"),
        (2, "n1"): ([4, 5, 6, 7], [2, 3], "cores"),
        (3, "n2"): (list(range(8)), [0, 1, 2, 3], "whole_node"),
    }


def test_jobs_that_cannot_be_used_are_counted_by_reason(tables: Path) -> None:
    write_csv(
        tables / "jobs.csv",
        "job_id,user,state,submitted_at,started_at,stopped_at,nodes",
        "1,a,DONE,,2025-03-03T12:00:00Z,2025-03-03T11:00:00Z,n1",
        "2,a,DONE,,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,n1",
        "2,a,RUNNING,,2025-03-03T12:00:00Z,,n1",
        "3,a,DONE,,2025-03-04T12:00:00Z,2025-03-04T13:00:00Z,n1",
        "4,a,DONE,,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,",
        "5,a,DONE,,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,gpu1",
        '6,a,DONE,,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,"gpu1,n3"',
        "7,a,DONE,,,2025-03-03T13:00:00Z,n1",
        "8,a,CANCELLED by 7,2025-03-03T12:00:00Z,Unknown,2025-03-03T13:00:00Z,",
        "9,a,DONE,,2013-03-03T12:00:00Z,2025-03-03T13:00:00Z,n1",
    )
    records = site(tables).jobs(**DAY)
    jobs = records.jobs.collect()
    assert jobs["job_id"].to_list() == [2, 6, 8]
    assert jobs.filter(pl.col("job_id") == 8)["events"].to_list() == [["FRAG_JOB_REQUEST"]]
    assert jobs.filter(pl.col("job_id") == 8)["stopped_at"].to_list() == [None]
    assert rejected(records.rejected) == {
        "ended before it started": (1, "job 1"),
        "repeated": (1, "job 2"),
        "outside the window": (1, "job 3"),
        "started, but no table names its nodes": (1, "job 4"),
        "on other clusters only": (1, "job 5"),
        "node of another cluster": (1, "job 6"),
        "ended, but no start is given": (1, "job 7"),
        "ended more than ten years after its start": (1, "job 9"),
    }


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("n9,", "job 1 held node n9, which is not described; add the node"),
        ("n1,9", "9 cores, and the node has 4; set n_cores"),
        ("@all,", "no list of nodes"),
    ],
)
def test_jobs_that_contradict_the_nodes_are_refused(tables: Path, row: str, said: str) -> None:
    write_csv(
        tables / "jobs.csv",
        "job_id,user,started_at,stopped_at,nodes,n_cores",
        f"1,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,{row}",
    )
    with pytest.raises(InputError) as caught:
        site(tables).jobs(**DAY)
    assert said in str(caught.value)


def test_states_are_read_and_unknown_ones_refused(tables: Path) -> None:
    assert site(tables).states(**DAY) is None
    path = write_csv(
        tables / "states.csv", "node,state,from,to", f"n1,dead,{NOON_S},2025-03-03T13:00:00Z"
    )
    states = site(tables).states(**DAY)
    assert states is not None
    assert states.collect()["node"].to_list() == ["n1"]
    write_csv(path, "node,state,from,to", f"n1,dreaming,{NOON_S},")
    with pytest.raises(InputError, match="states are absent"):
        site(tables).states(**DAY)


def power_of(found: GenericSite, tables: Path) -> tuple[dict[str, list[Any]], pl.DataFrame]:
    counts = found.convert_power(metric="m", directory=tables / "converted")
    frames = found.power(metric="m", cluster="n", **DAY)
    return {frame["node"][0]: frame["power_w"].to_list() for frame in frames}, counts


def test_power_files_of_all_forms_are_one_table(tables: Path) -> None:
    (tables / "power").mkdir()
    frame = pl.DataFrame(
        {"node": ["n3.here.org", "x1"], "timestamp": [NOON_S + 60] * 2, "power_kw": [0.5, 1.0]}
    )
    frame.write_parquet(tables / "power/a.parquet")
    found, counts = power_of(site(tables), tables)
    assert found["n1"] == [100 + second for second in range(0, 60, 5)]
    assert found["n3"] == [*(300 + second for second in range(0, 60, 5)), 500]
    assert rejected(counts) == {"other cluster": (1, "x1")}


def test_power_of_a_node_that_is_not_described_is_refused(tables: Path) -> None:
    write_csv(tables / "power.csv", "node,timestamp,power_w", f"n7,{NOON_S},5")
    with pytest.raises(InputError, match="readings of node n7, which is not described"):
        power_of(site(tables), tables)


def test_power_parts_of_a_node_keep_their_sensor(tables: Path) -> None:
    write_csv(
        tables / "power.csv",
        "node,timestamp,power_w,sensor",
        *(f"n1,{NOON_S},{n},psu{n}" for n in (1, 2)),
        f"n2,{NOON_S},7,psu1",
    )
    found = site(tables)
    found.convert_power(metric="m", directory=tables / "converted")
    first, second = found.power(metric="m", cluster="n", **DAY)
    assert first["labels"].to_list() == ['{"sensor":"psu1"}', '{"sensor":"psu2"}']
    assert "labels" not in second.columns


def test_power_outside_the_study_is_counted(tables: Path) -> None:
    found = site(tables)
    found.convert_power(metric="m", directory=tables / "converted")
    window = {"start": NOON + timedelta(seconds=30), "end": DAY["end"]}
    counts = found.count_outside_study([tables / "converted/m"], clusters=["n"], **window)
    assert rejected(counts) == {"outside the study's days": (18, "n1")}
    counts = found.count_outside_study([tables / "converted/m"], clusters=["x"], **window)
    assert rejected(counts) == {"cluster not studied": (36, "n1")}


def test_power_missing_quantity_is_refused(tables: Path) -> None:
    with pytest.raises(InputError, match=r"no file of `power` has the column energy_j"):
        power_of(site(tables, power="counter"), tables)


def test_counter_power_is_its_difference(tables: Path) -> None:
    write_csv(
        tables / "power.csv",
        "node,timestamp,energy_kwh",
        *(f"n1,{NOON_S + 10 * n},{5 + n * 0.001}" for n in range(4)),
    )
    found, counts = power_of(site(tables, power="counter"), tables)
    assert found["n1"] == pytest.approx([360.0] * 7)  # every 5 s, to the last move
    assert not rejected(counts)


def test_counter_reset_is_counted_and_adds_no_energy(tables: Path) -> None:
    energies = [1000, 2000, 3000, 50, 1050, 2050]
    write_csv(
        tables / "power.csv",
        "node,timestamp,energy_j",
        *(f"n1,{NOON_S + 5 * n},{energy}" for n, energy in enumerate(energies)),
    )
    found, counts = power_of(site(tables, power="counter"), tables)
    assert found["n1"] == pytest.approx([200.0] * 6)
    assert rejected(counts) == {counters.RESET_REASON: (1, "n1")}


def test_counters_of_parts_are_refused(tables: Path) -> None:
    write_csv(
        tables / "power.csv",
        "node,timestamp,energy_j,sensor",
        f"n1,{NOON_S},5,a",
        f"n1,{NOON_S},6,b",
    )
    with pytest.raises(InputError, match="several counters of node n1; add the counters"):
        power_of(site(tables, power="counter"), tables)


def test_devices_are_power_of_gpus_and_loads(tables: Path) -> None:
    write_csv(
        tables / "devices.csv",
        "node,timestamp,gpu,power_w,load1",
        f"n1,{NOON_S},0,50,",
        f"n1,{NOON_S},1,60,",
        f"n1,{NOON_S},,,3.5",
        f"n1,{NOON_S},,70,",
    )
    found = site(tables)
    counts = found.convert_devices(directory=tables / "converted")
    assert rejected(counts) == {"neither a GPU nor a load average": (1, "n1")}
    (gpus,) = found.devices(metric="prom_DCGM_FI_DEV_POWER_USAGE", cluster="n", **DAY)
    assert gpus["labels"].to_list() == ['{"gpu":"0"}', '{"gpu":"1"}']
    assert gpus["value"].to_list() == [50, 60]
    (loads,) = found.devices(metric="prom_node_load1", cluster="n", **DAY)
    assert loads.select("labels", "value").row(0) == ("{}", 3.5)


def test_jobs_total_cores_are_divided_among_their_nodes(tables: Path) -> None:
    write_csv(
        tables / "jobs.csv",
        "job_id,user,started_at,stopped_at,nodes,total_cores",
        "1,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,n[1-2],4",
        "2,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,n[1-2],3",
        "3,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,n3,4",
    )
    assert held(tables) == {
        (1, "n1"): ([0, 1], [], "cores"),
        (1, "n2"): ([0, 1], [], "cores"),
        (2, "n1"): ([2, 3], [], "cores"),
        (2, "n2"): ([2, 3], [], "cores"),
        (3, "n3"): ([0, 1, 2, 3], [], "cores"),
    }


def test_jobs_without_any_nodes_are_refused(tables: Path) -> None:
    row = "1,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z"
    write_csv(tables / "jobs.csv", "job_id,user,started_at,stopped_at", row)
    with pytest.raises(InputError, match="no table names the nodes of any job; add the column"):
        site(tables).jobs(**DAY)
    write_csv(tables / "allocations.csv", "job_id,node", "1,n[1-2]")
    assert sorted(held(tables)) == [(1, "n1"), (1, "n2")]
