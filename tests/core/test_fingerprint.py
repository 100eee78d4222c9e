"""Fingerprint of the definitions that a script uses."""

from pathlib import Path

import pytest

from footprint.core.fingerprint import LIBRARY_FOLDER, Library

SOURCES = {
    "lib/__init__.py": "VERSION = 1\nif 1: pass\n",
    "lib/energy.py": "from lib import tables\nLIMIT = 1\nOTHER = 2\n"
    "def joules():\n    return tables.read() * LIMIT\n"
    "def kwh():\n    return joules() + OTHER\n",
    "lib/tables.py": "import json\ndef read(): return json\ndef write(): pass\n",
    "lib/unused.py": "A = 1\n",
    "lib/site/__init__.py": "from lib.site.exports import Exports\n"
    "def open_site():\n    from lib.site import parse\n    return parse.rows()\n",
    "lib/site/exports.py": "from .. import tables\nfrom . import codes as c\n"
    "class Exports:\n    code = c.A\n    def rows(self): return tables.read()\n",
    "lib/site/parse.py": "def rows(): return open('models.csv')\n",
    "lib/site/codes.py": "A = 1\nB = 2\n",
    "lib/site/models.csv": "model,watts\n",
    "lib/site/others.csv": "a,b\n",
    "lib/effect.py": "import json\njson.x = 1\nB = 2\n",
    "lib/registry.py": "def load(kind): return __import__(f'lib.{kind}')\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "scripts").mkdir()
    return tmp_path


def written(project: Path, script: str) -> Path:
    path = project / "scripts/energy.py"
    path.write_text(script)
    return path


def definitions(project: Path, script: str) -> set[str]:
    """Definitions behind a script, as `module.name`, without the statements of imports."""
    behind = Library(project / "lib").definitions_behind(written(project, script))
    return {f"{module}.{name}" for module, name in behind if name}


JOULES = {"lib.energy.joules", "lib.energy.LIMIT", "lib.tables.read"}
EXPORTS = {"lib.site.exports.Exports", "lib.site.codes.A", "lib.tables.read"}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("import json", set()),
        ("import libx.energy\nlibx.energy.joules()", set()),
        ("from lib import VERSION\nVERSION", {"lib.VERSION"}),
        ("from lib import energy", set()),
        ("from lib import energy\nenergy.joules()", JOULES),
        ("from lib.energy import joules\njoules()", JOULES),
        ("from lib.energy import joules as j\nx = [j]", JOULES),
        ("import lib.energy\nlib.energy.joules()", JOULES),
        ("import lib.energy as e, json\ne.joules()", JOULES),
        ("def f():\n    from lib import energy\n    energy.joules()", JOULES),
        ("from lib import energy\nenergy.kwh()", {*JOULES, "lib.energy.kwh", "lib.energy.OTHER"}),
        ("from lib.energy import LIMIT\nx = LIMIT", {"lib.energy.LIMIT"}),
        ("from lib import energy\nf(energy)", {*JOULES, "lib.energy.kwh", "lib.energy.OTHER"}),
        ("from lib.site import Exports\nExports().rows()", EXPORTS),
        ("from lib import site\nsite.Exports", EXPORTS),
        (
            "from lib.site import open_site\nopen_site()",
            {"lib.site.open_site", "lib.site.parse.rows"},
        ),
    ],
)
def test_definitions_behind_follows_every_form_of_import_and_use(
    project: Path, script: str, expected: set[str]
) -> None:
    assert definitions(project, script) == expected


def test_definitions_behind_modules_that_use_each_other_terminates(project: Path) -> None:
    (project / "lib/tables.py").write_text("from lib import energy\ndef read(): energy.joules()\n")
    assert definitions(project, "from lib import energy\nenergy.joules()") == JOULES


