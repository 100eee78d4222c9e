"""Reading eCO2mix: carbon intensity of French electricity by half or quarter of an hour.

RTE publishes tables by year or month (rte-france.com/eco2mix, *download indicators*): text with
tabs and the ending `.xls`, in Latin-1, with the columns `Date` (2025-03-03 in final files,
03/03/2025 in others), `Heures` (Paris time, 96 a day) and `Taux de Co2` (grams for a kWh produced:
emissions of burning fuel, without imports and without building the plants). Final and consolidated
files have a value each half hour; real-time files have one each quarter. The last line is a
disclaimer. The open data platform ODRÉ has the same table with semicolons or commas, in UTF-8, with
the columns `Heure`, `Date - Heure` (or `Date et Heure`: with an offset) and `Taux de CO2 (g/kWh)`,
or `heure`, `date_heure` and `taux_co2` in exports without labels. A spreadsheet saves days as
03/03/25, quotes cells, and may begin the file with a line `sep=;`.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl

from footprint.core import input_files
from footprint.core.errors import InputError
from footprint.core.sums import exact_sum
from footprint.levels.carbon_intensity import MAX_HOLD_H
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform

MAX_G_PER_KWH = 2000.0
"""Largest intensity that can be, in grams for a kWh.

Plants that burn lignite emit up to about 1 300 (IPCC 2006, volume 2, table 2.2: 101 kg/GJ, at an
efficiency of 28 %).
"""

PARIS_ZONE = "Europe/Paris"
DAY_FORMATS = {
    "%Y-%m-%d": r"^\d{4}-\d\d?-\d\d?$",
    "%d/%m/%Y": r"^\d\d?/\d\d?/\d{4}$",
    "%d/%m/%y": r"^\d\d?/\d\d?/\d\d$",
}
"""Formats of days with the pattern of their texts: without it, `%Y` takes 25 as the year 25."""

MONTH_FIRST = r"^0?(?:[1-9]|1[0-2])/(?:1[3-9]|2\d|3[01])/(?:\d\d|\d{4})$"
"""Pattern of days that can only be month/day/year."""

COLUMNS = {
    "instant": r"date ?(?:-|et)? ?heures?",
    "day": r"date",
    "time": r"heures?",
    "value": r"taux (?:de )?co2\b.*",
}
"""Patterns of the names of the columns, in lower case and with `_` as a blank."""

DAY_OR_TIME = re.compile(r"\d\d[/:-]\d")
"""Pattern of a part of a day or time."""

SEPARATORS = "\t;,|"
HEADER_LINES = 5
"""Number of first lines among which the header is looked for."""

MISSING_VALUES = ("", "-", "ND")
"""Texts of a missing value, as in every second line of files of half hours."""

BAD_TIME = "its day or time cannot be read"
NO_OFFSET = "its time has no offset, and no day and hour are beside it"
OTHER_TIME = "its time with an offset is not its day and hour in Paris"
BAD_VALUE = f"its intensity is not a number from 0 to {MAX_G_PER_KWH:.0f}"
LINE_TOO_SHORT = "the line ends before its intensity"
REPEATED = "another intensity for the same time: the first is used"
NO_VALUE_IN_STUDY = "no value lies in the study"

ERROR_ADVICE = {
    BAD_VALUE: "fix or remove the line",
    NO_VALUE_IN_STUDY: "name a file of the study's days",
}
"""Reasons that are errors of the study, not only rejected rows, with advice: see `error_lines`."""

DOWNLOAD_HINT = (
    "unpack the ZIP of rte-france.com/eco2mix, national power data, and name the file in it"
)


class StudyIntensity(NamedTuple):
    """Intensity by time (`timestamp`, `g_per_kwh`) and rejected rows (`schemas.RejectedRows`)."""

    intensity: pl.DataFrame
    rejected: pl.DataFrame


EMPTY_INTENSITY = pl.DataFrame(
    schema={"timestamp": pl.Datetime("us", "UTC"), "g_per_kwh": pl.Float64}
)


def read_study_intensity(
    paths: Iterable[str | Path], *, start: datetime, end: datetime
) -> StudyIntensity:
    """Carbon intensity for a study, as of `read_intensity`, and the number of rejected rows.

    A file that cannot be read, has an impossible value, or has no value in the study gives no
    intensity and one reason; the last two are errors of the study (`error_lines`). Of different
    values for one time, that of the first file is used, and the others are counted.

    Args:
        paths: Files of eCO2mix, unpacked.
        start: Start of the study.
        end: End of the study, excluded.
    """
    rejected: list[tuple[str, int, str]] = []
    found = [EMPTY_INTENSITY.with_columns(where=pl.lit(""))]
    first = start - timedelta(hours=MAX_HOLD_H)
    for path in paths:
        name = Path(path).name
        try:
            lines = _parse_lines(path)
            by_reason = lines.drop_nulls("reason").group_by("reason").agg(pl.len(), pl.min("line"))
            is_faulty = BAD_VALUE in by_reason["reason"]
            intensity = EMPTY_INTENSITY if is_faulty else _intensity_of_lines(lines, path)
        except InputError as error:
            rejected.append((error.what, 1, name))
            continue
        rejected += [(reason, n, f"{name}:{line}") for reason, n, line in by_reason.iter_rows()]
        if is_faulty:
            continue
        in_study = pl.col("timestamp").is_between(first, end, closed="left")
        if intensity.filter(in_study).is_empty():
            days = intensity.select(pl.min("timestamp"), pl.max("timestamp").alias("last")).row(0)
            covered = " to ".join(f"{day:%Y-%m-%d}" for day in days)
            rejected.append((NO_VALUE_IN_STUDY, len(intensity), f"{name}: {covered}"))
        else:
            where = pl.format("{}:{}", pl.lit(name), "line")
            found.append(intensity.select("timestamp", "g_per_kwh", where=where))
    values = pl.concat(found)
    used = values.unique("timestamp", keep="first", maintain_order=True)
    others = values.join(used, on="timestamp", suffix="_used", maintain_order="left").filter(
        pl.col("g_per_kwh") != pl.col("g_per_kwh_used")
    )
    if not others.is_empty():
        rejected.append((REPEATED, len(others), others["where"][0]))
    return StudyIntensity(
        used.select("timestamp", "g_per_kwh").sort("timestamp"), _count_rejected(rejected)
    )


def error_lines(rejected: pl.DataFrame) -> list[str]:
    """Errors of the study among rejected rows, a line each with advice.

    A run with such a file gives all energies, without the file's intensities, and fails at its end.

    Args:
        rejected: `schemas.RejectedRows`, as of `read_study_intensity`.
    """
    errors = rejected.filter(pl.col("reason").is_in([*ERROR_ADVICE]))
    return [
        f"ERROR: carbon.eco2mix: {example}: {reason} ({n_rows} values), so that the file is not "
        f"used; {ERROR_ADVICE[reason]}, or remove the file from carbon.eco2mix"
        for reason, n_rows, example in errors.select("reason", "n_rows", "example").iter_rows()
    ]


def _count_rejected(rows: list[tuple[str, int, str]]) -> pl.DataFrame:
    """Rejected rows from reasons, numbers and examples (`schemas.RejectedRows`)."""
    schema = {"reason": pl.String, "n_rows": pl.Int64, "example": pl.String}
    found: pl.DataFrame = conform(
        RejectedRows,
        pl.DataFrame(rows, schema=schema, orient="row")
        .group_by("reason", maintain_order=True)
        .agg(exact_sum(pl.col("n_rows")), pl.col("example").first())
        .with_columns(stage=pl.lit("carbon"), source=pl.lit("carbon.eco2mix")),
    )
    return found


def read_intensity(path: str | Path) -> pl.DataFrame:
    """Carbon intensity by time, in grams for a kWh.

    A time with an offset holds before the day and hour beside it. Without an offset, the second of
    two equal times of the hour that occurs twice in October is in winter time. Values that are not
    a number from 0 to `MAX_G_PER_KWH` (`ND`, `-`, empty, `inf`) are left out, and so are all but
    the first of one time.

    Args:
        path: A file of eCO2mix, unpacked.

    Returns:
        `timestamp` (UTC, sorted, unique), `g_per_kwh`.

    Raises:
        InputError: There is no such file, it is not a table of eCO2mix with `Taux de CO2`, its days
            are month first, or a value is not a number from 0 to `MAX_G_PER_KWH` (`inf`, -5).
    """
    lines = _parse_lines(path)
    impossible = lines.filter(pl.col("reason") == BAD_VALUE)["line"]
    if len(impossible):
        where = f"carbon.eco2mix: {path}:{impossible[0]}"
        raise InputError(BAD_VALUE, where=where, do=ERROR_ADVICE[BAD_VALUE])
    return (
        _intensity_of_lines(lines, path)
        .unique("timestamp", keep="first", maintain_order=True)
        .select("timestamp", "g_per_kwh")
        .sort("timestamp")
    )


def _intensity_of_lines(lines: pl.DataFrame, path: str | Path) -> pl.DataFrame:
    """`timestamp`, `g_per_kwh` and `line` of usable lines, in the order of the file."""
    # a local time that never was, in the hour that spring leaves out, has no timestamp
    usable = lines.filter(pl.col("reason").is_null()).drop_nulls(["g_per_kwh", "timestamp"])
    if usable.is_empty():
        what = "no line has a date, a time and a number"
        raise InputError(what, where=f"carbon.eco2mix: {path}", do=DOWNLOAD_HINT)
    return usable.select("timestamp", "g_per_kwh", "line")


def _parse_lines(path: str | Path) -> pl.DataFrame:
    """Lines of a file with `line`, `timestamp`, `g_per_kwh`, and the `reason` of rejected ones.

    Raises:
        InputError: There is no such file, it cannot be opened, or it lacks a column.
    """
    where = f"carbon.eco2mix: {path}"
    try:
        text = _decode_text(input_files.read_content(Path(path), where=where))
    except InputError as error:
        if error.what in input_files.OTHER_FORMATS.values():
            raise InputError(error.what, where=where, do=DOWNLOAD_HINT) from None
        raise
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    header = _find_header(lines)
    if header is None or not any(line.strip() for line in lines[header.line :]):
        raise InputError("no columns Date, Heures and Taux de CO2", where=where, do=DOWNLOAD_HINT)
    rows = _split_columns(lines, header)
    month_first = rows.filter(pl.col("day").str.contains(MONTH_FIRST))["line"]
    if len(month_first):
        what = f"line {month_first[0]} has a day with the month first"
        raise InputError(what, where=where, do="save days as 2025-03-31 or 31/03/2025")
    return _parse_columns(rows)


def _decode_text(content: bytes) -> str:
    """Text from UTF-8, as ODRÉ writes it, else from Latin-1, as RTE does: it accepts any bytes."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


