"""Mutations of good inputs: of types, times, sizes, structure, truncation and encoding.

Each mutation says what a reader may make of it: an input that means the same must give the same
energy, and a damaged one another energy only with a counter or a message.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

import pyarrow as pa

SAME, DAMAGED, OTHER = "means the same", "damaged", "another input"
"""OTHER may be a valid input with another energy, as a power of 182 W that became 183 W."""


class Mutant(NamedTuple):
    """A mutated content, the name of the mutation, and its effect on the meaning."""

    content: bytes
    mutation: str
    effect: str


RAW_VALUES = {
    "@infinity@": "Infinity",
    "@minus-infinity@": "-Infinity",
    "@nan@": "NaN",
    "@1e999@": "1e999",
    "@long-integer@": "9" * 5000,
    "@2^64@": str(2**64),
    "@deep@": "[" * 3000 + "]" * 3000,
    "@very-deep@": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "@surrogate@": r'"\ud800"',
    "@null-character@": r'"a\u0000b"',
    "@escape@": r'"\u001b[31m\n"',
    "@long-text@": '"' + "x" * 140_000 + '"',
    "@unquoted@": "undefined",
}
"""JSON that Python's writer does not write, by the text that stands for it."""

NO_NUMBERS: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        "",
        "x",
        [],
        {},
        [1],
        {"a": 1},
        "12:00",
        "2025-03-03",
        "∞",
        "\uff11\uff12",
    ),
    *RAW_VALUES,
)
NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1e308, -1e308, 1e-320, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 1.5, "1e3", "0x10"),
    *("1_000", " 7 ", 253402300800, 1741003200000, -62135596801, "9999-12-31T23:59:59Z"),
    *("0000-00-00", "2025-02-30T00:00:00Z", "1969-12-31T23:59:59+14:00"),
)


