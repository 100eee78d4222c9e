"""Scripts of carbon, summary and study tables, run as their rules run them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.schemas.energy import NodePower
from footprint.schemas.estimates import Hardware
from footprint.schemas.levels import Carbon
from footprint.schemas.phases import PhaseRatio, PhaseSensitivities
from footprint.schemas.raw import RejectedRows
from footprint.schemas.validation import AgainstTruth
from tests.levels.test_carbon import records_of
from tests.report.tables.test_study import MAKING, hardware, power
from tests.report.test_summary import FACTORS, frame, ratio
from tests.support import study_frames
from tests.support.figure_checks import levels_of_study
from tests.support.rule_scripts import table_paths
from tests.support.study_frames import PROVENANCE, START

pytestmark = pytest.mark.filterwarnings("error")

Run = Callable[..., str]
CARBON: dict[str, Any] = {"factors": FACTORS, "eco2mix": None, "embodied": None}
SITE_AGAINST_TRUTH: dict[str, Any] = {
    "level": "site",
    "name": "nancy",
    "total": 9.0,
    "low": 8.0,
    "high": 11.0,
}
SITE_AGAINST_TRUTH |= {"truth": 10.0, "unit": "kWh", "n_compared": 1, "n_inside": 1}
WINDOW = {"start": "2025-03-03", "end": "2025-03-17"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("inputs")
    study = study_frames.invented_study()
    frames = {
        "levels": levels_of_study(study),
        "job_energy": study.job_energy,
        "job_nodes": study.job_nodes,
        "node_energy": study.node_energy,
        "papers": study.papers,
        "records": records_of(study.job_energy),
        "ratio": frame(PhaseRatio, [ratio("paper", "enhancement-2025")]),
        "sensitivities": frame(PhaseSensitivities, []),
        "against_truth": frame(AgainstTruth, [SITE_AGAINST_TRUTH]),
        "hardware": frame(Hardware, [hardware("a-1", ["T4"]), hardware("b-1", [])]),
        "a": frame(NodePower, [power("a-1", 100, 300)]),
        "b": frame(NodePower, [power("b-1", None, None)]),
    }
    paths = {name: str(folder / f"{name}.parquet") for name in frames}
    for name, rows in frames.items():
        rows.write_parquet(paths[name])
    return paths


def run_estimate_carbon(
    run: Run, inputs: dict[str, str], folder: Path, **options: Any
) -> pl.DataFrame:
    names = ("levels", "job_energy", "job_nodes", "node_energy", "papers", "records")
    file = None
    if options.get("eco2mix"):
        file = str(folder / "eco2mix.parquet")
        run(
            "read_eco2mix",
            input={"files": [options["eco2mix"]]},
            output={"intensity": file, "rejected": folder / "rejected.parquet"},
            params=WINDOW,
        )
    run(
        "estimate_carbon",
        input={name: inputs[name] for name in names} | {"eco2mix": file or []},
        output={"carbon": folder / "carbon.parquet"},
        params={"carbon": CARBON | options, "pue": 1.0} | WINDOW,
    )
    return pl.read_parquet(folder / "carbon.parquet")


def test_estimate_carbon_gives_rows_of_each_factor(
    run: Run, inputs: dict[str, str], tmp_path: Path
) -> None:
    rows = run_estimate_carbon(run, inputs, tmp_path)
    assert Carbon.is_valid(rows)
    assert set(rows["factor"]) == {"RTE", "cycle"}
    run(
        "tabulate_carbon",
        input={"carbon": str(tmp_path / "carbon.parquet")},
        output=table_paths(tmp_path),
        params=CARBON | {"pue": 1.0, "provenance": PROVENANCE},
    )
    assert "RTE (kg)" in (tmp_path / "table.csv").read_text()
    assert r"\toprule" in (tmp_path / "table.tex").read_text()
    assert "Carbon of each level" in (tmp_path / "table.html").read_text()


def test_estimate_carbon_with_eco2mix_adds_hourly_factor(
    run: Run, inputs: dict[str, str], tmp_path: Path
) -> None:
    times = (START + timedelta(minutes=30 * step) for step in range(-48, 15 * 48))
    lines = [f"{time:%Y-%m-%d}\t{time:%H:%M}\t30" for time in times]
    path = tmp_path / "eCO2mix.xls"
    path.write_bytes("\n".join(["Date\tHeures\tTaux de Co2", *lines]).encode("latin-1"))
    rows = run_estimate_carbon(run, inputs, tmp_path, eco2mix=str(path), embodied=MAKING)
    assert {"eco2mix", "embodied"} < set(rows["factor"])
    hours = rows.filter(pl.col("factor") == "eco2mix", pl.col("level") == "site")
    assert pl.read_parquet(tmp_path / "rejected.parquet").is_empty()
    assert hours["g_per_kwh"].item() == pytest.approx(30)


def test_write_summary_writes_every_section_and_the_opening(
    run: Run, inputs: dict[str, str], tmp_path: Path
) -> None:
    run_estimate_carbon(run, inputs, tmp_path)
    names = ("levels", "node_energy", "ratio", "sensitivities", "against_truth")
    rejected = tmp_path / "rejected.parquet"
    pl.DataFrame(RejectedRows.create_empty()).write_parquet(rejected)
    run(
        "write_summary",
        input={name: inputs[name] for name in names}
        | {"carbon": str(tmp_path / "carbon.parquet"), "rejected": str(rejected)},
        output={
            "summary": tmp_path / "summary.md",
            "opening": tmp_path / "opening.html",
            "readme": tmp_path / "README.md",
        },
        params={"site": "<nancy>", "simulated": True, "pue": 1.0, "factors": FACTORS}
        | {"provenance": PROVENANCE}
        | WINDOW,
    )
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("# Energy use of the simulated site <nancy> in 14 days\n")
    for head in (
        "## 1. The site",
        "## 2. The projects",
        "## 3. Development",
        "## What is left out",
    ):
        assert head in text
    assert "u-0" not in text
    brief = (tmp_path / "opening.html").read_text(encoding="utf-8")
    assert brief.count("<li>") == 3
    assert "intervals of 1 of 1 totals" in text
    assert "intervals of 1 of 1 totals" in brief
    assert "The nodes of the simulated site &lt;nancy&gt; drew at least <strong>" in brief


def test_tabulate_study_and_tabulate_hardware_write_tables(
    run: Run, inputs: dict[str, str], tmp_path: Path
) -> None:
    params = {"provenance": PROVENANCE}
    names = ("levels", "node_energy", "ratio")
    wanted = {name: inputs[name] for name in names}
    run("tabulate_study", input=wanted, output=table_paths(tmp_path), params=params)
    assert ",Overhead," in (tmp_path / "table.csv").read_text()
    run(
        "tabulate_hardware",
        input={"hardware": inputs["hardware"], "node_power": [inputs["a"], inputs["b"]]},
        output=table_paths(tmp_path),
        params=params,
    )
    assert "1 × T4" in (tmp_path / "table.csv").read_text()


def test_estimate_carbon_with_eco2mix_of_another_year_gives_null(
    run: Run, inputs: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "eco2mix.csv"
    path.write_text("Date;Heures;Taux de CO2\n03/03/2019;12:00;20\n")
    rows = run_estimate_carbon(run, inputs, tmp_path, eco2mix=str(path))
    assert Carbon.is_valid(rows)
    hours = rows.filter(pl.col("factor") == "eco2mix")
    assert hours.height > 0
    assert hours["carbon_kg"].null_count() == hours["g_per_kwh"].null_count() == hours.height
    assert rows.filter(pl.col("factor") == "RTE")["carbon_kg"].null_count() == 0
    rejected_rows = pl.read_parquet(tmp_path / "rejected.parquet")
    assert RejectedRows.is_valid(rejected_rows)
    assert rejected_rows["reason"].to_list() == ["no value lies in the study"]
