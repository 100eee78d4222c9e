from pathlib import Path

import pytest

from footprint import __version__
from footprint.provenance import LIBRARY, Library, describe

FILES = {
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
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def fingerprint(script: Path, *, library: Path) -> str:
    return Library(library).fingerprint(script)


def files(project: Path, script: str) -> set[str]:
    (project / "scripts/x.py").write_text(script)
    found = Library(project / "lib").files_behind(project / "scripts/x.py")
    return {each.relative_to(project / "lib").as_posix() for each in found}


ENERGY = {"__init__.py", "energy.py", "tables.py"}
SITE = {"__init__.py", "tables.py"} | {
    f"site/{name}" for name in ("__init__.py", "exports.py", "parse.py", "codes.py", "models.csv")
}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("import json", set()),
        ("import libx.energy", set()),
        ("from lib import VERSION", {"__init__.py"}),
        ("from lib import energy", ENERGY),
        ("from lib.energy import joules", ENERGY),
        ("import lib.energy", ENERGY),
        ("import lib.energy as e, json", ENERGY),
        ("def f():\n    from lib import energy", ENERGY),
        ("from lib.site import open_site", SITE),
        ("from lib.site.parse import read", SITE),
        (
            "import lib.site.deep.down",
            SITE | ENERGY | {"site/deep/__init__.py", "site/deep/down.py"},
        ),
    ],
)
def test_follows_every_form_of_import(project: Path, script: str, expected: set[str]) -> None:
    assert files(project, script) == expected


def test_modules_that_import_each_other_end(project: Path) -> None:
    (project / "lib/tables.py").write_text("from lib import energy\n")
    assert files(project, "from lib import energy") == ENERGY


def test_a_script_may_have_the_name_of_a_module(project: Path) -> None:
    assert fingerprint(project / "scripts/energy.py", library=project / "lib") != fingerprint(
        project / "lib/tables.py", library=project / "lib"
    )
    assert files(project, FILES["scripts/energy.py"]) == ENERGY


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
def test_changes_with_what_is_imported_alone(project: Path, edited: str, changes: bool) -> None:
    script, library = project / "scripts/energy.py", project / "lib"
    before = fingerprint(script, library=library)
    (project / edited).write_text(f"{FILES[edited]}\n# edited\n")
    assert (fingerprint(script, library=library) != before) is changes


def test_changes_with_the_data_beside_a_package(project: Path) -> None:
    script = project / "scripts/x.py"
    script.write_text("from lib import site")
    before = fingerprint(script, library=project / "lib")
    (project / "lib/site/models.csv").write_text("model,watts\nV100,250\n")
    assert fingerprint(script, library=project / "lib") != before


def test_tells_apart_texts_that_moved_between_modules(project: Path) -> None:
    script, library = project / "scripts/energy.py", project / "lib"
    before = fingerprint(script, library=library)
    (library / "energy.py").write_text(FILES["lib/energy.py"] + "A = 1\n")
    moved = fingerprint(script, library=library)
    (library / "energy.py").write_text(FILES["lib/energy.py"])
    (library / "tables.py").write_text(FILES["lib/tables.py"] + "A = 1\n")
    assert len({before, moved, fingerprint(script, library=library)}) == 3


def test_does_not_depend_on_where_the_project_lies(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    for name, text in FILES.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(text)
    assert fingerprint(other / "scripts/energy.py", library=other / "lib") == fingerprint(
        project / "scripts/energy.py", library=project / "lib"
    )


def test_sees_this_library(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("from footprint import provenance\n")
    found = Library().files_behind(tmp_path / "x.py")
    assert {LIBRARY / "__init__.py", LIBRARY / "provenance.py"} <= found
    assert LIBRARY / "energy.py" not in found


def test_figures_say_what_they_show() -> None:
    study = {"site": "nancy", "start": "2025-03-03", "end": "2025-04-28"}
    when = "2025-03-03 to 2025-04-28"
    assert (
        describe({"study": study, "source": {"kind": "simulated"}})
        == f"simulated site nancy · {when} · footprint {__version__}"
    )
    assert (
        describe({"study": study, "source": {"kind": "exports"}})
        == f"nancy · {when} · exports · footprint {__version__}"
    )
