"""The report in a browser: opened from a file, offline.

`FOOTPRINT_REPORT` names a report to test, such as the report of the default study. Without it, the
workflow makes a report of one day of one simulated node.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.test_gallery import OUTSIDE_THE_DEFAULT_RUN, report_marks
from tests.support.project import Project, configure, small_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.workflow,
    pytest.mark.filterwarnings("error"),
]

WAIT_MS = 120_000
VIEWED = "app.state.resultPath"
"""The result that the report shows, in the JavaScript of the report."""
LINK = re.compile(r"\b(?:https?:)?//[\w.-]+")


@dataclass
class Visit:
    """An opened page, with the URLs that it requested and its error messages."""

    page: Page
    requested_urls: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


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


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(offline=True, viewport={"width": 1400, "height": 900})
    opened.set_default_timeout(WAIT_MS)
    yield opened
    opened.close()


@pytest.fixture
def visit(context: BrowserContext, report: Path) -> Iterator[Visit]:
    seen = Visit(context.new_page())
    requested: Callable[..., None] = lambda request: seen.requested_urls.append(request.url)  # noqa: E731
    context.on("request", requested)
    seen.page.on(
        "console",
        lambda message: seen.errors.append(message.text) if message.type == "error" else None,
    )
    seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
    seen.page.goto(report.as_uri())
    seen.page.get_by_text("General", exact=True).wait_for()
    yield seen
    context.remove_listener("request", requested)
    seen.page.close()


def open_category(page: Page, category: str) -> None:
    """Click a category in the menu, whose entries are sorted by name."""
    page.get_by_role("link", name=category).or_(
        page.get_by_text(category, exact=True)
    ).first.click()
    page.locator("#app tbody tr").first.wait_for()


def shown_in(page: Page) -> Iterator[str]:
    """Open every result of the open category, and yield its path once it is on the screen.

    A category with a figure for each table has a switch between the two instead of rows of both.
    """
    switch = page.locator("#app fieldset label")
    rows = page.locator("#app tbody tr")
    for position in range(max(1, switch.count())):
        if switch.count():
            switch.nth(position).click()
        for row in range(rows.count()):
            rows.nth(row).locator("a").first.click()
            yield str(page.evaluate(VIEWED))


def assert_on_screen(page: Page, path: str) -> None:
    """A figure has a size and a title, a table has rows and a note."""
    if path.endswith(".svg"):
        image = page.locator("#app .grow img")
        image.wait_for()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100, path
    else:
        table: FrameLocator = page.frame_locator("#app iframe")
        table.locator("tfoot").wait_for()
        assert table.locator("tbody tr").count() > 0, path
        assert "footprint" in table.locator("tfoot").inner_text(), f"{path} has no source"


def test_report_shows_every_figure_and_table_without_errors(visit: Visit) -> None:
    listed = visit.page.evaluate("Object.keys(results)")
    categories = visit.page.evaluate("Object.keys(categories)")
    seen: list[str] = []
    for category in categories:
        visit.page.reload()
        open_category(visit.page, category)
        for path in shown_in(visit.page):
            assert_on_screen(visit.page, path)
            seen.append(path)
    assert sorted(seen) == sorted(listed)
    wanted = [mark for mark in report_marks() if mark["path"] not in OUTSIDE_THE_DEFAULT_RUN]
    assert {f"results/{mark['path']}" for mark in wanted} <= set(seen)
    assert visit.errors == []
    outside = [
        url[:80] for url in visit.requested_urls if not url.startswith(("file:", "data:", "blob:"))
    ]
    assert outside == []


def test_report_has_a_caption_with_source_for_every_result(visit: Visit) -> None:
    for path in visit.page.evaluate("Object.keys(results)"):
        visit.page.evaluate("path => app.showResultInfo(path)", path)
        visit.page.get_by_text("Description", exact=True).wait_for()
        caption = visit.page.locator("#app .prose-invert").inner_text()
        assert len(caption.split()) > 15, path
        assert "footprint" in caption, f"the caption of {path} does not say the source"
        assert "{{" not in caption


def test_report_opens_with_study_conclusions_and_categories(visit: Visit) -> None:
    text = visit.page.locator("#app .prose").inner_text()
    assert "from 2025-" in text
    assert "simulated site" in text
    # the conclusions and the energy by class come first, and can be seen: nothing is cut off
    box = visit.page.locator("#app .prose").bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert visit.page.locator("#app .prose ol").first.locator("li").count() == 3
    assert visit.page.locator("#app .prose .opening svg").is_visible()
    # the first page names every category of the menu
    for category in visit.page.evaluate("Object.keys(categories)"):
        name = category.partition(" ")[2]
        assert name in text, f"workflow/report/workflow.rst does not name {category}"


def test_report_results_load_nothing_from_outside(visit: Visit) -> None:
    texts: dict[str, str] = visit.page.evaluate(
        """async () => {
            const found = {}
            for (const [path, result] of Object.entries(results)) {
                const [head, body] = result.data_uri.split(/,(.*)/s)
                const bytes = head.includes("base64") ? atob(body) : decodeURIComponent(body)
                found[path] = bytes
            }
            return found
        }"""
    )
    for path, text in texts.items():
        loads = re.findall(r"""(?:\ssrc|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text)
        outside = [each for each in loads if LINK.match(each)]
        assert outside == [], path
        assert text.count("<") > 20, path
        assert "<script" not in text, path
