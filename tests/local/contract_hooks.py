"""Hooks for schemathesis: let valid requests meet things that exist.

Generated ids lead nowhere, and every answer would be a 404. So half of the requests that are valid
by the schema get the ids of what `test_contract.py` made beforehand.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import schemathesis
from schemathesis import GenerationMode

KNOWN: dict[str, list[str]] = json.loads(os.environ.get("TINKEX_CONTRACT_IDS", "{}"))
ROTATING = {name: itertools.cycle(values) for name, values in KNOWN.items()}
TURN = itertools.count()

# These end what they are given: they keep their generated ids.
ENDING = {"finish_session", "unload_model"}

HOUR = 3600
LOSS = {
    "inputs": [{"name": "logprobs", "rank": 1}],
    "graph": {
        "nodes": [
            {"op": "placeholder", "name": "logprobs", "target": "logprobs"},
            {"op": "call_method", "name": "loss", "target": "sum", "args": [{"ref": "logprobs"}]},
            {"op": "output", "name": "output", "target": "output", "args": [{"ref": "loss"}]},
        ]
    },
}


def substitute(values: Any) -> None:
    """Put known ids where a mapping has ids."""
    for name in list(values):
        if isinstance(values[name], str) and name in ROTATING:
            values[name] = next(ROTATING[name])


def meet(operation: str, case: Any) -> None:
    """Give an operation what only goes together: a window of time, a signed URL, an export."""
    if operation == "get_billing_usage":
        start = time.time() // HOUR * HOUR
        moments = (datetime.fromtimestamp(start + late, UTC).isoformat() for late in (0, 2 * HOUR))
        case.query.update(zip(("starting_on", "ending_before"), moments, strict=True))
    elif operation == "get_external_weights_urls":
        case.path_parameters |= {"checkpoint_kind": "external_weights", "checkpoint_name": "x"}
    elif operation in ROTATING:
        # The name of an operation stands for a URL of it that the server signed.
        url = urlsplit(next(ROTATING[operation]))
        case.query.update(parse_qsl(url.query))
        for pattern, part in zip(case.operation.path.split("/"), url.path.split("/"), strict=True):
            if pattern.startswith("{"):
                case.path_parameters[pattern.strip("{}")] = part


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out DELETE …/checkpoints/<name>/archive: it deletes the checkpoint "archive" of a kind."""
    operation = case.operation.definition.raw["operationId"]
    return not (operation == "get_sampler_archive_url" and case.method == "DELETE")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Change a valid case so that it reaches the meaning of its operation."""
    operation = case.operation.definition.raw["operationId"]
    generated = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if not generated or operation in ENDING or next(TURN) % 2:
        return
    substitute(case.path_parameters or {})
    substitute(case.query or {})
    meet(operation, case)
    body = case.body
    if not isinstance(body, dict):
        return
    substitute(body)
    if isinstance(body.get("target"), dict):
        substitute(body["target"])
    if "model_id" in body:
        # A number of its own choice would wait for all the numbers before it.
        body["seq_id"] = None
    if operation == "create_custom_loss":
        body.update(LOSS)
    if operation == "load_weights":
        body["path"] = next(ROTATING["saved_path"])
    if "prompt" in body:
        source = next(ROTATING["source"])
        for name in ("sampling_session_id", "base_model", "model_path"):
            body.pop(name, None)
        body[source.partition("=")[0]] = source.partition("=")[2]
        body["num_samples"] = 2
        if isinstance(body.get("sampling_params"), dict):
            body["sampling_params"]["max_tokens"] = 3
