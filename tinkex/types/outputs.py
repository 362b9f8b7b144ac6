"""What training and sampling give back."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen
from tinkex_generated.record import table

from tinkex.types.tensor import TensorData


@frozen
class ForwardBackwardOutput:
    """Hold the result of a forward or forward_backward call.

    Attributes:
        loss_fn_output_type: The server's name for the kind of outputs.
        loss_fn_outputs: For each datum, in the order sent, its tensors by name; always
            ``logprobs``, float32 of the shape of its `target_tokens`: the model's log probability
            of each target.
        metrics: Numbers by ``name:reduction``; ``loss:sum`` is the loss summed over all tokens.
    """

    loss_fn_output_type: str
    loss_fn_outputs: list[dict[str, TensorData]] = field(repr=lambda outputs: f"<{len(outputs)}>")
    metrics: Mapping[str, float]

    @property
    def loss(self) -> float:
        """Return the loss, summed over all tokens of all data; NaN if the server names none."""
        return self.metrics.get("loss:sum", self.metrics.get("loss", float("nan")))

    def _repr_html_(self) -> str:
        rows = [[name, f"{value:.6g}"] for name, value in self.metrics.items()]
        return f"<p>{len(self.loss_fn_outputs)} outputs</p>{table(['metric', 'value'], rows)}"


@frozen
class SampledSequence:
    """Hold one sampled continuation.

    Attributes:
        tokens: The sampled token ids, without the prompt.
        logprobs: The log probability of each of them under the model (at temperature 1, before
            top-k and top-p), if the server gives it.
        stop_reason: "stop" for an end of text or stop string, "length" for a limit.
    """

    tokens: list[int]
    logprobs: list[float] | None = field(default=None, repr=False)
    stop_reason: str = "length"


@frozen
class SampleResponse:
    """Hold the result of a sample call.

    Attributes:
        sequences: One for each of `num_samples`.
        prompt_logprobs: If asked for, one for each prompt token; None for the first, which
            nothing precedes.
        topk_prompt_logprobs: If asked for, for each prompt token the likeliest (token id, log
            probability) pairs; None for the first.
    """

    sequences: list[SampledSequence]
    prompt_logprobs: list[float | None] | None = field(default=None, repr=False)
    topk_prompt_logprobs: list[list[tuple[int, float]] | None] | None = field(
        default=None, repr=False
    )

    def _repr_html_(self) -> str:
        rows = [
            [index, len(one.tokens), one.stop_reason, _mean(one.logprobs), one.tokens]
            for index, one in enumerate(self.sequences)
        ]
        return table(["sample", "length", "stop reason", "mean logprob", "tokens"], rows)


def _mean(logprobs: list[float] | None) -> str | None:
    return f"{sum(logprobs) / len(logprobs):.3f}" if logprobs else None
