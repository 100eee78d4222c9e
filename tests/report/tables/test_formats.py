"""Readers' tables: their formats, and the numbers of the tables of energy."""

import dataclasses
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.core import vocabulary
from footprint.core.latex import NARROW_SPACE
from footprint.levels import levels
from footprint.levels.selection import LevelSelection
from footprint.report.tables import energy, formats
from footprint.report.tables.formats import Column, ReaderTable
from footprint.schemas.levels import Levels
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform
from tests.support import study_frames
from tests.support.figure_checks import levels_of_study
from tests.support.study_frames import ERROR_MODEL, PROVENANCE, START, node_energy_frame

DAY = START.date()
NODES: dict[str, Any] = {
    "nodes": pl.DataFrame(schema={"node": pl.String, "power_metrics": pl.List(pl.String)}),
    "metric": "bmc_node_power_watt",
}
REJECTED = conform(
    RejectedRows,
    pl.DataFrame(
        {
            "stage": ["jobs", "jobs", "jobs"],
            "source": ["a.json", "b.json", "a.json"],
            "reason": ["repeated", "repeated", "no such node"],
            "n_rows": [1000, 234, 4],
            "example": [None, "17", None],
        }
    ),
)


@pytest.fixture(scope="module")
def study() -> study_frames.StudyFrames:
    return study_frames.invented_study()


@pytest.fixture(scope="module")
def made(study: study_frames.StudyFrames) -> dict[str, ReaderTable]:
    rows = levels.energy_by_level(
        study.energy,
        study.papers.lazy(),
        study.estimates.lazy(),
        site="nancy",
        selection=LevelSelection(users={"u-00000001"}, minimum_group=5),
        redistribution="resource_hours",
        model=ERROR_MODEL,
    )
    rows = conform(Levels, rows)
    made = [
        energy.levels_table(rows, redistribution="resource_hours"),
        energy.energy_by_class_table(study.node_energy),
        energy.quality_table(study.quality, REJECTED, **NODES),
        energy.simulation_check_table(study.check),
    ]
    return {table.name: table for table in made}


NAMES = ["levels", "energy_by_class", "quality", "simulation_check"]


def written(table: ReaderTable, folder: Path) -> dict[str, str]:
    paths = {form: folder / f"{table.name}.{form}" for form in ("csv", "html", "tex")}
    formats.write_table(table, paths, provenance=PROVENANCE)
    return {form: path.read_text(encoding="utf-8") for form, path in paths.items()}


def tex_rows(text: str) -> list[str]:
    """Lines of a table in LaTeX that have a cell for each column."""
    return [
        line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line
    ]


