"""Schemas put together at random: what is read is what is sent, whatever the nesting."""

from __future__ import annotations

import importlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pytest

# A schema, and what makes one of its values.
Made: TypeAlias = tuple[dict[str, Any], Callable[[], Any]]

KEYS = ["a", "b", "class", "to_dict", "x-y", "list", "Any", "data"]


class Schemas:
    """Schemas from one seed, and the components that they refer to."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        pick = self.random.choice
        cat = {"kind": "cat", "lives": 9}
        dog = {"kind": "dog", "name": "Rex"}
        described = {"kind": {"type": "string"}}
        self.components: dict[str, Made] = {
            "Color": ({"type": "string", "enum": ["red", "blue"]}, lambda: pick(["red", "blue"])),
            "Cat": ({"type": "object", "required": ["kind"], "properties": {**described, "lives": {"type": "integer"}}}, lambda: cat),
            "Dog": ({"type": "object", "required": ["kind", "name"], "properties": {**described, "name": {"type": "string"}}}, lambda: dog),
            "Pet": (
                {
                    "oneOf": [reference("Cat"), reference("Dog")],
                    "discriminator": {"propertyName": "kind", "mapping": {"cat": "Cat", "dog": "#/components/schemas/Dog"}},
                },
                lambda: pick([cat, dog]),
            ),
            "Alias": (reference("Dog"), lambda: dog),
            "Nothing": ({"type": "object", "nullable": True, "required": ["q"], "properties": {"q": {"type": "boolean"}}}, lambda: pick([None, {"q": True}])),
            "Numbers": ({"type": "object", "additionalProperties": {"type": "number"}}, lambda: pick([{}, {"n": 0.5}])),
            "Cats": ({"type": "array", "items": reference("Cat")}, lambda: pick([[], [cat, cat]])),
            "Tree": ({"type": "object", "properties": {"left": reference("Tree"), "fruit": reference("Fruit")}}, lambda: pick([{}, {"left": {"fruit": {}}}])),
            "Fruit": ({"type": "object", "properties": {"of": {"anyOf": [reference("Tree"), {"type": "null"}]}}}, lambda: pick([{}, {"of": {"left": {}}}])),
            "Open": ({"type": "object", "required": ["z"], "properties": {"z": {"type": "string"}}, "additionalProperties": {"type": "integer"}}, lambda: {"z": "", "more": 2}),
            "Sub": (
                {"allOf": [reference("Open"), {"required": ["day"], "properties": {"day": {"type": "string", "format": "date"}}}]},
                lambda: {"z": "", "day": "2026-01-02"},
            ),
        }  # fmt: skip

    def leaf(self) -> Made:
        pick = self.random.choice
        return pick([
            ({"type": "string"}, lambda: pick(["", "x", "2026-01-02"])),
            ({"type": "integer"}, lambda: pick([-1, 0, 5])),
            ({"type": "number"}, lambda: pick([1, 0.5])),
            ({"type": "boolean"}, lambda: pick([True, False])),
            ({"type": "string", "format": "date-time"}, lambda: "2026-01-02T03:04:05+00:00"),
            ({"type": "string", "format": "date"}, lambda: "2026-01-02"),
            ({"enum": ["a", 1, None, True]}, lambda: pick(["a", 1, True])),
            ({"const": "c"}, lambda: "c"),
            ({"const": 1.5}, lambda: 1.5),
            ({}, lambda: pick([1, "x", [None], {"a": None}])),
        ])  # fmt: skip

    def schema(self, depth: int = 0) -> Made:
        pick = self.random.choice
        kind = pick(
            ["leaf", "reference", "array", "tuple", "map", "object", "union", "null", "all"]
        )
        if kind == "leaf" or depth == 3:
            return self.leaf()
        name = pick(list(self.components))
        if kind == "reference":
            return {**reference(name), "description": "Beside it."}, self.components[name][1]
        if kind == "all":
            return {"allOf": [reference(name)], "description": "Around it."}, self.components[name][
                1
            ]
        inner, value = self.schema(depth + 1)
        if kind == "array":
            return {"type": "array", "items": inner}, lambda: [
                value() for _ in range(pick([0, 1, 2]))
            ]
        if kind == "map":
            return {"type": "object", "additionalProperties": inner}, lambda: {"k": value()}
        if kind == "null":
            return {"oneOf": [{"type": "null"}, inner]}, lambda: pick([None, value()])
        other, second = self.schema(depth + 1)
        if kind == "tuple":
            return {"type": "array", "prefixItems": [inner, other]}, lambda: [value(), second()]
        if kind == "union":
            return {"anyOf": [inner, other]}, lambda: pick([value, second])()
        one, two = self.random.sample(KEYS, 2)
        described = {"type": "object", "properties": {one: inner, two: other}, "required": [one]}
        return described, lambda: {one: value(), **pick([{}, {two: second()}])}


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the packages are imported from."""
    made = tmp_path_factory.mktemp("random")
    sys.path.insert(0, str(made))
    yield made
    sys.path.remove(str(made))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the compiled templates are kept."""
    return tmp_path_factory.mktemp("templates")


@pytest.mark.parametrize("seed", range(25))
def test_what_is_read_is_what_is_sent(
    generator: ModuleType, folder: Path, compiled: Path, seed: int
) -> None:
    """A value of any schema survives reading and sending, but for the nulls of optional keys."""
    schemas = Schemas(seed)
    fields = {f"field_{number}": schemas.schema() for number in range(5)}
    thing = {
        "type": "object",
        "properties": {name: schema for name, (schema, _) in fields.items()},
        "required": ["field_0", "field_1"],
    }
    content = {"content": {"application/json": {"schema": reference("Thing")}}}
    operation = {
        "operationId": "put",
        "tags": ["things"],
        "requestBody": {"required": True, **content},
        "responses": {"200": {"description": "ok", **content}},
    }
    components = {name: schema for name, (schema, _) in schemas.components.items()}
    spec = {
        "openapi": "3.1.0",
        "info": {"title": "Random", "version": str(seed)},
        "paths": {"/thing": {"put": operation}},
        "components": {"schemas": {"Thing": thing, **components}},
    }
    path = folder / f"seed{seed}.json"
    path.write_text(json.dumps(spec))
    generator.write(path, folder / f"random_{seed}", compiled)
    put = importlib.import_module(f"random_{seed}.api.things.put")
    for _ in range(10):
        value = {name: make() for name, (_, make) in fields.items()}
        body = put.parse_response(json.dumps(value).encode())
        sent = json.loads(put.build_request(body=body).encode())
        assert without_nulls(sent) == without_nulls(value)
