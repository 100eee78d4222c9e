"""Mutations match the code and cover the cited tables, and their command reports verdicts."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from footprint.schemas.energy import JobEnergy
from footprint.schemas.levels import Carbon, Levels
from footprint.schemas.phases import PhaseRatio
from tests.support import mutate
from tests.support.mutate import Mutation

TABLES = {
    "jobs": JobEnergy,
    "levels": Levels,
    "ratio": PhaseRatio,
    "carbon": Carbon,
}
KINDS = {"factor", "extremum", "dropped", "swapped"}
MUTATIONS = mutate.load_mutations()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_occurs_once_in_its_file(mutation: Mutation) -> None:
    assert mutation.count() == 1, f"the text of {mutation.name} is not once in {mutation.file}"
    assert mutation.was != mutation.becomes
    assert mutation.kind in KINDS
    assert all((mutate.ROOT / test).is_file() for test in mutation.tests)


def test_mutations_have_unique_names() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


@pytest.mark.parametrize("table", TABLES)
def test_mutations_cover_every_column_of_table(table: str) -> None:
    kinds = defaultdict(set)
    for mutation in MUTATIONS:
        for column in mutation.columns:
            kinds[column].add(mutation.kind)
    schema = TABLES[table].create_empty().schema
    unknown = {name for name in kinds if name.startswith(f"{table}.")}
    assert unknown <= {f"{table}.{name}" for name in schema}
    missing = [name for name in schema if not kinds[f"{table}.{name}"]]
    assert missing == [], "columns without a mutation"
    once = [
        name
        for name, dtype in schema.items()
        if dtype.is_numeric() and not name.endswith("_id") and len(kinds[f"{table}.{name}"]) < 2
    ]
    assert once == [], "numbers with one kind of mutation"


def invented_mutation(folder: Path, *, was: str, test: str) -> Mutation:
    """Write a library of one line and its test; a mutation of it."""
    (folder / "footprint").mkdir()
    (folder / "footprint/sums.py").write_text("def double(x): return 2 * x\n")
    path = folder / "test_sums.py"
    path.write_text(f"import sys; sys.path.insert(0, {str(folder / 'footprint')!r})\n{test}")
    return Mutation("m", "sums.py", "factor", was, "3 *", ("jobs.measured_kwh",), (str(path),))


@pytest.mark.parametrize(
    ("was", "test", "expected"),
    [
        ("2 *", "import sums\ndef test_double(): assert sums.double(2) == 4\n", "found"),
        ("2 *", "import sums\ndef test_double(): assert sums.double(0) == 0\n", "SURVIVED"),
        ("def", "import sums\ndef test_double(): assert sums.double(2) == 4\n", "BROKEN"),
        ("x", "", "STALE"),
    ],
)
def test_verdict_depends_on_tests_of_mutation(
    tmp_path: Path, was: str, test: str, expected: str
) -> None:
    mutation = invented_mutation(tmp_path, was=was, test=test)
    assert mutate.judge_mutation(mutation, tmp_path) == expected
    assert (tmp_path / "footprint/sums.py").read_text() == "def double(x): return 2 * x\n"
