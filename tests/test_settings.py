import copy
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from footprint import settings, windows
from footprint.errors import InputError
from footprint.site.simulated.site import DEFAULT_SEED
from footprint.site.simulated.workload import DEFAULT_JOBS, DEFAULT_MIX

ROOT = Path(__file__).parents[1]
SCHEMA = settings.SCHEMA
FACTORS = yaml.safe_load(SCHEMA.read_text())["properties"]["carbon"]["properties"]["factors"]
STUDY = {"site": "nancy", "start": date(2025, 3, 3), "end": date(2025, 4, 28)}


def load(config: Mapping[str, Any]) -> dict[str, Any]:
    return settings.load(config)


def with_key(path: str, value: Any) -> dict[str, Any]:
    """The smallest configuration, with one key (`a.b`) set."""
    config: dict[str, Any] = {"study": dict(STUDY)}
    section = config
    *parents, key = path.split(".")
    for parent in parents:
        section = section.setdefault(parent, {})
    section[key] = value
    return config


def complaint(config: Mapping[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        load(config)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_smallest_configuration_is_completed() -> None:
    assert load({"study": STUDY}) == {
        "study": {"site": "nancy", "start": "2025-03-03", "end": "2025-04-28", "clusters": "all"},
        "source": {
            "kind": "simulated",
            "jobs_complete": True,
            "directory": None,
            "url": "https://api.grid5000.fr/stable",
            "credentials": None,
            "ca_bundle": None,
            "states": None,
            "oar_database": None,
            "recorded": None,
            "node_pattern": r"(?P<cluster>.+)-(?P<number>\d+)",
            "seed": 2025,
            "nodes": None,
            "jobs": 3600,
            "mix": {},
        },
        "download": {
            "chunks": {"hours": 24, "nodes": 20},
            "concurrency": 4,
            "retries": 6,
            "wait_s": 0.5,
            "timeout_s": 330,
            "jobs": "auto",
            "history_days": 30,
            "former_name_until": "2021-06-01",
            "summaries": True,
            "allow_missing": [],
            "devices": [],
        },
        "integration": {
            "metric": "bmc_node_power_watt",
            "sum_over": None,
            "method": "trapezoid",
            "max_gap_s": 30,
            "gate": "reserved",
            "off_threshold_w": 20,
            "idle_power": {},
            "max_power": {},
            "calibration": {},
        },
        "hardware": {"cpus": {}, "gpus": {}, "nodes": {}},
        "estimators": "all",
        "pue": 1,
        "labels": {"files": [], "ledgers": []},
        "levels": {"projects": "all", "users": [], "papers": "all", "redistribution": "none"},
        "privacy": {"key": None, "minimum_group": 3, "reveal": False},
        "carbon": {"factors": FACTORS["default"], "eco2mix": None, "embodied": None},
        "usage": {"history": None, "statistics": None, "every": "year"},
        "epoch": {"file": None, "url": None},
        "phases": {"runs": {"gap_h": 48, "arrays": "lines"}, "thresholds": {}, "tokens": {}},
        "validation": {
            "directory": None,
            "repository": "https://github.com/vladostp/"
            "an-experimental-comparison-of-software-based-power-meters",
            "commit": "96facc7862faa141f75cb46a8f893c1936eb8f0a",
        },
    }


def test_default_configuration_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert load(config)["source"]["kind"] == "simulated"


SHIPPED = yaml.safe_load((ROOT / "config.yaml").read_text())
SHIPPED_LABELS = "docs/labels/simulated.yaml"


def test_default_study_has_the_labels_people_and_series_of_the_simulated_site(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    config = load(SHIPPED)
    assert config["labels"] == {"files": [SHIPPED_LABELS], "ledgers": []}
    assert config["levels"]["users"] == ["birch", "cedar", "hazel", "maple", "oak"]
    series = ["prom_DCGM_FI_DEV_POWER_USAGE", "prom_node_load1"]
    assert config["download"]["devices"] == series
    assert "simulated" not in config
    assert load(config) == config


def test_another_source_has_nothing_of_the_simulated_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    mine = tmp_path / "my.yaml"
    mine.write_text(
        "study: {site: lyon, start: 2022-11-07, end: 2022-11-09}\n"
        f"source: {{kind: exports, directory: {tmp_path}}}\n"
        "privacy: {key: public}\n"
    )
    config = load(settings.read([ROOT / "config.yaml", mine]))
    assert config["labels"] == {"files": [], "ledgers": []}
    assert config["levels"]["users"] == []
    assert config["download"]["devices"] == []
    assert "simulated" not in config
    # what the user names stays, whatever it is
    mine.write_text(mine.read_text() + f"labels: {{files: [{SHIPPED_LABELS}]}}\n")
    assert load(settings.read([ROOT / "config.yaml", mine]))["labels"]["files"] == [SHIPPED_LABELS]
    grid5000 = SHIPPED | {"source": {"kind": "grid5000"}}
    assert load(grid5000)["download"]["devices"] == []


def test_another_source_says_itself_what_is_studied(tmp_path: Path) -> None:
    base, mine = tmp_path / "config.yaml", tmp_path / "my.yaml"
    study = {"site": "lyon", "start": "2022-11-07", "end": "2022-11-09"}
    base.write_text(json.dumps({"study": study | {"clusters": "all"}, "source": SHIPPED["source"]}))
    for kind in ("exports", "grid5000"):
        for key in study:
            given = {
                "study": {k: v for k, v in study.items() if k != key},
                "source": {"kind": kind},
            }
            mine.write_text(json.dumps(given))
            told = rf"^study.{key}: not given for source.kind `{kind}`; .*; give study.{key}$"
            with pytest.raises(InputError, match=told):
                settings.read([base, mine])
        with pytest.raises(InputError, match=r"^study.site: not given"):
            settings.check_study({"source": {"kind": kind}}, below=base)
        mine.write_text(json.dumps({"study": study, "source": {"kind": kind}}))
        assert settings.read([base, mine])["study"] == study | {"clusters": "all"}
        settings.check_study({"source": {"kind": kind}}, below=tmp_path / "none.yaml")
    # a study of the simulated site may be changed in part, and that of another source too
    settings.check_study({"source": {"seed": 5}}, below=base)
    settings.check_study({"source": None, "study": None}, below=base)
    mine.write_text(json.dumps({"source": {"kind": "exports", "directory": "b"}}))
    base.write_text(json.dumps({"study": study, "source": {"kind": "exports", "directory": "a"}}))
    assert settings.read([base, mine])["source"]["directory"] == "b"


def test_keys_of_a_simulated_study_override_what_belongs_to_the_site() -> None:
    config = load(SHIPPED | {"labels": {"files": []}, "levels": {"users": "all"}})
    assert (config["labels"]["files"], config["levels"]["users"]) == ([], "all")
    assert config["download"]["devices"] == SHIPPED["simulated"]["devices"]


def test_labels_of_the_simulated_site_must_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert complaint(SHIPPED).startswith(f"labels.files: there is no file {SHIPPED_LABELS}")


@pytest.mark.parametrize(
    ("kind", "path", "value", "sources"),
    [
        ("exports", "source.seed", 3, "`simulated` and `grid5000`"),
        ("exports", "source.nodes", {"grele": 2}, "`simulated` and `grid5000`"),
        ("exports", "source.jobs", 120, "`simulated` and `grid5000`"),
        ("exports", "source.mix", {"debug": 1}, "`simulated` and `grid5000`"),
        ("exports", "download.devices", ["prom_node_load1"], "`simulated` and `grid5000`"),
        ("simulated", "source.directory", "exports", "`exports`"),
        ("grid5000", "source.directory", "exports", "`exports`"),
        ("simulated", "source.credentials", "me.yaml", "`grid5000`"),
        ("exports", "source.ca_bundle", "ca.crt", "`grid5000`"),
        ("simulated", "source.states", "states.csv", "`grid5000`"),
        ("exports", "source.oar_database", "postgresql://oardb/oar2", "`grid5000`"),
    ],
)
def test_key_without_effect_on_the_source_is_refused(
    tmp_path: Path, kind: str, path: str, value: Any, sources: str
) -> None:
    config = with_key(path, value)
    source = config.setdefault("source", {})
    source["kind"] = kind
    if kind == "exports":
        source.setdefault("directory", str(tmp_path))
    assert complaint(config) == (
        f"{path}: the key has no effect where source.kind is `{kind}`; "
        f"remove it; it is for {sources}"
    )


def test_loading_again_changes_nothing_and_the_input_stays() -> None:
    raw = {"study": dict(STUDY), "integration": {"calibration": {"gros": {"slope": 1.1}}}}
    before = copy.deepcopy(raw)
    once = load(raw)
    assert raw == before
    assert load(once) == once
    assert json.loads(json.dumps(once)) == once
    assert once["integration"]["calibration"]["gros"] == {
        "slope": 1.1,
        "offset": 0,
        "slope_error": 0,
        "offset_error": 0,
    }


def test_a_section_with_all_lines_commented_out_has_its_defaults() -> None:
    assert load({"study": STUDY, "levels": None}) == load({"study": STUDY})


@pytest.mark.parametrize("start", [date(2025, 3, 3), "2025-03-03"])
def test_days_may_be_dates_or_texts(start: date | str) -> None:
    assert load(with_key("study.start", start))["study"]["start"] == "2025-03-03"


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
        ("study.site", 5, "study.site: 5 cannot be used; give a name written as `nancy`"),
        ("study.site", "Nancy !", 'study.site: "Nancy !" cannot be used; give a name written as'),
        ("study.start", "03/03/2025", '"03/03/2025" cannot be used; give a day written as `2025-'),
        ("study.start", "2025-02-30", 'study.start: "2025-02-30" cannot be used; give a day'),
        ("study.start", "20250303", 'study.start: "20250303" cannot be used; give a day'),
        ("study.start", 20250303, "study.start: 20250303 cannot be used; give a day"),
        ("study.end", datetime(2025, 4, 28, 12), "study.end: "),
        (
            "study.end",
            date(2025, 3, 3),
            "study.end: 2025-03-03 is not after study.start (2025-03-03)",
        ),
        ("study.end", date(2024, 4, 28), "study.end: 2024-04-28 is not after study.start"),
        ("study.clusters", [], "study.clusters: [] cannot be used; give a list of texts"),
        (
            "study.clusters",
            "gros",
            'study.clusters: "gros" cannot be used; give `all` or a list of',
        ),
        (
            "study.clusters",
            ["gros", "gros"],
            "study.clusters: `gros` stands there twice; write it once",
        ),
        (
            "study.clusters",
            [3],
            "study.clusters: [3] cannot be used; give `all` or a list of texts",
        ),
        ("source", "simulated", 'source: "simulated" cannot be used; give the keys kind,'),
        ("source.kind", "simulatd", "source.kind: "),
        ("source.kind", "simulatd", "did you mean `simulated`?"),
        ("source.kind", "csv", 'source.kind: "csv" cannot be used; give one of simulated, exports'),
        ("source.kind", "exports", "source.directory: missing; name the folder"),
        (
            "source.jobs_complete",
            "no",
            'source.jobs_complete: "no" cannot be used; give true or false',
        ),
        ("source.seed", -1, "source.seed: -1 cannot be used; give a whole number of at least 0"),
        ("source.seed", 1.5, "source.seed: 1.5 cannot be used; give a whole number of at least 0"),
        ("source.seed", True, "source.seed: true cannot be used; give a whole number"),
        ("source.jobs", 0, "source.jobs: 0 cannot be used; give a whole number of at least 1"),
        ("source.nodes", 5, "source.nodes: 5 cannot be used; give a mapping or nothing"),
        (
            "source.mix",
            {"interactiv": 1},
            'mix: "interactiv" cannot be used; did you mean `interactive`?',
        ),
        (
            "source.mix",
            {"debug": -1},
            "source.mix.debug: -1 cannot be used; give a number of at least",
        ),
        (
            "source.nodes",
            {"gros": 0},
            "source.nodes.gros: 0 cannot be used; give a whole number of",
        ),
        ("source.nodes", {3: 1}, "source.nodes: the key 3 is not a text; quote it"),
        (
            "integration.max_gap_s",
            0,
            "integration.max_gap_s: 0 cannot be used; give a number above 0",
        ),
        (
            "integration.max_gap_s",
            "half a minute",
            'integration.max_gap_s: "half a minute" cannot be used; give a number',
        ),
        ("integration.max_gap_s", float("nan"), "integration.max_gap_s: nan is not a number"),
        ("integration.max_gap_s", float("inf"), "integration.max_gap_s: inf is not a number"),
        (
            "integration.max_gap_s",
            None,
            "integration.max_gap_s: null cannot be used; give a number",
        ),
        ("integration.method", "trapeze", "integration.method: "),
        ("integration.method", "trapeze", "did you mean `trapezoid`?"),
        ("integration.gate", "reservd", "did you mean `reserved`?"),
        ("integration.metric", "bmc power", "give a name written as `wattmetre_power_watt`"),
        ("integration.idle_power", {"gros": -5}, "integration.idle_power.gros: -5 cannot be used"),
        (
            "integration.idle_power",
            {"gros": 15},
            "idle_power.gros: 15 W is not above integration.off_",
        ),
        (
            "integration.calibration.gros.slope",
            0,
            "calibration.gros.slope: 0 cannot be used; give a",
        ),
        (
            "integration.calibration.gros.slope_error",
            -0.1,
            "slope_error: -0.1 cannot be used; give",
        ),
        (
            "labels.files",
            "labels.yaml",
            'labels.files: "labels.yaml" cannot be used; give a list of',
        ),
        (
            "labels.files",
            ["no/such.yaml"],
            "labels.files: there is no file no/such.yaml; mend the path",
        ),
        ("epoch.file", "no/such.csv", "epoch.file: there is no file no/such.csv; mend the path"),
        ("usage.history", "no/such", "usage.history: there is no file no/such; mend the path"),
        ("carbon.eco2mix", "x.csv", "carbon.eco2mix: there is no file x.csv; mend the path"),
        (
            "carbon.factors",
            [{"name": "eco2mix", "convention": "direct", "g_per_kwh": 1, "source": "x"}],
            "carbon.factors: the name `eco2mix` is taken; give each factor its own",
        ),
        (
            "carbon.factors",
            [{"name": "a", "convention": "direct", "g_per_kwh": 1, "source": "x"}] * 2,
            "carbon.factors: the name `a` is taken; give each factor its own",
        ),
        ("levels.users", ["u-1", "u-1"], "levels.users: `u-1` stands there twice"),
        ("levels.redistribution", "user", "did you mean `users`?"),
        ("privacy.minimum_group", 0, "give a whole number of at least 1"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_write(
    path: str, value: Any, expected: str
) -> None:
    assert expected in complaint(with_key(path, value))


@pytest.mark.parametrize("key", ["site", "start", "end"])
def test_a_missing_key_is_named_with_what_it_takes(key: str) -> None:
    study = {name: value for name, value in STUDY.items() if name != key}
    assert re.match(
        rf"study\.{key}: missing; give a (day|name) written as `", complaint({"study": study})
    )


@pytest.mark.parametrize("config", [{}, {"study": None}])
def test_an_empty_configuration_is_told_where_to_begin(config: dict[str, Any]) -> None:
    assert re.match(r"study(\.site)?: missing; give ", complaint(config))


def test_a_misspelt_key_is_told_before_what_it_leaves_missing() -> None:
    study = {"site": "nancy", "strat": "2025-03-03", "end": "2025-04-28"}
    assert complaint({"study": study}) == "study.strat: unknown key; did you mean `start`?"


def test_idle_power_is_below_the_maximum() -> None:
    config = with_key("integration.idle_power", {"gros": 300, "grue": 100})
    config["integration"]["max_power"] = {"gros": 200, "grue": 900}
    assert complaint(config).startswith(
        "integration.idle_power.gros: 300 W is not below integration.max_power.gros (200 W)"
    )


def exports(folder: Path, **source: Any) -> dict[str, Any]:
    source = {"kind": "exports", "directory": str(folder), **source}
    return {"study": STUDY, "source": source}


def test_missing_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = complaint(exports(Path("raw")))
    assert message.startswith(
        "source.directory: there is no folder raw; give its full path, or its path"
    )


def test_the_gate_active_needs_all_jobs(tmp_path: Path) -> None:
    config = exports(tmp_path, jobs_complete=False)
    assert load(config)["source"]["jobs_complete"] is False
    message = complaint(config | {"integration": {"gate": "active"}})
    assert message.startswith("integration.gate: `active` shares a node among all jobs on it")
    assert message.endswith("choose `reserved`")


def test_the_simulated_site_takes_what_the_schema_says() -> None:
    source = yaml.safe_load(SCHEMA.read_text())["properties"]["source"]["properties"]
    assert source["seed"]["default"] == DEFAULT_SEED
    assert source["jobs"]["default"] == DEFAULT_JOBS
    assert source["mix"]["propertyNames"]["enum"] == list(DEFAULT_MIX)


def test_a_key_of_the_wrong_type_is_not_repeated() -> None:
    assert "31415926535" not in complaint(with_key("privacy.key", 31415926535))


def test_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "labels.yaml").touch()
    assert load(with_key("labels.files", ["~/labels.yaml"]))["labels"]["files"] == [
        str(tmp_path / "labels.yaml")
    ]
    assert load(exports(Path("~")))["source"]["directory"] == str(tmp_path)


def test_window_is_in_utc_with_the_end_excluded() -> None:
    assert windows.window("2025-03-03", "2025-04-28") == (
        datetime(2025, 3, 3, tzinfo=UTC),
        datetime(2025, 4, 28, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ((2025, 3, 3), (2025, 4, 28), ["2025-03", "2025-04"]),
        ((2025, 3, 3), (2025, 4, 1), ["2025-03"]),
        ((2024, 11, 30), (2025, 2, 2), ["2024-11", "2024-12", "2025-01", "2025-02"]),
        ((2024, 12, 31), (2025, 1, 1), ["2024-12"]),
    ],
)
def test_months_that_a_window_touches(start: Any, end: Any, expected: list[str]) -> None:
    assert windows.months(datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC)) == expected


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(microseconds=1), timedelta(days=1500)),
    st.floats(0, 1, exclude_max=True),
)
def test_each_moment_of_a_window_lies_in_one_of_its_months(
    start: datetime, length: timedelta, part: float
) -> None:
    found = windows.months(start, start + length)
    moment = start + length * part
    assert f"{moment:%Y-%m}" in found
    assert found == sorted(set(found))
    assert len(found) <= length.days / 28 + 2


