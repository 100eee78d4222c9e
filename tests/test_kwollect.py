import gzip
import json
from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
import zstandard
from answers import sample
from hypothesis import example, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.errors import InputError
from footprint.site import files, kwollect, ndjson

METRIC = "bmc_node_power_watt"


def read(path, **options):
    return pl.concat(kwollect.samples(path, **options))


def saved(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def times(*texts):
    return kwollect.utc(pl.Series(texts, dtype=pl.String)).to_list()


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_times_have_any_number_of_digits_and_any_offset():
    assert times(
        "2023-12-29T14:00:00+01:00",
        "2025-04-18T18:55:33.754307+02:00",
        "2022-02-25T09:02:15.40325+01:00",
        "2022-02-25T09:02:15.4Z",
        "2022-02-25 09:02:15.4+01",
        "2022-02-25T09:02:15-0330",
        "2022-02-25T09:02:15.1234567+00:00",
        "1667845738.04978",
        "1667845738",
    ) == [
        at(2023, 12, 29, 13),
        at(2025, 4, 18, 16, 55, 33, 754307),
        at(2022, 2, 25, 8, 2, 15, 403250),
        at(2022, 2, 25, 9, 2, 15, 400000),
        at(2022, 2, 25, 8, 2, 15, 400000),
        at(2022, 2, 25, 12, 32, 15),
        at(2022, 2, 25, 9, 2, 15, 123456),
        at(2022, 11, 7, 18, 28, 58, 49780),
        at(2022, 11, 7, 18, 28, 58),
    ]


def test_the_hour_that_autumn_repeats_is_told_by_its_offset():
    assert times("2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00") == [
        at(2024, 10, 27, 0, 30),
        at(2024, 10, 27, 1, 30),
    ]
    assert times("2024-03-31T01:59:59+01:00", "2024-03-31T03:00:00+02:00") == [
        at(2024, 3, 31, 0, 59, 59),
        at(2024, 3, 31, 1),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "2025-04-18T18:55:33",
        "2025-04-18 18:55:33.5",
        "2025-13-18T18:55:33Z",
        "1667845738049",
        "0",
        "soon",
        "",
    ],
)
def test_what_tells_no_time_is_null(text):
    assert times(text, "1667845738") == [None, at(2022, 11, 7, 18, 28, 58)]


@given(
    moment=st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1)),
    digits=st.integers(0, 6),
    offset=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    trimmed=st.booleans(),
)
def test_times_survive_being_written(moment, digits, offset, trimmed):
    kept = 10 ** (6 - digits)
    moment = moment.replace(microsecond=moment.microsecond // kept * kept, tzinfo=offset)
    fraction = f"{moment.microsecond:06d}"[:digits]
    fraction = fraction.rstrip("0") if trimmed else fraction
    dot = "." if fraction else ""
    text = f"{moment:%Y-%m-%dT%H:%M:%S}{dot}{fraction}{moment.isoformat()[-6:]}"
    assert times(text) == [moment.astimezone(UTC)]


@given(moment=st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1)))
@example(moment=datetime(2004, 10, 31, 19, 25, 18, 321653))
def test_seconds_since_1970_survive_being_written(moment):
    micros = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    text = f"{micros // 10**6}.{micros % 10**6:06d}"
    assert times(text) == [moment.replace(tzinfo=UTC)]


def test_values_are_integers_floats_the_text_nan_or_null(tmp_path):
    values = [98, 84.05, "NaN", None, -3, 1e3]
    path = saved(tmp_path / "a.json", json.dumps([sample(value=value) for value in values]))
    found = read(path)["value"].to_list()
    assert found[:2] == [98.0, 84.05]
    assert found[2] != found[2]
    assert found[3:] == [None, -3.0, 1000.0]


