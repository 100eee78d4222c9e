"""A JSON schema, its defaults, and its complaints in one line each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from footprint.errors import InputError


def read(path: str | Path) -> dict[str, Any]:
    """A schema written as YAML, with each reference replaced by the definition that it names."""
    schema = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    whole: dict[str, Any] = _without_references(schema, schema.get("$defs", {}))
    return whole


def complete(config: Mapping[str, Any], *, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the schema's defaults, in the schema's order.

    Raises:
        InputError: The first mistake that the schema finds: its key, its value, what to write.
    """
    filled: dict[str, Any] = _with_defaults(config, schema)
    _check(filled, schema)
    return filled


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The question whether a known name was meant, if one is near."""
    near = get_close_matches(name, list(choices), n=1)
    return f"did you mean `{near[0]}`?" if near else None


def below(path: str, key: str) -> str:
    """Path of a key, as in `study.site`."""
    return f"{path}.{key}" if path else key


def _without_references(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema with each `$ref` replaced by the definition that it names."""
    if isinstance(schema, list):
        return [_without_references(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    own = {key: value for key, value in schema.items() if key != "$ref"}
    if "$ref" in schema:
        own = definitions[schema["$ref"].rpartition("/")[2]] | own
    return {key: _without_references(value, definitions) for key, value in own.items()}


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value with the schema's defaults in place of missing keys, in the schema's order."""
    if value is None and schema.get("type") == "object":
        value = {}  # a section of which every line is commented out
    if not isinstance(value, dict):
        return _as_number(value, schema) if isinstance(value, str) else value
    keys = schema.get("properties", {})
    missing = {
        key: deepcopy(each["default"])
        for key, each in keys.items()
        if "default" in each and key not in value
    }
    filled = value | missing
    other = schema.get("additionalProperties")
    shapes = {key: keys.get(key, other if isinstance(other, dict) else {}) for key in filled}
    order = [*(key for key in keys if key in filled), *(key for key in filled if key not in keys)]
    return {key: _with_defaults(filled[key], shapes[key]) for key in order}


def _as_number(text: str, schema: Mapping[str, Any]) -> Any:
    """A number or truth value, where one is wanted, from the text that `--config` makes of it."""
    wanted = schema.get("type", ())
    wanted = {wanted} if isinstance(wanted, str) else set(wanted)
    for kind, reads in (("integer", int), ("number", float)):
        if kind in wanted:
            with suppress(ValueError):
                return reads(text)
    if "boolean" in wanted:
        return {"true": True, "false": False}.get(text.lower(), text)
    return text


@contextmanager
def _without_web_addresses() -> Iterator[None]:
    """Import jsonschema without the grammar of web addresses, which no key here needs.

    With Jupyter installed, building that grammar is most of a second at every start.
    """
    name = "rfc3987_syntax"
    absent = name not in sys.modules
    if absent:
        sys.modules[name] = None  # type: ignore[assignment]  # how Python marks what cannot be had
    try:
        yield
    finally:
        if absent:
            del sys.modules[name]


def _check(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raise the first mistake that the schema finds; unknown keys go first, as the likely cause."""
    with _without_web_addresses():
        from jsonschema import Draft202012Validator, FormatChecker

    validator = Draft202012Validator(schema, format_checker=FormatChecker(["date"]))
    errors = sorted(
        validator.iter_errors(config),
        key=lambda each: (each.validator != "additionalProperties", [*map(str, each.path)]),
    )
    if errors:
        raise _explained(errors[0], schema)


def _explained(error: Any, schema: Mapping[str, Any]) -> InputError:
    """A mistake found by jsonschema, in one line."""
    # Of several allowed forms, the one that has the right type tells more than "none fits".
    while near := [each for each in error.context or [] if each.validator not in {"type", "const"}]:
        error = near[0]
    where = ""
    for part in error.absolute_path:
        where = below(where, part) if isinstance(part, str) else where
    value, shape = error.instance, error.schema
    if error.validator == "additionalProperties":
        unknown = sorted(value.keys() - shape["properties"].keys())[0]
        hint = _where_instead(unknown, shape, schema)
        return InputError("unknown key", where=below(where, unknown), do=hint)
    if error.validator == "required":
        missing = next(key for key in shape["required"] if key not in value)
        expected = _expectation(shape["properties"][missing])
        return InputError("missing", where=below(where, missing), do=f"give {expected}")
    if error.validator == "uniqueItems":
        twice = next(each for each in value if value.count(each) > 1)
        return InputError(f"`{twice}` stands there twice", where=where, do="write it once")
    # A value that is only written may be the secret itself, where its file was asked for.
    shown = "what is given" if shape.get("writeOnly") else _shown(value)
    guess = nearest(str(value), shape.get("enum", []))
    return InputError(
        f"{shown} cannot be used", where=where, do=guess or f"give {_expectation(shape)}"
    )


def _where_instead(key: str, shape: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What somebody who wrote an unknown key may have meant."""
    here = shape["properties"]
    elsewhere = [path for path in _key_paths(schema) if path.rpartition(".")[2] == key]
    if elsewhere:
        return f"did you mean `{elsewhere[0]}`?"
    return nearest(key, here) or f"the keys there are {', '.join(here)}"


def _key_paths(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, shape in schema.get("properties", {}).items():
        yield below(path, key)
        yield from _key_paths(shape, below(path, key))


def _expectation(shape: Mapping[str, Any]) -> str:
    """What a key takes, in words."""
    if "const" in shape:
        return f"`{shape['const']}`"
    if "enum" in shape:
        return f"one of {', '.join(map(str, shape['enum']))}"
    if "anyOf" in shape:
        return " or ".join(map(_expectation, shape["anyOf"]))
    if "examples" in shape:
        kind = "a day" if shape.get("format") == "date" else "a name"
        return f"{kind} written as `{shape['examples'][0]}`"
    types = [shape["type"]] if isinstance(shape["type"], str) else shape["type"]
    return " or ".join(_kind(each, shape) for each in types)


def _kind(name: str, shape: Mapping[str, Any]) -> str:
    if name in {"integer", "number"}:
        low, above = shape.get("minimum"), shape.get("exclusiveMinimum")
        bound = f" of at least {low}" if low is not None else ""
        bound = f" above {above}" if above is not None else bound
        return ("a whole number" if name == "integer" else "a number") + bound
    if name == "object":
        return (
            f"the keys {', '.join(shape['properties'])}" if "properties" in shape else "a mapping"
        )
    words = {"string": "a text", "boolean": "true or false", "null": "nothing"}
    return words.get(name, "a list of texts, none of them empty")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
