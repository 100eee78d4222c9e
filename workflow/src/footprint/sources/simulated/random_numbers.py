"""Random generators that depend on the seed and a name alone, not on earlier draws."""

from __future__ import annotations

from zlib import crc32

import numpy as np

DEFAULT_SEED = 2025


def random_generator(seed: int, *words: str | int) -> np.random.Generator:
    """Random generator of a seed and words."""
    keys = [word if isinstance(word, int) else crc32(word.encode()) for word in words]
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, *keys])))
