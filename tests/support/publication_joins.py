"""Join of everything in a publication with the study's job list, on every column that both have.

It reads the files as a reader outside of the team does, and knows nothing of how they were made:
tables of CSV, Parquet, Markdown and HTML, in the folder, in `report.html` and in the archive. What
figures show is joined by their texts (`logins.texts`), which `contained_secrets` searches.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint.report.page.charts import vega_script
from tests.support import logins

MOST_DIGITS = 3

_OWN_NAMES = ("n_jobs", "total_kwh", "measured_kwh", "estimated_kwh", "gpu_hours", "core_hours")
NUMBERS = [
    {
        "Jobs": "n_jobs",
        "Total (kWh)": "total_kwh",
        "Total": "total_kwh",
        "Measured (kWh)": "measured_kwh",
        "Estimated (kWh)": "estimated_kwh",
        "GPU time (h)": "gpu_hours",
        "Core time (h)": "core_hours",
        "Measured (%)": "measured_frac",
        "Measured": "measured_frac",
    },
    dict(zip(_OWN_NAMES, _OWN_NAMES, strict=True)),
    {"All (kWh)": "total_kwh", "Measured (%)": "measured_frac"},
    {"Job (kWh)": "total_kwh"},
    *(
        {f"{phase} (kWh)": "total_kwh", f"{phase} measured (%)": "measured_frac"}
        for phase in ("Training", "Development", "Inference", "Unknown")
    ),
]
"""Column of the job list by header of a printed table; each set of columns is joined on its own."""
KEYS = {
    "Cluster": "cluster",
    "Project": "project",
    "project": "project",
    "Queue": "queue",
    "Day": "day",
    "First day": "day",
    "user": "user",
    "job_id": "job_id",
}
"""Column of the job list by header of a column of names."""
KEY_OF_GROUP = {"Projects": "project", "Queues": "queue", "People": "user"}
"""Column of the job list that the names below a heading are of."""
NAMES = ("Name", "Paper or project", "What")
SUMMED = _OWN_NAMES
SCALES = {"kWh": 1.0, "MWh": 1000.0, "GWh": 1e6, "Wh": 0.001}


class Row(NamedTuple):
    """A printed row: file, name, names by column of the job list, and numbers by column."""

    path: str
    name: str
    keys: dict[str, str]
    numbers: dict[str, float]
    digits: int


class Exposure(NamedTuple):
    """A row that fits people who did not agree, and too few of them."""

    row: Row
    people: list[str]


class JobListReader:
    """The job list with the energy of each job, as a reader with an account can compute it.

    Args:
        study: Folder of the study.
        minimum: Fewest people that a row may fit.
        named: People who agreed to be shown.
    """

    def __init__(self, study: Path, *, minimum: int, named: Iterable[str]) -> None:
        self.minimum, self.named = minimum, set(named)
        jobs = pl.read_parquet(study / "results/energy/jobs.parquet").filter(pl.col("n_nodes") > 0)
        runs = pl.read_parquet(study / "results/phases/jobs.parquet").select("job_id", "run_id")
        self.jobs = (
            jobs.with_columns(
                first_day=pl.col("started_at").dt.date(),
                last_day=pl.col("stopped_at").dt.date(),
            )
            .join(runs, on="job_id", how="left")
            .with_columns(n_jobs=pl.lit(1))
        )
        (papers,) = study.glob("resources/*/papers.parquet")
        of_paper = pl.read_parquet(papers).join(self.jobs.select("job_id", "user"), on="job_id")
        people = of_paper.group_by("paper").agg("user").iter_rows()
        self.agreed_papers = {paper for paper, users in people if set(users) <= self.named}

    def exposures(self, publication: Path) -> list[Exposure]:
        """Rows of a publication that fit too few people."""
        found = []
        for row in printed_rows(publication):
            people = [] if row.name in self.agreed_papers else self._too_few(row)
            if people:
                found.append(Exposure(row, people))
        return found

    def _too_few(self, row: Row) -> list[str]:
        """People who fit a row by its names, or by its numbers; empty if they are enough."""
        fitting = self.jobs
        for column, name in row.keys.items():
            fitting = fitting.filter(self._has_name(column, name))
        by_name = set(fitting["user"]) if row.keys else set()
        by_number = self._people_by_numbers(fitting, row) if row.numbers else set()
        for people in (by_name, by_number):
            if 0 < len(people - self.named) < self.minimum:
                return sorted(people)
        return []

    @staticmethod
    def _has_name(column: str, name: str) -> pl.Expr:
        if column == "cluster":
            return pl.col("clusters").list.contains(name)
        if column == "day":
            day = pl.lit(name).str.to_date(strict=False)
            return (pl.col("first_day") <= day) & (day <= pl.col("last_day"))
        return pl.col(column).cast(pl.String) == name

    @staticmethod
    def _people_by_numbers(jobs: pl.DataFrame, row: Row) -> set[str]:
        """Owners of the single jobs, runs, and sums of a person that fit all numbers of a row."""
        if not any(row.numbers.values()):
            return set()  # nobody's energy is 0
        columns = list(row.numbers)
        sums = [pl.col(name).sum() for name in SUMMED]
        part = (pl.col("measured_kwh") / pl.col("total_kwh")).alias("measured_frac")
        units = [
            each.with_columns(part).select("user", *columns)
            for each in (
                jobs,
                jobs.group_by("user", "run_id").agg(sums),
                jobs.group_by("user").agg(sums),
            )
        ]
        fits = [
            (pl.col(name).cast(pl.Float64).round_sig_figs(row.digits) - value).abs()
            <= 1e-9 * abs(value)
            for name, value in row.numbers.items()
        ]
        return {
            user
            for unit in units
            for user in unit.cast(dict.fromkeys(columns, pl.Float64)).filter(fits)["user"]
        }


def printed_rows(folder: Path) -> Iterator[Row]:
    """Every row of every table in a publication."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield from _rows_of_file(path.relative_to(folder).as_posix(), path.read_bytes())


