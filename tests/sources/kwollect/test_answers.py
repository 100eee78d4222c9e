"""Files of Kwollect -> readings: times, layouts, labels, and files that cannot be used."""

import gzip
import json
from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.core import input_files
from footprint.core.errors import InputError
from footprint.sources.kwollect import answers, fields, ndjson
from tests.support.api_answers import kwollect_record

METRIC = "bmc_node_power_watt"


def read_frame(path, **options):
    return pl.concat(answers.read_file(path, **options))


def saved_file(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def zstd_frame(content):
    return pa.compress(content, codec="zstd", asbytes=True)


def parsed_times(*texts):
    return fields.parse_times(pl.Series(texts, dtype=pl.String)).to_list()


def utc_time(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_utc_parses_any_number_of_digits_and_any_offset():
    assert parsed_times(
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
        utc_time(2023, 12, 29, 13),
        utc_time(2025, 4, 18, 16, 55, 33, 754307),
        utc_time(2022, 2, 25, 8, 2, 15, 403250),
        utc_time(2022, 2, 25, 9, 2, 15, 400000),
        utc_time(2022, 2, 25, 8, 2, 15, 400000),
        utc_time(2022, 2, 25, 12, 32, 15),
        utc_time(2022, 2, 25, 9, 2, 15, 123456),
        utc_time(2022, 11, 7, 18, 28, 58, 49780),
        utc_time(2022, 11, 7, 18, 28, 58),
    ]


def test_utc_distinguishes_the_repeated_hour_of_autumn_by_its_offset():
    assert parsed_times("2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00") == [
        utc_time(2024, 10, 27, 0, 30),
        utc_time(2024, 10, 27, 1, 30),
    ]
    assert parsed_times("2024-03-31T01:59:59+01:00", "2024-03-31T03:00:00+02:00") == [
        utc_time(2024, 3, 31, 0, 59, 59),
        utc_time(2024, 3, 31, 1),
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
def test_utc_of_an_invalid_time_is_null(text):
    assert parsed_times(text, "1667845738") == [None, utc_time(2022, 11, 7, 18, 28, 58)]


@given(
    moment=st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1)),
    digits=st.integers(0, 6),
    offset=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    trimmed=st.booleans(),
)
def test_utc_parses_any_written_timestamp_exactly(moment, digits, offset, trimmed):
    kept = 10 ** (6 - digits)
    moment = moment.replace(microsecond=moment.microsecond // kept * kept, tzinfo=offset)
    fraction = f"{moment.microsecond:06d}"[:digits]
    fraction = fraction.rstrip("0") if trimmed else fraction
    dot = "." if fraction else ""
    text = f"{moment:%Y-%m-%dT%H:%M:%S}{dot}{fraction}{moment.isoformat()[-6:]}"
    assert parsed_times(text) == [moment.astimezone(UTC)]


@given(moment=st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1)))
@example(moment=datetime(2004, 10, 31, 19, 25, 18, 321653))
def test_utc_parses_any_written_epoch_second_exactly(moment):
    micros = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    text = f"{micros // 10**6}.{micros % 10**6:06d}"
    assert parsed_times(text) == [moment.replace(tzinfo=UTC)]


def test_samples_values_may_be_numbers_the_text_nan_or_null(tmp_path):
    values = [98, 84.05, "NaN", None, -3, 1e3]
    path = saved_file(
        tmp_path / "a.json", json.dumps([kwollect_record(value=value) for value in values])
    )
    found = read_frame(path)["value"].to_list()
    assert found[:2] == [98.0, 84.05]
    assert found[2] != found[2]
    assert found[3:] == [None, -3.0, 1000.0]


@pytest.mark.parametrize("pretty", [None, 1])
def test_samples_accept_bare_nan_and_infinity_of_json_dump(tmp_path, pretty):
    given = [float("nan"), 98.5, float("inf"), float("-inf")]
    records = [kwollect_record(value=value) | {"labels": {"note": "NaN, x"}} for value in given]
    array = saved_file(tmp_path / "a.json", json.dumps(records, indent=pretty))
    lines = saved_file(tmp_path / "b.jsonl", "\n".join(map(json.dumps, records)))
    for path in (array, lines):
        found = read_frame(path, with_labels=True)
        assert [json.loads(text) for text in found["labels"]] == [{"note": "NaN, x"}] * 4
        values = found["value"].to_list()
        assert values[0] != values[0]
        assert values[1:] == given[1:]


@pytest.fixture
def samples():
    return [
        kwollect_record("2025-04-18T18:55:33.5+02:00", 98),
        kwollect_record(
            "2025-04-18T18:55:38+02:00", 98.25, labels={"_device_orig": ["a, {b}", 'c"\\']}
        ),
        kwollect_record("2025-04-18T18:55:43.25+02:00", "NaN", device_id="gros-2-bmc"),
        kwollect_record("2025-04-18T18:55:48+02:00", None, metric_id="other"),
    ]


