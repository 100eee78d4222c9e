"""Random draws of errors with a fixed seed.

Each error has a name, from which its draws follow: the error of a cluster is the same in every
call, whatever the other clusters and groups, so that errors that two groups share cancel in their
ratio. Draws are stratified (one in each of `N_DRAWS` equally likely intervals, in random order), so
that quantiles depend little on the seed (Latin hypercube sampling; McKay et al. 1979).
"""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from statistics import NormalDist

import numpy as np

from footprint.core.arrays import Floats

N_DRAWS = 4_000
SEED = 20_25


def rectangular_draws(*name: str) -> Floats:
    """Return draws of a rectangular error on [-1, 1].

    Args:
        name: Name of the error.
    """
    return _shuffled(2 * _midpoints() - 1, name)


@lru_cache(maxsize=1024)
def uniform_draws(*name: str) -> Floats:
    """Return draws of a uniform number on [0, 1]; the array is read-only.

    Args:
        name: Name of the number.
    """
    draws = _shuffled(_midpoints(), name)
    draws.flags.writeable = False
    return draws


def normal_draws(*name: str) -> Floats:
    """Return draws of a standard normal error.

    Args:
        name: Name of the error.
    """
    return _shuffled(_normal_midpoints(), name)


def scale_draws(degrees_of_freedom: float, *name: str) -> Floats:
    """Return draws of `sqrt(df / chi2)`: times a standard normal error, they are Student's t.

    Args:
        degrees_of_freedom: Degrees of freedom.
        name: Name of the error.
    """
    return _shuffled(_scale_midpoints(degrees_of_freedom), name)


def _shuffled(values: Floats, name: tuple[str, ...]) -> Floats:
    digest = hashlib.blake2b("\0".join(name).encode(), digest_size=8).digest()
    generator = np.random.default_rng([SEED, int.from_bytes(digest, "big")])
    shuffled: Floats = generator.permutation(values)
    return shuffled


@cache
def _midpoints() -> Floats:
    middles: Floats = (np.arange(N_DRAWS) + 0.5) / N_DRAWS
    return middles


@cache
def _normal_midpoints() -> Floats:
    normal = NormalDist()
    return np.array([normal.inv_cdf(probability) for probability in _midpoints()])


@lru_cache(maxsize=64)
def _scale_midpoints(degrees_of_freedom: float) -> Floats:
    chi2 = np.random.default_rng(SEED).chisquare(degrees_of_freedom, 100 * N_DRAWS)
    scales: Floats = np.sqrt(degrees_of_freedom / np.quantile(chi2, _midpoints()))
    return scales