@pytest.mark.parametrize("pretty", [None, 1])
def test_bare_nan_and_infinity_are_read_as_json_dump_writes_them(tmp_path, pretty):
    given = [float("nan"), 98.5, float("inf"), float("-inf")]
    records = [sample(value=value) | {"labels": {"note": "NaN, x"}} for value in given]
    array = saved(tmp_path / "a.json", json.dumps(records, indent=pretty))
    lines = saved(tmp_path / "b.jsonl", "\n".join(map(json.dumps, records)))
    for path in (array, lines):
        found = read(path, label="note")
        assert found["note"].to_list() == ["NaN, x"] * 4
        values = found["value"].to_list()
        assert values[0] != values[0]
        assert values[1:] == given[1:]


@pytest.fixture
def samples():
    return [
        sample("2025-04-18T18:55:33.5+02:00", 98),
        sample("2025-04-18T18:55:38+02:00", 98.25, labels={"_device_orig": ["a, {b}", 'c"\\']}),
        sample("2025-04-18T18:55:43.25+02:00", "NaN", device_id="gros-2-bmc"),
        sample("2025-04-18T18:55:48+02:00", None, metric_id="other"),
    ]


def csv_of(samples, *, header, separator=","):
    def quoted(field):
        return "" if field is None else '"' + str(field).replace('"', '""') + '"'

    rows = [
        [*(each[key] for key in kwollect.FIELDS[:4]), json.dumps(each["labels"])]
        for each in samples
    ]
    lines = [separator.join(map(quoted, row)) for row in rows]
    return "\n".join([header, *lines] if header else lines) + "\n"


