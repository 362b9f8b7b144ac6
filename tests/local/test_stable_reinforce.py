"""The loss stable_reinforce: recorded samples, spans that name them, and the loss that comes of both."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from local.wire import Model, Wire, datum, prompt
from support.messages import fill_map, message

from tinkex.local.engine import SampledTokens
from tinkex.local.recordings import Recordings

PROMPT = [5, 6, 7]
KL = 0.3


class Sampled:
    """A model, and sequences that were sampled from its weights and recorded."""

    def __init__(self, model: Model, *, record: bool = True, num_samples: int = 2) -> None:
        self.model, wire = model, model.wire
        saved = model.call("save_weights_for_sampler", sampling_session_seq_id=0)
        promise = wire.post(
            "asample",
            sampling_session_id=saved["sampling_session_id"],
            seq_id=0,
            num_samples=num_samples,
            prompt=prompt(*PROMPT),
            sampling_params={"max_tokens": 4, "seed": 1, "stop": []},
            record_stability_info=record,
        )
        self.ids = promise["sample_sequence_ids"]
        self.sequences = wire.result(promise)["sequences"]

    def datum(self, index: int, advantages: list[float], **changes: Any) -> dict[str, Any]:
        """Return the datum of one sequence, as clients make it."""
        name, tokens = self.ids[index], self.sequences[index]["tokens"]
        whole = PROMPT + tokens
        count = len(tokens)
        made = datum(whole[:-1], whole[1:])
        made["loss_fn_inputs"].pop("weights")
        made["loss_fn_inputs"]["advantages"] = tensor([0.0, 0.0, *advantages])
        made["model_input_spans"] = [span("prompt", name, 3), span("sampled", name, count - 1)]
        made["loss_fn_input_spans"] = [span("prompt", name, 2, 1), span("sampled", name, count)]
        return {**made, **changes}


def tensor(values: list[float]) -> dict[str, Any]:
    return {"data": values, "dtype": "float32", "shape": [len(values)]}


def span(kind: str, sequence_id: str, length: int, offset: int = 0) -> dict[str, Any]:
    return {
        "type": f"{kind}_tokens",
        "sequence_id": sequence_id,
        "offset": offset,
        "length": length,
    }


def stable(data: list[dict[str, Any]], **config: float) -> dict[str, Any]:
    return {"data": data, "loss_fn": "stable_reinforce", "loss_fn_config": config or None}


def plain_loss(logprobs: list[float], recorded: list[float], advantages: list[float]) -> float:
    """Return the documented sum, term by term."""
    total = 0.0
    for p, q, a in zip(logprobs, recorded, advantages, strict=True):
        total += -min(math.exp(p - q), 1.0) * a * p + KL / 2 * (p - q) ** 2
    return total


@pytest.fixture(scope="module")
def recorded(running: Any) -> Sampled:
    return Sampled(running[1].model())


def test_the_loss_is_that_of_the_recorded_logprobs(recorded: Sampled) -> None:
    """Value for value the documented formula, on-policy and after steps away from the sampler."""
    model, advantages = recorded.model, [[1.0, -0.5, 2.0, 0.25], [-1.0, 1.0, 0.0, -2.0]]
    data = [recorded.datum(i, one) for i, one in enumerate(advantages)]
    losses = []
    for _ in range(3):
        answer = model.call("forward", forward_input=stable(data, kl_coeff=KL))
        expected = 0.0
        for output, sequence, one in zip(
            answer["loss_fn_outputs"], recorded.sequences, advantages, strict=True
        ):
            expected += plain_loss(output["logprobs"]["data"][2:], sequence["logprobs"], one)
        assert answer["metrics"]["loss:sum"] == pytest.approx(expected, rel=1e-4, abs=1e-4)
        assert answer["metrics"]["tokens:sum"] == 8.0
        losses.append(answer["metrics"]["ratio:max"])
        model.call("forward_backward", forward_backward_input=stable(data, kl_coeff=KL))
        model.call("optim_step", adam_params={"learning_rate": 3e-3})
    assert losses[0] == pytest.approx(1.0, abs=1e-3)
    assert losses[2] > 1.01


def test_what_is_rewarded_becomes_likelier(wire: Wire) -> None:
    """Steps along the gradient raise the probability of sequences with a positive advantage."""
    sampled = Sampled(wire.model(), num_samples=1)
    data = [sampled.datum(0, [1.0] * 4)]

    def likelihood() -> float:
        answer = sampled.model.call("forward", forward_input=stable(data))
        return float(sum(answer["loss_fn_outputs"][0]["logprobs"]["data"][2:]))

    before = likelihood()
    for _ in range(4):
        sampled.model.call("forward_backward", forward_backward_input=stable(data))
        sampled.model.call("optim_step", adam_params={"learning_rate": 1e-2})
    assert likelihood() > before + 1


def test_logprobs_of_the_client_are_not_used(recorded: Sampled) -> None:
    """RL data often carries them; the recorded ones count."""
    own = recorded.datum(0, [1.0] * 4)
    given = recorded.datum(0, [1.0] * 4)
    given["loss_fn_inputs"]["logprobs"] = tensor([-9.0] * 6)
    losses = [
        recorded.model.call("forward", forward_input=stable([one]))["metrics"]
        for one in (own, given)
    ]
    assert losses[0] == losses[1]


def test_the_binary_form_has_spans_too(recorded: Sampled) -> None:
    """A protobuf request, as the official client writes it, is the JSON request."""
    model, plain = recorded.model, recorded.datum(0, [1.0, 2.0, 3.0, 4.0])
    made = message("Datum")
    chunk = message("EncodedTextChunk")
    chunk.tokens = np.array(plain["model_input"]["chunks"][0]["tokens"], "<i4").tobytes()
    made.model_input.add().encoded_text.CopyFrom(chunk)
    tensors = {
        name: message(
            "Tensor",
            dense=np.array(one["data"], "<f4" if one["dtype"] == "float32" else "<i8").tobytes(),
            dtype=1 if one["dtype"] == "float32" else 2,
            shape=one["shape"],
        )
        for name, one in plain["loss_fn_inputs"].items()
    }
    fill_map(made.loss_fn_inputs, tensors)
    for field, spans in (
        (made.model_input_spans, plain["model_input_spans"]),
        (made.loss_fn_input_spans, plain["loss_fn_input_spans"]),
    ):
        for one in spans:
            arm = getattr(field.add(), one["type"])
            arm.sequence_id, arm.offset, arm.length = (
                one["sequence_id"],
                one["offset"],
                one["length"],
            )
    request = message(
        "ForwardBackwardRequest",
        model_id=model.model_id,
        seq_id=next(model._numbers),
        loss_fn="stable_reinforce",
        data=[made],
        forward_only=True,
    )
    sent = model.wire.http.post(
        "forward_backward",
        content=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
    )
    assert sent.is_success, sent.text
    expected = model.call("forward", forward_input=stable([plain]))
    assert model.wire.result(sent.json())["metrics"] == expected["metrics"]


def test_spans_are_taken_with_every_loss(recorded: Sampled) -> None:
    """Other losses have no use for them, but a custom loss sends them along."""
    made = recorded.datum(0, [1.0] * 4)
    made["loss_fn_inputs"] = datum([0] * 6)["loss_fn_inputs"]
    answer = recorded.model.call(
        "forward", forward_input={"data": [made], "loss_fn": "cross_entropy"}
    )
    assert answer["metrics"]["tokens:sum"] == 6.0


def changed(spans: list[dict[str, Any]], index: int, **change: Any) -> list[dict[str, Any]]:
    return [{**one, **change} if i == index else one for i, one in enumerate(spans)]


@pytest.mark.parametrize(
    ("field", "index", "change", "said"),
    [
        ("loss_fn_input_spans", 1, {"sequence_id": "none"}, "sequence 'none' is not recorded"),
        ("loss_fn_input_spans", 1, {"length": 3}, "covers 5 tokens, and target_tokens has 6"),
        ("model_input_spans", 0, {"length": 4}, "covers 7 tokens, and model_input has 6"),
        ("loss_fn_input_spans", 1, {"offset": 1}, "covers tokens 1 to 5, and the sequence has 4"),
        ("model_input_spans", 1, {"offset": 1}, "claims token"),
        ("model_input_spans", 0, {"offset": 2**62}, "and the prompt of the sequence has 3"),
    ],
)
def test_spans_that_do_not_hold_are_refused(
    recorded: Sampled, field: str, index: int, change: dict[str, Any], said: str
) -> None:
    """Each claim is checked against what was recorded, and the span at fault is named."""
    made = recorded.datum(0, [1.0] * 4)
    made[field] = changed(made[field], index, **change)
    assert said in refusal(recorded.model, made)


def test_the_targets_of_a_prompt_may_be_anything(recorded: Sampled) -> None:
    """They have no loss, and the official cookbook leaves zeros there."""
    own, padded = recorded.datum(0, [1.0] * 4), recorded.datum(0, [1.0] * 4)
    padded["loss_fn_inputs"]["target_tokens"]["data"][:2] = [0, 0]
    losses = [
        recorded.model.call("forward", forward_input=stable([one]))["metrics"]["loss:sum"]
        for one in (own, padded)
    ]
    assert losses[0] == losses[1]


def refusal(model: Model, made: dict[str, Any]) -> str:
    body = {"model_id": model.model_id, "forward_input": stable([made])}
    refused = model.wire.send("forward", **body)
    assert refused.status_code == 400, refused.text
    detail = refused.json()["detail"]
    assert detail.startswith("forward_input.data[0]")
    return str(detail)


def test_data_without_spans_or_with_half_of_them_is_refused(recorded: Sampled) -> None:
    """The message says what to call."""
    made = recorded.datum(0, [1.0] * 4)
    del made["loss_fn_input_spans"]
    assert "without the other" in refusal(recorded.model, made)
    del made["model_input_spans"]
    assert "Datum.with_provenance" in refusal(recorded.model, made)


def test_an_advantage_of_a_token_that_was_not_sampled_is_refused(recorded: Sampled) -> None:
    """It would silently have no effect."""
    made = recorded.datum(0, [1.0] * 4)
    made["loss_fn_inputs"]["advantages"]["data"][1] = 0.5
    assert "is 0.5 at position 1" in refusal(recorded.model, made)


def test_what_was_not_recorded_cannot_be_trained_on(wire: Wire) -> None:
    """Neither a sample that was not asked to be recorded, nor one of another session."""
    sampled = Sampled(wire.model(), record=False)
    assert "record_stability_info" in refusal(sampled.model, sampled.datum(0, [1.0] * 4))
    other = Sampled(wire.model())
    assert "not recorded in this session" in refusal(sampled.model, other.datum(0, [1.0] * 4))


def test_recordings_end_with_their_session_their_day_and_their_budget() -> None:
    """A use starts the day again; what was used last stays when there is too much."""
    now = 0.0
    book = Recordings(lambda: now, retention_s=10.0, most_tokens=12)

    def add(name: str, session: str = "s") -> None:
        book.add(session, [name], np.arange(2), [SampledTokens([1, 2], [-0.5, -1.0], "stop")])

    add("a")
    add("b")
    assert book.get("other", "a") is None
    now = 9.0
    found = book.get("s", "a")
    assert found is not None
    assert found.logprobs.tolist() == [-0.5, -1.0]
    now = 12.0
    assert book.get("s", "b") is None
    assert book.get("s", "a") is not None
    for name in "cde":
        add(name, "t")
    assert book.get("s", "a") is None
    assert book.get("t", "e") is not None
    book.end_session("t")
    assert book.get("t", "e") is None
    add("f")
    now = 30.0
    book.expire()
    assert book.get("s", "f") is None
