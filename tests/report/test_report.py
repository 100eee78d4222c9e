"""The report in a browser: opened from a file, offline.

`FOOTPRINT_REPORT` names a report to test, such as the report of the default study. Without it, the
workflow makes a report of one day of one simulated node.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from pypdf import PdfReader

from footprint.report import wording
from tests.docs.test_gallery import OUTSIDE_THE_DEFAULT_RUN, report_marks
from tests.support.project import Project, configure, small_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.workflow,
    pytest.mark.filterwarnings("error"),
]

WAIT_MS = 120_000
DESKTOP = {"width": 1400, "height": 900}
PHONE = {"width": 390, "height": 844}


@dataclass
class Visit:
    """An opened page, with the URLs that it requested and its messages."""

    page: Page
    requested_urls: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def open(self, report: Path, fragment: str = "") -> None:
        """Open the report and wait for its figures and charts."""
        self.page.goto(report.as_uri() + fragment)
        self.page.locator("html[data-figures=shown]").wait_for(state="attached")
        self.page.locator("#phases svg").wait_for()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if "FOOTPRINT_REPORT" in os.environ:
        return Path(os.environ["FOOTPRINT_REPORT"]).resolve()
    project = Project(tmp_path_factory.mktemp("report"))
    config = small_study(project)
    config["study"] |= {"end": "2025-04-01"}
    config["source"] |= {"nodes": {"graffiti": 1}, "jobs": 30}
    folder = configure(project.folder.parent / "study", **config)
    project.run(folder, "--cores", "2")
    return folder / "results/report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium: Playwright's own would be downloaded from outside the registry."""
    driver = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: uv sync --group dev"
    )
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium here: apt-get install --no-install-recommends chromium")
    with driver.sync_playwright() as started:
        # Root, as in a container, may not start it otherwise; nothing but our own page is opened.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        found = started.chromium.launch(executable_path=chromium, args=sandbox)
        yield found
        found.close()


def visit_of(browser: Browser, **options: Any) -> Visit:
    context = browser.new_context(offline=True, **{"viewport": DESKTOP, **options})
    context.set_default_timeout(WAIT_MS)
    seen = Visit(context.new_page())
    context.on("request", lambda request: seen.requested_urls.append(request.url))
    seen.page.on("console", lambda message: seen.messages.append(message.text))
    seen.page.on("pageerror", lambda error: seen.messages.append(str(error)))
    return seen


@pytest.fixture
def visit(browser: Browser, report: Path) -> Iterator[Visit]:
    seen = visit_of(browser)
    seen.open(report)
    yield seen
    seen.page.context.close()


def options_of(page: Page) -> list[str]:
    values: list[str] = page.eval_on_selector_all("#scope option", "all => all.map(o => o.value)")
    return values


def test_report_shows_every_figure_and_table_without_request_or_message(visit: Visit) -> None:
    for mark in report_marks():
        if mark["path"] in OUTSIDE_THE_DEFAULT_RUN:
            continue
        path = Path(mark["path"])
        kind = "figure" if path.suffix == ".svg" else "table"
        exhibit = visit.page.locator(f"#{kind}-{path.stem}")
        assert exhibit.count() == 1, path
        if kind == "figure":
            size = exhibit.locator("img").evaluate("image => [image.naturalWidth, image.width]")
            assert min(size) > 100, path
        else:
            assert exhibit.locator("tbody tr").count() > 0, path
        caption = exhibit.locator("figcaption, .caption").text_content() or ""
        assert len(caption.split()) > 15, path
        assert "{{" not in caption, path
    assert visit.messages == []
    outside = [
        u[:80] for u in visit.requested_urls if not u.startswith(("file:", "data:", "blob:"))
    ]
    assert outside == []


def test_report_is_one_file_of_at_most_five_megabytes(report: Path) -> None:
    assert report.stat().st_size <= 5_000_000
    text = report.read_text(encoding="utf-8")
    assert (
        re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"']?(?!blob:)http", text) == []
    )


def test_every_scope_shows_its_total_of_the_levels(visit: Visit, report: Path) -> None:
    levels = pl.read_parquet(report.parent / "levels.parquet").filter(method="bmc")
    shown = levels.filter(pl.col("level").is_in(["site", "project", "paper", "user"]))
    assert sorted(options_of(visit.page)) == sorted(
        f"{r['level']}:{r['name']}" for r in shown.to_dicts()
    )
    for row in shown.drop_nulls("total_kwh").iter_rows(named=True):
        visit.page.select_option("#scope", f"{row['level']}:{row['name']}")
        total, _ = wording.energy_texts(
            row["total_kwh"], row["total_low_kwh"], row["total_high_kwh"]
        )
        assert total in visit.page.locator(".card strong").first.inner_text()
        title = visit.page.locator("#title").inner_text()
        assert title
        assert visit.page.locator("#statement").inner_text()
    assert visit.messages == []


