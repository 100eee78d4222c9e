import json

import polars as pl
import pytest

from footprint.core.errors import InputError
from footprint.schemas.raw import Nodes
from footprint.schemas.writing import conform
from footprint.sources import files
from footprint.sources.exports import folders
from footprint.sources.reference_api import descriptions
from tests.support.api_answers import collection_page, nodes_table, reference_node, save_json


def rows_of(*documents, site="nancy"):
    return descriptions.node_rows(
        [(f"nodes/{number}.json", document) for number, document in enumerate(documents)],
        site=site,
    )


def test_node_rows_of_a_node_with_two_gpus_have_all_hardware():
    (row,) = rows_of(collection_page(reference_node("gruss-1", n_gpus=2)))
    assert (row["node"], row["site"], row["cluster"]) == ("gruss-1", "nancy", "gruss")
    assert row["cpu_model"] == "AMD EPYC 7352"
    assert (row["n_cpus"], row["n_cores"], row["n_threads"]) == (2, 4, 8)
    assert row["cores"] == [0, 1, 2, 3]
    assert row["core_gpus"] == [0, 0, 1, 1]
    assert row["gpu_power_limits_w"] == [300.0, 300.0]
    assert row["gpu_memory_bytes"] == [48_305_799_168] * 2
    assert row["queues"] == ["admin", "production"]
    assert row["power_metrics"] is None
    # 2 x (2 x 300 + 12 x 4 + 0.3725 x 16 + 300)
    assert row["max_plausible_power_w"] == pytest.approx(1907.92)
    assert row["valid_from"].year == 1970
    assert row["valid_until"] is None


def test_node_rows_are_equal_for_collection_list_node_and_tree():
    described = reference_node("gruss-1.nancy.grid5000.fr", n_gpus=1)
    expected = rows_of(collection_page(described))
    assert rows_of([described]) == expected
    assert rows_of(described) == expected
    tree = {"sites": {"nancy": {"clusters": {"gruss": {"nodes": {"gruss-1": described}}}}}}
    assert rows_of(tree) == expected
    assert rows_of(collection_page({"uid": "gruss", "nodes": [described]})) == expected
    assert rows_of(collection_page(described), described) == expected


def test_node_rows_accept_missing_fields_and_numbers_as_text():
    bare = reference_node("gros-1")
    bare["architecture"] = {key: str(value) for key, value in bare["architecture"].items()}
    for key in ("processor", "main_memory", "supported_job_types"):
        del bare[key]
    (row,) = rows_of(bare)
    assert row["n_cores"] == 4
    assert row["memory_bytes"] is None
    assert row["cpu_model"] is None
    assert row["queues"] == []
    (row,) = rows_of(reference_node("gres-1", gpu_devices={"nvidia0": {"cpu_affinity": 0}}))
    assert row["gpu_power_limits_w"] == [None]
    assert row["gpu_models"] == ["unknown"]


def test_gpu_of_a_core_follows_override_declared_cores_and_reservation():
    gpus = {
        "nvidia0": {"cpu_affinity": 1},
        "nvidia1": {"cpu_affinity": 1, "cpu_affinity_override": 0},
    }
    assert rows_of(reference_node("gres-1", gpu_devices=gpus))[0]["core_gpus"] == [1, 1, 0, 0]
    gpus = {
        "nvidia0": {"cpu_affinity": 0, "cores_affinity": "0 3"},
        "nvidia1": {"cpu_affinity": 0, "cores_affinity": "1 2"},
    }
    one_socket = reference_node("grue-1", gpu_devices=gpus)
    one_socket["architecture"]["nb_procs"] = 1
    assert rows_of(one_socket)[0]["core_gpus"] == [0, 1, 1, 0]
    gpus = {"nvidia0": {"cpu_affinity": 0, "reservation": False}, "nvidia1": {"cpu_affinity": 1}}
    (row,) = rows_of(reference_node("grimani-1", gpu_devices=gpus))
    assert row["gpu_reservable"] == [False, True]
    assert row["core_gpus"] == [1, 1, 1, 1]