class Page(HTMLParser):
    """Cells of a page by row, and the tags that load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.loaded: list[str] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True
        self.loaded += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data.strip()


SMALL = ReaderTable(
    name="small_one",
    title="Costs & 50 % of it",
    note="A_note.",
    rows=pl.DataFrame(
        {
            "who": ["a_b", "c", "all"],
            "kwh": [1234.567, 0.0004, None],
            "part": [0.5, 0.0, -0.125],
            "is_total": [False, False, True],
        }
    ),
    columns=[
        Column(name="who", header="Who"),
        Column(name="kwh", header="Energy", unit="kWh", decimals=2),
        Column(name="part", header="Part", unit="%", decimals=1, scale=100),
    ],
)


def test_csv_has_units_and_unrounded_values() -> None:
    assert formats.table_csv(SMALL, provenance="nancy") == (
        "Who,Energy (kWh),Part (%),Source\n"
        "a_b,1234.567,50.0,nancy\nc,0.0004,0.0,nancy\nall,,-12.5,nancy\n"
    )


def test_latex_of_a_small_table_matches_the_expected_source() -> None:
    assert formats.table_latex(SMALL, provenance="nancy · 2025") == "\n".join(
        [
            r"\begin{table}[htbp]",
            r"\centering",
            r"\caption{Costs \& 50 \% of it}",
            r"\label{tab:small-one}",
            r"\scriptsize",
            r"\setlength{\tabcolsep}{1.9pt}",
            r"\begin{tabular}{@{}lrr@{}}",
            r"\toprule",
            r"Who & Energy & Part \\",
            r" & (kWh) & (\%) \\",
            r"\midrule",
            r"a\_b & 1\,234.57 & 50.0 \\",
            r"c & $<$ 0.01 & 0.0 \\",
            r"\midrule",
            r"\textbf{all} & \textbf{--} & \textbf{$-$12.5} \\",
            r"\bottomrule",
            r"\end{tabular}",
            "",
            r"\smallskip",
            r"\begin{minipage}{\linewidth}\raggedright\scriptsize",
            r"A\_note.",
            "",
            r"nancy $\cdot$ 2025",
            r"\end{minipage}",
            r"\end{table}",
            "",
        ]
    )


def test_latex_of_a_table_longer_than_a_page_has_several_floats() -> None:
    days = [f"day {i}" for i in range(1, 61)]
    rows = pl.DataFrame({"who": days, "group": ["a"] * 20 + ["b"] * 40, "kwh": [1.0] * 60})
    long = dataclasses.replace(SMALL, rows=rows, columns=SMALL.columns[:2])
    text = formats.table_latex(long, provenance="nancy")
    first, second = (part for part in text.split(r"\begin{table}[htbp]") if part)
    assert [len(re.findall("day", part)) for part in (first, second)] == [30, 30]
    # one number, one label, and the note once below the last
    assert r"\addtocounter{table}{-1}" in second
    assert r"\caption{Costs \& 50 \% of it (continued)}" in second
    assert text.count(r"\label") == text.count(r"\addtocounter") == 1
    assert text.count("A\\_note.") == second.count("A\\_note.") == 1
    # each has its header, and the name of the group that goes on
    assert text.count(r"\toprule") == text.count("(kWh)") == 2
    assert [part.count(r"\emph{b}") for part in (first, second)] == [1, 1]
    assert r"\addtocounter" not in formats.table_latex(SMALL, provenance="nancy")


def test_html_of_a_small_table_has_the_expected_cells() -> None:
    page = Page(formats.table_html(SMALL, provenance=PROVENANCE))
    cells = [[cell.replace("\u202f", " ") for cell in row] for row in page.rows]
    assert cells == [
        ["Costs & 50 % of it"],
        ["Who", "Energy (kWh)", "Part (%)"],
        ["a_b", "1 234.57", "50.0"],
        ["c", "< 0.01", "0.0"],
        ["all", "–", "−12.5"],
        ["A_note."],
        [PROVENANCE],
    ]


def test_html_of_totals_is_bold() -> None:
    text = formats.table_html(SMALL, provenance=PROVENANCE)
    bold = re.findall(r'<td style="[^"]*font-weight: bold[^"]*"[^>]*>([^<]*)</td>', text)
    assert len(bold) == 3
    assert bold[0] == "all"


@pytest.mark.parametrize("name", NAMES)
def test_formats_of_a_table_have_the_same_rows(
    made: dict[str, ReaderTable], tmp_path: Path, name: str
) -> None:
    table = made[name]
    text = written(table, tmp_path)
    height = len(table.rows)
    assert len(text["csv"].splitlines()) == 1 + height
    page = Page(text["html"])
    body = [row for row in page.rows if len(row) == len(table.columns)]
    assert len(body) == 1 + height
    assert page.loaded == []
    assert not re.findall(r"@import|url\(|https?://", text["html"])
    assert PROVENANCE in text["html"]
    printed = [column for column in table.columns if column.printed]
    rows = tex_rows(text["tex"])
    assert all(len(re.findall(r"(?<!\\)&", line)) == len(printed) - 1 for line in rows)
    assert "simulated site" in text["tex"]


@pytest.mark.parametrize("name", NAMES)
def test_write_of_an_equal_table_gives_equal_files(
    made: dict[str, ReaderTable], tmp_path: Path, name: str
) -> None:
    assert written(made[name], tmp_path) == written(made[name], tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_latex_uses_commands_of_latex_and_booktabs_alone(
    made: dict[str, ReaderTable], name: str
) -> None:
    text = formats.table_latex(made[name], provenance=PROVENANCE)
    known = {
        "begin",
        "end",
        "centering",
        "caption",
        "label",
        "scriptsize",
        "setlength",
        "tabcolsep",
    }
    known |= {"toprule", "midrule", "bottomrule", "multicolumn", "emph", "textbf", "smallskip"}
    known |= {"linewidth", "raggedright", "times", "cdot"}
    assert set(re.findall(r"\\([a-zA-Z]+)", text)) <= known
    assert text.isascii()


ODD_NAMES = [
    "$\\frac$ x",
    '=HYPERLINK("http://x")',
    "-2+3",
    "<script>alert(1)</script>",
    "[x] \\input{a} & 50 % of #1_~^",
]


def odd_table() -> ReaderTable:
    """A table of names that are code in one of its formats."""
    rows = pl.DataFrame({"group": ODD_NAMES, "name": ODD_NAMES, "kwh": [-1.0] * len(ODD_NAMES)})
    columns = [
        Column(name="name", header="Name"),
        Column(name="kwh", header="Energy", unit="kWh", decimals=1),
    ]
    return ReaderTable(
        name="odd", title=ODD_NAMES[0], note=ODD_NAMES[-1], rows=rows, columns=columns
    )


def test_names_are_code_in_no_format() -> None:
    shown = pl.read_csv(formats.table_csv(odd_table(), provenance="p").encode())
    expected = [f"'{name}" if name[0] in "=-" else name for name in ODD_NAMES]
    assert shown["Name"].to_list() == shown["group"].to_list() == expected
    assert shown["Energy (kWh)"].to_list() == [-1.0] * len(ODD_NAMES)
    page = formats.table_html(odd_table(), provenance="p")
    assert "<script" not in page
    cells = [cell for row in Page(page).rows for cell in row]
    assert all(cells.count(name) >= 2 for name in ODD_NAMES)
    latex = formats.table_latex(odd_table(), provenance="p")
    assert r"\$\textbackslash{}frac\$ x" in latex
    assert r"{[}x{]} \textbackslash{}input\{a\} \& 50 \% of \#1\_\textasciitilde{}" in latex


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex here")
def test_latex_compiles_and_fits_the_page(made: dict[str, ReaderTable], tmp_path: Path) -> None:
    # As large as in a study of two months on fifty nodes.
    large = ("total_kwh", "total_low_kwh", "total_high_kwh", "with_overhead_kwh", "job", "idle")
    large += ("n_read", "n_duplicate", "n_nan", "n_stuck")
    for table in made.values():
        columns = [column for column in large if column in table.rows.columns]
        rows = table.rows.with_columns(pl.col(columns) * 20)
        if table.name == "levels":
            rows = rows.with_columns(pl.col("name").str.replace("larsen", vocabulary.SMALL_GROUPS))
        written(dataclasses.replace(table, rows=rows), tmp_path)
    written(odd_table(), tmp_path)
    inputs = "".join(rf"\input{{{name}}}" for name in (*made, "odd"))
    (tmp_path / "page.tex").write_text(
        rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{inputs}\end{{document}}"
    )
    ran = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert "Overfull" not in ran.stdout


def test_total_and_ends_have_the_same_decimals_and_three_digits() -> None:
    rows = pl.DataFrame(
        {
            "total_kwh": [4137.2, 52.34, 7.0, None],
            "total_low_kwh": [3680.0, 47.1, None, None],
            "total_high_kwh": [4870.0, 59.8, None, None],
            "measured_frac": [0.75, 0.3, 1.0, None],
        }
    )
    columns = formats.total_columns()
    table = ReaderTable(name="t", title="t", note="n", rows=rows, columns=columns)
    assert [row[:3] for row in Page(formats.table_html(table, provenance="p")).rows[2:6]] == [
        [f"4{NARROW_SPACE}100", f"3{NARROW_SPACE}700", f"4{NARROW_SPACE}900"],
        ["52", "47", "60"],
        ["7.00", "–", "–"],
        ["–", "–", "–"],
    ]
    # numbers for computing are not rounded
    assert "4137.2,3680.0,4870.0,75.0" in formats.table_csv(table, provenance="p")


def value(table: ReaderTable, name: str, column: str) -> object:
    return table.rows.row(by_predicate=pl.col(table.columns[0].name) == name, named=True)[column]


def test_levels_table_has_groups_in_order_and_largest_first(made: dict[str, ReaderTable]) -> None:
    rows = made["levels"].rows
    groups = rows["group"].unique(maintain_order=True).to_list()
    assert groups == ["Site", "Overhead", "Queues", "Projects", "People", "Papers"]
    assert set(rows["method"]) == {"bmc"}
    for _, group in rows.group_by("group", maintain_order=True):
        known = group["total_kwh"].drop_nulls().to_list()
        assert known == sorted(known, reverse=True)
    assert value(made["levels"], "idle", "n_jobs") is None
    site = rows.row(0, named=True)
    assert site["with_overhead_kwh"] == pytest.approx(site["total_kwh"] + site["overhead_kwh"])
    assert "GPU and core hours that they held" in made["levels"].note


def test_levels_table_without_redistribution_has_no_overhead_column(
    made: dict[str, ReaderTable],
) -> None:
    columns = ["group", "is_total", "with_overhead_kwh"]
    of_levels = (
        made["levels"]
        .rows.drop(columns)
        .with_columns(level=pl.lit("site"), overhead_kwh=pl.lit(None, pl.Float64), n_jobs=1)
    )
    table = energy.levels_table(of_levels, redistribution="none")
    assert "With overhead" not in [column.header for column in table.columns]


def test_energy_by_class_table_has_sums_of_clusters() -> None:
    table = energy.energy_by_class_table(
        node_energy_frame(
            [
                ("gros-1", DAY, "job", 2.0, 6.0),
                ("gros-1", DAY, "idle", 1.0, 6.0),
                ("gros-2", DAY, "no_data", None, 12.0),
                ("graffiti-1", DAY, "job", 10.0, 24.0),
            ]
        )
    )
    assert table.rows["cluster"].to_list() == ["graffiti", "gros", "all clusters"]
    assert value(table, "gros", "measured_frac") == 1.0
    assert value(table, "gros", "coverage_frac") == 0.5
    assert value(table, "gros", "unknown_node_h") == 12.0
    assert value(table, "graffiti", "idle") is None
    assert value(table, "all clusters", "job") == 12.0
    assert value(table, "all clusters", "total_kwh") == 13.0
    assert value(table, "all clusters", "n_nodes") == 3
    headers = [column.header for column in table.columns]
    assert headers == [
        *("Cluster", "Nodes", "Job", "Idle", "All", "Measured"),
        *("Time", "Time with readings", "Unknown"),
    ]


def test_energy_by_class_table_shows_energy_counted_again() -> None:
    frame = node_energy_frame([("gros-1", DAY, "job", 2.0, 24.0)])
    table = energy.energy_by_class_table(frame.with_columns(overcount_kwh=pl.lit(0.5)))
    assert value(table, "gros", "overcount_kwh") == 0.5
    assert "Counted again" in [column.header for column in table.columns]
    assert "counted by more than one job of a node" in table.note


def test_quality_table_has_sums_by_cluster_and_rejected_rows_in_the_note(
    study: study_frames.StudyFrames, made: dict[str, ReaderTable]
) -> None:
    table = made["quality"]
    for column in ("n_read", "n_spike", "n_gaps"):
        assert value(table, "all clusters", column) == study.quality[column].sum()
    kept, read = (value(table, "gros", column) for column in ("n_kept", "n_read"))
    assert value(table, "gros", "kept_frac") == kept / read
    assert "jobs: no such node (4); jobs: repeated (1\u202f234)." in table.note


def test_quality_table_accepts_cluster_names_with_dashes(study: study_frames.StudyFrames) -> None:
    renamed = study.quality.with_columns(pl.col("node").str.replace("gros-", "gros-x-"))
    table = energy.quality_table(renamed, REJECTED, **NODES)
    assert table.rows["cluster"].to_list() == ["graffiti", "gros-x", "all clusters"]


def test_simulation_check_table_is_sorted_by_sensor_step(made: dict[str, ReaderTable]) -> None:
    table = made["simulation_check"]
    assert table.rows["sensors"].to_list() == ["1 W", "4 W", "36 W", "no readings", "all"]
    assert table.rows["is_total"].to_list() == [False, False, False, False, True]


def test_tables_without_rows_are_written(study: study_frames.StudyFrames, tmp_path: Path) -> None:
    empty = [
        energy.energy_by_class_table(study.node_energy.clear()),
        energy.quality_table(study.quality.clear(), REJECTED.clear(), **NODES),
        energy.simulation_check_table(study.check.clear()),
    ]
    for table in empty:
        text = written(table, tmp_path)
        assert len(text["csv"].splitlines()) == 1
        assert table.title in text["html"]
        assert ">none</td>" in text["html"]
        assert "\nnone & " in text["tex"]


def test_levels_table_names_classes_in_words(study: study_frames.StudyFrames) -> None:
    rows = levels_of_study(study)
    assert "no_data" in rows["name"].to_list()
    names = energy.levels_table(rows, redistribution="none").rows["name"].to_list()
    assert "no_data" not in names
    assert {"no data", "idle", "stranded"} < set(names)


def test_printed_rows_shorten_html_and_latex_alone() -> None:
    rows = pl.DataFrame({"name": ["a", "b", "c"], "kwh": [11909.1, 2.0, 3.0]})
    columns = [
        formats.Column(name="name", header="Name"),
        formats.Column(name="kwh", header="Energy", unit="kWh", digits=3),
    ]
    table = formats.ReaderTable(
        name="short",
        title="Short",
        note="Note.",
        rows=rows,
        columns=columns,
        printed_rows=rows.head(1),
    )
    csv, html, tex = (
        form(table, provenance=PROVENANCE)
        for form in (formats.table_csv, formats.table_html, formats.table_latex)
    )
    assert [line.split(",")[0] for line in csv.splitlines()] == ["Name", "a", "b", "c"]
    assert [row[0] for row in Page(html).rows if len(row) == 2] == ["Name", "a"]
    assert "11909.1" in csv
    assert r"a & 11\,900 \\" in tex
    assert r"b & " not in tex
    for text in (html, tex):
        assert "Shortened: the CSV has all 3 rows." in " ".join(text.split())
    whole = dataclasses.replace(table, printed_rows=rows)
    assert "Shortened" not in formats.table_html(whole, provenance=PROVENANCE)
