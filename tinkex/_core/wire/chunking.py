"""Division of a batch into requests of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tinkex.types.datum import Datum
from tinkex.types.model_input import DmelChunk, EncodedTextChunk, ImageChunk, ModelInput

MAX_CHUNK_LEN = 1024
MAX_CHUNK_BYTES = 5_000_000

# Average size of a number as text, in JSON.
BYTES_PER_NUMBER = 10
# Size of a token in the binary format; other numbers take their size in memory.
BYTES_PER_TOKEN = 4


def estimate_input_bytes(value: ModelInput) -> int:
    """Estimate the size of an input on the wire, in bytes."""
    total = 0
    for chunk in value.chunks:
        if isinstance(chunk, EncodedTextChunk):
            total += BYTES_PER_NUMBER * len(chunk)
        elif isinstance(chunk, ImageChunk):
            total += len(chunk.data)
        else:
            total += len(chunk.dmel if isinstance(chunk, DmelChunk) else chunk.location)
    return total


def estimate_bytes(datum: Datum) -> int:
    """Estimate the size of a datum on the wire, in bytes."""
    numbers = sum(tensor.numpy().size for tensor in datum.loss_fn_inputs.values())
    return estimate_input_bytes(datum.model_input) + BYTES_PER_NUMBER * numbers


def binary_bytes(datum: Datum) -> int:
    """Estimate the size of a datum in the binary format, in bytes."""
    total = sum(tensor.numpy().nbytes for tensor in datum.loss_fn_inputs.values())
    for chunk in datum.model_input.chunks:
        if isinstance(chunk, EncodedTextChunk):
            total += BYTES_PER_TOKEN * len(chunk)
        elif isinstance(chunk, ImageChunk | DmelChunk):
            total += len(chunk.data if isinstance(chunk, ImageChunk) else chunk.dmel)
    return total


def chunk_data(
    data: Sequence[Datum],
    max_len: int = MAX_CHUNK_LEN,
    max_bytes: int = MAX_CHUNK_BYTES,
    size_of: Callable[[Datum], int] = estimate_bytes,
) -> list[list[Datum]]:
    """Cut data into chunks of at most `max_len` data and about `max_bytes` estimated bytes.

    The order is kept and no chunk is empty; a datum that is larger than the limit gets a chunk of its
    own.

    >>> from tinkex.types import Datum, ModelInput
    >>> data = [Datum(ModelInput.from_ints([i])) for i in range(1025)]
    >>> [len(chunk) for chunk in chunk_data(data)]
    [1024, 1]
    """
    return list(_runs(data, max_len, max_bytes, size_of))


def _runs(
    data: Sequence[Datum], max_len: int, max_bytes: int, size_of: Callable[[Datum], int]
) -> Iterator[list[Datum]]:
    run: list[Datum] = []
    run_bytes = 0
    for datum in data:
        size = size_of(datum)
        if run and (len(run) >= max_len or run_bytes + size > max_bytes):
            yield run
            run, run_bytes = [], 0
        run.append(datum)
        run_bytes += size
    if run:
        yield run
