"""Resolve all packages again and write their pins: `make lock`.

The pins are written to pyproject.toml (name and version, for uv), envs/requirements.lock (with
hashes, for pip), envs/footprint.yaml (packages that rules import, for conda) and the Makefile (the
version of uv). The environment is then updated to the pins.
"""

import os
import re
import subprocess
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PYTHON = "3.11"
# Packages with another name in conda, whose plain matplotlib and seaborn need a graphical toolkit.
CONDA_NAMES = {"matplotlib": "matplotlib-base", "seaborn": "seaborn-base"}
# Snakemake runs the scripts in the environment; they do not import it.
NOT_FOR_RULES = {"snakemake"}
# Needed outside the environment: uv, and the builder of packages without a wheel.
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


def run_uv(*arguments: str, stdin: str | None = None) -> str:
    """Return the output of uv, the same uv that runs this script."""
    command = [os.environ.get("UV", "uv"), *arguments]
    done = subprocess.run(
        command, cwd=ROOT, check=True, text=True, input=stdin, stdout=subprocess.PIPE
    )
    return done.stdout


def export_requirements(*options: str) -> str:
    """Return the locked packages of all groups and extras as requirements of pip."""
    everything = ["--frozen", "--all-groups", "--all-extras", "--no-emit-project"]
    return run_uv("export", *everything, "--no-header", "--no-annotate", *options)


def newest_pins(*requirements: str) -> list[str]:
    """Return pins of these packages alone, for tools outside the environment."""
    options = ["--no-deps", "--no-header", "--no-annotate"]
    return run_uv("pip", "compile", *options, "-", stdin="\n".join(requirements)).splitlines()


def replace_list(settings: str, key: str, values: list[str]) -> str:
    """Return the text of pyproject.toml with the list of `key` replaced by `values`."""
    lines = "".join(f'    "{value}",\n' for value in values)
    block = f"{key} = [\n{lines}]"
    return re.sub(rf"^{key} = \[.*?\]$", lambda _: block, settings, flags=re.M | re.S)


def conda_environment(pins: list[str], wanted: list[str]) -> str:
    """Return a conda environment with the packages `wanted` at the versions of `pins`."""
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
    """Write all pins; after a failure, restore pyproject.toml."""
    settings_file, makefile = ROOT / "pyproject.toml", ROOT / "Makefile"
    original = settings_file.read_text(encoding="utf-8")
    project = tomllib.loads(original)
    try:
        settings_file.write_text(
            replace_list(original, "constraint-dependencies", []), encoding="utf-8"
        )
        run_uv("lock", "--upgrade")
        pins = export_requirements("--no-hashes").splitlines()
        builders = newest_pins(*project["build-system"]["requires"], BUILDER)
        updated = replace_list(original, "constraint-dependencies", pins)
        updated = replace_list(updated, "build-constraint-dependencies", builders)
        settings_file.write_text(updated, encoding="utf-8")
        run_uv("lock")
    except BaseException:
        settings_file.write_text(original, encoding="utf-8")
        raise
    (ROOT / "envs/requirements.lock").write_text(
        LOCK_HEADER + export_requirements(), encoding="utf-8"
    )
    wanted = project["project"]["optional-dependencies"]["pipeline"]
    (ROOT / "envs/footprint.yaml").write_text(conda_environment(pins, wanted), encoding="utf-8")
    [uv_pin] = newest_pins(UV)
    recipes = re.sub(r"\buv==[\w.]+", uv_pin, makefile.read_text(encoding="utf-8"))
    makefile.write_text(recipes, encoding="utf-8")
    run_uv("sync")
    print(f"{len(pins)} packages pinned; run `make test` before committing them")


if __name__ == "__main__":
    main()
