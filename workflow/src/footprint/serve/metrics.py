"""Kwollect: readings of nodes and their devices between two times, as JSON made by Polars."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from footprint.serve.recorded import Recorded
from footprint.serve.refusals import KwollectRefusal
from footprint.settings import SIMULATED_METRIC, SIMULATED_SERIES
from footprint.summation import mean

FORMER_METRIC = "bmc_power_node_watt"
"""What Kwollect called the metric of BMCs until 2020."""

BETWEEN = ",\n "
"""What stands between two records of an answer."""

PARIS = ZoneInfo("Europe/Paris")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_S = 4_102_444_800.0
"""2100-01-01: no later time is asked for."""

US = timedelta(microseconds=1)
MINUTES_5 = timedelta(minutes=5)
BMC = "-bmc"
MISSING_ARGUMENT = "plpy.Error: Missing 'devices', 'nodes' or 'job_id' argument"
TOO_MUCH = "plpy.Error: Request timeout, too much data to process."
TOO_MUCH_CODE = "38000"
UNREADABLE = "plpy.Error: could not read block 0 in file: read only 0 of 8192 bytes"


@dataclass(frozen=True)
class Limits:
    """What the service cannot answer, and under which name it answers.

    Attributes:
        max_rows: Readings that one answer may hold.
        fail_nodes: Nodes of which no reading can be had.
        former_name_until: Readings before have the former name of the metric alone.
    """

    max_rows: int = 1_000_000
    fail_nodes: frozenset[str] = frozenset()
    former_name_until: datetime | None = None


def answer(recorded: Recorded, query: Mapping[str, str], limits: Limits) -> bytes:
    """Readings as a JSON array, in the order of time over all devices.

    Raises:
        KwollectRefusal: The parameters make no sense, or there are too many readings.
    """
    devices, start, end = _asked(recorded, query)
    if not limits.fail_nodes.isdisjoint(device.removesuffix(BMC) for device in devices):
        raise KwollectRefusal(UNREADABLE, code="XX001")
    is_summary = query.get("summary", "").lower() in ("true", "t", "1")
    if is_summary:  # buckets that start in the span, each of them whole
        start, end = _bucket(start + MINUTES_5 - US), _bucket(end) + MINUTES_5 - US
    metrics = query["metrics"].split(",") if query.get("metrics") else None
    n_rows, parts = 0, []
    for device in devices:
        for metric, readings in _series(recorded, device, metrics, start, end, limits):
            rows = summary(readings, metric) if is_summary else readings
            n_rows += len(rows)
            if n_rows > limits.max_rows:
                raise KwollectRefusal(TOO_MUCH, code=TOO_MUCH_CODE)
            names = {"device": pl.lit(device), "metric": pl.lit(metric)}
            parts.append(rows.lazy().select("timestamp", "value", "labels", **names))
    if not n_rows:
        return b"[]"
    return as_json(pl.concat(parts).sort("timestamp", maintain_order=True))


def span(query: Mapping[str, str]) -> tuple[datetime, datetime] | None:
    """Start and end that the parameters ask for; None when they name neither.

    One of the two alone asks for five minutes.

    Raises:
        KwollectRefusal: A time that is none.
    """
    start, end = _times(query)
    if start is not None:
        return start, start + MINUTES_5 if end is None else end
    return None if end is None else (end - MINUTES_5, end)


def summary(readings: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Means over five minutes at the start of each, or the largest values of a counter."""
    value = pl.col("value").max() if metric.endswith("_total") else mean(pl.col("value"))
    bucket = pl.col("timestamp").dt.truncate("5m")
    return readings.group_by(bucket, "labels").agg(value).sort("timestamp", "labels")


