"""Tests of `footprint.sources.oar.encoding`."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.sources.oar import database_rows, job_records
from footprint.sources.oar.encoding import repair_column, repair_text

TWICE = "entraÃ®nÃ©"


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        (TWICE, "entraîné"),
        ("entraîné", "entraîné"),  # encoded once: its Latin-1 bytes are no UTF-8
        ("modÃ¨le Ã\xa0 5 â\x82¬", "modèle à 5 €"),
        ("prix 5 €", "prix 5 €"),  # not in Latin-1
        ("train.sh", "train.sh"),
        ("", ""),
    ],
)
def test_repair_text_undoes_one_of_two_encodings(text: str, repaired: str) -> None:
    assert repair_text(text) == repaired
    frame = pl.DataFrame({"text": [text, None, "ascii"]})
    assert frame.select(repair_column(pl.col("text")))["text"].to_list() == [
        repaired,
        None,
        "ascii",
    ]


@given(st.text())
def test_repair_text_inverts_a_second_encoding(text: str) -> None:
    twice = text.encode("utf-8", "surrogatepass").decode("latin-1")
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert repair_text(twice) == text


def test_jobs_of_answers_and_of_the_database_have_repaired_texts() -> None:
    job = {
        "uid": 1,
        "user": "someone",
        "state": "waiting",
        "name": f" {TWICE} ",
        "command": f"./{TWICE}.sh",
        "directory": "/home/someone/dÃ©jÃ\xa0",  # the last character is a no-break space
        "project": TWICE,
    }
    expected = {
        "name": ["entraîné"],
        "command": ["./entraîné.sh"],
        "directory": ["/home/someone/déjà"],
        "project": ["entraîné"],
    }
    found = job_records.parse_jobs([job], file="answer", resources={})
    assert found.select(list(expected)).to_dict(as_series=False) == expected
    row: dict[str, object] = dict.fromkeys(database_rows.TABLE_COLUMNS["jobs"])
    row |= {"job_id": 1, "state": "Waiting", "job_user": "someone"}
    row |= {database_rows.TEXT_COLUMNS[name]: job[name] for name in expected}
    tables = {
        name: pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        for name, columns in database_rows.TABLE_COLUMNS.items()
    }
    schema = dict.fromkeys(database_rows.TABLE_COLUMNS["jobs"], pl.String) | {"job_id": pl.Int64}
    records = database_rows.records_from_rows(tables | {"jobs": pl.DataFrame([row], schema=schema)})
    assert records.select(list(expected)).to_dict(as_series=False) == expected
