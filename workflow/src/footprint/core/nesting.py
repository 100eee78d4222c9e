"""Bounded nesting of JSON and YAML, so that no reader recurses too deep or multiplies its input."""

from __future__ import annotations

import re

from footprint.core import limits
from footprint.core.errors import InputError

TOO_DEEP = "it is nested too deep"

STRING_PATTERN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
BRACES_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
OTHER_CHARACTERS = bytes(each for each in range(256) if each not in b"[]{}")


def check_json_depth(content: bytes, *, where: str) -> None:
    """Refuse JSON that is nested deeper than `depth` of `core.limits`.

    Pairs of brackets are removed level by level. Brackets inside strings are removed first only if
    that fails, because it takes ten times as long as the rest. JSON that is cut off is not refused.

    Raises:
        InputError: The nesting is too deep.
    """
    most = limits.active_limits().depth
    if _is_deeper(content, most) and _is_deeper(STRING_PATTERN.sub(b"", content), most):
        do = limits.raise_advice("depth")
        raise InputError(f"{TOO_DEEP} (over {most} levels)", where=where, do=do)


def _is_deeper(content: bytes, most: int) -> bool:
    """Whether the brackets of a text are nested deeper than `most`."""
    brackets = content.translate(BRACES_AS_BRACKETS, OTHER_CHARACTERS)
    for _ in range(most):
        if b"[]" not in brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets or len(brackets) > most
