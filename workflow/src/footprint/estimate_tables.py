"""The readers' tables of the estimators: at each level, against the measurement, what each sees."""

from __future__ import annotations

import polars as pl

from footprint.comparison import DURATIONS, FOUR_METHODS, GROUPS, relative
from footprint.estimators.registry import ESTIMATORS
from footprint.job_count import COUNTED
from footprint.levels import HEADINGS, LEVELS
from footprint.report_tables import Column, ReaderTable

GROUP_HEADINGS = {
    "all": "All jobs",
    "cluster": "By cluster",
    "gpu_generation": "By GPU generation",
    "gpu_model": "By GPU model",
    "duration": "By duration",
}
NOT_SEEN = "Losses of power supplies, fans, board, disks and network; idle hardware beside the jobs"


def methods_table(levels: pl.DataFrame, *, pue: float) -> ReaderTable:
    """Energy at each level by the four methods of the study, and relative to the measurement.

    Args:
        levels: `tables.Levels`.
        pue: Factor that every method is multiplied by.
    """
    rows = relative(levels, pue=pue).filter(
        pl.col("method_name").is_in(list(FOUR_METHODS)), pl.col("level") != "offset"
    )
    measured = rows.filter(pl.col("method_name") == "bmc")
    wide = measured.select(
        "level",
        "name",
        "n_jobs",
        "coverage_frac",
        bmc="energy_kwh",
        # of the measured energy, as all else here: the interval stands around measured and imputed
        low=pl.col("energy_low_kwh") - pl.col("imputed_kwh").fill_null(0.0),
        high=pl.col("energy_high_kwh") - pl.col("imputed_kwh").fill_null(0.0),
    )
    models = {name: text for name, text in FOUR_METHODS.items() if name != "bmc"}
    for name in models:
        own = rows.filter(pl.col("method_name") == name)
        wide = wide.join(
            own.select(
                "level",
                "name",
                pl.col("energy_kwh").alias(name),
                pl.col("ratio").alias(f"{name}_x"),
            ),
            on=["level", "name"],
            how="left",
        )
    order = pl.col("level").cast(pl.Enum(LEVELS))
    shown = wide.sort(
        order, "bmc", "name", descending=[False, True, False], nulls_last=True
    ).with_columns(
        pl.col("level").replace_strict(HEADINGS, return_dtype=pl.String).alias("group"),
        is_total=pl.col("level") == "site",
    )
    factor = "" if pue == 1 else f" Every method is multiplied by a PUE of {pue:g}."
    return ReaderTable(
        name="methods",
        title="Four methods beside each other at each level",
        note=(
            "BMC: measured energy of the jobs; low and high: its 95 % interval, with the error of "
            "the estimate for gaps. MLCO2: GPU hours × power limits. GA: hours × (power "
            "limits + thermal design power of cores + memory). CC: CodeCarbon 2, from readings of "
            "the devices where there are some, else from limits. The models are of the same jobs "
            f"and of the time that was measured; × is relative to BMC. {COUNTED}" + factor
        ),
        rows=shown,
        columns=[
            Column(name="name", header="Name"),
            Column(name="n_jobs", header="Jobs", decimals=0, printed=False),
            Column(name="coverage_frac", header="Measured", unit="%", decimals=1, scale=100),
            Column(name="bmc", header="BMC", unit="kWh", decimals=1),
            Column(name="low", header="Low", unit="kWh", decimals=1, printed=False),
            Column(name="high", header="High", unit="kWh", decimals=1, printed=False),
            *(
                column
                for name, text in models.items()
                for column in (
                    Column(name=name, header=text, unit="kWh", decimals=1),
                    Column(name=f"{name}_x", header=text, unit="×", decimals=2),
                )
            ),
        ],
    )


