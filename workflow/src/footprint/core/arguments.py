"""The parser of every command of `footprint`: one style of help, and nearest names in errors.

It needs the standard library alone, as the tracker does.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

_INVALID_CHOICE = re.compile(r"invalid choice: '(?P<given>.*?)' \(choose from (?P<known>.*)\)")


class CommandParser(argparse.ArgumentParser):
    """Parser whose help ends with examples, and whose errors name the nearest choices.

    Args:
        prog: Command, such as `footprint plan`.
        description: What the command does, in a sentence.
        examples: Command lines that are shown at the end of the help.
        usage: Usage line; None: made from the options.
        add_help: Whether there are the options -h and --help.
    """

    def __init__(
        self,
        prog: str,
        *,
        description: str = "",
        examples: Sequence[str] = (),
        usage: str | None = None,
        add_help: bool = True,
    ) -> None:
        shown = "\n".join(f"  {each}" for each in examples)
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=f"example{'s' if len(examples) > 1 else ''}:\n{shown}" if shown else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=add_help,
        )

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the arguments, with the nearest choice; exit with status 2."""
        found = _INVALID_CHOICE.search(message)
        if found:
            known = re.findall(r"'([^']*)'", found["known"])
            near = get_close_matches(found["given"], known, 1)
            do = f"did you mean `{near[0]}`?" if near else f"choose among {', '.join(known)}"
            message = f"{message[: found.start()]}there is no `{found['given']}`; {do}"
        self.exit(2, f"{self.prog}: {message}\n{self.prog} -h shows the options\n")


def number(
    kind: type[int] | type[float], low: float, high: float = float("inf")
) -> Callable[[str], float]:
    """Return a type of arguments: numbers of a kind in a range.

    Args:
        kind: int or float.
        low: Lowest accepted number.
        high: Highest accepted number.
    """

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(low) - 1
        if not low <= value <= high:
            limits = f"from {low:g} to {high:g}" if high < float("inf") else f"of at least {low:g}"
            raise argparse.ArgumentTypeError(f"`{text}` is no number {limits}")
        return value

    return parse


def existing_folder(text: str) -> Path:
    """Type of arguments that are folders.

    Raises:
        argparse.ArgumentTypeError: There is no such folder.
    """
    path = Path(text).expanduser()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder `{text}`")
    return path
