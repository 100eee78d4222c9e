"""Names in the library and columns of its tables follow docs/glossary.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from footprint.schemas.catalogue import TABLES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| word", "| ---"))
]
REFUSED = sorted({word for row in ROWS for word in re.findall(r"`(\w+)`", row[2])})
ALLOWED = {"wattmetre": {"WATTMETRE", "wattmetre_power_watt", "method"}}


def names_of_module(path: Path) -> Iterator[str]:
    """The module, and names that it defines: functions, classes, parameters, variables."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


@cache
def names() -> set[str]:
    """Names in the library, and columns of its tables."""
    modules = (ROOT / "workflow/src").rglob("*.py")
    columns = {column for table, _ in TABLES.values() for column in table.create_empty().columns}
    return {name for path in modules for name in names_of_module(path)} | columns


def test_glossary_has_rows_and_refused_words() -> None:
    assert len(ROWS) > 60
    assert {"piece", "evidence", "told", "set_aside", "wattmetre"} <= set(REFUSED)
    assert len({row[0] for row in ROWS}) == len(ROWS), "a word is defined twice"


@pytest.mark.parametrize("word", REFUSED)
def test_glossary_refused_word_is_in_no_name(word: str) -> None:
    pattern = re.compile(rf"(?:^|_){word}(?:_|$)", re.I)
    found = {name for name in names() if pattern.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name))}
    assert sorted(found - ALLOWED.get(word, set())) == []
