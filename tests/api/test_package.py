"""A light `import footprint`, its help, and the examples of its docstrings."""

from __future__ import annotations

import doctest
import os
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import footprint
from footprint.api import integration
from footprint.api import results as study_results


def test_examples_of_docstrings_are_right(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study)
    for module in (integration, study_results):
        tried = doctest.testmod(module)
        assert tried.attempted >= 5
        assert tried.failed == 0


def run_python(script: str, *options: str) -> str:
    """Output of a script in a new Python that finds this library."""
    done = subprocess.run(
        [sys.executable, *options, "-c", script],
        env=os.environ | {"PYTHONPATH": str(Path(footprint.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_of_footprint_loads_the_standard_library_alone() -> None:
    loaded = run_python(
        "import sys; before = set(sys.modules)\n"
        "import footprint; footprint.track; footprint.InputError\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    ).split()
    assert set(loaded) - sys.stdlib_module_names == {"footprint"}


def test_footprint_without_packages_names_the_extra_and_keeps_its_help() -> None:
    printed = run_python(
        "import footprint, pydoc\n"
        "try:\n    footprint.integrate\nexcept AttributeError as error:\n    print(error)\n"
        "print(pydoc.plain(pydoc.render_doc(footprint)))",
        "-S",
    )
    assert "footprint.integrate needs dataframely: pip install 'footprint[pipeline]'" in printed
    assert "track(" in printed


def test_footprint_has_the_names_of_its_list_and_no_other() -> None:
    assert footprint.__all__ == sorted(footprint.__all__)
    assert set(footprint.__all__) <= set(dir(footprint))
    for name in footprint.__all__:
        assert getattr(footprint, name).__doc__
        assert f"\n- `{name}`: " in (footprint.__doc__ or "") or name == "Results"
    with pytest.raises(AttributeError, match="no attribute 'integral'"):
        _ = footprint.integral  # type: ignore[attr-defined]


def test_help_of_footprint_shows_every_function() -> None:
    text = pydoc.plain(pydoc.render_doc(footprint))
    for name in ("integrate", "open_results", "track"):
        assert re.search(rf"^ {{4}}{name}\(", text, re.M)
    assert "class Results" in text
    assert "Longest time between two samples that is not a gap" in text
