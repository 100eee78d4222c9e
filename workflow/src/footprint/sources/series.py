"""Series of one node and metric: recognised by labels, and merged or summed into one.

Labels distinguish the series that Kwollect stores for one metric and node: `psu` is a power supply,
`_device_orig` the outlets and ports behind a value, `_info` the outlet of a power supply.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import polars as pl

from footprint.core.errors import InputError
from footprint.sources.kwollect.means import BUCKET_S

IGNORED_LABELS = frozenset({"value_str", "_metric_scrape_time", "_device_alias"})
"""Labels that do not distinguish series: the text of a reading without a number, the time of a
scrape, the second name of a BMC."""

ORIGINS_LABEL = "_device_orig"
"""Label with the list of ports whose readings Kwollect summed."""

_NO_MEASUREMENT = (
    pl.when(pl.col("power_w").is_null() | pl.col("power_w").is_nan())
    .then(pl.lit("n_nan"))
    .when(pl.col("power_w") < 0)
    .then(pl.lit("n_not_positive"))
)

_SCRAPE_TIME = r'"_metric_scrape_time"\s*:\s*("[^"]*"|[^,}]*)\s*,?\s*'


def series_keys(labels: pl.Series) -> pl.Series:
    """Key of the series of each reading: its labels without `IGNORED_LABELS`, as sorted JSON text.

    Args:
        labels: Labels as JSON text, or null. Keys are accepted too, and stay as they are.
    """
    texts = labels.fill_null("{}")
    if texts.str.contains("_metric_scrape_time", literal=True).any():
        texts = texts.str.replace_all(_SCRAPE_TIME, "").str.replace(r",\s*\}$", "}")
    key_of = {
        text: json.dumps(_identifying_labels(text), sort_keys=True) for text in texts.unique()
    }
    if set(key_of) == set(key_of.values()):
        return texts
    return texts.replace_strict(key_of, return_dtype=pl.String)


def gpu_index(labels: pl.Expr) -> pl.Expr:
    """Index of the GPU in labels as JSON text; null where they have no label `gpu`."""
    return labels.str.json_path_match("$.gpu").cast(pl.UInt8, strict=False)


def gpus_of_readings(readings: pl.DataFrame, *, device: str, where: str, do: str) -> pl.Series:
    """Index of the GPU of each reading, by its labels; each text of labels is parsed once.

    Args:
        readings: `labels`, `timestamp` and the column named by `device`.
        device: Column with the node or device, for the message.
        where: File or metric, for the message.
        do: Advice, for the message.

    Raises:
        InputError: A reading has no label `gpu`.
    """
    of_text = readings.select("labels").unique().with_columns(gpu=gpu_index(pl.col("labels")))
    gpus = readings["labels"].replace_strict(
        of_text["labels"], of_text["gpu"], return_dtype=pl.UInt8
    )
    unlabelled = readings.filter(gpus.is_null())
    for row in unlabelled.head(1).iter_rows(named=True):
        what = f"the reading of {row[device]} at {row['timestamp']} has no label `gpu`"
        raise InputError(what, where=where, do=do)
    return gpus


def drop_equal_labels(readings: pl.DataFrame) -> pl.DataFrame:
    """Readings of a node, without the column `labels` where all labels are equal.

    Args:
        readings: Readings of one node, with `labels`.
    """
    return readings if readings["labels"].n_unique() > 1 else readings.drop("labels")


def _identifying_labels(text: str) -> dict[str, Any]:
    """Labels in a JSON text, without `IGNORED_LABELS`."""
    try:
        labels = json.loads(text or "{}") or {}
    except ValueError:
        labels = {"labels": text}  # Polars drops the backslashes before quotation marks
    if not isinstance(labels, dict):
        labels = {"labels": labels}
    kept = {name: value for name, value in labels.items() if name not in IGNORED_LABELS}
    if isinstance(kept.get(ORIGINS_LABEL), list):
        kept[ORIGINS_LABEL] = sorted(map(str, kept[ORIGINS_LABEL]))
    return kept


def merge_series(raw: pl.DataFrame, *, metric: str, sum_over: str | None) -> pl.DataFrame:
    """Readings of one node as one series: unchanged, or the sums of the node's parts.

    Series that follow one another in time are one series, as when an outlet was exchanged. With
    `sum_over`, the node has parts, and a sum has one reading of each part:

    - The sum has the time of a reading of the part with most readings.
    - Of every other part it has the reading nearest in time, less than half a period away. The
      period is the median time between readings, of the part for which it is shorter.
    - Every part that has readings in the month must have one; otherwise there is no sum.
    - A reading of 0 W counts, as of a second power supply; one below 0 W or NaN does not.

    Args:
        raw: Readings of one node: `node`, `timestamp`, `power_w`, `labels` (JSON text), and any
            other columns, in any order. Without `labels`, they are one series.
        metric: Metric, for messages.
        sum_over: Label that distinguishes the parts of a node.

    Returns:
        The readings without `labels`. Where readings were summed or rejected, `reason` is null for
        readings and sums to use, else the name of a count in `schemas.Quality`: `n_merged` for a
        reading that is part of a sum at another reading's time, `n_incomplete` for a reading
        without readings of all parts, `n_duplicate` for all but the lowest reading of a part at one
        time, `n_nan` and `n_not_positive` for a reading of a part that is NaN, null or negative.

    Raises:
        InputError: Several series overlap in time, and `sum_over` does not distinguish them.
    """
    if "labels" not in raw.columns:
        return raw
    readings = raw.with_columns(series=series_keys(raw["labels"])).drop("labels")
    if readings["series"].n_unique() == 1:
        return readings.drop("series")
    readings = _mark_partial_sums(readings)
    whole = readings.filter(pl.col("reason").is_null())
    labels_of = {key: json.loads(key) for key in whole["series"].unique().sort()}
    part_of = {key: json.dumps(labels.get(sum_over)) for key, labels in labels_of.items()}
    for series in _series_by_part(part_of):
        if _has_overlap(whole.filter(pl.col("series").is_in(series))):
            labels = [labels_of[key] for key in series]
            raise _ambiguity_error(raw["node"][0], metric, labels, sum_over)
    if len(set(part_of.values())) <= 1:
        return readings.drop("series")
    readings = readings.with_columns(reason=pl.coalesce("reason", _NO_MEASUREMENT))
    parts = (
        readings.filter(pl.col("reason").is_null())
        .with_columns(part=pl.col("series").replace_strict(part_of, return_dtype=pl.String))
        .drop("series")
    )
    rejected = readings.filter(pl.col("reason").is_not_null()).drop("series")
    summed = _sum_parts(parts, n_parts=len(set(part_of.values())))
    return pl.concat([summed, rejected.select(summed.columns)])


def _series_by_part(part_of: dict[str, str]) -> list[list[str]]:
    """Keys of the series of each part."""
    found: dict[str, list[str]] = {}
    for key, part in part_of.items():
        found.setdefault(part, []).append(key)
    return list(found.values())


def _mark_partial_sums(readings: pl.DataFrame) -> pl.DataFrame:
    """Readings with `reason`: `n_incomplete` for sums over fewer ports than another series has."""
    labels_of = {key: json.loads(key) for key in readings["series"].unique()}
    ports = {key: frozenset(labels.get(ORIGINS_LABEL) or ()) for key, labels in labels_of.items()}
    other_labels = {
        key: {name: value for name, value in labels.items() if name != ORIGINS_LABEL}
        for key, labels in labels_of.items()
    }
    partial = [
        key
        for key in labels_of
        if ports[key]
        and any(
            ports[key] < ports[other] and other_labels[key] == other_labels[other]
            for other in labels_of
        )
    ]
    reason = pl.when(pl.col("series").is_in(partial)).then(pl.lit("n_incomplete"))
    return readings.with_columns(reason=reason)


def _has_overlap(readings: pl.DataFrame) -> bool:
    """Whether a series starts before the end of one that started earlier.

    Series of means may share the bucket in which one follows the other; means that are not
    expanded have the time of its start.
    """
    time = pl.col("timestamp")
    if "from_summary" in readings.columns:
        starts_with_mean = pl.col("from_summary").sort_by("timestamp").first()
        shared = pl.when(starts_with_mean).then(timedelta(seconds=BUCKET_S)).otherwise(timedelta())
    else:
        shared = pl.lit(timedelta())
    bounds = readings.group_by("series").agg(first=time.min() + shared, last=time.max())
    ordered = bounds.sort("first", "last").with_columns(until=pl.col("last").cum_max().shift())
    first, until = pl.col("first"), pl.col("until")
    may_share = (first.dt.epoch("us") % (BUCKET_S * 1_000_000) == 0) & (first > first.min())
    return bool(ordered.select(((first < until) | ((first == until) & ~may_share)).any()).item())


def _ambiguity_error(
    node: str, metric: str, labels: list[dict[str, Any]], sum_over: str | None
) -> InputError:
    """The error that names the labels by which series differ."""
    names = sorted({name for each in labels for name in each})
    differ = [name for name in names if len({json.dumps(each.get(name)) for each in labels}) > 1]
    shown = ", ".join(f"`{name}`" for name in differ)
    part = "" if sum_over is None else f" for one value of `{sum_over}`"
    return InputError(
        f"{metric} of {node} has {len(labels)} series{part}, distinguished by the label {shown}",
        where="integration.metric",
        do=f"set integration.sum_over: {differ[0]} to add them up, or choose a metric of the node",
    )


def _sum_parts(readings: pl.DataFrame, *, n_parts: int) -> pl.DataFrame:
    """Sums of all parts, at the times of the part with most readings, and the readings left over.

    Args:
        readings: Readings with the `part` of each and the column `reason`, null.
        n_parts: Number of parts that a sum must have.
    """
    if readings.is_empty():
        return readings.drop("part")
    ordered = readings.sort("part", "timestamp", "power_w", nulls_last=True)
    is_repeated = (pl.col("timestamp") == pl.col("timestamp").shift()).over("part").fill_null(False)
    once = ordered.filter(~is_repeated).with_row_index("row")
    sizes = once.group_by("part").len().sort("len", "part", descending=[True, False])
    largest, *others = sizes["part"].to_list()
    sums = once.filter(pl.col("part") == largest).with_columns(missing=pl.lit(len(sizes) < n_parts))
    used = [sums.select("row", row_of_part=pl.lit(None, dtype=once["row"].dtype))]
    for part in others:
        own = once.filter(pl.col("part") == part)
        half_us = min(_period_us(own), _period_us(sums)) // 2
        tolerance_us = max(half_us - 1, 0)  # a reading is within reach of one sum alone
        near = own.select("timestamp", row_of_part="row", part_w="power_w")
        sums = sums.join_asof(
            near, on="timestamp", strategy="nearest", tolerance=f"{tolerance_us}us"
        )
        used.append(sums.select("row", "row_of_part"))
        sums = sums.with_columns(
            power_w=pl.when(pl.col("row_of_part").is_not_null()).then(
                pl.col("power_w") + pl.col("part_w")
            ),
            missing=pl.col("row_of_part").is_null() | pl.col("missing"),
        ).drop("row_of_part", "part_w")
    complete = sums.filter(~pl.col("missing")).drop("missing")
    merged = pl.concat(used).join(complete.select("row"), on="row", how="semi")["row_of_part"]
    left_over = once.join(complete.select("row"), on="row", how="anti").with_columns(
        reason=pl.when(pl.col("row").is_in(merged.drop_nulls().unique().implode()))
        .then(pl.lit("n_merged"))
        .otherwise(pl.lit("n_incomplete"))
    )
    repeated = ordered.filter(is_repeated).with_columns(reason=pl.lit("n_duplicate"))
    columns = [name for name in readings.columns if name != "part"]
    frames = (complete, left_over, repeated)
    return pl.concat([frame.select(columns) for frame in frames])


def _period_us(readings: pl.DataFrame) -> int:
    """Median time between readings that are sorted by time, in microseconds; 0 for one reading."""
    median = readings["timestamp"].dt.epoch("us").diff().median()
    return int(median) if isinstance(median, float) else 0
