"""Table of carbon: the study's energies by named emission factors."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.tables.columns import Energy, Fraction, Key

CONVENTIONS = ("direct", "life_cycle", "embodied")
"""What a factor counts: burning fuel; that and building plants; making the nodes."""


class Carbon(dy.Schema):
    """Carbon of each level of the study, by factor: factors of two conventions do not compare."""

    level = Key(description="As in `levels`: `site`, `offset`, `queue`, `project`, `user`, `paper`")
    name = Key(description="Name at that level")
    factor = Key(
        description="Name of the factor; `eco2mix`: by the jobs' own hours; `embodied`: the share "
        "of making the nodes"
    )
    convention = dy.Enum(
        CONVENTIONS, description="`direct`: burning fuel; `life_cycle`: plants too; `embodied`"
    )
    energy_kwh = Energy(description="energy_kwh + imputed_kwh of the level, without PUE")
    g_per_kwh = dy.Float64(
        nullable=True, min=0, metadata={"unit": "g/kWh"}, description="Factor; null: `embodied`"
    )
    carbon_kg = dy.Float64(
        nullable=True,
        min=0,
        metadata={"unit": "kg"},
        description="CO2 equivalent: energy_kwh x PUE x g_per_kwh / 1000; null: unknown",
    )
    carbon_low_kg = dy.Float64(
        nullable=True,
        metadata={"unit": "kg"},
        description="The same of the lower end of the energy's 95 % interval",
    )
    carbon_high_kg = dy.Float64(
        nullable=True, metadata={"unit": "kg"}, description="The same of its upper end"
    )
    energy_frac = Fraction(
        description="Part of the energy in hours whose intensity is known; 1 for a constant factor"
    )

    @dy.rule()
    def only_making_has_no_factor(cls) -> pl.Expr:
        return (pl.col("convention") != "embodied") | pl.col("g_per_kwh").is_null()
