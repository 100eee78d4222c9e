"""Opening a source: the modules and packages that it loads."""

import subprocess
import sys

import pytest

CLASSES = {
    "simulated": "footprint.sources.simulated.SimulatedSite",
    "exports": "footprint.sources.exports.site.ExportedSite",
    "grid5000": "footprint.sources.grid5000.site.Grid5000Site",
}
PACKAGES = {
    "adbc_driver_postgresql",
    "httpx",
    "jsonschema",
    "matplotlib",
    "numpy",
    "polars",
    "pyarrow",
    "stamina",
}
OPEN_SITE = """
import sys
from unittest import mock
from footprint.sources import registry

if {target!r}:
    with mock.patch({target!r} + ".from_config", create=True):
        registry.open_site({{"kind": {kind!r}}}, site="nancy")
print(*sorted(sys.modules))
"""


def modules_after_opening(kind: str) -> set[str]:
    """Modules that a new process has loaded after `open_site`; before it, for an unknown kind."""
    code = OPEN_SITE.format(target=CLASSES.get(kind, ""), kind=kind)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("kind", "packages"),
    [
        ("none", set()),
        ("simulated", {"numpy", "polars"}),
        ("exports", {"numpy", "polars"}),
        ("grid5000", {"numpy", "polars", "pyarrow"}),
    ],
)
def test_opening_a_source_loads_no_other_source_and_few_packages(
    kind: str, packages: set[str]
) -> None:
    modules = modules_after_opening(kind)
    sources = {each for each in CLASSES if f"footprint.sources.{each}" in modules}
    assert sources == {kind} & set(CLASSES)
    assert modules & PACKAGES == packages
