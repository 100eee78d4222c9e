"""docs/your-cluster.md: its examples, its template and its configuration."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

from footprint.config import settings
from footprint.sources.generic import checking
from tests.support.project import Project, configure

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/your-cluster.md").read_text(encoding="utf-8")
TEMPLATE = ROOT / "docs/examples/template"
EXAMPLES = re.findall(r"<!-- example: (\w+\.csv) -->\n```csv\n(.*?)```", PAGE, re.S)


def test_template_can_be_used() -> None:
    result = checking.check_folder(TEMPLATE)
    assert result.faults == []
    assert [note for note in result.notes if "rejected" in note or "not read" in note] == []


def test_examples_of_the_page_can_be_used(tmp_path: Path) -> None:
    assert [name for name, _ in EXAMPLES] == ["nodes.csv", "power.csv"]
    shutil.copytree(TEMPLATE, tmp_path / "tables")
    for name, text in EXAMPLES:
        (tmp_path / "tables" / name).write_text(text, encoding="utf-8")
    assert checking.check_folder(tmp_path / "tables").faults == []


def test_configuration_of_the_page_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [text] = re.findall(r"printf '(.*?)' > study/config.yaml", PAGE)
    (tmp_path / "tables").mkdir()
    monkeypatch.chdir(tmp_path)
    config = settings.prepare_configuration(yaml.safe_load(text.replace("\\n", "\n")))
    assert config["source"]["kind"] == "generic"


@pytest.mark.parametrize("name", ["template", "cresco6"])
def test_configuration_of_an_example_is_short_and_valid(name: str, tmp_path: Path) -> None:
    text = (ROOT / f"docs/examples/{name}/study.yaml").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 12
    config = yaml.safe_load(text)
    config["source"]["directory"] = str(tmp_path)
    assert settings.prepare_configuration(config)["study"]["site"]


def test_header_of_the_slurm_export_has_columns_that_are_read(tmp_path: Path) -> None:
    [header] = re.findall(r"echo '(.*?)' > study/tables/jobs.csv", PAGE)
    [fields] = re.findall(r"--format (\S+)", PAGE)
    assert len(header.split("|")) == len(fields.split(","))
    shutil.copytree(TEMPLATE, tmp_path / "tables")
    (tmp_path / "tables/jobs.csv").write_text(
        f"{header}\n"
        "7|ada|vision|cpu|COMPLETED|1740992000|1740992400|1740992640|cpu[01-02]|64|a job\n"
        "8|bob|speech|cpu|CANCELLED by 12|1740992000|None|1740992640||8|another\n"
        "9|bob|speech|cpu|PENDING|1740992000|Unknown|Unknown||8|another\n",
        encoding="utf-8",
    )
    result = checking.check_folder(tmp_path / "tables")
    assert result.faults == []
    assert [note for note in result.notes if "rejected" in note or "not read" in note] == []


@pytest.mark.slow
@pytest.mark.workflow
def test_study_of_the_template_runs(tmp_path: Path) -> None:
    project = Project(tmp_path)
    study = configure(tmp_path / "study")
    text = (TEMPLATE / "study.yaml").read_text(encoding="utf-8")
    text = text.replace("docs/examples/template", str(TEMPLATE))
    (study / "study.yaml").write_text(text, encoding="utf-8")
    project.run(study, "--cores", "2")
    jobs = pl.read_parquet(study / "results/energy/jobs.parquet")
    # two nodes at about 310 W for 4 minutes, a quarter of one at about 172 W for 2 minutes
    measured = dict(jobs.select("job_id", "measured_kwh").iter_rows())
    assert measured[101] == pytest.approx(2 * 309.5 * 240 / 3.6e6, rel=0.02)
    assert measured[102] == pytest.approx(172 * 120 / 3.6e6 / 4, rel=0.03)
    assert measured[103] == pytest.approx(832 * 240 / 3.6e6 / 4, rel=0.03)
    assert (study / "results/report.html").stat().st_size > 100_000
