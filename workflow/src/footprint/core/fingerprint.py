"""Fingerprint of the code behind a rule, and the provenance line of figures and tables.

Snakemake runs a rule again if its script changes, but not if a module that the script imports
changes. A hash of those modules is therefore a parameter of the rule.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from footprint import __version__

LIBRARY_FOLDER = Path(__file__).parents[1]


class Library:
    """Files of the library, each read and parsed once, at the first use.

    Args:
        folder: Folder of the library's top package.
    """

    def __init__(self, folder: Path = LIBRARY_FOLDER) -> None:
        self.folder = folder
        self._imports: dict[tuple[Path, str], frozenset[Path]] = {}
        self._files: dict[str, frozenset[Path]] = {}
        self._package_files: dict[Path, list[Path]] = {}
        self._digests: dict[Path, bytes] = {}

    def fingerprint(self, script: Path, modules: Iterable[str] = ()) -> str:
        """Return the hash of all library modules that a script imports, directly or indirectly.

        The script itself is left out, since Snakemake watches it. Imports inside functions and
        under `TYPE_CHECKING` count. A package counts with its `__init__` and its data files. Names
        composed at run time (`importlib.import_module(...)`) are not found.

        Args:
            script: Script of a rule.
            modules: Dotted names of further modules or members that the script imports by name at
                run time.

        Returns:
            16 hexadecimal digits.
        """
        digest = hashlib.sha256()
        for path in sorted(self.files_behind(script, modules)):
            digest.update(f"{path.relative_to(self.folder).as_posix()}\0".encode())
            digest.update(self._digest(path))
        return digest.hexdigest()[:16]

    def files_behind(self, script: Path, modules: Iterable[str] = ()) -> set[Path]:
        """Return the files of the library that a script and modules depend on, as full paths."""
        found: set[Path] = set()
        queue = list(self._imported_files(script, package=""))
        for module in modules:
            queue.extend(self._files_of_name(module))
        while queue:
            path = queue.pop()
            if path not in found:
                found.add(path)
                if path.suffix == ".py":
                    package = ".".join(path.relative_to(self.folder.parent).parent.parts)
                    queue.extend(self._imported_files(path, package=package))
        return found

    def _digest(self, path: Path) -> bytes:
        if path not in self._digests:
            self._digests[path] = hashlib.sha256(path.read_bytes()).digest()
        return self._digests[path]

    def _imported_files(self, path: Path, *, package: str) -> frozenset[Path]:
        """Files that one file imports; relative imports start at `package`."""
        if (path, package) not in self._imports:
            names = imported_names(path.read_text(encoding="utf-8"), package)
            files = (self._files_of_name(name) for name in names)
            self._imports[path, package] = frozenset().union(*files)
        return self._imports[path, package]

    def _files_of_name(self, name: str) -> frozenset[Path]:
        """File of a module and of its packages; empty for a name outside the library."""
        if name not in self._files:
            top, *parts = name.split(".")
            is_own = top == self.folder.name
            self._files[name] = frozenset(self._files_on_path(parts) if is_own else ())
        return self._files[name]

    def _files_on_path(self, parts: list[str]) -> Iterator[Path]:
        folder = self.folder
        yield from self._files_of_package(folder)
        for part in parts:
            yield from (each for each in [folder / f"{part}.py"] if each.is_file())
            folder /= part
            yield from self._files_of_package(folder)

    def _files_of_package(self, folder: Path) -> list[Path]:
        """The `__init__` of a package and its data files."""
        if folder not in self._package_files:
            self._package_files[folder] = [
                each
                for each in (folder.iterdir() if folder.is_dir() else ())
                if each.is_file()
                and (each.name == "__init__.py" or each.suffix not in {".py", ".pyc"})
            ]
        return self._package_files[folder]


def describe_study(config: Mapping[str, Any]) -> str:
    """Return the provenance line of figures and tables: site, window, source and version.

    As in `simulated site nancy · 2025-03-03 to 2025-04-28 · footprint 0.1.0`. The second date is
    the end of the study, which is excluded. The source is named unless it is `simulated`.

    Args:
        config: Prepared configuration.
    """
    study, kind = config["study"], config["source"]["kind"]
    is_simulated = kind == "simulated"
    parts = [
        f"simulated site {study['site']}" if is_simulated else study["site"],
        f"{study['start']} to {study['end']}",
        *([] if is_simulated else [kind]),
        f"footprint {__version__}",
    ]
    return " · ".join(parts)


def imported_names(text: str, package: str) -> frozenset[str]:
    """Return the absolute dotted names of the modules and members that a source text imports.

    Args:
        text: Source text of a module.
        package: Package at which its relative imports start.
    """
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
