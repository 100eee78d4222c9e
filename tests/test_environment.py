"""One environment: uv, pip and conda install the same versions."""

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETTINGS = PROJECT["tool"]["uv"]
PINS = [Requirement(pin) for pin in SETTINGS["constraint-dependencies"]]
CONDA = yaml.safe_load((ROOT / "envs/footprint.yaml").read_text())


def hashes_of_lock() -> dict[str, list[str]]:
    """Hashes of each requirement in envs/requirements.lock."""
    text = re.sub(r"^#.*\n", "", (ROOT / "envs/requirements.lock").read_text(), flags=re.M)
    entries = [entry.split() for entry in text.replace("\\\n", "").splitlines()]
    return {
        " ".join(word for word in entry if not word.startswith("--hash=")): [
            word for word in entry if word.startswith("--hash=sha256:")
        ]
        for entry in entries
    }


def applies(requirement: Requirement, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def requirements_of(name: str) -> list[str]:
    """Requirements of an installed package; empty if it is not installed."""
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def test_requirements_lock_has_the_pins_of_uv() -> None:
    assert list(hashes_of_lock()) == SETTINGS["constraint-dependencies"]


def test_requirements_lock_has_hashes_for_every_pin() -> None:
    assert [pin for pin, hashes in hashes_of_lock().items() if not hashes] == []


def test_pins_are_exact_versions() -> None:
    assert [str(pin) for pin in PINS if not re.fullmatch(r"==[\w.]+", str(pin.specifier))] == []


def test_uv_lock_has_the_pins_as_constraints() -> None:
    """The lock that `uv run` wrote for this project; pip writes none."""
    if not (ROOT / "uv.lock").exists():
        pytest.skip("no uv.lock: the environment was not made by uv")
    manifest = tomllib.loads((ROOT / "uv.lock").read_text())["manifest"]
    used = {(each["name"], each["specifier"]) for each in manifest["constraints"]}
    assert used == {(canonicalize_name(pin.name), str(pin.specifier)) for pin in PINS}


def test_conda_environment_has_the_pins_of_uv() -> None:
    packages = dict(each.split("=") for each in CONDA["dependencies"])
    python = packages.pop("python")
    machine = {"python_version": python, "python_full_version": f"{python}.9"}
    pinned = {
        pin.name: str(pin.specifier).removeprefix("==")
        for pin in PINS
        if pin.marker is None or pin.marker.evaluate(machine)
    }
    assert f">={python}" == PROJECT["project"]["requires-python"]
    assert packages == {name: pinned[name.removesuffix("-base")] for name in packages}


def test_conda_environment_has_all_packages_of_the_rules() -> None:
    extra = PROJECT["project"]["optional-dependencies"]["pipeline"]
    expected = {Requirement(each).name for each in extra}
    packages = {each.split("=")[0].removesuffix("-base") for each in CONDA["dependencies"]}
    assert packages == expected - {"snakemake"} | {"python"}


def test_required_packages_are_all_pinned() -> None:
    """Each direct or indirect requirement of the project must have a pin for this Python."""
    pinned = {canonicalize_name(pin.name) for pin in PINS if applies(pin)}
    groups = PROJECT["dependency-groups"]
    queue = [Requirement(each) for group in groups.values() for each in group]
    visited: set[tuple[str, str]] = set()
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        assert name in pinned | {"footprint"}, f"{name} has no pin: run `make lock`"
        for extra in {"", *requirement.extras}:
            if (name, extra) not in visited:
                visited.add((name, extra))
                requirements = map(Requirement, requirements_of(name))
                queue.extend(each for each in requirements if applies(each, extra))
    assert len(visited) > len(groups)


@cache
def imported_modules(folder: str) -> set[str]:
    """Top-level modules that Python files and notebooks of a folder import."""
    files = [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.ipynb")]
    found = set()
    for node in (node for file in files for node in ast.walk(ast.parse(python_source(file)))):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            found |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    return found


def python_source(file: Path) -> str:
    if file.suffix == ".py":
        return file.read_text()
    cells = json.loads(file.read_text())["cells"]
    code = "\n".join("".join(each["source"]) for each in cells if each["cell_type"] == "code")
    return re.sub(r"^%.*", "", code, flags=re.M)


@cache
def installed_modules() -> dict[str, set[str]]:
    """Modules of each installed package."""
    found: dict[str, set[str]] = {}
    for module, packages in metadata.packages_distributions().items():
        for each in packages:
            found.setdefault(canonicalize_name(each), set()).add(module)
    return found


def modules_of(name: str) -> set[str]:
    """Modules of a package; from its name if it is not installed."""
    modules = installed_modules().get(canonicalize_name(name))
    return modules or {MODULES_OF_EXTRAS.get(name, name)}


MODULES_OF_EXTRAS = {"nvidia-ml-py": "pynvml", "scikit-learn": "sklearn"}
NOT_IMPORTED_BY_TESTS_AND_DOCUMENTATION = {
    "import-linter": "command of `make check`",
    "jupyter": "opens the notebooks",
    "mypy": "command of `make check`",
    "ruff": "command of `make check`",
    "snakefmt": "command of `make check`",
    "types-PyYAML": "types for mypy",
    "types-jsonschema": "types for mypy",
}


def unused_packages(declared: Iterable[str], folders: Iterable[str]) -> list[str]:
    """Declared packages whose modules are not imported in the folders."""
    imported = set[str]().union(*map(imported_modules, folders))
    names = {Requirement(each).name for each in declared} - {"footprint"}
    return sorted(name for name in names if modules_of(name).isdisjoint(imported))


def test_packages_of_the_library_are_imported_by_it() -> None:
    extras = PROJECT["project"]["optional-dependencies"].values()
    assert unused_packages(chain(*extras), ["workflow"]) == []


def test_packages_of_the_groups_are_imported_by_tests_or_documentation() -> None:
    groups = PROJECT["dependency-groups"].values()
    unused = unused_packages(chain(*groups), ["tests", "docs", "notebooks", "envs"])
    assert unused == sorted(NOT_IMPORTED_BY_TESTS_AND_DOCUMENTATION)


def test_library_has_no_required_dependencies() -> None:
    assert PROJECT["project"]["dependencies"] == []
    assert "pipeline" in PROJECT["tool"]["uv"]["default-groups"]


def test_make_results_installs_the_pipeline_alone() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [command] = re.findall(r"^results:.*\n\t\$\(sync\)\n\t@(.*)$", makefile, re.M)
    assert command == "$(uv) run --no-sync snakemake --cores 8"
    [set_up] = re.findall(r"^sync := .*\n\t(.*)$", makefile, re.M)
    assert set_up == "$(uv) sync --quiet --inexact --no-default-groups --group pipeline"
    assert PROJECT["dependency-groups"]["pipeline"] == ["footprint[pipeline]"]


def test_makefile_pins_a_uv_that_the_settings_accept() -> None:
    versions = set(re.findall(r"\buv==([\w.]+)", (ROOT / "Makefile").read_text()))
    accepted = Requirement(f"uv{SETTINGS['required-version']}").specifier
    assert len(versions) == 1
    assert accepted.contains(versions.pop())


def test_repository_names_no_registry_or_download() -> None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git clone: there is no list of the project's files")
    address = re.compile(
        r"\bpypi\.org|pythonhosted\.org|anaconda\.org|npmjs\.(com|org)"
        r"|https?://\S+\.(whl|conda|zip|tar\.(gz|bz2|xz))\b"
        r"|--(extra-)?index-url|--find-links"
    )
    files = [ROOT / name for name in listing.stdout.split("\0") if name]
    texts = {each: each.read_text(errors="replace") for each in files if each.is_file()}
    found = [
        f"{each.relative_to(ROOT)}: {match[0]}"
        for each, text in texts.items()
        if each != Path(__file__) and (match := address.search(text))
    ]
    assert len(texts) > 10
    assert found == []
