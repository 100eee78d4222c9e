"""Conversion of exported readings to Parquet: kept and rejected readings."""

import csv
import gzip
import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.core.errors import InputError
from footprint.estimators import device_use
from footprint.sources import device_download
from footprint.sources.exports import conversion
from footprint.sources.exports.site import ExportedSite
from footprint.sources.kwollect.metrics import (
    EXPORTED_SERIES,
    GPU_POWER_METRIC,
    LOAD_METRIC,
    PACKAGE_METRIC,
)
from tests.support.api_answers import save_json
from tests.support.small_exports import DAY, METRIC, exported_site, noon_reading, seconds_after_noon


def convert(folder, metric=METRIC):
    return exported_site(folder).convert_power(metric=metric, directory=folder / "converted")


def readings(folder, cluster="gruss", metric=METRIC, **window):
    frames = exported_site(folder).power(metric=metric, cluster=cluster, **(DAY | window))
    return [frame.rows() for frame in frames]


def test_power_gives_the_readings_of_each_node_in_the_window(folder):
    lines = [noon_reading("gruss-1.nancy.grid5000.fr", 0, "NaN"), noon_reading("gruss-1", 59, None)]
    (folder / "power" / "b.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert len(convert(folder)) == 0
    first, second_node = readings(folder)
    assert [row[:2] for row in first] == [
        ("gruss-1", seconds_after_noon(each)) for each in (5, 0, 59)
    ]
    assert first[0][2] == 100.0
    assert first[1][2] != first[1][2]
    assert first[2][2] is None
    assert second_node == [("gruss-2", seconds_after_noon(10), 100.0)]
    window = {"start": seconds_after_noon(5), "end": seconds_after_noon(10)}
    assert readings(folder, **window) == [[("gruss-1", seconds_after_noon(5), 100.0)]]
    window = {"start": seconds_after_noon(1), "end": seconds_after_noon(59)}
    assert [len(rows) for rows in readings(folder, **window)] == [1, 1]
    assert readings(folder, cluster="gros") == []


def test_convert_power_counts_rejected_readings_by_file_and_reason(folder):
    extra = [
        noon_reading("gruss-1-bmc", 5),
        noon_reading("gruss-2-bmc", 5),
        noon_reading("gruss-1-bmc", 5, metric="bmc_ambient_temp_celsius"),
        noon_reading("grvingt-1", 5),
        noon_reading("gros-wattmetre2", 5),
        noon_reading("gros-pdu3-port-7", 5),
        noon_reading("gros-1", 5),
    ]
    save_json(folder / "power" / "b.json", extra)
    save_json(folder / "power" / "c.json", [])
    assert convert(folder).rows() == [
        ("power", "power/b.json", "not a node", 1, "gros-wattmetre2"),
        ("power", "power/b.json", "other cluster", 2, "gros-pdu3-port-7"),
        ("power", "power/b.json", "other metric", 1, "bmc_ambient_temp_celsius"),
        ("power", "power/b.json", "virtual device", 2, "gruss-1-bmc"),
    ]
    assert readings(folder, cluster="gros") == [[("gros-1", seconds_after_noon(5), 100.0)]]


def test_convert_power_refuses_an_undescribed_node_of_a_described_cluster(folder):
    save_json(folder / "power" / "b.json", [noon_reading("gruss-9", 5)])
    with pytest.raises(InputError, match=r"b.json: has readings of node gruss-9, which is not"):
        convert(folder)
    save_json(folder / "power" / "b.json", [noon_reading("gruss-9", 5, metric="other")])
    assert convert(folder)["reason"].to_list() == ["other metric"]


def test_power_without_conversion_of_the_metric_is_refused(folder):
    convert(folder)
    with pytest.raises(ValueError, match="wattmetre"):
        readings(folder, metric="wattmetre_power_watt")
    with pytest.raises(ValueError, match=METRIC):
        list(ExportedSite(folder, site="nancy").power(metric=METRIC, cluster="gros", **DAY))


def test_conversion_rejects_readings_of_another_site(folder):
    there = "gruss-1.lyon.grid5000.fr"
    here = noon_reading("gruss-1.nancy.grid5000.fr", 7)
    save_json(folder / "power" / "a.json", [here, noon_reading(there, 5), noon_reading(there, 6)])
    rejected = convert(folder)
    assert rejected.rows() == [("power", "power/a.json", "node of another site", 2, there)]
    assert readings(folder) == [[("gruss-1", seconds_after_noon(7), 100.0)]]
    gpu = {"metric_id": "prom_DCGM_FI_DEV_POWER_USAGE", "labels": {"gpu": "0"}}
    save_json(folder / "devices" / "a.json", [here | gpu, noon_reading(there, 5) | gpu])
    rejected = exported_site(folder).convert_devices(directory=folder / "converted")
    assert rejected.rows() == [("devices", "devices/a.json", "node of another site", 1, there)]


def test_convert_power_twice_gives_the_same_bytes(folder, tmp_path):
    for name in ("one", "two"):
        exported_site(folder).convert_power(metric=METRIC, directory=tmp_path / name)
    written = {path.name for path in (tmp_path / "one" / METRIC).iterdir()}
    assert written == {"00000-00000-a.json.parquet", "index.parquet", "series.parquet"}
    for name in written:
        contents = [(tmp_path / each / METRIC / name).read_bytes() for each in ("one", "two")]
        assert contents[0] == contents[1]


def test_outside_study_counts_readings_by_reason(folder):
    rows = [noon_reading("gros-1", 1), noon_reading("gruss-1", 2)]
    rows += [noon_reading("gruss-1", 3) | {"timestamp": "2025-03-05T00:00:00Z"}]
    save_json(folder / "power" / "b.json", rows)
    convert(folder)
    found = conversion.count_outside_study(
        [folder / "converted" / METRIC], clusters=["gruss"], **DAY
    )
    assert found.select("reason", "n_rows", "example").rows() == [
        ("cluster not studied", 1, "gros-1"),
        ("outside the study's days", 1, "gruss-1"),
    ]


def test_convert_power_refuses_a_metric_of_no_file_and_lists_those_there_are(folder):
    with pytest.raises(
        InputError, match=r"no reading of bmc_power; set a metric .* bmc_node_power_w"
    ):
        convert(folder, metric="bmc_power")


def test_convert_devices_accepts_files_of_other_series_alone(folder):
    save_json(folder / "devices" / "a.json", [noon_reading("gruss-1", 5, metric="prom_other")])
    rejected = exported_site(folder).convert_devices(directory=folder / "converted-devices")
    assert rejected.select("reason", "n_rows").rows() == [("other metric", 1)]


def test_convert_power_accepts_readings_under_the_former_name(folder):
    former = [
        noon_reading("gruss-1", 20, metric="bmc_power_node_watt"),
        noon_reading("gruss-1", 25),
    ]
    save_json(folder / "power" / "b.json", former)
    assert len(convert(folder)) == 0
    [first, _] = readings(folder)
    assert [row[1] for row in first] == [seconds_after_noon(each) for each in (5, 20, 25)]


def test_convert_power_accepts_files_of_the_former_name_alone(folder):
    save_json(
        folder / "power" / "a.json", [noon_reading("gruss-1", 20, metric="bmc_power_node_watt")]
    )
    convert(folder)
    assert len(readings(folder)) == 1


def test_power_has_labels_of_nodes_with_several_series_alone(folder):
    labelled = [noon_reading("gruss-1", 20) | {"labels": {"psu": text}} for text in ("1", "2")]
    save_json(folder / "power" / "b.json", labelled)
    convert(folder)
    first, second_node = exported_site(folder).power(metric=METRIC, cluster="gruss", **DAY)
    assert first["labels"].to_list() == ["{}", '{"psu": "1"}', '{"psu": "2"}']
    assert "labels" not in second_node.columns


def gpu_readings(folder):
    site = exported_site(folder)
    site.convert_devices(directory=folder / "converted")
    frames = site.devices(metric=GPU_POWER_METRIC, cluster="gruss", **DAY)
    return [device_download.with_gpu_index(frame) for frame in frames]


def test_devices_have_the_index_in_the_label_of_json_and_csv(folder):
    record = noon_reading("gruss-1.nancy.grid5000.fr", 5, metric=GPU_POWER_METRIC)
    record |= {"labels": {"gpu": "1"}}
    expected = pl.DataFrame(
        {
            "node": ["gruss-1"],
            "gpu": [1],
            "timestamp": [seconds_after_noon(5)],
            "power_w": [100.0],
        },
        schema_overrides={"gpu": pl.UInt8, "timestamp": pl.Datetime("us", "UTC")},
    )
    save_json(folder / "devices" / "a", [record, noon_reading("gruss-1", 5)])
    assert_frame_equal(pl.concat(gpu_readings(folder)), expected)
    with (folder / "devices" / "a").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*record])
        writer.writeheader()
        writer.writerow(record | {"labels": json.dumps(record["labels"])})
    assert_frame_equal(pl.concat(gpu_readings(folder)), expected)