def ratios_table(ratios: pl.DataFrame) -> ReaderTable:
    """Every estimator over the measurement of all jobs, and the four methods by group.

    Args:
        ratios: `tables.EstimateRatios`.
    """
    order = pl.col("group").cast(pl.Enum(GROUPS))
    place = pl.col("estimator").str.split("@").list.first().cast(pl.Enum(list(ESTIMATORS)))
    method = pl.col("estimator").str.split("@").list.first()
    length = pl.col("name").replace_strict(
        {name: number for number, name in enumerate(DURATIONS)}, default=0, return_dtype=pl.Int64
    )
    shown = (pl.col("group") == "all") | method.is_in(list(FOUR_METHODS))
    rows = (
        ratios.filter(shown)
        .sort(order, length, "name", place)
        .with_columns(pl.col("group").replace_strict(GROUP_HEADINGS, return_dtype=pl.String))
    )
    parts = {"p05": "5 %", "p25": "25 %", "p50": "Median", "p75": "75 %", "p95": "95 %"}
    return ReaderTable(
        name="ratios",
        title="Estimates over measured energy",
        note=(
            "Jobs compared: of the jobs that held a node of the study in its window, those of a "
            "minute or more, of which 95 % or more was measured. Total: sum of estimates "
            "over sum of measured energies. The rest are quantiles of the jobs’ ratios. Not told: "
            "jobs of which the estimator cannot tell, as GPUs that its table lacks; records are "
            "compared where they cover 90 % of their job. Estimators whose names have a PUE are "
            "multiplied by it, the measurement is not. results/estimates/ratios.parquet has every "
            "estimator in every group."
        ),
        rows=rows,
        columns=[
            Column(name="name", header="Jobs of"),
            Column(name="estimator", header="Estimator"),
            Column(name="n_jobs", header="Jobs compared", decimals=0),
            Column(name="n_jobs_unknown", header="Not told", decimals=0, printed=False),
            Column(name="measured_kwh", header="Measured", unit="kWh", decimals=1, printed=False),
            Column(name="estimated_kwh", header="Estimate", unit="kWh", decimals=1, printed=False),
            Column(name="total_ratio", header="Total", unit="×", decimals=2),
            *(
                Column(name=f"ratio_{name}", header=text, unit="×", decimals=2)
                for name, text in parts.items()
            ),
        ],
    )


def estimators_table(ratios: pl.DataFrame, estimates: pl.LazyFrame) -> ReaderTable:
    """What each estimator multiplies, which parts it counts, and what it leaves out.

    Args:
        ratios: `tables.EstimateRatios`.
        estimates: `tables.Estimates`.
    """
    total = ratios.filter(pl.col("group") == "all").select("estimator", "total_ratio", "n_jobs")
    held = pl.col("basis") != "none"
    basis = (
        estimates.filter(held)
        .group_by("estimator")
        .agg(pl.col("basis").value_counts(sort=True).struct.field("basis").first())
        .collect()
    )
    used = set(basis["estimator"]) | set(total["estimator"])
    rows = pl.DataFrame(
        [
            {
                "estimator": each.label,
                "group": each.tool,
                "says": each.says,
                **{part: "yes" if part in each.sees else "no" for part in ("gpu", "cpu", "memory")},
                "rest": "no",
            }
            for each in ESTIMATORS.values()
            if each.label in used
        ],
        schema=dict.fromkeys(
            ("estimator", "group", "says", "gpu", "cpu", "memory", "rest"), pl.String
        ),
    )
    measured = pl.DataFrame(
        {
            "estimator": "bmc",
            "group": "Measured",
            "says": "power of the node × share held, at the power supplies’ output or input",
            **dict.fromkeys(("gpu", "cpu", "memory", "rest"), "yes"),
        }
    )
    joined = (
        pl.concat([rows, measured])
        .join(total, on="estimator", how="left", maintain_order="left")
        .join(basis, on="estimator", how="left", maintain_order="left")
    )
    return ReaderTable(
        name="estimators",
        title="What each method multiplies, counts and leaves out",
        note=(
            "Rest: " + NOT_SEEN[0].lower() + NOT_SEEN[1:] + ". Only the measurement has the first "
            "four, and nothing of a job’s share has the last: offset energy is a line of its own. "
            "Basis: where most jobs’ powers come from. Total: sum of estimates over sum of "
            "measured energies of the jobs compared. docs/estimators.md has the equations."
        ),
        rows=joined,
        columns=[
            Column(name="estimator", header="Estimator"),
            Column(name="says", header="Multiplies", printed=False),
            Column(name="gpu", header="GPU"),
            Column(name="cpu", header="CPU"),
            Column(name="memory", header="Memory"),
            Column(name="rest", header="Rest"),
            Column(name="basis", header="Basis"),
            Column(name="n_jobs", header="Jobs", decimals=0),
            Column(name="total_ratio", header="Total", unit="×", decimals=2),
        ],
    )
