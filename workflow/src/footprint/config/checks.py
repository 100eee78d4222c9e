"""Conditions on the values of a configuration that its JSON schema cannot express."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from footprint.core import addresses, calendar, limits
from footprint.core.errors import InputError
from footprint.sources import files, node_names
from footprint.sources.kwollect import metrics
from footprint.sources.kwollect.metrics import SIMULATED_METRIC, SIMULATED_SERIES
from footprint.totals import meter_error

FIRST_DAY_OF_SERVICES = "2020-01-01"
"""Kwollect has readings since March 2020. Descriptions before November 2019 lack `nb_procs` and
`cpu_core_numbering`, and the Reference API hangs for 300 s on a `timestamp` before 2009-01-28."""

FIRST_DAY, LAST_DAY = "2000-01-01", "2100-01-01"
"""Bounds of the days of a study, as of the times of readings and jobs."""

DAYS_PER_YEAR = 366

_PATHS = (
    ("source", "recorded", ("folder",)),
    ("validation", "directory", ("folder",)),
    ("usage", "history", ("file", "folder")),
    ("usage", "statistics", ("file",)),
)
"""Keys that may contain a path, and what may be there."""


def check_values(config: dict[str, Any], shape: Mapping[str, Any]) -> None:
    """Check the values of a configuration, and replace `~` in its paths by the home folder.

    Args:
        config: Configuration with all defaults, which matches the schema; its paths are changed.
        shape: JSON schema of the configuration, without references.

    Raises:
        InputError: A value is not allowed; the message has the key, the value and the fix.
    """
    _check_window(config["study"], config["limits"]["study_years"])
    _check_clusters(config)
    addresses.check_service_address(config["source"]["url"])
    if config["source"]["oar_database"] is not None:
        addresses.check_database_address(config["source"]["oar_database"])
    node_names.check_pattern(config["source"]["node_pattern"], where="source.node_pattern")
    _check_effects(config, shape)
    _SOURCE_CHECKS[config["source"]["kind"]](config)
    if config["integration"]["method"] == "counter" and config["source"]["power"] != "counter":
        what, do = "`counter` is for source.power `counter`", "set it to `trapezoid`"
        raise InputError(what, where="integration.method", do=do)
    metrics.check_power_metric(config["integration"]["metric"])
    _check_gate(config["source"], config["integration"])
    _check_powers(config["integration"])
    _check_meters(config["integration"])
    _check_labels(config["labels"])
    _check_estimators(config["estimators"])
    _check_thresholds(config["phases"]["thresholds"])
    _check_factors(config["carbon"]["factors"])
    _check_intensities(config["carbon"])
    _check_model_list(config["epoch"])
    for section, key, of in _PATHS:
        _check_path(config[section], key, where=f"{section}.{key}", of=of)
    if config["privacy"]["key"] is not None:
        config["privacy"]["key"] = str(Path(config["privacy"]["key"]).expanduser())


# `footprint serve` takes the simulated site from the configuration of a study that downloads it
_SERVED = ("simulated", "grid5000")
_SOURCES_OF_KEY = {
    "source.directory": ("exports", "generic"),
    "source.power": ("generic",),
    "source.credentials": ("grid5000",),
    "source.ca_bundle": ("grid5000",),
    "source.states": ("grid5000",),
    "source.oar_database": ("grid5000",),
    "source.seed": _SERVED,
    "source.nodes": _SERVED,
    "source.jobs": _SERVED,
    "source.mix": _SERVED,
    "source.habits": _SERVED,
    "source.habit_share": _SERVED,
    "source.meter": _SERVED,
    "source.without_meters": _SERVED,
    "source.without_series": _SERVED,
    "download.devices": ("simulated", "grid5000"),
}
"""Kinds of source on which a key has an effect; keys that are not listed apply to all of them."""


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


def _check_window(study: Mapping[str, Any], study_years: float) -> None:
    if study["end"] <= study["start"]:
        raise InputError(
            f"{study['end']} is not after study.start ({study['start']})",
            where="study.end",
            do="set it to the day after the last day of the study",
        )
    for key in ("start", "end"):
        if not FIRST_DAY <= study[key] <= LAST_DAY:
            raise InputError(
                f"{study[key]} is not from {FIRST_DAY} to {LAST_DAY}",
                where=f"study.{key}",
                do="fix the year",
            )
    first, end = calendar.study_window(study["start"], study["end"])
    if (end - first).days > study_years * DAYS_PER_YEAR:
        raise InputError(
            f"{study['start']} to {study['end']} is longer than {study_years:g} years",
            where="study.end",
            do=limits.raise_advice("study_years"),
        )


def _check_clusters(config: Mapping[str, Any]) -> None:
    """Refuse names of clusters that cannot be names of files."""
    wanted = config["study"]["clusters"]
    named = {"study.clusters": [] if wanted == "all" else wanted}
    for key in ("idle_power", "max_power", "calibration"):
        named[f"integration.{key}"] = list(config["integration"][key])
    for where, names in named.items():
        for name in names:
            if not node_names.CLUSTER_NAME.fullmatch(name):
                do = node_names.CLUSTER_NAME_RULE
                raise InputError(f"`{name:.60}` is no name of a cluster", where=where, do=do)


def _check_exports(config: dict[str, Any]) -> None:
    _check_directory(config["source"], of="the exports")


def _check_generic(config: dict[str, Any]) -> None:
    source, method = config["source"], config["integration"]["method"]
    _check_directory(source, of="the tables")
    if source["power"] == "counter" and method != "counter":
        what = f"`{method}` is for samples of power, and source.power is `counter`"
        raise InputError(what, where="integration.method", do="remove it")


def _check_directory(source: dict[str, Any], *, of: str) -> None:
    where = "source.directory"
    if source["directory"] is None:
        raise InputError("missing", where=where, do=f"set it to the folder of {of}")
    folder = Path(source["directory"]).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {source['directory']}",
            where=where,
            do=f"set its full path, or its path from {Path.cwd().name}/",
        )
    source["directory"] = str(folder)


def _check_simulated(config: dict[str, Any]) -> None:
    wanted: list[tuple[str, str, tuple[str, ...]]] = [
        ("integration.metric", config["integration"]["metric"], (SIMULATED_METRIC,))
    ]
    wanted += [
        ("download.devices", name, SIMULATED_SERIES) for name in config["download"]["devices"]
    ]
    for where, name, known in wanted:
        if name not in known:
            choices = " or ".join(f"`{each}`" for each in known)
            raise InputError(
                f"the simulated site has no {name}", where=where, do=f"set it to {choices}"
            )


def _check_grid5000(config: dict[str, Any]) -> None:
    source, today = config["source"], datetime.now(UTC).date().isoformat()
    if config["study"]["start"] < FIRST_DAY_OF_SERVICES:
        raise InputError(
            f"{config['study']['start']} is before {FIRST_DAY_OF_SERVICES}: the services of "
            "Grid'5000 have no power before March 2020 and incomplete descriptions of nodes before "
            "November 2019",
            where="study.start",
            do=f"set it to {FIRST_DAY_OF_SERVICES} or later, or set `source: {{kind: exports}}`",
        )
    if config["study"]["end"] > today:
        raise InputError(
            f"{config['study']['end']} is after today ({today}, UTC): later days cannot be "
            "downloaded yet",
            where="study.end",
            do=f"set it to {today} or earlier",
        )
    is_path_of_api = str(source["states"]).startswith("/sites/")
    for key in ("credentials", "ca_bundle", *([] if is_path_of_api else ["states"])):
        if source[key] is not None:
            path = Path(source[key]).expanduser()
            if not path.is_file():
                raise InputError(
                    f"there is no file {source[key]}", where=f"source.{key}", do="fix the path"
                )
            source[key] = str(path)


_SOURCE_CHECKS = {
    "exports": _check_exports,
    "generic": _check_generic,
    "simulated": _check_simulated,
    "grid5000": _check_grid5000,
}


def _check_gate(source: Mapping[str, Any], integration: Mapping[str, Any]) -> None:
    if integration["gate"] == "active" and not source["jobs_complete"]:
        raise InputError(
            "`active` divides a node among all its jobs, and source.jobs_complete is false: some "
            "jobs are unknown",
            where="integration.gate",
            do="set it to `reserved`",
        )


def _check_powers(integration: Mapping[str, Any]) -> None:
    for cluster, idle_w in integration["idle_power"].items():
        where = f"integration.idle_power.{cluster}"
        if idle_w <= integration["off_threshold_w"]:
            raise InputError(
                f"{idle_w} W is not above integration.off_threshold_w "
                f"({integration['off_threshold_w']} W), below which a node is in standby",
                where=where,
                do="set a higher idle power or a lower threshold",
            )
        max_w = integration["max_power"].get(cluster, math.inf)
        if idle_w >= max_w:
            raise InputError(
                f"{idle_w} W is not below integration.max_power.{cluster} ({max_w} W)",
                where=where,
                do="fix one of the two",
            )


def _check_meters(integration: Mapping[str, Any]) -> None:
    """Check that the interval of the meters' gains is not empty."""
    usual = meter_error.default_interval(str(integration["metric"]))
    given = integration["meter"]
    low = usual.low if given["low"] is None else given["low"]
    high = usual.high if given["high"] is None else given["high"]
    if low > high:
        raise InputError(
            f"the lowest gain, {low:g}, is above the highest, {high:g}",
            where="integration.meter",
            do="set low and high to the range of true power over reading, as 0.95 and 1.15",
        )


