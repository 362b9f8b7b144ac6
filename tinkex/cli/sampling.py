"""What `tinkex run` does: read the prompt, sample, write text or JSON."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tinkex.cli.invocation import Invocation
from tinkex.cli.text import for_terminal, is_terminal, to_json
from tinkex.errors import NotFoundError, TinkexError
from tinkex.sampling import SamplingClient
from tinkex.tokenizer import Tokenizer
from tinkex.types import ModelInput, SampledSequence, SampleResponse, SamplingParams


def sample(
    invocation: Invocation,
    *,
    base_model: str | None,
    model_path: str | None,
    prompt: str | None,
    prompt_file: Path | None,
    num_samples: int,
    prompt_logprobs: bool,
    stream: bool,
    output: Path | None,
    stop: tuple[str, ...],
    **drawing: Any,
) -> Any:
    """Sample as the options say, and return the result."""
    text_or_tokens = prompt if prompt_file is None else read_prompt(prompt_file)
    params = SamplingParams(stop=list(stop) or None, **drawing)
    with invocation.service() as service:
        with invocation.progress(f"Opening {base_model or model_path}"):
            sampler = service.create_sampling_client(model_path=model_path, base_model=base_model)
            tokenizer = _tokenizer(sampler, needed=isinstance(text_or_tokens, str))
            model_input = _model_input(text_or_tokens, tokenizer)
        if stream and tokenizer is not None:
            response = _streamed(invocation, sampler, tokenizer, model_input, params)
        else:
            stream = False
            with invocation.progress(f"Sampling from {base_model or model_path}"):
                response = sampler.sample(
                    model_input, num_samples, params, include_prompt_logprobs=prompt_logprobs
                ).result()
    texts = [_decoded(one, tokenizer) for one in response.sequences]
    result = _record(response, texts)
    if not stream:
        _write(invocation, result, response, texts, output)
    return result


def read_prompt(file: Path) -> str | list[int]:
    """Return a file's text, or its token ids if it holds JSON with them.

    Raises:
        UsageError: It is empty, or no text.
    """
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        text = raw.decode()
    except UnicodeDecodeError:
        raise click.UsageError(f"--prompt-file {file}: is no UTF-8 text") from None
    if not text.strip():
        raise click.UsageError(f"--prompt-file {file}: is empty")
    tokens = _tokens_in(text)
    return text if tokens is None else tokens


def _tokens_in(text: str) -> list[int] | None:
    """Return the token ids of a JSON list, or of an object's "tokens"; None if it is neither."""
    import json

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        value = value.get("tokens")
    if isinstance(value, list) and value and all(type(item) is int for item in value):
        return value
    return None


def _tokenizer(sampler: SamplingClient, needed: bool) -> Tokenizer | None:
    """Return the model's tokenizer; one that cannot be had matters only where text goes in."""
    try:
        return sampler.get_tokenizer()
    except TinkexError:
        if needed:
            raise
        return None


def _decoded(sequence: SampledSequence, tokenizer: Tokenizer | None) -> str | None:
    if tokenizer is None:
        return None
    return tokenizer.decode(sequence.tokens, skip_special_tokens=True)


def _model_input(prompt: str | list[int] | None, tokenizer: Tokenizer | None) -> ModelInput:
    if isinstance(prompt, str) and tokenizer is not None:
        return ModelInput.from_ints(tokenizer.encode(prompt))
    return ModelInput.from_ints(prompt if isinstance(prompt, list) else [])


def _streamed(
    invocation: Invocation,
    sampler: SamplingClient,
    tokenizer: Tokenizer,
    prompt: ModelInput,
    params: SamplingParams,
) -> SampleResponse:
    """Write a sample while it is generated; all at once if the server cannot stream."""
    decoder = tokenizer.incremental_decoder(skip_special_tokens=True)
    tokens: list[int] = []
    logprobs: list[float | None] = []
    stop_reason = "length"
    chunks = sampler.sample_stream(prompt, params)
    try:
        for chunk in chunks:
            if chunk.token_id is not None:
                tokens.append(chunk.token_id)
                logprobs.append(chunk.logprob)
                _write_piece(decoder.feed(chunk.token_id))
            if chunk.finish_reason is not None:
                stop_reason = chunk.finish_reason
    except NotFoundError:
        one = sampler.sample(prompt, 1, params).result().sequences[0]
        _write_piece(_decoded(one, tokenizer) or "")
        tokens, stop_reason = one.tokens, one.stop_reason
        logprobs = list(one.logprobs or [])
    except BaseException:
        # The following output starts on a new line.
        _write_piece("\n" if tokens else "")
        raise
    finally:
        chunks.close()
    _write_piece(decoder.finish() + "\n")
    known = [value for value in logprobs if value is not None]
    sequence = SampledSequence(
        tokens, known if len(known) == len(tokens) else None, stop_reason=stop_reason
    )
    invocation.note(_verdict(sequence))
    return SampleResponse([sequence])


def _write_piece(text: str) -> None:
    click.echo(for_terminal(text) if is_terminal(sys.stdout) else text, nl=False)
    sys.stdout.flush()


def _write(
    invocation: Invocation,
    result: dict[str, Any],
    response: SampleResponse,
    texts: list[str | None],
    output: Path | None,
) -> None:
    lines = _lines(response, texts)
    if output is None:
        invocation.show(result, lambda: lines)
    else:
        written = to_json(result) if invocation.as_json else "\n".join(lines)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(written + "\n", encoding="utf-8")
        invocation.note(f"Written to {output}")
    count = len(response.sequences)
    invocation.note(f"Sampling complete ({count} sequence{'' if count == 1 else 's'})")


def _lines(response: SampleResponse, texts: list[str | None]) -> Iterator[str]:
    for number, (sequence, text) in enumerate(zip(response.sequences, texts, strict=True), 1):
        if number > 1:
            yield ""
        yield f"Sample {number}:"
        yield text if text is not None else f"tokens {sequence.tokens}"
        yield _verdict(sequence)


def _verdict(sequence: SampledSequence) -> str:
    facts = f"stop_reason={sequence.stop_reason}"
    if sequence.logprobs:
        facts += f" | avg_logprob={sum(sequence.logprobs) / len(sequence.logprobs):.3f}"
    return facts


def _record(response: SampleResponse, texts: list[str | None]) -> dict[str, Any]:
    top = response.topk_prompt_logprobs
    return {
        "type": "sample",
        "sequences": [
            {
                "text": text,
                "tokens": list(sequence.tokens),
                "logprobs": sequence.logprobs,
                "stop_reason": sequence.stop_reason,
            }
            for sequence, text in zip(response.sequences, texts, strict=True)
        ],
        "prompt_logprobs": response.prompt_logprobs,
        "topk_prompt_logprobs": top,
    }
