"""The gallery: it has every figure and table; its page and pictures."""

from __future__ import annotations

import base64
import io
import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from footprint.report.tables import formats
from tests.report.tables.test_formats import SMALL
from tests.support.project import ROOT
from tests.support.study_frames import PROVENANCE
from tests.support.workflow_rules import workflow_rules

pytestmark = pytest.mark.filterwarnings("error")

GALLERY = runpy.run_path(str(ROOT / "docs/gallery.py"))
PAGE = ROOT / "docs/gallery.md"
OUTSIDE_THE_DEFAULT_RUN = (
    *("figures/validation.svg", "tables/validation.html"),
    *("tables/ledger.html", "tables/counters.html"),
)


def report_marks() -> list[dict[str, Any]]:
    """Results that the rules mark for the report: path, caption, category and labels."""
    outputs = [output for rule in workflow_rules().values() for output in rule.output]
    marked = [(output, output.flags["report"]) for output in outputs if "report" in output.flags]
    return [
        {
            "path": output.removeprefix("results/"),
            "caption": mark.caption.get_path_or_uri(secret_free=True),
            "category": mark.category,
            "labels": tuple(mark.labels.items()),
        }
        for output, mark in marked
    ]


def picture_of(path: str) -> str:
    name = Path(path)
    return f"{name.stem}{'_table' if name.suffix == '.html' else ''}.png"


# --- report marks in the rules -------------------------------------------------------------------


def test_report_captions_name_their_source() -> None:
    for mark in report_marks():
        caption = Path(mark["caption"]).read_text(encoding="utf-8")
        # notable models do not belong to a study
        source = "Epoch AI" if "models" in mark["path"] else "{{ snakemake.params.provenance }}"
        assert source in caption, mark["caption"]


def test_report_results_have_one_unique_label_each() -> None:
    # If half of a category's results share a label, the report of Snakemake 9 makes it a switch and
    # shows nothing of the category where results do not come in pairs.
    labels = [(mark["category"], mark["labels"]) for mark in report_marks()]
    assert [each for each in labels if len(each[1]) != 1] == []
    assert len(labels) > 30
    assert len(set(labels)) == len(labels)


def test_report_categories_are_numbered_consecutively() -> None:
    numbers = sorted({mark["category"] for mark in report_marks()})
    assert [name.split(" ")[0] for name in numbers] == [str(i + 1) for i in range(len(numbers))]


# --- files in docs/ ------------------------------------------------------------------------------


def test_gallery_has_every_figure_and_table_of_the_default_run() -> None:
    page = PAGE.read_text(encoding="utf-8")
    linked = re.findall(r"^!\[[^]]+\]\(gallery/(\w+\.png)\)$", page, re.M)
    wanted = {
        picture_of(mark["path"])
        for mark in report_marks()
        if mark["path"] not in OUTSIDE_THE_DEFAULT_RUN
    }
    assert len(linked) == len(set(linked))
    assert set(linked) == wanted, "run `make gallery`"
    assert {path.name for path in (ROOT / "docs/gallery").iterdir()} == wanted


def test_gallery_pictures_are_at_most_100_kb() -> None:
    pictures = list((ROOT / "docs/gallery").glob("*.png"))
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size > 100_000] == []


# --- page and pictures ---------------------------------------------------------------------------


CAPTION = (
    '<div class="document">\n<p>Left, <em>energy</em> &amp; time\nof a node.</p>\n'
    '<p>See <tt class="docutils literal">docs/method.md</tt>.</p>\n</div>\n'
)


def report_of(**categories: list[str]) -> str:
    """The part of a report that lists its results, as Snakemake 9 writes it."""
    paths = [path for each in categories.values() for path in each]
    results = {path: {"labels": {"shows": Path(path).stem}, "caption": CAPTION} for path in paths}
    named = {name.replace("_", " "): {"Other": paths} for name, paths in categories.items()}
    return "".join(
        f'<script id="{name}">\n    var {name} = {json.dumps(data)};\n    </script>\n'
        for name, data in (("results", results), ("categories", named))
    )


REPORT = report_of(
    **{"2_Levels": ["results/figures/b.svg"]},
    **{"1_Site": ["results/tables/a.html", "results/figures/a.svg"]},
)


def test_results_of_report_are_by_category_and_figures_before_tables() -> None:
    shown = GALLERY["results_of_report"](REPORT)
    assert [(each.category, each.path.as_posix(), each.picture) for each in shown] == [
        ("1 Site", "figures/a.svg", "a.png"),
        ("1 Site", "tables/a.html", "a_table.png"),
        ("2 Levels", "figures/b.svg", "b.png"),
    ]


