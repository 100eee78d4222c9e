"""Fingerprint of the code behind a rule.

Snakemake runs a rule again if its script changes, but not if a function that the script calls
changes. A hash of the definitions that a script uses, directly or indirectly, is therefore a
parameter of the rule. Comments, docstrings, and definitions that the script does not use leave it
as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from footprint.core.definitions import Definitions, Statement, read_definitions

LIBRARY_FOLDER = Path(__file__).parents[1]


class Library:
    """Modules of the library, each read and parsed once, at the first use.

    Args:
        folder: Folder of the library's top package.
        loaded_by_name: Modules that a module imports by names composed at run time, which its
            source text does not show.
    """

    def __init__(
        self,
        folder: Path = LIBRARY_FOLDER,
        *,
        loaded_by_name: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self.folder = folder
        self._loaded_by_name = loaded_by_name or {}
        self._modules: dict[str, Definitions] = {}
        self._contents: dict[tuple[str, str], bytes] = {}
        self._parts: dict[str, tuple[str, str]] = {}
        self._data_files: dict[Path, dict[str, Path]] = {}
        self._used: dict[tuple[str, str], frozenset[tuple[str, str]]] = {}

    def fingerprint(self, script: Path, modules: Iterable[str] = ()) -> str:
        """Return the hash of all definitions of the library that a script uses.

        The script itself is left out, since Snakemake watches it. Data files count where a
        definition quotes their name.

        Args:
            script: Script of a rule.
            modules: Dotted names of modules that the script imports by name at run time.

        Returns:
            16 hexadecimal digits.
        """
        digest = hashlib.sha256()
        for found in sorted(self.definitions_behind(script, modules)):
            if found not in self._contents:
                self._contents[found] = b"".join(self._content(*found))
            digest.update(self._contents[found])
        return digest.hexdigest()[:16]

    def _content(self, module: str, name: str) -> Iterator[bytes]:
        """What the fingerprint covers of a definition."""
        for each in self._statements(module, name):
            yield f"{module}\0{each.text}\0".encode()
            yield self._meaning_of_names(module, each).encode()
            for path in self._quoted_files(module, each):
                yield path.read_bytes()

    def _meaning_of_names(self, module: str, statement: Statement) -> str:
        """What the names of a statement stand for that its module imports, of any library."""
        imports = self._definitions(module).imports
        used = {name.partition(".")[0] for name in statement.uses.names} & imports.keys()
        return "".join(f"{name}={sorted(imports[name])}\0" for name in sorted(used))

    def definitions_behind(self, script: Path, modules: Iterable[str] = ()) -> set[tuple[str, str]]:
        """Return module and name of each definition that a script uses.

        The name is empty for the statements that the import of a module executes.

        Args:
            script: Script of a rule.
            modules: Dotted names of modules that the script imports by name at run time.
        """
        own = read_definitions(script.read_text(encoding="utf-8"), package="")
        statements = [*own.effects, *(each for all_ in own.by_name.values() for each in all_)]
        queue = [
            *self._effects_of(own.imports),
            *(found for each in statements for found in self._used_by(each, own, "")),
            *(found for module in modules for found in self._resolve(module)),
        ]
        behind: set[tuple[str, str]] = set()
        while queue:
            found = queue.pop()
            if found not in behind:
                behind.add(found)
                queue.extend(self._used_directly(*found))
        return behind

    def _used_directly(self, module: str, name: str) -> frozenset[tuple[str, str]]:
        """Definitions that one definition uses, or that the import of its module executes."""
        if (module, name) not in self._used:
            own = self._definitions(module)
            used = {
                found
                for each in self._statements(module, name)
                for found in self._used_by(each, own, module)
            }
            if name:
                used.add((module, ""))
            else:
                used.update(self._effects_of(own.imports))
                used.update((parent, "") for parent in self._parents(module))
                for loaded in self._loaded_by_name.get(module, ()):
                    used.update(self._resolve(loaded))
            self._used[module, name] = frozenset(used)
        return self._used[module, name]

    def _effects_of(self, imports: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
        """Statements that imports execute."""
        for targets in imports.values():
            for target in targets:
                if module := self._split(target)[0]:
                    yield module, ""

    def _used_by(
        self, statement: Statement, own: Definitions, module: str
    ) -> Iterator[tuple[str, str]]:
        """Definitions of the library behind the names in a statement of a module."""
        yield from self._effects_of(statement.uses.imports)
        for name in statement.uses.names:
            first, _, rest = name.partition(".")
            if module and first in own.by_name:
                yield module, first
            for imports in (own.imports, statement.uses.imports):
                for target in imports.get(first, ()):
                    yield from self._resolve(f"{target}.{rest}" if rest else target)

    def _resolve(self, dotted: str) -> Iterator[tuple[str, str]]:
        """Definitions that an absolute dotted name stands for: of a module, all of them."""
        module, rest = self._split(dotted)
        if not module:
            return
        own = self._definitions(module)
        name, _, more = rest.partition(".")
        yield module, ""
        if not name:
            yield from ((module, each) for each in own.by_name)
        elif name in own.by_name:
            yield module, name
        elif name in own.imports:
            for target in own.imports[name] - {f"{module}.{name}"}:
                yield from self._resolve(f"{target}.{more}" if more else target)
        elif "__getattr__" in own.by_name:
            yield module, "__getattr__"

    def _split(self, dotted: str) -> tuple[str, str]:
        """Longest module of the library at the start of a dotted name, and the rest."""
        if dotted not in self._parts:
            names = dotted.split(".")
            count = int(names[0] == self.folder.name)
            while 0 < count < len(names) and self._path(".".join(names[: count + 1])).is_file():
                count += 1
            self._parts[dotted] = ".".join(names[:count]), ".".join(names[count:])
        return self._parts[dotted]

    @staticmethod
    def _parents(module: str) -> list[str]:
        parts = module.split(".")
        return [".".join(parts[:count]) for count in range(1, len(parts))]

    def _path(self, module: str) -> Path:
        base = self.folder.joinpath(*module.split(".")[1:])
        return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")

    def _definitions(self, module: str) -> Definitions:
        if module not in self._modules:
            path = self._path(module)
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            text = path.read_text(encoding="utf-8")
            self._modules[module] = read_definitions(text, package=package)
        return self._modules[module]

    def _statements(self, module: str, name: str) -> list[Statement]:
        own = self._definitions(module)
        return own.by_name[name] if name else own.effects

    def _quoted_files(self, module: str, statement: Statement) -> list[Path]:
        """Data files beside a module whose name a statement quotes."""
        folder = self._path(module).parent
        if folder not in self._data_files:
            files = (path for path in folder.iterdir() if path.is_file())
            self._data_files[folder] = {path.name: path for path in files}
        own = self._data_files[folder]
        return [own[name] for name in sorted(statement.uses.texts & own.keys())]
