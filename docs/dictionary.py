"""Reference pages of the documentation, generated from declarations in the code.

`data_dictionary_page` renders the tables of `footprint.schemas`, `configuration_page` the schema of
the configuration, and `phase_rule_tables` the rules that classify runs. `make docs` writes them to
docs/, and a test fails if they are not up to date.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import dataframely as dy

from footprint.core.json_schema import key_path
from footprint.phases.feature_bins import FEATURES, BinnedFeature
from footprint.phases.job_words import Tokens
from footprint.phases.rules import RULES
from footprint.phases.thresholds import Thresholds
from footprint.sources.generic.columns import REQUIRED_TABLES, TABLES, Column

LINE_LENGTH = 100

TABLES_INTRODUCTION = """\
# Data dictionary

All tables of the pipeline. They are Parquet files and are validated when they are written.
`make docs` generates this page from `workflow/src/footprint/schemas/`. The equations are in
[method.md](method.md).

The unit is part of a column's name. `Datetime` is UTC with microseconds; days and months are UTC.
Null means unknown, never zero; only columns marked `null` may be null. `<site>`, `<metric>`,
`<cluster>` and `<month>` (as in `2025-03`) are placeholders.
"""

CONFIGURATION_INTRODUCTION = """\
# Configuration

`make docs` generates this page from `workflow/schemas/config.schema.yaml`. Each configuration is
checked against that schema before anything runs. An error is one line with the key, its value and
the fix. `[]` is an empty list, `{}` an empty mapping.
"""


def data_dictionary_page(tables: Mapping[str, tuple[type[dy.Schema], str]]) -> str:
    """Return the data dictionary in Markdown: path, meaning, key, columns and rules of each table.

    Args:
        tables: Schema and path of each table, by name, as `footprint.schemas.catalogue.TABLES`.
    """
    rows = [
        (f"[{name}](#{name})", f"`{path}`", _first_sentence(schema))
        for name, (schema, path) in tables.items()
    ]
    sections = [_table_section(name, schema, path) for name, (schema, path) in tables.items()]
    return "\n".join(
        [TABLES_INTRODUCTION, markdown_table(("table", "file", "content"), rows), *sections]
    )


def configuration_page(schema: Mapping[str, Any]) -> str:
    """Return the configuration page in Markdown: values, default and meaning of each key.

    Args:
        schema: JSON schema without references (`footprint.core.json_schema.read_schema`).
    """
    sections = [_configuration_section(key, each) for key, each in schema["properties"].items()]
    return "\n".join([CONFIGURATION_INTRODUCTION, _wrapped(schema["description"]), *sections])


def column_table(schema: type[dy.Schema]) -> str:
    """Return the columns of a table in Markdown: type, unit, whether null, and meaning."""
    columns = [
        (
            f"`{column}`",
            _column_type(declared),
            (declared.metadata or {}).get("unit", ""),
            "null" if declared.nullable else "",
            declared.description or "",
        )
        for column, declared in schema.columns().items()
    ]
    return markdown_table(("column", "type", "unit", "may be", "meaning"), columns)


def _table_section(name: str, schema: type[dy.Schema], path: str) -> str:
    key = ", ".join(f"`{column}`" for column in schema.primary_key())
    parts = [
        f"## {name}\n",
        f"`{path}`\n",
        _wrapped(inspect.getdoc(schema) or ""),
        f"Key: {key}.\n" if key else "",
        column_table(schema),
        "".join(f"Rule `{rule}`: `{condition}`.\n\n" for rule, condition in _rules(schema)),
    ]
    return "\n".join(part for part in parts if part).rstrip("\n") + "\n"


def _rules(schema: type[dy.Schema]) -> Iterator[tuple[str, str]]:
    """Name and condition of each rule over several columns, as written in the code."""
    [declaration] = ast.parse(textwrap.dedent(inspect.getsource(schema))).body
    for node in ast.walk(declaration):
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            result = next(line for line in ast.walk(node) if isinstance(line, ast.Return))
            yield node.name, ast.unparse(result).removeprefix("return ").replace("'", '"')


def _column_type(column: dy.Column) -> str:
    """Type of a column with its allowed values."""
    if isinstance(column, dy.List):
        return f"list of {_element_type(column.inner)}"
    if isinstance(column, dy.Struct):
        return ", ".join(f"`{name}` {_element_type(each)}" for name, each in column.inner.items())
    if isinstance(column, dy.Enum):
        return ", ".join(f"`{each}`" for each in column.categories)
    return type(column).__name__ + _bounds(column)


def _element_type(column: dy.Column) -> str:
    text = _column_type(column)
    text = f"{text} or null" if column.nullable else text
    return f"({text})" if " " in text else text


def _bounds(column: dy.Column) -> str:
    """Lowest and highest value; tolerances below a millionth are left out."""
    low, above, high = (getattr(column, key, None) for key in ("min", "min_exclusive", "max"))
    if low is not None and high is not None:
        return f", {_rounded(low)} to {_rounded(high)}"
    if low is not None:
        return f" ≥ {_rounded(low)}"
    return f" > {_rounded(above)}" if above is not None else ""


def _rounded(bound: float) -> str:
    return f"{round(bound, 5) + 0.0:g}"


def _configuration_section(key: str, schema: Mapping[str, Any]) -> str:
    rows = [
        (
            f"`{path}`",
            _allowed_values(shape),
            _default(shape, required=required),
            shape["description"],
        )
        for path, shape, required in _keys(schema, "")
    ]
    table = markdown_table(("key", "values", "default", "meaning"), rows)
    return "\n".join([f"## {key}\n", _wrapped(schema["description"]), table])


def _keys(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Keys of a section and, recursively, of its entries; with whether each is required."""
    for key, shape in schema.get("properties", {}).items():
        yield key_path(path, key), shape, key in schema.get("required", [])
        yield from _keys(shape, key_path(path, key))
        entries = shape.get("additionalProperties")
        if isinstance(entries, dict):
            yield from _keys(entries, key_path(path, f"{key}.<name>"))