def test_results_of_report_refuses_a_report_without_data() -> None:
    with pytest.raises(SystemExit, match="the report has no results"):
        GALLERY["results_of_report"]("<html></html>")


def test_caption_to_markdown_keeps_emphasis_and_code() -> None:
    expected = "Left, *energy* & time of a node.\n\nSee `docs/method.md`."
    assert GALLERY["caption_to_markdown"](CAPTION) == expected


def test_gallery_page_lists_each_result_with_its_picture_and_files() -> None:
    page = GALLERY["gallery_page"](GALLERY["results_of_report"](REPORT))
    headings = re.findall(r"^#+ (.*)", page, re.M)
    assert headings == ["Gallery", "Site", "A", "A", "Levels", "B"]
    assert "![a](gallery/a_table.png)\n" in page
    assert "`results/tables/a`: csv, html, tex.\n" in page
    assert "`results/figures/b`: pdf, png, svg.\n" in page


def noise_picture(width: int, height: int) -> Image.Image:
    """A picture that no format compresses well."""
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def test_encode_small_png_scales_down_to_the_size_limit() -> None:
    content = GALLERY["encode_small_png"](noise_picture(800, 400))
    assert len(content) <= 100_000
    with Image.open(io.BytesIO(content)) as made:
        assert made.width < 800
        assert made.width / made.height == pytest.approx(2.0, rel=0.02)
    with Image.open(io.BytesIO(GALLERY["encode_small_png"](noise_picture(80, 40)))) as made:
        assert made.size == (80, 40)
    assert content == GALLERY["encode_small_png"](noise_picture(800, 400))


@pytest.fixture(scope="module")
def parsed_table() -> Any:
    return GALLERY["Table"](formats.table_html(SMALL, provenance=PROVENANCE))


def test_table_parses_title_header_and_rows(parsed_table: Any) -> None:
    assert parsed_table.title == "Costs & 50 % of it"
    assert parsed_table.header.cells == ["Who", "Energy (kWh)", "Part (%)"]
    assert parsed_table.header.is_right == [False, True, True]
    assert [(row.cells, row.is_bold) for row in parsed_table.rows] == [
        (["a_b", "1\u202f234.57", "50.0"], False),
        (["c", "< 0.01", "0.0"], False),
        (["all", "–", "\u221212.5"], True),
    ]


def test_draw_table_shows_its_numbers(parsed_table: Any) -> None:
    texts = [text.get_text() for text in GALLERY["draw_table"](parsed_table).texts]
    assert {"Costs & 50 % of it", "Who", "Energy", "(kWh)", "1\u202f234.57", "all"} <= set(texts)
    picture = GALLERY["table_picture"](parsed_table)
    again = GALLERY["table_picture"](parsed_table)
    assert picture.tobytes() == again.tobytes()


def test_header_lines_keep_a_unit_of_two_words_together() -> None:
    assert GALLERY["_header_lines"]("Without data (node h)") == ["Without", "data", "(node\u00a0h)"]


def test_draw_table_counts_rows_that_are_not_shown(parsed_table: Any) -> None:
    most = GALLERY["MAX_ROWS"]
    table = GALLERY["Table"](formats.table_html(SMALL, provenance=PROVENANCE))
    table.rows = [parsed_table.rows[0]] * (most + 3)
    texts = [text.get_text() for text in GALLERY["draw_table"](table).texts]
    assert texts.count("a_b") == most
    assert "3 more rows" in texts


def test_main_writes_the_gallery_and_deletes_stale_pictures(tmp_path: Path) -> None:
    results, docs = tmp_path / "results", tmp_path / "docs"
    for folder in ("figures", "tables"):
        (results / folder).mkdir(parents=True)
    for name in ("a", "b"):
        noise_picture(40, 20).save(results / f"figures/{name}.png")
    page = formats.table_html(SMALL, provenance=PROVENANCE)
    (results / "tables/a.html").write_text(page, encoding="utf-8")
    (results / "provenance.html").write_text(REPORT, encoding="utf-8")
    (docs / "gallery").mkdir(parents=True)
    (docs / "gallery/gone.png").write_bytes(base64.b64decode("AA=="))
    GALLERY["main"](results, docs)
    made = {path.name: path.read_bytes() for path in (docs / "gallery").iterdir()}
    assert set(made) == {"a.png", "a_table.png", "b.png"}
    assert (docs / "gallery.md").read_text(encoding="utf-8").startswith("# Gallery\n")
    GALLERY["main"](results, docs)
    assert made == {path.name: path.read_bytes() for path in (docs / "gallery").iterdir()}
