from pathlib import Path

import pytest

from tests.support import small_exports


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Exports of two clusters with a job and two readings."""
    return small_exports.write_exports(tmp_path)
