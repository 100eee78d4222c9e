"""Carbon intensity of French electricity by the half hour or quarter of an hour, from eCO2mix.

RTE publishes it as tables by year or month (rte-france.com/eco2mix, *download indicators*): text
with tabs and the ending `.xls`, in Latin-1, with the columns `Date` (2025-03-03 in final files,
03/03/2025 in others), `Heures` (Paris time, 96 a day) and `Taux de Co2` (grams for a kWh produced:
what burning fuel gives off, without imports and without building the plants). Final and
consolidated files have a value each half hour; real-time ones each quarter. A line of disclaimer
ends the file. The open data platform ODRÉ has the same table with semicolons, in UTF-8, and calls
the columns `Heure` and `Taux de CO2 (g/kWh)`.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl

from footprint.errors import InputError

LONGEST_H = 2
"""A value holds until the next, at most so long.

Files have 96 times on every day: of the hour that comes twice in October, they have only one.
"""

LAST_H = 0.5
"""How long the last value of a file holds: its half hour."""

PARIS = "Europe/Paris"
DAY_FORMATS = ("%Y-%m-%d", "%d/%m/%Y")


def read(path: str | Path) -> pl.DataFrame:
    """Intensity by time.

    Where an hour that comes twice has two values, the first is that of summer time. What is not a
    number (`ND`, `-`, empty) is left out.

    Args:
        path: A file of eCO2mix, unpacked.

    Returns:
        `timestamp` (UTC, sorted, without repetition), `g_per_kwh`.

    Raises:
        InputError: There is no such file, or it is not a table of eCO2mix with `Taux de CO2`.
    """
    do = "unpack the ZIP of rte-france.com/eco2mix, national power data, and name the file in it"
    where = f"carbon.eco2mix: {path}"
    if not Path(path).is_file():
        raise InputError("there is no such file", where=where, do="mend the path")
    text = _decoded(Path(path).read_bytes())
    header, _, body = text.partition("\n")
    separator = "\t" if "\t" in header else ";"
    names = [name.strip().strip('"').casefold() for name in header.split(separator)]
    places = [
        next((place for place, name in enumerate(names) if name.startswith(start)), None)
        for start in ("date", "heure", "taux de co2")
    ]
    if None in places or not body.strip():
        raise InputError("no columns Date, Heures and Taux de CO2", where=where, do=do)
    rows = _columns(body, separator, [place for place in places if place is not None])
    local = _local(rows)
    if local.is_empty():
        raise InputError("no line has a date, a time and a number", where=where, do=do)
    return _utc(local)


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


def _local(rows: pl.DataFrame) -> pl.DataFrame:
    day = pl.coalesce(pl.col("day").str.to_date(form, strict=False) for form in DAY_FORMATS)
    return rows.select(
        day.dt.combine(pl.col("time").str.to_time("%H:%M", strict=False)).alias("local"),
        pl.col("value").str.replace(",", ".").cast(pl.Float64, strict=False).alias("g_per_kwh"),
    ).filter(pl.col("local").is_not_null(), pl.col("g_per_kwh") >= 0)


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
