"""The hardware catalogue, compared with the Reference API, and its use for nodes."""

from __future__ import annotations

import csv
import json
from calendar import month_name
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.hardware import catalogue, topology
from footprint.report import rejected_rows
from footprint.schemas.estimates import Hardware
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform
from footprint.sources.reference_api import descriptions
from tests.support.api_answers import nodes_table
from tests.support.estimator_inputs import A40, described_node

pytestmark = pytest.mark.filterwarnings("error")

CURRENT = ["graffiti", "grappe", "grat", "gratouille", "grdix", "grele", "gres", "gros"]
CURRENT += ["grosminet", "grostiti", "grouille", "grue", "gruss", "grvingt"]
RETIRED = ["graoully", "graphique", "graphite", "grcinq", "grimani", "grimoire", "grisou"]


def catalogued(cluster: str) -> dict[str, Any]:
    return catalogue.read_clusters().row(by_predicate=pl.col("cluster") == cluster, named=True)


def gpu(model: str) -> dict[str, Any]:
    return catalogue.read_gpus().row(by_predicate=pl.col("gpu_model") == model, named=True)


def published(cluster: str, shared_data: Path) -> list[dict[str, Any]]:
    """Descriptions of a cluster's nodes in the Reference API."""
    folder = shared_data / "reference-api" / "nancy"
    path = folder / f"{cluster}_nodes.json"
    if cluster == "gemini":
        path = shared_data / "gemini-2022-11" / "nodes" / "gemini.json"
    return list(descriptions.node_descriptions(json.loads(path.read_text()), where=path.name))


def table_of(*nodes: dict[str, Any]) -> pl.DataFrame:
    return conform(Hardware, catalogue.look_up_hardware(nodes_table(*nodes).lazy()))


def rows_of(*nodes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["node"]: row for row in table_of(*nodes).iter_rows(named=True)}


# The three CSV files


def test_catalogue_rows_have_a_source_and_a_unique_name() -> None:
    for table in (catalogue.read_cpus(), catalogue.read_gpus(), catalogue.read_clusters()):
        assert table["source"].str.strip_chars().str.len_chars().min() > len("AMD")
        assert table.to_series(0).is_unique().all()


def test_clusters_refer_to_catalogued_processors_and_gpus() -> None:
    cores = dict(catalogue.read_cpus().select("cpu_model", "cores_per_cpu").iter_rows())
    generations = dict(catalogue.read_gpus().select("gpu_model", "generation").iter_rows())
    for row in catalogue.read_clusters().iter_rows(named=True):
        assert row["n_cpus"] * cores[row["cpu_model"]] == row["n_cores"]
        assert row["n_threads"] in (row["n_cores"], 2 * row["n_cores"])
        assert (row["gpu_model"] is None) == (row["n_gpus"] == 0)
        assert row["gpu_model"] is None or row["gpu_model"] in generations


def test_catalogue_has_plausible_power_and_known_generations() -> None:
    assert catalogue.read_cpus()["tdp_w"].is_between(20, 400).all()
    assert catalogue.read_gpus()["power_limit_w"].is_between(30, 750).all()
    amd = {"Vega20", "Aldebaran", "Aqua Vanjaram"}
    known = set(topology.GENERATION_BY_CAPABILITY.values()) | amd
    assert set(catalogue.read_gpus()["generation"]) <= known
    both = catalogue.read_gpus().select(
        pl.col("mlco2_entry").is_null() == pl.col("mlco2_w").is_null()
    )
    assert both.to_series().all()


def test_ml_co2_impact_values_are_those_of_its_own_table() -> None:
    watts = dict(catalogue.read_gpus().select("gpu_model", "mlco2_w").iter_rows())
    assert watts["Tesla V100-PCIE-16GB"] == 300
    assert gpu("Tesla V100-PCIE-16GB")["power_limit_w"] == 250
    assert watts["Tesla V100-SXM2-16GB"] == 250
    assert gpu("Tesla V100-SXM2-16GB")["power_limit_w"] == 300
    lacking = {name for name, known in watts.items() if known is None}
    assert {"A40", "GeForce GTX 980", "L40S", "Quadro RTX 6000", "GH200"} <= lacking


# Comparison with the Reference API