def test_clusters_are_those_named_or_all() -> None:
    config = load({"study": STUDY})
    assert settings.clusters(config, ["grue", "gros"]) == ["gros", "grue"]
    config = load(with_key("study.clusters", ["grue", "graffiti"]))
    assert settings.clusters(config, {"gros", "grue", "graffiti"}) == ["graffiti", "grue"]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "study.clusters",
            ["grafitti"],
            "study.clusters: the source describes no cluster `grafitti`; did you mean `graffiti`?",
        ),
        ("study.clusters", ["xy"], "no cluster `xy`; choose among graffiti, gros"),
        ("integration.idle_power", {"xy": 100}, "integration.idle_power: the source describes no"),
        ("integration.max_power", {"xy": 100}, "integration.max_power: the source describes no"),
        ("integration.calibration", {"xy": {}}, "integration.calibration: the source describes no"),
    ],
)
def test_unknown_clusters_are_named(path: str, value: Any, expected: str) -> None:
    config = load(with_key(path, value))
    with pytest.raises(InputError, match=re.escape(expected)):
        settings.clusters(config, ["gros", "graffiti"])


def test_schema_describes_every_key_and_refuses_all_others() -> None:
    def check(path: str, shape: Mapping[str, Any], required: bool) -> None:
        assert shape.get("description", "").endswith("."), path
        assert required or "default" in shape, path
        if "object" in shape.get("type", ""):
            assert "additionalProperties" in shape, path
            assert ("properties" in shape) == (shape["additionalProperties"] is False), path
        nested = shape.get("additionalProperties") or {}
        for key, each in {**shape.get("properties", {}), **nested.get("properties", {})}.items():
            known = [*shape.get("required", []), *nested.get("required", [])]
            check(f"{path}.{key}", each, key in known)

    check("", yaml.safe_load(SCHEMA.read_text()), required=True)


