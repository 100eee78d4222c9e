"""Carbon intensity of French electricity by the half hour or quarter of an hour, from eCO2mix.

RTE publishes it as tables by year or month (rte-france.com/eco2mix, *download indicators*): text
with tabs and the ending `.xls`, in Latin-1, with the columns `Date` (2025-03-03 in final files,
03/03/2025 in others), `Heures` (Paris time, 96 a day) and `Taux de Co2` (grams for a kWh produced:
what burning fuel gives off, without imports and without building the plants). Final and
consolidated files have a value each half hour; real-time ones each quarter. A line of disclaimer
ends the file. The open data platform ODRÉ has the same table with semicolons, in UTF-8, and calls
the columns `Heure` and `Taux de CO2 (g/kWh)`, or `heure` and `taux_co2` where it is asked without
labels. A spreadsheet saves its days as 03/03/25.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from footprint import tables
from footprint.errors import InputError

LONGEST_H = 2
"""A value holds until the next, at most so long.

Files have 96 times on every day: of the hour that comes twice in October, they have only one.
"""

LAST_H = 0.5
"""How long the last value of a file holds: its half hour."""

PARIS = "Europe/Paris"
DAY_FORMATS = {
    "%Y-%m-%d": r"^\d{4}-\d\d?-\d\d?$",
    "%d/%m/%Y": r"^\d\d?/\d\d?/\d{4}$",
    "%d/%m/%y": r"^\d\d?/\d\d?/\d\d$",
}
"""How days are written, and which texts each format is for: `%Y` alone reads 25 as the year 25."""

NO_VALUE = ("", "-", "ND")
"""What stands where there is no value, as in every second line of files of half hours."""

BAD_TIME = "its day or time cannot be read"
BAD_VALUE = "its intensity is not a number of 0 or more"
SHORT = "the line ends before its intensity"
OUTSIDE = "no value lies in the study"


class Read(NamedTuple):
    """Intensity by time (`timestamp`, `g_per_kwh`), and what is not used (`tables.SetAside`)."""

    intensity: pl.DataFrame
    set_aside: pl.DataFrame


def load(path: str | Path, *, start: datetime, end: datetime) -> Read:
    """Intensity for a study, as `read` returns it; what cannot be used is counted.

    A file that cannot be used, or has no value in the study, gives no rows and its reason.

    Args:
        path: A file of eCO2mix, unpacked.
        start: Start of the study.
        end: End of the study, excluded.
    """
    empty = pl.DataFrame(schema={"timestamp": pl.Datetime("us", "UTC"), "g_per_kwh": pl.Float64})
    try:
        judged = _judged(path)
        intensity = _intensity(judged, path)
    except InputError as error:
        return Read(empty, _counted([(error.what, 1, "the whole file")]))
    lines = judged.drop_nulls("reason").group_by("reason").agg(pl.len(), pl.col("line").min())
    aside = [(why, n, f"line {line}") for why, n, line in lines.iter_rows()]
    first, last = start - timedelta(hours=LONGEST_H), end
    if intensity.filter(pl.col("timestamp").is_between(first, last, closed="left")).is_empty():
        days = [f"{intensity['timestamp'][place]:%Y-%m-%d}" for place in (0, -1)]
        aside.append((OUTSIDE, len(intensity), f"{days[0]} to {days[1]}"))
        intensity = empty
    return Read(intensity, _counted(aside))


def _counted(rows: list[tuple[str, int, str]]) -> pl.DataFrame:
    schema = {"reason": pl.String, "n_rows": pl.Int64, "example": pl.String}
    found: pl.DataFrame = tables.conform(
        tables.SetAside,
        pl.DataFrame(rows, schema=schema, orient="row").with_columns(
            stage=pl.lit("carbon"), source=pl.lit("carbon.eco2mix")
        ),
    )
    return found


def read(path: str | Path) -> pl.DataFrame:
    """Intensity by time.

    Where an hour that comes twice has two values, the first is that of summer time. What is not a
    number of 0 or more (`ND`, `-`, empty, `inf`) is left out.

    Args:
        path: A file of eCO2mix, unpacked.

    Returns:
        `timestamp` (UTC, sorted, without repetition), `g_per_kwh`.

    Raises:
        InputError: There is no such file, or it is not a table of eCO2mix with `Taux de CO2`.
    """
    return _intensity(_judged(path), path)


DO = "unpack the ZIP of rte-france.com/eco2mix, national power data, and name the file in it"


def _intensity(judged: pl.DataFrame, path: str | Path) -> pl.DataFrame:
    local = judged.filter(pl.col("reason").is_null()).drop_nulls(["local", "g_per_kwh"])
    if local.is_empty():
        what = "no line has a date, a time and a number"
        raise InputError(what, where=f"carbon.eco2mix: {path}", do=DO)
    return _utc(local.select("local", "g_per_kwh"))


def _judged(path: str | Path) -> pl.DataFrame:
    """Lines with `line`, `local` time, `g_per_kwh`, and the `reason` where one cannot be used.

    Raises:
        InputError: There is no such file, it cannot be opened, or it has not these columns.
    """
    where = f"carbon.eco2mix: {path}"
    if not Path(path).is_file():
        raise InputError("there is no such file", where=where, do="mend the path")
    try:
        text = _decoded(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"the file cannot be opened ({error.strerror})", where=where) from None
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
        raise InputError("no columns Date, Heures and Taux de CO2", where=where, do=DO)
    rows = _columns(body, separator, [place for place in places if place is not None])
    return _judge(rows)


def _decoded(content: bytes) -> str:
    """UTF-8, as ODRÉ writes, or else Latin-1, as RTE does: that takes any bytes."""
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return content.decode("latin-1").replace("\r\n", "\n")


def _columns(body: str, separator: str, places: list[int]) -> pl.DataFrame:
    """Texts of the day, the time and the value of each line; null where a line is too short."""
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


def _judge(rows: pl.DataFrame) -> pl.DataFrame:
    text = pl.col("day")
    day = pl.coalesce(
        pl.when(text.str.contains(pattern)).then(text.str.to_date(form, strict=False))
        for form, pattern in DAY_FORMATS.items()
    )
    time = pl.col("time").str.to_time("%H:%M", strict=False)
    number = pl.col("value").str.replace(",", ".").cast(pl.Float64, strict=False)
    # a line without these columns is the disclaimer; one without a value has nothing to say
    has_value = pl.col("value").is_not_null() & ~pl.col("value").is_in(NO_VALUE)
    usable = (number.is_finite() & (number >= 0)).fill_null(False)
    return rows.with_row_index("line", offset=2).select(
        pl.col("line").cast(pl.Int64),
        day.dt.combine(time).alias("local"),
        pl.when(has_value & usable).then(number).alias("g_per_kwh"),
        reason=pl.when(has_value & (day.is_null() | time.is_null()))
        .then(pl.lit(BAD_TIME))
        .when(has_value & ~usable)
        .then(pl.lit(BAD_VALUE))
        .when(pl.col("value").is_null() & pl.col("time").is_not_null())
        .then(pl.lit(SHORT)),
    )


def _utc(local: pl.DataFrame) -> pl.DataFrame:
    again = pl.int_range(pl.len()).over("local") > 0
    return (
        local.with_columns(
            pl.col("local")
            .dt.replace_time_zone(
                PARIS,
                ambiguous=pl.when(again).then(pl.lit("latest")).otherwise(pl.lit("earliest")),
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


def mean_over(intervals: pl.DataFrame, intensity: pl.DataFrame) -> pl.DataFrame:
    """Mean intensity over each interval, as power that is steady over it would have.

    Args:
        intervals: `started_at`, `stopped_at` (UTC), and any other columns.
        intensity: What `read` returns.

    Returns:
        The same rows with `g_per_kwh`, the mean over the part of the interval in which the
        intensity is known (null: in none of it), and `known_frac`, that part.
    """
    if intensity.is_empty():
        has_time = pl.col("stopped_at") > pl.col("started_at")
        return intervals.with_columns(
            g_per_kwh=pl.lit(None, pl.Float64), known_frac=pl.when(has_time).then(pl.lit(0.0))
        )
    times_s = _seconds(intensity["timestamp"])
    steps_s = np.append(np.diff(times_s), LAST_H * 3600)
    held_s = np.minimum(steps_s, LONGEST_H * 3600)
    values = intensity["g_per_kwh"].to_numpy()
    knots_s = np.column_stack([times_s, times_s + held_s]).ravel()

    def integral(terms: np.ndarray) -> np.ndarray:
        """At each knot: it grows while a value holds, and stands still where none does."""
        ends = np.cumsum(terms)
        return np.column_stack([ends - terms, ends]).ravel()

    known_s, grams = integral(held_s), integral(held_s * values)
    start_s, stop_s = _seconds(intervals["started_at"]), _seconds(intervals["stopped_at"])
    whole_s = stop_s - start_s
    inside_s = np.interp(stop_s, knots_s, known_s) - np.interp(start_s, knots_s, known_s)
    inside = np.interp(stop_s, knots_s, grams) - np.interp(start_s, knots_s, grams)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(inside_s > 0, inside / inside_s, np.nan)
        part = np.where(whole_s > 0, inside_s / whole_s, np.nan)
    return intervals.with_columns(
        pl.Series("g_per_kwh", mean, pl.Float64).fill_nan(None),
        pl.Series("known_frac", part, pl.Float64).fill_nan(None).clip(0.0, 1.0),
    )


def _seconds(times: pl.Series) -> np.ndarray:
    """Seconds since 1970; NaN where unknown, of which nothing is inside."""
    return (times.dt.epoch("us").cast(pl.Float64) / 1e6).to_numpy()
