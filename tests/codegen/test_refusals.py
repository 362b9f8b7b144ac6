"""What the generator refuses, and the sentence that names the place."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Change = Callable[[dict[str, Any]], object]


def spec(**schemas: Any) -> dict[str, Any]:
    """A description of one operation, and of these schemas."""
    schema = {"$ref": "#/components/schemas/Thing"}
    operation = {
        "operationId": "get",
        "parameters": [],
        "responses": {
            "200": {"description": "ok", "content": {"application/json": {"schema": schema}}}
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {"/t": {"get": operation}},
        "components": {"schemas": {"Thing": {"type": "object"}, **schemas}},
    }


def operation(described: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = described["paths"]["/t"]["get"]
    return found


OBJECT = {"type": "object", "properties": {"k": {"type": "string"}}}
CAT = {"type": "object", "properties": {"k": {"const": "cat"}}}
REF = {"$ref": "#/components/schemas/Cat"}

SCHEMAS: list[tuple[dict[str, Any], str]] = [
    ({"A": False}, "components.schemas.A: is False, which is no schema or allows no value"),
    ({"A": {"type": "file"}}, "components.schemas.A: 'file' is no type"),
    ({"A": {"$ref": "other.yaml#/A"}}, "components.schemas.A: refers to 'other.yaml#/A'"),
    ({"A": {"items": {"$ref": "#/components/schemas/B"}}}, "components.schemas.A.items: refers to"),
    (
        {"A": {"$ref": "#/components/schemas/A"}},
        "components.schemas.A: refers to A, which only refers to itself",
    ),
    ({"A": {"$dynamicRef": "#x"}}, "components.schemas.A: $dynamicRef is not supported"),
    ({"A": {"enum": []}}, "components.schemas.A: the enum is no list of values"),
    ({"A": {"enum": [{}]}}, "components.schemas.A: the enum has a value that is no"),
    ({"A": {"type": "string", "enum": ["a", 1]}}, "components.schemas.A: 1 is no string"),
    ({"A": {"type": "integer", "const": "x"}}, "components.schemas.A: 'x' is no integer"),
    ({"A": {"const": [1]}}, "components.schemas.A: the const is no string, number or boolean"),
    ({"A": {"anyOf": [{}], "oneOf": [{}]}}, "components.schemas.A: has both anyOf and oneOf"),
    ({"A": {**OBJECT, "oneOf": [OBJECT]}}, "components.schemas.A: has properties beside a union"),
    (
        {"A": {"type": "boolean", "default": "maybe"}},
        "components.schemas.A: the default 'maybe' is no boolean",
    ),
    (
        {"A": {"type": "integer", "default": 0.5}},
        "components.schemas.A: the default 0.5 is no integer",
    ),
    (
        {"A": {"type": "integer", "default": True}},
        "components.schemas.A: the default True is no integer",
    ),
    (
        {"A": {"const": "x", "default": "y"}},
        "components.schemas.A: the default 'y' is not the constant 'x'",
    ),
    (
        {"A": {"type": "object", "default": "y"}},
        "components.schemas.A: the default 'y' is no object",
    ),
    (
        {"A": {"type": "string", "format": "date", "default": "today"}},
        "components.schemas.A: the default 'today' is no date",
    ),
    (
        {"A": {"anyOf": [{"type": "integer"}, {"type": "boolean"}], "default": "x"}},
        "components.schemas.A: the default 'x' fits no member",
    ),
    (
        {
            "A": {
                "type": "array",
                "items": {"anyOf": [{"type": "object", "additionalProperties": {"enum": []}}]},
            }
        },
        "components.schemas.A.items.anyOf[0].additionalProperties: the enum is no list",
    ),
    (
        {"A": {"allOf": [{"$ref": "#/components/schemas/A"}, OBJECT]}},
        "components.schemas.A: has itself in its allOf",
    ),
    (
        {"A": {"allOf": [{"type": "string"}, {"type": "object"}]}},
        "components.schemas.A: allOf requires it to be string and object at once",
    ),
    (
        {"A": {"allOf": [{"oneOf": [OBJECT]}, OBJECT]}},
        "components.schemas.A: has a union in an allOf",
    ),
    (
        {"A": {"allOf": [{"const": 1}, {"const": 2}]}},
        "components.schemas.A: allOf has two parts with different const",
    ),
    (
        {"A": {"type": "array", "items": {"$ref": "#/components/schemas/A"}}},
        "components.schemas.A: contains itself",
    ),
    (
        {
            "A": {
                "additionalProperties": {
                    "anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/A"}]
                }
            }
        },
        "components.schemas.A: contains itself",
    ),
    ({"A": OBJECT, "a": OBJECT}, "components.schemas.a: maps to the same class as A"),
    (
        {"A": {"type": "object", "properties": {"x": {}, "x ": {}}}},
        "components.schemas.A: has properties that map to the same Python name",
    ),
    (
        {"U": {"oneOf": [OBJECT], "discriminator": {"propertyName": "k"}}},
        "components.schemas.U: has a discriminator, so each member must be a $ref to an object",
    ),
    (
        {"U": {"oneOf": [REF], "discriminator": {}}, "Cat": CAT},
        "components.schemas.U: the discriminator has no",
    ),
    (
        {"U": {"oneOf": [REF], "discriminator": {"propertyName": "kind"}}, "Cat": CAT},
        "components.schemas.U: Cat lacks the property 'kind'",
    ),
    (
        {
            "U": {
                "oneOf": [REF],
                "discriminator": {"propertyName": "k", "mapping": {"a": "Thing"}},
            },
            "Cat": CAT,
        },
        "components.schemas.U: the discriminator maps 'a' to Thing, which is not a member",
    ),
    (
        {
            "U": {
                "oneOf": [REF],
                "discriminator": {"propertyName": "k", "mapping": {"dog": "Cat"}},
            },
            "Cat": CAT,
        },
        "components.schemas.U: the discriminator maps 'dog' to Cat, whose k is 'cat'",
    ),
    (
        {
            "U": {
                "oneOf": [REF, {"$ref": "#/components/schemas/Dog"}],
                "discriminator": {"propertyName": "k"},
            },
            "Cat": CAT,
            "Dog": CAT,
        },
        "components.schemas.U: k 'cat' selects both Cat and Dog",
    ),
    (
        {
            "Thing": {"type": "object", "properties": {"cat": REF}},
            "Cat": {**OBJECT, "discriminator": {"propertyName": "k"}},
            "Dog": {"allOf": [REF, OBJECT]},
        },
        "components.schemas.Cat: has a discriminator and is used as a type: use a oneOf of Dog",
    ),
]


def parameter(**described: Any) -> Change:
    return lambda whole: operation(whole)["parameters"].append(described)


def body(media: str, schema: Any, **more: Any) -> Change:
    content = {media: {"schema": schema, **more}}
    return lambda whole: operation(whole).update(requestBody={"content": content})


def response(media: str, schema: Any) -> Change:
    content = {media: {"schema": schema}}
    return lambda whole: operation(whole)["responses"]["200"].update(content=content)


STRING = {"type": "string"}
AT = "paths./t.get.parameters[0]"
OPERATIONS: list[tuple[Change, str]] = [
    (parameter(name="c", schema=STRING, **{"in": "cookie"}), f"{AT}: 'c' is a cookie parameter"),
    (parameter(name="c", content={}, **{"in": "query"}), f"{AT}: 'c' has no schema"),
    (parameter(name="c", schema=STRING, style="matrix", **{"in": "path"}), f"{AT}: 'c' has the style matrix"),
    (parameter(name="c", schema={"items": {}}, **{"in": "header"}), f"{AT}: 'c' is an array, which cannot"),
    (
        parameter(name="c", schema={"type": "string", "format": "date"}, **{"in": "header"}),
        f"{AT}: 'c' is a date, which cannot be sent in a header",
    ),
    (
        parameter(name="c", schema={"items": {"items": STRING}}, **{"in": "query"}),
        f"{AT}: 'c' is nested, which has no form in a query",
    ),
    (
        parameter(name="c", schema={"type": ["string", "null"]}, **{"in": "path"}),
        f"{AT}: 'c' may be null, which has no form in a path",
    ),
    (lambda whole: operation(whole).update(parameters=[{"$ref": "#/components/parameters/x"}]), f"{AT}: refers to"),
    (
        lambda whole: operation(whole).update(parameters=[{"name": "a", "in": "query", "schema": {}}] * 2),
        "paths./t.get.parameters[1]: is the second query parameter called 'a'",
    ),
    (
        lambda whole: whole["paths"].update({"/{a.b}": {"get": {**operation(whole), "operationId": "u"}}}),
        "paths./{a.b}.get: 'a.b' in the path is no name of letters",
    ),
    (
        lambda whole: whole["paths"].update({"/{a}": {"get": {**operation(whole), "operationId": "u"}}}),
        "paths./{a}.get: /{a} does not name its path parameters, which are: none",
    ),
    (body("application/xml", OBJECT), "paths./t.get.requestBody.content.application/xml: describes more than a string"),
    (
        body("multipart/form-data", {"oneOf": [OBJECT, CAT]}),
        "paths./t.get.requestBody.content.multipart/form-data: a form has to be an object",
    ),
    (
        body("application/x-www-form-urlencoded", OBJECT, encoding={"k": {"style": "matrix"}}),
        "paths./t.get.requestBody.content.application/x-www-form-urlencoded.encoding.k: the style matrix",
    ),
    (
        lambda whole: operation(whole).update(requestBody={"content": {"text/a": {}, "text/b": {}}}),
        "paths./t.get.requestBody.content: has text/a, text/b; one media type can be sent",
    ),
    (response("application/xml", OBJECT), "paths./t.get.responses.200.content.application/xml: describes more than"),
    (response("multipart/form-data", OBJECT), "paths./t.get.responses.200.content.multipart/form-data: a form cannot"),
    (
        lambda whole: operation(whole)["responses"].update({"2xx": {"description": "d"}}),
        "paths./t.get.responses: '2xx' is no status",
    ),
    (
        lambda whole: operation(whole).update(security=[{"key": []}]),
        "paths./t.get.security: names 'key', which is no security scheme",
    ),
    (
        lambda whole: (
            operation(whole).update(security=[{"key": []}]),
            whole["components"].update(securitySchemes={"key": {"type": "http", "scheme": "basic"}}),
        ),
        "paths./t.get.security: wants key; a key goes into a header",
    ),
    (
        lambda whole: (
            operation(whole).update(security=[{"one": []}]),
            whole["paths"].update({"/u": {"get": {**operation(whole), "operationId": "u", "security": [{"two": []}]}}}),
            whole["components"].update(
                securitySchemes={
                    "one": {"type": "http", "scheme": "bearer"},
                    "two": {"type": "apiKey", "in": "header", "name": "X-Key"},
                }
            ),
        ),
        "paths./u.get: takes its key in another way than paths./t.get",
    ),
    (lambda whole: whole["paths"].update({"/u": {"$ref": "#/paths/~1v"}}), "paths./u: refers to #/paths/~1v"),
    (lambda whole: whole["paths"].update({"/u": {"$ref": "v.yaml"}}), "paths./u: refers to 'v.yaml', which is not"),
]  # fmt: skip


@pytest.fixture(scope="module")
def description(generator: ModuleType) -> ModuleType:
    """The module codegen/description.py."""
    return importlib.import_module("description")


@pytest.mark.parametrize(("schemas", "sentence"), SCHEMAS)
def test_schemas_without_right_code_are_refused(
    description: ModuleType, schemas: dict[str, Any], sentence: str
) -> None:
    """The sentence begins with the path of the schema."""
    with pytest.raises(description.GenerationError) as caught:
        description.prepare(spec(**schemas))
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(("change", "sentence"), OPERATIONS)
def test_operations_without_right_code_are_refused(
    description: ModuleType, change: Change, sentence: str
) -> None:
    """The sentence begins with the path of the operation's part."""
    described = spec()
    change(described)
    with pytest.raises(description.GenerationError) as caught:
        description.prepare(described)
    assert str(caught.value).startswith(sentence)


