"""Kwollect: readings of nodes and their devices between two times, as JSON written by Polars."""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from footprint.core.sums import known_mean
from footprint.serve.recorded import RecordedSite
from footprint.serve.refusals import KwollectRefusal
from footprint.sources.kwollect.metrics import SIMULATED_METRIC, SIMULATED_SERIES

RECORD_SEPARATOR = ", \n "
"""Text between two records of an answer."""

PARIS = ZoneInfo("Europe/Paris")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_S = 4_102_444_800.0
"""2100-01-01: later times count as this one."""

MICROSECOND = timedelta(microseconds=1)
FIVE_MINUTES = timedelta(minutes=5)
BMC_SUFFIX = "-bmc"
MISSING_ARGUMENT_MESSAGE = "plpy.Error: Missing 'devices', 'nodes' or 'job_id' argument"
TOO_MUCH_MESSAGE = "Exception: Request timeout, too much data to process."
TOO_MUCH_CODE = "38000"
UNREADABLE_MESSAGE = "plpy.Error: could not read block 0 in file: read only 0 of 8192 bytes"

ARGUMENTS = frozenset(
    ["job_id", "nodes", "devices", "metrics", "start_time", "end_time", "summary", "as_rate"]
)
"""Arguments of Kwollect's function `get_metrics`."""

BOOLEANS = frozenset(["true", "t", "1", "yes", "y", "on", "false", "f", "0", "no", "n", "off"])
"""How PostgreSQL writes a Boolean."""

MAX_ROWS = 1_000_000
"""Maximum number of readings in one answer."""


def metrics_answer(
    recorded: RecordedSite, query: Mapping[str, str], fail_nodes: Collection[str]
) -> bytes:
    """Return readings as a JSON array, in the order of time over all devices.

    Args:
        recorded: Site with the readings.
        query: Parameters of the request.
        fail_nodes: Nodes whose requests always fail.

    Raises:
        KwollectRefusal: The parameters are invalid, or there are too many readings.
    """
    _check_arguments(query)
    devices, start, end = _requested_series(recorded, query)
    if any(device.removesuffix(BMC_SUFFIX) in fail_nodes for device in devices):
        raise KwollectRefusal(UNREADABLE_MESSAGE, code="XX001")
    has_means = is_summary(query)
    if has_means:  # whole buckets that start in the window
        start, end = (
            _bucket_start(start + FIVE_MINUTES - MICROSECOND),
            _bucket_start(end) + FIVE_MINUTES - MICROSECOND,
        )
    metrics = query["metrics"].split(",") if query.get("metrics") else None
    n_rows, parts = 0, []
    for device in devices:
        for metric, readings in _readings_by_metric(recorded, device, metrics, start, end):
            rows = five_minute_means(readings, metric) if has_means else readings
            n_rows += len(rows)
            if n_rows > MAX_ROWS:
                raise KwollectRefusal(TOO_MUCH_MESSAGE, code=TOO_MUCH_CODE)
            names = {"device": pl.lit(device), "metric": pl.lit(metric)}
            parts.append(rows.lazy().select("timestamp", "value", "labels", **names))
    if not n_rows:
        return b"[]"
    return readings_json(pl.concat(parts).sort("timestamp", maintain_order=True))


def is_summary(query: Mapping[str, str]) -> bool:
    """Whether means over 5 minutes are requested."""
    return query.get("summary", "").lower() in ("true", "t", "1")


def requested_window(query: Mapping[str, str]) -> tuple[datetime, datetime] | None:
    """Return the requested start and end; None if the parameters have neither.

    With one of the two alone, the window is five minutes.

    Raises:
        KwollectRefusal: A time is invalid.
    """
    start, end = _requested_times(query)
    if start is not None:
        return start, start + FIVE_MINUTES if end is None else end
    return None if end is None else (end - FIVE_MINUTES, end)