def test_start_brings_neither_polars_nor_web_grammars() -> None:
    study = {"site": "nancy", "start": "2025-03-03", "end": "2025-04-28"}
    code = (
        "import sys; from footprint import settings; "
        f"settings.load({{'study': {study}}}); "
        "print([name for name in ('polars', 'lark', 'rfc3987_syntax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_numbers_and_truth_values_may_be_texts_as_config_makes_them() -> None:
    found = load(with_key("integration.max_gap_s", "12.5"))
    assert found["integration"]["max_gap_s"] == 12.5
    assert load(with_key("source.jobs", "40"))["source"]["jobs"] == 40
    assert load(with_key("source.jobs_complete", "False"))["source"]["jobs_complete"] is False
    with pytest.raises(InputError, match=r"source\.jobs_complete"):
        load(with_key("source.jobs_complete", "perhaps"))


def test_the_simulated_site_has_one_metric() -> None:
    with pytest.raises(InputError, match=r"the simulated site has no wattmetre_power_watt"):
        load(with_key("integration.metric", "wattmetre_power_watt"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study:\n  start: 2025-02-30\n", r"config\.yaml: day is out of range for month; mend"),
        ("study: {site: nancy\nsource: 1\n", r"config\.yaml:2: not YAML \(.*\); mend"),
    ],
)
def test_a_file_that_yaml_cannot_read(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        settings.check_readable(path)


def test_no_file_is_no_mistake(tmp_path: Path) -> None:
    settings.check_readable(tmp_path / "config.yaml")


def test_the_metric_of_the_simulated_site_is_the_one_that_it_has() -> None:
    from footprint.site.simulated.hardware import METRIC

    assert settings.SIMULATED_METRIC == METRIC


def test_hardware_of_the_configuration_is_completed_and_checked() -> None:
    given = {"cpus": {"Intel Xeon E5-2630": {"tdp_w": 95}}, "nodes": {"nova": {"memory_gb": 64}}}
    config = load({"study": STUDY, "hardware": given})
    assert config["hardware"] == {
        "cpus": {"Intel Xeon E5-2630": {"tdp_w": 95, "source": None}},
        "gpus": {},
        "nodes": {"nova": {"cpu_model": None, "memory_gb": 64, "gpu_power_limit_w": None}},
    }
    for section, entry, expected in (
        ("cpus", {"tdp": 95}, "hardware.cpus.X.tdp: unknown key"),
        ("cpus", {}, "hardware.cpus.X.tdp_w: missing; give a number above 0"),
        ("cpus", {"tdp_w": 0}, "hardware.cpus.X.tdp_w: 0 cannot be used"),
        ("gpus", {"power_limit_w": "much"}, "hardware.gpus.X.power_limit_w: "),
        ("nodes", {"memory": 1}, "hardware.nodes.X.memory: unknown key"),
    ):
        found = complaint({"study": STUDY, "hardware": {section: {"X": entry}}})
        assert found.startswith(expected)


def test_a_pattern_of_nodes_without_cluster_is_refused() -> None:
    found = complaint({"study": STUDY, "source": {"node_pattern": r"node\d+"}})
    assert found.startswith("source.node_pattern: `node\\d+` has no group `cluster`; write")


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
def test_a_metric_that_is_no_power_in_watts_is_refused(
    tmp_path: Path, metric: str, what: str
) -> None:
    config = exports(tmp_path) | {"integration": {"metric": metric}}
    assert complaint(config).startswith(f"integration.metric: {metric} {what}")


@pytest.mark.parametrize(
    "metric", ["wattmetre_power_watt", "pdu_outlet_power_watt", "bmc_psu_power_watt", "my_power"]
)
def test_a_metric_in_watts_is_accepted(tmp_path: Path, metric: str) -> None:
    config = exports(tmp_path) | {"integration": {"metric": metric, "sum_over": "psu"}}
    assert load(config)["integration"]["sum_over"] == "psu"
