"""Wrong configurations: each gives one line with the key, the value and the fix."""

import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from footprint.config import settings
from footprint.core.errors import InputError
from tests.support.configurations import (
    STUDY,
    configuration_error,
    configuration_with_key,
    exports_configuration,
    prepared_configuration,
)


@pytest.mark.parametrize(
    ("kind", "path", "value", "sources"),
    [
        ("exports", "source.seed", 3, "`simulated` and `grid5000`"),
        ("exports", "source.nodes", {"grele": 2}, "`simulated` and `grid5000`"),
        ("exports", "source.jobs", 120, "`simulated` and `grid5000`"),
        ("exports", "source.mix", {"debug": 1}, "`simulated` and `grid5000`"),
        ("exports", "source.habits", "seed", "`simulated` and `grid5000`"),
        ("exports", "source.habit_share", 0.5, "`simulated` and `grid5000`"),
        ("exports", "source.meter", {"low": 1}, "`simulated` and `grid5000`"),
        ("exports", "source.without_meters", "seed", "`simulated` and `grid5000`"),
        ("exports", "source.without_series", ["grele"], "`simulated` and `grid5000`"),
        ("exports", "download.devices", ["prom_node_load1"], "`simulated` and `grid5000`"),
        ("simulated", "source.directory", "exports", "`exports` and `generic`"),
        ("grid5000", "source.directory", "exports", "`exports` and `generic`"),
        ("exports", "source.power", "counter", "`generic`"),
        ("simulated", "source.credentials", "me.yaml", "`grid5000`"),
        ("exports", "source.ca_bundle", "ca.crt", "`grid5000`"),
        ("simulated", "source.states", "states.csv", "`grid5000`"),
        ("exports", "source.oar_database", "postgresql://oardb/oar2", "`grid5000`"),
    ],
)
def test_key_without_effect_on_the_source_is_refused(
    tmp_path: Path, kind: str, path: str, value: Any, sources: str
) -> None:
    config = configuration_with_key(path, value)
    source = config.setdefault("source", {})
    source["kind"] = kind
    if kind == "exports":
        source.setdefault("directory", str(tmp_path))
    assert configuration_error(config) == (
        f"{path}: the key has no effect where source.kind is `{kind}`; "
        f"remove it; it is for {sources}"
    )


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("stdy", {}, "stdy: unknown key; did you mean `study`?"),
        ("study.strat", 1, "study.strat: unknown key; did you mean `start`?"),
        ("study.gate", "active", "study.gate: unknown key; did you mean `integration.gate`?"),
        (
            "privacy.zzz",
            1,
            "privacy.zzz: unknown key; the keys there are key, minimum_group, reveal",
        ),
        (
            "integration.calibration.gros.slop",
            1,
            "integration.calibration.gros.slop: unknown key; did you mean `slope`?",
        ),
        ("study.site", 5, "study.site: 5 cannot be used; set it to a name written as `nancy`"),
        (
            "study.site",
            "Nancy !",
            'study.site: "Nancy !" cannot be used; set it to a name written as',
        ),
        (
            "study.start",
            "03/03/2025",
            '"03/03/2025" cannot be used; set it to a day written as `2025-',
        ),
        ("study.start", "2025-02-30", 'study.start: "2025-02-30" cannot be used; set it to a day'),
        ("study.start", "20250303", 'study.start: "20250303" cannot be used; set it to a day'),
        ("study.start", 20250303, "study.start: 20250303 cannot be used; set it to a day"),
        ("study.end", datetime(2025, 4, 28, 12), "study.end: "),
        (
            "study.end",
            date(2025, 3, 3),
            "study.end: 2025-03-03 is not after study.start (2025-03-03)",
        ),
        ("study.end", date(2024, 4, 28), "study.end: 2024-04-28 is not after study.start"),
        ("study.clusters", [], "study.clusters: [] cannot be used; set it to a list of texts"),
        (
            "study.clusters",
            "gros",
            'study.clusters: "gros" cannot be used; set it to `all` or a list of',
        ),
        (
            "study.clusters",
            ["gros", "gros"],
            "study.clusters: `gros` is listed twice; remove one of them",
        ),
        (
            "study.clusters",
            [3],
            "study.clusters: [3] cannot be used; set it to `all` or a list of texts",
        ),
        ("source", "simulated", 'source: "simulated" cannot be used; set it to the keys kind,'),
        ("source.kind", "simulatd", "source.kind: "),
        ("source.kind", "simulatd", "did you mean `simulated`?"),
        (
            "source.kind",
            "csv",
            'source.kind: "csv" cannot be used; set it to one of simulated, exports',
        ),
        ("source.kind", "exports", "source.directory: missing; set it to the folder"),
        (
            "source.jobs_complete",
            "no",
            'source.jobs_complete: "no" cannot be used; set it to true or false',
        ),
        (
            "source.seed",
            -1,
            "source.seed: -1 cannot be used; set it to a whole number of at least 0",
        ),
        (
            "source.seed",
            1.5,
            "source.seed: 1.5 cannot be used; set it to a whole number of at least 0",
        ),
        ("source.seed", True, "source.seed: true cannot be used; set it to a whole number"),
        ("source.jobs", 0, "source.jobs: 0 cannot be used; set it to a whole number of at least 1"),
        ("source.nodes", 5, "source.nodes: 5 cannot be used; set it to a mapping or null"),
        ("source.habits", [], "source.habits: [] cannot be used"),
        ("source.habit_share", 2, "source.habit_share: 2 cannot be used; set it to a number of at"),
        (
            "source.mix",
            {"interactiv": 1},
            'mix: "interactiv" cannot be used; did you mean `interactive`?',
        ),
        (
            "source.mix",
            {"debug": -1},
            "source.mix.debug: -1 cannot be used; set it to a number of at least",
        ),
        (
            "source.nodes",
            {"gros": 0},
            "source.nodes.gros: 0 cannot be used; set it to a whole number of",
        ),
        ("source.nodes", {3: 1}, "source.nodes: the key 3 is not a text; set it in quotes"),
        (
            "integration.max_gap_s",
            0,
            "integration.max_gap_s: 0 cannot be used; set it to a number above 0",
        ),
        (
            "integration.max_gap_s",
            "half a minute",
            'integration.max_gap_s: "half a minute" cannot be used; set it to a number',
        ),
        ("integration.max_gap_s", float("nan"), "integration.max_gap_s: nan is not a number"),
        ("integration.max_gap_s", float("inf"), "integration.max_gap_s: inf is not a number"),
        (
            "integration.max_gap_s",
            None,
            "integration.max_gap_s: null cannot be used; set it to a number",
        ),
        (
            "integration.meter",
            {"low": 1.2, "high": 1.1},
            "integration.meter: the lowest gain, 1.2, is above the highest, 1.1; set low and high",
        ),
        (
            "integration.meter.low",
            1.2,
            "integration.meter: the lowest gain, 1.2, is above the highest, 1.15; set low and high",
        ),
        ("integration.meter.correlation", 1.5, "integration.meter.correlation: 1.5 cannot be used"),
        ("integration.meter.low", 0, "integration.meter.low: 0 cannot be used"),
        ("integration.method", "trapeze", "integration.method: "),
        ("integration.method", "trapeze", "did you mean `trapezoid`?"),
        ("integration.gate", "reservd", "did you mean `reserved`?"),
        ("integration.metric", "bmc power", "set it to a name written as `wattmetre_power_watt`"),
        ("integration.idle_power", {"gros": -5}, "integration.idle_power.gros: -5 cannot be used"),
        (
            "integration.idle_power",
            {"gros": 15},
            "idle_power.gros: 15 W is not above integration.off_",
        ),
        (
            "integration.calibration.gros.slope",
            0,
            "calibration.gros.slope: 0 cannot be used; set it to a",
        ),
        (
            "integration.calibration.gros.slope_error",
            -0.1,
            "slope_error: -0.1 cannot be used; set it to",
        ),
        (
            "labels.files",
            "labels.yaml",
            'labels.files: "labels.yaml" cannot be used; set it to a list of',
        ),
        (
            "labels.files",
            ["no/such.yaml"],
            "labels.files: there is no file no/such.yaml; fix the path",
        ),
        ("epoch.file", "no/such.csv", "epoch.file: there is no file no/such.csv; fix the path"),
        ("epoch.file", "workflow/src", "epoch.file: the folder workflow/src has no CSV file; name"),
        ("carbon.eco2mix", ["README.md", "x.csv"], "carbon.eco2mix: there is no file x.csv; fix"),
        ("carbon.eco2mix", [], "carbon.eco2mix: [] cannot be used"),
        ("usage.history", "no/such", "usage.history: there is no file no/such; fix the path"),
        ("carbon.eco2mix", "x.csv", "carbon.eco2mix: there is no file x.csv; fix the path"),
        (
            "carbon.factors",
            [{"name": "eco2mix", "convention": "direct", "g_per_kwh": 1, "source": "x"}],
            "carbon.factors: the name `eco2mix` is taken; rename the factor",
        ),
        (
            "carbon.factors",
            [{"name": "a", "convention": "direct", "g_per_kwh": 1, "source": "x"}] * 2,
            "carbon.factors: the name `a` is taken; rename the factor",
        ),
        ("levels.users", ["u-1", "u-1"], "levels.users: `u-1` is listed twice"),
        ("levels.redistribution", "user", "did you mean `users`?"),
        ("privacy.minimum_group", 0, "set it to a whole number of at least 1"),
    ],
)
def test_wrong_value_gives_one_line_with_the_fix(path: str, value: Any, expected: str) -> None:
    assert expected in configuration_error(configuration_with_key(path, value))


