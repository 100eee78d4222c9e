"""Call of the function behind a figure or readers' table, with the tables and settings of a rule.

The rule names the function. Its module is imported at the call, so that a figure loads no other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from typing import Any

import polars as pl

from footprint.core import calendar

CONVERSIONS: Mapping[Any, Callable[[Any], Any]] = {
    pl.DataFrame: pl.read_parquet,
    pl.LazyFrame: pl.scan_parquet,
    datetime: calendar.first_moment,
}
"""Conversion of what a rule gives to the type of a parameter: a path or a list of paths to a table,
a day to its first moment. Other types are passed as they are."""


def render(name: str, inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    """Return the figure or readers' table that a function makes of tables and settings.

    Args:
        name: Module and function in `footprint.report`, as `figures.levels.plot`.
        inputs: Path of each table (or list of paths) by the name of the function's parameter.
        settings: Other arguments by name; those that the function does not take are left out.

    Raises:
        TypeError: The function does not take one of the tables, or needs a further argument.
    """
    function = find_function(name)
    parameters = inspect.signature(function, eval_str=True).parameters
    taken = {key: value for key, value in settings.items() if key in parameters}
    arguments = dict(inputs.items()) | taken
    for key, parameter in parameters.items():
        if key in arguments and parameter.annotation in CONVERSIONS:
            arguments[key] = CONVERSIONS[parameter.annotation](arguments[key])
    return function(**arguments)


def find_function(name: str) -> Callable[..., Any]:
    """Return a function of `footprint.report` by its module and name, as `figures.levels.plot`."""
    module, _, function = name.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(f"{__package__}.{module}"), function)
    return found