def test_two_classes_in_one_module_are_refused(generator: ModuleType, tmp_path: Path) -> None:
    """One of them would be lost without a word."""
    path, output = tmp_path / "spec.json", tmp_path / "made"
    path.write_text(json.dumps(spec(HTTPError=OBJECT, HttpError=OBJECT)))
    with pytest.raises(generator.GenerationError, match="map to the module of models http_error"):
        generator.write(path, output)
    assert not output.exists()


def test_the_description_itself_is_left_as_it_is(description: ModuleType) -> None:
    """What the package embeds is what was read, not what the generator got."""
    described = spec(
        A={"allOf": [OBJECT, {"required": ["k"]}], "nullable": True}, B={"enum": ["a", None]}
    )
    before = repr(described)
    description.prepare(described)
    assert repr(described) == before


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"swagger": "2.0", "paths": {}}, "is no OpenAPI description of version 3.0 or 3.1"),
        ({"openapi": "3.1.0", "paths": []}, "is no OpenAPI description: it has no paths"),
    ],
)
def test_other_documents_are_refused(
    description: ModuleType, tmp_path: Any, document: Any, sentence: str
) -> None:
    """The file is named."""
    path = tmp_path / "spec.yaml"
    path.write_text(str(document))
    with pytest.raises(description.GenerationError, match=sentence):
        description.read_spec(path)


def test_json_may_have_tabs(description: ModuleType, tmp_path: Any) -> None:
    """A file in JSON is read as JSON."""
    path = tmp_path / "spec.json"
    path.write_text('{\n\t"openapi": "3.1.0",\n\t"paths": {}\n}')
    assert description.read_spec(path) == {"openapi": "3.1.0", "paths": {}}
    path.write_text("{")
    with pytest.raises(description.GenerationError, match="is not JSON"):
        description.read_spec(path)


def test_what_only_yaml_has_is_read_as_json(description: ModuleType, tmp_path: Any) -> None:
    """A status without quotes is a string, and a date is its text."""
    path = tmp_path / "spec.yaml"
    path.write_text(
        "openapi: 3.0.0\npaths: {/a: {get: {responses: {200: {}}}}}\nx-day: 2026-01-02\n"
    )
    found = description.read_spec(path)
    assert list(found["paths"]["/a"]["get"]["responses"]) == ["200"]
    assert found["x-day"] == "2026-01-02"
