"""Names that people give to papers, projects and runs: one form of each, and safe to show anywhere.

A name may be any text. Where it comes in, it gets one form (`clean_name`); where it is shown, the
form of output escapes it (`markdown`, `core.latex`, tables). The tracker uses this module: it
imports no third-party package.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from difflib import get_close_matches

from footprint.core.errors import InputError

JOINERS = "\u200c\u200d"
"""Invisible characters that spelling needs, as in Persian; other invisible ones are left out."""

MARKDOWN_SPECIAL = re.compile(
    r"[\\`*\[\]<>|~$]"
    r"|&(?=#?\w+;)"  # an entity
    r"|(?<![^\W_])_|_(?![^\W_])"  # not between letters, where it is a character as others
    r"|^ *(?:[#+=-]|\d+[.)])"  # at the start of a line: headings, lists, rules
)
"""Characters to which Markdown gives a meaning at their place."""

FORMULA_START = ("=", "+", "-", "@")
"""First characters by which a spreadsheet takes a cell for a formula (OWASP, CSV injection)."""

MOST_NEAREST = 3


def clean_name(text: str) -> str:
    r"""A name in its one form: Unicode's NFC, on one line, without invisible characters.

    Line breaks and tabs become blanks, other control characters (such as the escape character of
    terminals) become `?`.

    >>> clean_name("De\u0301bruitage\x1b[31m\n")
    'Débruitage?[31m'
    """
    shown = "".join(map(_shown_character, unicodedata.normalize("NFC", text)))
    return shown.strip()


def _shown_character(character: str) -> str:
    if character.isprintable() or character in JOINERS:
        return character
    category = unicodedata.category(character)
    if category in ("Zs", "Zl", "Zp") or character.isspace():
        return character if category == "Zs" else " "
    return "" if category == "Cf" else "?"


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line: neither markup nor HTML."""
    return MARKDOWN_SPECIAL.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", clean_name(text))


def escape_cell(text: str) -> str:
    """Text of a CSV cell that a spreadsheet does not take for a formula: `'=1+1` for `=1+1`."""
    return f"'{text}" if text.lstrip().startswith(FORMULA_START) else text


def near_equal_names(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that differ in case or blanks alone, sorted."""
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        groups.setdefault("".join(name.split()).casefold(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def check_known(name: str, known: Collection[str], *, where: str, what: str) -> None:
    """Refuse a name that is not known, with the nearest names.

    Args:
        name: The name.
        known: Names that there are.
        where: Option that has the name, as `--paper`.
        what: The thing that is named, as `paper`.

    Raises:
        InputError: The name is not known.
    """
    if name in known:
        return
    folded = {each.casefold(): each for each in sorted(known, reverse=True)}
    near = [folded[each] for each in get_close_matches(name.casefold(), folded, MOST_NEAREST)]
    if near:
        do = f"did you mean {' or '.join(f'`{each}`' for each in near)}?"
    elif known:
        shown = sorted(known)
        more = ", ..." if len(shown) > 2 * MOST_NEAREST else ""
        do = f"choose among {', '.join(shown[: 2 * MOST_NEAREST])}{more}"
    else:
        do = f"there is no {what} yet"
    raise InputError(f"there is no {what} {name!r}", where=where, do=do)
