"""The server against openapi.yaml, by generated requests.

schemathesis makes requests that fit the spec and requests that do not, and checks that the first
are taken, the second refused, that every status, header and body is one the spec has, and that
nothing answers 500. The bounded run below takes about a minute. A long one, with shrinking and
other seeds, is this:

    TINKEX_CONTRACT_EXAMPLES=300 python -m pytest tests/local/test_contract.py --timeout 7200
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from local.wire import NANO, Wire, loss_input, prompt
from support.extent import extent

from tinkex.local import LocalServer
from tinkex.local.app import HANDLERS
from tinkex.local.app_state import Options

SPEC = Path(__file__).parents[2] / "openapi.yaml"
# Another Python that has schemathesis, where this one tests versions that it would not go with.
TOOL = os.environ.get("TINKEX_SCHEMATHESIS", sys.executable)
EXAMPLES = extent("CONTRACT_EXAMPLES", 1, 60)
KEY = "tml-contract"

# A request may fit the schema and still make no sense; then it is a 4xx, but never a 422, which
# is what does not fit the schema.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "410"]

# The spec calls a stream of events a string; schemathesis expects a schema for each event, which
# OpenAPI 3.1 cannot say. What the events hold is tested in test_sampling.py.
[[operations]]
include-operation-id = "stream_sample"
checks.response_schema_conformance.enabled = false
"""
# One validator refuses what does not fit the spec, so in the short form each operation is sent a drawn request of that
# kind, and only those that fit are gone through systematically.
SHORT = """
[phases.coverage.generation]
mode = "positive"
"""


def things_that_exist(wire: Wire) -> dict[str, list[str]]:
    """Make one of everything and return the ids under the names that requests have for them."""
    model = wire.model()
    other = wire.model(wire.session(), 0)
    done = [
        model.submit("forward_backward", forward_backward_input=loss_input()),
        model.submit("optim_step"),
    ]
    saves = [model.submit("save_weights", path=f"w{number}") for number in range(12)]
    sampled = model.submit("save_weights_for_sampler", path="s")
    ephemeral = model.submit("save_weights_for_sampler", sampling_session_seq_id=0)
    path = wire.result(sampled)["path"]
    sampler = wire.result(ephemeral)["sampling_session_id"]
    sample = wire.post(
        "asample",
        base_model=NANO,
        prompt=prompt(1, 2),
        sampling_params={"max_tokens": 2},
        prompt_logprobs=True,
        topk_prompt_logprobs=2,
    )
    failed = wire.post("asample", base_model=NANO, prompt=prompt(9999), sampling_params={})
    loaded = model.submit("load_weights", path=wire.result(saves[0])["path"], optimizer=True)
    exported = model.submit("save_weights_external", path="x")
    gone = wire.post("unload_model", model_id=other.model_id)
    promises = [*done, saves[0], sampled, ephemeral, sample, failed, loaded, exported, gone]
    for promise in promises:
        wire.outcome(promise)
    run = f"training_runs/{model.model_id}/checkpoints"
    archive = wire.http.get(f"{run}/sampler_weights/s/archive").headers["location"]
    files = wire.get(f"{run}/external_weights/x/external_weights_urls")["urls"]
    trace = wire.get(f"sessions/{model.session_id}/trace_export")["url"]
    return {
        "download_checkpoint_archive": [archive],
        "download_external_weights": list(files.values()),
        "download_session_trace": [trace],
        "session_id": [model.session_id],
        "model_id": [model.model_id],
        "training_run_id": [model.model_id],
        "checkpoint_kind": ["weights"],
        "checkpoint_name": [f"w{number}" for number in range(12)],
        "sampler_id": [sampler],
        "sampling_session_id": [sampler],
        "request_id": [promise["request_id"] for promise in promises],
        "base_model": [NANO],
        "model": [NANO],
        "saved_path": [f"tinker://{model.model_id}/weights/w1"],
        "model_path": [path],
        "source_path": [path],
        "tinker_path": [path],
        "source": [f"sampling_session_id={sampler}", f"base_model={NANO}", f"model_path={path}"],
    }


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * EXAMPLES)
def test_server_keeps_the_contract(tmp_path: Path) -> None:
    """No generated request finds a difference between the server and the spec."""
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG + (SHORT if EXAMPLES < 10 else ""))
    with LocalServer(api_key=KEY, options=Options(long_poll_s=0.05)) as server:
        wire = Wire(server.base_url, **{"x-api-key": KEY})
        known = things_that_exist(wire)
        wire.http.close()
        command = [TOOL, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
        command += [str(SPEC), "--url", server.base_url, "--header", f"X-API-Key: {KEY}"]
        command += ["--phases", "examples,coverage,fuzzing", "--continue-on-failure"]
        command += ["--max-examples", str(EXAMPLES), "--request-timeout", "60", "--no-color"]
        command += ["--output-sanitize", "false", "--warnings", "off"]
        if EXAMPLES < 10:
            command += ["--seed", "1", "--no-shrink", "--generation-database", "none"]
        for name in HANDLERS:
            command += ["--include-operation-id", name]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": "local.contract_hooks",
                "PYTHONPATH": str(Path(__file__).parents[1]),
                "TINKEX_CONTRACT_IDS": json.dumps(known),
            },
        )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
