"""Carbon intensity of French electricity by half or quarter of an hour, from eCO2mix.

RTE publishes tables by year or month (rte-france.com/eco2mix, *download indicators*): text with
tabs and the ending `.xls`, in Latin-1, with the columns `Date` (2025-03-03 in final files,
03/03/2025 in others), `Heures` (Paris time, 96 a day) and `Taux de Co2` (grams for a kWh produced:
emissions of burning fuel, without imports and without building the plants). Final and consolidated
files have a value each half hour; real-time files have one each quarter. The last line is a
disclaimer. The open data platform ODRÉ has the same table with semicolons, in UTF-8, with the
columns `Heure` and `Taux de CO2 (g/kWh)`, or `heure` and `taux_co2` in exports without labels. A
spreadsheet saves days as 03/03/25.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from footprint.core import input_files
from footprint.core.arrays import Integers
from footprint.core.errors import InputError
from footprint.energy.sample_intervals import held_integrals
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import conform

MAX_HOLD_H = 2
"""Longest time in hours that a value holds; it holds until the next value or for this time.

Files have 96 times on every day: the hour that occurs twice in October is in them once.
"""

LAST_HOLD_H = 0.5
"""Time in hours that the last value of a file holds: its half hour."""

US_PER_H = 3_600_000_000
PARIS_ZONE = "Europe/Paris"
DAY_FORMATS = {
    "%Y-%m-%d": r"^\d{4}-\d\d?-\d\d?$",
    "%d/%m/%Y": r"^\d\d?/\d\d?/\d{4}$",
    "%d/%m/%y": r"^\d\d?/\d\d?/\d\d$",
}
"""Formats of days with the pattern of their texts: without it, `%Y` takes 25 as the year 25."""

MISSING_VALUES = ("", "-", "ND")
"""Texts of a missing value, as in every second line of files of half hours."""

BAD_TIME = "its day or time cannot be read"
BAD_VALUE = "its intensity is not a number of 0 or more"
LINE_TOO_SHORT = "the line ends before its intensity"
NO_VALUE_IN_STUDY = "no value lies in the study"


class StudyIntensity(NamedTuple):
    """Intensity by time (`timestamp`, `g_per_kwh`) and rejected rows (`schemas.RejectedRows`)."""

    intensity: pl.DataFrame
    rejected: pl.DataFrame


def read_study_intensity(path: str | Path, *, start: datetime, end: datetime) -> StudyIntensity:
    """Carbon intensity for a study, as of `read_intensity`, and the number of rejected rows.

    A file that cannot be used, or has no value in the study, gives no intensity and one reason.

    Args:
        path: A file of eCO2mix, unpacked.
        start: Start of the study.
        end: End of the study, excluded.
    """
    empty = pl.DataFrame(schema={"timestamp": pl.Datetime("us", "UTC"), "g_per_kwh": pl.Float64})
    try:
        lines = _parse_lines(path)
        intensity = _intensity_of_lines(lines, path)
    except InputError as error:
        return StudyIntensity(empty, _count_rejected([(error.what, 1, "the whole file")]))
    by_reason = lines.drop_nulls("reason").group_by("reason").agg(pl.len(), pl.col("line").min())
    rejected = [(reason, n, f"line {line}") for reason, n, line in by_reason.iter_rows()]
    first, last = start - timedelta(hours=MAX_HOLD_H), end
    if intensity.filter(pl.col("timestamp").is_between(first, last, closed="left")).is_empty():
        days = [f"{intensity['timestamp'][place]:%Y-%m-%d}" for place in (0, -1)]
        rejected.append((NO_VALUE_IN_STUDY, len(intensity), f"{days[0]} to {days[1]}"))
        intensity = empty
    return StudyIntensity(intensity, _count_rejected(rejected))


def _count_rejected(rows: list[tuple[str, int, str]]) -> pl.DataFrame:
    """Rejected rows from reasons, numbers and examples (`schemas.RejectedRows`)."""
    schema = {"reason": pl.String, "n_rows": pl.Int64, "example": pl.String}
    found: pl.DataFrame = conform(
        RejectedRows,
        pl.DataFrame(rows, schema=schema, orient="row").with_columns(
            stage=pl.lit("carbon"), source=pl.lit("carbon.eco2mix")
        ),
    )
    return found


def read_intensity(path: str | Path) -> pl.DataFrame:
    """Carbon intensity by time, in grams for a kWh.

    Where an hour that occurs twice has two values, the first is in summer time. Values that are not
    a number of 0 or more (`ND`, `-`, empty, `inf`) are left out.

    Args:
        path: A file of eCO2mix, unpacked.

    Returns:
        `timestamp` (UTC, sorted, unique), `g_per_kwh`.

    Raises:
        InputError: There is no such file, or it is not a table of eCO2mix with `Taux de CO2`.
    """
    return _intensity_of_lines(_parse_lines(path), path)


DOWNLOAD_HINT = (
    "unpack the ZIP of rte-france.com/eco2mix, national power data, and name the file in it"
)


def _intensity_of_lines(lines: pl.DataFrame, path: str | Path) -> pl.DataFrame:
    local = lines.filter(pl.col("reason").is_null()).drop_nulls(["local", "g_per_kwh"])
    if local.is_empty():
        what = "no line has a date, a time and a number"
        raise InputError(what, where=f"carbon.eco2mix: {path}", do=DOWNLOAD_HINT)
    return _convert_to_utc(local.select("local", "g_per_kwh"))


def _parse_lines(path: str | Path) -> pl.DataFrame:
    """Lines of a file with `line`, `local` time, `g_per_kwh`, and the `reason` of rejected ones.

    Raises:
        InputError: There is no such file, it cannot be opened, or it lacks a column.
    """
    where = f"carbon.eco2mix: {path}"
    text = _decode_text(input_files.read_content(Path(path), where=where))
    header, _, body = text.partition("\n")
    separator = next((each for each in ("\t", ";") if each in header), ",")
    names = [
        name.strip().strip('"').casefold().replace("_", " ") for name in header.split(separator)
    ]
    places = [
        next((place for place, name in enumerate(names) if name.startswith(starts)), None)
        for starts in ("date", "heure", ("taux de co2", "taux co2"))
    ]
    if "date" in names:  # and not `date - heure`
        places[0] = names.index("date")
    if None in places or not body.strip():
        raise InputError("no columns Date, Heures and Taux de CO2", where=where, do=DOWNLOAD_HINT)
    rows = _split_columns(body, separator, [place for place in places if place is not None])
    return _parse_columns(rows)


def _decode_text(content: bytes) -> str:
    """Text from UTF-8, as ODRÉ writes it, else from Latin-1, as RTE does: it accepts any bytes."""
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return content.decode("latin-1").replace("\r\n", "\n")


def _split_columns(body: str, separator: str, places: list[int]) -> pl.DataFrame:
    """Texts `day`, `time`, `value` of each line; null where the line is too short."""
    return pl.read_csv(
        BytesIO(body.encode()),
        has_header=False,
        separator="\n",
        quote_char=None,
        new_columns=["line"],
        schema_overrides={"line": pl.String},
    ).select(
        pl.col("line")
        .str.split(separator)
        .list.get(place, null_on_oob=True)
        .str.strip_chars(' "')
        .alias(name)
        for name, place in zip(("day", "time", "value"), places, strict=True)
    )


def _parse_columns(rows: pl.DataFrame) -> pl.DataFrame:
    """Local time, value and reason of each line, from its texts."""
    text = pl.col("day")
    day = pl.coalesce(
        pl.when(text.str.contains(pattern)).then(text.str.to_date(form, strict=False))
        for form, pattern in DAY_FORMATS.items()
    )
    time = pl.col("time").str.to_time("%H:%M", strict=False)
    number = pl.col("value").str.replace(",", ".").cast(pl.Float64, strict=False)
    # a line without these columns is the disclaimer; a line without a value is not a fault
    has_value = pl.col("value").is_not_null() & ~pl.col("value").is_in(MISSING_VALUES)
    is_valid = (number.is_finite() & (number >= 0)).fill_null(False)
    return rows.with_row_index("line", offset=2).select(
        pl.col("line").cast(pl.Int64),
        day.dt.combine(time).alias("local"),
        pl.when(has_value & is_valid).then(number).alias("g_per_kwh"),
        reason=pl.when(has_value & (day.is_null() | time.is_null()))
        .then(pl.lit(BAD_TIME))
        .when(has_value & ~is_valid)
        .then(pl.lit(BAD_VALUE))
        .when(pl.col("value").is_null() & pl.col("time").is_not_null())
        .then(pl.lit(LINE_TOO_SHORT)),
    )


def _convert_to_utc(local: pl.DataFrame) -> pl.DataFrame:
    """Rows by time in UTC; the second of two equal local times is in winter time."""
    is_repeated = pl.int_range(pl.len()).over("local") > 0
    return (
        local.with_columns(
            pl.col("local")
            .dt.replace_time_zone(
                PARIS_ZONE,
                ambiguous=pl.when(is_repeated).then(pl.lit("latest")).otherwise(pl.lit("earliest")),
                non_existent="null",
            )
            .dt.convert_time_zone("UTC")
            .dt.cast_time_unit("us")
            .alias("timestamp")
        )
        .drop_nulls("timestamp")
        .unique("timestamp", keep="first", maintain_order=True)
        .sort("timestamp")
        .select("timestamp", "g_per_kwh")
    )


def mean_intensity(intervals: pl.DataFrame, intensity: pl.DataFrame) -> pl.DataFrame:
    """Mean carbon intensity over each interval, for a constant power.

    Args:
        intervals: `started_at`, `stopped_at` (UTC), and any other columns.
        intensity: Result of `read_intensity`.

    Returns:
        The rows of `intervals` with `known_frac`, the part of the interval in which the intensity
        is known, and `g_per_kwh`, the mean over this part (null: the part is 0).
    """
    if intensity.is_empty():
        has_time = pl.col("stopped_at") > pl.col("started_at")
        return intervals.with_columns(
            g_per_kwh=pl.lit(None, pl.Float64), known_frac=pl.when(has_time).then(pl.lit(0.0))
        )
    times_us = _epoch_us(intensity["timestamp"])
    steps_us = np.append(np.diff(times_us), round(LAST_HOLD_H * US_PER_H))
    held_us = np.minimum(steps_us, round(MAX_HOLD_H * US_PER_H))
    values = np.stack([np.ones(len(times_us)), intensity["g_per_kwh"].to_numpy()])
    begun, ended = (
        held_integrals(values, times_us, held_us, _epoch_us(intervals[bound]))
        for bound in ("started_at", "stopped_at")
    )
    known, weighted = (pl.lit(pl.Series(each)) for each in ended - begun)
    whole_us = (pl.col("stopped_at") - pl.col("started_at")).dt.total_microseconds()
    return intervals.with_columns(
        g_per_kwh=pl.when(whole_us.is_not_null() & (known > 0)).then(weighted / known),
        known_frac=pl.when(whole_us > 0).then((known / whole_us).clip(0.0, 1.0)),
    )


def _epoch_us(times: pl.Series) -> Integers:
    """Microseconds since 1970; 0 where the time is unknown."""
    found: Integers = times.dt.epoch("us").fill_null(0).to_numpy()
    return found
