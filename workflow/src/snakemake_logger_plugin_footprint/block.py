"""Lines at the end of a terminal that are updated in place."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TextIO

CLEAR_TO_END = "\x1b[J"


class Block:
    """Writes text to a stream, and keeps a block of lines below it.

    Lines of the block are cut to the width of the terminal, since a wrapped line could not be
    overwritten.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._n_lines = 0

    def show(self, lines: Sequence[str]) -> None:
        """Replace the block by other lines."""
        width = max(20, shutil.get_terminal_size().columns - 1)
        self._stream.write(self._return() + "".join(f"{line[:width]}\n" for line in lines))
        self._stream.flush()
        self._n_lines = len(lines)

    def write(self, text: str) -> None:
        """Write a text in place of the block; the next block follows it."""
        self._stream.write(f"{self._return()}{text}\n")
        self._stream.flush()
        self._n_lines = 0

    def _return(self) -> str:
        return f"\x1b[{self._n_lines}A\r{CLEAR_TO_END}" if self._n_lines else ""
