"""The API description is valid, complete, true to the wire, and fit for the generator."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import openapi_spec_validator
import pytest
import yaml

SPEC = Path(__file__).parents[2] / "openapi.yaml"
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}

OPERATIONS = {
    "service": "healthz get_server_capabilities client_config client_dynamic_config auth_token"
    " get_own_api_key delete_own_api_key upload_form",
    "sessions": "create_session session_heartbeat finish_session create_sampling_session"
    " join_sampling_session list_sessions get_session search_sessions assign_session_project"
    " export_session_trace download_session_trace",
    "models": "create_model get_info unload_model",
    "training": "forward_backward forward optim_step create_custom_loss forward_backward_binary",
    "weights": "save_weights save_weights_for_sampler save_weights_external load_weights"
    " copy_weights weights_info",
    "sampling": "asample stream_sample get_sampler",
    "futures": "retrieve_future retrieve_futures cancel_future retrieve_future_binary",
    "telemetry": "send_telemetry list_telemetry",
    "runs": "list_training_runs get_training_run",
    "checkpoints": "list_checkpoints list_user_checkpoints delete_checkpoint"
    " get_checkpoint_archive_url get_sampler_archive_url get_external_weights_urls publish_checkpoint"
    " unpublish_checkpoint set_checkpoint_ttl download_checkpoint_archive"
    " download_external_weights",
    "billing": "get_audit_log get_billing_usage get_checkpoint_storage_usage",
    "tokenizers": "get_tokenizer",
}
OPEN_TO_ALL = {
    "healthz",
    "download_checkpoint_archive",
    "download_external_weights",
    "download_session_trace",
}


class Operation(NamedTuple):
    path: str
    method: str
    spec: dict[str, Any]


@functools.cache
def document() -> dict[str, Any]:
    # Every process of the tests reads it, and libyaml does so in a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: dict[str, Any] = yaml.load(SPEC.read_text(encoding="utf-8"), loader)
    return loaded


def schemas() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document()["components"]["schemas"]
    return found


def operations() -> dict[str, Operation]:
    return {
        spec["operationId"]: Operation(path, method, spec)
        for path, item in document()["paths"].items()
        for method, spec in item.items()
        if method in METHODS
    }


@functools.cache
def validator(schema_json: str) -> jsonschema_rs.Validator:
    schema = {**json.loads(schema_json), "components": {"schemas": schemas()}}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def problems(schema: dict[str, Any] | str, value: Any) -> list[str]:
    """What is wrong with a value; a schema may be given by the name of its component."""
    if isinstance(schema, str):
        schema = {"$ref": f"#/components/schemas/{schema}"}
    return [str(error) for error in validator(json.dumps(schema)).iter_errors(value)]


def nodes(node: Any, where: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk all objects of the document except the values of examples."""
    if isinstance(node, dict):
        yield where, node
        for key, value in node.items():
            if key not in ("example", "examples") or where.endswith("/properties"):
                yield from nodes(value, f"{where}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from nodes(value, f"{where}/{index}")


def examples() -> list[Any]:
    """Every example in the document, with the schema that it has to fit."""
    found = []
    for where, node in nodes(document()):
        schema = node.get("schema") if "schema" in node else None
        if where.endswith("/properties"):
            continue
        if schema is not None:
            given = {name: entry["value"] for name, entry in node.get("examples", {}).items()}
            if "example" in node:
                given["example"] = node["example"]
        elif isinstance(node.get("examples"), list):
            schema = {"$ref": where}
            given = {str(index): value for index, value in enumerate(node["examples"])}
        else:
            continue
        found += [
            pytest.param(schema, value, id=f"{where}/{name}") for name, value in given.items()
        ]
    return found


def wire_examples() -> list[Any]:
    listed = json.loads((Path(__file__).parent / "wire_examples.json").read_text(encoding="utf-8"))
    return [
        pytest.param(entry["schema"], entry["body"], id=f"{entry['era']}-{entry['schema']}")
        for entry in listed
    ]


def test_description_is_valid_openapi() -> None:
    """The document obeys the OpenAPI 3.1 specification."""
    assert document()["openapi"] == "3.1.0"
    openapi_spec_validator.validate(document())


def test_operations_are_the_agreed_ones() -> None:
    """Every operation of the API is there once, under its one tag."""
    expected = {name: [tag] for tag, names in OPERATIONS.items() for name in names.split()}
    assert {name: operation.spec["tags"] for name, operation in operations().items()} == expected
    assert [tag["name"] for tag in document()["tags"]] == list(OPERATIONS)


@pytest.mark.parametrize("name", operations())
def test_operation_says_who_may_call_it_and_how_it_fails(name: str) -> None:
    """An operation has texts, its security in so many words, and all errors that may come."""
    path, _, spec = operations()[name]
    assert spec["summary"]
    assert spec["description"]
    assert spec["security"] == ([] if name in OPEN_TO_ALL else [{"apiKeyAuth": []}])
    statuses = set(spec["responses"])
    assert statuses & {"200", "204"}
    expected = {"401", "429", "5XX"}
    if "requestBody" in spec:
        assert spec["requestBody"]["required"] is True
        assert len(spec["requestBody"]["content"]) == 1
        expected |= {"400", "413", "415", "422"}
    if "parameters" in spec:
        expected |= {"400", "422"}
    if "{" in path or spec.get("x-tinkex-optional"):
        expected |= {"404"}
    assert expected <= statuses


@pytest.mark.parametrize("name", operations())
def test_operation_shows_examples(name: str) -> None:
    """Every JSON request and every JSON answer of an operation has an example."""
    _, _, spec = operations()[name]
    contents = [spec["requestBody"]["content"]] if "requestBody" in spec else []
    contents.append(spec["responses"].get("200", {}).get("content", {}))
    for content in contents:
        if "application/json" in content and "application/x-protobuf" not in content:
            assert content["application/json"]["examples"]


@pytest.mark.parametrize(("schema", "value"), examples())
def test_example_fits_its_schema(schema: dict[str, Any], value: Any) -> None:
    """Every example in the document is valid."""
    assert problems(schema, value) == []


@pytest.mark.parametrize(("schema", "body"), wire_examples())
def test_traffic_of_official_clients_fits(schema: str, body: Any) -> None:
    """Bodies as official clients of several versions write and read them are valid."""
    assert problems(schema, body) == []


@pytest.mark.parametrize(("schema", "body"), wire_examples())
def test_unknown_keys_are_allowed(schema: str, body: dict[str, Any]) -> None:
    """Newer clients and servers add keys; the description lets them pass."""
    assert problems(schema, {**body, "from_a_newer_version": 1}) == []


def test_answers_of_retrieve_future_fit_its_union() -> None:
    """The union lists the three states first, then every result, the keyless one last."""
    operation = operations()["retrieve_future"].spec
    union = operation["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
    members = [member["$ref"].rpartition("/")[2] for member in union]
    assert members[:3] == ["TryAgainResponse", "FutureMetadataResponse", "RequestFailedResponse"]
    assert members[-1] == "OptimStepResponse"
    results = {
        spec["x-tinkex-result"] for _, _, spec in operations().values() if "x-tinkex-result" in spec
    }
    assert set(members[3:]) == results


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        ("LoraConfig", {"rank": 0}),
        ("ForwardBackwardInput", {"data": [], "loss_fn": "no_such_loss"}),
        ("CheckpointTtlRequest", {"ttl_seconds": 3599}),
        ("CheckpointTtlRequest", {"ttl_seconds": 315360001}),
        ("CheckpointTtlRequest", {}),
        ("SamplingParams", {"temperature": -0.1}),
        ("SamplingParams", {"top_p": 0}),
        ("SamplingParams", {"top_p": 1.5}),
        ("SamplingParams", {"top_k": 0}),
        ("SamplingParams", {"top_k": -2}),
        ("SamplingParams", {"max_tokens": 0}),
        ("SamplingParams", {"seed": 2**63}),
        ("SamplingParams", {"stop": ["x", 3]}),
        ("AdamParams", {"beta1": 1.0}),
        ("AdamParams", {"learning_rate": -1e-4}),
        ("TensorData", {"data": [None], "dtype": "float32"}),
        ("TensorData", {"data": [1.0], "dtype": "float64"}),
        ("ModelInput", {"chunks": [{"type": "encoded_text"}]}),
        ("ModelInput", {"chunks": [{"tokens": [1], "type": "image"}]}),
        ("ModelInput", {"chunks": [{"tokens": [-1]}]}),
        ("SaveWeightsRequest", {"model_id": "M", "path": "../escape"}),
        ("SaveWeightsRequest", {"model_id": "M", "path": ".."}),
        ("LoadWeightsRequest", {"path": "/etc/passwd", "optimizer": True}),
    ],
)
def test_wrong_request_is_refused(schema: str, body: Any) -> None:
    """What the API documents as out of range does not fit the schema."""
    assert problems(schema, body)