def test_all_layouts_say_the_same(tmp_path, samples):
    expected = pl.DataFrame(
        {
            "metric": [METRIC, METRIC, METRIC, "other"],
            "device": ["gros-1", "gros-1", "gros-2-bmc", "gros-1"],
            "timestamp": [
                at(2025, 4, 18, 16, 55, 33, 500000),
                at(2025, 4, 18, 16, 55, 38),
                at(2025, 4, 18, 16, 55, 43, 250000),
                at(2025, 4, 18, 16, 55, 48),
            ],
            "value": [98.0, 98.25, float("nan"), None],
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
    )
    records = [json.dumps(each) for each in samples]
    header = "timestamp,device,metric_id,value,labels"
    layouts = {
        "array": json.dumps(samples),
        "postgrest": "[" + ", \n ".join(records) + "]",
        "pretty": json.dumps(samples, indent=2),
        "appended": json.dumps(samples[:1]) + "\n" + json.dumps(samples[1:]) + "\n[]\n",
        "enoslib": "\n".join(records) + "\n",
        "no newline": "\n".join(records),
        "jq": "\n".join(json.dumps(each, indent=2) for each in samples),
        "crlf": "\r\n".join(records) + "\r\n",
        "bom": "\ufeff" + "\n".join(records),
        "csv": csv_of(samples, header=header),
        "csv crlf": csv_of(samples, header=header).replace("\n", "\r\n"),
        "csv blank": csv_of(samples, header=header) + "\n\n",
        "csv twice": csv_of(samples[:2], header=header) + csv_of(samples[2:], header=header),
        "csv api": csv_of(samples, header=header.replace("device", "device_id")),
        "csv bare": csv_of(samples, header=None),
        "tsv": csv_of(samples, header=header.replace(",", "\t"), separator="\t"),
    }
    for name, content in layouts.items():
        assert_frame_equal(read(saved(tmp_path / name, content)), expected)
    content = layouts["array"].encode()
    assert_frame_equal(read(saved(tmp_path / "a.json.gz", gzip.compress(content))), expected)
    half = len(content) // 2
    members = gzip.compress(content[:half]) + gzip.compress(content[half:])
    assert_frame_equal(read(saved(tmp_path / "b.gz", members)), expected)
    compress = zstandard.ZstdCompressor().compress
    frames = compress(content[:half]) + compress(content[half:])
    assert_frame_equal(read(saved(tmp_path / "a.zst", frames)), expected)


def test_names_are_shortened_and_labels_read_on_demand(tmp_path):
    dcgm = {"metric_id": kwollect.GPU_POWER_METRIC, "device_id": "gruss-1.nancy.grid5000.fr"}
    content = [sample(labels={"gpu": "1"}, **dcgm), sample()]
    expected = pl.DataFrame(
        {
            "node": ["gruss-1"],
            "gpu": [1],
            "timestamp": [at(2025, 4, 18, 16, 55, 33, 754307)],
            "power_w": [98.0],
        },
        schema_overrides={"gpu": pl.UInt8, "timestamp": pl.Datetime("us", "UTC")},
    )
    for path in (
        saved(tmp_path / "a.json", json.dumps(content)),
        saved(tmp_path / "a.csv", csv_of(content, header=",".join(kwollect.FIELDS))),
    ):
        assert_frame_equal(pl.concat(kwollect.gpu_samples(path)), expected)
    path = saved(tmp_path / "b.json", json.dumps([sample(**dcgm)]))
    with pytest.raises(InputError, match=r"gruss-1 at .* has no label `gpu`"):
        list(kwollect.gpu_samples(path))


def test_all_labels_are_read_as_json_text(tmp_path):
    labels = {"psu": "1", "_device_orig": ["a", "b"]}
    array = saved(tmp_path / "a.json", json.dumps([sample() | {"labels": labels}, sample()]))
    found = read(array, label="labels")["labels"].to_list()
    assert [json.loads(text) for text in found] == [labels, {}]
    plain = saved(tmp_path / "b.csv", HEADER.replace(",labels", "") + ROW.replace(',"{}"', ""))
    assert read(plain, label="labels")["labels"].to_list() == [None]


def test_an_answer_without_samples_has_none(tmp_path):
    for content in ("[]", "[ ]\n", "timestamp,device,metric_id,value,labels\n"):
        assert not list(kwollect.samples(saved(tmp_path / "a", content)))


def test_pieces_are_bounded_and_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(kwollect, "BLOCK_BYTES", 1000)
    content = [json.dumps(sample(value=value)) for value in range(20_000)]
    for text in (f"[{', '.join(content)}]", "\n".join(content)):
        path = saved(tmp_path / "a", text)
        frames = list(kwollect.samples(path))
        assert len(frames) >= path.stat().st_size // files.READ_BYTES
        assert pl.concat(frames)["value"].to_list() == list(range(20_000))


RECORDS = st.lists(
    st.dictionaries(
        st.sampled_from(["a", "b"]),
        st.text(st.sampled_from('{}[]," \\\n\té'), max_size=6)
        | st.integers()
        | st.dictionaries(st.just("c"), st.lists(st.just("]},{["), max_size=2)),
    ),
    max_size=6,
)


@given(
    groups=st.lists(RECORDS, max_size=3),
    indent=st.sampled_from([None, 0, 1]),
    size=st.integers(1, 40),
)
def test_records_are_told_apart_whatever_the_layout_and_the_blocks(groups, indent, size):
    text = "\n".join(json.dumps(group, indent=indent) for group in groups).encode()
    blocks = (text[start : start + size] for start in range(0, len(text), size))
    lines = b"".join(ndjson.one_a_line(blocks)).splitlines()
    found = [json.loads(line) for line in lines if line.strip()]
    assert found == [record for group in groups for record in group]


@given(cut=st.integers(1, 10_000))
def test_an_array_cut_anywhere_is_noticed(tmp_path_factory, cut):
    text = json.dumps([sample(value=value) for value in range(3)], indent=1)
    path = tmp_path_factory.mktemp("cut") / "a.json"
    saved(path, text[: 1 + cut % (len(text) - 1)])
    with pytest.raises(InputError, match=r"a\.json:\d+: the JSON breaks off here; save it again"):
        read(path)


def refusal(path):
    with pytest.raises(InputError) as error:
        read(path)
    return str(error.value).removeprefix(f"{path.parent}/")


ERROR = {"hint": None, "details": None, "code": "XX000", "message": "Missing 'devices' argument"}
HEADER = "timestamp,device,metric_id,value,labels\n"
ROW = '"2025-04-18T18:55:33+02:00","gros-1","m",98,"{}"\n'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "a: is empty"),
        (" \n", "a: is empty"),
        (json.dumps(ERROR), "a:1: the API answered: Missing 'devices' argument; save the answer"),
        (json.dumps(ERROR, indent=1), "a, record 1: the API answered: Missing 'devices'"),
        (json.dumps([ERROR]), "a, record 1: the API answered: Missing 'devices'"),
        (
            "\n".join([json.dumps(sample()), "", json.dumps(sample("2025-04-18T18:55:33"))]),
            "a:3: cannot tell the time of 2025-04-18T18:55:33; a time needs an offset",
        ),
        (
            json.dumps([sample(), sample("2025-04-18T18:55:33")]),
            "a, record 2: cannot tell the time of 2025-04-18T18:55:33; a time needs an offset",
        ),
        (
            json.dumps(sample()) + "\n" + json.dumps(sample())[:50],
            "a:2: this is not a whole record of JSON: ",
        ),
        (json.dumps(sample()) + "\noops\n", "a:2: this is not a whole record of JSON: oops"),
        (json.dumps(sample()) + "\n[1]\n", "a:2: this is no record of Kwollect"),
        (json.dumps([sample(value="N/A")]), "a, record 1: the value 'N/A' is not a number"),
        (json.dumps([{"timestamp": 1667845738}]), "a, record 1: a record has no `device_id`"),
        ("[oops]", "a:1: this is not JSON"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "a: the JSON is nested too deep; a JSON answer"),
        ('[{"a": 1} oops, {"a": 2}]', "a:1: this is not JSON"),
        ("<html>\n<body>", "a:1: this is neither JSON nor CSV of Kwollect: <html>"),
        ("You are not authorized", "a:1: this is neither JSON nor CSV of Kwollect: You are not"),
        ("time,watts\n1,2\n", "a:1: this is neither JSON nor CSV of Kwollect: time,watts"),
        (HEADER + ROW + '"2025-04-18T18:55:33+02:00","gros-1"\n', "a:3: 2 fields instead of 5"),
        (HEADER + ROW.replace(',"{}"', ',"{}",1'), "a:2: 6 fields instead of 5"),
        (HEADER + ROW + ROW.partition(',"{}"')[0], "a:3: 4 fields instead of 5; save it again"),
        (HEADER + ROW.replace("+02:00", ""), "a:2: cannot tell the time of 2025-04-18T18:55:33"),
        (HEADER + ROW.replace("98", "many"), "a:2: the value 'many' is not a number"),
        (HEADER + ROW.replace("gros-1", ""), "a:2: a record has no `device_id`"),
        (b"[\xff\xfe]", "a: is not a text file"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path, content, expected):
    assert refusal(saved(tmp_path / "a", content)).startswith(expected)


