"""Samples of nodes as the kernel integrates them, calibrated, with checks of the calibration."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl

from footprint.core.arrays import Floats
from footprint.core.errors import InputError
from footprint.energy.kernel import NodeSamples
from footprint.energy.sample_intervals import IntegrationMethod
from footprint.energy.sensor_period import usual_period_s
from footprint.sources.calibration import Calibration

LOG = logging.getLogger(__name__)

MAX_CLIPPED_FRAC = 0.01
"""Part of a node's readings while it is on that a calibration may make negative (set to 0 W)."""


def node_samples(
    node: str,
    frame: pl.DataFrame,
    method: IntegrationMethod,
    *,
    calibration: Calibration | None,
    idle_power_w: Mapping[str, float] | None,
    start: datetime,
) -> NodeSamples:
    """Samples of a node for the kernel; warns where `sum_of_samples` finds no period in them.

    Args:
        node: Name of the node.
        frame: `timestamp`, `power_w`, strictly ascending in time.
        method: How samples are integrated.
        calibration: Line of the cluster; None: none.
        idle_power_w: Idle power by node; None: not needed.
        start: Start of the month, for messages.

    Raises:
        InputError: The node lacks the idle power, or the calibration gives less than 0 W for more
            than `MAX_CLIPPED_FRAC` of its readings while it is on.
    """
    if calibration is not None:
        _check_clipped(node, frame["power_w"].to_numpy(), calibration, method, start)
    samples = NodeSamples.from_frame(
        frame,
        method,
        idle_power_w=_idle_power_w(node, idle_power_w) if len(frame) else None,
        calibration=calibration,
    )
    if method.name == "sum_of_samples" and len(frame) and usual_period_s(samples.times_us) is None:
        LOG.warning(
            "%s in %s: distances of %d samples show no period; each counts for %g s",
            *(node, f"{start:%Y-%m}", len(frame), samples.period_s),
        )
    return samples


def _check_clipped(
    node: str, readings_w: Floats, line: Calibration, method: IntegrationMethod, start: datetime
) -> None:
    """Refuse a calibration that makes too many of a node's readings negative.

    A node is on where a reading times the line's slope is at least the standby threshold.
    """
    on = readings_w[readings_w * line.slope >= method.off_threshold_w]
    n_clipped = np.count_nonzero(line.to_power(on) < 0)
    if n_clipped > MAX_CLIPPED_FRAC * len(on):
        raise InputError(
            f"gives less than 0 W for {n_clipped} of {len(on)} readings of {node} in {start:%Y-%m}",
            where=f"integration.calibration.{node.rpartition('-')[0]}",
            do="fix its slope and offset: power is slope x reading + offset",
        )


def _idle_power_w(node: str, known: Mapping[str, float] | None) -> float | None:
    """Idle power of a node; None where the gate needs none."""
    if known is not None and node not in known:
        raise InputError(
            "has no sample without a job, and the gate two_part needs its idle power",
            where=node,
            do="set integration.idle_power for its cluster",
        )
    return known[node] if known is not None else None