@pytest.mark.parametrize("key", ["site", "start", "end"])
def test_missing_key_is_named_with_its_allowed_values(key: str) -> None:
    study = {name: value for name, value in STUDY.items() if name != key}
    assert re.match(
        rf"study\.{key}: missing; set it to a (day|name) written as `",
        configuration_error({"study": study}),
    )


@pytest.mark.parametrize("config", [{}, {"study": None}])
def test_empty_configuration_names_the_first_missing_key(config: dict[str, Any]) -> None:
    assert re.match(r"study(\.site)?: missing; set it to ", configuration_error(config))


def test_misspelt_key_is_reported_before_the_missing_key() -> None:
    study = {"site": "nancy", "strat": "2025-03-03", "end": "2025-04-28"}
    assert (
        configuration_error({"study": study}) == "study.strat: unknown key; did you mean `start`?"
    )


def test_idle_power_above_the_maximum_is_refused() -> None:
    config = configuration_with_key("integration.idle_power", {"gros": 300, "grue": 100})
    config["integration"]["max_power"] = {"gros": 200, "grue": 900}
    assert configuration_error(config).startswith(
        "integration.idle_power.gros: 300 W is not below integration.max_power.gros (200 W)"
    )


def test_missing_folder_of_exports_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = configuration_error(exports_configuration(Path("raw")))
    assert message.startswith(
        "source.directory: there is no folder raw; set its full path, or its path"
    )


