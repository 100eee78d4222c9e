"""A lint of sums whose last bits depend on the number of threads.

    python tests/support/unordered_sums.py workflow

Polars adds partial sums of its threads, so `.sum()`, `.mean()`, `.std()` and the like of floats
differ between one core and eight. `footprint.core.sums` has sums, means and standard deviations in
a fixed order, and `exact_sum` for whole numbers, durations and conditions. Sums within one row
(`.list.sum()`, `pl.sum_horizontal`) and sums of arrays, written `np.sum(...)` or with `axis=`, have
one order and are allowed.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

UNORDERED_METHODS = ("sum", "mean", "std", "var", "cov", "corr", "dot")
ALLOWED_MODULE = "sums.py"


class Finding(NamedTuple):
    """A call that the lint refuses."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}: use footprint.core.sums"


def _is_ordered(call: ast.Call, function: ast.Attribute) -> bool:
    of = function.value
    is_array = isinstance(of, ast.Name) and of.id == "np"
    is_within_row = isinstance(of, ast.Attribute) and of.attr in ("list", "arr")
    return is_array or is_within_row or any(word.arg == "axis" for word in call.keywords)


def find_unordered_sums(source: str, path: Path) -> Iterator[Finding]:
    """Yield the refused calls of one module, in order.

    Args:
        source: Text of the module.
        path: Its path, for the message.
    """
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in UNORDERED_METHODS and not _is_ordered(node, node.func):
            yield Finding(path, node.lineno, ast.unparse(node)[:80])


def search_folder(folder: Path) -> list[Finding]:
    """Return the refused calls of all modules in a folder, without `sums.py` itself."""
    return [
        finding
        for path in sorted(folder.rglob("*.py"))
        if path.name != ALLOWED_MODULE
        for finding in find_unordered_sums(path.read_text(encoding="utf-8"), path)
    ]


def main() -> None:
    """Print the refused calls; the exit status is 1 where there is one."""
    found = [finding for folder in sys.argv[1:] for finding in search_folder(Path(folder))]
    for finding in found:
        print(finding)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
