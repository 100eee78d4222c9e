"""Parsers of the fields of jobs and resources, as OAR and its tools write them.

The parameter `field` of the parsers is the name of the field in parts. They are joined only for
the message, since a parser is called for each core of each job.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from footprint.core.errors import InputError
from footprint.sources.oar.encoding import repair_text

SAVE_JOBS = "save /sites/<site>/jobs?resources=yes, oarapi jobs/details or oarstat -f -J"
SAVE_RESOURCES = "save oarapi resources/details.json?limit=999999 into resources/"

LARGEST_INTEGER = 2**53
"""Integers beyond this lose digits in JSON. No id, time or count of OAR is that large."""

JOB_TYPE_PATTERN = re.compile(r"timesharing=(?:\*|user),\s*(?:\*|name)|[^,;\s\"']+", re.IGNORECASE)
"""One job type in a text of several. The value of `timesharing` contains a comma of its own."""

EQUALS_SIGN_PATTERN = re.compile(r"\s*=\s*")

NOT_A_NUMBER = "text where a number belongs"
IMPOSSIBLE_NUMBER = "impossible number"


class FieldError(InputError):
    """A field of one record that cannot be read.

    Attributes:
        reason: The fault without values, the same for all records that have it.
    """

    def __init__(self, what: str, *, where: str, reason: str, do: str = SAVE_JOBS) -> None:
        super().__init__(what, where=where, do=do)
        self.reason = reason


def first_value(item: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Return the value of the first of these fields that has one; None without any."""
    for name in names:
        if (value := item.get(name)) is not None:
            return value
    return None


def normalise_text(value: Any) -> str | None:
    """Return a text stripped of spaces, with twice encoded letters repaired; None for None."""
    return None if value is None else repair_text(str(value)).strip()


def parse_integer(
    value: Any,
    file: str,
    *field: object,
    minimum: int = -LARGEST_INTEGER,
    maximum: int = LARGEST_INTEGER,
) -> int | None:
    """Return an integer, which may be given as text; None for null and empty text.

    Raises:
        FieldError: The value is not a number, or outside [minimum, maximum].
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        expected, reason = "a number", NOT_A_NUMBER
    else:
        if minimum <= number <= maximum:
            return number
        expected, reason = f"a number from {minimum} to {maximum}", IMPOSSIBLE_NUMBER
    raise _field_error(value, file, field, expected=expected, reason=reason)


def parse_entries(value: Any, file: str, *field: object) -> list[Any]:
    """Return the entries of a list, or of a text joined by commas or spaces; empty for null.

    Raises:
        FieldError: The value is neither.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return re.findall(r"[^,;\s\"']+", _without_braces(value))
    if isinstance(value, list):
        return value
    raise _field_error(value, file, field, expected="a list", reason="no list of resources")


def parse_job_types(value: Any, file: str, *field: object) -> list[str] | None:
    """Return the types of a job, sorted, each once; None for null.

    `oarstat --gantt` repeats the types for each resource. A text is split at commas, semicolons and
    spaces, as in `besteffort,inner=123` and `{besteffort}` (an array as PostgreSQL writes it); so
    are the texts of a list. An object has its type under `type`. Names of types are returned in
    lower case, without spaces around `=`.

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
    raise _field_error(value, file, field, expected="a list", reason="types are no list")


def require_objects(value: Any, file: str, *field: object) -> list[Mapping[str, Any]]:
    """Return a list of objects.

    Raises:
        FieldError: The value is not a list of objects.
    """
    if isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
        return value
    raise _field_error(
        value, file, field, expected="a list of objects", reason="no list of objects"
    )


def require_node_name(value: Any, file: str, *field: object) -> str:
    """Return the name of a node.

    Raises:
        FieldError: The value is not a text.
    """
    if isinstance(value, str):
        return value
    raise _field_error(value, file, field, expected="a name", reason="no text as a node's name")


def check_surrogates(value: Any, file: str, item: str) -> None:
    """Refuse a text with a lone surrogate, also inside lists and objects.

    Args:
        value: Value of any type.
        file: File of the value, for messages.
        item: Job of the value, for messages.

    Raises:
        FieldError: There is such a text, which no table can hold.
    """
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            shown = f"{item} has the text {value!r:.60}, with half of a character"
            raise FieldError(shown, where=file, reason="text with half of a character")
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            check_surrogates(each, file, item)


def _split_types(value: Any) -> Iterator[str]:
    """Yield the types in a text, as `parse_job_types` describes them."""
    for kind in JOB_TYPE_PATTERN.findall(EQUALS_SIGN_PATTERN.sub("=", _without_braces(str(value)))):
        word, sign, argument = kind.partition("=")
        yield word.lower() + sign + "".join(argument.split())


def _field_error(
    value: Any, file: str, field: tuple[object, ...], *, expected: str, reason: str
) -> FieldError:
    what = f"{' '.join(map(str, field))} is {value!r:.60}, not {expected}"
    return FieldError(what, where=file, reason=reason)


def _without_braces(value: str) -> str:
    value = value.strip()
    for opening, closing in ("{}", "[]"):
        if value.startswith(opening) and value.endswith(closing):
            return value[1:-1]
    return value
