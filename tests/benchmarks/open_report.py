"""Time until a page of a report can be used, beside another page in the same browser.

    python tests/benchmarks/open_report.py results/report.html other.html --repeats 7

Opens each page in turn, from a file, in Debian's Chromium, and prints the medians of the time to
the end of its load event and to the first frame after it, and their ratio. A page can be used when
its load event has ended: scripts in it have run.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

FRAME = """() => new Promise((done) => {
    const [entry] = performance.getEntriesByType("navigation");
    const after = () => requestAnimationFrame(() => setTimeout(() => done(
        [entry.loadEventEnd, performance.now()]), 0));
    entry.loadEventEnd > 0 ? after() : addEventListener("load", () => setTimeout(after, 0));
})"""


def time_page(browser: Browser, path: Path) -> tuple[float, float]:
    """Milliseconds to the end of the load event, and to the frame after it."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(path.resolve().as_uri(), wait_until="commit")
    loaded, framed = page.evaluate(FRAME)
    page.close()
    return loaded, framed


def main() -> None:
    """Print the times of the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        times: dict[Path, list[tuple[float, float]]] = {path: [] for path in options.pages}
        for _ in range(options.repeats + 1):
            for path in options.pages:
                times[path].append(time_page(browser, path))
        browser.close()
    first = None
    for path, found in times.items():
        loaded, framed = (statistics.median(each) for each in zip(*found[1:], strict=True))
        first = first or loaded
        print(f"{path}: loaded {loaded:.0f} ms, drawn {framed:.0f} ms, ratio {loaded / first:.2f}")


if __name__ == "__main__":
    main()
