"""Apply each mutation of mutations.yaml to a copy of the library, and report whether a test fails.

    python tests/support/mutate.py [--only TEXT] [--list]

Prints a line for each: found, SURVIVED (all of its tests pass), BROKEN (the mutated code cannot be
imported) or STALE (its text does not occur exactly once in the file). The exit status is 1 unless
all are found. Nothing in the working tree is changed.
"""

from __future__ import annotations

import argparse
import compileall
import multiprocessing
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from py_compile import PycInvalidationMode
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "workflow/src"
MUTATION_LIST = Path(__file__).with_name("mutations.yaml")
TIMEOUT_S = 600
"""Seconds after which tests are stopped; the mutation then counts as found."""
PRELOADED_MODULES = (
    "pytest",
    "polars",
    "polars.testing",
    "numpy",
    "hypothesis",
    "dataframely",
    "yaml",
)
COLLECTION_FAILED = "ERROR collecting"


class Mutation(NamedTuple):
    """Mutation of one file.

    Attributes:
        name: Its name.
        file: The file, below workflow/src/footprint.
        kind: `factor`, `extremum`, `dropped` or `swapped`.
        was: The text to replace.
        becomes: The text to put there.
        columns: Published columns that become wrong: `jobs.measured_kwh`.
        tests: Files of tests, one of which must fail.
    """

    name: str
    file: str
    kind: str
    was: str
    becomes: str
    columns: tuple[str, ...]
    tests: tuple[str, ...]

    def count(self, source: Path = SOURCE) -> int:
        """Count the text to replace in the file; 1, unless the code has changed."""
        return (source / "footprint" / self.file).read_text(encoding="utf-8").count(self.was)


def load_mutations(path: Path = MUTATION_LIST) -> list[Mutation]:
    """Return the mutations of the list, in order."""
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [
        Mutation(
            file=group["file"],
            tests=tuple(each.get("tests", group["tests"])),
            columns=tuple(each["columns"]),
            **{name: each[name] for name in ("name", "kind", "was", "becomes")},
        )
        for group in groups
        for each in group["mutations"]
    ]


class PytestRun(NamedTuple):
    """Exit status of pytest, None if it was stopped, and its output."""

    status: int | None
    output: str


def run_tests(tests: Sequence[str], library: Path) -> PytestRun:
    """Run pytest on files of tests until one fails, with the library in a folder.

    Each run is a fork of one process that has imported everything but the library, because imports
    take longer than the tests.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED_MODULES))
    with NamedTemporaryFile(mode="r", encoding="utf-8") as output:
        process = context.Process(target=_pytest, args=(list(tests), str(library), output.name))
        process.start()
        process.join(TIMEOUT_S)
        if process.is_alive():
            process.kill()
            process.join()
            return PytestRun(None, output.read())
        return PytestRun(process.exitcode, output.read())


def _pytest(tests: list[str], library: str, output: str) -> None:
    """Run pytest in this process, which ends with its exit status."""
    os.chdir(ROOT)
    os.environ["PYTHONPATH"] = library
    sys.path.insert(0, library)
    sys.dont_write_bytecode = True
    with Path(output).open("w", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    preloaded = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
    sys.exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *preloaded, *tests])))


def judge_mutation(mutation: Mutation, library: Path) -> str:
    """Return `found`, `SURVIVED`, `BROKEN` or `STALE` for a mutation.

    Args:
        mutation: The mutation.
        library: Folder with a copy of the library, restored afterwards.
    """
    if mutation.count(library) != 1:
        return "STALE"
    path = library / "footprint" / mutation.file
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(mutation.was, mutation.becomes), encoding="utf-8")
    try:
        ran = run_tests(mutation.tests, library)
    finally:
        path.write_text(text, encoding="utf-8")
    if ran.status == 0:
        return "SURVIVED"
    is_broken = COLLECTION_FAILED in ran.output or ran.status not in (None, 1)
    return "BROKEN" if is_broken else "found"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutations, print the verdicts, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", metavar="TEXT", help="only mutations of this file, or with this in the name"
    )
    parser.add_argument("--list", action="store_true", help="print the names, and run nothing")
    options = parser.parse_args(arguments)
    chosen = [
        each
        for each in load_mutations()
        if options.only in (None, Path(each.file).name) or options.only in each.name
    ]
    if options.list or not chosen:
        print(*(f"{each.name}  {each.file}  {' '.join(each.columns)}" for each in chosen), sep="\n")
        return 0 if chosen else 1
    with TemporaryDirectory() as folder:
        library = Path(folder)
        shutil.copytree(SOURCE, library, dirs_exist_ok=True)
        # checked by hash: two mutations may agree in size and modification time
        compileall.compile_dir(
            library, quiet=1, force=True, invalidation_mode=PycInvalidationMode.CHECKED_HASH
        )
        tests = sorted({test for each in chosen for test in each.tests})
        if (unmutated := run_tests(tests, library)).status != 0:
            print(unmutated.output, "the tests fail without any mutation: fix these first")
            return 1
        verdicts = []
        for each in chosen:
            verdicts.append(judge_mutation(each, library))
            print(f"{verdicts[-1]:<9} {each.name}  ({', '.join(each.columns)})", flush=True)
    n_found = verdicts.count("found")
    print(f"{n_found} of {len(verdicts)} mutations are found")
    return 0 if n_found == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