def test_power_metrics_are_read_from_the_description_of_the_cluster():
    cluster = {
        "uid": "gros",
        "metrics": [
            {"name": "bmc_node_power_watt", "period": 5000},
            {"name": "wattmetre_power_watt", "period": 1000, "only_for": ["gros-2"]},
            {"name": "bmc_psu_power_watt", "period": 0, "optional_period": 5000},
            {"name": "bmc_node_power_watthour_total", "period": 5000},
            {"name": "bmc_ambient_temp_celsius", "period": 5000},
        ],
    }
    first, second, other = rows_of(
        collection_page(
            reference_node("gros-1"), reference_node("gros-2"), reference_node("gres-1")
        ),
        cluster,
    )
    assert [row["node"] for row in (first, second, other)] == ["gres-1", "gros-1", "gros-2"]
    assert first["power_metrics"] is None
    assert second["power_metrics"] == ["bmc_node_power_watt"]
    assert other["power_metrics"] == ["bmc_node_power_watt", "wattmetre_power_watt"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("uid",), "nodes/0.json: a node has no `uid`"),
        (("architecture", "nb_cores"), "nodes/0.json: node gros-1 has no `architecture.nb_cores`"),
        (
            ("architecture", "cpu_core_numbering"),
            "nodes/0.json: node gros-1 has no `architecture.cpu_core_numbering`",
        ),
    ],
)
def test_missing_field_raises_an_error_with_node_and_file(path, expected):
    described = reference_node("gros-1")
    inner = described
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    with pytest.raises(InputError) as error:
        rows_of(collection_page(described))
    assert str(error.value).startswith(expected)
    assert "; save the answer of" in str(error.value)


def test_impossible_descriptions_raise_an_error_with_file_and_node():
    broken = reference_node("gros-1")
    broken["architecture"]["nb_cores"] = 5
    with pytest.raises(InputError, match=r"nodes/0.json: node gros-1: 2 sockets, 5 cores"):
        rows_of(broken)
    strange = reference_node("gros-1", gpu_devices={"nvidia0": {"power_default_limit": "much"}})
    with pytest.raises(InputError, match=r"gpu_devices.nvidia0.power_default_limit` is 'much'"):
        rows_of(strange)
    with pytest.raises(InputError, match="'frontend' is not the name of a node") as raised:
        rows_of(reference_node("frontend"))
    assert "set source.node_pattern" in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match=r"nodes/0.json: describes no node"):
        rows_of(collection_page({"uid": 12, "state": "running"}))
    with pytest.raises(InputError, match=r"nodes/0.json: the API answered: not found"):
        rows_of({"code": 404, "message": "not found"})


@pytest.mark.parametrize(
    ("written", "watts"),
    [
        ("0.25 kW", 250),
        ("250000 mW", 250),
        ("250.00 W", 250),
        ("250W", 250),
        (250, 250),
        ("250 MW", None),
        ("250 BTU", None),
    ],
)
def test_power_limits_of_gpus_are_converted_to_watts(written, watts):
    (row,) = rows_of(
        reference_node("gros-1", gpu_devices={"nvidia0": {"power_default_limit": written}})
    )
    assert row["gpu_power_limits_w"] == [watts]


