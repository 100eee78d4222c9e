"""The configuration of a study: read, completed with defaults, and checked before anything runs.

The schema (workflow/schemas/config.schema.yaml) defines the keys, their values and defaults.
`footprint.config.checks` has the conditions that a schema cannot express. Each error is one line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from footprint.config import checks
from footprint.core import input_files, json_schema, yaml_text
from footprint.core.errors import InputError
from footprint.sources.node_names import GENERIC_PATTERN

LARGEST_MB = 1
"""Size in MB of the largest configuration file."""

CONFIGURATION_ADVICE = "fix the file; days are written as 2025-03-03"

SCHEMA_PATH = Path(__file__).parents[3] / "schemas/config.schema.yaml"


def check_readable(path: str | Path) -> None:
    """Refuse a configuration file that is not YAML or contains an impossible day, in one line.

    Snakemake itself would answer with a traceback. A missing file is accepted, since all keys may
    come from `--configfile`.

    Raises:
        InputError: The file cannot be read as YAML.
    """
    if not Path(path).is_file():
        return
    _read_configuration(path)


def check_given_files(arguments: Sequence[str]) -> None:
    """Refuse a file of `--configfile` of which aliases multiply or contain themselves.

    Snakemake copies each mapping for each of its aliases before it reads the Snakefile. The profile
    profiles/default calls this check before that. A missing file, or one of JSON, which has no
    aliases, is left to Snakemake.

    Args:
        arguments: Arguments of Snakemake.

    Raises:
        InputError: See `yaml_text.compose_yaml`, or a file cannot be read.
    """
    for path in filter(Path.is_file, map(Path, _given_files(arguments))):
        text = input_files.read_text(path, most_mb=LARGEST_MB)
        if not _is_json(text):
            yaml_text.compose_yaml(text, where=str(path), do=CONFIGURATION_ADVICE)


def _given_files(arguments: Sequence[str]) -> Iterator[str]:
    """Values of `--configfile` and `--configfiles`, which take all words up to the next option."""
    is_open = False
    for word in arguments:
        if word.startswith("-"):
            name, has_value, value = word.partition("=")
            # argparse also takes shorter forms, as far as no other option begins like them
            is_open = "--configfiles".startswith(name) and name.startswith("--configf")
            if is_open and has_value:
                yield value
        elif is_open:
            yield word


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _read_configuration(path: str | Path) -> dict[str, Any]:
    """Content of a configuration file; empty for an empty file."""
    text = input_files.read_text(Path(path), most_mb=LARGEST_MB)
    content = yaml_text.load_yaml(text, where=str(path), do=CONFIGURATION_ADVICE)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError("not a mapping of sections", where=str(path), do=CONFIGURATION_ADVICE)
    return content


def read_configuration_files(paths: Sequence[str | Path]) -> dict[str, Any]:
    """Read configuration files and merge them like Snakemake: later files override earlier ones.

    Raises:
        InputError: A file is missing or is not YAML, or see `check_study_keys`.
    """
    merged: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    for number, path in enumerate(paths):
        if not Path(path).is_file():
            raise InputError("there is no such file", where=str(path), do="fix the path")
        content = _read_configuration(path)
        overrides = _merge(overrides, content) if number else {}
        merged = _merge(merged, content)
    if len(paths) > 1:
        check_study_keys(overrides, below=paths[0])
    return merged


def check_study_keys(given: Mapping[str, Any], *, below: str | Path) -> None:
    """Refuse another source combined with the site and days of the simulated study.

    If `config.yaml` describes a study of the simulated site, overrides with another source must
    also set the site and the days.

    Args:
        given: Content of `--configfile` and `--config`.
        below: The file that they override, `config.yaml`; it may be missing.

    Raises:
        InputError: `study.site`, `study.start` or `study.end` is not set; the first is named.
    """
    base = _read_configuration(below) if Path(below).is_file() else {}
    kind = _section(given, "source").get("kind", "simulated")
    if kind == "simulated" or _section(base, "source").get("kind") != "simulated":
        return
    for key in _section(base, "study"):
        if key != "clusters" and key not in _section(given, "study"):
            what = f"not set for source.kind `{kind}`; {below} has the value of the simulated site"
            raise InputError(what, where=f"study.{key}", do=f"set study.{key}")


def _section(config: Any, name: str) -> Mapping[str, Any]:
    """A section of an unchecked configuration; empty if it is missing or is not a mapping."""
    found = config.get(name) if isinstance(config, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        are_mappings = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if are_mappings else value
    return merged


def prepare_configuration(
    raw: Mapping[str, Any], *, schema_path: str | Path = SCHEMA_PATH
) -> dict[str, Any]:
    """Return the configuration as the pipeline uses it: complete, checked, of plain JSON values.

    Defaults are filled in, days become texts such as `2025-03-03`, and `~` in paths is replaced by
    the home folder.

    Args:
        raw: Configuration as merged by Snakemake: config.yaml, `--configfile` and `--config`.
        schema_path: JSON schema of the configuration, as YAML.

    Raises:
        InputError: A value is not allowed; the message has the key, the value and the fix.
    """
    shape = json_schema.read_schema(schema_path)
    config = _with_site_defaults(_plain(raw), shape)
    checks.check_values(config, shape)
    return config


_SITE_DEFAULTS = (
    ("devices", "download", "devices"),
    ("labels", "labels", "files"),
    ("users", "levels", "users"),
)
"""Keys of `simulated`, and the section and key of which each is the default."""


_GENERIC_DEFAULTS: dict[str, dict[tuple[str, str], str]] = {
    "watts": {
        ("source", "node_pattern"): GENERIC_PATTERN,
        ("integration", "metric"): "node_power_watt",
    },
    "counter": {
        ("source", "node_pattern"): GENERIC_PATTERN,
        ("integration", "metric"): "node_counter_watt",
        ("integration", "method"): "counter",
    },
}
"""Defaults of the source `generic` by `source.power`, by section and key."""


def _with_site_defaults(raw: dict[str, Any], shape: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with all defaults, also those that depend on the kind of source.

    `simulated` is applied to that source and removed.
    """
    config = json_schema.complete_configuration(raw, schema=shape)
    defaults = config.pop("simulated")
    if config["source"]["kind"] == "simulated":
        for name, section, key in _SITE_DEFAULTS:
            if key not in (raw.get(section) or {}):
                config[section][key] = defaults[name]
    if config["source"]["kind"] == "generic":
        kind = "counter" if config["source"]["power"] == "counter" else "watts"
        for (section, key), value in _GENERIC_DEFAULTS[kind].items():
            if key not in (raw.get(section) or {}):
                config[section][key] = value
    return config


def select_clusters(config: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """Return the clusters of the study, sorted: those in `study.clusters`, or all of the source.

    Args:
        config: A configuration as `prepare_configuration` returns it.
        known: Clusters described by the source.

    Raises:
        InputError: `study.clusters` or `integration` names a cluster that the source does not
            describe.
    """
    wanted = config["study"]["clusters"]
    named = [("study.clusters", [] if wanted == "all" else wanted)]
    for key in ("idle_power", "max_power", "calibration"):
        named.append((f"integration.{key}", config["integration"][key]))
    for key, names in named:
        for name in names:
            if name not in known:
                raise InputError(
                    f"the source describes no cluster `{name}`",
                    where=key,
                    do=json_schema.spelling_hint(name, known)
                    or f"choose among {', '.join(sorted(known))}",
                )
    return sorted(known if wanted == "all" else wanted)


def _plain(value: Any, path: str = "") -> Any:
    """The value made of dict, list, text, number, boolean and None alone."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InputError(
                    f"the key {key!r} is not a text",
                    where=path or "configuration",
                    do="set it in quotes",
                )
        return {key: _plain(each, json_schema.key_path(path, key)) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(each, path) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{value} is not a number", where=path, do="set it to a finite number")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
