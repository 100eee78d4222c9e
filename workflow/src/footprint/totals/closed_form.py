"""Intervals of many rows without draws.

The energy of a row or group has the components of `error_model`, linear in the logarithm of the
gains. Their 95 % half widths are combined as follows:

1. Rectangular and normal errors (meters, calibrations, independent errors) have the variance V and
   the fourth cumulant K; a rectangular error of half width w has w^2 / 3 and -2 w^4 / 15. The half
   width is k(K / V^2) sqrt(V), where k falls from 1.96 (normal) to 0.95 sqrt(3) (rectangular).
2. The common part of estimates is t in the logarithm: `E exp(h) - E` upwards and `E - E exp(-h)`
   downwards, with h the 97.5 % quantile of t times its scale.
3. Both are independent: half widths add in quadrature, upwards and downwards apart.

The centre is the median, with gains at the middle of their interval. The interval is widened to
contain the total. `tests/totals/test_job_totals.py` compares it with draws.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from footprint.core.units import Z95
from footprint.totals.error_model import BASES

TERMS = (
    *(
        "total_kwh",
        "centre_kwh",
        "estimate_kwh",
        "common_gain_kwh",
        "own_gain_kwh2",
        "own_gain_kwh4",
    ),
    *("rest_kwh", "line_kwh2", "mean_kwh", "cluster_kwh2", "independent_kwh2"),
)
"""Columns of `interval_terms`; all add up over the clusters of a group."""

RECTANGULAR_K = 0.95 * 3**0.5


def interval_terms() -> dict[str, pl.Expr]:
    """Return the terms of the interval of a row with one cluster, by name (`TERMS`).

    The rows have `group_amounts.ENERGY_COLUMNS`, `independent_kwh2` and the columns of
    `ErrorModel.cluster_table`.
    """
    measured, time = pl.col("measured_kwh"), pl.col("measured_node_h") * 1e-3
    reading = (measured - pl.col("offset") * time) / pl.col("slope")
    estimated = {basis: pl.col(f"{basis}_kwh") for basis in BASES}
    shifted = {b: e * pl.col(f"{b}_log_shift").exp() for b, e in estimated.items()}
    common = measured * pl.col("common_width") + _over_bases("common_width", shifted)
    own = measured * pl.col("own_width") + _over_bases("own_width", shifted)
    quantiles = {b: e * pl.col(f"{b}_quantile") for b, e in shifted.items()}
    line = (
        reading.pow(2) * pl.col("slope_var")
        + time.pow(2) * pl.col("offset_var")
        + 2 * reading * time * pl.col("covariance")
    )
    return {
        "total_kwh": measured + estimated["virtual_meter"] + estimated["hardware"],
        "centre_kwh": measured * pl.col("mid") + shifted["virtual_meter"] + shifted["hardware"],
        "estimate_kwh": shifted["virtual_meter"] + shifted["hardware"],
        "common_gain_kwh": common,
        "own_gain_kwh2": own.pow(2),
        "own_gain_kwh4": own.pow(4),
        "rest_kwh": _over_bases("rest_sd", shifted),
        "line_kwh2": line.clip(lower_bound=0.0),
        "mean_kwh": _over_bases("mean_sd", quantiles),
        "cluster_kwh2": _over_bases("sd", quantiles).pow(2),
        "independent_kwh2": pl.col("independent_kwh2"),
    }


def interval_ends(terms: Mapping[str, pl.Expr]) -> tuple[pl.Expr, pl.Expr]:
    """Return the ends (kWh) of the 95 % interval.

    Args:
        terms: Expressions of `TERMS`, summed over the clusters of a group.
    """
    rectangular = (terms["common_gain_kwh"].pow(2) + terms["own_gain_kwh2"]) * (1 / 3)
    variance = rectangular + terms["rest_kwh"].pow(2) + terms["line_kwh2"]
    variance = variance + terms["independent_kwh2"]
    cumulant = (terms["common_gain_kwh"].pow(4) + terms["own_gain_kwh4"]) * (2 / 15)
    flatness = pl.when(variance > 0).then(cumulant / variance.pow(2)).otherwise(0.0)
    # exact at 0 and 1.2, and for the sum of two equal rectangular errors (0.6: 1.90)
    k = Z95 - (Z95 - RECTANGULAR_K) * (flatness * (1 / 1.2)).clip(0.0, 1.0).pow(2.44)
    linear2 = k.pow(2) * variance
    estimate = terms["estimate_kwh"]
    spread = (terms["mean_kwh"].pow(2) + terms["cluster_kwh2"]).sqrt()
    h = pl.when(estimate > 0).then(spread / estimate).otherwise(0.0)
    down = (linear2 + (estimate * (1 - (-h).exp())).pow(2)).sqrt()
    up = (linear2 + (estimate * (h.exp() - 1)).pow(2)).sqrt()
    total, centre = terms["total_kwh"], terms["centre_kwh"]
    low = pl.min_horizontal(total, (centre - down).clip(lower_bound=0.0))
    return low, pl.max_horizontal(total, centre + up)


def _over_bases(column: str, energies: Mapping[str, pl.Expr]) -> pl.Expr:
    """Sum over the bases of energy x column of the basis."""
    virtual, hardware = (energies[basis] * pl.col(f"{basis}_{column}") for basis in BASES)
    return virtual + hardware
