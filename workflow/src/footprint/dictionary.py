"""The reference pages of the documentation, made from what the code itself declares.

`data_dictionary` renders the tables of `footprint.tables`, `configuration` the schema of the
configuration, `phase_rules` the rules that tell what a run was. `make docs` writes them to docs/,
and a test fails when they are not up to date.
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

from footprint.phases.rules import RULES, Thresholds
from footprint.phases.words import Tokens
from footprint.schema import below

LINE = 100

TABLES_INTRODUCTION = """\
# Data dictionary

Every table of the pipeline, in Parquet, as it is validated when written. Made by `make docs` from
`workflow/src/footprint/tables/`; the equations are in [method.md](method.md).

Units stand in the names of columns. `Datetime` is UTC with microseconds, days and months are UTC.
Null means unknown, never zero; only the columns marked so may be null. `<site>`, `<metric>`,
`<cluster>` and `<month>` (as in `2025-03`) stand for names.
"""

CONFIGURATION_INTRODUCTION = """\
# Configuration

Made by `make docs` from `workflow/schemas/config.schema.yaml`, against which every configuration is
checked before anything runs; a mistake is answered with one line that names the key and what to
write. `[]` is an empty list, `{}` no entries.
"""


def data_dictionary(tables: Mapping[str, tuple[type[dy.Schema], str]]) -> str:
    """Markdown page of these tables: path, meaning, key, columns, rules.

    Args:
        tables: Schema and path of each table, by name, as `footprint.tables.TABLES`.
    """
    rows = [
        (f"[{name}](#{name})", f"`{path}`", _first_sentence(schema))
        for name, (schema, path) in tables.items()
    ]
    sections = [_table_section(name, schema, path) for name, (schema, path) in tables.items()]
    return "\n".join([TABLES_INTRODUCTION, _grid(("table", "file", "holds"), rows), *sections])


def configuration(schema: Mapping[str, Any]) -> str:
    """Markdown page of a configuration: what each key takes, its default, its meaning.

    Args:
        schema: JSON schema without references, as `footprint.schema.read` gives it.
    """
    sections = [_configuration_section(key, each) for key, each in schema["properties"].items()]
    return "\n".join([CONFIGURATION_INTRODUCTION, _filled(schema["description"]), *sections])


def _table_section(name: str, schema: type[dy.Schema], path: str) -> str:
    columns = [
        (
            f"`{column}`",
            _dtype(declared),
            (declared.metadata or {}).get("unit", ""),
            "null" if declared.nullable else "",
            declared.description or "",
        )
        for column, declared in schema.columns().items()
    ]
    key = ", ".join(f"`{column}`" for column in schema.primary_key())
    parts = [
        f"## {name}\n",
        f"`{path}`\n",
        _filled(inspect.getdoc(schema) or ""),
        f"Key: {key}.\n" if key else "",
        _grid(("column", "type", "unit", "may be", "meaning"), columns),
        "".join(f"Rule `{rule}`: `{holds}`.\n\n" for rule, holds in _rules(schema)),
    ]
    return "\n".join(part for part in parts if part).rstrip("\n") + "\n"


def _rules(schema: type[dy.Schema]) -> Iterator[tuple[str, str]]:
    """Rules over several columns: the name of each, and what must hold as it is written."""
    [declaration] = ast.parse(textwrap.dedent(inspect.getsource(schema))).body
    for each in ast.walk(declaration):
        if isinstance(each, ast.FunctionDef) and each.decorator_list:
            result = next(line for line in ast.walk(each) if isinstance(line, ast.Return))
            yield each.name, ast.unparse(result).removeprefix("return ").replace("'", '"')


def _dtype(column: dy.Column) -> str:
    """Type of a column, with the values that it may have."""
    if isinstance(column, dy.List):
        return f"list of {_inner(column.inner)}"
    if isinstance(column, dy.Struct):
        return ", ".join(f"`{name}` {_inner(each)}" for name, each in column.inner.items())
    if isinstance(column, dy.Enum):
        return ", ".join(f"`{each}`" for each in column.categories)
    return type(column).__name__ + _bounds(column)


def _inner(column: dy.Column) -> str:
    text = _dtype(column)
    text = f"{text} or null" if column.nullable else text
    return f"({text})" if " " in text else text


def _bounds(column: dy.Column) -> str:
    """Least and greatest value; an allowance for rounding, below a millionth, is not told."""
    low, above, high = (getattr(column, key, None) for key in ("min", "min_exclusive", "max"))
    if low is not None and high is not None:
        return f", {_round(low)} to {_round(high)}"
    if low is not None:
        return f" ≥ {_round(low)}"
    return f" > {_round(above)}" if above is not None else ""


def _round(bound: float) -> str:
    return f"{round(bound, 5) + 0.0:g}"


def _configuration_section(key: str, schema: Mapping[str, Any]) -> str:
    rows = [
        (f"`{path}`", _takes(shape), _default(shape, required=required), shape["description"])
        for path, shape, required in _keys(schema, "")
    ]
    grid = _grid(("key", "takes", "default", "meaning"), rows)
    return "\n".join([f"## {key}\n", _filled(schema["description"]), grid])


def _keys(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Keys of a section and, below each, those of what it holds; whether each must be given."""
    for key, shape in schema.get("properties", {}).items():
        yield below(path, key), shape, key in schema.get("required", [])
        yield from _keys(shape, below(path, key))
        entries = shape.get("additionalProperties")
        if isinstance(entries, dict):
            yield from _keys(entries, below(path, f"{key}.<name>"))