def csv_of(samples, *, header, separator=","):
    def quoted(field):
        return "" if field is None else '"' + str(field).replace('"', '""') + '"'

    rows = [
        [*(each[key] for key in fields.RECORD_FIELDS[:4]), json.dumps(each["labels"])]
        for each in samples
    ]
    lines = [separator.join(map(quoted, row)) for row in rows]
    return "\n".join([header, *lines] if header else lines) + "\n"


def test_samples_are_equal_for_all_layouts(tmp_path, samples):
    expected = pl.DataFrame(
        {
            "metric": [METRIC, METRIC, METRIC, "other"],
            "device": ["gros-1", "gros-1", "gros-2-bmc", "gros-1"],
            "timestamp": [
                utc_time(2025, 4, 18, 16, 55, 33, 500000),
                utc_time(2025, 4, 18, 16, 55, 38),
                utc_time(2025, 4, 18, 16, 55, 43, 250000),
                utc_time(2025, 4, 18, 16, 55, 48),
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
        assert_frame_equal(read_frame(saved_file(tmp_path / name, content)), expected)
    content = layouts["array"].encode()
    assert_frame_equal(
        read_frame(saved_file(tmp_path / "a.json.gz", gzip.compress(content))), expected
    )
    half = len(content) // 2
    members = gzip.compress(content[:half]) + gzip.compress(content[half:])
    assert_frame_equal(read_frame(saved_file(tmp_path / "b.gz", members)), expected)
    frames = zstd_frame(content[:half]) + zstd_frame(content[half:])
    assert_frame_equal(read_frame(saved_file(tmp_path / "a.zst", frames)), expected)


def test_samples_with_all_labels_have_them_as_json_text(tmp_path):
    labels = {"psu": "1", "_device_orig": ["a", "b"]}
    array = saved_file(
        tmp_path / "a.json", json.dumps([kwollect_record() | {"labels": labels}, kwollect_record()])
    )
    found = read_frame(array, with_labels=True)["labels"].to_list()
    assert [json.loads(text) for text in found] == [labels, {}]
    plain = saved_file(tmp_path / "b.csv", HEADER.replace(",labels", "") + ROW.replace(',"{}"', ""))
    assert read_frame(plain, with_labels=True)["labels"].to_list() == [None]


@pytest.mark.parametrize("pretty", [None, 1])
def test_samples_keep_escaped_characters_of_labels(tmp_path, pretty):
    labels = {"name": 'dev-disk-by\\x2did "a"\n'}
    record = kwollect_record(value=float("nan")) | {"labels": labels}
    path = saved_file(tmp_path / "a", json.dumps(record, indent=pretty))
    [text] = read_frame(path, with_labels=True)["labels"]
    assert json.loads(text) == labels


def test_samples_of_an_empty_answer_are_none(tmp_path):
    for content in ("[]", "[ ]\n", "timestamp,device,metric_id,value,labels\n"):
        assert not list(answers.read_file(saved_file(tmp_path / "a", content)))


def test_samples_come_in_bounded_frames_without_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(answers, "BLOCK_BYTES", 1000)
    content = [json.dumps(kwollect_record(value=value)) for value in range(20_000)]
    for text in (f"[{', '.join(content)}]", "\n".join(content)):
        path = saved_file(tmp_path / "a", text)
        frames = list(answers.read_file(path))
        assert len(frames) >= path.stat().st_size // input_files.BLOCK_BYTES
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
def test_ndjson_separates_records_of_any_layout_and_block_size(groups, indent, size):
    text = "\n".join(json.dumps(group, indent=indent) for group in groups).encode()
    blocks = (text[start : start + size] for start in range(0, len(text), size))
    lines = b"".join(ndjson.one_record_per_line(blocks)).splitlines()
    found = [json.loads(line) for line in lines if line.strip()]
    assert found == [record for group in groups for record in group]


def test_ndjson_refuses_a_text_without_the_end_of_a_record(monkeypatch):
    monkeypatch.setattr(ndjson, "LONGEST_RECORD_BYTES", 100)
    blocks = iter([b'[{"a": 1}, {"b": "', b"x" * 60, b"x" * 60])
    lines = ndjson.one_record_per_line(blocks)
    assert next(lines).split() == [b'{"a":', b"1}"]
    with pytest.raises(ValueError, match="a record is longer"):
        list(lines)


@given(cut=st.integers(1, 10_000))
def test_samples_of_an_array_cut_anywhere_are_refused(tmp_path_factory, cut):
    text = json.dumps([kwollect_record(value=value) for value in range(3)], indent=1)
    path = tmp_path_factory.mktemp("cut") / "a.json"
    saved_file(path, text[: 1 + cut % (len(text) - 1)])
    with pytest.raises(InputError, match=r"a\.json:\d+: the JSON breaks off here; save it again"):
        read_frame(path)


def refusal(path):
    with pytest.raises(InputError) as error:
        read_frame(path)
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
            "\n".join(
                [
                    json.dumps(kwollect_record()),
                    "",
                    json.dumps(kwollect_record("2025-04-18T18:55:33")),
                ]
            ),
            "a:3: cannot read the time 2025-04-18T18:55:33; a time needs an offset",
        ),
        (
            json.dumps([kwollect_record(), kwollect_record("2025-04-18T18:55:33")]),
            "a, record 2: cannot read the time 2025-04-18T18:55:33; a time needs an offset",
        ),
        (
            json.dumps(kwollect_record()) + "\n" + json.dumps(kwollect_record())[:50],
            "a:2: this is not a whole record of JSON: ",
        ),
        (
            json.dumps(kwollect_record()) + "\noops\n",
            "a:2: this is not a whole record of JSON: oops",
        ),
        (json.dumps(kwollect_record()) + "\n[1]\n", "a:2: this is no record of Kwollect"),
        (
            json.dumps([kwollect_record(value="N/A")]),
            "a, record 1: the value 'N/A' is not a number",
        ),
        (json.dumps([{"timestamp": 1667845738}]), "a, record 1: a record has no `device_id`"),
        ("[oops]", "a:1: this is not JSON"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "a: it is nested too deep (over 64 levels)"),
        ('[{"a": 1} oops, {"a": 2}]', "a:1: this is not JSON"),
        ("<html>\n<body>", "a:1: this is neither JSON nor CSV of Kwollect: <html>"),
        ("You are not authorized", "a:1: this is neither JSON nor CSV of Kwollect: You are not"),
        ("time,watts\n1,2\n", "a:1: this is neither JSON nor CSV of Kwollect: time,watts"),
        (HEADER + ROW + '"2025-04-18T18:55:33+02:00","gros-1"\n', "a:3: 2 fields instead of 5"),
        (HEADER + ROW.replace(',"{}"', ',"{}",1'), "a:2: 6 fields instead of 5"),
        (HEADER + ROW + ROW.partition(',"{}"')[0], "a:3: 4 fields instead of 5; save it again"),
        (HEADER + ROW.replace("+02:00", ""), "a:2: cannot read the time 2025-04-18T18:55:33"),
        (HEADER + ROW.replace("98", "many"), "a:2: the value 'many' is not a number"),
        (HEADER + ROW.replace("gros-1", ""), "a:2: a record has no `device_id`"),
        (b"[\xff\xfe]", "a:1: not a text in UTF-8"),
    ],
)
def test_samples_of_an_unusable_file_are_refused_with_the_line(tmp_path, content, expected):
    assert refusal(saved_file(tmp_path / "a", content)).startswith(expected)


