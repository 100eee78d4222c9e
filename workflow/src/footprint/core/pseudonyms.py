"""Pseudonyms such as `u-3f9a2c71`, which replace logins in all published files.

A pseudonym is a keyed hash of the login. Without the key, no reader finds a person by hashing all
logins of a site. A person keeps the pseudonym as long as the key stays the same. Commands, names of
jobs and folders also contain logins; they stay in `resources/` and are never published.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from footprint.core import input_files
from footprint.core.errors import InputError

LOG = logging.getLogger(__name__)

KEY_VARIABLE = "FOOTPRINT_PRIVACY_KEY"
MIN_KEY_LENGTH = 32
"""In characters; 32 hexadecimal digits are 128 bits, which cannot be guessed."""

KEY_PATTERN = re.compile(r"[A-Za-z0-9_+/=-]+")
"""Characters of hexadecimal and Base64 texts. A sentence or a file of another kind has others."""

MIN_DISTINCT_CHARACTERS = 8
"""32 random hexadecimal digits have fewer different ones in 1 of 10^7 keys."""

MAX_KEY_FILE_MB = 0.001

PUBLIC_KEY = b"footprint: the public key of simulated people"
"""Key of sites without real users; it protects nobody."""

PSEUDONYM_DIGITS = 8
"""Hexadecimal digits of a pseudonym.

In 1 of 8600 groups of 1000 people two have the same pseudonym, which is an error.
"""

PSEUDONYM_PATTERN = re.compile(rf"u-[0-9a-f]{{{PSEUDONYM_DIGITS}}}")

HOW_TO_MAKE_A_KEY = (
    'make one with `python3 -c "import secrets; print(secrets.token_hex(32))" > privacy.key`, keep '
    "it out of the repository, run `chmod 600 privacy.key`, and set privacy.key to its path "
    f"(or the environment variable {KEY_VARIABLE} to its text)"
)


def load_key(setting: str | None, *, simulated: bool, published: str | Path = "results") -> bytes:
    """Return the key of a study's pseudonyms.

    Args:
        setting: `privacy.key` of the configuration: path of a file that contains the key, `public`
            for `PUBLIC_KEY`, or None to read the environment variable `FOOTPRINT_PRIVACY_KEY`.
        simulated: Whether the site is simulated. Its key is always `PUBLIC_KEY`, since its people
            do not exist and its results must be the same everywhere.
        published: Folder of the published results, which must not contain the key file.

    Raises:
        InputError: There is no key for real people, the key file cannot be read or is inside
            `published`, or the key has fewer than 32 characters. No message contains the key.
    """
    if simulated:
        return PUBLIC_KEY
    if setting == "public":
        LOG.warning("privacy.key is `public`: anybody with a login can compute its pseudonym")
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
        text = _read_key_file(Path(setting).expanduser(), where=where, published=Path(published))
    key = text.strip()
    if len(key) < MIN_KEY_LENGTH:
        raise InputError(
            f"the key has {len(key)} characters; the minimum is {MIN_KEY_LENGTH}",
            where=where,
            do=HOW_TO_MAKE_A_KEY,
        )
    if not KEY_PATTERN.fullmatch(key) or len(set(key)) < MIN_DISTINCT_CHARACTERS:
        raise InputError(
            "this is no random key: one line of letters, digits and -_+/=, at least "
            f"{MIN_DISTINCT_CHARACTERS} of them different",
            where=where,
            do=HOW_TO_MAKE_A_KEY,
        )
    return key.encode()


def _read_key_file(path: Path, *, where: str, published: Path) -> str:
    if path.resolve().is_relative_to(published.resolve()):
        raise InputError(
            f"the key file is inside {published}/, which is published",
            where=where,
            do="move it to another folder; make a new key if that folder was ever shared",
        )
    try:
        text = input_files.read_text(path, where=where, most_mb=MAX_KEY_FILE_MB)
    except InputError as error:
        what = f"the key cannot be read ({error.what})"
        raise InputError(what, where=where, do=HOW_TO_MAKE_A_KEY) from None
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError("other users can read the key", where=where, do=f"run: chmod 600 {path}")
    return text


def pseudonyms_of(logins: Iterable[str], *, key: bytes) -> dict[str, str]:
    """Return the pseudonym of each login: `u-` and the first 8 digits of HMAC-SHA256(key, login).

    Raises:
        InputError: Two logins have the same pseudonym, so that their jobs would be merged. The
            message names neither, since logs may be published.
    """
    names = {
        login: f"u-{hmac.new(key, login.encode(), hashlib.sha256).hexdigest()[:PSEUDONYM_DIGITS]}"
        for login in sorted(set(logins))
    }
    if len(set(names.values())) < len(names):
        raise InputError(
            f"two of {len(names)} people have the same pseudonym",
            where="privacy.key",
            do="make another key and run the workflow again",
        )
    return names


def shown_pseudonyms(
    names: Sequence[str] | Literal["all"], *, key: bytes
) -> list[str] | Literal["all"]:
    """Return the pseudonyms of the people in `levels.users`, sorted, or `all`.

    Args:
        names: Logins or pseudonyms, or `all`.
        key: Key of the pseudonyms.
    """
    if names == "all":
        return "all"
    logins = [name for name in names if not PSEUDONYM_PATTERN.fullmatch(name)]
    given = [name for name in names if PSEUDONYM_PATTERN.fullmatch(name)]
    return sorted({*given, *pseudonyms_of(logins, key=key).values()})


def conceal_logins(frame: pl.LazyFrame, *, key: bytes, column: str = "user") -> pl.LazyFrame:
    """Return `frame` with the logins of `column` replaced by pseudonyms, in the same order.

    Each distinct login is hashed once, so the time depends on the number of people, not of jobs. A
    null stays null.

    Args:
        frame: Rows with the column `column`.
        key: Key of the pseudonyms.
        column: Column of logins.
    """
    logins = frame.select(pl.col(column).drop_nulls().unique()).collect().to_series()
    names = pseudonyms_of(logins, key=key)
    return frame.with_columns(
        pl.col(column).replace_strict(
            list(names), list(names.values()), default=None, return_dtype=pl.String
        )
    )
