"""What several test files need."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import hypothesis
import oar_server
import pytest
from stand_in import run_script

hypothesis.settings.register_profile(
    "anywhere",
    deadline=None,
    # A busy machine is slow, and that is no fault of a test.
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=True,
)
hypothesis.settings.register_profile(
    "search", hypothesis.settings.get_profile("anywhere"), derandomize=False, max_examples=1000
)
"""`pytest --hypothesis-profile=search` looks for new examples; the suite repeats the same ones."""
hypothesis.settings.load_profile("anywhere")


def _folder_named_by(variable: str) -> Path:
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set: it names the folder that this test reads")
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
def real_oar(shared_oar: Path) -> Iterator[oar_server.Server]:
    """A real OAR server."""
    with oar_server.running(shared_oar) as server:
        yield server


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Run the script of a rule with a stand-in for `snakemake`; gives what it logged."""
    return partial(run_script, logs=tmp_path)
