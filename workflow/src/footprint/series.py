"""One series of power a node: which series a metric has, and the sum of a node's parts.

Kwollect tells several series of one metric and node apart by labels: `psu` of a power supply,
`_device_orig` of the outlets and ports that a value comes from, `_info` of a power supply's outlet.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from footprint.errors import InputError

NO_IDENTITY = frozenset({"value_str", "_metric_scrape_time", "_device_alias"})
"""Labels that do not make a series: the text of a reading that is no number, the time of a scrape,
the second name of a BMC."""

ORIGINS = "_device_orig"
"""Label with the list of ports whose readings Kwollect has summed."""

_NO_MEASUREMENT = (
    pl.when(pl.col("power_w").is_null() | pl.col("power_w").is_nan())
    .then(pl.lit("n_nan"))
    .when(pl.col("power_w") < 0)
    .then(pl.lit("n_not_positive"))
)

_SCRAPE_TIME = r'"_metric_scrape_time"\s*:\s*("[^"]*"|[^,}]*)\s*,?\s*'


def keys(labels: pl.Series) -> pl.Series:
    """Series of each sample as JSON text: its labels without `NO_IDENTITY`, sorted.

    Args:
        labels: Labels as JSON text, or null; the result of this function is one such text too.
    """
    texts = labels.fill_null("{}")
    if texts.str.contains("_metric_scrape_time", literal=True).any():
        texts = texts.str.replace_all(_SCRAPE_TIME, "").str.replace(r",\s*\}$", "}")
    known = {text: json.dumps(_identity(text), sort_keys=True) for text in texts.unique()}
    if set(known) == set(known.values()):
        return texts
    return texts.replace_strict(known, return_dtype=pl.String)


def with_labels_that_differ(readings: pl.DataFrame) -> pl.DataFrame:
    """Readings of a node without `labels` where all of them are alike, as mostly."""
    return readings if readings["labels"].n_unique() > 1 else readings.drop("labels")


def _identity(text: str) -> dict[str, Any]:
    try:
        labels = json.loads(text or "{}") or {}
    except ValueError:
        labels = {"labels": text}  # a text with quotation marks that Polars left without backslash
    if not isinstance(labels, dict):
        labels = {"labels": labels}
    kept = {name: value for name, value in labels.items() if name not in NO_IDENTITY}
    if isinstance(kept.get(ORIGINS), list):
        kept[ORIGINS] = sorted(map(str, kept[ORIGINS]))
    return kept


def one_a_node(raw: pl.DataFrame, *, metric: str, sum_over: str | None) -> pl.DataFrame:
    """Readings of one node as one series: as they are, or the sums of its parts.

    Series that follow one another in time, as when an outlet was exchanged, are one. With
    `sum_over`, each reading of the part with most readings is summed with the readings of all other
    parts that are nearest in time, less than half a period away: the median distance of readings of
    either part, whichever is shorter. Where a part has none, nothing is summed; each part of the
    month is needed, also one that ends where another begins. A part may draw 0 W, as a second power
    supply does, but a reading below 0 W or without a number is none.

    Args:
        raw: Readings of one node: `node`, `timestamp`, `power_w`, `labels` (JSON text), and any
            other columns, in any order. Without `labels`, they are one series.
        metric: Metric, for messages.
        sum_over: Label that tells the parts of a node apart.

    Returns:
        The readings without `labels`; where something was summed or left out, with `reason`: null
        for readings and sums to be used, `n_merged` for readings that are in the sum at another
        reading's time, `n_incomplete` for those of which a part is missing, `n_duplicate` for all
        but the lowest of a part at one time, `n_nan` and `n_not_positive` for those of a
        part that are no numbers or negative.

    Raises:
        InputError: Several series overlap in time that `sum_over` does not tell apart.
    """
    if "labels" not in raw.columns:
        return raw
    read = raw.with_columns(series=keys(raw["labels"])).drop("labels")
    if read["series"].n_unique() == 1:
        return read.drop("series")
    read = _without_partial_sums(read)
    whole = read.filter(pl.col("reason").is_null())
    names = {key: json.loads(key) for key in whole["series"].unique().sort()}
    parts = {key: json.dumps(labels.get(sum_over)) for key, labels in names.items()}
    for of_part in _groups(parts):
        if _overlap(whole.filter(pl.col("series").is_in(of_part))):
            raise _ambiguous(raw["node"][0], metric, [names[key] for key in of_part], sum_over)
    if len(set(parts.values())) <= 1:
        return read.drop("series")
    read = read.with_columns(reason=pl.coalesce("reason", _NO_MEASUREMENT))
    parted = (
        read.filter(pl.col("reason").is_null())
        .with_columns(part=pl.col("series").replace_strict(parts, return_dtype=pl.String))
        .drop("series")
    )
    left_out = read.filter(pl.col("reason").is_not_null()).drop("series")
    summed = _summed(parted, n_parts=len(set(parts.values())))
    return pl.concat([summed, left_out.select(summed.columns)])


def _groups(parts: dict[str, str]) -> list[list[str]]:
    found: dict[str, list[str]] = {}
    for key, part in parts.items():
        found.setdefault(part, []).append(key)
    return list(found.values())


def _without_partial_sums(read: pl.DataFrame) -> pl.DataFrame:
    """Readings with `reason`: `n_incomplete` for sums that lack ports which others of them have."""
    names = {key: json.loads(key) for key in read["series"].unique()}
    ports = {key: frozenset(labels.get(ORIGINS) or ()) for key, labels in names.items()}
    rest = {
        key: {name: value for name, value in labels.items() if name != ORIGINS}
        for key, labels in names.items()
    }
    partial = [
        key
        for key in names
        if ports[key]
        and any(ports[key] < ports[other] and rest[key] == rest[other] for other in names)
    ]
    reason = pl.when(pl.col("series").is_in(partial)).then(pl.lit("n_incomplete"))
    return read.with_columns(reason=reason)


def _overlap(read: pl.DataFrame) -> bool:
    """Whether some series starts before another one that started earlier has ended."""
    moment = pl.col("timestamp")
    spans = read.group_by("series").agg(first=moment.min(), last=moment.max()).sort("first", "last")
    return bool(spans.select((pl.col("first") <= pl.col("last").cum_max().shift()).any()).item())


def _ambiguous(
    node: str, metric: str, labels: list[dict[str, Any]], sum_over: str | None
) -> InputError:
    """The error that names the labels by which series differ."""
    names = sorted({name for each in labels for name in each})
    differ = [name for name in names if len({json.dumps(each.get(name)) for each in labels}) > 1]
    shown = ", ".join(f"`{name}`" for name in differ)
    part = "" if sum_over is None else f" for one value of `{sum_over}`"
    return InputError(
        f"{metric} of {node} has {len(labels)} series{part}, told apart by the label {shown}",
        where="integration.metric",
        do=f"set integration.sum_over: {differ[0]} to add them up, or choose a metric of the node",
    )


def _summed(read: pl.DataFrame, *, n_parts: int) -> pl.DataFrame:
    """Sums of all parts at the times of the part with most readings, and all other readings."""
    if read.is_empty():
        return read.drop("part")
    ordered = read.sort("part", "timestamp", "power_w", nulls_last=True)
    again = (pl.col("timestamp") == pl.col("timestamp").shift()).over("part").fill_null(False)
    once = ordered.filter(~again).with_row_index("row")
    sizes = once.group_by("part").len().sort("len", "part", descending=[True, False])
    clock, *others = sizes["part"].to_list()
    sums = once.filter(pl.col("part") == clock).with_columns(missing=pl.lit(len(sizes) < n_parts))
    used = [sums.select("row", row_of_part=pl.lit(None, dtype=once["row"].dtype))]
    for part in others:
        own = once.filter(pl.col("part") == part)
        half_us = min(_period_us(own), _period_us(sums)) // 2
        tolerance_us = max(half_us - 1, 0)  # so that no reading is near to two
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
    rest = once.join(complete.select("row"), on="row", how="anti").with_columns(
        reason=pl.when(pl.col("row").is_in(merged.drop_nulls().unique().implode()))
        .then(pl.lit("n_merged"))
        .otherwise(pl.lit("n_incomplete"))
    )
    twice = ordered.filter(again).with_columns(reason=pl.lit("n_duplicate"))
    columns = [name for name in read.columns if name != "part"]
    return pl.concat([complete.select(columns), rest.select(columns), twice.select(columns)])


def _period_us(read: pl.DataFrame) -> int:
    """Median distance of readings that are sorted by time; 0 for a single one."""
    median = read["timestamp"].dt.epoch("us").diff().median()
    return int(median) if isinstance(median, float) else 0
