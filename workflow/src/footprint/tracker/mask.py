"""Masking of secrets in a command line before it is recorded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

MASK = "***"

_SECRET_WORDS = {"password", "passwd", "passphrase", "secret", "secrets", "token", "apikey"}
_SECRET_WORDS |= {"credential", "credentials", "auth", "authorization"}
_KEY_QUALIFIERS = {"access", "account", "api", "auth", "encryption", "private"}
_KEY_QUALIFIERS |= {"secret", "session", "ssh"}
"""Words before `key` that mark a secret: `--api-key` holds a secret, `--sort-key` does not."""

_WORD_IN_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NAME = re.compile(r"(?<![\w.-])-{0,2}[A-Za-z_][\w.-]*")
_VALUE = r"""(?:(?:Bearer|Basic|Token)\s+)?(?P<value>"[^"]*"|'[^']*'|[^\s"',}]+)"""
_ASSIGNED_VALUE = re.compile(rf"""["']?\s*[=:]\s*{_VALUE}""")
_OPTION_VALUE = re.compile(rf"""["']?(?:\s*[=:]\s*|\s+(?!--)){_VALUE}""")
_ASSIGNMENT = re.compile(r"-{0,2}[A-Za-z_][\w.-]*=")
_LOGIN_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_TOKEN = re.compile(
    r"\b(?:gh[opsu]_|github_pat_|glpat-|hf_|sk-|xox[abps]-|AKIA|ya29\.)[\w-]{12,}"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
)
"""Tokens with a characteristic prefix, recognised after any name."""


def mask_secrets(command: Iterable[str]) -> list[str]:
    """Words of a command line with `***` in place of passwords, tokens and keys.

    Secrets are recognised by the name of their option or variable (`--api-key X`, `--token=X`,
    `DB_PASSWORD=X`, also inside `bash -c "..."`), by their prefix (`hf_...`), and in addresses
    (`https://user:X@host`). Where the end of a secret is ambiguous, the longer text is masked.

    Args:
        command: Words of the command line.
    """
    words = list(command)
    secret_indices = {
        index + 1
        for index, (word, value) in enumerate(pairwise(words))
        if word.startswith("-")
        and _NAME.fullmatch(word)
        and _is_secret(word)
        and not value.startswith("--")
    }
    return [
        MASK if index in secret_indices else _mask_word(word) for index, word in enumerate(words)
    ]


def _mask_word(word: str) -> str:
    """One word with its secrets masked; the word may be a shell line or an HTTP header."""
    assignment = _ASSIGNMENT.match(word)
    if assignment and _is_secret(assignment[0]):
        return assignment[0] + MASK  # blanks may be part of the secret
    return _TOKEN.sub(MASK, _LOGIN_IN_ADDRESS.sub(MASK, "".join(_mask_values(word))))


def _mask_values(text: str) -> Iterator[str]:
    """Consecutive parts of a text, with the value after each secret name masked."""
    position = 0
    for name in _NAME.finditer(text):
        if name.start() >= position and _is_secret(name[0]):
            pattern = _OPTION_VALUE if name[0].startswith("-") else _ASSIGNED_VALUE
            match = pattern.match(text, name.end())
            if match:
                yield text[position : match.start("value")] + MASK
                position = match.end("value")
    yield text[position:]


def _is_secret(name: str) -> bool:
    """Whether an option or a variable of this name holds a secret."""
    words = [word.lower() for word in _WORD_IN_NAME.findall(name)]
    if len(words) == 1 and words[0] in ("key", "pwd"):
        return name.startswith("-")  # the variable PWD is a folder
    return (
        bool(_SECRET_WORDS & set(words))
        or "pwd" in words
        or any(first in _KEY_QUALIFIERS and second == "key" for first, second in pairwise(words))
    )
