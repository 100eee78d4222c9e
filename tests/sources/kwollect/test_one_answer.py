"""One answer of the API -> readings."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.sources.kwollect import answers
from tests.support.api_answers import kwollect_record

COMPACT = (",", ":")


def compact(*records):
    return json.dumps(records, separators=COMPACT).encode()


def test_answer_gives_readings_with_all_labels():
    labels = {"gpu": "0", "_device_orig": ["x"]}
    found = answers.parse_answer(
        compact(
            kwollect_record(),
            kwollect_record("2025-04-18T18:55:38+02:00", None, labels=labels),
            kwollect_record(
                "2025-04-18T18:55:43+02:00", "NaN", device_id="gros-2.nancy.grid5000.fr"
            ),
        )
    )
    assert found.schema == {
        "metric": pl.String,
        "device": pl.String,
        "timestamp": pl.Datetime("us", "UTC"),
        "value": pl.Float64,
        "labels": pl.String,
    }
    assert found["device"].to_list() == ["gros-1", "gros-1", "gros-2"]
    assert found["timestamp"][0] == datetime(2025, 4, 18, 16, 55, 33, 754307, UTC)
    assert found["value"].fill_nan(-1.0).to_list() == [98, None, -1]
    assert found["labels"].to_list() == ["{}", '{"_device_orig":["x"],"gpu":"0"}', "{}"]


@pytest.mark.parametrize("content", [b"[]", b" [\n]\n", b""])
def test_answer_without_readings_has_the_same_columns(content):
    found = answers.parse_answer(content)
    assert found.is_empty()
    assert found.schema == answers.parse_answer(compact(kwollect_record())).schema


@pytest.mark.parametrize(
    "content",
    [
        b"[" + compact(kwollect_record())[1:-1] + b",\n " + compact(kwollect_record(value=99))[1:],
        b"[" + compact(kwollect_record())[1:-1] + b", \n " + compact(kwollect_record(value=99))[1:],
        json.dumps([kwollect_record(), kwollect_record(value=99)], indent=1).encode(),
        compact(kwollect_record()) + compact(kwollect_record(value=99)),
        compact(kwollect_record())[:-1]
        + b" , "
        + compact(kwollect_record(value=99))[1:-1]
        + b"  ]",
        compact(
            kwollect_record(), dict(reversed(kwollect_record(value=99).items()))
        ),  # the time comes last
        compact(kwollect_record(), kwollect_record(value=99, labels={"more": {"of": "it"}})),
        compact(
            kwollect_record(),
            {key: each for key, each in kwollect_record(value=99).items() if key != "labels"},
        ),
    ],
)
def test_answer_in_any_layout_is_parsed(content):
    assert answers.parse_answer(content)["value"].to_list() == [98, 99]


NAMES = st.from_regex(r"[a-z_]{1,3}", fullmatch=True)  # Prometheus allows no other characters


def test_answer_keeps_escaped_characters_of_labels():
    unit = {"name": 'dev-disk-by\\x2did "a"\n'}
    [labels] = answers.parse_answer(compact(kwollect_record(labels=unit)))["labels"]
    assert json.loads(labels) == unit


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12) | st.just(
    '},{"timestamp":'
)


@given(
    st.lists(
        st.fixed_dictionaries({"value": st.floats() | st.integers(0, 9), "labels": st.just({})})
        | st.fixed_dictionaries({"labels": st.dictionaries(NAMES, TEXTS, max_size=2)}),
        max_size=5,
    )
)
def test_answer_is_equal_for_compact_and_indented_forms(changes):
    records = [kwollect_record(value=3) | each for each in changes]
    for each in records:
        if each["value"] != each["value"] or abs(each["value"]) == float("inf"):
            each["value"] = "NaN"  # as PostgREST writes what JSON cannot
    spaced = json.dumps(records, indent=1).encode()
    assert_frame_equal(answers.parse_answer(compact(*records)), answers.parse_answer(spaced))
    assert len(answers.parse_answer(compact(*records))) == len(records)


@pytest.mark.parametrize(
    "content",
    [
        compact(kwollect_record(), kwollect_record())[:-1],
        compact(kwollect_record(), kwollect_record())[:-20],
        b'[{"timestamp":',
        b"<html>502 Bad Gateway</html>",
        b'{"message":"too much data"}',
        compact(kwollect_record(timestamp="yesterday")),
        compact(kwollect_record(value="much")),
        compact(kwollect_record(device_id="")),
        compact({"timestamp": "2025-04-18T18:55:33+02:00", "labels": {}}),
    ],
)
def test_answer_that_is_damaged_or_not_of_kwollect_is_refused(content):
    with pytest.raises(ValueError, match=r"the JSON breaks off|not samples of Kwollect"):
        answers.parse_answer(content)
