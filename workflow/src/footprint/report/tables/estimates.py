"""Readers' tables of the estimators: by level, against the measurement, and what each counts."""

from __future__ import annotations

import polars as pl

from footprint.energy.job_count import JOB_COUNT_NOTE
from footprint.estimators.comparison import (
    DURATION_BOUNDS_S,
    FOUR_METHODS,
    GROUP_COLUMNS,
    relative_to_measurement,
)
from footprint.estimators.registry import ESTIMATORS
from footprint.levels.levels import LEVEL_HEADINGS, LEVELS
from footprint.report.tables.formats import Column, ReaderTable

GROUP_HEADINGS = {
    "all": "All jobs",
    "cluster": "By cluster",
    "gpu_generation": "By GPU generation",
    "gpu_model": "By GPU model",
    "duration": "By duration",
}
PRINTED_GROUPS = ("all", "duration")
"""Groups of jobs in the printed table; the figure has GPU models, the CSV the others, too."""
LEAST_MEASURED_FRAC = 0.95
"""Least measured fraction of a total whose interval is nearly that of its measured part."""
UNCOUNTED_PARTS = "losses of power supplies, fans, board, disks and network"
"""Parts of a node that no estimator counts."""


def methods_table(levels: pl.DataFrame, *, pue: float) -> ReaderTable:
    """Energy at each level by the four methods of the study, and relative to the measurement.

    Args:
        levels: `schemas.Levels`.
        pue: Factor that every method is multiplied by.
    """
    rows = relative_to_measurement(levels, pue=pue).filter(
        pl.col("method_name").is_in(list(FOUR_METHODS)), pl.col("level") != "overhead"
    )
    measured = rows.filter(pl.col("method_name") == "bmc")
    is_mostly_measured = pl.col("measured_frac") >= LEAST_MEASURED_FRAC
    wide = measured.select(
        "level",
        "name",
        "n_jobs",
        "coverage_frac",
        bmc="covered_kwh",
        # elsewhere the interval of the total says how well its estimated part is known
        low=pl.when(is_mostly_measured).then("covered_low_kwh"),
        high=pl.when(is_mostly_measured).then("covered_high_kwh"),
    )
    models = {name: text for name, text in FOUR_METHODS.items() if name != "bmc"}
    for name in models:
        own = rows.filter(pl.col("method_name") == name)
        wide = wide.join(
            own.select(
                "level",
                "name",
                pl.col("covered_kwh").alias(name),
                pl.col("ratio").alias(f"{name}_x"),
            ),
            on=["level", "name"],
            how="left",
        )
    order = pl.col("level").cast(pl.Enum(LEVELS))
    shown = wide.sort(
        order, "bmc", "name", descending=[False, True, False], nulls_last=True
    ).with_columns(
        pl.col("level").replace_strict(LEVEL_HEADINGS, return_dtype=pl.String).alias("group"),
        is_total=pl.col("level") == "site",
    )
    factor = "" if pue == 1 else f" Every method is multiplied by a PUE of {pue:g}."
    return ReaderTable(
        name="methods",
        title="Energy by four methods at each level",
        note=(
            "BMC: measured energy of the jobs, without the estimate for the rest of their time; "
            "low and high: its 95 % interval, that of the total in proportion, where 95 % or more "
            "of the total was measured. MLCO2: GPU hours × power limits. GA: hours × (power limits "
            "+ thermal design power of cores + memory). "
            "CC: CodeCarbon 2, from readings of the devices where they exist, else from limits. "
            "All methods cover the same jobs and "
            f"the time with readings; × is the ratio to BMC. {JOB_COUNT_NOTE}" + factor
        ),
        rows=shown,
        columns=[
            Column(name="name", header="Name"),
            Column(name="n_jobs", header="Jobs", decimals=0, printed=False),
            Column(
                name="coverage_frac", header="Time with readings", unit="%", decimals=1, scale=100
            ),
            *(
                Column(
                    name=name,
                    header=text,
                    unit="kWh",
                    digits=3,
                    interval=("bmc", "low", "high"),
                    printed=name == "bmc",
                )
                for name, text in {"bmc": "BMC", "low": "Low", "high": "High"}.items()
            ),
            *(
                column
                for name, text in models.items()
                for column in (
                    Column(name=name, header=text, unit="kWh", digits=3),
                    Column(name=f"{name}_x", header=text, unit="×", digits=3),
                )
            ),
        ],
    )


