"""Notebooks run on the results of a study and are stored without output."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import polars as pl
import polars.selectors as cs
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from polars.testing import assert_frame_equal

import footprint
from tests.support.project import Project, configure, small_study

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = ("estimators_of_my_jobs", "label_my_paper", "node_power_and_jobs")
RESULTS_READ = (
    *("phases/ratio.parquet", "energy/node_allocations.parquet"),
    *("estimates/jobs.parquet", "estimates/ratios.parquet"),
)
MAX_LINES = 10
"""Most lines of code of a cell, which answers one question."""

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # raised in Jupyter's packages
]


def read_notebook(name: str) -> NotebookNode:
    notebook: NotebookNode = nbformat.read(  # type: ignore[no-untyped-call]
        FOLDER / f"{name}.ipynb", as_version=4
    )
    return notebook


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Study of two days and three nodes, run up to the tables that notebooks read."""
    project = Project(tmp_path_factory.mktemp("notebooks"))
    config = small_study(project)
    config["study"] |= {"start": "2025-03-03", "end": "2025-03-05"}
    config["source"]["nodes"] = {"graffiti": 3}
    config["download"] = {"devices": []}
    folder = configure(project.folder.parent / "study", **config)
    project.run(folder, "--cores", "2", *(f"results/{path}" for path in RESULTS_READ))
    return folder


def test_notebooks_are_the_three_listed() -> None:
    assert tuple(path.stem for path in sorted(FOLDER.glob("*.ipynb"))) == NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_stored_without_output(name: str) -> None:
    notebook = read_notebook(name)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    assert all("widgets" not in part.metadata for part in (notebook, *notebook.cells))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_contains_no_logic_and_enough_text(name: str) -> None:
    cells = read_notebook(name).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert re.search(r"^from footprint", code, re.M)
    assert re.findall(r"^\s*(def|class|for|while|if|try|with)\b", code, re.M) == []
    # at most one code cell a text cell, and one more
    assert cells[0].source.startswith("# ")
    assert sum(cell.cell_type == "markdown" for cell in cells) * 2 >= len(cells) - 1


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_needs_few_lines_a_question(name: str) -> None:
    cells = [cell.source for cell in read_notebook(name).cells if cell.cell_type == "code"]
    lines = [[line for line in cell.splitlines() if line.strip()] for cell in cells]
    assert max(map(len, lines)) <= MAX_LINES
    assert "footprint.open_results(" in "".join(cells)
    assert re.findall(r"\b(?:scan|read)_parquet\b|\bpathlib\b", "".join(cells)) == []


# Expressions appended to a notebook, to check its values.
PROBES = {
    "label_my_paper": (
        # R itself is null here: trainings reach beyond the two days of the study
        "*((table['development_kwh'] / table['training_kwh']).item() for table in (before, after)),"
        " after['training_kwh'].item() - before['training_kwh'].item(),"
        " runs.row(by_predicate=pl.col('run_id') == reported, named=True)['total_kwh']"
    )
}


@pytest.mark.workflow
def test_questions_without_a_change_repeat_the_published_tables(study: Path) -> None:
    results = footprint.open_results(study / "results")
    ends = cs.matches(r"_(low|high)(_kwh)?$")  # need the configured meters
    again = results.ratio_with_labels("")
    assert_frame_equal(again.drop(ends), results.ratio.drop(ends))
    published = pl.read_parquet(study / "results/estimates/ratios.parquet")
    assert_frame_equal(results.compare_estimates(results.jobs), published)
    runs = results.unlabelled_runs()
    assert 0 < len(runs) <= len(results.runs)
    assert runs["total_kwh"].drop_nulls().is_sorted(descending=True)
    assert len(results.levels) > len(results.ratio) > 0


@pytest.mark.workflow
def test_ratio_with_labels_replaces_labels_of_the_study(study: Path) -> None:
    results = footprint.open_results(study / "results")
    known = pl.read_parquet(study / "resources/nancy/labels.parquet")
    labelled = known.filter(pl.col("paper").is_not_null())
    papers = "".join(f"- {{chain: {job}, paper: mine}}\n" for job in labelled["job_id"])
    changed = results.ratio_with_labels(papers)
    assert changed["n_labelled"].sum() < results.ratio["n_labelled"].sum()


@pytest.mark.workflow
def test_ratio_with_labels_refuses_a_wrong_label_by_its_line(study: Path) -> None:
    results = footprint.open_results(study / "results")
    run = results.runs["run_id"][0]
    with pytest.raises(footprint.InputError, match=r"^labels:2: .*rôle"):
        results.ratio_with_labels(f"- {{chain: {run}, role: other}}\n- {{chain: {run}, rôle: x}}\n")
    with pytest.raises(
        footprint.InputError, match=r"two roles: 'other' here and 'reported' at lab"
    ):
        results.ratio_with_labels(
            f"- {{chain: {run}, role: other}}\n- {{chain: {run}, role: reported}}\n"
        )


@pytest.mark.workflow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs_on_the_results(name: str, study: Path) -> None:
    notebook = read_notebook(name)
    probe = nbformat.v4.new_code_cell(PROBES.get(name, "()"))  # type: ignore[no-untyped-call]
    notebook.cells.append(probe)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(study)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("text/html" in output.get("data", {}) for output in outputs)
    assert [output for output in outputs if output.output_type in ("stream", "error")] == []
    printed = outputs[-1].data["text/plain"].strip("()")
    if name == "label_my_paper":
        before, after, moved_kwh, reported_kwh = map(float, printed.split(","))
        assert after < before
        assert moved_kwh == pytest.approx(reported_kwh, rel=1e-9)
