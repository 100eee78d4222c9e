"""Secrets in a command line, taken out before it is written down."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

MASK = "***"

_SECRET = {"password", "passwd", "passphrase", "secret", "secrets", "token", "apikey"}
_SECRET |= {"credential", "credentials", "auth", "authorization"}
_KEYS = {"access", "account", "api", "auth", "encryption", "private", "secret", "session", "ssh"}
"""Words that make a key a secret one: `--api-key` is, `--sort-key` is not."""

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NAME = re.compile(r"(?<![\w.-])-{0,2}[A-Za-z_][\w.-]*")
_VALUE = r"""(?:(?:Bearer|Basic|Token)\s+)?(?P<value>"[^"]*"|'[^']*'|[^\s"',}]+)"""
_ASSIGNED = re.compile(rf"""["']?\s*[=:]\s*{_VALUE}""")
_OPTION = re.compile(rf"""["']?(?:\s*[=:]\s*|\s+(?!--)){_VALUE}""")
_WHOLE = re.compile(r"-{0,2}[A-Za-z_][\w.-]*=")
_LOGIN = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_KNOWN = re.compile(
    r"\b(?:gh[opsu]_|github_pat_|glpat-|hf_|sk-|xox[abps]-|AKIA|ya29\.)[\w-]{12,}"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
)
"""Tokens that can be told by their beginning, whatever stands before them."""


def masked(command: Iterable[str]) -> list[str]:
    """A command line with `***` in place of passwords, tokens and keys.

    Found by the name of an option or variable (`--api-key X`, `--token=X`, `DB_PASSWORD=X`, also
    inside `bash -c "..."`), by their own shape (`hf_...`), and in addresses (`https://user:X@host`).
    Where it is not clear how far a secret goes, more is masked rather than less.

    Args:
        command: Words of the command line.
    """
    words = list(command)
    hidden = {
        place + 1
        for place, (word, value) in enumerate(pairwise(words))
        if word.startswith("-")
        and _NAME.fullmatch(word)
        and _is_secret(word)
        and not value.startswith("--")
    }
    return [MASK if place in hidden else _text(word) for place, word in enumerate(words)]


def _text(text: str) -> str:
    """One word of a command line, which may be a line for a shell or a header."""
    whole = _WHOLE.match(text)
    if whole and _is_secret(whole[0]):
        return whole[0] + MASK  # blanks may be part of the secret
    return _KNOWN.sub(MASK, _LOGIN.sub(MASK, "".join(_pieces(text))))


def _pieces(text: str) -> Iterator[str]:
    at = 0
    for name in _NAME.finditer(text):
        if name.start() >= at and _is_secret(name[0]):
            after = (_OPTION if name[0].startswith("-") else _ASSIGNED).match(text, name.end())
            if after:
                yield text[at : after.start("value")] + MASK
                at = after.end("value")
    yield text[at:]


def _is_secret(name: str) -> bool:
    """Whether an option or a variable of this name holds a secret."""
    words = [part.lower() for part in _PARTS.findall(name)]
    if len(words) == 1 and words[0] in ("key", "pwd"):
        return name.startswith("-")  # not the variable PWD, a folder
    return (
        bool(_SECRET & set(words))
        or "pwd" in words
        or any(first in _KEYS and second == "key" for first, second in pairwise(words))
    )
