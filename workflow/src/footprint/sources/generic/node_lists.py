"""Names in lists of nodes, as schedulers write them.

n[001-004,7],gpu2       Slurm and others (ClusterShell's node sets)
48*n051:48*n114         LSF, hosts with their slots; `48*n051 4*n114` too
n051/0*48+n114/0*4      PBS, vnodes with their processors
n051 n114               names separated by spaces
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

MOST_NODES = 1_000_000
"""Most nodes in a list; a range such as `n[1-999999999]` is a damaged text."""

_LSF_HOST = re.compile(r"(\d+)\*([A-Za-z][\w.-]*)")
_PBS_VNODE = re.compile(r"([A-Za-z][\w.-]*)/\d+(?:\*(\d+))?")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_RANGE = re.compile(r"(\d+)-(\d+)")


class HeldNode(NamedTuple):
    """A node in a list.

    Attributes:
        name: Short name, without a domain.
        n_slots: Number of slots in the list; None where the list has none.
    """

    name: str
    n_slots: int | None = None


@cache
def expand(text: str) -> tuple[HeldNode, ...]:
    """Nodes of a list, each once, sorted by name; the slots of a repeated node add up.

    Args:
        text: The list.

    Raises:
        ValueError: The text is no list of nodes.
    """
    found: dict[str, int | None] = {}
    for name, n_slots in _iter_nodes(text.strip()):
        short = name.partition(".")[0]
        before = found.get(short)
        if before is not None and n_slots is not None:
            n_slots += before
        found[short] = before if n_slots is None else n_slots
    if not found:
        raise ValueError("an empty list of nodes")
    return tuple(HeldNode(name, found[name]) for name in sorted(found))


def _iter_nodes(text: str) -> list[tuple[str, int | None]]:
    is_pbs = "/" in text and "[" not in text
    if "*" in text and not is_pbs:
        hosts: list[re.Match[str] | str] = [
            _LSF_HOST.fullmatch(part) or part for part in re.split(r"[:\s]+", text) if part
        ]
        return [
            (str(each[2]), int(each[1])) if isinstance(each, re.Match) else (_checked_name(each), 1)
            for each in hosts
        ]
    if is_pbs:
        found: list[tuple[str, int | None]] = []
        for part in re.split(r"[+\s]+", text):
            match = _PBS_VNODE.fullmatch(part)
            if match is None:
                raise ValueError(f"{part!r:.60} is no node of PBS, as n051/0*48")
            found.append((match[1], int(match[2] or 1)))
        return found
    if not text or text.startswith("@") or any(each in text for each in "@%!^&*"):
        raise ValueError(f"{text!r:.60} is no list of nodes")
    _check_size(text)
    try:
        names = list(NodeSet(re.sub(r"[:\s+]+", ",", text), resolver=RESOLVER_NOGROUP))
    except NodeSetException as error:
        raise ValueError(f"{text!r:.60} is no list of nodes ({error})") from None
    return [(_checked_name(name), None) for name in names]


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r:.60} is no name of a node")
    return name


def _check_size(text: str) -> None:
    """Refuse a list that expands to too many nodes, before it is expanded."""
    size = 1
    for low, high in _RANGE.findall(text):
        size *= max(1, int(high) - int(low) + 1)
        if size > MOST_NODES:
            raise ValueError(f"{text!r:.60} has more than {MOST_NODES} nodes")
