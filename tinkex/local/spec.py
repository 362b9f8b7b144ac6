"""The spec at run time: where each operation lives and what its requests must look like.

The routes, the path and query parameters and the body schemas are read from the `openapi.json`
that is generated beside the client, so the server cannot drift from the spec by a typo.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import resources
from typing import Any

import jsonschema_rs
import numpy as np
import orjson
import tinkex_generated.models as models
from attrs import define, field, frozen

from tinkex.local.problem import Problem

# How integers begin that are just below the least one of 64 bits, as the least one itself does.
_LEAST = b"-922337203685477"
_METHODS = ("get", "put", "post", "delete", "patch")
_MOST_ERRORS = 10
_MOST_TEXT = 300
# What writes a body again (for its fingerprint, the database, a response) goes no deeper than 254.
MOST_NESTING = 100
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


@frozen
class Parameter:
    """A path or query parameter."""

    name: str
    place: str
    required: bool
    default: Any
    numeric: bool
    validator: Any = field(repr=False)

    def read(self, text: str | None) -> Any:
        """Return the parameter's value, or raise a 422 problem."""
        if text is None:
            if self.required:
                raise Problem(
                    422, [{"loc": [self.place, self.name], "msg": "is missing", "type": "missing"}]
                )
            return self.default
        value: Any = text
        if self.numeric:
            try:
                value = int(text)
            except ValueError:
                value = text
        check(self.validator, value, (self.place, self.name))
        return value


@define(eq=False)
class Operation:
    """One operation of the spec."""

    operation_id: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    body_name: str | None
    success: int
    _root: Mapping[str, Any]
    _validator: Any = field(default=None, init=False)

    def read_body(self, content: bytes) -> Any:
        """Return the body as its generated model.

        A body that is not JSON is a 400 problem, one that does not fit the schema a 422 problem.
        """
        if self.body_name is None:
            return None
        if not content:
            raise Problem(422, [{"loc": ["body"], "msg": "is missing", "type": "missing"}])
        data = _loaded(content)
        if self._validator is None:
            self._validator = compile_schema(
                {"$ref": f"#/components/schemas/{self.body_name}"}, self._root
            )
        check(self._validator, data, ("body",))
        model = getattr(models, self.body_name)
        # An object that may have any content is a plain dict.
        return model.from_dict(data) if hasattr(model, "from_dict") else data


def _loaded(content: bytes) -> Any:
    if _depth(content) > MOST_NESTING and _depth(_STRINGS.sub(b"", content)) > MOST_NESTING:
        raise Problem(400, f"the request body is nested in more than {MOST_NESTING} levels")
    try:
        data = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the request body is not JSON: {error}") from error
    if _LEAST in content:
        # orjson makes floats of integers beyond 64 bits, and of these the least one's own.
        with suppress(ValueError):
            data = json.loads(content)
    return data


def _depth(content: bytes) -> int:
    """Return how deep the brackets of a JSON text are nested, those in strings counted too."""
    brackets = np.frombuffer(content.translate(None, _NO_BRACKETS), np.uint8)
    # Of []{} in ASCII, the second lowest bit is set in those that open.
    steps = (brackets & 2).astype(np.int64) - 1
    return int(np.cumsum(steps).max(initial=0))


@functools.cache
def load_operations() -> Mapping[str, Operation]:
    """Return every operation of the generated package's spec by its id, read once in a process."""
    text = resources.files("tinkex_generated").joinpath("openapi.json").read_bytes()
    root = orjson.loads(text)
    found = {}
    for path, item in root["paths"].items():
        for method in _METHODS:
            # The binary forms of two operations have separate paths in the spec.
            if method in item and "x-tinkex-wire-path" not in item[method]:
                operation = _operation(path, method, item, root)
                found[operation.operation_id] = operation
    return found


