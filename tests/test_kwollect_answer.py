"""One answer of the API -> samples."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from answers import sample
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.site import kwollect

COMPACT = (",", ":")


def compact(*records):
    return json.dumps(records, separators=COMPACT).encode()


def test_an_answer_is_samples_with_all_labels():
    labels = {"gpu": "0", "_device_orig": ["x"]}
    found = kwollect.answer(
        compact(
            sample(),
            sample("2025-04-18T18:55:38+02:00", None, labels=labels),
            sample("2025-04-18T18:55:43+02:00", "NaN", device_id="gros-2.nancy.grid5000.fr"),
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
def test_an_answer_without_samples_has_the_same_columns(content):
    found = kwollect.answer(content)
    assert found.is_empty()
    assert found.schema == kwollect.answer(compact(sample())).schema


@pytest.mark.parametrize("between", [",", ", ", ",\n ", ", \n "])
def test_the_usual_form_is_cut_without_a_look_at_each_character(between):
    records = [sample(), sample(value=99, labels={"gpu": "1"}), sample(value=97)]
    usual = f"[{between.join(json.dumps(each, separators=COMPACT) for each in records)}]".encode()
    text = kwollect._as_usual(usual)
    assert text is not None
    assert [json.loads(line) for line in text.splitlines()] == json.loads(usual)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([sample(), sample(value=99)], indent=1).encode(),
        compact(sample()) + compact(sample(value=99)),
        compact(sample())[:-1] + b" , " + compact(sample(value=99))[1:-1] + b"  ]",
        compact(sample(), dict(reversed(sample(value=99).items()))),  # the time comes last
        compact(sample(), sample(value=99, labels={"more": {"of": "it"}})),
        compact(sample(), {key: each for key, each in sample(value=99).items() if key != "labels"}),
    ],
)
def test_any_other_form_is_read_as_well(content):
    assert kwollect._as_usual(content) is None
    assert kwollect.answer(content)["value"].to_list() == [98, 99]


NAMES = st.from_regex(r"[a-z_]{1,3}", fullmatch=True)  # Prometheus allows no other characters


def test_labels_keep_what_stands_behind_backslashes():
    unit = {"name": 'dev-disk-by\\x2did "a"\n'}
    [labels] = kwollect.answer(compact(sample(labels=unit)))["labels"]
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
def test_both_ways_read_the_same(changes):
    records = [sample(value=3) | each for each in changes]
    for each in records:
        if each["value"] != each["value"] or abs(each["value"]) == float("inf"):
            each["value"] = "NaN"  # as PostgREST writes what JSON cannot
    spaced = json.dumps(records, indent=1).encode()
    assert_frame_equal(kwollect.answer(compact(*records)), kwollect.answer(spaced))
    assert len(kwollect.answer(compact(*records))) == len(records)


@pytest.mark.parametrize(
    "content",
    [
        compact(sample(), sample())[:-1],
        compact(sample(), sample())[:-20],
        b'[{"timestamp":',
        b"<html>502 Bad Gateway</html>",
        b'{"message":"too much data"}',
        compact(sample(timestamp="yesterday")),
        compact(sample(value="much")),
        compact(sample(device_id="")),
        compact({"timestamp": "2025-04-18T18:55:33+02:00", "labels": {}}),
    ],
)
def test_what_is_damaged_or_something_else_is_refused(content):
    with pytest.raises(ValueError, match=r"the JSON breaks off|not samples of Kwollect"):
        kwollect.answer(content)