def test_memory_in_an_unknown_unit_is_null():
    for written, expected in (("16 B", 16), (16, 16), ("256 GB", None)):
        gpus = {"nvidia0": {"memory": written}}
        (row,) = rows_of(
            reference_node("gros-1", main_memory={"ram_size": written}, gpu_devices=gpus)
        )
        assert row["memory_bytes"] == expected
        assert row["gpu_memory_bytes"] == [expected]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"processor": "x"}, "`processor` is 'x', not an object"),
        ({"main_memory": "x"}, "`main_memory` is 'x', not an object"),
        ({"supported_job_types": [1]}, r"`supported_job_types` is \[1\], not an object"),
        ({"supported_job_types": {"queues": "x"}}, "queues` is 'x', not a list of names"),
        ({"supported_job_types": {"queues": [1]}}, r"queues` is \[1\], not a list of names"),
        ({"gpu_devices": [{}]}, r"`gpu_devices` is \[{}\], not an object"),
        ({"gpu_devices": "x"}, "`gpu_devices` is 'x', not an object"),
        ({"gpu_devices": {"nvidia0": None}}, "`gpu_devices.nvidia0` is None, not an object"),
        ({"gpu_devices": {"nvidia0": 5}}, "`gpu_devices.nvidia0` is 5, not an object"),
        ({"gpu_devices": {"nvidia0": {"cpu_affinity": [0]}}}, "nvidia0` has a cpu_affinity or"),
        ({"gpu_devices": {"nvidia0": {"cores_affinity": "a b"}}}, "nvidia0` has a cpu_affinity or"),
        ({"processor": {"model": "\ud800"}}, r"'\\ud800' \(cpu_model\) has half of a surrogate"),
        ({"nb_threads": 0}, "2 sockets, 4 cores and 0 threads do not divide"),
        ({"nb_cores": 10**9}, "`architecture.nb_cores` is 1000000000, not a number up to 32768"),
        ({"nb_cores": "4 kW"}, "`architecture.nb_cores` is '4 kW', not a number up to"),
    ],
)
def test_field_of_a_wrong_type_raises_an_error_of_one_line(changes, message):
    described = reference_node("gros-1")
    for key, value in changes.items():
        (described["architecture"] if key.startswith("nb_") else described)[key] = value
    with pytest.raises(InputError, match=rf"^nodes/0.json: node gros-1: .*{message}"):
        rows_of(described)


@pytest.mark.parametrize("metrics", [5, [5], [{"period": "x"}], [{"only_for": 5}]])
def test_metrics_of_a_wrong_type_raise_an_error_of_one_line(metrics):
    cluster = {"uid": "gros", "type": "cluster", "metrics": metrics}
    with pytest.raises(InputError, match=r"^nodes/1.json: cluster gros: `metrics` is not a list"):
        rows_of(reference_node("gros-1"), cluster)


@pytest.mark.parametrize("document", [5, {"items": 5}, {"items": None}, None, "x"])
def test_document_without_descriptions_raises_an_error_of_one_line(document):
    with pytest.raises(InputError, match=r"^nodes/0.json: describes no node"):
        rows_of(document)