def compile_schema(
    schema: Mapping[str, Any], root: Mapping[str, Any], *, formats: bool = False
) -> Any:
    """Return a validator for a schema that may refer to the spec's components.

    With `formats` it looks at `format` too, such as dates; in bodies the generated models do.
    """
    # To take up all components takes milliseconds, which most parameters have no use for.
    components = root.get("components", {}) if b'"$ref"' in orjson.dumps(schema) else {}
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": components}, validate_formats=formats
    )


def check(validator: Any, value: Any, loc: tuple[str | int, ...]) -> None:
    """Raise a 422 problem that lists where and why `value` does not fit."""
    if validator.is_valid(value):
        return
    details: list[dict[str, Any]] = []
    for error in validator.iter_errors(value):
        details.extend(_explain(error, loc, value))
        if len(details) >= _MOST_ERRORS:
            break
    raise Problem(422, details[:_MOST_ERRORS])


def _operation(
    path: str, method: str, item: Mapping[str, Any], root: Mapping[str, Any]
) -> Operation:
    raw = item[method]
    body = raw.get("requestBody", {}).get("content", {}).get("application/json", {})
    reference = body.get("schema", {}).get("$ref", "")
    return Operation(
        operation_id=raw["operationId"],
        method=method.upper(),
        path=path,
        parameters=tuple(
            _parameter(_resolve(entry, root), root)
            for entry in (*item.get("parameters", ()), *raw.get("parameters", ()))
        ),
        body_name=reference.rsplit("/", 1)[-1] or None,
        success=_success(raw["responses"]),
        root=root,
    )


def _success(responses: Mapping[str, Any]) -> int:
    """Return the status of a success: 200, or 204 for a response without a body."""
    return 200 if responses.get("200", {}).get("content") else 204


def _parameter(raw: Mapping[str, Any], root: Mapping[str, Any]) -> Parameter:
    schema = raw.get("schema", {})
    resolved = _resolve(schema, root)
    kinds = resolved.get("type", "string")
    return Parameter(
        name=raw["name"],
        place=raw["in"],
        required=raw.get("required", False),
        default=resolved.get("default"),
        numeric="integer" in ([kinds] if isinstance(kinds, str) else kinds),
        validator=compile_schema(resolved, root, formats=True),
    )


def _resolve(node: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = node.get("$ref")
    if reference is None:
        return node
    target: Any = root
    for part in reference.removeprefix("#/").split("/"):
        target = target[part]
    return _resolve(target, root)


def _explain(error: Any, loc: tuple[str | int, ...], value: Any) -> Iterator[dict[str, Any]]:
    """Yield the places and reasons of one error, looking into the alternatives of a union."""
    at = (*loc, *error.instance_path)
    kind = error.kind
    if kind.name in ("anyOf", "oneOf") and hasattr(kind, "context"):
        branch = _likeliest(kind.context, error.instance)
        if branch is not None:
            for inner in branch:
                yield from _explain(inner, loc, value)
            return
    if kind.name == "required":
        yield {"loc": [*at, kind.property], "msg": "is missing", "type": "missing"}
        return
    message = error.message
    if len(message) > _MOST_TEXT:
        # The message begins with the offending value, the reason stands at its end.
        message = f"{message[: _MOST_TEXT // 2]} … {message[-_MOST_TEXT // 2 :]}"
    yield {"loc": list(at), "msg": message, "type": _TYPES.get(kind.name, kind.name)}


_TYPES: Mapping[str, str] = {"type": "type_error", "constant": "literal_error", "enum": "enum"}


def _likeliest(branches: Any, instance: Any) -> Any:
    """Return the errors of the alternative that was probably meant, or None."""
    candidates = [branch for branch in branches if branch]
    if not isinstance(instance, (dict, list)):
        return None
    # An alternative of another kind altogether (null for an object) fails at its own root.
    depth = min(
        (min(len(error.instance_path) for error in branch) for branch in candidates), default=0
    )
    fitting = [
        branch
        for branch in candidates
        if not any(
            error.kind.name == "type" and len(error.instance_path) == depth for error in branch
        )
        and not any(error.kind.name == "constant" for error in branch)
    ]
    return min(fitting, key=len, default=None)