def _takes(shape: Mapping[str, Any]) -> str:
    """What a key accepts, in words."""
    if "const" in shape:
        return f"`{shape['const']}`"
    if "enum" in shape:
        return ", ".join(f"`{each}`" for each in shape["enum"])
    if "anyOf" in shape:
        return " or ".join(_takes(each) for each in shape["anyOf"])
    types = [shape["type"]] if isinstance(shape["type"], str) else shape["type"]
    return " or ".join(_kind(name, shape) for name in types if name != "null")


def _kind(name: str, shape: Mapping[str, Any]) -> str:
    """What a JSON type is called by those who write YAML, with its bounds."""
    low, above = shape.get("minimum"), shape.get("exclusiveMinimum")
    bound = f" ≥ {low}" if low is not None else f" > {above}" if above is not None else ""
    if name == "array":
        return f"list of {_takes(shape['items'])}s"
    if name == "object" and "properties" in shape:
        return "the keys below"
    if name == "object":
        entries = shape.get("additionalProperties") or {}
        names = ", ".join(f"`{each}`" for each in shape.get("propertyNames", {}).get("enum", []))
        what = "the keys below" if "properties" in entries else _takes(entries)
        return f"{what}, by {names or 'name'}"
    if name == "string":
        return "day" if shape.get("format") == "date" else "text"
    return {"integer": "whole number", "number": "number", "boolean": "`true`, `false`"}[
        name
    ] + bound


def _default(shape: Mapping[str, Any], *, required: bool) -> str:
    if required:
        return "*must be given*"
    if shape.get("default") is None:
        return ""
    default = shape["default"]
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _first_sentence(schema: type[dy.Schema]) -> str:
    text = " ".join((inspect.getdoc(schema) or "").split())
    return text.partition(". ")[0].rstrip(".")


def _filled(text: str) -> str:
    """The text with lines as long as the project's."""
    paragraphs = (" ".join(each.split()) for each in text.split("\n\n"))
    return "\n\n".join(textwrap.fill(each, LINE) for each in paragraphs) + "\n"


def _grid(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    cells = ([" ".join(each.split()).replace("|", r"\|") for each in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def phase_rules() -> str:
    """Rules, thresholds and words of the phases, as tables in Markdown."""
    rules = [
        (f"`{rule.name}`", f"`{rule.kind}`" if rule.kind else "null", rule.confidence, rule.why)
        for rule in RULES
    ]
    told = _attributes(Thresholds)
    thresholds = [
        (f"`{field.name}`", f"{field.default:g}", told[field.name]) for field in fields(Thresholds)
    ]
    known = Tokens()
    words = [(f"`{name}`", ", ".join(vars(known)[name])) for name in vars(known)]
    return "\n".join(
        [
            *_table(("rule", "kind", "confidence", "applies where"), rules),
            "",
            *_table(("threshold", "default", "meaning"), thresholds),
            "",
            *_table(("words", "default"), words),
        ]
    )


def _attributes(cls: type) -> dict[str, str]:
    """What the docstring of a dataclass says of each attribute."""
    text = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", text, re.M | re.S)
    return {name: " ".join(told.split()) for name, told in found}


def _table(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> list[str]:
    line = "| {} |".format
    return [
        line(" | ".join(header)),
        line(" | ".join("---" for _ in header)),
        *(line(" | ".join(map(str, row))) for row in rows),
    ]