def _check_labels(labels: dict[str, Any]) -> None:
    paths = [Path(each).expanduser() for each in labels["files"]]
    for path, written in zip(paths, labels["files"], strict=True):
        if not path.is_file():
            raise InputError(
                f"there is no file {written}", where="labels.files", do="fix the path or remove it"
            )
    labels["files"] = [str(path) for path in paths]
    folders = [Path(each).expanduser() for each in labels["ledgers"]]
    for folder, written in zip(folders, labels["ledgers"], strict=True):
        if not folder.is_dir():
            raise InputError(
                f"there is no folder {written}",
                where="labels.ledgers",
                do="fix the path or remove it",
            )
    labels["ledgers"] = [str(folder) for folder in folders]


def _check_estimators(names: Sequence[str] | str) -> None:
    if names != "all":
        # imported here: the registry needs Polars, which slows down each start of Snakemake
        from footprint.estimators import registry

        registry.select_estimators(list(names))


def _check_thresholds(thresholds: Mapping[str, float]) -> None:
    if thresholds:
        from footprint.phases.thresholds import Thresholds

        Thresholds.from_config(thresholds)


def _check_factors(factors: Sequence[Mapping[str, Any]]) -> None:
    names = [factor["name"] for factor in factors]
    # the table has rows of these two names that do not come from a factor
    taken = [name for name in names if names.count(name) > 1 or name in ("eco2mix", "embodied")]
    if taken:
        where, do = "carbon.factors", "rename the factor"
        raise InputError(f"the name `{taken[0]}` is taken", where=where, do=do)


