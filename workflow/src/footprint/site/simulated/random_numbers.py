"""Random numbers that depend on the seed and a name alone, not on what was drawn before."""

from __future__ import annotations

from zlib import crc32

import numpy as np


def generator(seed: int, *words: str | int) -> np.random.Generator:
    """A source of random numbers for the seed and the words."""
    keys = [word if isinstance(word, int) else crc32(word.encode()) for word in words]
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, *keys])))
