"""Properties of the power histograms of runs, which the weights read.

Power of a run's own hardware is that of its GPUs where they have readings, else that of its nodes
where it holds them whole. Without both it is unknown.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint.core.arrays import Floats
from footprint.phases.power_histograms import WHOLE_NODE_SHARE
from footprint.schemas.phases import N_POWER_BINS

IDLE_GPU_BINS, IDLE_NODE_BINS = 2, 4
"""Bins at idle: a twentieth of the range of a GPU, a tenth of that of a node, as in
`thresholds.Thresholds`."""

LEVELS = (0.125, 0.25, 0.5, 0.75)
"""Power levels from which time is counted; each is the edge of a bin."""

PLATEAU_WIDTH_BINS = 3
"""Width of the window with most time: 3 / 40 of the range, wider than the noise of a steady run."""

SHAPE_COLUMNS = (
    *("own_idle_frac", "own_level_frac", "own_spread_frac", "own_plateau_frac"),
    *("own_plateau_level_frac", "own_burst_frac", "own_high_level_frac"),
    *(f"own_over_{round(1000 * level)}_frac" for level in LEVELS),
    "idle_gpus_busy_node",
)
_CHUNK_ROWS = 20_000


def power_shapes(features: pl.DataFrame) -> pl.DataFrame:
    """Shape of the power of each run's own hardware.

    Args:
        features: Result of `features.collect_features`.

    Returns:
        One row a run, in the same order. `own_idle_frac`: share of the time at idle;
        `own_level_frac`: mean level; `own_spread_frac`: standard deviation of the level over time;
        `own_plateau_frac`: largest share of the time within `PLATEAU_WIDTH_BINS` bins above idle;
        `own_plateau_level_frac`: level of this plateau; `own_burst_frac`: share of the time at 1.25
        times the mean level or more; `own_high_level_frac`: level of the highest tenth of the time;
        `own_over_*_frac`: share of the time from a level (in thousandths) on;
        `idle_gpus_busy_node`: share of the time above idle of a whole node whose GPUs are idle.
        Null: no power of its own hardware is known, or for the last column not that of both.
    """
    chunks = [_chunk_shapes(rows) for rows in features.iter_slices(_CHUNK_ROWS)]
    empty = pl.DataFrame(schema=dict.fromkeys(SHAPE_COLUMNS, pl.Float32))
    return pl.concat([empty, *chunks])


def _chunk_shapes(features: pl.DataFrame) -> pl.DataFrame:
    gpu = _histograms(features["gpu_histogram_s"])
    node = _histograms(features["node_histogram_s"])
    is_whole = (features["node_share"].fill_null(0.0) >= WHOLE_NODE_SHARE).to_numpy()
    gpu_s, node_s = gpu.sum(axis=1), node.sum(axis=1)
    has_gpu, has_node = gpu_s > 0, is_whole & (node_s > 0)
    own = np.where(has_gpu[:, None], gpu, node)
    own[~(has_gpu | has_node)] = np.nan
    idle_gpu = _share(gpu[:, :IDLE_GPU_BINS].sum(axis=1), gpu_s)
    idle_node = _share(node[:, :IDLE_NODE_BINS].sum(axis=1), node_s)
    shapes = _shape(own)
    shapes["own_idle_frac"] = np.where(has_gpu, idle_gpu, np.where(has_node, idle_node, np.nan))
    shapes["idle_gpus_busy_node"] = np.where(
        has_gpu & has_node, np.minimum(idle_gpu, 1 - idle_node), np.nan
    )
    frame = pl.DataFrame({name: shapes[name].astype(np.float32) for name in SHAPE_COLUMNS})
    return frame.with_columns(pl.all().fill_nan(None))


def _histograms(column: pl.Series) -> Floats:
    """Seconds by bin, one row a run; 0 where there is no histogram."""
    zeros = pl.Series([[0.0] * N_POWER_BINS], dtype=pl.List(pl.Float32))
    filled = column.cast(pl.List(pl.Float32)).fill_null(zeros.first())
    array: Floats = filled.list.to_array(N_POWER_BINS).to_numpy()
    return array.reshape(len(column), N_POWER_BINS).astype(np.float64)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def _shape(seconds: Floats) -> dict[str, Floats]:
    """Properties of histograms; NaN in a row without seconds."""
    level = (np.arange(N_POWER_BINS) + 0.5) / N_POWER_BINS
    whole_s = seconds.sum(axis=1)
    frac = seconds / whole_s[:, None]
    mean = frac @ level
    # Sheppard's correction: a bin adds a twelfth of its squared width to the variance.
    variance = frac @ level**2 - mean**2 - 1 / (12 * N_POWER_BINS**2)
    cumulated = np.cumsum(frac, axis=1)
    closed = np.concatenate([np.zeros((len(frac), 1)), cumulated], axis=1)
    windows = closed[:, PLATEAU_WIDTH_BINS:] - closed[:, :-PLATEAU_WIDTH_BINS]
    windows = windows[:, IDLE_GPU_BINS:]
    is_known = ~np.isnan(mean)
    best = np.zeros(len(frac), dtype=np.int64)
    best[is_known] = np.argmax(windows[is_known], axis=1)
    centre = (best + IDLE_GPU_BINS + PLATEAU_WIDTH_BINS / 2) / N_POWER_BINS
    bursts = np.where(level >= 1.25 * mean[:, None], frac, 0.0).sum(axis=1)
    high = (cumulated < 0.9).sum(axis=1) / N_POWER_BINS
    over = {
        f"own_over_{round(1000 * at)}_frac": 1 - closed[:, round(at * N_POWER_BINS)]
        for at in LEVELS
    }
    unknown = np.where(is_known, 0.0, np.nan)
    return {
        "own_level_frac": mean,
        "own_spread_frac": np.sqrt(np.maximum(variance, 0.0)),
        "own_plateau_frac": windows[np.arange(len(frac)), best] + unknown,
        "own_plateau_level_frac": centre + unknown,
        "own_burst_frac": bursts + unknown,
        "own_high_level_frac": high + unknown,
        **over,
    }