class _Header(NamedTuple):
    """Line of the header, from 1, its separator, and the place of each of `COLUMNS`."""

    line: int
    separator: str
    places: dict[str, int]


def _find_header(lines: Sequence[str]) -> _Header | None:
    """The first line with the columns, under the first separator that gives them."""
    for number, line in enumerate(lines[:HEADER_LINES], start=1):
        for separator in SEPARATORS:
            names = [
                unicodedata.normalize("NFKC", name).casefold().replace("_", " ").strip()
                for name in _split_line(line, separator)
            ]
            places = {
                column: place
                for column, pattern in COLUMNS.items()
                for place, name in reversed([*enumerate(names)])
                if re.fullmatch(pattern, name)
            }
            if "value" in places and ("instant" in places or {"day", "time"} <= places.keys()):
                return _Header(number, separator, places)
    return None


def _split_line(line: str, separator: str) -> list[str]:
    """Cells of a line; a quotation mark that is not closed reaches to the end of its line alone."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:  # a cell that is longer than the limit of the module
        return []


def _split_columns(lines: Sequence[str], header: _Header) -> pl.DataFrame:
    """`line`, `has_time` and the text of each of `COLUMNS`; null where the line is too short."""
    rows: list[list[int | bool | str | None]] = []
    for number, line in enumerate(lines[header.line :], start=header.line + 1):
        cells = _split_line(line, header.separator)
        texts = (
            cells[place].strip() if place is not None and place < len(cells) else None
            for place in map(header.places.get, COLUMNS)
        )
        rows.append([number, DAY_OR_TIME.search(line) is not None, *texts])
    schema = {"line": pl.Int64, "has_time": pl.Boolean, **dict.fromkeys(COLUMNS, pl.String)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _parse_columns(rows: pl.DataFrame) -> pl.DataFrame:
    """Time in UTC, value and reason of each line, from its texts."""
    text = pl.col("day")
    day = pl.coalesce(
        pl.when(text.str.contains(pattern)).then(text.str.to_date(form, strict=False))
        for form, pattern in DAY_FORMATS.items()
    )
    time = pl.coalesce(
        pl.col("time").str.to_time(form, strict=False) for form in ("%H:%M", "%H:%M:%S")
    )
    number = pl.col("value").str.replace(",", ".").cast(pl.Float64, strict=False)
    # a short line without any time is the disclaimer; a line without a value is not a fault
    has_value = pl.col("value").is_not_null() & ~pl.col("value").is_in(MISSING_VALUES)
    is_valid = number.is_between(0.0, MAX_G_PER_KWH).fill_null(False)
    read = rows.select(
        "line",
        local=day.dt.combine(time),
        instant=pl.Series(map(_parse_instant, rows["instant"]), dtype=pl.Datetime("us", "UTC")),
        has_instant=(pl.col("instant") != "").fill_null(False),
        has_local=(pl.col("day") != "").fill_null(False) & pl.col("time").is_not_null(),
        g_per_kwh=pl.when(has_value & is_valid).then(number),
        has_value=has_value,
        is_cut=pl.col("value").is_null() & pl.col("has_time"),
    )
    zoned = _convert_to_utc(read)
    in_paris = pl.col("instant").dt.convert_time_zone(PARIS_ZONE).dt.replace_time_zone(None)
    # in the hour that spring leaves out, the local time never was, and the instant is another
    disagrees = pl.col("from_local").is_not_null() & (in_paris != pl.col("local"))
    no_time = pl.col("instant").is_null() & pl.col("local").is_null()
    return zoned.select(
        "line",
        "g_per_kwh",
        timestamp=pl.coalesce("instant", "from_local"),
        reason=pl.when("is_cut")
        .then(pl.lit(LINE_TOO_SHORT))
        .when(pl.col("has_value") & no_time & pl.col("has_instant") & ~pl.col("has_local"))
        .then(pl.lit(NO_OFFSET))
        .when(pl.col("has_value") & no_time)
        .then(pl.lit(BAD_TIME))
        .when(pl.col("has_value") & pl.col("g_per_kwh").is_null())
        .then(pl.lit(BAD_VALUE))
        .when(pl.col("has_value") & disagrees)
        .then(pl.lit(OTHER_TIME)),
    )


def _parse_instant(text: str | None) -> datetime | None:
    """A time with an offset; None without an offset."""
    try:
        instant = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None


def _convert_to_utc(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with `from_local` in UTC; the second of two equal local times is in winter time."""
    is_repeated = (pl.int_range(pl.len()) > 0).over(pl.col("local"))
    return rows.with_columns(
        pl.col("local")
        .dt.replace_time_zone(
            PARIS_ZONE,
            ambiguous=pl.when(is_repeated).then(pl.lit("latest")).otherwise(pl.lit("earliest")),
            non_existent="null",
        )
        .dt.convert_time_zone("UTC")
        .dt.cast_time_unit("us")
        .alias("from_local")
    )
