"""What a configuration means for the workflow."""

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import answers
import pytest

from footprint import partitions, privacy, settings, study, tables, windows
from footprint.errors import InputError


@pytest.fixture
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of exports; the environment has no key."""
    monkeypatch.delenv(privacy.KEY_VARIABLE, raising=False)
    folder = tmp_path / "exports"
    answers.save(folder / "nodes/a.json", answers.page(answers.node("gruss-1")))
    answers.save(folder / "nodes/b.json", answers.node("gros-1"))
    answers.save(folder / "jobs/1.json", answers.page(answers.g5k_job(1)))
    answers.save(folder / "power/1.json", [])
    (folder / "states").mkdir()
    (folder / "states/notes.csv").write_text("node,state,from,to\n")
    return folder


def load(**config: Any) -> dict[str, Any]:
    window = {"site": "nancy", "start": "2025-03-30", "end": "2025-05-01"}
    return settings.load({**config, "study": window | config.get("study", {})})


def of_exports(folder: Path, **config: Any) -> dict[str, Any]:
    source = {"kind": "exports", "directory": str(folder)}
    return load(**{"source": source, "privacy": {"key": "public"}, **config})


def test_the_simulated_site_is_planned_without_files() -> None:
    planned = study.plan(load(source={"nodes": {"grele": 1, "gres": 2}}))
    assert planned.clusters == ["grele", "gres"]
    assert planned.months == ["2025-03", "2025-04"]
    assert planned.files == study.SourceFiles([], [], [])
    assert (planned.site, planned.start, planned.end) == ("nancy", "2025-03-30", "2025-05-01")
    assert planned.metric == "bmc_node_power_watt"
    assert planned.simulated
    assert not planned.exported
    assert planned.jobs_complete
    # the power of a simulated site depends on its window: it is part of the source
    assert (planned.source["start"], planned.source["end"]) == (planned.start, planned.end)


@pytest.mark.parametrize(
    ("gate", "checked"),
    [("reserved", True), ("binary", False), ("active", False), ("two_part", False)],
)
def test_truth_is_of_reserved_shares(gate: str, checked: bool) -> None:
    assert study.plan(load(integration={"gate": gate})).checked is checked


def test_exports_are_planned_with_the_files_that_each_rule_reads(exports: Path) -> None:
    planned = study.plan(of_exports(exports))
    assert planned.exported
    assert not planned.simulated
    assert not planned.checked
    assert planned.clusters == ["gros", "gruss"]
    described = [str(exports / "nodes/a.json"), str(exports / "nodes/b.json")]
    assert planned.files.nodes == described
    assert planned.files.jobs == [
        *described,
        str(exports / "jobs/1.json"),
        str(exports / "states/notes.csv"),
    ]
    assert planned.files.power == [*described, str(exports / "power/1.json")]
    assert "start" not in planned.source


def test_some_clusters_alone(exports: Path) -> None:
    assert study.plan(of_exports(exports, study={"clusters": ["gros"]})).clusters == ["gros"]


def test_people_need_a_key_before_anything_runs(
    exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = of_exports(exports, privacy={})
    with pytest.raises(InputError, match=r"privacy\.key: no key for the pseudonyms of real people"):
        study.plan(without)
    monkeypatch.setenv(privacy.KEY_VARIABLE, "k" * 64)
    assert study.plan(without).clusters
    assert privacy.load_key(without["privacy"]["key"], simulated=False) == b"k" * 64


def test_an_unknown_cluster_is_refused(exports: Path) -> None:
    with pytest.raises(InputError, match=r"study\.clusters: the source describes no cluster `gro`"):
        study.plan(of_exports(exports, study={"clusters": ["gro"]}))


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("month", "expected"),
    [
        ("2024-02", ("2024-02-10", "2024-03-01")),
        ("2024-03", ("2024-03-01", "2024-04-01")),
        ("2024-12", ("2024-12-01", "2025-01-01")),
        ("2025-01", ("2025-01-01", "2025-01-31")),
    ],
)
def test_months_are_cut_to_the_study(month: str, expected: tuple[str, str]) -> None:
    found = windows.month_window(month, "2024-02-10", "2025-01-31")
    assert found == tuple(map(day, expected))


def test_the_months_of_a_study_follow_one_another() -> None:
    start, end = windows.window("2024-02-10", "2025-01-31")
    bounds = [
        windows.month_window(month, "2024-02-10", "2025-01-31")
        for month in windows.months(start, end)
    ]
    assert bounds[0][0] == start
    assert bounds[-1][1] == end
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds))


def test_nodes_of_a_cluster_are_named_once_and_in_the_order_of_partitions(tmp_path: Path) -> None:
    described = [answers.node(name) for name in ("gros-2", "gros-10", "gruss-1", "gros-1")]
    path = tmp_path / "nodes.parquet"
    tables.write(tables.Nodes, answers.nodes_table(*described), str(path))
    assert partitions.nodes_of(path, "gros") == ["gros-1", "gros-10", "gros-2"]
    assert partitions.nodes_of(path, "grue") == []
