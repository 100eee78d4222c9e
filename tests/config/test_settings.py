"""The configuration: files, defaults, clusters, and the keys of its schema."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from footprint.config import settings
from footprint.core import limits
from footprint.core.errors import InputError
from footprint.sources import node_names
from footprint.sources.simulated.random_numbers import DEFAULT_SEED
from footprint.sources.simulated.workload import DEFAULT_JOBS, DEFAULT_MIX
from tests.support.configurations import (
    STUDY,
    configuration_error,
    configuration_with_key,
    exports_configuration,
    prepared_configuration,
)

ROOT = Path(__file__).parents[2]
SCHEMA = settings.SCHEMA_PATH
FACTORS = yaml.safe_load(SCHEMA.read_text())["properties"]["carbon"]["properties"]["factors"]


def test_smallest_configuration_is_completed_with_all_defaults() -> None:
    assert prepared_configuration({"study": STUDY}) == {
        "study": {"site": "nancy", "start": "2025-03-03", "end": "2025-04-28", "clusters": "all"},
        "source": {
            "kind": "simulated",
            "jobs_complete": True,
            "directory": None,
            "power": "watts",
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
            "habits": None,
            "habit_share": 0.7,
            "meter": {"low": 0.95, "high": 1.15, "correlation": 0.5},
            "without_meters": None,
            "without_series": None,
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
            "meter": {"low": None, "high": None, "correlation": None},
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
        "limits": limits.Limits()._asdict(),
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
    assert prepared_configuration(config)["source"]["kind"] == "simulated"


SHIPPED = yaml.safe_load((ROOT / "config.yaml").read_text())
SHIPPED_LABELS = "docs/labels/simulated.yaml"


def test_default_configuration_has_the_labels_people_and_series_of_the_simulated_site(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    config = prepared_configuration(SHIPPED)
    assert config["labels"] == {"files": [SHIPPED_LABELS], "ledgers": []}
    assert config["levels"]["users"] == ["birch", "cedar", "hazel", "maple", "oak"]
    series = ["prom_DCGM_FI_DEV_POWER_USAGE", "prom_node_load1"]
    assert config["download"]["devices"] == series
    assert "simulated" not in config
    assert prepared_configuration(config) == config


def test_other_source_ignores_the_defaults_of_the_simulated_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    mine = tmp_path / "my.yaml"
    mine.write_text(
        "study: {site: lyon, start: 2022-11-07, end: 2022-11-09}\n"
        f"source: {{kind: exports, directory: {tmp_path}}}\n"
        "privacy: {key: public}\n"
    )
    config = prepared_configuration(settings.read_configuration_files([ROOT / "config.yaml", mine]))
    assert config["labels"] == {"files": [], "ledgers": []}
    assert config["levels"]["users"] == []
    assert config["download"]["devices"] == []
    assert "simulated" not in config
    # a value set by the user is kept
    mine.write_text(mine.read_text() + f"labels: {{files: [{SHIPPED_LABELS}]}}\n")
    config = prepared_configuration(settings.read_configuration_files([ROOT / "config.yaml", mine]))
    assert config["labels"]["files"] == [SHIPPED_LABELS]
    grid5000 = SHIPPED | {"source": {"kind": "grid5000"}}
    assert prepared_configuration(grid5000)["download"]["devices"] == []


def test_other_source_without_its_own_site_and_days_is_refused(tmp_path: Path) -> None:
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
            expected = rf"^study.{key}: not set for source.kind `{kind}`; .*; set study.{key}$"
            with pytest.raises(InputError, match=expected):
                settings.read_configuration_files([base, mine])
        with pytest.raises(InputError, match=r"^study.site: not set"):
            settings.check_study_keys({"source": {"kind": kind}}, below=base)
        mine.write_text(json.dumps({"study": study, "source": {"kind": kind}}))
        assert settings.read_configuration_files([base, mine])["study"] == study | {
            "clusters": "all"
        }
        settings.check_study_keys({"source": {"kind": kind}}, below=tmp_path / "none.yaml")
    # a study of the simulated site may be changed in part, as may a study of another source
    settings.check_study_keys({"source": {"seed": 5}}, below=base)
    settings.check_study_keys({"source": None, "study": None}, below=base)
    mine.write_text(json.dumps({"source": {"kind": "exports", "directory": "b"}}))
    base.write_text(json.dumps({"study": study, "source": {"kind": "exports", "directory": "a"}}))
    assert settings.read_configuration_files([base, mine])["source"]["directory"] == "b"


def test_keys_of_a_simulated_study_override_the_defaults_of_the_site() -> None:
    config = prepared_configuration(SHIPPED | {"labels": {"files": []}, "levels": {"users": "all"}})
    assert (config["labels"]["files"], config["levels"]["users"]) == ([], "all")
    assert config["download"]["devices"] == SHIPPED["simulated"]["devices"]


def test_missing_label_file_of_the_simulated_site_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert configuration_error(SHIPPED).startswith(
        f"labels.files: there is no file {SHIPPED_LABELS}"
    )


def test_prepared_configuration_is_unchanged_by_a_second_pass() -> None:
    raw = {"study": dict(STUDY), "integration": {"calibration": {"gros": {"slope": 1.1}}}}
    before = copy.deepcopy(raw)
    once = prepared_configuration(raw)
    assert raw == before
    assert prepared_configuration(once) == once
    assert json.loads(json.dumps(once)) == once
    assert once["integration"]["calibration"]["gros"] == {
        "slope": 1.1,
        "offset": 0,
        "slope_error": 0,
        "offset_error": 0,
        "covariance": None,
        "residual_w": None,
        "mean_reading_w": None,
    }


def test_section_with_all_lines_commented_out_has_its_defaults() -> None:
    assert prepared_configuration({"study": STUDY, "levels": None}) == prepared_configuration(
        {"study": STUDY}
    )


@pytest.mark.parametrize("start", [date(2025, 3, 3), "2025-03-03"])
def test_day_as_date_or_text_becomes_a_text(start: date | str) -> None:
    config = prepared_configuration(configuration_with_key("study.start", start))
    assert config["study"]["start"] == "2025-03-03"


def test_defaults_of_the_schema_match_the_simulated_site() -> None:
    source = yaml.safe_load(SCHEMA.read_text())["properties"]["source"]["properties"]
    assert source["seed"]["default"] == DEFAULT_SEED
    assert source["jobs"]["default"] == DEFAULT_JOBS
    assert source["mix"]["propertyNames"]["enum"] == list(DEFAULT_MIX)


def test_home_folder_replaces_the_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "labels.yaml").touch()
    config = prepared_configuration(configuration_with_key("labels.files", ["~/labels.yaml"]))
    assert config["labels"]["files"] == [str(tmp_path / "labels.yaml")]
    config = prepared_configuration(exports_configuration(Path("~")))
    assert config["source"]["directory"] == str(tmp_path)


def test_select_clusters_returns_the_configured_or_all_clusters() -> None:
    config = prepared_configuration({"study": STUDY})
    assert settings.select_clusters(config, ["grue", "gros"]) == ["gros", "grue"]
    config = prepared_configuration(configuration_with_key("study.clusters", ["grue", "graffiti"]))
    assert settings.select_clusters(config, {"gros", "grue", "graffiti"}) == ["graffiti", "grue"]


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
def test_select_clusters_refuses_unknown_clusters(path: str, value: Any, expected: str) -> None:
    config = prepared_configuration(configuration_with_key(path, value))
    with pytest.raises(InputError, match=re.escape(expected)):
        settings.select_clusters(config, ["gros", "graffiti"])


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


def test_prepare_configuration_imports_neither_polars_nor_web_grammars() -> None:
    study = {"site": "nancy", "start": "2025-03-03", "end": "2025-04-28"}
    code = (
        "import sys; from footprint.config import settings; "
        f"settings.prepare_configuration({{'study': {study}}}); "
        "print([name for name in ('polars', 'lark', 'rfc3987_syntax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_numbers_and_truth_values_as_texts_are_converted() -> None:
    for path, text, value in (
        ("integration.max_gap_s", "12.5", 12.5),
        ("source.jobs", "40", 40),
        ("source.jobs_complete", "False", False),
    ):
        section, key = path.split(".")
        found = prepared_configuration(configuration_with_key(path, text))[section][key]
        assert found == value
        assert type(found) is type(value)
    with pytest.raises(InputError, match=r"source\.jobs_complete"):
        prepared_configuration(configuration_with_key("source.jobs_complete", "perhaps"))


def test_hardware_section_is_completed_and_checked() -> None:
    given = {"cpus": {"Intel Xeon E5-2630": {"tdp_w": 95}}, "nodes": {"nova": {"memory_gb": 64}}}
    config = prepared_configuration({"study": STUDY, "hardware": given})
    assert config["hardware"] == {
        "cpus": {"Intel Xeon E5-2630": {"tdp_w": 95, "source": None}},
        "gpus": {},
        "nodes": {"nova": {"cpu_model": None, "memory_gb": 64, "gpu_power_limit_w": None}},
    }
    for section, entry, expected in (
        ("cpus", {"tdp": 95}, "hardware.cpus.X.tdp: unknown key"),
        ("cpus", {}, "hardware.cpus.X.tdp_w: missing; set it to a number above 0"),
        ("cpus", {"tdp_w": 0}, "hardware.cpus.X.tdp_w: 0 cannot be used"),
        ("gpus", {"power_limit_w": "much"}, "hardware.gpus.X.power_limit_w: "),
        ("nodes", {"memory": 1}, "hardware.nodes.X.memory: unknown key"),
    ):
        found = configuration_error({"study": STUDY, "hardware": {section: {"X": entry}}})
        assert found.startswith(expected)


LAUGHS = "\n".join(
    [
        "a0: &a0 {x: 1}",
        *(
            f"a{n}: &a{n} {{{', '.join(f'k{k}: *a{n - 1}' for k in range(10))}}}"
            for n in range(1, 8)
        ),
    ]
)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cores", "2", "--configfile", "laughs.yaml"],
        ["--configfile=laughs.yaml", "-n"],
        ["--configfiles", "good.yaml", "laughs.yaml", "--cores", "2"],
        ["--configf", "good.yaml", "--configfile", "laughs.yaml"],
    ],
)
def test_check_given_files_refuses_aliases_that_multiply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "laughs.yaml").write_text(LAUGHS)
    (tmp_path / "good.yaml").write_text("study: &s {site: nancy}\nother: *s\n")
    with pytest.raises(InputError, match=r"laughs\.yaml: its aliases stand for more than 200000"):
        settings.check_given_files(arguments)


def test_check_given_files_accepts_what_has_no_such_aliases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "laughs.yaml").write_text(LAUGHS)
    (tmp_path / "tabs.json").write_text('{"study": {\n\t"site": "nancy"}}')
    settings.check_given_files(["--cores", "2", "laughs.yaml", "--configfile", "tabs.json", "-n"])
    settings.check_given_files(["--config", "laughs.yaml", "--configfile", "missing.yaml"])


@pytest.mark.parametrize(
    ("power", "given", "method", "metric"),
    [
        ("watts", {}, "trapezoid", "node_power_watt"),
        ("counter", {}, "counter", "node_counter_watt"),
        ("watts", {"metric": "wattmetre_power_watt"}, "trapezoid", "wattmetre_power_watt"),
    ],
)
def test_generic_source_has_defaults_of_its_own(
    tmp_path: Path, power: str, given: dict[str, str], method: str, metric: str
) -> None:
    config = settings.prepare_configuration(
        {
            "study": {"site": "here", "start": "2025-03-03", "end": "2025-03-04"},
            "source": {"kind": "generic", "directory": str(tmp_path), "power": power},
            "integration": given,
        }
    )
    assert config["integration"]["method"] == method
    assert config["integration"]["metric"] == metric
    assert config["source"]["node_pattern"] == node_names.GENERIC_PATTERN


def test_generic_source_counters_need_their_method(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"integration.method: `trapezoid` is for samples"):
        settings.prepare_configuration(
            {
                "study": {"site": "here", "start": "2025-03-03", "end": "2025-03-04"},
                "source": {"kind": "generic", "directory": str(tmp_path), "power": "counter"},
                "integration": {"method": "trapezoid"},
            }
        )
