"""Carbon by named factors: sums by hand, conventions, and unknown energy."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from footprint.core.calendar import Window
from footprint.levels import carbon
from footprint.schemas.levels import Carbon
from footprint.schemas.writing import conform
from tests.support import study_frames
from tests.support.figure_checks import levels_of_study

pytestmark = pytest.mark.filterwarnings("error")

START = study_frames.START
END = START + timedelta(days=14)
RTE = {"name": "RTE", "convention": "direct", "g_per_kwh": 20.0, "source": "a"}
EU = {"name": "EU", "convention": "direct", "g_per_kwh": 250, "source": "b"}
CYCLE = {"name": "cycle", "convention": "life_cycle", "g_per_kwh": 56.0, "source": "c"}
MAKING = {"kg_per_gpu_node": 2000, "kg_per_cpu_node": 1000, "lifetime_y": 5, "source": "d"}


@pytest.fixture(scope="module")
def study() -> study_frames.StudyFrames:
    return study_frames.invented_study()


@pytest.fixture(scope="module")
def energies(study: study_frames.StudyFrames) -> carbon.CarbonInputs:
    return carbon.CarbonInputs(
        levels=levels_of_study(study),
        job_energy=study.job_energy,
        job_nodes=study.job_nodes,
        node_energy=study.node_energy,
        papers=study.papers,
        records=records_of(study.job_energy),
    )


def records_of(job_energy: pl.DataFrame) -> pl.DataFrame:
    """Times of the jobs as `schemas.Jobs` has them."""
    times = job_energy.select("job_id", "started_at", "stopped_at")
    return times.with_columns(walltime_s=pl.lit(None, pl.Int64))


def estimate(
    energies: carbon.CarbonInputs, *factors: dict[str, Any], **options: Any
) -> pl.DataFrame:
    arguments: dict[str, Any] = {"pue": 1.0, "window": Window(START, END)}
    rows = carbon.carbon_of_levels(energies, factors=factors, **(arguments | options))
    return pl.DataFrame(conform(Carbon, rows))


def flat(g_per_kwh: float, days: float = 15) -> pl.DataFrame:
    steps = range(-48, int(days * 48))
    return pl.DataFrame(
        {
            "timestamp": [START + timedelta(minutes=30 * step) for step in steps],
            "g_per_kwh": [g_per_kwh] * len(steps),
        },
        schema={"timestamp": pl.Datetime("us", "UTC"), "g_per_kwh": pl.Float64},
    )


def test_carbon_factor_multiplies_energy_and_interval_alike(energies: carbon.CarbonInputs) -> None:
    found = estimate(energies, RTE, CYCLE, pue=1.5)
    site = energies.levels.filter(pl.col("level") == "site", pl.col("method") == "bmc").row(
        0, named=True
    )
    row = found.filter(pl.col("level") == "site", pl.col("factor") == "RTE").row(0, named=True)
    kwh = site["measured_kwh"] + site["estimated_kwh"]
    assert row["total_kwh"] == pytest.approx(kwh)
    assert row["unknown_node_h"] == site["unknown_node_h"] > 0
    assert row["carbon_kg"] == pytest.approx(kwh * 1.5 * 20 / 1000)
    assert row["carbon_low_kg"] == pytest.approx(site["total_low_kwh"] * 1.5 * 20 / 1000)
    assert row["carbon_high_kg"] == pytest.approx(site["total_high_kwh"] * 1.5 * 20 / 1000)
    assert set(found["convention"].cast(pl.String)) == {"direct", "life_cycle"}
    measured = energies.levels.filter(pl.col("method") == "bmc", pl.col("name") != "no_data")
    assert len(found) == 2 * len(measured)


def test_carbon_of_unknown_energy_is_null(energies: carbon.CarbonInputs) -> None:
    unknown = energies.levels.with_columns(
        pl.when(pl.col("level") != "paper").then("total_kwh").alias("total_kwh")
    )
    changed = carbon.CarbonInputs(**(vars(energies) | {"levels": unknown}))
    found = estimate(changed, RTE).filter(pl.col("level") == "paper")
    assert len(found)
    assert found["carbon_kg"].null_count() == len(found)


def test_carbon_by_constant_hours_equals_the_constant_factor(energies: carbon.CarbonInputs) -> None:
    found = estimate(energies, RTE, intensity=flat(20.0))
    pairs = found.pivot("factor", index=["level", "name"], values="carbon_kg").filter(
        pl.col("level") != "paper"
    )
    by_hours = pairs.filter(pl.col("eco2mix").is_not_null())
    assert {"site", "project", "queue", "user", "overhead"} <= set(by_hours["level"])
    assert by_hours["eco2mix"].to_list() == pytest.approx(by_hours["RTE"].to_list())
    hours = found.filter(pl.col("factor") == "eco2mix", pl.col("level") == "site")
    assert hours.select("convention", "energy_frac").row(0) == ("direct", pytest.approx(1.0))


def one_job(hours: float) -> carbon.CarbonInputs:
    nodes = study_frames.job_nodes_frame(
        [study_frames.job_node_row(1, "graffiti-1", 10.0, duration_s=hours * 3600)]
    )
    owners = [{"job_id": 1, "user": "u-00000001", "project": "p", "queue": "q"}]
    day = START.date()
    node_energy = study_frames.node_energy_frame(
        [("graffiti-1", day, "job", 10.0, hours), ("graffiti-1", day, "idle", 2.0, 24 - hours)]
    )
    levels = {"method": "bmc", "n_jobs": 1, "unknown_node_h": 0.0}
    levels |= {"total_low_kwh": None, "total_high_kwh": None}
    rows = [
        levels | {"level": "site", "name": "nancy", "total_kwh": 10.0},
        levels | {"level": "project", "name": "(others)", "total_kwh": 10.0},
        levels | {"level": "overhead", "name": "idle", "total_kwh": 2.0},
        levels | {"level": "overhead", "name": "no_data", "total_kwh": None},
    ]
    ends = {"total_low_kwh": pl.Float64, "total_high_kwh": pl.Float64}
    job_energy = study_frames.job_energy_frame(nodes, owners)
    return carbon.CarbonInputs(
        levels=pl.DataFrame(rows, infer_schema_length=None).cast(ends),  # type: ignore[arg-type]
        job_energy=job_energy,
        job_nodes=nodes,
        node_energy=node_energy,
        papers=pl.DataFrame(schema={"job_id": pl.Int64, "paper": pl.String}),
        records=records_of(job_energy),
    )


def kg(found: pl.DataFrame, level: str, factor: str) -> float:
    row = found.filter(pl.col("level") == level, pl.col("factor") == factor)
    return float(row["carbon_kg"].item())


def test_carbon_by_hours_takes_job_hours_and_days_of_idle_nodes() -> None:
    times = [START, START + timedelta(hours=1), START + timedelta(hours=2)]
    steps = pl.DataFrame(
        {
            "timestamp": [*times, *(START + timedelta(hours=h) for h in range(3, 24))],
            "g_per_kwh": [10.0, 30.0, *([50.0] * 22)],
        },
        schema={"timestamp": pl.Datetime("us", "UTC"), "g_per_kwh": pl.Float64},
    )
    found = estimate(one_job(2.0), intensity=steps)
    assert kg(found, "site", "eco2mix") == pytest.approx(10 * 20 / 1000)
    # a group that is not shown is in the row of the others
    assert kg(found, "project", "eco2mix") == pytest.approx(10 * 20 / 1000)
    # the last value holds for half an hour
    day = (10 + 30 + 21.5 * 50) / 23.5
    idle = found.filter(pl.col("level") == "overhead").row(0, named=True)
    assert idle["carbon_kg"] == pytest.approx(2 * day / 1000)
    assert idle["energy_frac"] == pytest.approx(23.5 / 24)


def test_carbon_by_hours_weighs_hours_by_total_energy() -> None:
    energies = one_job(2.0)
    rows = [
        study_frames.job_node_row(1, "graffiti-1", 3.0, duration_s=3600.0),
        study_frames.job_node_row(2, "grappe-1", None, estimated_kwh=1.0, duration_s=3600.0),
    ]
    nodes = study_frames.job_nodes_frame(rows)
    owners = [
        {"job_id": job, "user": "u-1", "project": "p", "queue": "q", "started_at": start}
        for job, start in ((1, START), (2, START + timedelta(hours=1)))
    ]
    job_energy = study_frames.job_energy_frame(nodes, owners)
    changed = {"job_energy": job_energy, "job_nodes": nodes, "records": records_of(job_energy)}
    steps = pl.DataFrame(
        {"timestamp": [START + timedelta(hours=h) for h in range(3)], "g_per_kwh": [10.0, 50, 50]},
        schema={"timestamp": pl.Datetime("us", "UTC"), "g_per_kwh": pl.Float64},
    )
    found = estimate(carbon.CarbonInputs(**(vars(energies) | changed)), intensity=steps)
    # 3 kWh measured at 10 g/kWh, 1 kWh estimated at 50 g/kWh
    site = found.filter(pl.col("level") == "site").row(0, named=True)
    assert site["g_per_kwh"] == pytest.approx((3 * 10 + 50) / 4)


@pytest.mark.parametrize(
    ("walltime_s", "mean_g_per_kwh"),
    [
        (7200, (10 + 30) / 2),
        (3600, 10.0),
        # without a walltime it holds its node until the study is over, here 4 h
        (None, (10 + 30 + 2 * 50) / 4),
        (10**6, (10 + 30 + 2 * 50) / 4),
    ],
)
def test_carbon_by_hours_job_without_an_end_ends_by_its_walltime(
    walltime_s: int | None, mean_g_per_kwh: float
) -> None:
    energies = one_job(2.0)
    running = energies.records.with_columns(
        stopped_at=pl.lit(None, pl.Datetime("us", "UTC")),
        walltime_s=pl.lit(walltime_s, pl.Int64),
    )
    values = [10.0, 30.0, *([50.0] * 22)]
    steps = pl.DataFrame(
        {"timestamp": [START + timedelta(hours=h) for h in range(24)], "g_per_kwh": values},
        schema={"timestamp": pl.Datetime("us", "UTC"), "g_per_kwh": pl.Float64},
    )
    found = estimate(
        carbon.CarbonInputs(**(vars(energies) | {"records": running})),
        intensity=steps,
        window=Window(START, START + timedelta(hours=4)),
    )
    assert kg(found, "site", "eco2mix") == pytest.approx(10 * mean_g_per_kwh / 1000, rel=1e-12)


def test_carbon_by_hours_reports_the_known_part_of_the_energy() -> None:
    found = estimate(one_job(4.0), intensity=flat(20.0, days=1 / 24))
    row = found.filter(pl.col("level") == "site").row(0, named=True)
    assert row["energy_frac"] == pytest.approx(0.25)
    assert row["carbon_kg"] == pytest.approx(10 * 20 / 1000)
    nothing = estimate(one_job(4.0), intensity=flat(20.0, days=-0.5))
    assert nothing.filter(pl.col("level") == "site")["carbon_kg"].to_list() == [None]


def test_carbon_embodied_carbon_is_proportional_to_node_hours() -> None:
    found = estimate(one_job(6.0), RTE, embodied=MAKING)
    life_h = 5 * 365.25 * 24
    assert kg(found, "site", "embodied") == pytest.approx(2000 * 6 / life_h)
    assert kg(found, "overhead", "embodied") == pytest.approx(2000 * 18 / life_h)
    made = found.filter(pl.col("factor") == "embodied")
    assert made["total_kwh"].null_count() == made["g_per_kwh"].null_count() == len(made)


def test_carbon_without_factors_or_energies_gives_an_empty_table(
    energies: carbon.CarbonInputs,
) -> None:
    assert estimate(energies).is_empty()
    empty = {name: frame.clear() for name, frame in vars(energies).items()}
    made = estimate(carbon.CarbonInputs(**empty), RTE, intensity=flat(20.0), embodied=MAKING)
    assert made.is_empty()
