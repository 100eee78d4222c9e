"""Facts about hardware that Grid'5000 does not publish, beside those that it does."""

from __future__ import annotations

import json
import shutil
from calendar import month_name
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from answers import nodes_table
from estimating import A40, described

from footprint import hardware, tables
from footprint.errors import InputError
from footprint.site import reference

pytestmark = pytest.mark.filterwarnings("error")

CURRENT = ["graffiti", "grappe", "grat", "gratouille", "grdix", "grele", "gres", "gros"]
CURRENT += ["grosminet", "grostiti", "grouille", "grue", "gruss", "grvingt"]
RETIRED = ["graoully", "graphique", "graphite", "grcinq", "grimani", "grimoire", "grisou"]


def catalogue(cluster: str) -> dict[str, Any]:
    return hardware.clusters().row(by_predicate=pl.col("cluster") == cluster, named=True)


def gpu(model: str) -> dict[str, Any]:
    return hardware.gpus().row(by_predicate=pl.col("gpu_model") == model, named=True)


def published(cluster: str, shared_data: Path) -> list[dict[str, Any]]:
    """Descriptions of a cluster's nodes in the Reference API."""
    folder = shared_data / "reference-api" / "nancy"
    path = folder / f"{cluster}_nodes.json"
    if cluster == "gemini":
        path = shared_data / "gemini-2022-11" / "nodes" / "gemini.json"
    return list(reference.node_objects(json.loads(path.read_text()), where=path.name))


def table_of(*nodes: dict[str, Any]) -> pl.DataFrame:
    return tables.conform(tables.Hardware, hardware.look_up(nodes_table(*nodes).lazy()))


def rows_of(*nodes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["node"]: row for row in table_of(*nodes).iter_rows(named=True)}