def _allowed_values(shape: Mapping[str, Any]) -> str:
    """Allowed values of a key, in words."""
    if "const" in shape:
        return f"`{shape['const']}`"
    if "enum" in shape:
        return ", ".join(f"`{each}`" for each in shape["enum"])
    if "anyOf" in shape:
        allowed = (_allowed_values(each) for each in shape["anyOf"] if each.get("type") != "null")
        return " or ".join(allowed)
    types = [shape["type"]] if isinstance(shape["type"], str) else shape["type"]
    return " or ".join(_type_in_words(name, shape) for name in types if name != "null")


def _type_in_words(name: str, shape: Mapping[str, Any]) -> str:
    """Name of a JSON type for users of YAML, with its bounds."""
    low, above = shape.get("minimum"), shape.get("exclusiveMinimum")
    bound = f" ≥ {low}" if low is not None else f" > {above}" if above is not None else ""
    if name == "array":
        return f"list of {_allowed_values(shape['items'])}s"
    if name == "object" and "properties" in shape:
        return "the keys below"
    if name == "object":
        entries = shape.get("additionalProperties") or {}
        names = ", ".join(f"`{each}`" for each in shape.get("propertyNames", {}).get("enum", []))
        what = "the keys below" if "properties" in entries else _allowed_values(entries)
        return f"{what}, by {names or 'name'}"
    if name == "string":
        return "day" if shape.get("format") == "date" else "text"
    return {"integer": "whole number", "number": "number", "boolean": "`true`, `false`"}[
        name
    ] + bound


def _default(shape: Mapping[str, Any], *, required: bool) -> str:
    if required:
        return "*required*"
    if shape.get("default") is None:
        return ""
    default = shape["default"]
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _first_sentence(schema: type[dy.Schema]) -> str:
    text = " ".join((inspect.getdoc(schema) or "").split())
    return text.partition(". ")[0].rstrip(".")


def _wrapped(text: str) -> str:
    """The text wrapped at the line length of the project."""
    paragraphs = (" ".join(each.split()) for each in text.split("\n\n"))
    return "\n\n".join(textwrap.fill(each, LINE_LENGTH) for each in paragraphs) + "\n"


def markdown_table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table with its cells in single lines and `|` escaped."""
    lines = [header, ("---",) * len(header), *rows]
    cells = ([" ".join(each.split()).replace("|", r"\|") for each in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def generic_columns() -> str:
    """Return the columns of the tables of the source `generic` as tables in Markdown."""
    sections = []
    for table, columns in TABLES.items():
        needed = "needed" if table in REQUIRED_TABLES else "optional"
        rows = [(f"`{each.name}`", each.kind, _requirement(each), each.meaning) for each in columns]
        header = ("column", "cells", "required", "meaning")
        sections.append(f"### Table `{table}` ({needed})\n\n{markdown_table(header, rows)}")
    return "\n".join(sections) + "\n"


def _requirement(column: Column) -> str:
    """Return whether a file and a row of it need a column."""
    if column.required:
        return "yes"
    return "column, may be empty" if column.in_header else ""


def phase_rule_tables() -> str:
    """Return the binned features, thresholds, words and rules as tables in Markdown."""
    features = [
        (f"`{each.name}`", each.group, each.text, "; ".join(_bins_of(each))) for each in FEATURES
    ]
    rules = [
        (
            f"`{rule.name}`",
            f"`{rule.kind}`" if rule.kind else "null",
            rule.confidence,
            rule.description,
        )
        for rule in RULES
    ]
    meanings = _attribute_docs(Thresholds)
    thresholds = [
        (f"`{field.name}`", f"{field.default:g}", meanings[field.name])
        for field in fields(Thresholds)
    ]
    words = [(f"`{name}`", ", ".join(values)) for name, values in vars(Tokens()).items()]
    return "\n".join(
        [
            *_table_lines(("feature", "group", "meaning", "bins beside unknown"), features),
            "",
            *_table_lines(("threshold", "default", "meaning"), thresholds),
            "",
            *_table_lines(("words", "default"), words),
            "",
            *_table_lines(("rule", "kind", "confidence", "applies where"), rules),
        ]
    )


def _bins_of(feature: BinnedFeature) -> list[str]:
    """Categories of a feature, or the edges of its bins with their unit."""
    if feature.categories:
        return list(feature.categories)
    edges = ", ".join(f"{edge:g}" for edge in feature.edges)
    return [f"edges {edges}{feature.unit and ' ' + feature.unit}"]


def _attribute_docs(cls: type) -> dict[str, str]:
    """Description of each attribute in the docstring of a dataclass."""
    text = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", text, re.M | re.S)
    return {name: " ".join(text.split()) for name, text in found}


def _table_lines(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> list[str]:
    line = "| {} |".format
    return [
        line(" | ".join(header)),
        line(" | ".join("---" for _ in header)),
        *(line(" | ".join(map(str, row))) for row in rows),
    ]
