"""Meters of the clusters: their gains, and the clusters without meters or without device series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from footprint.core.errors import InputError
from footprint.sources.simulated.catalogue import CLUSTER_HARDWARE
from footprint.sources.simulated.random_numbers import random_generator

BY_SEED = "seed"
"""Value of `source.without_meters` and `source.without_series` for clusters drawn by seed."""

_WITHOUT_METER_PROBABILITY = 0.35
_WITHOUT_SERIES_PROBABILITY = 0.2


@dataclass(frozen=True, slots=True)
class MeterGains:
    """Distribution of the gains of meters: true power over reading.

    The gain of cluster m is `mid + half (sqrt(r) U_0 + sqrt(1 - r) U_m)`, where `mid` and `half`
    are the middle and half the width of the interval, and U_0 and U_m are rectangular on [-1, 1].
    U_0 is common to all clusters. Two gains have the correlation r. The sum of two rectangular
    distributions exceeds the interval by up to `0.41 half` at each end.

    Attributes:
        low: Lower end of the interval.
        high: Upper end of the interval.
        correlation: r, from 0 (independent gains) to 1 (one gain for all clusters).
    """

    low: float = 0.95
    high: float = 1.15
    correlation: float = 0.5

    @classmethod
    def from_source(cls, source: Mapping[str, Any]) -> MeterGains:
        """Distribution of `source.meter`; keys that are missing have their defaults.

        Raises:
            InputError: A key is unknown, or a value is not allowed.
        """
        wanted = dict(source.get("meter") or {})
        for key, value in wanted.items():
            if key not in cls.__slots__:
                raise InputError(
                    f"there is no key {key!r}",
                    where="source.meter",
                    do=f"choose among {', '.join(cls.__slots__)}",
                )
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(
                    f"{value!r} is not a number", where=f"source.meter.{key}", do="set a number"
                )
        gains = cls(**{key: float(value) for key, value in wanted.items()})
        if gains.low > gains.high:
            raise InputError(
                f"{gains.low:g} is above source.meter.high ({gains.high:g})",
                where="source.meter.low",
                do="set it to at most source.meter.high",
            )
        if not 0 <= gains.correlation <= 1:
            raise InputError(
                f"{gains.correlation:g} is not a correlation of gains",
                where="source.meter.correlation",
                do="set it to a number from 0 to 1",
            )
        if gains.lowest <= 0:
            raise InputError(
                f"gains of {gains.low:g} to {gains.high:g} include {gains.lowest:.3g}",
                where="source.meter",
                do="narrow the interval: every gain must be above 0",
            )
        return gains

    @property
    def lowest(self) -> float:
        """Lowest gain that can be drawn."""
        common, own = self._weights()
        return 0.5 * (self.low + self.high) - 0.5 * (self.high - self.low) * (common + own)

    def gain(self, seed: int, cluster: str) -> float:
        """Gain of a cluster's meters for a seed, whichever other clusters the site has."""
        common, own = self._weights()
        offset = common * _rectangular(seed, "gain")
        offset += own * _rectangular(seed, "gain", cluster)
        return 0.5 * (self.low + self.high) + 0.5 * (self.high - self.low) * offset

    def _weights(self) -> tuple[float, float]:
        return sqrt(self.correlation), sqrt(1 - self.correlation)


DEFAULT_GAINS = MeterGains()


def _rectangular(seed: int, *words: str) -> float:
    """Random number between -1 and 1."""
    return 2.0 * float(random_generator(seed, *words).random()) - 1.0


def clusters_without_meters(
    source: Mapping[str, Any], clusters: Iterable[str], *, seed: int
) -> frozenset[str]:
    """Clusters whose BMCs are not read.

    Args:
        source: Configuration; `without_meters` is a list of clusters, `seed` (each cluster with a
            probability of 0.35, except one with GPUs where all of them would lack meters), or null
            for the catalogue's.
        clusters: Clusters of the site.
        seed: Seed.

    Raises:
        InputError: The value is neither, or a cluster is not on the site.
    """
    names = sorted(clusters)
    wanted = source.get("without_meters")
    if wanted is None:
        return frozenset(name for name in names if not CLUSTER_HARDWARE[name].has_meter)
    if wanted != BY_SEED:
        return _listed_clusters(wanted, names, where="source.without_meters")
    drawn = {name: random_generator(seed, "without meter", name).random() for name in names}
    lacking = {name for name in names if drawn[name] < _WITHOUT_METER_PROBABILITY}
    with_gpus = [name for name in names if CLUSTER_HARDWARE[name].gpus]
    if lacking.issuperset(with_gpus):
        lacking -= {max(with_gpus, key=lambda name: drawn[name])}
    return frozenset(lacking)


def clusters_without_series(
    source: Mapping[str, Any], clusters: Iterable[str], *, seed: int
) -> frozenset[str]:
    """Clusters whose exporters are not read.

    Args:
        source: Configuration; `without_series` is a list of clusters, `seed` (each cluster with a
            probability of 0.2), or null for none.
        clusters: Clusters of the site.
        seed: Seed.

    Raises:
        InputError: The value is neither, or a cluster is not on the site.
    """
    names = sorted(clusters)
    wanted = source.get("without_series") or []
    if wanted != BY_SEED:
        return _listed_clusters(wanted, names, where="source.without_series")
    return frozenset(
        name
        for name in names
        if random_generator(seed, "without series", name).random() < _WITHOUT_SERIES_PROBABILITY
    )


def _listed_clusters(wanted: object, names: list[str], *, where: str) -> frozenset[str]:
    if not isinstance(wanted, list | tuple | set | frozenset):
        raise InputError(
            f"{wanted!r} is not a list of clusters",
            where=where,
            do=f"set a list of clusters, or `{BY_SEED}`",
        )
    unknown = sorted(str(each) for each in wanted if each not in names)
    if unknown:
        raise InputError(
            f"the simulated site has no cluster {unknown[0]!r}",
            where=where,
            do=f"choose among {', '.join(names)}",
        )
    return frozenset(wanted)


def check_meters(source: Mapping[str, Any], clusters: Iterable[str]) -> None:
    """Check the keys `meter`, `without_meters` and `without_series` of a configuration.

    Raises:
        InputError: A value is not allowed.
    """
    names = list(clusters)
    MeterGains.from_source(source)
    clusters_without_meters(source, names, seed=0)
    clusters_without_series(source, names, seed=0)
