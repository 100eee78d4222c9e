"""JSON of any layout -> one record a line, in bounded memory.

An API answers with one long array, `jq` spreads a record over several lines, and answers are
appended to one another. Records are told apart here by the depth of their braces, found for a whole
block at once, so that a file of any size is read in pieces and Polars' parser of newline-delimited
JSON does the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

OPEN, CLOSE, QUOTE = ord("{"), ord("}"), ord('"')
ARRAY_OPEN, ARRAY_CLOSE = ord("["), ord("]")
NEWLINE, SPACE = ord("\n"), ord(" ")


def _lookup(characters: bytes) -> npt.NDArray[np.bool_]:
    """For each of the 256 characters, whether it is one of these."""
    table = np.zeros(256, dtype=bool)
    table[list(characters)] = True
    return table


STRUCTURE = _lookup(b'{}[],"\r\n')
BETWEEN = _lookup(b"[],\r\n")
BREAKS = _lookup(b"\r\n")


class BrokenOff(Exception):
    """The JSON ends inside a record or an array, on line `line`."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


@dataclass
class _State:
    """Where in the JSON the previous block ended."""

    depth: int = 0
    in_string: int = 0
    arrays: int = 0
    line: int = 1


def one_a_line(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The records (objects) of a JSON text, each on a line of its own.

    Arrays around records are dissolved; what is neither record nor array nor space between them is
    left for the parser to refuse.

    Raises:
        BrokenOff: The text ends before its last record or array does.
    """
    state = _State()
    held_back = b""
    for block in blocks:
        text = held_back + block
        # An escape must not be cut in two: a last backslash waits for the next block.
        escaped = len(text) - len(text.rstrip(b"\\"))
        text, held_back = (text[:-1], text[-1:]) if escaped % 2 else (text, b"")
        yield _separate(text, state)
    if held_back or state.depth or state.in_string or state.arrays:
        raise BrokenOff(state.line)
    yield b"\n"


def _separate(text: bytes, state: _State) -> bytes:
    """One block with a newline for all that stands between records and none inside them."""
    visible = text
    if b"\\" in text:
        visible = text.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    everything = np.frombuffer(visible, dtype=np.uint8)
    places = np.flatnonzero(STRUCTURE[everything])
    characters = everything[places]
    quotes = np.cumsum(characters == QUOTE, dtype=np.uint8)
    outside = ((quotes + state.in_string) & 1) == 0
    steps = (characters == OPEN).astype(np.int8) - (characters == CLOSE).astype(np.int8)
    depth = np.cumsum(steps * outside, dtype=np.int32) + state.depth
    top = (depth == 0) & outside
    separated = np.frombuffer(text, dtype=np.uint8).copy()
    separated[places[top & BETWEEN[characters]]] = NEWLINE
    separated[places[~top & BREAKS[characters]]] = SPACE
    state.arrays += int(np.count_nonzero(characters[top] == ARRAY_OPEN))
    state.arrays -= int(np.count_nonzero(characters[top] == ARRAY_CLOSE))
    state.line += text.count(b"\n")
    if len(places):
        state.depth = int(depth[-1])
        state.in_string = (int(quotes[-1]) + state.in_string) & 1
    return separated.tobytes()