def ratios_table(ratios: pl.DataFrame) -> ReaderTable:
    """Ratio of every estimator for all jobs, and of the four methods by group.

    Args:
        ratios: `schemas.EstimateRatios`.
    """
    order = pl.col("group").cast(pl.Enum(GROUP_COLUMNS))
    place = pl.col("estimator").str.split("@").list.first().cast(pl.Enum(list(ESTIMATORS)))
    method = pl.col("estimator").str.split("@").list.first()
    length = pl.col("name").replace_strict(
        {name: number for number, name in enumerate(DURATION_BOUNDS_S)},
        default=0,
        return_dtype=pl.Int64,
    )
    shown = (pl.col("group") == "all") | method.is_in(list(FOUR_METHODS))
    rows = (
        ratios.filter(shown)
        .sort(order, length, "name", place)
        .with_columns(
            pl.col("group").replace_strict(GROUP_HEADINGS, return_dtype=pl.String),
            pl.when(pl.col("name") == "all")
            .then(pl.lit("all jobs"))
            .otherwise("name")
            .alias("name"),
        )
    )
    parts = {"p05": "5 %", "p25": "25 %", "p50": "Median", "p75": "75 %", "p95": "95 %"}
    return ReaderTable(
        name="ratios",
        title="Estimate over measured energy",
        note=(
            "Jobs compared: jobs of a minute or more that held a node of the study in its window, "
            "with a coverage of 95 % or more. Total: sum of estimates over sum of measured "
            "energies. The other ratios are quantiles over jobs. No estimate: jobs for which the "
            "estimator lacks an input, such as a GPU that is not in its table. Records of tools "
            "are compared where they cover 90 % of their job. Estimators with a PUE in their name "
            "are multiplied by it, the measurement is not. results/estimates/ratios.parquet has "
            "every estimator in every group."
        ),
        rows=rows,
        printed_rows=rows.filter(
            pl.col("group").is_in([GROUP_HEADINGS[name] for name in PRINTED_GROUPS])
        ),
        columns=[
            Column(name="name", header="Jobs of"),
            Column(name="estimator", header="Estimator"),
            Column(name="n_jobs", header="Jobs compared", decimals=0),
            Column(name="n_jobs_unknown", header="No estimate", decimals=0, printed=False),
            Column(name="measured_kwh", header="Measured", unit="kWh", digits=3, printed=False),
            Column(name="estimated_kwh", header="Estimate", unit="kWh", digits=3, printed=False),
            Column(name="total_ratio", header="Total", unit="×", digits=3),
            *(
                Column(name=f"ratio_{name}", header=text, unit="×", digits=3)
                for name, text in parts.items()
            ),
        ],
    )


def estimators_table(ratios: pl.DataFrame, estimates: pl.LazyFrame) -> ReaderTable:
    """The product that each estimator computes, the parts that it counts, and its total ratio.

    Args:
        ratios: `schemas.EstimateRatios`.
        estimates: `schemas.Estimates`.
    """
    total_ratios = ratios.filter(pl.col("group") == "all").select(
        "estimator", "total_ratio", "n_jobs"
    )
    held = pl.col("basis") != "none"
    basis = (
        estimates.filter(held)
        .group_by("estimator")
        .agg(pl.col("basis").value_counts(sort=True).struct.field("basis").first())
        .collect()
    )
    used = set(basis["estimator"]) | set(total_ratios["estimator"])
    rows = pl.DataFrame(
        [
            {
                "estimator": each.label,
                "group": each.tool,
                "says": each.description,
                **{
                    part: "yes" if part in each.parts else "no" for part in ("gpu", "cpu", "memory")
                },
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
        .join(total_ratios, on="estimator", how="left", maintain_order="left")
        .join(basis, on="estimator", how="left", maintain_order="left")
    )
    return ReaderTable(
        name="estimators",
        title="Formula and counted parts of each method",
        note=(
            f"Other parts: {UNCOUNTED_PARTS}; only the measurement includes them. No method "
            "charges idle hardware to jobs; the overhead has its own rows in the levels. Basis: "
            "origin of the power of most jobs. Total: sum of estimates over sum of measured "
            "energies of the jobs compared. docs/estimators.md has the equations."
        ),
        rows=joined,
        columns=[
            Column(name="estimator", header="Estimator"),
            Column(name="says", header="Multiplies", printed=False),
            Column(name="gpu", header="GPU"),
            Column(name="cpu", header="CPU"),
            Column(name="memory", header="Memory"),
            Column(name="rest", header="Other parts"),
            Column(name="basis", header="Basis"),
            Column(name="n_jobs", header="Jobs", decimals=0),
            Column(name="total_ratio", header="Total", unit="×", digits=3),
        ],
    )
