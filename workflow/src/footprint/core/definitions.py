"""Definitions of a module and the names that each uses, parsed and never imported.

A definition is a function, a class or a constant at the top level of a module. Comments,
docstrings, line breaks and imports for type checkers do not change it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple


class Statement:
    """A statement at the top level of a module, examined at the first use.

    Args:
        node: The parsed statement.
        package: Package at which relative imports start.
    """

    def __init__(self, node: ast.stmt, package: str) -> None:
        self._node = node
        self._package = package

    @cached_property
    def uses(self) -> Uses:
        """Names, texts and imports of the statement."""
        found = Uses(set(), set(), {})
        queue: list[ast.AST] = [self._node]
        while queue:
            node = queue.pop()
            if name := _dotted(node):
                found.names.add(name)
                continue
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                node.body = [each for each in node.body if not _does_not_run(each)] or [ast.Pass()]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.texts.add(node.value)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for bound, target in _imported_names(node, self._package):
                    found.imports.setdefault(bound, set()).add(target)
            queue.extend(ast.iter_child_nodes(node))
        return found

    @cached_property
    def text(self) -> str:
        """Code on normalised lines, without comments and docstrings."""
        _ = self.uses  # removes the docstrings
        return ast.unparse(self._node)


class Uses(NamedTuple):
    """Names, texts and imports of a statement.

    Attributes:
        names: Dotted names as written: `kernel.cumulative_energy`.
        texts: Texts that it quotes, among them names of data files.
        imports: Absolute dotted names that each name stands for that it imports.
    """

    names: set[str]
    texts: set[str]
    imports: dict[str, set[str]]


@dataclass(frozen=True)
class Definitions:
    """Statements of a module.

    Attributes:
        by_name: Statements that define each name.
        effects: Statements that the import of the module executes for their effect.
        imports: Absolute dotted names that each name stands for that the module imports.
    """

    by_name: dict[str, list[Statement]] = field(default_factory=dict)
    effects: list[Statement] = field(default_factory=list)
    imports: dict[str, set[str]] = field(default_factory=dict)


def read_definitions(text: str, *, package: str) -> Definitions:
    """Definitions, effects and imports of a module.

    Args:
        text: Source text of the module.
        package: Package at which its relative imports start.
    """
    found = Definitions()
    for node in ast.parse(text).body:
        if _does_not_run(node):
            continue
        statement = Statement(node, package)
        if isinstance(node, ast.Import | ast.ImportFrom):
            for bound, targets in statement.uses.imports.items():
                found.imports.setdefault(bound, set()).update(targets)
            continue
        names = _defined_names(node)
        for name in names:
            found.by_name.setdefault(name, []).append(statement)
        if not names:
            found.effects.append(statement)
            for bound, targets in statement.uses.imports.items():  # in a `with`, `if` or `try`
                found.imports.setdefault(bound, set()).update(targets)
    return found


def _does_not_run(node: ast.stmt) -> bool:
    """Whether a statement is a docstring, or for type checkers alone."""
    if isinstance(node, ast.If):
        is_for_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return is_for_types and not node.orelse
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _defined_names(node: ast.stmt) -> list[str]:
    """Names that a statement defines; empty for one that is executed for its effect."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    parts = [part for each in targets for part in _unpacked(each)]
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    return names if len(names) == len(parts) else []


def _unpacked(target: ast.expr) -> list[ast.expr]:
    return target.elts if isinstance(target, ast.Tuple | ast.List) else [target]


def _dotted(node: ast.AST) -> str:
    """Dotted name of a name or of its attributes; empty for other expressions."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (start := _dotted(node.value)):
        return f"{start}.{node.attr}"
    return ""


def _imported_names(node: ast.AST, package: str) -> Iterator[tuple[str, str]]:
    """Each name that an import binds, and the absolute dotted name that it stands for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name, alias.name
            if not alias.asname:  # `import a.b` binds `a`, and imports both
                yield (top := alias.name.partition(".")[0]), top
    elif isinstance(node, ast.ImportFrom):
        # Each dot after the first leaves one more package; `from . import x` names no module.
        parents = package.split(".")
        start = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
        module = ".".join(part for part in (start, node.module) if part)
        for alias in node.names:
            yield alias.asname or alias.name, f"{module}.{alias.name}"
