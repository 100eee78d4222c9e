"""YAML read within bounds: nesting, and aliases that multiply a text or contain themselves."""

from __future__ import annotations

from typing import Any

import yaml

from footprint.core import limits
from footprint.core.errors import InputError
from footprint.core.nesting import TOO_DEEP

CONTAINS_ITSELF = "an alias inside the value that it stands for"


def compose_yaml(text: str, *, where: str, do: str | None = None) -> yaml.Node | None:
    """Root node of a YAML document; None for an empty one.

    Args:
        text: The document.
        where: Name of the text in messages, to which the line is added.
        do: Advice for a text that is not YAML.

    Raises:
        InputError: The text is not YAML, contains several documents, or exceeds `depth` or
            `yaml_values` of `core.limits`; an alias contains itself.
    """
    bounds = limits.active_limits()
    try:
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"not YAML ({error.problem})", where=f"{where}{line}", do=do) from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"not YAML ({reason})", where=where, do=do) from None
    except RecursionError:
        raise InputError(TOO_DEEP, where=where, do=do) from None
    if root is not None and _count_values(root, {}, bounds.depth, where) > bounds.yaml_values:
        what = f"its aliases stand for more than {bounds.yaml_values} values"
        raise InputError(what, where=where, do=limits.raise_advice("yaml_values"))
    return root


def load_yaml(text: str, *, where: str, do: str | None = None) -> Any:
    """Value of a YAML document; None for an empty one.

    Args:
        text: The document.
        where: Name of the text in messages, to which the line is added.
        do: Advice for a text that is not YAML.

    Raises:
        InputError: See `compose_yaml`; or a value is impossible, as the day 2025-02-30.
    """
    root = compose_yaml(text, where=where, do=do)
    if root is None:
        return None
    try:
        return yaml.SafeLoader("").construct_document(root)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"not YAML ({error.problem})", where=f"{where}{line}", do=do) from None
    except (ValueError, OverflowError) as error:
        # days, times and numbers that PyYAML takes for such by their form, as 2025-02-30
        raise InputError(str(error), where=where, do=do) from None
    except (LookupError, TypeError, AttributeError):
        raise InputError("a value does not fit its tag", where=where, do=do) from None


def _count_values(
    node: yaml.Node, known: dict[int, int | None], levels_left: int, where: str
) -> int:
    """Number of values below a node and itself, each alias counted in full.

    `known` has the number by node; None while a node is counted.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            line = node.start_mark.line + 1
            raise InputError(CONTAINS_ITSELF, where=f"{where}:{line}", do="remove the alias")
        return found
    if levels_left == 0:
        raise InputError(TOO_DEEP, where=f"{where}:{node.start_mark.line + 1}")
    known[id(node)] = None
    parts = [part for pair in node.value for part in pair] if _is_mapping(node) else node.value
    total = 1 + sum(_count_values(part, known, levels_left - 1, where) for part in parts)
    known[id(node)] = total
    return total


def _is_mapping(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode)