@pytest.mark.parametrize("tagged", [True, False])
@pytest.mark.parametrize(
    "name", ["EncodedTextChunk", "ImageChunk", "ImageAssetPointerChunk", "DmelChunk"]
)
def test_chunk_is_unambiguous(name: str, tagged: bool) -> None:
    """A chunk fits exactly one member of the union, with and without its type."""
    chunk = dict(schemas()[name]["examples"][0])
    if not tagged:
        del chunk["type"]
    union = schemas()["ModelInput"]["properties"]["chunks"]["items"]["anyOf"]
    assert [member for member in union if not problems(member, chunk)] == [
        {"$ref": f"#/components/schemas/{name}"}
    ]


@pytest.mark.parametrize("name", schemas())
def test_optional_keys_may_be_null(name: str) -> None:
    """Old clients write null for what they leave open, so every optional key takes it."""
    schema = schemas()[name]
    for key, member in schema.get("properties", {}).items():
        if key in schema.get("required", ()):
            continue
        if "const" in member:
            assert member["default"] == member["const"]
        else:
            assert problems(member, None) == [], key


def test_required_keys_come_first() -> None:
    """The generated classes show their fields in this order."""
    for name, schema in schemas().items():
        required = schema.get("required", [])
        assert list(schema.get("properties", {}))[: len(required)] == required, name


