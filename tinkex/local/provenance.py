"""Provenance spans of training data: checked, and turned into the inputs of `stable_reinforce`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinkex.local.problem import dotted, misfit
from tinkex.local.recordings import Recording, Recordings, not_recorded

LOSS = "stable_reinforce"

Array = np.ndarray[Any, Any]
Loc = tuple[str | int, ...]
Inputs = dict[str, Array]


def check_spans(datum: Any, tokens: Array, inputs: Inputs, loc: Loc) -> None:
    """Raise a 400 problem unless a datum has both lists of spans, each covering its tokens, or none."""
    read, targets = datum.model_input_spans, datum.loss_fn_input_spans
    if (read is None) != (targets is None):
        raise misfit(loc, "has one of model_input_spans and loss_fn_input_spans without the other")
    if read is None or targets is None:
        return
    _check_length(read, len(tokens), "model_input", (*loc, "model_input_spans"))
    wanted = inputs.get("target_tokens")
    if wanted is not None and wanted.ndim == 1:
        _check_length(targets, len(wanted), "target_tokens", (*loc, "loss_fn_input_spans"))


def recorded_inputs(
    recordings: Recordings, session_id: str, datum: Any, tokens: Array, inputs: Inputs, loc: Loc
) -> Inputs:
    """Return the inputs of `stable_reinforce`: `logprobs` and `sampled_mask` come from recordings.

    What the client sends as `logprobs` is not used. Raises a 400 problem where spans are missing, or
    claim read or sampled tokens other than those that were recorded, or an advantage is given to a token that was
    not sampled.
    """
    if datum.model_input_spans is None:
        raise misfit(
            loc,
            f"has no model_input_spans and loss_fn_input_spans: {LOSS} needs them, in the official"
            " client and in tinkex by Datum.with_provenance",
        )
    targets = inputs.get("target_tokens")
    if targets is None or targets.ndim != 1:
        raise misfit(
            (*loc, "loss_fn_inputs", "target_tokens"), f"must have one dimension in {LOSS}"
        )
    book = _Lookup(recordings, session_id)
    for at, span, where in _placed(datum.model_input_spans, (*loc, "model_input_spans")):
        book.source(span, tokens[at], where)
    logprobs, mask = np.zeros(len(targets), np.float32), np.zeros(len(targets), np.float32)
    for at, span, where in _placed(datum.loss_fn_input_spans, (*loc, "loss_fn_input_spans")):
        # A prompt's targets have no loss: the official cookbook leaves zeros there.
        is_prompt = span.type_ == "prompt_tokens"
        recording = book.source(span, None if is_prompt else targets[at], where)
        if span.type_ == "sampled_tokens":
            logprobs[at] = recording.logprobs[span.offset : span.offset + span.length]
            mask[at] = 1.0
    _check_advantages(inputs.get("advantages"), mask, loc)
    return {**inputs, "logprobs": logprobs, "sampled_mask": mask}


class _Lookup:
    """The recordings that one datum names."""

    def __init__(self, recordings: Recordings, session_id: str) -> None:
        self._recordings = recordings
        self._session_id = session_id

    def source(self, span: Any, found: Array | None, loc: Loc) -> Recording:
        """Return the recording of a span.

        Its tokens must be those that the datum has in its place, unless `found` is None.
        """
        recording = self._recordings.get(self._session_id, span.sequence_id)
        if recording is None:
            raise not_recorded(span.sequence_id, dotted(loc))
        is_prompt = span.type_ == "prompt_tokens"
        whole = recording.prompt if is_prompt else recording.tokens
        recorded = whole[span.offset : span.offset + span.length]
        what = "prompt of the sequence" if is_prompt else "sequence"
        if len(recorded) != span.length:
            raise misfit(
                loc,
                f"covers tokens {span.offset} to {span.offset + span.length}, and the {what} has"
                f" {len(whole)}",
            )
        if found is not None and (differs := np.flatnonzero(recorded != found)).size:
            place = int(differs[0])
            raise misfit(
                loc,
                f"claims token {int(recorded[place])} at position {place} of the span, where the"
                f" datum has {int(found[place])}",
            )
        return recording


def _placed(spans: Sequence[Any], loc: Loc) -> list[tuple[slice, Any, Loc]]:
    """Return spans with the positions that they cover and their places in the request."""
    placed, start = [], 0
    for index, span in enumerate(spans):
        placed.append((slice(start, start + span.length), span, (*loc, index)))
        start += span.length
    return placed


def _check_length(spans: Sequence[Any], length: int, what: str, loc: Loc) -> None:
    covered = sum(span.length for span in spans)
    if covered != length:
        raise misfit(loc, f"covers {covered} tokens, and {what} has {length}")


def _check_advantages(advantages: Array | None, mask: Array, loc: Loc) -> None:
    if advantages is None or advantages.shape != mask.shape:
        # The engine names what is wrong.
        return
    stray = np.flatnonzero((advantages != 0) & (mask == 0))
    if stray.size:
        place = int(stray[0])
        raise misfit(
            (*loc, "loss_fn_inputs", "advantages"),
            f"is {float(advantages[place]):g} at position {place}, whose target was not sampled: give"
            " it 0 there",
        )
