"""Notebooks run on the results of a study, and are stored without output."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from running import Project, configure, small_study

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = ("estimators_of_my_jobs", "label_my_paper", "node_power_and_jobs")
READ = ("phases/ratio.parquet", "estimates/jobs.parquet", "energy/gates.parquet")

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Jupyter's own packages
]


def read(name: str) -> NotebookNode:
    notebook: NotebookNode = nbformat.read(  # type: ignore[no-untyped-call]
        FOLDER / f"{name}.ipynb", as_version=4
    )
    return notebook


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of three nodes, run as far as the notebooks read it."""
    project = Project(tmp_path_factory.mktemp("notebooks"))
    config = small_study(project)
    config["study"] |= {"start": "2025-03-03", "end": "2025-03-05"}
    config["source"]["nodes"] = {"graffiti": 3}
    config["download"] = {"devices": []}
    folder = configure(project.folder.parent / "study", **config)
    project.run(folder, "--cores", "2", *(f"results/{path}" for path in READ))
    return folder


def test_there_are_three_notebooks() -> None:
    assert tuple(path.stem for path in sorted(FOLDER.glob("*.ipynb"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_stored_without_output(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    assert all("widgets" not in part.metadata for part in (notebook, *notebook.cells))


@pytest.mark.parametrize("name", NAMES)
def test_holds_no_logic(name: str) -> None:
    cells = read(name).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert re.search(r"^from footprint", code, re.M)
    assert re.findall(r"^\s*(def|class|for|while|if|try|with)\b", code, re.M) == []
    # a short lesson: no cell follows another without a sentence, but for a figure of its numbers
    assert cells[0].source.startswith("# ")
    assert sum(cell.cell_type == "markdown" for cell in cells) * 2 >= len(cells) - 1


# Appended to a notebook, to look at what it found.
PROBES = {
    "label_my_paper": (
        # R itself is null here: trainings reach beyond the two days of the study
        "*((table['development_kwh'] / table['training_kwh']).item() for table in (before, after)),"
        " after['training_kwh'].item() - before['training_kwh'].item(),"
        " runs.row(by_predicate=pl.col('run_id') == reported, named=True)['energy_kwh']"
    )
}


@pytest.mark.workflow
@pytest.mark.parametrize("name", NAMES)
def test_runs_on_the_results(name: str, study: Path) -> None:
    notebook = read(name)
    probe = nbformat.v4.new_code_cell(PROBES.get(name, "()"))  # type: ignore[no-untyped-call]
    notebook.cells.append(probe)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(study)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("text/html" in output.get("data", {}) for output in outputs)
    assert [output for output in outputs if output.output_type in ("stream", "error")] == []
    said = outputs[-1].data["text/plain"].strip("()")
    if name == "label_my_paper":
        before, after, moved_kwh, reported_kwh = map(float, said.split(","))
        assert after < before
        assert moved_kwh == pytest.approx(reported_kwh, rel=1e-9)
