"""Files of a figure or readers' table, with their place in the report.

`EXHIBITS` collects them for the rule `write_report`; Snakemake's own report, of `make provenance`,
contains them too.
"""

EXHIBITS = []


def add_exhibit(kind, name, shows, caption):
    """Record a figure or table for the report."""
    EXHIBITS.append({"kind": kind, "name": name, "shows": shows, "caption": caption})


def figure_files(name, category, shows, has_column=False):
    """Return the files of a figure; the report contains the SVG, with its caption.

    The files of a version of one column begin with `column_`; the report leaves them out.

    Args:
        name: Name of the files, and of the caption in `footprint/report/captions`.
        category: Section of the report.
        shows: What the figure shows, for the report's list.
        has_column: Whether to draw the figure for one column of a journal (88 mm), too.
    """
    path = f"<results>/figures/{name}"
    add_exhibit("figure", name, shows, caption=f"{name}.rst")
    shown = report(
        f"{path}.svg",
        caption=f"../src/footprint/report/captions/{name}.rst",
        category=category,
        labels={"shows": f"{shows}, figure"},
    )
    files = {"svg": shown, "pdf": f"{path}.pdf", "png": f"{path}.png"}
    if has_column:
        files |= {f"column_{form}": f"{path}_column.{form}" for form in ("svg", "pdf", "png")}
    return files


def table_files(name, category, shows):
    """Return the files of a readers' table; the report contains the HTML, with its caption.

    Args:
        name: Name of the files; the caption in `footprint/report/captions` is `<name>_table.rst`.
        category: Section of the report.
        shows: What the table shows, for the report's list.
    """
    path = f"<results>/tables/{name}"
    add_exhibit("table", name, shows, caption=f"{name}_table.rst")
    shown = report(
        f"{path}.html",
        caption=f"../src/footprint/report/captions/{name}_table.rst",
        category=category,
        labels={"shows": f"{shows}, table"},
    )
    return {"html": shown, "csv": f"{path}.csv", "tex": f"{path}.tex"}
