"""A sample of `make fuzz`, and whether it finds faults."""

from pathlib import Path
from random import Random

import pytest

from footprint.core.errors import InputError
from tests.fuzzing import formats, mutations, search


@pytest.mark.parametrize("name", formats.FORMATS)
def test_sample_of_damaged_inputs_shows_no_fault(tmp_path: Path, name: str) -> None:
    counts, faults = search.search(tmp_path, seed=1, n_each=30, names=(name,))
    assert [fault.outcome.detail for fault in faults] == []
    assert counts[name].total() == 30


def test_mutants_of_a_seed_are_always_the_same() -> None:
    first, again = (list(search.mutants("power, CSV", seed=2, n=20)) for _ in range(2))
    assert first == again
    assert first != list(search.mutants("power, CSV", seed=3, n=20))


def outcome_of(
    reading: formats.Reading | BaseException,
    effect: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Class of a mutant of which the reader gives or raises something."""

    def read(_: Path, __: Path) -> formats.Reading:
        if isinstance(reading, BaseException):
            raise reading
        return reading

    each = formats.FORMATS["eco2mix"]._replace(read=read)
    monkeypatch.setitem(formats.FORMATS, "eco2mix", each)
    good = formats.Reading((5.0,), 0)
    return search.judge("eco2mix", mutations.Mutant(b"x", "x", effect), folder, good).kind


@pytest.mark.parametrize(
    ("reading", "effect", "expected"),
    [
        (formats.Reading((5.0,), 0), mutations.DAMAGED, search.UNCHANGED),
        (formats.Reading((4.0,), 1), mutations.DAMAGED, search.COUNTED),
        (formats.Reading((4.0,), 0), mutations.DAMAGED, search.FAULT),
        (formats.Reading((4.0,), 0), mutations.SAME, search.FAULT),
        (formats.Reading((4.0,), 0), mutations.OTHER, search.OTHER),
        (InputError("bad", where="eco2mix.xls:1"), mutations.DAMAGED, search.REFUSED),
        (InputError("bad"), mutations.DAMAGED, search.FAULT),
        (IndexError("index"), mutations.OTHER, search.FAULT),
        (search.Hang(), mutations.OTHER, search.FAULT),
    ],
)
def test_judge_classifies_what_a_reader_makes_of_an_input(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reading: formats.Reading | BaseException,
    effect: str,
    expected: str,
) -> None:
    assert outcome_of(reading, effect, tmp_path, monkeypatch) == expected


def test_mutations_damage_types_text_and_bytes() -> None:
    random = Random(1)
    kinds = {
        mutations.mutate(each.content, each.document, random).mutation
        for each in formats.FORMATS.values()
        for _ in range(200)
    }
    assert {"json, no number", "json, repeat", "line, tear", "truncated", "UTF-16"} <= kinds
    assert len(kinds) >= 25
