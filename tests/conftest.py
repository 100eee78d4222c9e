"""Fixtures and profiles of Hypothesis for several test files."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import hypothesis
import pytest

from tests.support import oar_server
from tests.support.rule_scripts import run_script

hypothesis.settings.register_profile(
    "anywhere",
    deadline=None,
    # a busy machine is slow, which is no fault of a test
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=True,
)
hypothesis.settings.register_profile(
    "search", hypothesis.settings.get_profile("anywhere"), derandomize=False, max_examples=1000
)
"""Profile that generates new examples: `pytest --hypothesis-profile=search`."""
hypothesis.settings.load_profile("anywhere")


GROUP_BY_FIXTURE = {"done": "small-study", "energy_chain": "rule-chain"}
"""Fixtures that tests of several files share: `pytest -n` runs these tests in one process."""
LONGEST_GROUPS = ("oar", *GROUP_BY_FIXTURE.values())


def _process_group(item: pytest.Item) -> str:
    """Tests that run in one process: of the one OAR server, of a costly fixture, or of a file."""
    if item.get_closest_marker("oar"):
        return "oar"
    fixtures: list[str] = getattr(item, "fixturenames", [])
    shared = [group for name, group in GROUP_BY_FIXTURE.items() if name in fixtures]
    return shared[0] if shared else f"{item.path.parent.name}/{item.path.stem}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Share tests out to the processes of `pytest -n`; the long ones begin first."""
    if not hasattr(config, "workerinput"):
        return
    groups = [_process_group(item) for item in items]
    for item, group in zip(items, groups, strict=True):
        item.add_marker(pytest.mark.xdist_group(group))
    slow = {
        group for item, group in zip(items, groups, strict=True) if item.get_closest_marker("slow")
    }
    order = dict.fromkeys(slow, len(LONGEST_GROUPS))
    order |= {group: place for place, group in enumerate(LONGEST_GROUPS)}
    last = len(LONGEST_GROUPS) + 1
    places = {item: order.get(group, last) for item, group in zip(items, groups, strict=True)}
    items.sort(key=places.__getitem__)


def _folder_named_by(variable: str) -> Path:
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set: set it to the folder that this test reads")
    return Path(os.environ[variable])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings and reference answers."""
    return _folder_named_by("FOOTPRINT_SHARED_DATA")


@pytest.fixture(scope="session")
def shared_oar() -> Path:
    """Folder of scripts that bring up a real OAR server."""
    return _folder_named_by("FOOTPRINT_SHARED_OAR")


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Folder of small inputs with one fault each."""
    return _folder_named_by("FOOTPRINT_SHARED_CASES")


@pytest.fixture(scope="session")
def real_oar(shared_oar: Path) -> Iterator[oar_server.OarServer]:
    """A real OAR server."""
    with oar_server.running_server(shared_oar) as server:
        yield server


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Run the script of a rule with a stand-in for `snakemake`; the call returns its log."""
    return partial(run_script, logs=tmp_path)