def test_gate_active_without_all_jobs_is_refused(tmp_path: Path) -> None:
    config = exports_configuration(tmp_path, jobs_complete=False)
    assert prepared_configuration(config)["source"]["jobs_complete"] is False
    message = configuration_error(config | {"integration": {"gate": "active"}})
    assert message.startswith("integration.gate: `active` divides a node among all its jobs")
    assert message.endswith("set it to `reserved`")


def test_privacy_key_of_the_wrong_type_is_not_repeated() -> None:
    assert "31415926535" not in configuration_error(
        configuration_with_key("privacy.key", 31415926535)
    )


def test_metric_that_the_simulated_site_lacks_is_refused() -> None:
    with pytest.raises(InputError, match=r"the simulated site has no wattmetre_power_watt"):
        prepared_configuration(configuration_with_key("integration.metric", "wattmetre_power_watt"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study:\n  start: 2025-02-30\n", r"config\.yaml: day is out of range for month; fix"),
        ("study: {site: nancy\nsource: 1\n", r"config\.yaml:2: not YAML \(.*\); fix"),
    ],
)
def test_check_readable_refuses_files_that_are_not_yaml(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        settings.check_readable(path)


def test_check_readable_accepts_a_missing_file(tmp_path: Path) -> None:
    settings.check_readable(tmp_path / "config.yaml")


def test_node_pattern_without_a_group_cluster_is_refused() -> None:
    found = configuration_error({"study": STUDY, "source": {"node_pattern": r"node\d+"}})
    assert found.startswith("source.node_pattern: `node\\d+` has no group `cluster`; add")


@pytest.mark.parametrize(
    ("metric", "what"),
    [
        ("bmc_node_power_watthour_total", "is a counter of energy"),
        ("prom_node_rapl_package_joules_total", "is a counter of energy"),
        ("node_energy", "is a counter of energy"),
        ("node_energy_kWh", "is a counter of energy"),
        ("my_power_kilowatts", "is in `kilowatts` by its name"),
        ("my_power_kW", "is in `kw` by its name"),
        ("my_power_mW", "is in `mw` by its name"),
        ("bmc_psu_current_amp", "is in `amp` by its name"),
    ],
)
def test_metric_that_is_not_power_in_watts_is_refused(
    tmp_path: Path, metric: str, what: str
) -> None:
    config = exports_configuration(tmp_path) | {"integration": {"metric": metric}}
    assert configuration_error(config).startswith(f"integration.metric: {metric} {what}")


@pytest.mark.parametrize(
    "metric", ["wattmetre_power_watt", "pdu_outlet_power_watt", "bmc_psu_power_watt", "my_power"]
)
def test_metric_in_watts_is_accepted(tmp_path: Path, metric: str) -> None:
    config = exports_configuration(tmp_path) | {
        "integration": {"metric": metric, "sum_over": "psu"}
    }
    assert prepared_configuration(config)["integration"]["sum_over"] == "psu"


@pytest.mark.parametrize("name", ["gr os-1", "../../x-1", "", ".", "a/b", "gros\n"])
def test_name_that_is_none_of_a_cluster_is_refused(name: str) -> None:
    error = configuration_error({"study": {**STUDY, "clusters": ["gros", name]}})
    assert error.startswith("study.clusters: ")
    error = configuration_error(
        {"study": STUDY, "integration": {"calibration": {name: {"slope": 1}}}}
    )
    assert error.startswith("integration.calibration: ")


@pytest.mark.parametrize(
    ("study", "expected"),
    [
        ({"end": "2205-01-01"}, "study.end: 2205-01-01 is not from 2000-01-01 to 2100-01-01; fix"),
        ({"start": "0001-01-01"}, "study.start: 0001-01-01 is not from 2000-01-01 to"),
        (
            {"end": "2036-01-01"},
            "study.end: 2025-03-03 to 2036-01-01 is longer than 10 years; check the file; if it is "
            "meant so, raise limits.study_years in config.yaml",
        ),
    ],
)
def test_study_of_impossible_length_is_refused(study: dict[str, str], expected: str) -> None:
    assert configuration_error({"study": {**STUDY, **study}}).startswith(expected)


def test_longer_study_is_allowed_by_its_bound() -> None:
    config = {"study": {**STUDY, "end": "2036-01-01"}, "limits": {"study_years": 12}}
    assert prepared_configuration(config)["study"]["end"] == "2036-01-01"