def test_convert_devices_rejects_files_that_cannot_be_used(folder):
    good = noon_reading("gruss-1", 5, metric=GPU_POWER_METRIC)
    good["labels"] = {"gpu": "0"}
    save_json(folder / "devices" / "a.json", [noon_reading("gruss-1", 5, metric=GPU_POWER_METRIC)])
    save_json(folder / "devices" / "b.json", [good])
    (folder / "devices" / "c.json").write_bytes(gzip.compress(b"[" * 99)[:-3])
    (folder / "devices" / "d.json").symlink_to("nowhere")
    (folder / "devices" / "deeper").mkdir()
    rejected = exported_site(folder).convert_devices(directory=folder / "converted")
    reasons = {row["source"]: row["reason"] for row in rejected.to_dicts()}
    assert reasons.pop("devices/a.json").startswith("the reading of gruss-1 at")
    assert reasons == {
        "devices/c.json": "the compressed file is damaged or incomplete",
        "devices/d.json": "a link to a file that is not there",
        "devices/deeper": "a folder where a file is expected",
    }
    assert set(rejected["stage"]) == {"devices"}
    kept = conversion.converted_readings(
        folder / "converted" / GPU_POWER_METRIC, nodes=["gruss-1"], **DAY
    )
    assert [frame["power_w"].to_list() for frame in kept] == [[100.0]]


