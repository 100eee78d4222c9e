"""Real names, for those who run the study: in a folder `private/`, and only where asked for.

Results carry pseudonyms (`privacy`). With `privacy.reveal: true`, a folder beside them says whose
they are. The folder tells version control to leave it alone, and nobody else on the machine may
open it.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from footprint import privacy
from footprint.errors import InputError

NOTICE = """\
# Not for publication

This folder holds the logins of people. Do not publish it, mail it or add it to a repository.

- `logins.parquet`: the login behind each pseudonym of `results/`
- `levels.parquet`: `results/levels.parquet` by real names, a row for everyone, no group merged
- `runs.parquet`: `results/phases/runs.parquet` by real names

It was written because `privacy.reveal` is true in the configuration. Setting it to false writes
nothing more here and deletes nothing: delete this folder when it has served its purpose.
"""

IGNORED = "*\n"
"""What Git is told to leave out: everything here, this rule included."""


def logins(jobs: pl.LazyFrame, *, key: bytes, reveal: bool) -> pl.LazyFrame:
    """The login behind each pseudonym (`tables.Logins`), sorted by pseudonym.

    Args:
        jobs: `tables.Jobs`, with logins.
        key: The key that made the pseudonyms.
        reveal: `privacy.reveal` of the configuration.

    Raises:
        InputError: The configuration does not ask for real names, or two people have one pseudonym.
    """
    if not reveal:
        raise InputError(
            "real names are written only where the configuration asks for them",
            where="privacy.reveal",
            do="set it to true, and keep the folder private/ to yourself",
        )
    known = jobs.select(pl.col("user").drop_nulls().unique()).collect().to_series()
    names = privacy.pseudonyms(known, key=key)
    frame = pl.LazyFrame(
        {"user": list(names.values()), "login": list(names)},
        {"user": pl.String(), "login": pl.String()},
    )
    return frame.sort("user")


def named(frame: pl.LazyFrame, logins: pl.LazyFrame, *, column: str = "user") -> pl.LazyFrame:
    """`frame` with the pseudonyms of `column` replaced by logins, in the same order.

    A pseudonym that no job bears stays as it is; a null stays null.
    """
    known = logins.select("user", "login").collect()
    return frame.with_columns(pl.col(column).replace(known["user"], known["login"]))


def mark_private(folder: str | Path) -> None:
    """Write `README.md` and `.gitignore` into a folder, and close it to everybody else.

    The folder is made where there is none.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    (folder / "README.md").write_text(NOTICE, encoding="utf-8")
    (folder / ".gitignore").write_text(IGNORED, encoding="utf-8")
