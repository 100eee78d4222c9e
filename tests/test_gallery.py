"""The gallery: that it has every figure and table, and how its page and pictures are made."""

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
from paper_frames import PROVENANCE
from PIL import Image
from running import ROOT
from test_report_tables import SMALL

from footprint import report_tables

pytestmark = pytest.mark.filterwarnings("error")

GALLERY = runpy.run_path(str(ROOT / "docs/gallery.py"))
PAGE = ROOT / "docs/gallery.md"
RULES = sorted((ROOT / "workflow/rules").glob("*.smk"))
MARK = re.compile(
    r'report\(\s*"<results>/(?P<path>[^"]+)",\s*caption="(?P<caption>[^"]+)",'
    r'\s*category="(?P<category>[^"]+)",\s*labels=\{(?P<labels>[^}]*)\},\s*\)'
)
OUTSIDE_THE_DEFAULT_RUN = ("figures/validation.svg", "tables/validation.html", "tables/ledger.html")


def marks() -> list[dict[str, str]]:
    """What the rules mark for the report: path, caption, category, and labels as written there."""
    texts = [path.read_text(encoding="utf-8") for path in RULES]
    found = [mark.groupdict() for text in texts for mark in MARK.finditer(text)]
    # none is overlooked because it is written in another way
    assert len(found) == sum(len(re.findall(r"\breport\(", text)) for text in texts)
    return found


def picture_of(path: str) -> str:
    name = Path(path)
    return f"{name.stem}{'_table' if name.suffix == '.html' else ''}.png"


# --- what the rules mark -------------------------------------------------------------------------


def test_each_figure_and_table_has_a_caption_that_says_its_source() -> None:
    for mark in marks():
        caption = (ROOT / "workflow/rules" / mark["caption"]).read_text(encoding="utf-8")
        # notable models are of no study
        source = "Epoch AI" if "models" in mark["path"] else "{{ snakemake.params.provenance }}"
        assert source in caption, mark["caption"]


def test_each_figure_and_table_has_one_label_of_its_own() -> None:
    # Of several labels, the report of Snakemake 9 takes one that half of a category's results have
    # for a switch, and then shows nothing of that category where results do not come in pairs.
    labels = [(mark["category"], mark["labels"]) for mark in marks()]
    assert [each for each in labels if each[1].count(":") != 1] == []
    assert len(set(labels)) == len(labels)


def test_categories_are_numbered_one_by_one() -> None:
    numbers = sorted({mark["category"] for mark in marks()})
    assert [name.split(" ")[0] for name in numbers] == [str(i + 1) for i in range(len(numbers))]


# --- what lies in docs/ --------------------------------------------------------------------------


def test_the_gallery_has_every_figure_and_table_of_the_default_run() -> None:
    page = PAGE.read_text(encoding="utf-8")
    linked = re.findall(r"^!\[[^]]+\]\(gallery/(\w+\.png)\)$", page, re.M)
    wanted = {
        picture_of(mark["path"]) for mark in marks() if mark["path"] not in OUTSIDE_THE_DEFAULT_RUN
    }
    assert len(linked) == len(set(linked))
    assert set(linked) == wanted, "run `make gallery`"
    assert {path.name for path in (ROOT / "docs/gallery").iterdir()} == wanted


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs/gallery").glob("*.png"))
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size > 100_000] == []


# --- how they are made ---------------------------------------------------------------------------


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


def test_results_stand_by_category_and_figures_before_tables() -> None:
    shown = GALLERY["shown_in"](REPORT)
    assert [(each.category, each.path.as_posix(), each.picture) for each in shown] == [
        ("1 Site", "figures/a.svg", "a.png"),
        ("1 Site", "tables/a.html", "a_table.png"),
        ("2 Levels", "figures/b.svg", "b.png"),
    ]


def test_another_report_is_refused() -> None:
    with pytest.raises(SystemExit, match="the report has no results"):
        GALLERY["shown_in"]("<html></html>")