def test_convert_devices_reads_load_and_counters_of_processors(folder, tmp_path):
    load = [noon_reading("gruss-1", s, s / 15, metric=LOAD_METRIC) for s in (0, 15)]
    counters = [
        noon_reading("gruss-1", s, 1000.0 * s * (index + 1), metric=PACKAGE_METRIC)
        | {"labels": {"index": str(index)}}
        for s in (0, 15)
        for index in (0, 1)
    ]
    other = noon_reading("gruss-1", 5, metric="prom_node_memory_MemFree_bytes")
    save_json(folder / "devices" / "a.json", [*load, *counters, other])
    site = exported_site(folder)
    rejected = site.convert_devices(directory=folder / "converted")
    assert rejected.rows() == [
        ("devices", "devices/a.json", "other metric", 1, "prom_node_memory_MemFree_bytes")
    ]
    paths = {metric: tmp_path / metric for metric in EXPORTED_SERIES}
    for metric, path in paths.items():
        frames = site.devices(metric=metric, cluster="gruss", **DAY)
        if metric == GPU_POWER_METRIC:
            assert not list(frames)
        else:
            assert device_download.write_device_series(frames, path) == 0
    written = pl.read_parquet(paths[LOAD_METRIC])
    assert written.select("node", "labels", "value").rows() == [
        ("gruss-1", "{}", 0.0),
        ("gruss-1", "{}", 1.0),
    ]
    # 1000 W and 2000 W
    found = device_use.package_power([str(paths[PACKAGE_METRIC])], "gruss-1")
    assert found["power_w"].to_list() == pytest.approx([3000.0])


def test_convert_power_counts_series_of_other_metrics_by_device(folder):
    other = [noon_reading("gruss-1", 5, metric="pdu_outlet_power_watt")] * 2
    save_json(folder / "power" / "b.json", other)
    convert(folder)
    seen = pl.read_parquet(folder / "converted" / METRIC / conversion.SERIES_COUNTS_FILE)
    assert seen.rows() == [
        (METRIC, "gruss-1", 1),
        (METRIC, "gruss-2", 1),
        ("pdu_outlet_power_watt", "gruss-1", 2),
    ]
