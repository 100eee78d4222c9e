"""docs/api.md describes each name of `footprint` by its docstring."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType

import api_page
import dataframely as dy
import dictionary

import footprint

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text(encoding="utf-8")


class Energies(dy.Schema):
    """Energies."""

    job_id = dy.Int64(description="Job")
    measured_kwh = dy.Float64(nullable=True, metadata={"unit": "kWh"}, description="Energy")


def compute(power_w: float, *, unit: str = "kWh") -> dy.DataFrame[Energies]:
    """Energy of a power.

    Args:
        power_w: Power, over
            two lines.
        unit: Unit (docs/method.md).

    Returns:
        One row.

    Example:
        >>> 1 + 1
        2
    """
    raise NotImplementedError(power_w, unit)


def test_api_page_describes_a_function_by_its_docstring() -> None:
    library = ModuleType("library", "A library.")
    library.__dict__.update(__all__=["compute"], compute=compute)
    page = api_page.api_page(library)
    assert page[page.index("A library.") :] == (
        "A library.\n\n## `compute`\n\n"
        "```python\nfootprint.compute(power_w: float, *, unit: str = 'kWh') -> "
        "dy.DataFrame[Energies]\n```\n\n"
        "Energy of a power.\n\n| argument | meaning |\n| --- | --- |\n"
        "| `power_w` | Power, over two lines. |\n| `unit` | Unit ([method.md](method.md)). |\n\n"
        "Returns: One row.\n\n```pycon\n>>> 1 + 1\n2\n```\n\n" + dictionary.column_table(Energies)
    )
    assert "| `measured_kwh` | Float64 | kWh | null | Energy |" in page


def test_api_page_has_every_name_argument_and_property() -> None:
    assert set(re.findall(r"^## `(\w+)`$", PAGE, re.M)) == set(footprint.__all__)
    for function in (footprint.integrate, footprint.open_results, footprint.track):
        for argument in inspect.signature(function).parameters:
            assert f"\n| `{argument}` | " in PAGE
    for name in vars(footprint.Results):
        assert name.startswith("_") or f"| `{name}` |" in PAGE or f"`Results.{name}`" in PAGE
