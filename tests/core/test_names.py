"""Names of one form, and their escapes."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser

import mistune
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.core import names
from footprint.core.errors import InputError
from footprint.schemas.raw import Jobs
from footprint.sources.job_texts import normalise_texts
from tests.support.estimator_inputs import frame_of_schema

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("De\u0301bruitage", "Débruitage"),
        (" a \n b\t\u2028c\u200b\ufeff ", "a   b  c"),
        ("\x1b[31mred\x07", "?[31mred?"),
        ("pa\u202eper", "paper"),  # would show what follows from right to left
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),  # Persian
        ("$\\frac$ x", "$\\frac$ x"),
        ("a\u00a0b", "a\u00a0b"),
    ],
)
def test_clean_name_gives_one_form(text: str, name: str) -> None:
    assert names.clean_name(text) == name


@given(st.text())
def test_clean_name_is_printable_and_stays_the_same(text: str) -> None:
    name = names.clean_name(text)
    assert names.clean_name(name) == name
    assert unicodedata.is_normalized("NFC", name) or not name.isprintable()
    assert not any(unicodedata.category(each) in ("Cc", "Zl", "Zp", "Cs") for each in name)


class _Text(HTMLParser):
    """Text and tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags = "", set[str]()

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text("ab1 \\`*_[]()<>|~$&;#+-=.!/'\"é", max_size=12))
def test_escape_markdown_shows_the_name_and_no_markup(text: str) -> None:
    # with raw HTML allowed: a reader's viewer may allow it
    page = mistune.create_markdown(escape=False, plugins=["table", "strikethrough"])(
        f"**head** {names.escape_markdown(text)}"
    )
    shown = _Text()
    shown.feed(str(page))
    assert shown.tags == {"p", "strong"}
    assert shown.text.split() == ["head", *names.clean_name(text).split()]


@pytest.mark.parametrize("text", ["# a", "1. a", "- a", "+ a", "=== a", "12) a", "> a", "---"])
def test_escape_markdown_at_the_start_of_a_line_is_no_block(text: str) -> None:
    page = _Text()
    page.feed(str(mistune.html(names.escape_markdown(text))))
    assert page.tags == {"p"}
    assert page.text.strip() == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+33", "'+33"),
        (" -2", "' -2"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_escape_cell_marks_formulas(text: str, cell: str) -> None:
    assert names.escape_cell(text) == cell


def test_near_equal_names_differ_in_case_or_blanks() -> None:
    found = names.near_equal_names(["b", "A b", "ab", "a  B", "b", "c-d", "c d"])
    assert found == [["A b", "a  B", "ab"]]


def test_check_known_names_the_nearest() -> None:
    known = {"enhancement-2025", "asr", "ASR"}
    names.check_known("asr", known, where="--paper", what="paper")
    with pytest.raises(InputError) as refused:
        names.check_known("Enhancement_2025", known, where="--paper", what="paper")
    assert str(refused.value) == (
        "--paper: there is no paper 'Enhancement_2025'; did you mean `enhancement-2025`?"
    )
    with pytest.raises(InputError, match=r"choose among ASR, asr, enhancement-2025$"):
        names.check_known("zzz", known, where="--paper", what="paper")
    with pytest.raises(InputError, match="there is no paper yet"):
        names.check_known("zzz", set(), where="--paper", what="paper")


def test_projects_in_nfc_and_nfd_are_one() -> None:
    jobs = frame_of_schema(
        Jobs,
        {"job_id": 1, "project": "De\u0301", "command": "e\u0301  \x1b"},
        {"job_id": 2, "project": "Dé\u200b", "command": None},
    )
    found = normalise_texts(jobs.lazy()).collect()
    assert found["project"].to_list() == ["Dé", "Dé"]
    assert found["command"].to_list() == ["é  \x1b", None]
    assert found.schema == pl.DataFrame(Jobs.create_empty()).schema