def _check_intensities(carbon: dict[str, Any]) -> None:
    """Refuse a path of eCO2mix without a file; make one path a list."""
    if carbon["eco2mix"] is not None:
        named = carbon["eco2mix"]
        carbon["eco2mix"] = [
            _existing_path(each, where="carbon.eco2mix", of=("file",))
            for each in ([named] if isinstance(named, str) else named)
        ]


def _check_model_list(epoch: dict[str, Any]) -> None:
    """Refuse a path without a list of models; replace a folder by its only list."""
    _check_path(epoch, "file", where="epoch.file", of=("file", "folder"))
    if epoch["file"] is None or not Path(epoch["file"]).is_dir():
        return
    folder = Path(epoch["file"])
    try:
        lists = [path for path in sorted(folder.iterdir()) if _is_csv(path)]
    except OSError as error:
        what = f"the folder {folder} cannot be opened ({error.strerror})"
        raise InputError(what, where="epoch.file", do="fix its permissions") from None
    if len(lists) != 1:
        names = ", ".join(path.name for path in lists[:3]) + (", ..." if len(lists) > 3 else "")
        has = f"{len(lists)} lists ({names})" if lists else "no CSV file"
        do = "name one of them" if lists else "name a file of Epoch AI's list as CSV"
        raise InputError(f"the folder {folder} has {has}", where="epoch.file", do=do)
    epoch["file"] = str(lists[0])


def _is_csv(path: Path) -> bool:
    """Whether a path is a CSV file, compressed or not."""
    return files.uncompressed_name(path).lower().endswith(".csv") and path.is_file()


def _check_path(section: dict[str, Any], key: str, *, where: str, of: tuple[str, ...]) -> None:
    """Refuse a path without a file or folder, as `of` allows; replace `~` by the home folder."""
    if section[key] is not None:
        section[key] = _existing_path(section[key], where=where, of=of)


def _existing_path(written: str, *, where: str, of: tuple[str, ...]) -> str:
    """A path in which `~` is replaced; it must be a file or folder, as `of` allows."""
    path = Path(written).expanduser()
    if not ("file" in of and path.is_file()) and not ("folder" in of and path.is_dir()):
        raise InputError(f"there is no {of[0]} {written}", where=where, do="fix the path")
    return str(path)
