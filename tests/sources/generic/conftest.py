from pathlib import Path

import pytest

from tests.support.generic_tables import write_small_tables


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Tables of three nodes, two jobs and a minute of power."""
    return write_small_tables(tmp_path / "tables")
