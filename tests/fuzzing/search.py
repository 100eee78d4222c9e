"""Search for faults of the readers in mutated inputs: `make fuzz`.

    python -m tests.fuzzing.search [--inputs 6000] [--seed 1] [--format NAME] [--keep FOLDER]

A fault is a traceback, an error of several lines or without the file's name, a time over 20 s, a
memory over 2 GB, or an energy that changed without a counter or a message.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from footprint.core.errors import InputError
from tests.fuzzing import formats, mutations

LONGEST_S = 20
LARGEST_MEMORY_KB = 2_000_000
REFUSED, COUNTED, UNCHANGED, OTHER = (
    "refused in one line",
    "counted",
    "unchanged",
    "read as written",
)
FAULT = "FAULT"
CLASSES = (REFUSED, COUNTED, UNCHANGED, OTHER, FAULT)


class Outcome(NamedTuple):
    """Class of an input, and what happened."""

    kind: str
    detail: str


class Hang(BaseException):
    """A reader took too long; no reader catches it."""


def judge(name: str, mutant: mutations.Mutant, folder: Path, good: formats.Reading) -> Outcome:
    """Class of a mutant.

    Args:
        name: Name of its format.
        mutant: The mutant.
        folder: Folder of a study, of which the format's file is replaced.
        good: Reading of the good input.
    """
    each = formats.FORMATS[name]
    file = folder / each.file
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = file.read_bytes() if file.exists() else None
    file.write_bytes(mutant.content)
    try:
        with _limited(LONGEST_S):
            found = each.read(folder, file)
    except InputError as error:
        return _judge_refusal(str(error), file)
    except Hang:
        return Outcome(FAULT, f"more than {LONGEST_S} s")
    except BaseException:
        return Outcome(FAULT, traceback.format_exc())
    finally:
        file.unlink()
        if kept is not None:
            file.write_bytes(kept)
    if found.n_counted > good.n_counted:
        return Outcome(COUNTED, "")
    if found.amounts == good.amounts:
        return Outcome(UNCHANGED, "")
    if mutant.effect == mutations.OTHER:
        return Outcome(OTHER, f"{good} became {found}")
    return Outcome(FAULT, f"{mutant.effect}, and {good} became {found}")


def _judge_refusal(message: str, file: Path) -> Outcome:
    if not message.isprintable():
        return Outcome(FAULT, f"a message of several lines: {message!r}")
    # an error of a value of the configuration names its key
    is_key = file.name == "config.yaml" and re.match(r".+?: ", message)
    if file.name not in message and file.parent.name not in message and not is_key:
        return Outcome(FAULT, f"a message without the file: {message[:300]}")
    return Outcome(REFUSED, message)


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def mutants(name: str, *, seed: int, n: int) -> Iterator[mutations.Mutant]:
    """The first mutants of a format: the same for the same seed."""
    each = formats.FORMATS[name]
    for number in range(n):
        random = Random(zlib.crc32(f"{seed} {name} {number}".encode()))
        yield mutations.mutate(each.content, each.document, random)


class Finding(NamedTuple):
    """A faulty outcome of a mutant."""

    name: str
    number: int
    mutant: mutations.Mutant
    outcome: Outcome


def search(
    folder: Path, *, seed: int, n_each: int, names: tuple[str, ...] = tuple(formats.FORMATS)
) -> tuple[dict[str, Counter[str]], list[Finding]]:
    """Counts of classes by format, and the faults.

    Args:
        folder: An empty folder.
        seed: Seed of the mutations.
        n_each: Inputs of each format.
        names: Names of the formats.
    """
    counts: dict[str, Counter[str]] = {}
    faults: list[Finding] = []
    logging.disable(logging.NOTSET)
    for name in names:
        study = folder / name.replace(" ", "-").replace(",", "")
        formats.write_study(study)
        each = formats.FORMATS[name]
        (study / each.file).parent.mkdir(parents=True, exist_ok=True)
        (study / each.file).write_bytes(each.content)
        good = each.read(study, study / each.file)
        counts[name] = Counter()
        for number, mutant in enumerate(mutants(name, seed=seed, n=n_each)):
            outcome = judge(name, mutant, study, good)
            counts[name][outcome.kind] += 1
            if outcome.kind == FAULT:
                faults.append(Finding(name, number, mutant, outcome))
    return counts, faults


def main() -> None:
    """Search, print the counts by format and class, and fail if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", action="append", choices=list(formats.FORMATS))
    parser.add_argument("--keep", type=Path, help="folder for inputs that show a fault")
    given = parser.parse_args()
    logging.getLogger().addHandler(logging.NullHandler())
    names = tuple(given.format or formats.FORMATS)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        n_each = max(1, -(-given.inputs // len(names)))
        counts, faults = search(Path(folder), seed=given.seed, n_each=n_each, names=names)
    print(f"{'format':<20}" + "".join(f"{kind:>20}" for kind in CLASSES))
    for name, count in counts.items():
        print(f"{name:<20}" + "".join(f"{count[kind]:>20}" for kind in CLASSES))
    total = sum(counts.values(), Counter[str]())
    print(f"{'all':<20}" + "".join(f"{total[kind]:>20}" for kind in CLASSES))
    memory_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = time.monotonic() - start
    print(f"{total.total()} inputs, {seconds:.0f} s, {memory_kb / 1e6:.2f} GB at most")
    seen: Counter[str] = Counter()
    for fault in faults:
        last = fault.outcome.detail.strip().splitlines()
        key = " | ".join(line.strip() for line in last[-3:])[:300]
        seen[f"{fault.name}: {key}"] += 1
        if seen[f"{fault.name}: {key}"] == 1:
            print(
                f"\n{fault.name}, input {fault.number} ({fault.mutant.mutation})\n"
                f"{fault.mutant.content[:300]!r}\n{fault.outcome.detail[-1500:]}"
            )
        if given.keep:
            given.keep.mkdir(parents=True, exist_ok=True)
            file = formats.FORMATS[fault.name].file.replace(os.sep, "-")
            (given.keep / f"{fault.name}-{fault.number}-{file}").write_bytes(fault.mutant.content)
    if memory_kb > LARGEST_MEMORY_KB:
        print("FAULT: more than 2 GB of memory")
    sys.exit(1 if faults or memory_kb > LARGEST_MEMORY_KB else 0)


if __name__ == "__main__":
    main()