def mutate_json(document: Any, random: Random, *, one_a_line: bool) -> Mutant:
    """A document with one value, key or element changed; a list may be written one a line."""
    changed = copy.deepcopy(document)
    places = list(_places(changed))
    parent, key = random.choice(places)
    kind = random.choice(("no number", "no number", "number", "number", "delete", "repeat", "wrap"))
    effect = DAMAGED
    if kind == "no number":
        parent[key] = random.choice(NO_NUMBERS)
        # an empty answer may stand between records
        is_answer = one_a_line and parent is changed and parent[key] == []
        effect = OTHER if isinstance(parent[key], str) or is_answer else DAMAGED
    elif kind == "number":
        parent[key], effect = random.choice(NUMBERS), OTHER
    elif kind == "delete":
        # an element that is missing leaves a valid, shorter list
        is_element = isinstance(parent, list) or str(key).isdecimal()
        effect = OTHER if is_element else DAMAGED
        del parent[key]
    elif kind == "wrap":
        parent[key] = [parent[key]]
        effect = OTHER
    elif isinstance(parent, list):
        parent.insert(key, copy.deepcopy(parent[key]))
        effect = OTHER
    else:
        parent[f"{key}@twice@"], effect = random.choice(NO_NUMBERS), DAMAGED
    if one_a_line:
        text = "\n".join(map(json.dumps, changed)) + "\n"
    else:
        text = json.dumps(changed, indent=random.choice((None, None, 1)))
    for mark, raw in RAW_VALUES.items():
        text = text.replace(json.dumps(mark), raw)
    return Mutant(text.replace("@twice@", "").encode(), f"json, {kind}", effect)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Parent and key of every value below `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in list(items):
        yield value, key
        if isinstance(each, dict | list):
            yield from _places(each)


CELLS = (
    "",
    "x",
    "-",
    "nan",
    "inf",
    "-1",
    "0",
    "1e999",
    "9" * 400,
    '"',
    '""',
    "a\0b",
    "1,5",
    "\x1b",
)
CELLS += ("x" * 140_000, "é", "=1+1", "2025-13-40", "00:60", "24:00", "1e308", "-1e308", "{", "#")


def mutate_lines(content: bytes, random: Random) -> Mutant:
    """A text with one line or cell changed."""
    lines = content.split(b"\n")
    row = random.randrange(len(lines))
    separator = next((each for each in (b"\t", b";", b",", b":") if each in lines[row]), b" ")
    cells = lines[row].split(separator)
    column = random.randrange(len(cells))
    kind = random.choice(("cell", "cell", "cell", "drop cell", "add cell", "tear", "drop", "repeat",
                          "swap", "separator", "header"))  # fmt: skip
    if kind == "cell":
        cells[column] = random.choice(CELLS).encode()
    elif kind == "drop cell":
        del cells[column]
    elif kind == "add cell":
        cells.insert(column, random.choice(CELLS).encode())
    lines[row] = separator.join(cells)
    if kind == "tear":
        line = lines[row]
        lines[row] = line[: random.randint(0, len(line))] + random.choice(lines)
    elif kind == "drop":
        del lines[row]
    elif kind == "repeat":
        lines.insert(row, lines[row])
    elif kind == "swap":
        other = random.randrange(len(lines))
        lines[row], lines[other] = lines[other], lines[row]
    elif kind == "separator":
        lines = [line.replace(separator, random.choice((b";", b"\t", b"|"))) for line in lines]
    elif kind == "header":
        lines[0] = random.choice((b"", b"x", lines[0] * 3, b"," * 70_000, lines[0].upper()))
    return Mutant(b"\n".join(lines), f"line, {kind}", OTHER)


def _truncated(content: bytes, random: Random) -> bytes:
    """A content cut off inside a line, outside the last 2 characters."""
    return content[: random.randrange(1, max(2, len(content) - 2))]


def _flipped(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.randint(1, 4)):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _moved(content: bytes, random: Random) -> bytes:
    """A content with a part of it removed, or put in another place."""
    start, end = sorted(random.randrange(len(content) + 1) for _ in range(2))
    place = random.randrange(len(content) + 1)
    part = content[start:end]
    return random.choice(
        (content[:start] + content[end:], content[:place] + part + content[place:])
    )


def _packed_damage(content: bytes, random: Random) -> bytes:
    packed = random.choice((gzip.compress(content), pa.compress(content, "zstd", asbytes=True)))
    packed = bytes(packed)
    return random.choice((_truncated(packed, random), packed[:-1], _flipped(packed, random)))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
ERROR_ANSWER = b'{"code": 504, "message": "Gateway Timeout", "title": "Error"}'
OTHER_FILES = (
    *(
        b"",
        b" \n\n",
        POINTER,
        ERROR_ANSWER,
        b"# Read me\n\nThis folder has [files] {of} a study.\n",
    ),
    *(
        b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
        b"PK\x03\x04zip",
        b"null",
        b"[]",
    ),
    *(b"{}", b'"text"', b"1", b"[[]]", b"[null]", b"[1, 2]", b'{"items": null}', b'{"items": 3}'),
    *(b"\x89PNG\r\n\x1a\n\0\0", b"[" * 100_000, b"\0" * 1000, b"\xff" * 1000, b'{"items": [[]]}'),
    gzip.compress(bytes(80 << 20)),
)

BYTE_MUTATIONS: dict[str, tuple[Callable[[bytes, Random], bytes], str]] = {
    "truncated": (_truncated, OTHER),
    "flipped bytes": (_flipped, OTHER),
    "moved part": (_moved, OTHER),
    "damaged compression": (_packed_damage, OTHER),
    "other file": (lambda _, random: random.choice(OTHER_FILES), DAMAGED),
    "gzip": (lambda content, _: gzip.compress(content), SAME),
    "zstd": (lambda content, _: bytes(pa.compress(content, "zstd", asbytes=True)), SAME),
    "byte-order mark": (lambda content, _: b"\xef\xbb\xbf" + content, SAME),
    "CRLF": (lambda content, _: content.replace(b"\n", b"\r\n"), SAME),
    "CR": (lambda content, _: content.replace(b"\n", b"\r"), OTHER),
    "UTF-16": (lambda content, _: content.decode("utf-8", "replace").encode("utf-16"), DAMAGED),
    "null characters": (lambda content, _: content.replace(b"a", b"\0", 1), OTHER),
}


def mutate(content: bytes, document: Any, random: Random) -> Mutant:
    """One mutation of a good input.

    Args:
        content: The input.
        document: The input as a JSON document; None: a text of lines.
        random: Source of chance.
    """
    if document is not None and random.random() < 0.6:
        return mutate_json(
            document, random, one_a_line=content.startswith(b"{") and isinstance(document, list)
        )
    if document is None and random.random() < 0.6:
        return mutate_lines(content, random)
    name = random.choice(list(BYTE_MUTATIONS))
    change, effect = BYTE_MUTATIONS[name]
    changed = change(content, random)
    # an empty list is an answer
    return Mutant(changed, name, OTHER if changed == b"[]" else effect)
