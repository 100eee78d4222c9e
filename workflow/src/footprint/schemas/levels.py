"""Tables of the energy and carbon of each level (site, overhead, queue, project, user, paper)."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.core.vocabulary import CARBON_CONVENTIONS
from footprint.schemas.columns import Count, Energy, Fraction, Key


class Levels(dy.Schema):
    """Energy at each level of the study, from the site down to the paper."""

    level = Key(description="`site`, `overhead`, `queue`, `project`, `user` or `paper`")
    name = Key(description="Name at that level; users are pseudonyms")
    method = Key(description="`bmc` (measured), or the estimator with its version")
    n_jobs = Count(
        metadata={"unit": "jobs"},
        description="Number of jobs with an allocation within the study's nodes and window",
    )
    n_users = dy.Int64(nullable=True, min=0, description="Number of owners of the jobs")
    measured_kwh = Energy(
        description="Energy measured by readings; null: nothing was measured, or an estimator"
    )
    estimated_kwh = Energy(
        description="Estimated energy of the time without readings, where it can be estimated; "
        "null: none can, or an estimator"
    )
    total_kwh = Energy(
        description="measured_kwh + estimated_kwh, each where known; estimators: their energy over "
        "all allocated time"
    )
    total_low_kwh = Energy(
        description="Lower end of the 95 % interval of the energy that the nodes drew; null: "
        "an estimator"
    )
    total_high_kwh = Energy(description="Upper end of the 95 % interval")
    measured_frac = Fraction(description="measured_kwh / total_kwh")
    coverage_frac = Fraction(description="Measured part of the allocated share x time")
    unknown_node_h = dy.Float64(
        nullable=True,
        min=0,
        metadata={"unit": "h"},
        description="Allocated node hours with neither readings nor an estimate; above 0, "
        "total_kwh is a lower bound. For `overhead`: of the class",
    )
    covered_kwh = Energy(
        description="Energy of the time with readings: measured_kwh, or that of the estimator"
    )
    gpu_node_frac = Fraction(description="Part of total_kwh on nodes with reservable GPUs")
    gpu_hours = dy.Float64(nullable=True, min=0, metadata={"unit": "h"}, description="GPU hours")
    core_hours = dy.Float64(nullable=True, min=0, metadata={"unit": "h"}, description="Core hours")
    overhead_kwh = Energy(
        description="Part of the overhead that `levels.redistribution` assigns to this row"
    )

    @dy.rule()
    def interval_contains_total(cls) -> pl.Expr:
        total = pl.col("total_kwh")
        return (pl.col("total_low_kwh") <= total) & (total <= pl.col("total_high_kwh"))


class Carbon(dy.Schema):
    """Carbon of each level, by emission factor; factors of different conventions do not compare."""

    level = Key(
        description="As in `levels`: `site`, `overhead`, `queue`, `project`, `user`, `paper`"
    )
    name = Key(description="Name at that level")
    factor = Key(
        description="Name of the factor; `eco2mix`: hourly intensities at the times of the jobs; "
        "`embodied`: part of the manufacture of the nodes"
    )
    convention = dy.Enum(
        CARBON_CONVENTIONS,
        description="Scope of the factor: `direct`: fuel burnt; `life_cycle`: also the power "
        "plants; `embodied`: manufacture of the nodes",
    )
    total_kwh = Energy(description="Energy of the level, measured and estimated, without PUE")
    unknown_node_h = dy.Float64(
        nullable=True,
        min=0,
        metadata={"unit": "h"},
        description="Allocated node hours whose energy is unknown; above 0, carbon_kg is a lower "
        "bound (for `embodied`: of the energy alone)",
    )
    g_per_kwh = dy.Float64(
        nullable=True,
        min=0,
        metadata={"unit": "g/kWh"},
        description="Emission factor; null for `embodied`",
    )
    carbon_kg = dy.Float64(
        nullable=True,
        min=0,
        metadata={"unit": "kg"},
        description="CO2 equivalent: total_kwh x PUE x g_per_kwh / 1000; null: unknown",
    )
    carbon_low_kg = dy.Float64(
        nullable=True,
        metadata={"unit": "kg"},
        description="CO2 equivalent at total_low_kwh",
    )
    carbon_high_kg = dy.Float64(
        nullable=True,
        metadata={"unit": "kg"},
        description="CO2 equivalent at total_high_kwh",
    )
    energy_frac = Fraction(
        description="Part of total_kwh in hours of known intensity; 1 for a constant factor"
    )

    @dy.rule()
    def only_making_has_no_factor(cls) -> pl.Expr:
        return (pl.col("convention") != "embodied") | pl.col("g_per_kwh").is_null()
