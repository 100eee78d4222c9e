"""Fixtures and profiles of Hypothesis for several test files."""

import os
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support import kwollect_server, oar_server
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


SHARED = {
    "oar": re.compile(r"\bmark\.oar\b"),
    "small study": re.compile(r"\bdone: Study\b"),
    "rule chain": re.compile(r"\b(energy|features)_chain: RuleChain\b"),
}
"""What test files share that is one or costly, the longest first, and how they name it."""
SLOW = re.compile(r"\bmark\.slow\b")


@cache
def _process_group(file: Path) -> tuple[int, str]:
    """Place and name of the group of a test file, which one process of `pytest -n` runs."""
    text = file.read_text(encoding="utf-8")
    for place, (name, used) in enumerate(SHARED.items()):
        if used.search(text):
            return place, name
    return len(SHARED) + (SLOW.search(text) is None), str(file)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest groups: at the end, one process would run while others idle."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _process_group(item.path)[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Share out groups of files rather than files."""
    if config.getvalue("dist") != "loadfile":
        return None

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _process_group(config.rootpath / nodeid.partition("::")[0])[1]

    return GroupScheduling(config, log)


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
def shared_kwollect() -> Path:
    """Folder of the script that brings up a real Kwollect."""
    return _folder_named_by("FOOTPRINT_SHARED_KWOLLECT")


@pytest.fixture(scope="session")
def real_kwollect(shared_kwollect: Path) -> Iterator[kwollect_server.KwollectServer]:
    """A real Kwollect server."""
    with kwollect_server.running_server(shared_kwollect) as server:
        yield server


@pytest.fixture(scope="session")
def real_oar(shared_oar: Path) -> Iterator[oar_server.OarServer]:
    """A real OAR server."""
    with oar_server.running_server(shared_oar) as server:
        yield server


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Run the script of a rule with a stand-in for `snakemake`; the call returns its log."""
    return partial(run_script, logs=tmp_path)
