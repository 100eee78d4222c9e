"""Pseudonyms: what is published carries `u-3f9a2c71` in place of a login.

A pseudonym is a keyed hash, so that nobody without the key can find a person by hashing the logins
of a site one by one, and a person keeps one pseudonym as long as the key stays. Commands, names and
folders hold logins too: they stay in `resources/` and are never published.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from footprint.errors import InputError

LOG = logging.getLogger(__name__)

KEY_VARIABLE = "FOOTPRINT_PRIVACY_KEY"
SHORTEST_KEY = 32
"""Characters; 32 hexadecimal digits are 128 bits, beyond guessing."""

PUBLIC_KEY = b"footprint: the public key of simulated people"
"""Protects nobody: for sites whose users do not exist."""

PSEUDONYM_DIGITS = 8
"""Hexadecimal digits: in 1 of 8600 groups of 1000 people, two share a pseudonym (an error)."""

PSEUDONYM = re.compile(rf"u-[0-9a-f]{{{PSEUDONYM_DIGITS}}}")

HOW_TO_MAKE_A_KEY = (
    'make one with `python3 -c "import secrets; print(secrets.token_hex(32))" > privacy.key`, keep '
    "it out of the repository, and name it in privacy.key "
    f"(or put its text into the environment variable {KEY_VARIABLE})"
)


def load_key(setting: str | None, *, simulated: bool, published: str | Path = "results") -> bytes:
    """The key of a study's pseudonyms.

    Args:
        setting: `privacy.key` of the configuration: the path of a file whose text is the key,
            `public` for the key that everybody knows, or None to read the environment variable
            `FOOTPRINT_PRIVACY_KEY`.
        simulated: Whether the site is simulated. Its people do not exist, and its results must be
            the same everywhere: it always has the public key.
        published: Folder of the published results, where no key may lie.

    Raises:
        InputError: No key for real people, a key file that cannot be read or lies inside
            `published`, or a key of fewer than 32 characters. The key is never part of a message.
    """
    if simulated:
        return PUBLIC_KEY
    if setting == "public":
        LOG.warning("privacy.key is `public`: anybody who knows a login can find its pseudonym")
        return PUBLIC_KEY
    if setting is None:
        where = f"environment variable {KEY_VARIABLE}"
        text = os.environ.get(KEY_VARIABLE, "")
        if not text:
            raise InputError(
                "no key for the pseudonyms of real people",
                where="privacy.key",
                do=HOW_TO_MAKE_A_KEY,
            )
    else:
        where = f"privacy.key {setting}"
        text = _read(Path(setting).expanduser(), where=where, published=Path(published))
    key = text.strip()
    if len(key) < SHORTEST_KEY:
        raise InputError(
            f"a key of {len(key)} characters, and {SHORTEST_KEY} is the least",
            where=where,
            do=HOW_TO_MAKE_A_KEY,
        )
    return key.encode()


def _read(path: Path, *, where: str, published: Path) -> str:
    if path.resolve().is_relative_to(published.resolve()):
        raise InputError(
            f"the key lies inside {published}/, which is published",
            where=where,
            do="move it elsewhere and make a new one if that folder was ever shared",
        )
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise InputError(
            f"the key cannot be read ({reason})", where=where, do=HOW_TO_MAKE_A_KEY
        ) from None


def pseudonyms(logins: Iterable[str], *, key: bytes) -> dict[str, str]:
    """Pseudonym of each login: `u-` and the first 8 digits of HMAC-SHA256(key, login).

    Raises:
        InputError: Two logins have the same pseudonym, and their jobs would become one person's.
            Neither is named: messages end in logs, which are published.
    """
    names = {
        login: f"u-{hmac.new(key, login.encode(), hashlib.sha256).hexdigest()[:PSEUDONYM_DIGITS]}"
        for login in sorted(set(logins))
    }
    if len(set(names.values())) < len(names):
        raise InputError(
            f"two of {len(names)} people have the same pseudonym",
            where="privacy.key",
            do="make another key and run again",
        )
    return names


def shown(names: Sequence[str] | Literal["all"], *, key: bytes) -> list[str] | Literal["all"]:
    """Pseudonyms of the people that `levels.users` names, by login or by pseudonym, or `all`."""
    if names == "all":
        return "all"
    logins = [name for name in names if not PSEUDONYM.fullmatch(name)]
    given = [name for name in names if PSEUDONYM.fullmatch(name)]
    return sorted({*given, *pseudonyms(logins, key=key).values()})


def conceal(frame: pl.LazyFrame, *, key: bytes, column: str = "user") -> pl.LazyFrame:
    """`frame` with the logins of `column` replaced by their pseudonyms, in the same order.

    Only the distinct logins are hashed, so a million jobs cost as much as their few hundred owners.
    A null stays null.
    """
    logins = frame.select(pl.col(column).drop_nulls().unique()).collect().to_series()
    names = pseudonyms(logins, key=key)
    return frame.with_columns(
        pl.col(column).replace_strict(
            list(names), list(names.values()), default=None, return_dtype=pl.String
        )
    )
