"""The scripts of the study in words, run as their rules run them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import paper_frames
import polars as pl
import pytest
from figure_checks import a_study_levels
from paper_frames import PROVENANCE, START
from test_carbon import records_of
from test_conclusions import FACTORS, frame, ratio
from test_study_tables import MAKING, hardware, power

from footprint import tables
from footprint.tables.carbon import Carbon

pytestmark = pytest.mark.filterwarnings("error")

Run = Callable[..., str]
CARBON: dict[str, Any] = {"factors": FACTORS, "eco2mix": None, "embodied": None}
PERIOD = {"start": "2025-03-03", "end": "2025-03-17"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("inputs")
    study = paper_frames.study()
    frames = {
        "levels": a_study_levels(study),
        "job_energy": study.job_energy,
        "job_nodes": study.job_nodes,
        "node_energy": study.node_energy,
        "papers": study.papers,
        "records": records_of(study.job_energy),
        "ratio": frame(tables.PhaseRatio, [ratio("paper", "enhancement-2025")]),
        "hardware": frame(tables.Hardware, [hardware("a-1", ["T4"]), hardware("b-1", [])]),
        "a": frame(tables.NodePower, [power("a-1", 100, 300)]),
        "b": frame(tables.NodePower, [power("b-1", None, None)]),
    }
    paths = {name: str(folder / f"{name}.parquet") for name in frames}
    for name, rows in frames.items():
        rows.write_parquet(paths[name])
    return paths


def estimate(run: Run, inputs: dict[str, str], folder: Path, **options: Any) -> pl.DataFrame:
    names = ("levels", "job_energy", "job_nodes", "node_energy", "papers", "records")
    file = None
    if options.get("eco2mix"):
        file = str(folder / "eco2mix.parquet")
        run(
            "read_eco2mix",
            input={"file": options["eco2mix"]},
            output={"intensity": file, "set_aside": folder / "set_aside.parquet"},
            params=PERIOD,
        )
    run(
        "estimate_carbon",
        input={name: inputs[name] for name in names} | {"eco2mix": file or []},
        output={"carbon": folder / "carbon.parquet"},
        params={"carbon": CARBON | options, "pue": 1.0} | PERIOD,
    )
    return pl.read_parquet(folder / "carbon.parquet")


def table_paths(folder: Path) -> dict[str, Path]:
    return {form: folder / f"table.{form}" for form in ("html", "csv", "tex")}


def test_carbon_is_estimated_and_tabulated(
    run: Run, inputs: dict[str, str], tmp_path: Path
) -> None:
    rows = estimate(run, inputs, tmp_path)
    assert Carbon.is_valid(rows)
    assert set(rows["factor"]) == {"RTE", "cycle"}
    run(
        "tabulate_carbon",
        input={"carbon": str(tmp_path / "carbon.parquet")},
        output=table_paths(tmp_path),
        params={"carbon": CARBON, "pue": 1.0, "provenance": PROVENANCE},
    )
    assert "RTE (kg)" in (tmp_path / "table.csv").read_text()
    assert r"\toprule" in (tmp_path / "table.tex").read_text()
    assert "Carbon of each level" in (tmp_path / "table.html").read_text()


def test_a_file_of_intensities_adds_the_jobs_own_hours(
    run: Run, inputs: dict[str, str], tmp_path: Path
) -> None:
    times = (START + timedelta(minutes=30 * step) for step in range(-48, 15 * 48))
    lines = [f"{time:%Y-%m-%d}\t{time:%H:%M}\t30" for time in times]
    path = tmp_path / "eCO2mix.xls"
    path.write_bytes("\n".join(["Date\tHeures\tTaux de Co2", *lines]).encode("latin-1"))
    rows = estimate(run, inputs, tmp_path, eco2mix=str(path), embodied=MAKING)
    assert {"eco2mix", "embodied"} < set(rows["factor"])
    hours = rows.filter(pl.col("factor") == "eco2mix", pl.col("level") == "site")
    assert pl.read_parquet(tmp_path / "set_aside.parquet").is_empty()
    assert hours["g_per_kwh"].item() == pytest.approx(30)


def test_the_summary_is_written(run: Run, inputs: dict[str, str], tmp_path: Path) -> None:
    estimate(run, inputs, tmp_path)
    names = ("levels", "node_energy", "ratio")
    set_aside = tmp_path / "set_aside.parquet"
    pl.DataFrame(tables.SetAside.create_empty()).write_parquet(set_aside)
    run(
        "write_summary",
        input={name: inputs[name] for name in names}
        | {"carbon": str(tmp_path / "carbon.parquet"), "set_aside": str(set_aside)},
        output={"summary": tmp_path / "summary.md"},
        params={"site": "nancy", "simulated": True, "pue": 1.0, "factors": FACTORS}
        | {"provenance": PROVENANCE}
        | PERIOD,
    )
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("# What the simulated site nancy used in 14 days\n")
    for head in ("## 1. The site", "## 2. The teams", "## 3. Development", "## What is left out"):
        assert head in text
    assert "u-0" not in text


def test_the_study_and_its_hardware_are_tabulated(
    run: Run, inputs: dict[str, str], tmp_path: Path
) -> None:
    params = {"provenance": PROVENANCE}
    names = ("levels", "node_energy", "ratio")
    wanted = {name: inputs[name] for name in names}
    run(
        "tabulate_study",
        input=wanted,
        output=table_paths(tmp_path) | {"opening": tmp_path / "opening.html"},
        params=params | {"site": "<nancy>", "simulated": True},
    )
    brief = (tmp_path / "opening.html").read_text(encoding="utf-8")
    assert brief.count("<li>") == 3
    assert "The nodes of the simulated site &lt;nancy&gt; drew <strong>" in brief
    assert "Serving no job" in (tmp_path / "table.csv").read_text()
    run(
        "tabulate_hardware",
        input={"hardware": inputs["hardware"], "node_power": [inputs["a"], inputs["b"]]},
        output=table_paths(tmp_path),
        params=params,
    )
    assert "1 × T4" in (tmp_path / "table.csv").read_text()


def test_carbon_by_hours_is_unknown_with_a_file_of_another_year(
    run: Run, inputs: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "eco2mix.csv"
    path.write_text("Date;Heures;Taux de CO2\n03/03/2019;12:00;20\n")
    rows = estimate(run, inputs, tmp_path, eco2mix=str(path))
    assert Carbon.is_valid(rows)
    hours = rows.filter(pl.col("factor") == "eco2mix")
    assert hours.height > 0
    assert hours["carbon_kg"].null_count() == hours["g_per_kwh"].null_count() == hours.height
    assert rows.filter(pl.col("factor") == "RTE")["carbon_kg"].null_count() == 0
    aside = pl.read_parquet(tmp_path / "set_aside.parquet")
    assert tables.SetAside.is_valid(aside)
    assert aside["reason"].to_list() == ["no value lies in the study"]
