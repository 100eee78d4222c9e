"""Fields of a job or resource as OAR and its tools write them -> Python values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from footprint.errors import InputError
from footprint.site.encoding import repair_text

LARGEST = 2**53
"""Integers beyond this lose digits in JSON: no id, time or count of OAR's is that large."""

TYPE = re.compile(r"timesharing=(?:\*|user),\s*(?:\*|name)|[^,;\s\"']+", re.IGNORECASE)
"""One job type in a text of several; the value of `timesharing` has a comma of its own."""


SIGN = re.compile(r"\s*=\s*")

NOT_A_NUMBER = "text where a number belongs"
IMPOSSIBLE = "a number that cannot be"


class FieldError(InputError):
    """A field of one record that cannot be read.

    Attributes:
        reason: The fault without values, the same for all records that have it.
    """

    def __init__(self, what: str, *, where: str, do: str, reason: str) -> None:
        super().__init__(what, where=where, do=do)
        self.reason = reason


def first(item: dict[str, Any], names: Iterable[str]) -> Any:
    """The first of these fields that has a value; None without one."""
    for name in names:
        if (value := item.get(name)) is not None:
            return value
    return None


def text(value: Any) -> str | None:
    """Text without spaces around it, with twice encoded letters repaired; None stays None."""
    return None if value is None else repair_text(str(value)).strip()


def integer(
    value: Any,
    file: str,
    *what: object,
    least: int = -LARGEST,
    most: int = LARGEST,
    do: str = "correct the record",
) -> int | None:
    """A number that a source may write as text; None for null and empty text.

    The words of `what` are joined only for the message: this is called for every core of every job.

    Raises:
        FieldError: The value is not a number, or outside [least, most].
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        fault, reason = "not a number", NOT_A_NUMBER
    else:
        if least <= number <= most:
            return number
        fault, reason = f"not a number from {least} to {most}", IMPOSSIBLE
    field = " ".join(map(str, what))
    raise FieldError(f"{field} is {value!r:.60}, {fault}", where=file, do=do, reason=reason)


def entries(value: Any, file: str, *what: object, do: str = "correct the record") -> list[Any]:
    """Entries of a list, or of a text that joins them by commas or spaces; empty for null.

    Raises:
        FieldError: The value is neither.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return re.findall(r"[^,;\s\"']+", _unbraced(value))
    if isinstance(value, list):
        return value
    field = " ".join(map(str, what))
    raise FieldError(
        f"{field} is {value!r:.60}, not a list", where=file, do=do, reason="no list of resources"
    )


def types(value: Any, file: str, *what: object, do: str = "correct the record") -> list[str] | None:
    """Types of a job, each once (`--gantt` repeats them for every resource) and sorted.

    A text is split at commas, semicolons and spaces: `besteffort,inner=123`, `{besteffort}` (an
    array as PostgreSQL writes it). So is a text in a list; an object has its type under `type`.
    Names of types are in lower case, without spaces around `=`. None for null.

    Raises:
        FieldError: The value is neither a list nor a text.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return sorted(set(_split_types(value)))
    if isinstance(value, list):
        named = (each.get("type") if isinstance(each, dict) else each for each in value)
        return sorted({kind for each in named if each is not None for kind in _split_types(each)})
    field = " ".join(map(str, what))
    raise FieldError(
        f"{field} is {value!r:.60}, not a list", where=file, do=do, reason="types are no list"
    )


def _split_types(value: Any) -> Iterator[str]:
    """Types in a text, as `types` describes them."""
    for kind in TYPE.findall(SIGN.sub("=", _unbraced(str(value)))):
        word, sign, argument = kind.partition("=")
        yield word.lower() + sign + "".join(argument.split())


def _other_than(
    wanted: str, value: Any, what: tuple[object, ...], file: str, do: str, *, reason: str
) -> FieldError:
    """The error of a field that is something else than what is wanted."""
    field = " ".join(map(str, what))
    return FieldError(f"{field} is {value!r:.60}, not {wanted}", where=file, do=do, reason=reason)


def objects(
    value: Any, file: str, *what: object, do: str = "correct the record"
) -> list[Mapping[str, Any]]:
    """Objects of a list.

    Raises:
        FieldError: The value is no list of objects.
    """
    if isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
        return value
    raise _other_than("a list of objects", value, what, file, do, reason="no list of objects")


def name(value: Any, file: str, *what: object, do: str = "correct the record") -> str:
    """Name of a node.

    Raises:
        FieldError: The value is no text.
    """
    if isinstance(value, str):
        return value
    raise _other_than("a name", value, what, file, do, reason="no text as a node's name")


def check_text(value: Any, file: str, what: str, *, do: str = "correct the record") -> None:
    """Refuse a text, or one in a list or object, with a half of a character (a lone surrogate).

    Raises:
        FieldError: There is such a text: no table can hold it.
    """
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            shown = f"{what} has the text {value!r:.60}, with half of a character"
            raise FieldError(shown, where=file, do=do, reason="text with half of a character")
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            check_text(each, file, what, do=do)


def _unbraced(value: str) -> str:
    value = value.strip()
    for opening, closing in ("{}", "[]"):
        if value.startswith(opening) and value.endswith(closing):
            return value[1:-1]
    return value
