"""The package made from openapi.yaml, against the examples and operations of that description."""

from __future__ import annotations

import datetime as dt
import importlib
import importlib.resources
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tinkex_generated import models
from tinkex_generated.types import Request, loads

SPEC: dict[str, Any] = loads(
    importlib.resources.files("tinkex_generated").joinpath("openapi.json").read_bytes()
)
EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
METHODS = ("get", "put", "post", "delete", "patch")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in SPEC["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def schema_examples() -> Iterator[Any]:
    for name, schema in SPEC["components"]["schemas"].items():
        if "properties" in schema:
            for number, example in enumerate(schema.get("examples", [])):
                yield pytest.param(name, example, id=f"{name}-{number}")


def response_examples() -> Iterator[Any]:
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json", {})
            for name, example in content.get("examples", {}).items():
                if status == "200" and "application/x-protobuf" not in response["content"]:
                    yield pytest.param(
                        operation, example["value"], id=f"{operation['operationId']}-{name}"
                    )


def module_of(operation: dict[str, Any]) -> Any:
    tag, name = operation["tags"][0], operation["operationId"]
    return importlib.import_module(f"tinkex_generated.api.{tag}.{name}")


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def holds(whole: Any, part: Any) -> bool:
    """Whether `whole` has all that `part` has; it may have more keys, which are defaults."""
    if isinstance(part, dict):
        return all(key in whole and holds(whole[key], item) for key, item in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part or (isinstance(part, str) and whole == part.replace("Z", "+00:00")))


@pytest.mark.parametrize(("name", "example"), list(schema_examples()))
def test_examples_of_schemas_survive_a_round_trip(name: str, example: Any) -> None:
    """What the description shows of an object is what its class reads and writes."""
    model = getattr(models, name)
    written = model.from_dict(example).to_dict()
    assert holds(without_nulls(written), without_nulls(example))
    assert model.from_dict(written).to_dict() == written


@pytest.mark.parametrize(("operation", "example"), list(response_examples()))
def test_examples_of_answers_are_parsed(operation: dict[str, Any], example: Any) -> None:
    """What the description shows as an answer is what parse_response reads."""
    parsed = module_of(operation).parse_response(json.dumps(example).encode())
    written = parsed.to_dict() if hasattr(parsed, "to_dict") else parsed
    assert holds(without_nulls(written), without_nulls(example))


@pytest.mark.parametrize(
    ("path", "method", "operation"),
    [pytest.param(*found, id=found[2]["operationId"]) for found in operations()],
)
def test_every_operation_builds_its_request(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    """Method, path, security and media type of the request are those of the description."""
    arguments: dict[str, Any] = {}
    expected = operation.get("x-tinkex-wire-path", path)
    for parameter in [*operation.get("parameters", []), *SPEC["paths"][path].get("parameters", [])]:
        if "$ref" in parameter:
            parameter = SPEC["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
        if parameter.get("required"):
            moment = parameter["schema"].get("format") == "date-time"
            arguments[parameter["name"]] = EPOCH if moment else "x:1"
            expected = expected.replace(f"{{{parameter['name']}}}", "x:1")
    body = operation.get("requestBody", {}).get("content", {})
    if "application/json" in body:
        content = body["application/json"]
        name = content["schema"]["$ref"].rpartition("/")[2]
        example = next(iter(content["examples"].values()))["value"]
        model = getattr(models, name)
        arguments["body"] = model.from_dict(example) if hasattr(model, "from_dict") else example
    elif body:
        arguments["body"] = b"\x00"
    request = module_of(operation).build_request(**arguments)
    assert isinstance(request, Request)
    assert (request.operation, request.method) == (operation["operationId"], method.upper())
    assert request.path == expected
    assert request.secured == bool(operation.get("security"))
    assert request.content_type == next(iter(body), None)
