"""Both forms of the wire, end to end against the local server, give the same to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from support.nano import NANO, nano_url
from tinkex_generated.models import ClientConfigResponse

from tinkex import ServiceClient
from tinkex._core.server_config import ServerConfig
from tinkex._core.transport import Transport
from tinkex.types import AdamParams, Datum, ModelInput, SamplingParams

RNG = np.random.default_rng(3)
TOKENS = [RNG.integers(0, 256, length) for length in (9, 1, 30)]


@contextmanager
def service(form: str, url: str | None = None) -> Iterator[ServiceClient]:
    with ServiceClient(base_url=url or nano_url(), wire_format=form) as client:
        yield client


def data(**inputs: Any) -> list[Datum]:
    """Return data of several lengths; each input is a function of the length."""
    return [
        Datum(
            ModelInput.from_ints(tokens[:-1] if len(tokens) > 1 else tokens),
            {
                "target_tokens": tokens[1:] if len(tokens) > 1 else tokens,
                **{name: make(max(1, len(tokens) - 1)) for name, make in inputs.items()},
            },
        )
        for tokens in TOKENS
    ]


def ones(length: int) -> np.ndarray[Any, Any]:
    return np.ones(length, np.float32)


def trained(form: str) -> dict[str, Any]:
    """Train and sample by fixed seeds and return everything that came back."""
    rng = np.random.default_rng(5)
    found: dict[str, Any] = {}
    with service(form) as client:
        training = client.create_lora_training_client(NANO, rank=4, seed=7)
        for step in range(3):
            weights = data(weights=lambda n: rng.random(n, np.float32))
            output, stepped = training.train_step(weights, "cross_entropy", AdamParams(1e-2))
            found[f"step {step}"] = output.result()
            stepped.result()
        own = training.forward(data(weights=ones), "cross_entropy").result()
        found["forward"] = own
        logprobs = iter([one["logprobs"].numpy() for one in own.loss_fn_outputs])
        batch = data(logprobs=lambda n: next(logprobs), advantages=lambda n: rng.normal(size=n))
        limits = {"clip_low_threshold": 0.9, "clip_high_threshold": 1.1}
        found["ppo"] = training.forward_backward(batch, "ppo", limits).result()
        training.optim_step().result()
        sampler = training.save_weights_and_get_sampling_client()
        params = SamplingParams(max_tokens=8, seed=11, temperature=1.3)
        found["sample"] = sampler.sample(
            ModelInput.from_ints(TOKENS[0]),
            3,
            params,
            include_prompt_logprobs=True,
            topk_prompt_logprobs=4,
        ).result()
        found["logprobs"] = sampler.compute_logprobs(ModelInput.from_ints(TOKENS[2])).result()
        found["after"] = training.forward(data(weights=ones), "cross_entropy").result()
    return found


def test_both_forms_give_the_same_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses, log probabilities, samples and what the weights have become do not depend on the form."""
    kinds: dict[str, set[str]] = {}
    attempt = Transport.attempt

    async def watch(self: Transport, request: Any, **more: Any) -> Any:
        answer = await attempt(self, request, **more)
        kind = answer.headers.get("content-type", "")
        kinds.setdefault(self.config.wire_format, set()).add(kind)
        return answer

    monkeypatch.setattr(Transport, "attempt", watch)
    binary, json = trained("protobuf"), trained("json")
    assert "application/x-protobuf" in kinds["protobuf"]
    assert "application/x-protobuf" not in kinds["json"]
    assert binary["step 0"].metrics["loss:sum"] != binary["step 2"].metrics["loss:sum"]
    names = {one.sequence_id for found in (binary, json) for one in found["sample"].sequences}
    assert len(names - {None}) == 6
    for found in (binary, json):
        nameless = [evolve(one, sequence_id=None) for one in found["sample"].sequences]
        found["sample"] = evolve(found["sample"], sequences=nameless)
    for name, output in binary.items():
        assert output == json[name], name


def test_the_local_server_is_spoken_to_in_the_binary_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default passes go out as protobuf, in one request each, and nothing is tried twice."""
    sent: list[tuple[str, str]] = []
    send = Transport.request

    async def watch(self: Transport, request: Any, **more: Any) -> Any:
        sent.append((request.path.rpartition("/")[2], request.content_type))
        return await send(self, request, **more)

    monkeypatch.setattr(Transport, "request", watch)
    with service("auto") as client:
        training = client.create_lora_training_client(NANO, rank=4)
        training.forward_backward(data(weights=ones), "cross_entropy").result()
        training.forward(data(weights=ones), "cross_entropy").result()
    passes = [kind for path, kind in sent if path.startswith("forward")]
    assert passes == ["application/x-protobuf"] * 2


def test_bad_data_are_named_alike_in_both_forms() -> None:
    """What the server says of a token that is not in the vocabulary does not depend on the form."""
    unknown = Datum(ModelInput.from_ints([10**6]), {"target_tokens": [1], "weights": [1.0]})
    said = []
    for form in ("auto", "protobuf", "json"):
        with service(form) as client:
            training = client.create_lora_training_client(NANO, rank=4)
            with pytest.raises(Exception, match="1000000") as caught:
                training.forward_backward([unknown], "cross_entropy").result()
            said.append((type(caught.value), str(caught.value).partition(" (")[0]))
    assert len(set(said)) == 1


def test_compressed_batches_are_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the server's hint the body is a zstd frame, and the result is the same to the last bit."""
    results = []
    sizes: dict[str | None, int] = {}
    send = Transport.request

    async def watch(self: Transport, request: Any, **more: Any) -> Any:
        if request.operation == "forward":
            encoding = request.headers.get("content-encoding")
            sizes[encoding] = len(request.encode())
        return await send(self, request, **more)

    monkeypatch.setattr(Transport, "request", watch)
    for wanted in (False, True):
        offered = ServerConfig(ClientConfigResponse(proto_compress_fwdbwd=wanted))
        with service("auto") as client:
            training = client.create_lora_training_client(NANO, rank=4, seed=1)
            monkeypatch.setattr(training._session, "server_config", offered)
            results.append(training.forward(data(weights=ones) * 20, "cross_entropy").result())
    assert results[0] == results[1]
    assert set(sizes) == {None, "zstd"}
    assert sizes["zstd"] < sizes[None] / 2
