"""Scripts of the notable models, run as their rules run them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from footprint.report import notable_models
from footprint.schemas.raw import RejectedRows
from footprint.schemas.usage import NotableModels
from tests.report.test_notable_models import LIST

pytestmark = pytest.mark.filterwarnings("error")

Run = Callable[..., str]


def run_read_models(run: Run, folder: Path, **params: str | None) -> tuple[str, Path]:
    path = folder / "notable_models.parquet"
    asked = {"file": None, "url": None} | params
    output = {"models": path, "rejected": folder / "rejected.parquet"}
    return run("read_models", output=output, params=asked), path


def test_read_models_without_list_writes_built_in_models(run: Run, tmp_path: Path) -> None:
    log, path = run_read_models(run, tmp_path)
    rows = pl.read_parquet(path)
    assert log == ""
    assert NotableModels.is_valid(rows)
    assert rows.equals(notable_models.built_in_models())
    figures = {form: tmp_path / f"models.{form}" for form in ("svg", "pdf", "png")}
    run("plot_models", input={"models": str(path)}, output=figures)
    for form, each in figures.items():
        assert each.stat().st_size > 4000, form
    svg = figures["svg"].read_text()
    assert "44 models · public papers and estimates of Epoch AI" in svg
    assert "Gemini 1.0 Ultra" in svg


def test_read_models_with_file_reads_its_models(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_text(LIST)
    _, path = run_read_models(run, tmp_path, file=str(copy))
    assert pl.read_parquet(path)["model"].to_list() == ["AlexNet", "GPT-3 175B (davinci)", "Secret"]


def test_read_models_with_renamed_column_rejects_the_list(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_text(LIST.replace("Training compute (FLOP)", "Compute"))
    log, path = run_read_models(run, tmp_path, file=str(copy))
    assert "has no column 'Training compute (FLOP)'" in log
    assert pl.read_parquet(path).equals(notable_models.built_in_models())
    rejected_rows = pl.read_parquet(tmp_path / "rejected.parquet")
    assert RejectedRows.is_valid(rejected_rows)
    assert rejected_rows["source"].to_list() == ["epoch.file"]
