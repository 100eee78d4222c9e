"""Figures and tables of the report with their captions, in the order of the argument."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from docutils.core import publish_parts
from jinja2 import Environment, StrictUndefined

SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "What the site used": (
        *("study_summary", "energy_by_class", "energy_over_time", "hardware", "node_week"),
        *("concentration", "levels", "carbon"),
    ),
    "Development and training": (
        *("phases", "paper_runs", "phase_energies", "energy_per_run", "stages"),
        *("sensitivities", "ratio_uncertainty"),
    ),
    "What other methods estimate": ("methods", "ratios", "estimators"),
    "How certain the numbers are": (
        *("uncertainty", "virtual_meter", "reliability", "evaluation", "simulation_check"),
        *("counters", "quality", "ledger"),
    ),
    "Background": ("models", "active_users", "site_map"),
}
"""Sections of the figures and tables, with the names of their files in order."""


def ordered_exhibits(
    exhibits: Iterable[Mapping[str, str]], *, params: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Sections with their figures and tables as the page shows them.

    Args:
        exhibits: `kind` (`figure` or `table`), `name`, `shows` (title), `caption` (path of the
            reStructuredText), `path` (SVG or HTML).
        params: Parameters that captions name.

    Returns:
        `heading` and `exhibits` of each section that has any: `id`, `kind`, `title`, `caption`
        (HTML), and `svg` (of a figure: gzip in base64) or `table` (HTML).

    Raises:
        ValueError: An exhibit is in no section.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for exhibit in exhibits:
        own = found.setdefault(exhibit["name"], {})
        own[exhibit["kind"]] = _exhibit(exhibit, params)
    known = {name for names in SECTIONS.values() for name in names}
    if missing := sorted(set(found) - known):
        raise ValueError(f"{missing[0]} is in no section of the report (exhibits.SECTIONS)")
    sections = []
    for heading, names in SECTIONS.items():
        shown = [
            found[name][kind]
            for name in names
            for kind in ("figure", "table")
            if kind in found.get(name, {})
        ]
        if shown:
            sections.append({"heading": heading, "exhibits": shown})
    return sections


def _exhibit(exhibit: Mapping[str, str], params: Mapping[str, Any]) -> dict[str, Any]:
    text = Path(exhibit["path"]).read_text(encoding="utf-8")
    shown = {
        "id": f"{exhibit['kind']}-{exhibit['name']}",
        "kind": exhibit["kind"],
        "title": exhibit["shows"][:1].upper() + exhibit["shows"][1:],
        "caption": caption_html(Path(exhibit["caption"]).read_text(encoding="utf-8"), params),
    }
    if exhibit["kind"] == "table":
        return shown | {"table": table_element(text)}
    packed = gzip.compress(text.encode("utf-8"), mtime=0)
    return shown | {"svg": base64.b64encode(packed).decode("ascii")}


def caption_html(text: str, params: Mapping[str, Any]) -> str:
    """Return a caption as HTML paragraphs.

    Args:
        text: reStructuredText with expressions of Jinja, as Snakemake's captions.
        params: Values of `snakemake.params`; `provenance` is empty, because the page has it once.
    """
    environment = Environment(undefined=StrictUndefined, autoescape=False)
    filled = environment.from_string(text).render(
        snakemake={"params": {**params, "provenance": ""}}
    )
    settings = {"report_level": 4, "file_insertion_enabled": False, "raw_enabled": False}
    return str(publish_parts(filled, writer="html5", settings_overrides=settings)["fragment"])


def table_element(page: str) -> str:
    """The `table` element of a page of `tables.formats.table_html`, without its inline style."""
    start, end = page.index("<table"), page.index("</table>") + len("</table>")
    return re.sub(r' (style|headers|id|data-[a-z-]+)="[^"]*"', "", page[start:end])
