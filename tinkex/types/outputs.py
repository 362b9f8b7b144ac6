"""Results of training and sampling."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from attrs import field, frozen
from tinkex_generated.record import shown

from tinkex._base.lazy import LazyModule
from tinkex.errors import TinkexError
from tinkex.types.json_form import JsonForm, Readers, by_name, listed
from tinkex.types.tensor import TensorData

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")


@frozen
class ForwardBackwardOutput(JsonForm):
    """The result of a forward or forward_backward call.

    >>> gradients.result().mean_loss < gradients.result().loss
    True

    Attributes:
        loss_fn_output_type: The server's name for the type of outputs.
        loss_fn_outputs: The tensors of each datum by name, in the order of the data. ``logprobs``, float32
            with the shape of `target_tokens`, is always present: the log probability of each target.
        metrics: Numbers by ``name:reduction``; ``loss:sum`` is the loss summed over all tokens.
        weight: The sum of the `weights` of all data; a target without a weight counts 1. NaN if
            the output was not made by a client.
        computes_loss: Whether the server left the computing of ``loss:sum`` to its clients: it is
            then the sum of its ``elementwise_loss``, or computed from its log probabilities.
    """

    loss_fn_output_type: str
    loss_fn_outputs: list[dict[str, TensorData]] = field(repr=lambda outputs: f"<{len(outputs)}>")
    metrics: Mapping[str, float]
    weight: float = field(default=float("nan"), repr=False, kw_only=True, eq=False)
    computes_loss: bool = field(default=False, repr=False)

    @property
    def has_loss(self) -> bool:
        """Return whether the loss is known."""
        return "loss:sum" in self.metrics or "loss" in self.metrics

    @property
    def mean_loss(self) -> float:
        """Return the loss per token: `loss` divided by `weight`; NaN if either is not known.

        It does not depend on the batch's size or the examples' length, so it can be compared
        between steps. The server's gradient is that of the sum, `loss`.
        """
        return self.loss / self.weight if self.weight else float("nan")

    _readers: ClassVar[Readers] = {"loss_fn_outputs": listed(by_name(TensorData.from_dict))}

    @property
    def loss(self) -> float:
        """Return the loss, summed over all tokens of all data; NaN if it is not known."""
        return self.metrics.get("loss:sum", self.metrics.get("loss", float("nan")))

    def _repr_html_(self) -> str:
        from tinkex._base.notebook import table

        rows = [[name, f"{value:.6g}"] for name, value in self.metrics.items()]
        return f"<p>{len(self.loss_fn_outputs)} outputs</p>{table(['metric', 'value'], rows)}"


# The likeliest (token id, log probability) pairs of each position; None where undefined.
TopTokens = list[list[tuple[int, float]] | None]


def _pairs(rows: list[Any]) -> TopTokens:
    return [None if row is None else [(token, logprob) for token, logprob in row] for row in rows]


@frozen
class PromptAltTokens(JsonForm):
    """Alternative tokens of a prompt, sampled from the model.

    Attributes:
        tokens: int64, [len(prompt) - 1, k]; row i is about prompt position i + 1.
        logprobs: float32, of the same shape: the log probability of each token.
    """

    tokens: TensorData
    logprobs: TensorData

    _readers: ClassVar[Readers] = {"tokens": TensorData.from_dict, "logprobs": TensorData.from_dict}


def _listed(values: Any) -> Any:
    return values.tolist() if hasattr(values, "tolist") else values


@frozen(repr=False)
class SampledSequence(JsonForm):
    """A sampled continuation.

    Results of the binary format hold arrays of four bytes a number, until a list is first read.

    Attributes:
        tokens: The sampled token ids, without the prompt.
        tokens_np: The same as a new array, int32 [M].
        logprobs: The log probability of each token under the model (at temperature 1, before top-k and
            top-p), if the server returns it.
        logprobs_np: The same as a new array, float32 [M].
        stop_reason: "stop" for an end of text or a stop string, "length" for a limit.
        sequence_id: The server's id of the sequence within the session, if it returns one.
        topk_logprobs: The likeliest (token id, log probability) pairs of each sampled token, if
            requested; binary format only.
    """

    _tokens: list[int] | array[int] = field(alias="tokens", eq=_listed)
    _logprobs: list[float] | array[float] | None = field(default=None, alias="logprobs", eq=_listed)
    stop_reason: str = "length"
    sequence_id: str | None = None
    topk_logprobs: TopTokens | None = None

    _readers: ClassVar[Readers] = {"topk_logprobs": _pairs}

    @property
    def tokens(self) -> list[int]:
        """Return the token ids."""
        if not isinstance(self._tokens, list):
            object.__setattr__(self, "_tokens", _listed(self._tokens))
        return self._tokens  # type: ignore[return-value]

    @property
    def tokens_np(self) -> npt.NDArray[np.int32]:
        """Return the token ids as an array, int32 [M]."""
        return np.array(self._tokens, np.int32)

    @property
    def logprobs(self) -> list[float] | None:
        """Return the log probability of each token."""
        if not isinstance(self._logprobs, list):
            object.__setattr__(self, "_logprobs", _listed(self._logprobs))
        return self._logprobs  # type: ignore[return-value]

    @property
    def logprobs_np(self) -> npt.NDArray[np.float32] | None:
        """Return the log probability of each token as an array, float32 [M]."""
        return None if self._logprobs is None else np.array(self._logprobs, np.float32)

    def __repr__(self) -> str:
        return f"SampledSequence(tokens={shown(self.tokens)}, stop_reason={self.stop_reason!r})"


class Decoder:
    """A client's tokenizer, loaded on first use; a copy of it has none."""

    __slots__ = ("_load",)

    def __init__(self, load: Callable[[], Any] | None = None) -> None:
        self._load = load

    def texts(self, sequences: list[list[int]]) -> list[str] | None:
        """Return the texts of tokens, None without a tokenizer."""
        if self._load is None:
            return None
        try:
            texts: list[str] = self._load().decode_batch(sequences)
        except TinkexError:
            # The client was closed, or its tokenizer is not to be had: the tokens are shown.
            return None
        return texts

    def __reduce__(self) -> tuple[type[Decoder], tuple[()]]:
        return (Decoder, ())


