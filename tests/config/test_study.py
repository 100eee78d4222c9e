"""The study of a configuration: clusters, months, files and keys."""

import stat
from pathlib import Path
from typing import Any

import pytest

from footprint.config import settings, study
from footprint.core import pseudonyms
from footprint.core.errors import InputError
from footprint.schemas.raw import Nodes
from footprint.schemas.writing import write_table
from footprint.sources import monthly_files
from tests.support import api_answers


@pytest.fixture
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of exports; the environment has no privacy key."""
    monkeypatch.delenv(pseudonyms.KEY_VARIABLE, raising=False)
    folder = tmp_path / "exports"
    api_answers.save_json(
        folder / "nodes/a.json", api_answers.collection_page(api_answers.reference_node("gruss-1"))
    )
    api_answers.save_json(folder / "nodes/b.json", api_answers.reference_node("gros-1"))
    api_answers.save_json(
        folder / "jobs/1.json", api_answers.collection_page(api_answers.g5k_job(1))
    )
    api_answers.save_json(folder / "power/1.json", [])
    (folder / "states").mkdir()
    (folder / "states/notes.csv").write_text("node,state,from,to\n")
    return folder


def configuration(**config: Any) -> dict[str, Any]:
    window = {"site": "nancy", "start": "2025-03-30", "end": "2025-05-01"}
    return settings.prepare_configuration({**config, "study": window | config.get("study", {})})


def exports_configuration(folder: Path, **config: Any) -> dict[str, Any]:
    source = {"kind": "exports", "directory": str(folder)}
    return configuration(**{"source": source, "privacy": {"key": "public"}, **config})


def test_plan_study_of_the_simulated_site_has_no_files() -> None:
    planned = study.plan_study(configuration(source={"nodes": {"grele": 1, "gres": 2}}))
    assert planned.clusters == ["grele", "gres"]
    assert planned.months == ["2025-03", "2025-04"]
    assert planned.files == study.SourceFiles([], [], [])
    assert (planned.site, planned.start, planned.end) == ("nancy", "2025-03-30", "2025-05-01")
    assert planned.metric == "bmc_node_power_watt"
    assert planned.is_simulated
    assert not planned.is_exported
    assert planned.jobs_complete
    # the power of a simulated site depends on the window, which is therefore part of the source
    assert (planned.source["start"], planned.source["end"]) == (planned.start, planned.end)


@pytest.mark.parametrize(
    ("gate", "has_truth"),
    [("reserved", True), ("binary", False), ("active", False), ("two_part", False)],
)
def test_has_truth_is_true_for_the_gate_reserved_alone(gate: str, has_truth: bool) -> None:
    assert study.plan_study(configuration(integration={"gate": gate})).has_truth is has_truth


def test_weeks_are_the_days_of_the_window_over_seven() -> None:
    window = {"start": "2025-03-03", "end": "2025-03-13"}
    assert study.plan_study(configuration(study=window)).weeks == pytest.approx(10 / 7)


def test_plan_study_of_exports_lists_the_files_of_each_rule(exports: Path) -> None:
    planned = study.plan_study(exports_configuration(exports))
    assert planned.is_exported
    assert not planned.is_simulated
    assert not planned.has_truth
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


def test_plan_study_keeps_the_configured_clusters_alone(exports: Path) -> None:
    assert study.plan_study(
        exports_configuration(exports, study={"clusters": ["gros"]})
    ).clusters == ["gros"]


def test_plan_study_without_a_key_for_real_people_is_refused(
    exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = exports_configuration(exports, privacy={})
    with pytest.raises(InputError, match=r"privacy\.key: no key for the pseudonyms of real people"):
        study.plan_study(without)
    monkeypatch.setenv(pseudonyms.KEY_VARIABLE, "0123456789abcdef" * 4)
    assert study.plan_study(without).clusters
    assert (
        pseudonyms.load_key(without["privacy"]["key"], simulated=False) == b"0123456789abcdef" * 4
    )


def test_plan_study_refuses_an_unknown_cluster(exports: Path) -> None:
    with pytest.raises(InputError, match=r"study\.clusters: the source describes no cluster `gro`"):
        study.plan_study(exports_configuration(exports, study={"clusters": ["gro"]}))


def test_nodes_of_a_cluster_are_distinct_and_in_the_order_of_monthly_files(tmp_path: Path) -> None:
    described = [
        api_answers.reference_node(name) for name in ("gros-2", "gros-10", "gruss-1", "gros-1")
    ]
    path = tmp_path / "nodes.parquet"
    write_table(Nodes, api_answers.nodes_table(*described), str(path))
    assert monthly_files.cluster_nodes(path, "gros") == ["gros-1", "gros-10", "gros-2"]
    assert monthly_files.cluster_nodes(path, "grue") == []


@pytest.mark.parametrize(
    ("metric", "meter", "expected"),
    [
        ("bmc_node_power_watt", {}, (0.95, 1.15, 0.5)),
        ("wattmetre_power_watt", {}, (0.99, 1.01, 0.5)),
        ("bmc_node_power_watt", {"low": 0.9, "correlation": 0}, (0.9, 1.15, 0.0)),
        ("wattmetre_power_watt", {"low": None, "high": 1.2}, (0.99, 1.2, 0.5)),
    ],
)
def test_meters_are_those_of_the_metric_unless_configured(
    metric: str, meter: dict[str, Any], expected: tuple[float, float, float]
) -> None:
    # the simulated site has readings of management controllers alone
    integration = configuration()["integration"]
    integration["metric"] = metric
    integration["meter"] |= meter
    found = study.meter_settings(integration)
    assert (found["low"], found["high"], found["correlation"]) == expected
    assert found["calibration"] == {}


def test_meters_include_calibrations_and_no_month_depends_on_them() -> None:
    calibration = {"gres": {"slope": 1.1, "slope_error": 0.01}}
    plain, changed = (
        study.plan_study(configuration(integration={"calibration": calibration} | more))
        for more in ({}, {"meter": {"low": 1.0, "high": 1.05}})
    )
    assert changed.meters["calibration"]["gres"]["slope_error"] == 0.01
    assert (changed.meters["low"], changed.meters["high"]) == (1.0, 1.05)
    # the rules of months take these settings as parameters
    assert changed.integration == plain.integration
    assert "meter" not in changed.integration
    assert changed.meters != plain.meters


def test_resources_are_of_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "study/resources"
    study.protect_resources(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    study.protect_resources(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
