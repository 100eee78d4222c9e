"""Properties of a cluster's hardware that no description publishes, drawn by seed.

They differ from the catalogue and between clusters, so that no model of the power of nodes is as
right as the one that made the readings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from footprint.sources.simulated.random_numbers import random_generator

# Standard deviation of the logarithm of idle power, and the bounds of its factor. The lower bound
# leaves a node more power than its idle GPUs draw.
_IDLE_SPREAD_LOG = 0.25
IDLE_FACTORS = (0.65, 1.6)
LOSS_FACTORS = (1.03, 1.20)
PROCESSOR_RANGES = (0.55, 0.95)
SERIES_FACTORS = (0.95, 1.05)


@dataclass(frozen=True, slots=True)
class HiddenHardware:
    """Hidden properties that the nodes of a cluster share.

    Attributes:
        idle_factor: Idle power of a node, relative to the catalogue's.
        loss_factor: Power of a node per power of its GPUs and processors above idle: fans and
            conversion losses.
        processor_range_frac: Power of processors between idle and busy, as a fraction of the TDP.
        series_factor: Power of a GPU by its exporter, relative to the power that it draws.
    """

    idle_factor: float
    loss_factor: float
    processor_range_frac: float
    series_factor: float


def draw_hidden_hardware(seed: int, cluster: str) -> HiddenHardware:
    """Draw the hidden properties of a cluster, whichever other clusters the site has.

    The idle factor is lognormal with a standard deviation of 25 %, clipped; the others are
    rectangular.
    """
    rng = random_generator(seed, "hidden hardware", cluster)
    idle_factor = float(np.exp(_IDLE_SPREAD_LOG * rng.standard_normal()))
    return HiddenHardware(
        idle_factor=min(max(idle_factor, IDLE_FACTORS[0]), IDLE_FACTORS[1]),
        loss_factor=float(rng.uniform(*LOSS_FACTORS)),
        processor_range_frac=float(rng.uniform(*PROCESSOR_RANGES)),
        series_factor=float(rng.uniform(*SERIES_FACTORS)),
    )
