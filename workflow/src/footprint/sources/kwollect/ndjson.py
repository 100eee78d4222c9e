"""JSON of any layout -> one record per line, in bounded memory.

An API returns one long array, `jq` writes a record over several lines, and users append answers to
one another. Records are separated by the depth of their braces, which NumPy computes for a whole
block at once. Polars then parses newline-delimited JSON, block by block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BRACE_OPEN, BRACE_CLOSE, QUOTE = ord("{"), ord("}"), ord('"')
ARRAY_OPEN, ARRAY_CLOSE = ord("["), ord("]")
NEWLINE, SPACE = ord("\n"), ord(" ")


def _lookup(characters: bytes) -> npt.NDArray[np.bool_]:
    """Table over the 256 byte values: whether a byte is one of these characters."""
    table = np.zeros(256, dtype=bool)
    table[list(characters)] = True
    return table


IS_STRUCTURAL = _lookup(b'{}[],"\r\n')
"""Characters that separate records, or may."""

IS_SEPARATOR = _lookup(b"[],\r\n")
"""Characters outside records that a newline replaces."""

IS_LINE_BREAK = _lookup(b"\r\n")
"""Line breaks, which a space replaces inside records."""


class IncompleteJsonError(Exception):
    """The JSON ends inside a record or an array.

    Attributes:
        line: Line of the end.
    """

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


@dataclass
class _Position:
    """State of the parser at the end of a block.

    Attributes:
        depth: Number of open braces.
        in_string: 1 inside a string, else 0.
        arrays: Number of open arrays outside records.
        line: Line number.
    """

    depth: int = 0
    in_string: int = 0
    arrays: int = 0
    line: int = 1


def one_record_per_line(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Records (objects) of a JSON text, one per line.

    Arrays around records are removed. Other text outside records stays, and the parser refuses it.

    Args:
        blocks: The text in blocks of any size.

    Raises:
        BrokenOff: The text ends inside a record or an array.
    """
    position = _Position()
    held_back = b""
    for block in blocks:
        text = held_back + block
        # a backslash at the end of a block belongs to the character after it
        n_backslashes = len(text) - len(text.rstrip(b"\\"))
        text, held_back = (text[:-1], text[-1:]) if n_backslashes % 2 else (text, b"")
        yield _separate_records(text, position)
    if held_back or position.depth or position.in_string or position.arrays:
        raise IncompleteJsonError(position.line)
    yield b"\n"


def _separate_records(text: bytes, position: _Position) -> bytes:
    """A block with newlines between records and none inside them; updates the position."""
    unescaped = text
    if b"\\" in text:
        unescaped = text.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    all_characters = np.frombuffer(unescaped, dtype=np.uint8)
    places = np.flatnonzero(IS_STRUCTURAL[all_characters])
    characters = all_characters[places]
    quotes = np.cumsum(characters == QUOTE, dtype=np.uint8)
    is_outside = ((quotes + position.in_string) & 1) == 0
    steps = (characters == BRACE_OPEN).astype(np.int8) - (characters == BRACE_CLOSE).astype(np.int8)
    depth = np.cumsum(steps * is_outside, dtype=np.int32) + position.depth
    is_between = (depth == 0) & is_outside
    separated = np.frombuffer(text, dtype=np.uint8).copy()
    separated[places[is_between & IS_SEPARATOR[characters]]] = NEWLINE
    separated[places[~is_between & IS_LINE_BREAK[characters]]] = SPACE
    position.arrays += int(np.count_nonzero(characters[is_between] == ARRAY_OPEN))
    position.arrays -= int(np.count_nonzero(characters[is_between] == ARRAY_CLOSE))
    position.line += text.count(b"\n")
    if len(places):
        position.depth = int(depth[-1])
        position.in_string = (int(quotes[-1]) + position.in_string) & 1
    return separated.tobytes()