def test_clusters_include_all_of_nancy_and_gemini(shared_data: Path) -> None:
    folder = shared_data / "reference-api"
    described_clusters = {
        path.name.removesuffix("_nodes.json") for path in folder.glob("nancy/*_nodes.json")
    }
    assert described_clusters == set(CURRENT)
    assert set(json.loads((folder / "nancy_clusters.json").read_text())["retired"]) == set(RETIRED)
    sites = dict(catalogue.read_clusters().select("cluster", "site").iter_rows())
    others = {"gemini": "lyon", "sasquatch": "grenoble"}
    assert sites == dict.fromkeys(CURRENT + RETIRED, "nancy") | others


@pytest.mark.parametrize("cluster", [*CURRENT, "gemini"])
def test_clusters_match_the_descriptions_of_all_their_nodes(
    cluster: str, shared_data: Path
) -> None:
    row = catalogued(cluster)
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


def test_look_up_keeps_the_other_gpus_of_one_node_of_graffiti(shared_data: Path) -> None:
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
def test_retired_clusters_match_their_last_description(cluster: str, shared_data: Path) -> None:
    text = (shared_data / "reference-api" / "nancy_clusters.json").read_text()
    facts = json.loads(text)["retired"][cluster]
    row, cpu = catalogued(cluster), facts["cpu"]
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
        expected = {"5.2": "Maxwell"}.get(each["compute_capability"], each["microarchitecture"])
        assert expected == known["generation"]
    year, month = facts["retired_at"].split("-")[:2]
    assert f"retirement in {month_name[int(month)]} {year}" in row["source"]


@pytest.mark.parametrize("cluster", [*CURRENT, "gemini"])
def test_look_up_has_no_unknown_hardware_for_current_clusters(
    cluster: str, shared_data: Path
) -> None:
    nodes = published(cluster, shared_data)
    found = table_of(*nodes)
    row = catalogued(cluster)
    tdp_w = dict(catalogue.read_cpus().select("cpu_model", "tdp_w").iter_rows())
    assert found.height == len(nodes)
    assert set(found["tdp_w"]) == {tdp_w[row["cpu_model"]]}
    assert set(found["memory_gb"]) == {row["memory_gib"]}
    for lists in ("gpu_models", "gpu_generations", "gpu_limits_w", "gpu_mlco2_w"):
        assert set(found[lists].list.len()) == {row["n_gpus"]}
    bare = [node | {"processor": None, "main_memory": None} for node in nodes]
    assert table_of(*bare).equals(found)


# Values missing in a description


def test_look_up_prefers_descriptions_to_the_catalogue() -> None:
    rows = rows_of(
        described_node("gros-1", ("A40", "250.00 W"), ("Brand-New", "900.00 W"), gib=512),
        described_node(
            "gros-2", ("A40", None), processor={"model": "Intel Xeon", "version": "E5-2650"}
        ),
    )
    first, second = rows["gros-1"], rows["gros-2"]
    # catalogued: Intel Xeon Gold 5220 of 125 W, 96 GB and no GPU
    assert (first["cpu_model"], first["tdp_w"], first["memory_gb"]) == ("AMD EPYC 7352", 155, 512)
    assert first["gpu_models"] == ["A40", "Brand-New"]
    assert first["gpu_limits_w"] == [250, 900]
    assert first["gpu_generations"] == ["Ampere", None]
    assert (second["tdp_w"], second["gpu_limits_w"]) == (95, [300])


def test_look_up_fills_processor_and_memory_from_the_cluster() -> None:
    rows = rows_of(
        described_node("gros-1", main_memory=None),
        described_node("gros-2", processor=None),
        described_node("grat-1", processor=None, main_memory=None),
    )
    found = {name: (row["cpu_model"], row["tdp_w"], row["memory_gb"]) for name, row in rows.items()}
    assert found == {
        "gros-1": ("AMD EPYC 7352", 155, 96),
        "gros-2": ("Intel Xeon Gold 5220", 125, 256),
        "grat-1": ("AMD EPYC 7513", 200, 512),
    }


def test_look_up_of_a_node_without_gpu_has_empty_lists() -> None:
    row = rows_of(described_node("gros-1"), described_node("gros-2", A40))["gros-1"]
    lists = ("gpus", "gpu_models", "gpu_generations", "gpu_limits_w", "gpu_mlco2_w")
    assert [row[name] for name in lists] == [[]] * 5


# Values missing in both