def test_simulated_report_says_so_at_the_top_and_in_its_title(visit: Visit) -> None:
    assert "SIMULATED" in visit.page.title()
    banner = visit.page.locator(".simulated").bounding_box()
    assert banner is not None
    assert banner["y"] < 200


def test_run_view_has_power_reasons_and_a_label_row(visit: Visit) -> None:
    page = visit.page
    first = page.locator("#runs tbody button").first
    run_id = first.inner_text()
    first.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("#run[open]")
    dialog.locator("svg path").first.wait_for()
    assert run_id in dialog.locator("#run-title").inner_text()
    assert dialog.locator("#chances li").count() == 6
    label = dialog.locator("#label").inner_text()
    assert label.startswith("- jobs: [")
    assert "kind:" in label
    assert f"/run/{run_id}" in page.url
    page.keyboard.press("Escape")
    assert page.locator("#run[open]").count() == 0
    page.wait_for_function("!location.hash.includes('/run/')")


def test_deep_link_restores_scope_and_run(browser: Browser, report: Path, visit: Visit) -> None:
    wanted = options_of(visit.page)[-1]
    visit.page.select_option("#scope", wanted)
    title = visit.page.locator("#title").inner_text()
    own = visit.page.locator("#runs tbody button")
    if own.count():
        own.first.click()
    fragment = "#" + visit.page.url.partition("#")[2]
    again = visit_of(browser)
    again.open(report, fragment)
    assert again.page.locator("#scope").input_value() == wanted
    assert again.page.locator("#title").inner_text() == title
    assert again.page.locator("#run[open]").count() == min(own.count(), 1)
    again.page.context.close()


def test_downloaded_csv_equals_the_sorted_and_searched_table(visit: Visit) -> None:
    page = visit.page
    page.fill("#search", "development")
    page.get_by_role("button", name="GPU hours").click()
    while page.locator("#more").is_visible():
        page.locator("#more").click()
    with page.expect_download() as waited:
        page.get_by_role("button", name="Download table").click()
    rows = list(csv.reader(io.StringIO(Path(waited.value.path()).read_text(encoding="utf-8"))))
    table: list[list[str]] = page.evaluate(
        "[...document.querySelectorAll('#runs tr')].map(r => [...r.cells].map(c => c.innerText))"
    )
    assert len(rows) == len(table) > 1
    assert rows[0] == table[0]
    hours = rows[0].index("GPU hours")
    for cells, shown in zip(rows[1:], table[1:], strict=True):
        assert cells[0] == shown[0]
        assert [cells[2], cells[3]] == [shown[2], shown[3]]
        if cells[hours] and float(cells[hours]) >= 0.01:
            text = shown[hours].replace("\u202f", "")
            assert float(text) == pytest.approx(float(cells[hours]), rel=0.006)
    found = [float(cells[hours]) for cells in rows[1:]]
    assert found == sorted(found, reverse=True)


def test_report_on_a_phone_has_no_sideways_scroll(browser: Browser, report: Path) -> None:
    seen = visit_of(browser, viewport=PHONE)
    seen.open(report)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    box = seen.page.locator(".card strong").first.bounding_box()
    assert box is not None
    assert box["y"] < PHONE["height"]
    seen.page.context.close()


def test_report_prints_as_whole_pages_with_legends(visit: Visit, tmp_path: Path) -> None:
    visit.page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    pages = [page.extract_text() for page in PdfReader(tmp_path / "report.pdf").pages]
    assert 5 < len(pages) < 40
    first = pages[0]
    for text in ("SIMULATED SITE", "Energy at the nodes", "development", "Phases"):
        assert text in first
    assert "Copy link" not in "".join(pages)
    assert "Energy (kWh)" in "".join(pages)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_has_no_serious_barriers(browser: Browser, report: Path, scheme: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe  # it imports playwright

    axe = Axe()
    seen = visit_of(browser, color_scheme=scheme)
    seen.open(report)
    for is_open in (False, True):
        if is_open:
            seen.page.locator("#runs tbody button").first.click()
            seen.page.locator("#run svg path").first.wait_for()
        violations = axe.run(seen.page).response["violations"]
        serious = [
            (each["id"], [node["target"] for node in each["nodes"]][:3])
            for each in violations
            if each["impact"] in ("serious", "critical")
        ]
        assert serious == []
    seen.page.context.close()


def test_report_loads_no_outside_address_in_figures(visit: Visit) -> None:
    texts: list[str] = visit.page.evaluate(
        """async () => Promise.all([...document.querySelectorAll("[data-figure] img")].map(
            async (image) => (await fetch(image.src)).text()))"""
    )
    assert texts
    for text in texts:
        loads = re.findall(r"""(?:\ssrc|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text)
        assert [each for each in loads if re.match(r"(?:https?:)?//", each)] == []
        assert "<script" not in text
