"""Functions of figures and readers' tables, called by name with the tables of a rule."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
from snakemake.iocontainers import Namedlist

from footprint.report import rendering


def echo(
    small: pl.DataFrame, large: pl.LazyFrame, *, start: datetime, site: str, pue: float = 1.0
) -> dict[str, Any]:
    return {"small": small, "large": large, "start": start, "site": site, "pue": pue}


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module `footprint.report.figures.echo` with the function above."""
    made = ModuleType("footprint.report.figures.echo")
    made.plot = echo  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, made.__name__, made)


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Any]:
    frames = {name: pl.DataFrame({"a": [number]}) for number, name in enumerate("xyz")}
    for name, frame in frames.items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    x, y, z = (str(tmp_path / f"{name}.parquet") for name in frames)
    return {"small": x, "large": [y, z]}


def test_render_reads_scans_and_converts_by_the_types_of_the_parameters(
    paths: dict[str, Any],
) -> None:
    settings = {"site": "nancy", "start": "2025-03-03"}
    given = rendering.render("figures.echo.plot", paths, settings)
    assert given["small"].equals(pl.DataFrame({"a": [0]}))
    assert isinstance(given["large"], pl.LazyFrame)
    assert given["large"].collect()["a"].to_list() == [1, 2]
    assert given["start"] == datetime(2025, 3, 3, tzinfo=UTC)
    assert (given["site"], given["pue"]) == ("nancy", 1.0)


def test_render_accepts_the_containers_of_snakemake_and_leaves_out_other_params(
    paths: dict[str, Any],
) -> None:
    params = {"site": "nancy", "start": "2025-03-03", "pue": 2.0, "code": "f00", "provenance": "p"}
    given = rendering.render(
        "figures.echo.plot", Namedlist(fromdict=paths), Namedlist(fromdict=params)
    )
    assert given["pue"] == 2.0
    assert given["large"].collect().height == 2


def test_render_refuses_a_table_that_the_function_does_not_take(paths: dict[str, Any]) -> None:
    settings = {"site": "nancy", "start": "2025-03-03"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        rendering.render("figures.echo.plot", paths | {"other": paths["small"]}, settings)


def test_render_without_a_needed_setting_names_it(paths: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="'site'"):
        rendering.render("figures.echo.plot", paths, {"start": "2025-03-03"})


def test_find_function_imports_a_module_of_the_report() -> None:
    found = rendering.find_function("tables.energy.levels_table")
    assert (found.__module__, found.__name__) == ("footprint.report.tables.energy", "levels_table")