def test_captions_become_markdown() -> None:
    expected = "Left, *energy* & time of a node.\n\nSee `docs/method.md`."
    assert GALLERY["markdown"](CAPTION) == expected


def test_the_page_lists_each_with_its_picture_and_files() -> None:
    page = GALLERY["page"](GALLERY["shown_in"](REPORT))
    headings = re.findall(r"^#+ (.*)", page, re.M)
    assert headings == ["Gallery", "Site", "A", "A", "Levels", "B"]
    assert "![a](gallery/a_table.png)\n" in page
    assert "`results/tables/a`: csv, html, tex.\n" in page
    assert "`results/figures/b`: pdf, png, svg.\n" in page


def noise(width: int, height: int) -> Image.Image:
    """A picture that no format makes small."""
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def test_a_picture_is_made_narrower_until_it_is_small() -> None:
    content = GALLERY["small"](noise(800, 400))
    assert len(content) <= 100_000
    with Image.open(io.BytesIO(content)) as made:
        assert made.width < 800
        assert made.width / made.height == pytest.approx(2.0, rel=0.02)
    with Image.open(io.BytesIO(GALLERY["small"](noise(80, 40)))) as made:
        assert made.size == (80, 40)
    assert content == GALLERY["small"](noise(800, 400))


@pytest.fixture(scope="module")
def read() -> Any:
    return GALLERY["Table"](report_tables.html(SMALL, provenance=PROVENANCE))


def test_a_table_is_read_from_its_page(read: Any) -> None:
    assert read.title == "Costs & 50 % of it"
    assert read.header.cells == ["Who", "Energy (kWh)", "Part (%)"]
    assert read.header.is_right == [False, True, True]
    assert [(row.cells, row.is_bold) for row in read.rows] == [
        (["a_b", "1\u2009234.57", "50.0"], False),
        (["c", "< 0.01", "0.0"], False),
        (["all", "–", "\u221212.5"], True),
    ]


def test_a_table_is_drawn_with_its_numbers(read: Any) -> None:
    texts = [text.get_text() for text in GALLERY["drawn"](read).texts]
    assert {"Costs & 50 % of it", "Who", "Energy", "(kWh)", "1\u2009234.57", "all"} <= set(texts)
    picture = GALLERY["table_picture"](read)
    again = GALLERY["table_picture"](read)
    assert picture.tobytes() == again.tobytes()


def test_a_unit_of_two_words_is_not_broken() -> None:
    assert GALLERY["_broken"]("Without data (node h)") == ["Without", "data", "(node\u00a0h)"]


def test_rows_that_are_not_shown_are_counted(read: Any) -> None:
    most = GALLERY["MOST_ROWS"]
    table = GALLERY["Table"](report_tables.html(SMALL, provenance=PROVENANCE))
    table.rows = [read.rows[0]] * (most + 3)
    texts = [text.get_text() for text in GALLERY["drawn"](table).texts]
    assert texts.count("a_b") == most
    assert "3 more rows" in texts


def test_a_run_is_written_and_what_is_no_more_goes(tmp_path: Path) -> None:
    results, docs = tmp_path / "results", tmp_path / "docs"
    for folder in ("figures", "tables"):
        (results / folder).mkdir(parents=True)
    for name in ("a", "b"):
        noise(40, 20).save(results / f"figures/{name}.png")
    page = report_tables.html(SMALL, provenance=PROVENANCE)
    (results / "tables/a.html").write_text(page, encoding="utf-8")
    (results / "report.html").write_text(REPORT, encoding="utf-8")
    (docs / "gallery").mkdir(parents=True)
    (docs / "gallery/gone.png").write_bytes(base64.b64decode("AA=="))
    GALLERY["main"](results, docs)
    made = {path.name: path.read_bytes() for path in (docs / "gallery").iterdir()}
    assert set(made) == {"a.png", "a_table.png", "b.png"}
    assert (docs / "gallery.md").read_text(encoding="utf-8").startswith("# Gallery\n")
    GALLERY["main"](results, docs)
    assert made == {path.name: path.read_bytes() for path in (docs / "gallery").iterdir()}
