"""The configuration: checked once, before anything runs, with one line for each mistake.

The schema (workflow/schemas/config.schema.yaml) says which keys there are, what they take and their
defaults; what a schema cannot say is checked here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from footprint import addresses, kwollect_metrics, node_names, schema
from footprint.errors import InputError

SCHEMA = Path(__file__).parents[2] / "schemas/config.schema.yaml"


FIRST_DAY_OF_SERVICES = "2020-01-01"
"""Kwollect has readings since March 2020. Descriptions before November 2019 lack `nb_procs` and
`cpu_core_numbering`, and the Reference API hangs for 300 s on a `timestamp` before 2009-01-28."""

SIMULATED_METRIC = "bmc_node_power_watt"
SIMULATED_SERIES = ("prom_DCGM_FI_DEV_POWER_USAGE", "prom_node_load1")


def check_readable(path: str | Path) -> None:
    """Refuse a configuration file that is not YAML, or has an impossible day, in one line.

    Snakemake reads the file itself, and answers such a mistake with a traceback. A file that is not
    there is no mistake: all may come with `--configfile`.

    Raises:
        InputError: The file cannot be read as YAML.
    """
    if not Path(path).is_file():
        return
    do = "mend the file; days are written as 2025-03-03"
    try:
        yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"not YAML ({error.problem})", where=f"{path}{line}", do=do) from None
    except ValueError as error:
        raise InputError(str(error), where=str(path), do=do) from None


def read(paths: Sequence[str | Path]) -> dict[str, Any]:
    """Configuration files as Snakemake merges them: later ones override keys of earlier ones.

    Raises:
        InputError: A file is missing or is not YAML, or see `check_study`.
    """
    merged: dict[str, Any] = {}
    given: dict[str, Any] = {}
    for number, path in enumerate(paths):
        if not Path(path).is_file():
            raise InputError("there is no such file", where=str(path), do="mend the path")
        check_readable(path)
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        given = _merge(given, content) if number else {}
        merged = _merge(merged, content)
    if len(paths) > 1:
        check_study(given, below=paths[0])
    return merged


def check_study(given: Mapping[str, Any], *, below: str | Path) -> None:
    """Refuse another source than the simulated site with the days and the site of that one.

    Where `config.yaml` describes a study of the simulated site, what is laid over it and names
    another source must say itself what is studied.

    Args:
        given: What `--configfile` and `--config` say.
        below: The file that they override, `config.yaml`; it may be missing.

    Raises:
        InputError: The first of `study.site`, `study.start` and `study.end` that is not given.
    """
    read_below = yaml.safe_load(Path(below).read_text("utf-8")) if Path(below).is_file() else {}
    kind = _section(given, "source").get("kind", "simulated")
    if kind == "simulated" or _section(read_below, "source").get("kind") != "simulated":
        return
    for key in _section(read_below, "study"):
        if key != "clusters" and key not in _section(given, "study"):
            what = f"not given for source.kind `{kind}`; {below} has that of the simulated site"
            raise InputError(what, where=f"study.{key}", do=f"give study.{key}")


def _section(config: Any, name: str) -> Mapping[str, Any]:
    """A section of a configuration as it is written; empty where it is none."""
    found = config.get(name) if isinstance(config, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


_PATHS = (
    ("source", "recorded", ("folder",)),
    ("validation", "directory", ("folder",)),
    ("epoch", "file", ("file",)),
    ("carbon", "eco2mix", ("file",)),
    ("usage", "history", ("file", "folder")),
    ("usage", "statistics", ("file",)),
)
"""Keys that may name a path, and of what."""


def load(raw: Mapping[str, Any], *, schema_path: str | Path = SCHEMA) -> dict[str, Any]:
    """A configuration as the pipeline uses it: complete, checked, and made of plain JSON values.

    Defaults are filled in, days are texts such as `2025-03-03` however YAML read them, and `~` in
    paths is the home folder.

    Args:
        raw: What Snakemake read and merged: config.yaml, `--configfile` and `--config`.
        schema_path: JSON schema of the configuration, as YAML.

    Raises:
        InputError: The first mistake: its key, its value and what to write instead.
    """
    shape = schema.read(schema_path)
    config = _with_site_defaults(_plain(raw), shape)
    _check_window(config["study"])
    addresses.check_service(config["source"]["url"])
    if config["source"]["oar_database"] is not None:
        addresses.check_database(config["source"]["oar_database"])
    node_names.check_pattern(config["source"]["node_pattern"], where="source.node_pattern")
    _check_effects(config, shape)
    _CHECKS[config["source"]["kind"]](config)
    kwollect_metrics.check_power(config["integration"]["metric"])
    _check_gate(config["source"], config["integration"])
    _check_powers(config["integration"])
    _check_labels(config["labels"])
    _check_estimators(config["estimators"])
    _check_thresholds(config["phases"]["thresholds"])
    _check_factors(config["carbon"]["factors"])
    for section, key, of in _PATHS:
        _check_path(config[section], key, where=f"{section}.{key}", of=of)
    if config["privacy"]["key"] is not None:
        config["privacy"]["key"] = str(Path(config["privacy"]["key"]).expanduser())
    return config


_SITE_DEFAULTS = (
    ("devices", "download", "devices"),
    ("labels", "labels", "files"),
    ("users", "levels", "users"),
)
"""Keys of `simulated`, and the section and key whose default each is."""


def _with_site_defaults(raw: dict[str, Any], shape: Mapping[str, Any]) -> dict[str, Any]:
    """The completed configuration; `simulated` fills keys of that source and is then removed."""
    config = schema.complete(raw, schema=shape)
    defaults = config.pop("simulated")
    if config["source"]["kind"] == "simulated":
        for name, section, key in _SITE_DEFAULTS:
            if key not in (raw.get(section) or {}):
                config[section][key] = defaults[name]
    return config


# `footprint serve` takes the simulated site from the configuration of a study that asks it
_SERVED = ("simulated", "grid5000")
_SOURCES_OF_KEY = {
    "source.directory": ("exports",),
    "source.credentials": ("grid5000",),
    "source.ca_bundle": ("grid5000",),
    "source.states": ("grid5000",),
    "source.oar_database": ("grid5000",),
    "source.seed": _SERVED,
    "source.nodes": _SERVED,
    "source.jobs": _SERVED,
    "source.mix": _SERVED,
    "download.devices": ("simulated", "grid5000"),
}
"""Kinds of source that a key has an effect on; keys that are not listed concern all of them."""


def _check_effects(config: Mapping[str, Any], shape: Mapping[str, Any]) -> None:
    """Refuse a key that differs from its default and has no effect on this kind of source."""
    kind = config["source"]["kind"]
    for where, kinds in _SOURCES_OF_KEY.items():
        section, key = where.split(".")
        default = shape["properties"][section]["properties"][key]["default"]
        if kind not in kinds and config[section][key] != default:
            raise InputError(
                f"the key has no effect where source.kind is `{kind}`",
                where=where,
                do=f"remove it; it is for {' and '.join(f'`{each}`' for each in kinds)}",
            )


def clusters(config: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """Clusters of the study, sorted: those that `study.clusters` names, or all that are known.

    Args:
        config: A loaded configuration.
        known: Clusters that the source describes.

    Raises:
        InputError: A cluster that the source does not describe, here or under `integration`.
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
                    do=schema.nearest(name, known) or f"choose among {', '.join(sorted(known))}",
                )
    return sorted(known if wanted == "all" else wanted)