NEW_CPU = {"model": "AMD EPYC", "version": 9999}
UNKNOWN = [
    described_node("gros-1", A40, ("Brand-New", None)),
    described_node("gros-2", processor=NEW_CPU),
    described_node("gros-3", processor=NEW_CPU | {"version": 9998}),
    described_node("gros-4", ("Old", "100.00 W"), ("Brand-New", "900.00 W")),
    described_node("nova-1", processor=None, main_memory=None),
    described_node("nova-2"),
]


def test_look_up_of_unknown_hardware_is_null() -> None:
    rows = rows_of(*UNKNOWN)
    assert rows["gros-1"]["gpu_limits_w"] == [300, None]
    assert rows["gros-1"]["gpu_generations"] == ["Ampere", None]
    assert (rows["gros-2"]["cpu_model"], rows["gros-2"]["tdp_w"]) == ("AMD EPYC 9999", None)
    assert rows["gros-4"]["gpu_limits_w"] == [100, 900]
    lone = rows["nova-1"]
    assert (lone["cpu_model"], lone["tdp_w"], lone["memory_gb"]) == (None, None, None)
    assert (rows["nova-2"]["tdp_w"], rows["nova-2"]["memory_gb"]) == (155, 256)


def test_rejected_hardware_is_one_row_with_all_unknown_models_and_the_fix() -> None:
    found = catalogue.rejected_hardware(table_of(*UNKNOWN))
    assert RejectedRows.is_valid(found)
    (row,) = found.to_dicts()
    assert row["example"].split("; ") == [
        "GPU Brand-New: generation, power limit",
        "GPU Old: generation",
        "memory of nova",
        "processor AMD EPYC 9998: thermal design power",
        "processor AMD EPYC 9999: thermal design power",
        "processor of nova: model",
    ]
    assert row["n_rows"] == 5  # all nodes but nova-2
    assert (row["stage"], row["source"]) == ("hardware", "catalogue")
    assert "estimates that need it are null" in row["reason"]
    assert "`hardware:` in the configuration" in row["reason"]
    (line,) = rejected_rows.rejected_row_lines(found)
    assert line.endswith(f"5 (catalogue, as in {row['example']})")


def test_rejected_hardware_is_empty_for_known_hardware() -> None:
    found = table_of(described_node("gros-1", A40), described_node("gres-1"))
    assert catalogue.rejected_hardware(found).is_empty()
    assert catalogue.unknown_hardware(found) == []


def test_look_up_fills_missing_values_from_the_configuration() -> None:
    given = {
        "cpus": {"AMD EPYC 9999": {"tdp_w": 400}, "AMD EPYC 9998": {"tdp_w": 300.5}},
        "gpus": {
            "Brand-New": {"power_limit_w": 1000, "generation": "Rubin"},
            "Old": {"power_limit_w": 1, "generation": "Kepler", "source": "a data sheet"},
        },
        "nodes": {"nova": {"cpu_model": "AMD EPYC 9999"}, "nova-1": {"memory_gb": 64}},
    }
    found = conform(Hardware, catalogue.look_up_hardware(nodes_table(*UNKNOWN).lazy(), given))
    rows = {row["node"]: row for row in found.iter_rows(named=True)}
    assert [rows[f"gros-{n}"]["tdp_w"] for n in (1, 2, 3)] == [155, 400, 300.5]
    assert rows["gros-1"]["gpu_limits_w"] == [300, 1000]
    assert rows["gros-4"]["gpu_limits_w"] == [100, 900]  # as described
    assert rows["gros-4"]["gpu_generations"] == ["Kepler", "Rubin"]
    lone = rows["nova-1"]
    assert (lone["cpu_model"], lone["tdp_w"], lone["memory_gb"]) == ("AMD EPYC 9999", 400, 64)
    assert rows["nova-2"]["cpu_model"] == "AMD EPYC 7352"  # as described
    assert catalogue.rejected_hardware(found, given).is_empty()


def test_look_up_prefers_the_configuration_to_the_catalogue_but_not_to_descriptions() -> None:
    given = {
        "cpus": {"AMD EPYC 7352": {"tdp_w": 170}},
        "gpus": {"A40": {"power_limit_w": 280}},
        "nodes": {"gros-2": {"gpu_power_limit_w": 200, "memory_gb": 1}},
    }
    nodes = [described_node(f"gros-{n}", ("A40", limit)) for n, limit in ((1, None), (2, None))]
    nodes += [described_node("gros-3", A40)]
    found = catalogue.look_up_hardware(nodes_table(*nodes).lazy(), given)
    assert found["tdp_w"].to_list() == [170] * 3
    assert found["gpu_limits_w"].to_list() == [[280], [200], [300]]
    assert found["gpu_generations"].to_list() == [["Ampere"]] * 3
    assert found["memory_gb"].to_list() == [256] * 3