def five_minute_means(readings: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Return means over five minutes, at the start of each, or the maximum of a counter.

    Args:
        readings: `labels`, `timestamp`, `value`.
        metric: Name of the metric; the name of a counter ends in `_total`.
    """
    value = pl.col("value").max() if metric.endswith("_total") else known_mean(pl.col("value"))
    bucket = pl.col("timestamp").dt.truncate("5m")
    return readings.group_by(bucket, "labels").agg(value).sort("timestamp", "labels")


def _check_arguments(query: Mapping[str, str]) -> None:
    """Refuse arguments as PostgREST and PostgreSQL do."""
    given = sorted(name for name in query if name not in ("limit", "offset"))
    if not ARGUMENTS.issuperset(given):
        names = ", ".join(given)
        message = f"Could not find the function api.get_metrics({names}) in the schema cache"
        raise KwollectRefusal(message, code="PGRST202", status=404)
    for name in ("summary", "as_rate"):
        if name in query and query[name].lower() not in BOOLEANS:
            raise _syntax_error(query[name], "boolean", code="22P02")
    for name in ("nodes", "devices"):
        if "'" in query.get(name, ""):
            message = "spiexceptions.SyntaxError: syntax error at or near"
            raise KwollectRefusal(message, code="42601", status=400)


def readings_json(readings: pl.LazyFrame) -> bytes:
    """Return readings as a JSON array.

    Times have the offset of Paris and no trailing zeros in their fraction. Whole values have no
    fraction.

    Args:
        readings: `device`, `metric`, `timestamp`, `value`, `labels`.
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
    # the fastest way to write lines of text in Polars: CSV of one column without quotes
    readings.select(record).collect().write_csv(
        text, include_header=False, quote_style="never", line_terminator=RECORD_SEPARATOR
    )
    text.seek(-len(RECORD_SEPARATOR), io.SEEK_END)
    text.write(b"]")
    text.truncate()
    return text.getvalue()


def _requested_series(
    recorded: RecordedSite, query: Mapping[str, str]
) -> tuple[list[str], datetime, datetime]:
    """Return the requested devices, each once, and the window, which may be a job's."""
    names = [query[name] for name in ("nodes", "devices") if query.get(name)]
    if query.get("job_id"):
        job = _started_job(recorded, query["job_id"])
        names = names or [",".join(each["node"] for each in job["allocations"])]
        times = (job[key] or recorded.now_s for key in ("started_at", "stopped_at"))
        first, last = (EPOCH + timedelta(seconds=at) for at in times)
        start, end = _requested_times(query)
        start, end = start or first, end or last
    elif not names:
        raise KwollectRefusal(MISSING_ARGUMENT_MESSAGE)
    else:
        start, end = requested_window(query) or (recorded.now - FIVE_MINUTES, recorded.now)
    devices = (each.partition(".")[0] for each in ",".join(names).split(","))
    return list(dict.fromkeys(devices)), start, end


def _started_job(recorded: RecordedSite, job_id: str) -> Mapping[str, Any]:
    if not job_id.isdecimal():
        raise _syntax_error(job_id, "integer", code="22P02")
    job = recorded.find_job(job_id)
    if job is None or job["started_at"] is None:
        raise KwollectRefusal("IndexError: list index out of range", code=TOO_MUCH_CODE)
    return job


def _readings_by_metric(
    recorded: RecordedSite,
    device: str,
    metrics: list[str] | None,
    start: datetime,
    end: datetime,
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield readings of a device by metric: of `metrics`, or all. Both bounds are included."""
    series = () if device.endswith(BMC_SUFFIX) else SIMULATED_SERIES
    for metric in (SIMULATED_METRIC, *series):
        if metrics is None or metric in metrics:
            found = recorded.readings(
                device.removesuffix(BMC_SUFFIX), metric, start, end + MICROSECOND
            )
            if found is not None:
                yield metric, found


def _bucket_start(at: datetime) -> datetime:
    return EPOCH + (at - EPOCH) // FIVE_MINUTES * FIVE_MINUTES


def _requested_times(query: Mapping[str, str]) -> tuple[datetime | None, datetime | None]:
    """Return `start_time` and `end_time`, each None if it is not given."""
    texts = (query.get(name) for name in ("start_time", "end_time"))
    start, end = (_parse_time(text) if text else None for text in texts)
    return start, end


def _parse_time(text: str) -> datetime:
    """Parse seconds since 1970, or an ISO time, which is in Paris if it has no offset.

    A local time that Paris has twice or never is taken as winter time, as by PostgreSQL.
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
            candidates = (time.replace(tzinfo=PARIS, fold=fold) for fold in (0, 1))
            time = min(candidates, key=lambda each: each.utcoffset() or timedelta())
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _syntax_error(text, "timestamp with time zone", code="22007") from None


def _syntax_error(text: str, kind: str, *, code: str) -> KwollectRefusal:
    message = f'invalid input syntax for type {kind}: "{text}"'
    if code == "22007":  # within Kwollect's function; other arguments are read before it
        message = f"spiexceptions.InvalidDatetimeFormat: {message}"
    return KwollectRefusal(message, code=code, status=400)