def _check_window(study: Mapping[str, Any]) -> None:
    if study["end"] <= study["start"]:
        raise InputError(
            f"{study['end']} is not after study.start ({study['start']})",
            where="study.end",
            do="give the day after the last day of the study",
        )


def _check_exports(config: dict[str, Any]) -> None:
    source, where = config["source"], "source.directory"
    if source["directory"] is None:
        raise InputError("missing", where=where, do="name the folder that holds the exports")
    folder = Path(source["directory"]).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {source['directory']}",
            where=where,
            do=f"give its full path, or its path from {Path.cwd().name}/",
        )
    source["directory"] = str(folder)


def _check_simulated(config: dict[str, Any]) -> None:
    asked: list[tuple[str, str, tuple[str, ...]]] = [
        ("integration.metric", config["integration"]["metric"], (SIMULATED_METRIC,))
    ]
    asked += [
        ("download.devices", name, SIMULATED_SERIES) for name in config["download"]["devices"]
    ]
    for where, name, known in asked:
        if name not in known:
            choices = " or ".join(f"`{each}`" for each in known)
            raise InputError(
                f"the simulated site has no {name}", where=where, do=f"choose {choices}"
            )


def _check_grid5000(config: dict[str, Any]) -> None:
    source, today = config["source"], datetime.now(UTC).date().isoformat()
    if config["study"]["start"] < FIRST_DAY_OF_SERVICES:
        raise InputError(
            f"{config['study']['start']} is before {FIRST_DAY_OF_SERVICES}: the services of "
            "Grid'5000 have no power before March 2020 and incomplete descriptions of nodes before "
            "November 2019",
            where="study.start",
            do=f"choose {FIRST_DAY_OF_SERVICES} or a day after, or use `source: {{kind: exports}}`",
        )
    if config["study"]["end"] > today:
        raise InputError(
            f"{config['study']['end']} is after today ({today}, UTC): what is still to come cannot "
            "be downloaded",
            where="study.end",
            do=f"choose {today} or a day before",
        )
    on_api = str(source["states"]).startswith("/sites/")
    for key in ("credentials", "ca_bundle", *([] if on_api else ["states"])):
        if source[key] is not None:
            path = Path(source[key]).expanduser()
            if not path.is_file():
                raise InputError(
                    f"there is no file {source[key]}", where=f"source.{key}", do="mend the path"
                )
            source[key] = str(path)