def test_deeply_nested_document_raises_an_error_of_one_line(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(InputError, match=r"a.json: it is nested too deep"):
        files.read_documents(path)
    document = reference_node("gros-1")
    for _ in range(900):
        document = {"items": [document]}
    with pytest.raises(InputError, match=r"^nodes/0.json: it is nested too deep"):
        rows_of(document)


def test_descriptions_that_differ_in_queues_are_merged():
    first = reference_node("gros-1", supported_job_types={"queues": ["production"]})
    second = reference_node("gros-1", supported_job_types={"queues": ["abaca", "production"]})
    for order in ((first, second), (second, first)):
        (row,) = rows_of(*order)
        assert row["queues"] == ["abaca", "production"]


def test_error_message_lists_all_nodes_with_changed_hardware():
    with pytest.raises(InputError) as error:
        rows_of(
            collection_page(
                reference_node("gros-1"), reference_node("gros-2"), reference_node("gros-3")
            ),
            collection_page(
                reference_node("gros-1", n_cores=8),
                reference_node("gros-2", n_gpus=1),
                reference_node("gros-3"),
            ),
        )
    message = str(error.value)
    assert "node gros-1 is described differently in nodes/0.json (n_cores, " in message
    assert "node gros-2 is described differently in nodes/0.json (core_gpus, " in message
    assert "gros-3" not in message
    assert "files have no date, study the days before and after the change apart" in message


def test_node_with_two_different_descriptions_is_refused():
    with pytest.raises(InputError, match=r"nodes/1.json: node gros-1 .* differently in nodes/0"):
        rows_of(reference_node("gros-1"), reference_node("gros-1", n_cores=8))


def test_clusters_are_inferred_from_the_names_of_the_nodes(tmp_path):
    save_json(
        tmp_path / "nodes" / "b.json",
        collection_page(reference_node("gruss-1"), reference_node("gruss-2")),
    )
    save_json(
        tmp_path / "nodes" / "a.json", collection_page(reference_node("gros-1.nancy.grid5000.fr"))
    )
    assert folders.described_clusters(tmp_path) == ["gros", "gruss"]
    save_json(tmp_path / "nodes" / "a.json", collection_page())
    assert folders.described_clusters(tmp_path) == ["gruss"]
    (tmp_path / "nodes" / "b.json").unlink()
    with pytest.raises(InputError, match="no file describes a node"):
        folders.described_clusters(tmp_path)


def test_recorded_descriptions_of_nancy_fit_the_schema(shared_data):
    folder = shared_data / "reference-api" / "nancy"
    answers = [
        (path.name, document)
        for path in sorted(folder.glob("*.json"))
        for document in files.read_documents(path)
    ]
    rows = descriptions.node_rows(answers, site="nancy")
    schema = Nodes.create_empty().schema
    table = conform(Nodes, pl.DataFrame(rows, schema=schema))
    # graffiti 12, grappe 16, grat, gratouille, grdix 16, grele 13, gres 7, gros 124, grosminet,
    # grostiti, grouille 2, grue 5, gruss 4, grvingt 63
    assert len(table) == 266
    by_cluster = dict(table.group_by("cluster").agg(pl.col("power_metrics").first()).iter_rows())
    assert by_cluster["gres"] == by_cluster["grdix"] == by_cluster["grosminet"] == []
    assert by_cluster["graffiti"] == ["bmc_node_power_watt"]
    wattmetre = table.filter(pl.col("power_metrics").list.contains("wattmetre_power_watt"))
    assert sorted(wattmetre["node"]) == sorted(f"gros-{number}" for number in range(41, 77))


def test_cores_of_recorded_nodes_with_reservable_gpus_have_a_gpu(shared_data):
    folder = shared_data / "reference-api" / "nancy"
    answers = [files.read_documents(path)[0] for path in sorted(folder.glob("*_nodes.json"))]
    answers += files.read_documents(shared_data / "gemini-2022-11" / "nodes" / "gemini.json")
    table = nodes_table(*(described for answer in answers for described in answer["items"]))
    gpus = table.filter(pl.col("gpu_reservable").list.any())
    # graffiti 12, grele 13, grue 5, gruss 4, grat, gres 7, gratouille, grouille 2, gemini
    assert len(gpus) == 46
    assert gpus.explode("core_gpus")["core_gpus"].null_count() == 0
    # Each GPU of a node goes with as many cores as the others.
    cores = gpus.explode("core_gpus").group_by("node", "core_gpus").len()
    assert cores.group_by("node").agg(pl.col("len").n_unique())["len"].max() == 1


@pytest.mark.parametrize(
    "page_of", [collection_page, lambda *found: list(found), lambda found: found]
)
def test_cluster_without_metrics_leaves_power_metrics_unknown(page_of):
    clusters = page_of({"uid": "gruss", "type": "cluster", "queues": ["production"]})
    [row] = rows_of(collection_page(reference_node("gruss-1")), clusters)
    assert row["power_metrics"] is None
    with pytest.raises(InputError, match="describes no node"):
        rows_of(
            collection_page(reference_node("gruss-1")),
            collection_page({"uid": "gruss", "type": "site"}),
        )


@pytest.mark.parametrize(
    ("written", "twice", "what"),
    [
        ('"nb_cores": 4', '"nb_cores": 9, "nb_cores": 4', "node gros-1 gives the key 'nb_cores'"),
        ('"uid": "gros-1"', '"uid": "gros-2", "uid": "gros-1"', "gives the key 'uid'"),
        ('{"items": [', '{"items": [], "items": [', "the answer gives the key 'items'"),
    ],
)
def test_description_with_a_repeated_key_is_refused(tmp_path, written, twice, what):
    path = tmp_path / "nodes.json"
    text = json.dumps({"items": [reference_node("gros-1")]})
    assert written in text
    path.write_text(text.replace(written, twice))
    with pytest.raises(InputError, match=f"nodes.json: .*{what} twice"):
        descriptions.node_rows(
            [("nodes.json", each) for each in files.read_documents(path)], site="nancy"
        )