def test_damaged_compression_is_refused(tmp_path):
    content = json.dumps([sample(value=value) for value in range(2000)]).encode()
    for name, whole in (
        ("a.gz", gzip.compress(content)),
        ("a.zst", zstandard.ZstdCompressor().compress(content)),
    ):
        expected = f"{name}: the compressed file is damaged or incomplete; save it again"
        assert refusal(saved(tmp_path / name, whole[: len(whole) // 2])) == expected
        assert refusal(saved(tmp_path / name, whole[:-1])) == expected
        assert refusal(saved(tmp_path / name, content)) == expected


def test_the_real_recordings_are_read_whole(shared_data):
    folder = shared_data / "gemini-2022-11" / "power"
    bmc = read(folder / "bmc_node_power_watt.jsonl.gz")
    assert len(bmc) == 4297
    assert bmc.row(0) == (METRIC, "gemini-1", at(2022, 11, 7, 18, 28, 58, 49780), 1044.0)
    wattmetre = read(folder / "wattmetre_power_watt.jsonl.gz", label="_device_orig")
    assert len(wattmetre) == 21492
    assert set(wattmetre["metric"]) == {"wattmetre_power_watt"}
    assert set(wattmetre["_device_orig"]) == {
        '["wattmetrev3-1-port6", "wattmetrev3-1-port7", '
        '"wattmetrev3-1-port8", "wattmetrev3-1-port9"]'
    }