_CHECKS = {
    "exports": _check_exports,
    "simulated": _check_simulated,
    "grid5000": _check_grid5000,
}


def _check_gate(source: Mapping[str, Any], integration: Mapping[str, Any]) -> None:
    if integration["gate"] == "active" and not source["jobs_complete"]:
        raise InputError(
            "`active` shares a node among all jobs on it, and source.jobs_complete says that some "
            "are not known",
            where="integration.gate",
            do="choose `reserved`",
        )


def _check_powers(integration: Mapping[str, Any]) -> None:
    for cluster, idle_w in integration["idle_power"].items():
        where = f"integration.idle_power.{cluster}"
        if idle_w <= integration["off_threshold_w"]:
            raise InputError(
                f"{idle_w} W is not above integration.off_threshold_w "
                f"({integration['off_threshold_w']} W), below which a node is in standby",
                where=where,
                do="raise it or lower the threshold",
            )
        max_w = integration["max_power"].get(cluster, math.inf)
        if idle_w >= max_w:
            raise InputError(
                f"{idle_w} W is not below integration.max_power.{cluster} ({max_w} W)",
                where=where,
                do="mend one of the two",
            )


def _check_labels(labels: dict[str, Any]) -> None:
    paths = [Path(each).expanduser() for each in labels["files"]]
    for path, written in zip(paths, labels["files"], strict=True):
        if not path.is_file():
            raise InputError(
                f"there is no file {written}", where="labels.files", do="mend the path or remove it"
            )
    labels["files"] = [str(path) for path in paths]
    folders = [Path(each).expanduser() for each in labels["ledgers"]]
    for folder, written in zip(folders, labels["ledgers"], strict=True):
        if not folder.is_dir():
            raise InputError(
                f"there is no folder {written}",
                where="labels.ledgers",
                do="mend the path or remove it",
            )
    labels["ledgers"] = [str(folder) for folder in folders]


def _check_estimators(names: Sequence[str] | str) -> None:
    if names != "all":
        # which there are is known to the modules of their own, and Polars takes its time to load
        from footprint.estimators import registry

        registry.chosen(list(names))


def _check_thresholds(thresholds: Mapping[str, float]) -> None:
    if thresholds:
        from footprint.phases.rules import Thresholds

        Thresholds.from_config(thresholds)


def _check_factors(factors: Sequence[Mapping[str, Any]]) -> None:
    names = [factor["name"] for factor in factors]
    # rows of the table that no factor makes have names as well
    taken = [name for name in names if names.count(name) > 1 or name in ("eco2mix", "embodied")]
    if taken:
        where, do = "carbon.factors", "give each factor its own"
        raise InputError(f"the name `{taken[0]}` is taken", where=where, do=do)


def _check_path(section: dict[str, Any], key: str, *, where: str, of: tuple[str, ...]) -> None:
    """A path that is given is one of a file or a folder, and `~` in it is the home folder."""
    if section[key] is not None:
        path = Path(section[key]).expanduser()
        if not ("file" in of and path.is_file()) and not ("folder" in of and path.is_dir()):
            what = f"there is no {of[0]} {section[key]}"
            raise InputError(what, where=where, do="mend the path")
        section[key] = str(path)


def _plain(value: Any, path: str = "") -> Any:
    """The value made of dict, list, text, number, boolean and None alone."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InputError(
                    f"the key {key!r} is not a text", where=path or "configuration", do="quote it"
                )
        return {key: _plain(each, schema.below(path, key)) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(each, path) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{value} is not a number", where=path, do="give a finite number")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
