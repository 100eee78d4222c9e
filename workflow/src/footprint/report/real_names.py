"""Real names for the person who runs the study, in a folder `private/` with restricted access.

Results have pseudonyms (`core.pseudonyms`). With `privacy.reveal: true`, the folder lists the login
behind each pseudonym. Git ignores the folder, and only its owner can open it.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from footprint.core import pseudonyms
from footprint.core.errors import InputError

FOLDER_NOTICE = """\
# Not for publication

This folder holds the logins of people. Do not publish it, mail it or add it to a repository.

- `logins.parquet`: the login behind each pseudonym of `results/`
- `levels.parquet`: `results/levels.parquet` with real names, without merged groups
- `runs.parquet`: `results/phases/runs.parquet` with real names

It was written because `privacy.reveal` is true in the configuration. Setting it to false stops the
writing and deletes nothing: delete this folder when you no longer need it.
"""

GITIGNORE = "*\n"
"""Content of `.gitignore`: Git ignores every file of the folder, this one included."""


def logins_of_pseudonyms(jobs: pl.LazyFrame, *, key: bytes, reveal: bool) -> pl.LazyFrame:
    """The login behind each pseudonym (`schemas.Logins`), sorted by pseudonym.

    Args:
        jobs: `schemas.Jobs`, with logins.
        key: Key of the pseudonyms.
        reveal: `privacy.reveal` of the configuration.

    Raises:
        InputError: `privacy.reveal` is false, or two people have one pseudonym.
    """
    if not reveal:
        raise InputError(
            "real names are written only if it is true",
            where="privacy.reveal",
            do="set it to true, and do not share the folder private/",
        )
    known = jobs.select(pl.col("user").drop_nulls().unique()).collect().to_series()
    names = pseudonyms.pseudonyms_of(known, key=key)
    frame = pl.LazyFrame(
        {"user": list(names.values()), "login": list(names)},
        {"user": pl.String(), "login": pl.String()},
    )
    return frame.sort("user")


def replace_pseudonyms(
    frame: pl.LazyFrame, logins: pl.LazyFrame, *, column: str = "user"
) -> pl.LazyFrame:
    """`frame` with the pseudonyms in `column` replaced by logins; the order of rows is kept.

    A pseudonym of no job and a null are unchanged.

    Args:
        frame: A frame with a column of pseudonyms.
        logins: `schemas.Logins`.
        column: The column of pseudonyms.
    """
    known = logins.select("user", "login").collect()
    return frame.with_columns(pl.col(column).replace(known["user"], known["login"]))


def mark_private(folder: str | Path) -> None:
    """Write `README.md` and `.gitignore` into a folder, and restrict access to its owner.

    A missing folder is created.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    (folder / "README.md").write_text(FOLDER_NOTICE, encoding="utf-8")
    (folder / ".gitignore").write_text(GITIGNORE, encoding="utf-8")
