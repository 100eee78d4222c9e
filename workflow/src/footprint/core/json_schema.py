"""Defaults of a JSON schema, and its validation errors as one line each."""

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

from footprint.core.errors import InputError


def read_schema(path: str | Path) -> dict[str, Any]:
    """Return a schema from a YAML file, with each `$ref` replaced by its definition."""
    schema = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    whole: dict[str, Any] = _without_references(schema, schema.get("$defs", {}))
    return whole


def complete_configuration(
    config: Mapping[str, Any], *, schema: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the configuration with the schema's defaults, its keys in the schema's order.

    Args:
        config: Configuration of plain JSON values.
        schema: JSON schema without references, as `read_schema` returns it.

    Raises:
        InputError: The configuration does not match the schema; the message has the key and value
            of the first error and the values that are allowed.
    """
    filled: dict[str, Any] = _with_defaults(config, schema)
    _check(filled, schema)
    return filled


def spelling_hint(name: str, choices: Iterable[str]) -> str | None:
    """Return the hint "did you mean ...?" with the most similar name; None if none is similar."""
    near = get_close_matches(name, list(choices), n=1)
    return f"did you mean `{near[0]}`?" if near else None


def key_path(path: str, key: str) -> str:
    """Return the path of a key below another, as `study.site`."""
    return f"{path}.{key}" if path else key


def _without_references(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema with each `$ref` replaced by its definition."""
    if isinstance(schema, list):
        return [_without_references(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    own = {key: value for key, value in schema.items() if key != "$ref"}
    if "$ref" in schema:
        own = definitions[schema["$ref"].rpartition("/")[2]] | own
    return {key: _without_references(value, definitions) for key, value in own.items()}


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return the value with defaults for missing keys, its keys in the schema's order."""
    if value is None and schema.get("type") == "object":
        value = {}  # all lines of the section are commented out
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
    """Return a text from `--config` as the number or truth value that the schema wants."""
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
    """Import jsonschema without its grammar of web addresses, which no key needs.

    With Jupyter installed, that grammar takes most of a second at each start.
    """
    name = "rfc3987_syntax"
    is_absent = name not in sys.modules
    if is_absent:
        sys.modules[name] = None  # type: ignore[assignment]  # makes the import fail
    try:
        yield
    finally:
        if is_absent:
            del sys.modules[name]


def _check(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raise the first validation error; unknown keys come first, as the likely cause of others."""
    with _without_web_addresses():
        from jsonschema import Draft202012Validator, FormatChecker

    validator = Draft202012Validator(schema, format_checker=FormatChecker(["date"]))
    errors = sorted(
        validator.iter_errors(config),
        key=lambda each: (each.validator != "additionalProperties", [*map(str, each.path)]),
    )
    if errors:
        raise _input_error(errors[0], schema)


def _input_error(error: Any, schema: Mapping[str, Any]) -> InputError:
    """Return a validation error of jsonschema as an error of one line."""
    # Of several alternatives, the one of the right type gives a better message than "none matches".
    while near := [each for each in error.context or [] if each.validator not in {"type", "const"}]:
        error = near[0]
    where = ""
    for part in error.absolute_path:
        where = key_path(where, part) if isinstance(part, str) else where
    value, shape = error.instance, error.schema
    if error.validator == "additionalProperties":
        unknown = sorted(value.keys() - shape["properties"].keys())[0]
        hint = _key_hint(unknown, shape, schema)
        return InputError("unknown key", where=key_path(where, unknown or "''"), do=hint)
    if error.validator == "required":
        missing = next(key for key in shape["required"] if key not in value)
        expected = _expectation(shape["properties"][missing])
        return InputError("missing", where=key_path(where, missing), do=f"set it to {expected}")
    if error.validator == "uniqueItems":
        twice = next(each for each in value if value.count(each) > 1)
        return InputError(f"`{twice}` is listed twice", where=where, do="remove one of them")
    # The user may have set a secret itself in place of the path of its file.
    written = "the value" if shape.get("writeOnly") else _shortened(value)
    guess = spelling_hint(str(value), shape.get("enum", []))
    return InputError(
        f"{written} cannot be used", where=where, do=guess or f"set it to {_expectation(shape)}"
    )


def _key_hint(key: str, shape: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return a hint for an unknown key: its place elsewhere, a similar key, or all keys here."""
    here = shape["properties"]
    elsewhere = [path for path in _key_paths(schema) if path.rpartition(".")[2] == key]
    if elsewhere:
        return f"did you mean `{elsewhere[0]}`?"
    return spelling_hint(key, here) or f"the keys there are {', '.join(here)}"


def _key_paths(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, shape in schema.get("properties", {}).items():
        yield key_path(path, key)
        yield from _key_paths(shape, key_path(path, key))


def _expectation(shape: Mapping[str, Any]) -> str:
    """Return the allowed values of a key, in words."""
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
    return " or ".join(_type_in_words(each, shape) for each in types)


def _type_in_words(name: str, shape: Mapping[str, Any]) -> str:
    if name in {"integer", "number"}:
        low, above = shape.get("minimum"), shape.get("exclusiveMinimum")
        bound = f" of at least {low}" if low is not None else ""
        bound = f" above {above}" if above is not None else bound
        return ("a whole number" if name == "integer" else "a number") + bound
    if name == "object":
        return (
            f"the keys {', '.join(shape['properties'])}" if "properties" in shape else "a mapping"
        )
    words = {"string": "a text", "boolean": "true or false", "null": "null"}
    return words.get(name, "a list of texts that are not empty")


def _shortened(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
