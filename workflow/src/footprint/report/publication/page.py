"""One HTML page with the summary, figures and readers' tables of a publication."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence

import mistune

_STYLE = """\
body { font-family: sans-serif; line-height: 1.45; max-width: 60rem; margin: 2rem auto; }
body { padding: 0 1rem; color: #1a1a1a; }
figure { margin: 2rem 0; } img { max-width: 100%; }
.table { overflow-x: auto; margin: 2rem 0; }
table { border-collapse: collapse; } td, th { padding: 2px 8px; }
"""


def report_page(
    *,
    title: str,
    summary: str,
    figures: Mapping[str, bytes],
    tables: Mapping[str, str],
    notes: Sequence[str],
) -> str:
    """The page, which loads nothing.

    Args:
        title: Title of the page.
        summary: The summary in Markdown; HTML in it is shown as text.
        figures: SVG of each figure, by its name.
        tables: HTML of each readers' table, without a page around it, by its name.
        notes: What is withheld, and why.
    """
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{html.escape(title)}</title>",
        f"<style>{_STYLE}</style></head><body>",
        str(mistune.create_markdown(escape=True, plugins=["table"])(summary)),
        "<h2>Figures</h2>",
    ]
    for name, svg in figures.items():
        data = base64.b64encode(svg).decode()
        shown = html.escape(name.replace("_", " "))
        parts.append(
            f'<figure id="{html.escape(name)}">'
            f'<img alt="{shown}" src="data:image/svg+xml;base64,{data}"></figure>'
        )
    parts.append("<h2>Tables</h2>")
    parts += [f'<div class="table">{table}</div>' for table in tables.values()]
    parts.append("<h2>What is withheld</h2><ul>")
    parts += [f"<li>{html.escape(note)}</li>" for note in notes]
    parts.append("</ul></body></html>\n")
    return "\n".join(parts)
