from pathlib import Path

import pytest

from footprint import __version__
from footprint.core.fingerprint import LIBRARY_FOLDER, Library, describe_study

SOURCES = {
    "lib/__init__.py": "VERSION = 1",
    "lib/energy.py": "from lib import tables\n",
    "lib/tables.py": "import json\n",
    "lib/unused.py": "",
    "lib/site/__init__.py": "def open_site():\n    from lib.site import exports\n",
    "lib/site/exports.py": "from .. import tables\nfrom . import parse\nfrom .codes import A\n",
    "lib/site/parse.py": "",
    "lib/site/codes.py": "A = 1",
    "lib/site/models.csv": "model,watts\n",
    "lib/site/deep/__init__.py": "",
    "lib/site/deep/down.py": "from ..parse import read\nfrom ... import energy\n",
    "scripts/energy.py": "from lib import energy\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def fingerprint_of(script: Path, *, library: Path) -> str:
    return Library(library).fingerprint(script)


def imported_files(project: Path, script: str) -> set[str]:
    (project / "scripts/x.py").write_text(script)
    found = Library(project / "lib").files_behind(project / "scripts/x.py")
    return {each.relative_to(project / "lib").as_posix() for each in found}


FILES_OF_ENERGY = {"__init__.py", "energy.py", "tables.py"}
FILES_OF_SITE = {"__init__.py", "tables.py"} | {
    f"site/{name}" for name in ("__init__.py", "exports.py", "parse.py", "codes.py", "models.csv")
}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("import json", set()),
        ("import libx.energy", set()),
        ("from lib import VERSION", {"__init__.py"}),
        ("from lib import energy", FILES_OF_ENERGY),
        ("from lib.energy import joules", FILES_OF_ENERGY),
        ("import lib.energy", FILES_OF_ENERGY),
        ("import lib.energy as e, json", FILES_OF_ENERGY),
        ("def f():\n    from lib import energy", FILES_OF_ENERGY),
        ("if TYPE_CHECKING:\n    from lib import energy", set()),
        ("from lib.site import open_site", FILES_OF_SITE),
        ("from lib.site.parse import read", FILES_OF_SITE),
        (
            "import lib.site.deep.down",
            FILES_OF_SITE | FILES_OF_ENERGY | {"site/deep/__init__.py", "site/deep/down.py"},
        ),
    ],
)
def test_files_behind_follows_every_form_of_import(
    project: Path, script: str, expected: set[str]
) -> None:
    assert imported_files(project, script) == expected


def test_files_behind_modules_that_import_each_other_terminates(project: Path) -> None:
    (project / "lib/tables.py").write_text("from lib import energy\n")
    assert imported_files(project, "from lib import energy") == FILES_OF_ENERGY


def test_fingerprint_of_a_script_named_like_a_module_is_its_own(project: Path) -> None:
    assert fingerprint_of(project / "scripts/energy.py", library=project / "lib") != fingerprint_of(
        project / "lib/tables.py", library=project / "lib"
    )
    assert imported_files(project, SOURCES["scripts/energy.py"]) == FILES_OF_ENERGY


@pytest.mark.parametrize(
    ("edited", "changes"),
    [
        ("lib/energy.py", True),
        ("lib/tables.py", True),
        ("lib/__init__.py", True),
        ("lib/unused.py", False),
        ("lib/site/parse.py", False),
        ("scripts/energy.py", False),
    ],
)
def test_fingerprint_changes_with_imported_modules_alone(
    project: Path, edited: str, changes: bool
) -> None:
    script, library = project / "scripts/energy.py", project / "lib"
    before = fingerprint_of(script, library=library)
    (project / edited).write_text(f"{SOURCES[edited]}\n# edited\n")
    assert (fingerprint_of(script, library=library) != before) is changes


def test_fingerprint_changes_with_the_data_files_of_a_package(project: Path) -> None:
    script = project / "scripts/x.py"
    script.write_text("from lib import site")
    before = fingerprint_of(script, library=project / "lib")
    (project / "lib/site/models.csv").write_text("model,watts\nV100,250\n")
    assert fingerprint_of(script, library=project / "lib") != before


def test_fingerprint_changes_when_a_text_moves_between_modules(project: Path) -> None:
    script, library = project / "scripts/energy.py", project / "lib"
    before = fingerprint_of(script, library=library)
    (library / "energy.py").write_text(SOURCES["lib/energy.py"] + "A = 1\n")
    moved = fingerprint_of(script, library=library)
    (library / "energy.py").write_text(SOURCES["lib/energy.py"])
    (library / "tables.py").write_text(SOURCES["lib/tables.py"] + "A = 1\n")
    assert len({before, moved, fingerprint_of(script, library=library)}) == 3


def test_fingerprint_does_not_depend_on_the_folder_of_the_project(
    project: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere"
    for name, text in SOURCES.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(text)
    assert fingerprint_of(other / "scripts/energy.py", library=other / "lib") == fingerprint_of(
        project / "scripts/energy.py", library=project / "lib"
    )


def test_files_behind_finds_this_library(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("from footprint.core import fingerprint\n")
    found = Library().files_behind(tmp_path / "x.py")
    assert {LIBRARY_FOLDER / "__init__.py", LIBRARY_FOLDER / "core/fingerprint.py"} <= found
    assert LIBRARY_FOLDER / "energy/attribution.py" not in found


def test_describe_study_names_site_window_source_and_version() -> None:
    study = {"site": "nancy", "start": "2025-03-03", "end": "2025-04-28"}
    window = "2025-03-03 to 2025-04-28"
    assert (
        describe_study({"study": study, "source": {"kind": "simulated"}})
        == f"simulated site nancy · {window} · footprint {__version__}"
    )
    assert (
        describe_study({"study": study, "source": {"kind": "exports"}})
        == f"nancy · {window} · exports · footprint {__version__}"
    )
