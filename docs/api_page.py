"""The page of the Python API, docs/api.md, generated from the docstrings of `footprint`."""

from __future__ import annotations

import inspect
import re
import textwrap
from functools import cached_property
from types import ModuleType
from typing import Any, get_args, get_type_hints

import dataframely as dy
import dictionary

from footprint.schemas.catalogue import TABLES

INTRODUCTION = """\
`make docs` generates this page from the docstrings of `workflow/src/footprint/`; in Python,
`help(footprint)` shows the same. Frames are those of [Polars](https://docs.pola.rs). Names and
arguments on this page stay as they are; the [changelog](../CHANGELOG.md) lists every change.
"""

SECTION = re.compile(r"^(Args|Returns|Raises|Example|Attributes):\n", re.M)
ITEM = re.compile(r"^ {4}([\w.]+): (.*?)(?=^ {4}[\w.]+: |\Z)", re.M | re.S)
QUOTED_TYPE = re.compile(r"(: |-> )'([^']*)'")
PAGE_NAME = re.compile(r"\bdocs/([\w-]+\.md)")
HEADINGS = {"Args": "argument", "Raises": "error", "Attributes": "attribute"}


def api_page(library: ModuleType) -> str:
    """Return the page in Markdown: a section for each name in `__all__` of the library."""
    parts = ["# Python API\n", INTRODUCTION, inspect.cleandoc(library.__doc__ or "") + "\n"]
    for name in sorted(library.__all__, key=lambda each: inspect.isclass(getattr(library, each))):
        member = getattr(library, name)
        if inspect.isclass(member):
            parts += [f"## `{name}`\n", *_described(member)]
            parts += _attribute_table(member)
            for key, method in vars(member).items():
                if inspect.isfunction(method) and not key.startswith("_"):
                    parts += [f"### `{name}.{key}`\n", _signature(key, method)]
                    parts += [*_described(method), *_returned_columns(method)]
        else:
            parts += [f"## `{name}`\n", _signature(f"footprint.{name}", member)]
            parts += [*_described(member), *_returned_columns(member)]
    return PAGE_NAME.sub(r"[\1](\1)", "\n".join(parts))


def _described(member: Any) -> list[str]:
    """Docstring of a member in Markdown, its sections as tables and its example as code."""
    text, *sections = SECTION.split(inspect.getdoc(member) or "")
    parts = [text.rstrip() + "\n"]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        if title == "Example":
            parts += ["```pycon\n" + textwrap.dedent(body).strip() + "\n```\n"]
        elif title == "Returns":
            parts += ["Returns: " + " ".join(body.split()) + "\n"]
        else:
            rows = [(f"`{name}`", meaning) for name, meaning in ITEM.findall(body)]
            parts += [dictionary.markdown_table((HEADINGS[title], "meaning"), rows)]
    return parts


def _signature(name: str, function: Any) -> str:
    """Signature as code, an argument a line where it is long."""
    signature = inspect.signature(function)
    kept = [each for each in signature.parameters.values() if each.name != "self"]
    text = f"{name}{signature.replace(parameters=kept)}"
    if len(text) > dictionary.LINE_LENGTH:
        lines = [str(each) for each in kept]
        keywords = [i for i, each in enumerate(kept) if each.kind is each.KEYWORD_ONLY]
        if keywords:
            lines.insert(keywords[0], "*")
        arguments = "".join(f"    {line},\n" for line in lines)
        text = f"{name}(\n{arguments}) -> {signature.return_annotation!r}"
    text = QUOTED_TYPE.sub(r"\1\2", text)
    return f"```python\n{text}\n```\n"


def _attribute_table(cls: type) -> list[str]:
    """Properties of a class, with the table that each one is."""
    files = {schema: (name, path) for name, (schema, path) in TABLES.items()}
    rows = []
    for name, member in vars(cls).items():
        getter = member.func if isinstance(member, cached_property) else None
        getter = member.fget if isinstance(member, property) else getter
        if getter is None or name.startswith("_"):
            continue
        schema = _schema_of(getter)
        table, path = files.get(schema, ("", ""))
        shown = f"[{table}](data-dictionary.md#{table}): `{path}`" if table else ""
        rows.append((f"`{name}`", inspect.getdoc(member) or "", shown))
    return [dictionary.markdown_table(("property", "content", "table"), rows)] if rows else []


def _returned_columns(function: Any) -> list[str]:
    """Columns of the table that a function returns; a link for those of a study."""
    schema = _schema_of(function)
    if schema is None:
        return []
    for name, (known, _) in TABLES.items():
        if known is schema:
            return [f"Columns: [{name}](data-dictionary.md#{name}).\n"]
    return [dictionary.column_table(schema)]


def _schema_of(function: Any) -> Any:
    """Schema of the frame that a function returns; None for another type."""
    arguments = get_args(get_type_hints(function).get("return"))
    schemas = [each for each in arguments if inspect.isclass(each) and issubclass(each, dy.Schema)]
    return schemas[0] if schemas else None
