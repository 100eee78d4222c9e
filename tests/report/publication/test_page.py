"""The page of a publication shows any name as it is."""

import base64

import pytest

from footprint.core.names import escape_markdown
from footprint.report.publication.page import report_page


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "a|b", "$x_1$ & co", "[me](javascript:alert(1))", "**bold**"],
)
def test_name_in_the_summary_is_text(name: str) -> None:
    page = report_page(
        title=name, summary=f"# Of {escape_markdown(name)}", figures={}, tables={}, notes=[name]
    )
    assert "<script" not in page
    assert "<a " not in page
    assert "<strong>" not in page
    assert page.count("&lt;script&gt;") == (3 if "<script" in name else 0)


def test_markdown_table_is_a_table() -> None:
    summary = "| a | b |\n|---|--:|\n| 1 | 2 |"
    page = report_page(title="t", summary=summary, figures={}, tables={}, notes=[])
    assert "<table>" in page
    assert ">2</td>" in page


def test_figure_is_embedded() -> None:
    page = report_page(title="t", summary="", figures={"levels": b"<svg/>"}, tables={}, notes=[])
    assert base64.b64encode(b"<svg/>").decode() in page
