"""What a result was computed by: the code behind a rule, and the line at the foot of a figure.

Snakemake runs a rule again when its script changes, but not when a module that the script imports
does. A fingerprint of those modules, given to the rule as a parameter, closes that gap.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from footprint import __version__

LIBRARY = Path(__file__).parent


class Library:
    """The library as it is when first looked at: each file is read and parsed once.

    Args:
        folder: Folder of the library's top package.
    """

    def __init__(self, folder: Path = LIBRARY) -> None:
        self.folder = folder
        self._imports: dict[tuple[Path, str], frozenset[Path]] = {}
        self._named: dict[str, frozenset[Path]] = {}
        self._beside: dict[Path, list[Path]] = {}
        self._digests: dict[Path, bytes] = {}

    def fingerprint(self, script: Path) -> str:
        """Hash of every module of the library that a script imports, directly or through others.

        The script itself is left out: Snakemake watches it. Imports inside functions and for type
        checkers count. A package counts with its `__init__` and the data files beside it. Names
        that are only put together at run time (`importlib.import_module(...)`) are not seen.

        Args:
            script: The script of a rule.
        """
        digest = hashlib.sha256()
        for path in sorted(self.files_behind(script)):
            digest.update(f"{path.relative_to(self.folder).as_posix()}\0".encode())
            digest.update(self._digest(path))
        return digest.hexdigest()[:16]

    def files_behind(self, script: Path) -> set[Path]:
        """Files of the library that a script depends on; keyed by path, since names may repeat."""
        found: set[Path] = set()
        queue = list(self._imported(script, package=""))
        while queue:
            path = queue.pop()
            if path not in found:
                found.add(path)
                if path.suffix == ".py":
                    package = ".".join(path.relative_to(self.folder.parent).parent.parts)
                    queue.extend(self._imported(path, package=package))
        return found

    def _digest(self, path: Path) -> bytes:
        if path not in self._digests:
            self._digests[path] = hashlib.sha256(path.read_bytes()).digest()
        return self._digests[path]

    def _imported(self, path: Path, *, package: str) -> frozenset[Path]:
        """Files that one file imports; `package` is where its relative imports start."""
        if (path, package) not in self._imports:
            names = imported_names(path.read_text(encoding="utf-8"), package)
            files = (self._files_of(name) for name in names)
            self._imports[path, package] = frozenset().union(*files)
        return self._imports[path, package]

    def _files_of(self, name: str) -> frozenset[Path]:
        """A module's file and those of the packages that hold it; other names have none."""
        if name not in self._named:
            top, *parts = name.split(".")
            self._named[name] = frozenset(self._below(parts) if top == self.folder.name else ())
        return self._named[name]

    def _below(self, parts: list[str]) -> Iterator[Path]:
        folder = self.folder
        yield from self._package_files(folder)
        for part in parts:
            yield from (each for each in [folder / f"{part}.py"] if each.is_file())
            folder /= part
            yield from self._package_files(folder)

    def _package_files(self, folder: Path) -> list[Path]:
        """The `__init__` of a package and the data files beside it."""
        if folder not in self._beside:
            self._beside[folder] = [
                each
                for each in (folder.iterdir() if folder.is_dir() else ())
                if each.is_file()
                and (each.name == "__init__.py" or each.suffix not in {".py", ".pyc"})
            ]
        return self._beside[folder]


def describe(config: Mapping[str, Any]) -> str:
    """Site, period, source and version, for the foot of a figure or a table.

    As in `simulated site nancy · 2025-03-03 to 2025-04-28 · footprint 0.1.0`; the second date is
    the end of the study, which is excluded. Other sources than the simulated one are named.
    """
    study, kind = config["study"], config["source"]["kind"]
    simulated = kind == "simulated"
    parts = [
        f"simulated site {study['site']}" if simulated else study["site"],
        f"{study['start']} to {study['end']}",
        *([] if simulated else [kind]),
        f"footprint {__version__}",
    ]
    return " · ".join(parts)


def imported_names(text: str, package: str) -> frozenset[str]:
    """Absolute dotted names that a source text imports, as modules or from modules."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # Each dot after the first leaves one more package; `from . import x` names no module.
            parents = package.split(".")
            start = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (start, node.module) if part)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return frozenset(names)