def test_modules_that_a_script_or_module_loads_by_name_count_whole(project: Path) -> None:
    script = written(project, "from lib import registry\nregistry.load('tables')")
    tables = {("lib.tables", "read"), ("lib.tables", "write")}
    library = project / "lib"
    assert not Library(library).definitions_behind(script) & tables
    assert Library(library).definitions_behind(script, ["lib.tables"]) >= tables
    loaded = Library(library, loaded_by_name={"lib.registry": ["lib.tables"]})
    assert loaded.definitions_behind(script) >= tables
    other = written(project, "from lib import energy")
    assert not loaded.definitions_behind(other) & tables


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import json\n", "import simplejson as json\n"),
        ("from operator import or_\n", "from operator import and_ as or_\n"),
        ("from lib.site.codes import A as x, B as y", "from lib.site.codes import B as x, A as y"),
    ],
)
def test_fingerprint_changes_with_what_imported_names_stand_for(
    project: Path, old: str, new: str
) -> None:
    body = "\ndef read():\n    return json.loads(or_(x, y))\n"
    imports = "import json\nfrom operator import or_\nfrom lib.site.codes import A as x, B as y"
    script = written(project, "from lib import tables\ntables.read()")
    (project / "lib/tables.py").write_text(imports + body)
    before = Library(project / "lib").fingerprint(script)
    assert old in imports
    (project / "lib/tables.py").write_text(imports.replace(old, new) + body)
    assert Library(project / "lib").fingerprint(script) != before


@pytest.mark.parametrize(
    "block", ["with open('x'):\n    from lib import tables", "if 1:\n    from lib import tables",
              "if TYPE_CHECKING:\n    pass\nelse:\n    from lib import tables"],
)  # fmt: skip
def test_definitions_behind_follows_imports_in_blocks(project: Path, block: str) -> None:
    (project / "lib/effect.py").write_text(f"{block}\ndef total(): return tables.read()\n")
    script = "from lib import effect\neffect.total()"
    assert definitions(project, script) == {"lib.effect.total", "lib.tables.read"}


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("lib/energy.py", "LIMIT = 1", "LIMIT = 2", True),
        ("lib/energy.py", "LIMIT = 1", "LIMIT = 1  # a reason", False),
        ("lib/energy.py", "LIMIT = 1", 'LIMIT = 1\n"""A limit."""', False),
        ("lib/energy.py", "OTHER = 2", "OTHER = 3", False),
        ("lib/tables.py", "def write(): pass", "def write(): return 1", False),
        ("lib/tables.py", "return json", "return json, 1", True),
        ("lib/__init__.py", "if 1: pass", "if 2: pass", True),
        ("lib/__init__.py", "VERSION = 1", "VERSION = 2", False),
        ("lib/unused.py", "A = 1", "A = 2", False),
        ("lib/site/parse.py", "rows()", "rows(a=1)", False),
        ("lib/effect.py", "json.x = 1", "json.x = 2", False),
    ],
)
def test_fingerprint_changes_with_the_code_that_a_script_uses_alone(
    project: Path, file: str, old: str, new: str, changes: bool
) -> None:
    script = written(project, "from lib import energy\nenergy.joules()")
    before = Library(project / "lib").fingerprint(script)
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))
    assert (Library(project / "lib").fingerprint(script) != before) is changes


def test_fingerprint_changes_with_the_effect_of_an_import(project: Path) -> None:
    script = written(project, "import lib.effect")
    before = Library(project / "lib").fingerprint(script)
    (project / "lib/effect.py").write_text("import json\njson.x = 2\nB = 2\n")
    assert Library(project / "lib").fingerprint(script) != before


def test_fingerprint_changes_with_data_files_that_a_definition_names(project: Path) -> None:
    script = written(project, "from lib import site\nsite.open_site()")
    before = Library(project / "lib").fingerprint(script)
    (project / "lib/site/others.csv").write_text("a,b\n1,2\n")
    assert Library(project / "lib").fingerprint(script) == before
    (project / "lib/site/models.csv").write_text("model,watts\nV100,250\n")
    assert Library(project / "lib").fingerprint(script) != before


def test_fingerprint_does_not_depend_on_the_folder_of_the_project(
    project: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere"
    for name, text in SOURCES.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(text)
    script = written(project, "from lib import energy\nenergy.joules()")
    assert Library(other / "lib").fingerprint(script) == Library(project / "lib").fingerprint(
        script
    )


def test_every_data_file_of_the_library_is_named_by_a_definition_beside_it() -> None:
    files = [
        path
        for path in LIBRARY_FOLDER.rglob("*")
        if path.is_file()
        and path.suffix not in {".py", ".pyc", ".typed"}
        # captions are input files of the rule that writes the report
        and path.parent.name != "captions"
    ]
    assert len(files) >= 6
    for path in files:
        modules = path.parent.glob("*.py")
        assert any(f'"{path.name}"' in module.read_text() for module in modules), path
