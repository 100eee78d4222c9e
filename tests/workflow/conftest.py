"""A small simulated study, computed once for all tests that look at its results."""

import pytest

from tests.support.project import Project, configure, small_study
from tests.support.small_study import Study


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("workflow"))


@pytest.fixture(scope="session")
def done(project: Project) -> Study:
    """Study with all its results, computed with four cores, and the records of its scripts."""
    folder = configure(project.folder.parent / "four", **small_study(project))
    records = project.folder.parent / "records"
    return Study(folder, project.run(folder, "--cores", "4", records=records), records)