def as_json(readings: pl.LazyFrame) -> bytes:
    """Readings, with their `device` and `metric`, as a JSON array.

    Times have Paris' offset, and no more digits of a fraction than they need; whole values are
    written as such.
    """
    local = pl.col("timestamp").dt.convert_time_zone(PARIS.key)
    time = local.dt.replace_time_zone(None).dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    summer = local.dt.dst_offset() > timedelta()
    value = pl.col("value")
    whole = value.cast(pl.Int64, strict=False)
    number = pl.when(whole == value).then(whole.cast(pl.String)).otherwise(value.cast(pl.String))
    written = pl.when(value.is_nan()).then(pl.lit('"NaN"')).otherwise(number).fill_null("null")
    record = pl.concat_str(
        pl.lit('{"timestamp":"'),
        time.str.strip_chars_end("0").str.strip_chars_end("."),
        pl.when(summer).then(pl.lit("+02:00")).otherwise(pl.lit("+01:00")),
        pl.lit('","device_id":"'),
        "device",
        pl.lit('","metric_id":"'),
        "metric",
        pl.lit('","value":'),
        written,
        pl.lit(',"labels":'),
        "labels",
        pl.lit("}"),
    )
    text = io.BytesIO()
    text.write(b"[")
    # CSV of one column without quotes is lines of text, and Polars writes it faster than any other
    readings.select(record).collect().write_csv(
        text, include_header=False, quote_style="never", line_terminator=BETWEEN
    )
    text.seek(-len(BETWEEN), io.SEEK_END)
    text.write(b"]")
    text.truncate()
    return text.getvalue()


def _asked(recorded: Recorded, query: Mapping[str, str]) -> tuple[list[str], datetime, datetime]:
    """Devices, each once, and the span of time: a job's own where it is asked by its number."""
    names = [query[name] for name in ("nodes", "devices") if query.get(name)]
    if query.get("job_id"):
        job = _job(recorded, query["job_id"])
        names = names or [",".join(held["node"] for held in job["held"])]
        own = (job[key] or recorded.now_s for key in ("started_at", "stopped_at"))
        first, last = (EPOCH + timedelta(seconds=at) for at in own)
        start, end = _times(query)
        start, end = start or first, end or last
    elif not names:
        raise KwollectRefusal(MISSING_ARGUMENT)
    else:
        start, end = span(query) or (recorded.now - MINUTES_5, recorded.now)
    devices = (each.partition(".")[0] for each in ",".join(names).split(","))
    return list(dict.fromkeys(devices)), start, end


def _job(recorded: Recorded, job_id: str) -> Mapping[str, Any]:
    if not job_id.isdecimal():
        raise _not(job_id, "integer", code="22P02")
    job = recorded.job(job_id)
    if job is None or job["started_at"] is None:
        raise KwollectRefusal(f"plpy.Error: Job {job_id} did not run")
    return job


def _series(
    recorded: Recorded,
    device: str,
    metrics: list[str] | None,
    start: datetime,
    end: datetime,
    limits: Limits,
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Readings of a device by metric: of those asked for, or all; both bounds are included."""
    renamed = limits.former_name_until or EPOCH
    spans = {
        FORMER_METRIC: (SIMULATED_METRIC, start, min(end, renamed - US)),
        SIMULATED_METRIC: (SIMULATED_METRIC, max(start, renamed), end),
    }
    if not device.endswith(BMC):
        spans |= {name: (name, start, end) for name in SIMULATED_SERIES}
    for metric, (name, first, last) in spans.items():
        if metrics is None or metric in metrics:
            found = recorded.readings(device.removesuffix(BMC), name, first, last + US)
            if found is not None:
                yield metric, found


def _bucket(at: datetime) -> datetime:
    return EPOCH + (at - EPOCH) // MINUTES_5 * MINUTES_5


def _times(query: Mapping[str, str]) -> tuple[datetime | None, datetime | None]:
    """`start_time` and `end_time`, each None where it is not given."""
    texts = (query.get(name) for name in ("start_time", "end_time"))
    start, end = (_time(text) if text else None for text in texts)
    return start, end


def _time(text: str) -> datetime:
    """Seconds since 1970, or an ISO time: without an offset it is Paris' time.

    A local time that Paris had twice, or never, is in winter time, as in PostgreSQL.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if math.isfinite(seconds):
        return EPOCH + timedelta(microseconds=round(min(max(seconds, 0.0), LATEST_S) * 1e6))
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            both = (time.replace(tzinfo=PARIS, fold=fold) for fold in (0, 1))
            time = min(both, key=lambda each: each.utcoffset() or timedelta())
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _not(text, "timestamp with time zone", code="22007") from None


def _not(text: str, kind: str, *, code: str) -> KwollectRefusal:
    message = f'invalid input syntax for type {kind}: "{text}"'
    return KwollectRefusal(message, code=code, status=400)
