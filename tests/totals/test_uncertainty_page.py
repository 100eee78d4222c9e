"""The example of docs/uncertainty.md, computed again."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from footprint.totals.error_model import ErrorModel
from footprint.totals.group_totals import draw_groups

PAGE = (Path(__file__).parents[2] / "docs" / "uncertainty.md").read_text()


@pytest.fixture(scope="module")
def model() -> ErrorModel:
    rows = [
        {
            "basis": "virtual_meter",
            "cluster": cluster,
            "is_measured": cluster != "gres",
            "n_clusters": 3,
            "cluster_sd_log": 0.10,
            "mean_sd_log": 0.10 / math.sqrt(3) if cluster == "gres" else 0.0,
            "degrees_of_freedom": 6.0,
            "run_sd_log": 0.06,
        }
        for cluster in ("graffiti", "grele", "gres", "gros")
    ]
    meters = {"low": 0.95, "high": 1.15, "correlation": 0.5, "calibration": {}}
    return ErrorModel.of_study(pl.DataFrame(rows), meters)


def amounts(*rows: tuple[str, str, float, float]) -> pl.DataFrame:
    columns = ["side", "cluster", "measured_kwh", "virtual_meter_kwh"]
    found = pl.DataFrame(rows, schema=columns, orient="row")
    return found.with_columns(hardware_kwh=0.0, independent_kwh2=0.0)


def spaced(kwh: float) -> str:
    return f"{kwh:,.0f}".replace(",", " ")


def test_example_parts_are_those_of_the_draws(model: ErrorModel) -> None:
    parts = draw_groups(
        amounts(("metered", "grele", 3000.0, 0.0), ("estimated", "gres", 0.0, 1000.0)), model
    )
    estimated, metered = parts.kwh
    gain_sd = 0.10 / math.sqrt(3)
    assert metered.mean() == pytest.approx(3150, rel=1e-3)
    assert metered.std() == pytest.approx(3000 * gain_sd, rel=0.02)
    assert f"{spaced(metered.mean())} kWh ± {3000 * gain_sd:.0f} kWh" in PAGE
    log_gain_sd = gain_sd * math.sqrt(0.5 + 0.5 / 3)
    model_sd = 0.10 * math.sqrt(1 + 1 / 3) * math.sqrt(6 / 4)
    assert f"= {log_gain_sd:.3f}" in PAGE
    assert f"degrees of freedom {model_sd:.3f}" in PAGE
    linear = 1050 * math.hypot(log_gain_sd / 1.05, model_sd)
    assert f"1 050 kWh ± {linear:.0f} kWh" in PAGE
    assert f"makes it {spaced(estimated.mean())} ± {estimated.std():.0f}" in PAGE


def test_example_total_and_ratio_are_those_of_the_draws(model: ErrorModel) -> None:
    whole = draw_groups(
        amounts(("paper", "grele", 3052.0, 0.0), ("paper", "gres", 0.0, 1000.0)), model
    )
    assert f"Together {spaced(whole.kwh.mean())} kWh ± {whole.kwh.std():.0f} kWh" in PAGE
    row = whole.interval().row(0, named=True)
    total, low, high = (row[f"total_{end}"] / 1e3 for end in ("kwh", "low_kwh", "high_kwh"))
    printed = f"{total:.2f} MWh (95 %: {low:.2f} to {high:.2f}; {3052 / 4052:.0%} measured)"
    assert printed.replace("%;", " %;").replace("75% m", "75 % m") in PAGE
    sides = draw_groups(
        amounts(
            ("development", "grele", 3000.0, 0.0),
            ("development", "gres", 0.0, 1000.0),
            ("training", "grele", 52.0, 0.0),
        ),
        model,
    )
    low, high = np.quantile(sides.kwh[0] / sides.kwh[1], [0.025, 0.975])
    assert f"{4000 / 52:.1f} (95 %: {low:.1f} to {high:.1f})" in PAGE
    development, training = sides.interval().rows(named=True)
    assert f"{training['total_low_kwh']:.1f} to {training['total_high_kwh']:.1f}" in PAGE
    ends = (development["total_low_kwh"] / 4000 - 1, development["total_high_kwh"] / 4000 - 1)
    assert f"{100 * ends[0]:.0f} and {100 * ends[1]:+.0f} %" in PAGE