@frozen
class SampleResponse(JsonForm):
    """The result of a sample call.

    Attributes:
        sequences: One for each of `num_samples`.
        prompt_logprobs: The log probability of each prompt token, if requested; None for the first
            token, which has no context.
        topk_prompt_logprobs: The likeliest (token id, log probability) pairs of each prompt token, if
            requested; None for the first one.
        prompt_cache_hit_tokens: Prompt tokens that were in the server's cache, counted once for all
            sequences.
        target_prompt_logprobs: The log probabilities of the requested tokens at each position, float32,
            0.0 where none was requested; binary format only.
        prompt_alt_tokens: Alternative tokens at each position of the prompt, if requested; binary format
            only.
        type: The type tag in JSON.
    """

    sequences: list[SampledSequence]
    prompt_logprobs: list[float | None] | None = field(default=None, repr=False)
    topk_prompt_logprobs: TopTokens | None = field(default=None, repr=False)
    prompt_cache_hit_tokens: int = field(default=0, repr=False)
    target_prompt_logprobs: TensorData | None = field(default=None, repr=False)
    prompt_alt_tokens: PromptAltTokens | None = field(default=None, repr=False)
    type: Literal["sample"] = field(default="sample", repr=False, kw_only=True)
    # What a notebook decodes the tokens with; it does not travel to other processes.
    _decoder: Decoder | None = field(default=None, init=False, eq=False, repr=False)

    _readers: ClassVar[Readers] = {
        "sequences": listed(SampledSequence.from_dict),
        "topk_prompt_logprobs": _pairs,
        "target_prompt_logprobs": TensorData.from_dict,
        "prompt_alt_tokens": PromptAltTokens.from_dict,
    }

    def _repr_html_(self) -> str:
        """Return a table for notebooks: the text of each sample, or its tokens without a tokenizer."""
        from tinkex._base.notebook import Prose, table

        texts = (
            self._decoder.texts([one.tokens for one in self.sequences]) if self._decoder else None
        )
        shown = [Prose(text) for text in texts] if texts else [one.tokens for one in self.sequences]
        rows = [
            [index, content, len(one.tokens), one.stop_reason, _mean(one.logprobs)]
            for index, (one, content) in enumerate(zip(self.sequences, shown, strict=True))
        ]
        name = "text" if texts else "token ids"
        return table(["sample", name, "tokens", "stop reason", "mean logprob"], rows)


def decoded_by(response: SampleResponse, decoder: Decoder) -> SampleResponse:
    """Return a response whose text notebooks can show."""
    object.__setattr__(response, "_decoder", decoder)
    return response


def _mean(logprobs: list[float] | None) -> str | None:
    return f"{sum(logprobs) / len(logprobs):.3f}" if logprobs else None
