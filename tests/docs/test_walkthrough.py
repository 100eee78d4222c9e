"""The files and functions that docs/walkthrough.md names exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "workflow/src/footprint"
PAGE = (ROOT / "docs/walkthrough.md").read_text(encoding="utf-8")
RULES = {
    match[1]
    for path in (ROOT / "workflow/rules").glob("*.smk")
    for match in re.finditer(
        r"^(?:use rule \w+ as|rule) (\w+)", path.read_text(encoding="utf-8"), re.M
    )
}
PATH = re.compile(r"`([\w./-]+(?:\.(?:py|smk|yaml|csv)|/)|Snakefile)`")
NAMES = re.compile(r"\(((?:`\w+`(?:,\s+)?)+)\)|\bgives?\s+each run its kind")


def find_file(name: str) -> Path:
    """A path of the page, from the top of the repository or from the library."""
    return next((base / name for base in (ROOT, LIBRARY) if (base / name).exists()), ROOT / name)


def defined_names(path: Path) -> set[str]:
    """Functions, classes, methods and constants of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
    }
    targets = [
        target
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return found | {target.id for target in targets if isinstance(target, ast.Name)}


def named_symbols() -> Iterator[tuple[str, str]]:
    """Each symbol in backticks with the Python module that the page names last before it."""
    module = ""
    for match in re.finditer(r"`([^`\n]+)`", PAGE):
        text = match[1]
        if text.endswith(".py"):
            module = text
        elif re.fullmatch(r"[a-z]+_[a-z_]+|[A-Z]\w+", text) and text != "Snakefile":
            yield module, text


SYMBOLS = sorted({each for each in named_symbols() if each[1] not in RULES})


def test_walkthrough_names_files_that_exist() -> None:
    paths = set(PATH.findall(PAGE))
    assert len(paths) > 40
    assert [name for name in sorted(paths) if not find_file(name).exists()] == []


@pytest.mark.parametrize(("module", "symbol"), SYMBOLS)
def test_walkthrough_names_symbols_of_the_module_before_them(module: str, symbol: str) -> None:
    known = defined_names(find_file(module))
    if module.startswith("workflow/scripts"):
        pytest.fail(f"`{symbol}` follows a script, where nothing is defined")
    assert symbol in known, f"{module} has no {symbol}"


def test_walkthrough_names_rules_that_exist() -> None:
    named = set(re.findall(r"\brules? `(\w+)`", PAGE))
    assert len(named) >= 10
    assert named <= RULES