def test_samples_of_a_damaged_compressed_file_are_refused(tmp_path):
    content = json.dumps([kwollect_record(value=value) for value in range(2000)]).encode()
    for name, whole in (
        ("a.gz", gzip.compress(content)),
        ("a.zst", zstd_frame(content)),
    ):
        expected = f"{name}: the compressed file is damaged or incomplete; save it again"
        assert refusal(saved_file(tmp_path / name, whole[: len(whole) // 2])) == expected
        assert refusal(saved_file(tmp_path / name, whole[:-1])) == expected
        # some clients unpack what they download and keep the name
        assert len(read_frame(saved_file(tmp_path / name, content))) == 2000


@pytest.mark.parametrize("name", ["a.json", "a.gz", "a.zst"])
def test_samples_of_a_folder_in_the_place_of_a_file_are_refused(tmp_path, name):
    (tmp_path / name).mkdir()
    assert (
        refusal(tmp_path / name)
        == f"{name}: a folder where a file is expected; restore it or remove it"
    )


def test_samples_of_the_gemini_recordings_are_complete(shared_data):
    folder = shared_data / "gemini-2022-11" / "power"
    bmc = read_frame(folder / "bmc_node_power_watt.jsonl.gz")
    assert len(bmc) == 4297
    assert bmc.row(0) == (METRIC, "gemini-1", utc_time(2022, 11, 7, 18, 28, 58, 49780), 1044.0)
    wattmetre = read_frame(folder / "wattmetre_power_watt.jsonl.gz", with_labels=True)
    assert len(wattmetre) == 21492
    assert set(wattmetre["metric"]) == {"wattmetre_power_watt"}
    ports = [f"wattmetrev3-1-port{number}" for number in (6, 7, 8, 9)]
    [labels] = wattmetre["labels"].unique()
    assert json.loads(labels)["_device_orig"] == ports
