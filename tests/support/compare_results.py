"""Compare the Parquet tables of two folders, column by column.

    python tests/support/compare_results.py BEFORE AFTER [--tolerance 1e-12] [--names NAMES.json]

Rows are paired by position, since published tables have a fixed order. Keys, texts, times, counts
and lists must be equal; floats may differ by the tolerance, relative to the larger magnitude of
their pair. Prints a line for each difference and exits with 1 if there is one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
from polars import selectors as cs

RELATIVE_TOLERANCE = 1e-12
NewNames = Mapping[str, str]


def table_differences(
    before: Path,
    after: Path,
    *,
    tolerance: float = RELATIVE_TOLERANCE,
    names: NewNames | None = None,
) -> Iterator[str]:
    """Yield a line for each difference between two folders of tables.

    Args:
        before: Folder of the first results.
        after: Folder of the second results.
        tolerance: Largest relative difference of two floats that is ignored.
        names: New name by old name, of files and folders (each part of a path on its own), of
            columns, and of text values: whole texts, and quoted names inside JSON objects.
    """
    names = names or {}
    old = {
        "/".join(names.get(part, part) for part in path.split("/")): before / path
        for path in _table_paths(before)
    }
    new = {path: after / path for path in _table_paths(after)}
    for path in sorted(old.keys() | new.keys()):
        if path not in new or path not in old:
            yield f"{path}: only in {before if path in old else after}"
        else:
            first = _renamed(pl.read_parquet(old[path]), names)
            for line in _table_lines(first, pl.read_parquet(new[path]), tolerance):
                yield f"{path}: {line}"


def _renamed(table: pl.DataFrame, names: NewNames) -> pl.DataFrame:
    """Return the table with new names of columns and of text values."""
    if not names:
        return table
    texts = cs.string()
    quoted = {f'"{old}"': f'"{new}"' for old, new in names.items()}
    is_object = texts.str.starts_with("{")
    return table.rename(
        {name: names[name] for name in table.columns if name in names}
    ).with_columns(
        pl.when(is_object)
        .then(texts.str.replace_many(list(quoted), list(quoted.values())))
        .otherwise(texts.replace(names))
        .name.keep()
    )


def _table_paths(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))


def _table_lines(before: pl.DataFrame, after: pl.DataFrame, tolerance: float) -> Iterator[str]:
    for name in sorted(set(before.columns) ^ set(after.columns)):
        yield f"column {name}: only {'before' if name in before.columns else 'after'}"
    if len(before) != len(after):
        yield f"{len(before)} rows before, {len(after)} after"
        return
    for name in (name for name in before.columns if name in after.columns):
        first, second = before[name], after[name]
        if first.dtype != second.dtype:
            yield f"column {name}: {first.dtype} before, {second.dtype} after"
        elif len(differ := _differing_rows(first, second, tolerance)):
            row = int(differ[0])
            yield (
                f"column {name}: {len(differ)} of {len(first)} values differ, the first in row "
                f"{row}: {first[row]!r} before, {second[row]!r} after"
            )


def _differing_rows(first: pl.Series, second: pl.Series, tolerance: float) -> pl.Series:
    """Indices of the rows in which two columns of one type differ."""
    both = pl.DataFrame({"a": first, "b": second})
    a, b = pl.col("a"), pl.col("b")
    differs = a.ne_missing(b)
    if both.select(cs.float()).width:
        far = (a - b).abs() > tolerance * pl.max_horizontal(a.abs(), b.abs())
        differs = differs & far.fill_null(True)
    return both.select(differs.arg_true()).to_series()


def main() -> int:
    """Print the differences of two folders; return 1 if there are any."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("before", type=Path)
    options.add_argument("after", type=Path)
    options.add_argument("--tolerance", type=float, default=RELATIVE_TOLERANCE)
    options.add_argument("--names", type=Path, help="JSON object: new name by old name")
    given = options.parse_args()
    names = json.loads(given.names.read_text("utf-8")) if given.names else {}
    lines = list(
        table_differences(given.before, given.after, tolerance=given.tolerance, names=names)
    )
    print("\n".join(lines) or "no difference")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