def test_every_component_is_used() -> None:
    """No schema, parameter, header or response lies about unused."""
    used = {node["$ref"] for _, node in nodes(document()) if isinstance(node.get("$ref"), str)}
    defined = {
        f"#/components/{kind}/{name}"
        for kind, entries in document()["components"].items()
        for name in entries
        if kind != "securitySchemes"
    }
    assert defined == used


def test_schemas_keep_to_what_the_generator_takes() -> None:
    """No construct is used that the generator drops, renames or makes into slow code."""
    for where, node in nodes(document()["components"]["schemas"], "#/components/schemas"):
        if where.endswith(("/properties", "/mapping")):
            continue
        assert "allOf" not in node, where
        assert "title" not in node, where
        assert node.get("additionalProperties") is not False, where
        # The one object whose unknown keys have to come back out.
        is_open = where.endswith("/OptimizerConfig")
        assert is_open or not ("additionalProperties" in node and "properties" in node), where
        assert all(isinstance(value, str) for value in node.get("enum", [])), where
        if "enum" in node or "additionalProperties" in node:
            assert where.count("/") == 3, f"{where} needs a name"
        if "anyOf" in node:
            assert all({"$ref"} == set(member) or "type" in member for member in node["anyOf"]), (
                where
            )


def test_every_schema_is_described() -> None:
    """Every component, property and parameter says what it is."""
    for name, schema in schemas().items():
        assert schema["description"], name
        for key, member in schema.get("properties", {}).items():
            assert member.get("description"), f"{name}.{key}"
    listed = [document()["components"]["parameters"].values()]
    listed += [operation.spec.get("parameters", []) for operation in operations().values()]
    for parameters in listed:
        assert all("$ref" in parameter or parameter["description"] for parameter in parameters)


def test_alias_paths_name_the_real_route() -> None:
    """An operation that shares its route with another says so, and its servers lead there."""
    aliases = [op for op in operations().values() if "x-tinkex-wire-path" in op.spec]
    assert len(aliases) == 2
    for path, method, spec in aliases:
        assert method in document()["paths"][spec["x-tinkex-wire-path"]]
        for base, own in zip(
            document()["servers"], document()["paths"][path]["servers"], strict=True
        ):
            assert own["url"] + path == base["url"] + spec["x-tinkex-wire-path"]
