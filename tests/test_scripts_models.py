"""The scripts of the notable models, run as their rules run them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from test_models import LIST

from footprint import models, tables
from footprint.tables.models import NotableModels

pytestmark = pytest.mark.filterwarnings("error")

Run = Callable[..., str]


def gather(run: Run, folder: Path, **params: str | None) -> tuple[str, Path]:
    path = folder / "notable_models.parquet"
    asked = {"file": None, "url": None} | params
    output = {"models": path, "set_aside": folder / "set_aside.parquet"}
    return run("gather_models", output=output, params=asked), path


def test_the_own_table_is_gathered_and_drawn(run: Run, tmp_path: Path) -> None:
    log, path = gather(run, tmp_path)
    rows = pl.read_parquet(path)
    assert log == ""
    assert NotableModels.is_valid(rows)
    assert rows.equals(models.well_known())
    figures = {form: tmp_path / f"models.{form}" for form in ("svg", "pdf", "png")}
    run("plot_models", input={"models": str(path)}, output=figures)
    for form, each in figures.items():
        assert each.stat().st_size > 4000, form
    svg = figures["svg"].read_text()
    assert "44 models · public papers and estimates of Epoch AI" in svg
    assert "Gemini 1.0 Ultra" in svg


def test_a_file_is_gathered(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_text(LIST)
    _, path = gather(run, tmp_path, file=str(copy))
    assert pl.read_parquet(path)["model"].to_list() == ["AlexNet", "GPT-3 175B (davinci)", "Secret"]


def test_a_changed_list_is_set_aside(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_text(LIST.replace("Training compute (FLOP)", "Compute"))
    log, path = gather(run, tmp_path, file=str(copy))
    assert "has no column 'Training compute (FLOP)'" in log
    assert pl.read_parquet(path).equals(models.well_known())
    aside = pl.read_parquet(tmp_path / "set_aside.parquet")
    assert tables.SetAside.is_valid(aside)
    assert aside["source"].to_list() == ["epoch.file"]
