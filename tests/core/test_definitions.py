"""Definitions of a module, and the names that each uses."""

import pytest

from footprint.core.definitions import read_definitions

MODULE = '''"""What the module is for."""
from __future__ import annotations
import json
from pathlib import Path
from typing import TYPE_CHECKING

from lib import kernel, units as u
from . import beside
from .. import above

if TYPE_CHECKING:
    from lib.report import Report

LIMIT_W: float = 2.0
"""A limit."""
LOW, HIGH = u.KWH, 3
json.decoder.SETTING = 1


def energy(path: Path) -> Report:
    """Energy in a file."""
    from lib.tables import read

    # read it
    return kernel.cumulative.total(read(path / "cpus.csv"), LIMIT_W)


class Meter:
    """A meter."""

    step_w = 1.0
    """Its step."""
'''


def test_read_definitions_lists_functions_classes_and_constants() -> None:
    found = read_definitions(MODULE, package="lib.site")
    assert list(found.by_name) == ["LIMIT_W", "LOW", "HIGH", "energy", "Meter"]
    assert [each.text for each in found.effects] == ["json.decoder.SETTING = 1"]


def test_imports_of_a_module_are_absolute_and_leave_out_those_for_type_checkers() -> None:
    found = read_definitions(MODULE, package="lib.site")
    assert found.imports == {
        "annotations": {"__future__.annotations"},
        "json": {"json"},
        "Path": {"pathlib.Path"},
        "TYPE_CHECKING": {"typing.TYPE_CHECKING"},
        "kernel": {"lib.kernel"},
        "u": {"lib.units"},
        "beside": {"lib.site.beside"},
        "above": {"lib.above"},
    }


def test_uses_of_a_function_are_names_texts_and_its_own_imports() -> None:
    (energy,) = read_definitions(MODULE, package="lib.site").by_name["energy"]
    assert {"kernel.cumulative.total", "read", "LIMIT_W", "Path", "Report"} <= energy.uses.names
    assert energy.uses.texts == {"cpus.csv"}
    assert energy.uses.imports == {"read": {"lib.tables.read"}}


def test_text_has_neither_comments_nor_docstrings() -> None:
    found = read_definitions(MODULE, package="lib.site").by_name
    assert found["Meter"][0].text == "class Meter:\n    step_w = 1.0"
    assert "Energy in" not in found["energy"][0].text
    assert "# read" not in found["energy"][0].text


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("def f(a):\n    return a", 'def f(a):\n    """Doc."""\n\n    return (a)  # a', True),
        ("A = (1, 2)", "A = (\n    1,\n    2,\n)", True),
        ("class A:\n    pass", 'class A:\n    """Doc."""', True),
        ("A = 1", "A = 2", False),
        ("A = 1", "A = 1.0", False),
        ("A = 'x'", "A = 'y'", False),
        ("def f(a=1): pass", "def f(*, a=1): pass", False),
        ("def f(a):\n    if a:\n        b()\n    else:\n        c()",
         "def f(a):\n    if a:\n        b()\n        c()", False),
    ],
)  # fmt: skip
def test_text_changes_with_code_alone(first: str, second: str, is_same: bool) -> None:
    texts = [
        [each.text for all_ in read_definitions(text, package="").by_name.values() for each in all_]
        for text in (first, second)
    ]
    assert (texts[0] == texts[1]) is is_same


def test_definition_in_several_statements_has_all_of_them() -> None:
    found = read_definitions("A = [1]\nA += [2]\n", package="")
    assert [each.text for each in found.by_name["A"]] == ["A = [1]", "A += [2]"]