def _rows_of_file(name: str, content: bytes) -> Iterator[Row]:
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from _rows_of_file(f"{name}/{member}", archive.read(member))
    elif name.endswith(".csv"):
        frame = pl.read_csv(io.BytesIO(content), infer_schema=False)
        yield from _rows(name, frame.columns, frame.rows())
    elif name.endswith(".parquet"):
        frame = pl.read_parquet(io.BytesIO(content)).select(pl.all().cast(pl.String, strict=False))
        yield from _rows(name, frame.columns, frame.rows())
    elif name.endswith(".md"):
        lines = [line for line in content.decode().splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        header: list[str] = []
        for place, row in enumerate(cells):
            if place + 1 < len(cells) and set("".join(cells[place + 1])) <= set(":-"):
                header = row
            elif not set("".join(row)) <= set(":-"):
                yield from _rows(name, header, [row])
    elif name.endswith(".html"):
        parser = _TableParser()
        parser.feed(content.decode())
        for header, rows in parser.tables:
            yield from _rows(name, header, rows)
        yield from _rows_of_page(name, content.decode())


def _rows_of_page(name: str, page: str) -> Iterator[Row]:
    """Energy, jobs, phases and methods of every scope in the data of the page."""
    found = re.search(r'id="data">(.*?)</script>', page, re.S)
    for scope in json.loads(found[1])["scopes"] if found else ():
        level, own = scope["id"].split(":", 1)
        names = {"project": "Projects", "user": "People"}.get(level, ""), own
        cards = {card["label"]: card["value"] for card in scope["cards"]}
        total = cards["Energy at the nodes"].removeprefix("at least ")
        header = ["group", "Name", "Total (kWh)", "Jobs"]
        yield from _rows(name, header, [[*names, total, cards["Jobs"]]])
        for phase in scope["phases"]:
            header = ["group", "Name", f"{phase['phase'].capitalize()} (kWh)"]
            yield from _rows(name, header, [[*names, str(phase["kwh"])]])
        for method in scope["methods"]:
            if method["method"] == "bmc":
                header = ["group", "Name", "Measured (kWh)"]
                yield from _rows(name, header, [[*names, str(method["kwh"])]])


class _TableParser(HTMLParser):
    """Header and rows of every table of a page; a row of one cell is a heading of those below."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[tuple[list[str], list[list[str]]]] = []
        self._group = ""
        self._row: list[str] | None = None
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "table":
            self.tables.append(([], []))
        elif tag == "tr":
            self._row = []
        elif tag in ("td", "th"):
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None and self._row is not None:
            self._row.append(" ".join("".join(self._cell).split()))
            self._cell = None
        elif tag == "tr" and self._row is not None and self.tables:
            header, rows = self.tables[-1]
            if len(self._row) > 1 and not header:
                header += ["group", *self._row]
            elif len(self._row) == 1:
                self._group = self._row[0]
            elif header:
                rows.append([self._group, *self._row])
            self._row = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)


def _rows(path: str, header: Iterable[str], rows: Iterable[Iterable[str | None]]) -> Iterator[Row]:
    names = [name.strip() for name in header]
    for cells in rows:
        row = dict(zip(names, cells, strict=False))
        keys = {column: row[name] or "" for name, column in KEYS.items() if row.get(name)}
        of_group = KEY_OF_GROUP.get(row.get("group") or "")
        if of_group and row.get("Name"):
            keys[of_group] = row["Name"] or ""
        # a name of several groups is of no group of the job list
        keys = {column: name for column, name in keys.items() if not re.search(r"^\(|others", name)}
        values = {name: _number(row.get(name)) for name in names}
        digits = max((_digits(each) for each in values.values() if each is not None), default=1)
        sets = [
            {
                column: value / (100 if column == "measured_frac" else 1)
                for name, column in columns.items()
                if (value := values.get(name)) is not None
            }
            for columns in NUMBERS
        ]
        # a fraction or a count alone is that of many
        sets = [each for each in sets if set(each) - {"measured_frac", "n_jobs"}]
        # facts of a cluster's hardware are of nobody, the highest power of its nodes is of its jobs
        is_of_people = set(keys) != {"cluster"} or sets or values.get("Highest (W)") is not None
        name = next((row[each] for each in NAMES if row.get(each)), None)
        for numbers in sets or ([{}] if keys and is_of_people else []):
            yield Row(path, name or "", keys, numbers, min(digits, MOST_DIGITS))


def _number(text: str | None) -> float | None:
    """The number of a cell, energies in kWh; None: it has none."""
    plain = re.sub(r"[\s\u2009\u00a0\u202f]", "", text or "").replace("\u2212", "-")
    match = re.fullmatch(r"[≥<>~]*(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(kWh|MWh|GWh|Wh|%)?", plain)
    return None if match is None else float(match[1]) * SCALES.get(match[2] or "", 1.0)


def _digits(value: float) -> int:
    """Significant digits of a number, without trailing zeros."""
    digits, _, _ = f"{abs(value):.12e}".partition("e")
    return max(1, len(digits.replace(".", "").rstrip("0")))


MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}|\b\d{1,2}:\d{2}:\d{2}\b")


def contained_secrets(publication: Path, secrets: Iterable[str]) -> list[tuple[str, str]]:
    """Files of a publication, and the job ids, logins, pseudonyms, paths and times in them.

    Args:
        publication: The folder.
        secrets: Words that must not be in it; moments are searched in any case.
    """
    words = list(secrets)
    # dates in the code of the library that draws the charts of the page
    of_library = set(MOMENT.findall(vega_script()))
    paths = {word for word in words if "/" in word}
    found = [(hit.path.as_posix(), hit.login) for hit in logins.found(publication, words)]
    for path in sorted(publication.rglob("*")):
        if path.is_file():
            name = path.relative_to(publication).as_posix()
            for text in logins.texts(path.read_bytes()):
                moments = [each for each in MOMENT.findall(text) if each not in of_library]
                found += [(name, moment) for moment in moments]
                found += [(name, each) for each in paths if each in text]
    return sorted(set(found))
