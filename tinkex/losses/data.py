"""Builders of data for each built-in loss, which shift targets by one token and pad prompts.

The service expects shifted targets: position i of every tensor is about the token that follows
position i of the input. The arguments here are aligned with the tokens themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve

from tinkex.errors import ValidationError
from tinkex.types.datum import Datum
from tinkex.types.model_input import EncodedTextChunk, ModelInput
from tinkex.types.outputs import SampledSequence
from tinkex.types.provenance import PromptProvenanceSpan, SampledProvenanceSpan
from tinkex.types.tensor import TensorData, TensorDtype, to_array

Array = npt.NDArray[Any]
Tokens = Sequence[int] | Array
Numbers = Sequence[float] | Array | TensorData


def cross_entropy_datum(tokens: Tokens, weights: Numbers | None = None) -> Datum:
    """Return a datum for ``cross_entropy`` on a complete text.

    >>> cross_entropy_datum([5, 6, 7], weights=[0, 0, 1]).loss_fn_inputs["target_tokens"].data
    [6, 7]

    Args:
        tokens: N + 1 token ids, at least two.
        weights: The weight of each token's prediction, float32 [N + 1]; 1 by default. The first
            token is not predicted, so its weight is ignored.

    Raises:
        ValidationError: There are fewer than two tokens, or the number of weights differs.
    """
    ids = _ids(tokens, "tokens", least=2)
    counted = np.ones(len(ids)) if weights is None else _along(weights, ids, "weights")
    return _shifted(ids, {"weights": counted})


def completion_datum(prompt: Tokens | ModelInput, completion: Tokens) -> Datum:
    """Return a datum for ``cross_entropy`` on the completion only.

    >>> completion_datum(prompt=[5, 6], completion=[7, 8]).loss_fn_inputs["weights"].data
    [0.0, 1.0, 1.0]

    Args:
        prompt: At least one token; a `ModelInput` may hold images.
        completion: At least one token.
    """
    return _continued(prompt, completion, "completion", {"weights": 1.0})


def soft_target_datum(tokens: Tokens, candidates: Array, probabilities: Array) -> Datum:
    """Return a datum for ``cross_entropy`` with K weighted targets per position.

    For distillation from a teacher's K likeliest tokens: the loss is
    -Σ probability · log p(candidate).

    Args:
        tokens: The N + 1 input token ids.
        candidates: int64 [N + 1, K]; row i has the candidates for token i. The first row is ignored.
        probabilities: float32 [N + 1, K]; rows of zeros do not count.
    """
    ids = _ids(tokens, "tokens", least=2)
    rivals = _along(candidates, ids, "candidates", "int64", rank=2)
    chances = _along(probabilities, ids, "probabilities", rank=2)
    if rivals.shape != chances.shape:
        raise ValidationError(
            f"has shape {chances.shape}, but candidates have {rivals.shape}", path="probabilities"
        )
    return Datum(
        model_input=ModelInput.from_ints(ids[:-1]),
        loss_fn_inputs={"target_tokens": rivals[1:], "weights": chances[1:]},
    )


def importance_sampling_datum(
    prompt: Tokens | ModelInput,
    sampled: Tokens,
    logprobs: Numbers,
    advantages: float | Numbers,
) -> Datum:
    """Return a datum for ``importance_sampling`` on a prompt and its sampled continuation.

    >>> datum = importance_sampling_datum([5, 6], [7, 8], logprobs=[-0.1, -0.7], advantages=0.5)
    >>> datum.loss_fn_inputs["advantages"].data
    [0.0, 0.5, 0.5]

    The prompt's tokens have advantage 0 and do not count.

    Args:
        prompt: At least one token; a `ModelInput` may hold images.
        sampled: The M sampled tokens, such as ``sequence.tokens``.
        logprobs: Their log probabilities at sampling time, float32 [M], such as
            ``sequence.logprobs``; at most 0.
        advantages: One number for all tokens, or float32 [M].

    Raises:
        ValidationError: The lengths differ, or a log probability is above 0.
    """
    return _sampled(prompt, sampled, logprobs, advantages)


def ppo_datum(
    prompt: Tokens | ModelInput,
    sampled: Tokens,
    logprobs: Numbers,
    advantages: float | Numbers,
) -> Datum:
    """Return a datum for ``ppo``; see `importance_sampling_datum` for the arguments."""
    return _sampled(prompt, sampled, logprobs, advantages)


def cispo_datum(
    prompt: Tokens | ModelInput,
    sampled: Tokens,
    logprobs: Numbers,
    advantages: float | Numbers,
) -> Datum:
    """Return a datum for ``cispo``; see `importance_sampling_datum` for the arguments."""
    return _sampled(prompt, sampled, logprobs, advantages)


def dro_datum(
    prompt: Tokens | ModelInput,
    sampled: Tokens,
    logprobs: Numbers,
    advantages: float | Numbers,
    prompt_logprobs: Sequence[float | None] | Array | None = None,
) -> Datum:
    """Return a datum for ``dro``; see `importance_sampling_datum` for the arguments.

    The term ½β(p − q)² counts at every position, whatever the advantage. With q = 0 for the prompt,
    it would pull the prompt's tokens towards probability 1, so their q is required too.

    Args:
        prompt: At least one token; a `ModelInput` may hold images.
        sampled: The M sampled tokens.
        logprobs: Their log probabilities at sampling time, float32 [M].
        advantages: One number for all tokens, or float32 [M].
        prompt_logprobs: One per prompt token, as in `SampleResponse.prompt_logprobs`; the first is
            ignored. Not required for a prompt of one token.
    """
    datum = _sampled(prompt, sampled, logprobs, advantages)
    length = prompt.length if isinstance(prompt, ModelInput) else len(prompt)
    if length == 1:
        return datum
    if prompt_logprobs is None or len(prompt_logprobs) != length:
        raise ValidationError(
            f"must have one log probability for each of the {length} prompt tokens: sample with "
            "include_prompt_logprobs=True",
            path="prompt_logprobs",
        )
    whole = datum.loss_fn_inputs["logprobs"].numpy().copy()
    whole[: length - 1] = to_array(list(prompt_logprobs[1:]), "float32", "prompt_logprobs")
    return evolve(datum, loss_fn_inputs={**datum.loss_fn_inputs, "logprobs": whole})


def gspo_datum(
    prompt: Tokens | ModelInput,
    sampled: Tokens,
    logprobs: Numbers,
    advantages: float | Numbers,
) -> Datum:
    """Return a datum for ``gspo``; see `importance_sampling_datum` for the arguments.

    The sequence's ratio is computed over the sampled tokens only.
    """
    return _sampled(prompt, sampled, logprobs, advantages, {"sequence_ratio_mask": 1.0})


def stable_reinforce_datum(
    prompt: Tokens | ModelInput, sequence: SampledSequence, advantages: float | Numbers
) -> Datum:
    """Return a datum for ``stable_reinforce`` on a prompt and its sampled continuation.

    >>> sequence = SampledSequence([7, 8], sequence_id="s-1")
    >>> datum = stable_reinforce_datum([5, 6], sequence, advantages=1.0)
    >>> [span.length for span in datum.loss_fn_input_spans]
    [1, 2]

    The server must have recorded the sampler's log probabilities: sample with
    ``record_stability_info=True``, in the same session.

    Args:
        prompt: The prompt of the sample; a `ModelInput` may hold images.
        sequence: A sequence of the response, with its `sequence_id`.
        advantages: One number for all of its tokens, or float32 [M].

    Raises:
        ValidationError: The sequence has no id or no tokens.
    """
    name = sequence.sequence_id
    if not name:
        raise ValidationError(
            "is None: the server returned no id for the sequence, which stable_reinforce requires",
            path="sequence.sequence_id",
        )
    datum = _continued(prompt, sequence.tokens, "sequence.tokens", {"advantages": advantages})
    length = prompt.length if isinstance(prompt, ModelInput) else len(prompt)
    count = len(sequence.tokens)
    return datum.with_provenance(
        model_input=[
            PromptProvenanceSpan(sequence_id=name, length=length),
            SampledProvenanceSpan(sequence_id=name, length=count - 1),
        ],
        loss_fn_inputs=[
            PromptProvenanceSpan(sequence_id=name, offset=1, length=length - 1),
            SampledProvenanceSpan(sequence_id=name, length=count),
        ],
    )


def custom_datum(tokens: Tokens, **inputs: Any) -> Datum:
    """Return a datum for a custom loss, with tensors under custom names.

    >>> datum = custom_datum([5, 6, 7], reward=np.array([0.0, 0.5, 1.0]))
    >>> datum.loss_fn_inputs["reward"].data
    [0.5, 1.0]

    Args:
        tokens: N + 1 token ids, at least two.
        **inputs: Arrays with one value, or one row, per token; the first is dropped. They are not sent:
            only the gradients of your loss are.
    """
    ids = _ids(tokens, "tokens", least=2)
    return _shifted(ids, {name: _along(value, ids, name, None) for name, value in inputs.items()})


def _sampled(
    prompt: Tokens | ModelInput,
    sampled: Tokens,
    logprobs: Numbers,
    advantages: float | Numbers,
    more: dict[str, Any] | None = None,
) -> Datum:
    if logprobs is None:
        raise ValidationError("is None: the server returned none with this sample", path="logprobs")
    given = to_array(logprobs, "float32", "logprobs")
    if bool((given > 1e-6).any()):
        index = int(np.argmax(given))
        raise ValidationError(
            f"is {given.reshape(-1)[index]}, but log probabilities are at most 0",
            path=f"logprobs[{index}]",
        )
    inputs = {"logprobs": given, "advantages": advantages, **(more or {})}
    return _continued(prompt, sampled, "sampled", inputs)


def _continued(
    prompt: Tokens | ModelInput, more: Tokens, path: str, inputs: dict[str, Any]
) -> Datum:
    """Return a datum for a prompt and its continuation, with zeros for the prompt."""
    before = prompt if isinstance(prompt, ModelInput) else ModelInput.from_ints(prompt)
    length = before.length
    if length < 1:
        raise ValidationError("is empty; it must have at least one token", path="prompt")
    after = _ids(more, path, least=1)
    targets = np.zeros(length - 1 + len(after), np.int64)
    if all(isinstance(chunk, EncodedTextChunk) for chunk in before.chunks):
        targets[: length - 1] = before.numpy()[1:]
    targets[length - 1 :] = after
    padded: dict[str, Any] = {"target_tokens": targets}
    for name, value in inputs.items():
        row = np.zeros(len(targets), np.float32)
        same = isinstance(value, int | float)
        row[length - 1 :] = value if same else _along(value, after, name)
        padded[name] = row
    read = before.append(EncodedTextChunk(after[:-1])) if len(after) > 1 else before
    if not isinstance(prompt, ModelInput):
        read = ModelInput.from_ints(read.numpy())
    return Datum(model_input=read, loss_fn_inputs=padded)


def _shifted(ids: Array, along: dict[str, Array]) -> Datum:
    inputs: dict[str, Any] = {"target_tokens": ids[1:]}
    inputs |= {name: values[1:] for name, values in along.items()}
    return Datum(model_input=ModelInput.from_ints(ids[:-1]), loss_fn_inputs=inputs)


def _ids(tokens: Tokens, path: str, least: int) -> Array:
    try:
        ids = ModelInput.from_ints(tokens).numpy()
    except ValidationError as error:
        raise ValidationError(error.message, path=path) from None
    if len(ids) < least:
        raise ValidationError(f"must have at least {least} token ids, not {len(ids)}", path=path)
    return ids


def _along(
    value: Any, ids: Array, path: str, dtype: TensorDtype | None = "float32", rank: int = 0
) -> Array:
    array = to_array(value, dtype, path)
    if array.ndim == 0 or len(array) != len(ids) or (rank and array.ndim != rank):
        raise ValidationError(
            f"has shape {array.shape}; it must have one {'row' if rank == 2 else 'value'} for each of "
            f"the {len(ids)} tokens",
            path=path,
        )
    return array