@pytest.fixture
def tables_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a copy of the three tables, which is read instead of them."""
    read = (hardware.cpus, hardware.gpus, hardware.clusters)
    for path in hardware.FOLDER.glob("*.csv"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(hardware, "FOLDER", tmp_path)
    for each in read:
        each.cache_clear()
    yield tmp_path
    for each in read:
        each.cache_clear()


# The three tables


def test_every_row_has_a_source_and_no_name_is_there_twice() -> None:
    for table in (hardware.cpus(), hardware.gpus(), hardware.clusters()):
        assert table["source"].str.strip_chars().str.len_chars().min() > len("AMD")
        assert table.to_series(0).is_unique().all()


def test_what_a_cluster_is_made_of_is_in_the_other_tables() -> None:
    cores = dict(hardware.cpus().select("cpu_model", "cores_per_cpu").iter_rows())
    generations = dict(hardware.gpus().select("gpu_model", "generation").iter_rows())
    for row in hardware.clusters().iter_rows(named=True):
        assert row["n_cpus"] * cores[row["cpu_model"]] == row["n_cores"]
        assert row["n_threads"] in (row["n_cores"], 2 * row["n_cores"])
        assert (row["gpu_model"] is None) == (row["n_gpus"] == 0)
        assert row["gpu_model"] is None or row["gpu_model"] in generations


def test_watts_are_plausible_and_a_generation_is_one_that_is_known() -> None:
    assert hardware.cpus()["tdp_w"].is_between(50, 400).all()
    assert hardware.gpus()["power_limit_w"].is_between(50, 700).all()
    known = set(hardware.generation_order(hardware.gpus()["generation"]))
    assert known <= {*hardware.PRE_VOLTA, "Volta", "Turing", "Ampere", "Ada Lovelace"}
    both = hardware.gpus().select(pl.col("mlco2_entry").is_null() == pl.col("mlco2_w").is_null())
    assert both.to_series().all()


def test_ml_co2_impact_swapped_two_cards_and_lacks_others() -> None:
    watts = dict(hardware.gpus().select("gpu_model", "mlco2_w").iter_rows())
    assert watts["Tesla V100-PCIE-16GB"] == 300
    assert gpu("Tesla V100-PCIE-16GB")["power_limit_w"] == 250
    assert watts["Tesla V100-SXM2-16GB"] == 250
    assert gpu("Tesla V100-SXM2-16GB")["power_limit_w"] == 300
    lacking = {name for name, known in watts.items() if known is None}
    assert lacking == {"A40", "GeForce GTX 980", "L40S", "Quadro RTX 6000"}


# Beside the Reference API


def test_the_catalogue_has_every_cluster_of_nancy_and_gemini(shared_data: Path) -> None:
    folder = shared_data / "reference-api"
    there = {path.name.removesuffix("_nodes.json") for path in folder.glob("nancy/*_nodes.json")}
    assert there == set(CURRENT)
    assert set(json.loads((folder / "nancy_clusters.json").read_text())["retired"]) == set(RETIRED)
    assert set(hardware.clusters()["cluster"]) == {*CURRENT, *RETIRED, "gemini"}
    sites = dict(hardware.clusters().select("cluster", "site").iter_rows())
    assert sites == dict.fromkeys(CURRENT + RETIRED, "nancy") | {"gemini": "lyon"}


@pytest.mark.parametrize("cluster", [*CURRENT, "gemini"])
def test_a_cluster_is_as_the_reference_api_describes_all_its_nodes(
    cluster: str, shared_data: Path
) -> None:
    row = catalogue(cluster)
    nodes = [node for node in published(cluster, shared_data) if node["uid"] != "graffiti-13"]
    assert nodes
    for node in nodes:
        cpu = node["processor"]
        assert f"{cpu['model']} {cpu['version']}" == row["cpu_model"]
        counts = ("nb_procs", "nb_cores", "nb_threads")
        assert [node["architecture"][count] for count in counts] == [
            row["n_cpus"],
            row["n_cores"],
            row["n_threads"],
        ]
        assert node["main_memory"]["ram_size"] == row["memory_gib"] * 2**30
        gpus = list(node.get("gpu_devices", {}).values())
        assert [each["model"] for each in gpus] == [row["gpu_model"]] * row["n_gpus"]
        for each in gpus:
            known = gpu(each["model"])
            assert each["power_default_limit"] == f"{known['power_limit_w']:.2f} W"
            assert each["microarchitecture"] == known["generation"]


def test_the_node_of_graffiti_with_other_gpus_keeps_them(shared_data: Path) -> None:
    nodes = {node["uid"]: node for node in published("graffiti", shared_data)}
    gpus = nodes["graffiti-13"]["gpu_devices"].values()
    assert [each["power_default_limit"] for each in gpus] == ["250.00 W"] * 4
    rows = rows_of(*nodes.values())
    assert rows["graffiti-13"]["gpu_models"] == ["Quadro RTX 6000"] * 4
    assert rows["graffiti-13"]["gpu_limits_w"] == [250.0] * 4
    assert rows["graffiti-13"]["gpu_generations"] == ["Turing"] * 4
    assert rows["graffiti-13"]["gpu_mlco2_w"] == [None] * 4
    assert rows["graffiti-1"]["gpu_models"] == ["GeForce RTX 2080 Ti"] * 4
    assert rows["graffiti-1"]["gpu_mlco2_w"] == [250.0] * 4


@pytest.mark.parametrize("cluster", RETIRED)
def test_a_retired_cluster_is_as_it_was_described(cluster: str, shared_data: Path) -> None:
    text = (shared_data / "reference-api" / "nancy_clusters.json").read_text()
    facts = json.loads(text)["retired"][cluster]
    row, cpu = catalogue(cluster), facts["cpu"]
    assert f"{cpu['model']} {cpu['version']}" == row["cpu_model"]
    counts = ("nb_procs", "nb_cores", "nb_threads")
    assert [facts["architecture"][count] for count in counts] == [
        row["n_cpus"],
        row["n_cores"],
        row["n_threads"],
    ]
    assert facts["ram_gib"] == row["memory_gib"]
    assert sum(each["count"] for each in facts["gpus_per_node"]) == row["n_gpus"]
    for each in facts["gpus_per_node"]:
        known = gpu(each["model"])
        assert each["model"] == row["gpu_model"]
        assert each["power_default_limit"] == f"{known['power_limit_w']:.2f} W"
        # the GTX 980 is described as Fermi, but compute capability 5.2 is Maxwell
        told = {"5.2": "Maxwell"}.get(each["compute_capability"], each["microarchitecture"])
        assert told == known["generation"]
    year, month = facts["retired_at"].split("-")[:2]
    assert f"retirement in {month_name[int(month)]} {year}" in row["source"]


@pytest.mark.parametrize("cluster", [*CURRENT, "gemini"])
def test_every_node_has_what_estimators_need(cluster: str, shared_data: Path) -> None:
    nodes = published(cluster, shared_data)
    found = table_of(*nodes)
    row = catalogue(cluster)
    tdp_w = dict(hardware.cpus().select("cpu_model", "tdp_w").iter_rows())
    assert found.height == len(nodes)
    assert set(found["tdp_w"]) == {tdp_w[row["cpu_model"]]}
    assert set(found["memory_gb"]) == {row["memory_gib"]}
    for lists in ("gpu_models", "gpu_generations", "gpu_limits_w", "gpu_mlco2_w"):
        assert set(found[lists].list.len()) == {row["n_gpus"]}
    bare = [node | {"processor": None, "main_memory": None} for node in nodes]
    assert table_of(*bare).equals(found)


# What a description lacks


def test_what_a_description_says_wins_over_the_tables() -> None:
    rows = rows_of(
        described("gros-1", ("A40", "250.00 W"), ("Brand-New", "900.00 W"), gib=512),
        described("gros-2", ("A40", None), processor={"model": "Intel Xeon", "version": "E5-2650"}),
    )
    first, second = rows["gros-1"], rows["gros-2"]
    # catalogued: Intel Xeon Gold 5220 of 125 W, 96 GB and no GPU
    assert (first["cpu_model"], first["tdp_w"], first["memory_gb"]) == ("AMD EPYC 7352", 155, 512)
    assert first["gpu_models"] == ["A40", "Brand-New"]
    assert first["gpu_limits_w"] == [250, 900]
    assert first["gpu_generations"] == ["Ampere", None]
    assert (second["tdp_w"], second["gpu_limits_w"]) == (95, [300])


def test_a_description_without_processor_or_memory_takes_those_of_its_cluster() -> None:
    rows = rows_of(
        described("gros-1", main_memory=None),
        described("gros-2", processor=None),
        described("grat-1", processor=None, main_memory=None),
    )
    found = {name: (row["cpu_model"], row["tdp_w"], row["memory_gb"]) for name, row in rows.items()}
    assert found == {
        "gros-1": ("AMD EPYC 7352", 155, 96),
        "gros-2": ("Intel Xeon Gold 5220", 125, 256),
        "grat-1": ("AMD EPYC 7513", 200, 512),
    }


def test_a_node_without_gpu_has_empty_lists() -> None:
    row = rows_of(described("gros-1"), described("gros-2", A40))["gros-1"]
    lists = ("gpus", "gpu_models", "gpu_generations", "gpu_limits_w", "gpu_mlco2_w")
    assert [row[name] for name in lists] == [[]] * 5


NEW_CPU = {"model": "AMD EPYC", "version": 9999}


@pytest.mark.parametrize(
    ("nodes", "told", "file", "blanks"),
    [
        (
            [described("gros-1", processor=NEW_CPU)],
            "node gros-1: the thermal design power of its processor 'AMD EPYC 9999' is not known; "
            "add a line `AMD EPYC 9999,<watts>,2,<source>` to "
            "workflow/src/footprint/hardware/cpus.csv",
            "cpus.csv",
            {"<watts>": "300"},
        ),
        (
            [described(f"gros-{n}", processor=NEW_CPU) for n in (3, 2)] + [described("gros-1")],
            "node gros-2 and 1 more: the thermal design power of its processor 'AMD EPYC 9999' is "
            "not known; add a line `AMD EPYC 9999,<watts>,2,<source>` to "
            "workflow/src/footprint/hardware/cpus.csv",
            "cpus.csv",
            {"<watts>": "300.5"},
        ),
        (
            [described("nova-1", processor=None)],
            "node nova-1: its processor is not known; "
            "add a line `nova,<site>,<processor>,2,4,...` to "
            "workflow/src/footprint/hardware/clusters.csv, or describe the node in full",
            "clusters.csv",
            {"<site>": "lyon", "<processor>": "Intel Xeon E5-2650", "...": "8,64,0,,<source>"},
        ),
        (
            [described("nova-1", main_memory=None)],
            "node nova-1: its memory is not known; "
            "add a line `nova,<site>,<processor>,2,4,...` to "
            "workflow/src/footprint/hardware/clusters.csv, or describe the node in full",
            "clusters.csv",
            {"<site>": "lyon", "<processor>": "Intel Xeon E5-2650", "...": "8,64,0,,<source>"},
        ),
        (
            [described("gros-1", A40, ("Brand-New", None)), described("gros-2", A40)],
            "node gros-1: the power limit of its GPU 'Brand-New' is not known; "
            "add a line `Brand-New,<generation>,<watts>,,,<source>` to "
            "workflow/src/footprint/hardware/gpus.csv",
            "gpus.csv",
            {"<generation>": "Blackwell", "<watts>": "1000"},
        ),
    ],
)
def test_what_is_not_known_is_named_with_the_line_that_mends_it(
    nodes: list[dict[str, Any]],
    told: str,
    file: str,
    blanks: dict[str, str],
    tables_in: Path,
) -> None:
    with pytest.raises(InputError) as error:
        table_of(*nodes)
    assert str(error.value) == told
    line = told.split("`")[1]
    for blank, value in ({"<source>": "a data sheet"} | blanks).items():
        line = line.replace(blank, value)
    with (tables_in / file).open("a") as table:
        table.write(line.replace("<source>", "a data sheet") + "\n")
    for read in (hardware.cpus, hardware.gpus, hardware.clusters):
        read.cache_clear()
    assert table_of(*nodes).height == len(nodes)


def test_generations_come_in_the_order_of_their_years() -> None:
    names = ["Zeta", "Hopper", "Ampere", "Kepler", "Alpha", "Turing", "Pascal", "Volta"]
    names += ["Blackwell", "Ada Lovelace", "Maxwell", "Fermi"]
    assert hardware.generation_order(iter(names)) == [
        *("Fermi", "Kepler", "Maxwell", "Pascal", "Volta", "Turing", "Ampere", "Ada Lovelace"),
        *("Hopper", "Blackwell", "Alpha", "Zeta"),
    ]
    assert hardware.generation_order([]) == []
