"""Bootstrap intervals of the part of the energy in the largest jobs.

The jobs of a user depend on each other, so that users are drawn with replacement and not jobs
(cluster bootstrap; Cameron, Gelbach and Miller, Review of Economics and Statistics 90 (2008)
414-427). Each sample has its own largest jobs. Ends are the 2.5 and 97.5 % quantiles of the parts.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from footprint.core.arrays import Floats

N_SAMPLES = 500
SEED = 2025
TAIL = 0.025
N_BLOCKS = 1_000
"""Blocks of jobs of similar energy that samples are summed in; each is one job below 500 jobs."""
MIN_USERS = 5
"""Fewest users for an interval; samples of fewer are too alike."""

Interval = tuple[float | None, float | None]


def intervals_of_largest(
    jobs: pl.DataFrame, percents: Iterable[int], *, energy: str = "total_kwh", user: str = "user"
) -> list[Interval]:
    """Return 95 % intervals of the part of the energy in the largest jobs.

    Args:
        jobs: Energy (kWh, at least 0; rows with null are left out) and user of each job.
        percents: Numbers of largest jobs, in per cent of all jobs, rounded up.
        energy: Column of the energy.
        user: Column of the user.

    Returns:
        Both ends for each of `percents`, widened to contain the part of all jobs; None below
        `MIN_USERS` users or without energy.
    """
    percents = list(percents)
    known = jobs.select(energy, user).drop_nulls(energy)
    known = known.sort(energy, user, descending=[True, False])
    kwh = known[energy].to_numpy()
    users = known[user].fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
    n_users = int(users.max()) + 1 if len(users) else 0
    if n_users < MIN_USERS or not kwh.any():
        return [(None, None)] * len(percents)
    whole = _largest_parts(np.ones(len(kwh)), kwh, percents)
    # finer blocks for larger jobs
    block = (N_BLOCKS * np.sqrt(np.arange(len(kwh)) / len(kwh))).astype(np.int64)
    n_of_user, kwh_of_user = (np.zeros((n_users, N_BLOCKS)) for _ in range(2))
    np.add.at(n_of_user, (users, block), 1.0)
    np.add.at(kwh_of_user, (users, block), kwh)
    random = np.random.default_rng(SEED)
    parts = []
    for drawn in random.integers(0, n_users, (N_SAMPLES, n_users)):
        weight = np.bincount(drawn, minlength=n_users).astype(float)
        # einsum adds in one order, for any number of threads
        n_drawn = np.einsum("u,ub->b", weight, n_of_user)
        kwh_drawn = np.einsum("u,ub->b", weight, kwh_of_user)
        parts.append(_largest_parts(n_drawn, kwh_drawn, percents))
    low, high = np.nanquantile(parts, [TAIL, 1 - TAIL], axis=0)
    ends = zip(np.fmin(low, whole), np.fmax(high, whole), strict=True)
    return [(float(low), float(high)) for low, high in ends]


def _largest_parts(n_jobs: Floats, kwh: Floats, percents: list[int]) -> Floats:
    """Part of the energy in the largest jobs for each of `percents`; NaN without energy.

    Args:
        n_jobs: Number of jobs in each block, those of the largest jobs first.
        kwh: Energy of each block.
        percents: Numbers of largest jobs, in per cent.
    """
    counts = np.concatenate([[0.0], np.cumsum(n_jobs)])
    energies = np.concatenate([[0.0], np.cumsum(kwh)])
    if not energies[-1] > 0:
        return np.full(len(percents), np.nan)
    wanted = [-(-round(counts[-1]) * percent // 100) for percent in percents]
    parts: Floats = np.interp(wanted, counts, energies) / energies[-1]
    return parts
