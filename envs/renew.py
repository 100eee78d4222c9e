"""Resolve every package anew and write the pins: `make lock`.

Writes pyproject.toml (name and version, for uv), envs/requirements.lock (the same with hashes, for
pip), envs/footprint.yaml (those that rules import, for conda) and the version of uv in the
Makefile, and brings the environment to them.
"""

import os
import re
import subprocess
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PYTHON = "3.11"
# What conda calls differently. Its plain matplotlib and seaborn bring a graphical toolkit.
CONDA_NAMES = {"matplotlib": "matplotlib-base", "seaborn": "seaborn-base"}
# Snakemake runs scripts in the environment, but is not imported from it.
NOT_FOR_RULES = {"snakemake"}
# Needed outside the environment: uv itself, and what builds packages that come as source only.
UV = "uv>=0.9,<0.14"
BUILDER = "setuptools"

LOCK_HEADER = """\
# Every package, by version and hash, written by `make lock`. Without uv:
#     python3 -m venv .venv && . .venv/bin/activate
#     pip install --require-hashes -r envs/requirements.lock && pip install --no-deps -e .
"""
CONDA_HEADER = """\
# What the rules import, at the versions of pyproject.toml, for `snakemake --sdm conda`.
# Written by `make lock`.
name: footprint
channels:
  - conda-forge
  - nodefaults
dependencies:
"""


def uv(*arguments: str, stdin: str | None = None) -> str:
    """What uv prints; the very uv that runs this script."""
    command = [os.environ.get("UV", "uv"), *arguments]
    done = subprocess.run(
        command, cwd=ROOT, check=True, text=True, input=stdin, stdout=subprocess.PIPE
    )
    return done.stdout


def export(*options: str) -> str:
    """The locked packages of all groups and extras, as pip's requirements."""
    everything = ["--frozen", "--all-groups", "--all-extras", "--no-emit-project"]
    return uv("export", *everything, "--no-header", "--no-annotate", *options)


def newest(*requirements: str) -> list[str]:
    """Pins of these packages alone, for tools that stand outside the environment."""
    options = ["--no-deps", "--no-header", "--no-annotate"]
    return uv("pip", "compile", *options, "-", stdin="\n".join(requirements)).splitlines()


def with_list(settings: str, key: str, values: list[str]) -> str:
    """The text of pyproject.toml with these values in place of those that `key` has."""
    lines = "".join(f'    "{value}",\n' for value in values)
    block = f"{key} = [\n{lines}]"
    return re.sub(rf"^{key} = \[.*?\]$", lambda _: block, settings, flags=re.M | re.S)


def conda_environment(pins: list[str], wanted: list[str]) -> str:
    """An environment with the packages `wanted`, at the versions pinned for its Python."""
    machine = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.9"}
    versions = {
        pin.name: next(iter(pin.specifier)).version
        for pin in map(Requirement, pins)
        if pin.marker is None or pin.marker.evaluate(machine)
    }
    names = sorted({Requirement(each).name.lower() for each in wanted} - NOT_FOR_RULES)
    packages = [f"{CONDA_NAMES.get(name, name)}={versions[name]}" for name in names]
    return CONDA_HEADER + "".join(f"  - {each}\n" for each in [f"python={PYTHON}", *packages])


def main() -> None:
    """Write all pins, or leave pyproject.toml as it was."""
    settings_file, makefile = ROOT / "pyproject.toml", ROOT / "Makefile"
    before = settings_file.read_text(encoding="utf-8")
    project = tomllib.loads(before)
    try:
        settings_file.write_text(with_list(before, "constraint-dependencies", []), encoding="utf-8")
        uv("lock", "--upgrade")
        pins = export("--no-hashes").splitlines()
        builders = newest(*project["build-system"]["requires"], BUILDER)
        after = with_list(before, "constraint-dependencies", pins)
        after = with_list(after, "build-constraint-dependencies", builders)
        settings_file.write_text(after, encoding="utf-8")
        uv("lock")
    except BaseException:
        settings_file.write_text(before, encoding="utf-8")
        raise
    (ROOT / "envs/requirements.lock").write_text(LOCK_HEADER + export(), encoding="utf-8")
    wanted = project["project"]["optional-dependencies"]["pipeline"]
    (ROOT / "envs/footprint.yaml").write_text(conda_environment(pins, wanted), encoding="utf-8")
    [uv_pin] = newest(UV)
    recipes = re.sub(r"\buv==[\w.]+", uv_pin, makefile.read_text(encoding="utf-8"))
    makefile.write_text(recipes, encoding="utf-8")
    uv("sync")
    print(f"{len(pins)} packages pinned; run `make test` before committing them")


if __name__ == "__main__":
    main()