def test_rejected_hardware_lists_configured_names_without_a_node() -> None:
    given = {"nodes": {"gross": {"memory_gb": 1}, "gros": {"memory_gb": 1}}}
    (row,) = catalogue.rejected_hardware(table_of(described_node("gros-1")), given).to_dicts()
    assert (row["source"], row["n_rows"], row["example"]) == ("hardware.nodes", 1, "gross")


# All sites


NOT_CATALOGUED = {"Carmel Unknown"}
"""Its thermal design power is published for the whole module, with its GPU, only."""


def processors(shared_data: Path) -> list[dict[str, str]]:
    return read_csv(shared_data / "reference-api/all_sites_processors.csv")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_cpus_include_every_processor_of_all_sites(shared_data: Path) -> None:
    known = dict(catalogue.read_cpus().select("cpu_model", "cores_per_cpu").iter_rows())
    lacking = set()
    for row in processors(shared_data):
        if row["model"] == "Unknown":  # sasquatch: its cluster is in clusters.csv
            assert set(row["clusters"].split()) == {"grenoble/sasquatch"}
            assert catalogued("sasquatch")["n_cores"] == int(row["nb_cores"])
            continue
        model = f"{row['model']} {row['version']}"
        if model not in known:
            lacking.add(model)
        elif row["clusters"] != "sophia/esterel36":  # 48 of 64 cores are switched on
            assert int(row["nb_procs"]) * known[model] == int(row["nb_cores"]), model
    assert lacking == NOT_CATALOGUED


def test_gpus_include_every_gpu_of_all_sites(shared_data: Path) -> None:
    for row in read_csv(shared_data / "reference-api/all_sites_gpus.csv"):
        known = gpu(row["model"])
        capability = None if row["compute_capability"] == "None" else row["compute_capability"]
        generation = topology.gpu_generation(
            compute_capability=capability, microarchitecture=row["microarchitecture"]
        )
        assert known["generation"] == generation, row["model"]
        if row["power_default_limit"]:
            limit_w = float(row["power_default_limit"].removesuffix(" W"))
            # one model has 250 W on some clusters and 260 W on others
            assert known["power_limit_w"] in (limit_w, 250), row["model"]


def test_look_up_of_every_current_cluster_gives_one_row_each(shared_data: Path) -> None:
    nodes: dict[str, dict[str, Any]] = {}
    for row in processors(shared_data):
        for place in row["clusters"].split():
            cluster = place.partition("/")[2]
            architecture = {"nb_procs": int(row["nb_procs"]), "nb_cores": int(row["nb_cores"])}
            architecture |= {"nb_threads": int(row["nb_cores"]), "cpu_core_numbering": "contiguous"}
            nodes[cluster] = described_node(
                f"{cluster}-1",
                architecture=architecture,
                processor={key: row[key] for key in ("model", "version", "other_description")},
            )
    for row in read_csv(shared_data / "reference-api/all_sites_gpus.csv"):
        names = ("model", "microarchitecture", "compute_capability", "power_default_limit")
        for place in row["clusters"].split():
            gpus = nodes[place.partition("/")[2]].setdefault("gpu_devices", {})
            gpus[f"card{len(gpus)}"] = {name: row[name] or None for name in names} | {
                "cpu_affinity": 0,
                "compute_capability": row["compute_capability"].replace("None", "") or None,
            }
    found = table_of(*nodes.values())
    assert found.height == 158
    assert catalogue.unknown_hardware(found) == ["processor Carmel Unknown: thermal design power"]
    assert found.filter(pl.col("tdp_w").is_null())["cluster"].to_list() == ["estats"]


def test_order_generations_sorts_by_release_with_unknown_ones_last() -> None:
    names = ["Zeta", "Hopper", "Ampere", "Kepler", "Alpha", "Turing", "Pascal", "Volta"]
    names += ["Blackwell", "Ada Lovelace", "Maxwell", "Fermi"]
    assert catalogue.order_generations(iter(names)) == [
        *("Fermi", "Kepler", "Maxwell", "Pascal", "Volta", "Turing", "Ampere", "Ada Lovelace"),
        *("Hopper", "Blackwell", "Alpha", "Zeta"),
    ]
    assert catalogue.order_generations([]) == []
