"""What a model reads and learns from: chunks, inputs, tensors and examples."""

from __future__ import annotations

import base64
from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, field_serializer, field_validator

from tinkex.errors import MissingDependencyError
from tinkex.tinker.types._base import StrictBase
from tinkex.types.datum import INPUT_DTYPES
from tinkex.types.flat import flat_array, flat_ids
from tinkex.types.model_input import DmelChunk as NativeDmelChunk
from tinkex.types.sparse import compressed, written_out
from tinkex.types.tensor import check_mask, dtype_name

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

ModelID = str
RequestID = str
TensorDtype = Literal["int64", "float32"]
LossFnType = Literal[
    "cross_entropy",
    "importance_sampling",
    "ppo",
    "cispo",
    "dro",
    "gspo",
    "stable_reinforce",
    "custom",
]

# Matrices of these are sent by their listed cells, if they come as torch tensors.
_SPARSE = frozenset({"target_tokens", "weights"})


class EncodedTextChunk(StrictBase):
    """A run of token ids.

    Ids from a list are kept as the array in which they are sent, and become a list again when
    `tokens` is read: most programs only send them, and a second list of them all is what costs.
    """

    tokens: Sequence[int]
    type: Literal["encoded_text"] = "encoded_text"

    @field_validator("tokens", mode="wrap")
    @classmethod
    def _checked(cls, value: Any, check: Callable[[Any], Any]) -> Any:
        """Check a plain list in one pass, several times faster than item by item."""
        ids = flat_ids(value) if type(value) is list else None
        return check(value) if ids is None else ids

    @field_serializer("tokens", mode="wrap")
    def _written(self, _: Any, write: Callable[[Any], Sequence[int]]) -> Sequence[int]:
        return write(self.tokens)

    @property
    def _ids(self) -> array[int] | None:
        """Return the ids' array, unless they were read."""
        tokens = self.__dict__["tokens"]
        return tokens if isinstance(tokens, array) else None

    @property
    def length(self) -> int:
        """Return the number of tokens."""
        return len(self.__dict__["tokens"])

    # pydantic looks at the attributes' dict.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, EncodedTextChunk) and [*self] == [*other]

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Generator[tuple[str, Any], None, None]:
        _read(self)
        return super().__iter__()

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        return iter(self)


def _read(chunk: EncodedTextChunk) -> Sequence[int]:
    ids = chunk._ids
    if ids is not None:
        chunk.__dict__["tokens"] = ids.tolist()
    tokens: Sequence[int] = chunk.__dict__["tokens"]
    return tokens


# In the class's body it would be the field's default.
EncodedTextChunk.tokens = property(_read)  # type: ignore[assignment]


class _Image(StrictBase):
    """What all images have."""

    @property
    def length(self) -> int:
        """Return the number of tokens that the image takes.

        Raises:
            ValueError: `expected_tokens` is not set.
        """
        expected: int | None = getattr(self, "expected_tokens", None)
        if expected is None:
            raise ValueError(f"set expected_tokens of the {type(self).__name__} to know its length")
        return expected


class ImageAssetPointerChunk(_Image):
    """The place of an image that the service can read itself."""

    format: Literal["png", "jpeg"]
    location: str
    expected_tokens: int | None = None
    type: Literal["image_asset_pointer"] = "image_asset_pointer"


def _decoded(value: bytes | str) -> bytes:
    return base64.b64decode(value) if isinstance(value, str) else value


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


class ImageChunk(_Image):
    """An image's bytes."""

    data: bytes
    format: Literal["png", "jpeg"]
    expected_tokens: int | None = None
    type: Literal["image"] = "image"

    @field_validator("data", mode="before")
    @classmethod
    def validate_data(cls, value: bytes | str) -> bytes:
        """Read base64 text."""
        return _decoded(value)

    @field_serializer("data")
    def serialize_data(self, value: bytes) -> str:
        """Write base64 text."""
        return _encoded(value)


class DmelChunk(StrictBase):
    """Audio as discretised mel frames."""

    dmel: bytes
    type: Literal["dmel"] = "dmel"

    @field_validator("dmel", mode="before")
    @classmethod
    def validate_dmel(cls, value: bytes | str) -> bytes:
        """Read base64 text."""
        return _decoded(value)

    @field_serializer("dmel")
    def serialize_dmel(self, value: bytes) -> str:
        """Write base64 text."""
        return _encoded(value)

    @property
    def length(self) -> int:
        """Return the number of tokens."""
        return NativeDmelChunk(self.dmel).length


ModelInputChunk = Annotated[
    EncodedTextChunk | ImageAssetPointerChunk | ImageChunk | DmelChunk, Field(discriminator="type")
]


class ModelInput(StrictBase):
    """What a model reads, in order."""

    chunks: list[ModelInputChunk]

    @classmethod
    def from_ints(cls, tokens: list[int]) -> ModelInput:
        """Make an input of token ids alone."""
        return cls(chunks=[EncodedTextChunk(tokens=tokens)])

    def to_ints(self) -> list[int]:
        """Return all token ids.

        Raises:
            ValueError: There is an image or audio, which has no token ids.
        """
        tokens: list[int] = []
        for index, chunk in enumerate(self.chunks):
            if not isinstance(chunk, EncodedTextChunk):
                raise ValueError(f"chunks[{index}] is of type {chunk.type}, which has no token ids")  # noqa: TRY004
            ids = chunk._ids
            tokens.extend(chunk.tokens if ids is None else ids)
        return tokens

    @property
    def length(self) -> int:
        """Return the number of tokens."""
        return sum(chunk.length for chunk in self.chunks)

    @classmethod
    def empty(cls) -> ModelInput:
        """Make an input without any chunk."""
        return cls(chunks=[])

    def append(self, chunk: ModelInputChunk) -> ModelInput:
        """Return a new input with one more chunk."""
        return ModelInput(chunks=[*self.chunks, chunk])

    def append_int(self, token: int) -> ModelInput:
        """Return a new input with one more token id, in a chunk of its own."""
        return self.append(EncodedTextChunk(tokens=[token]))


@dataclass(frozen=True, eq=False, init=False)
class TensorData:
    """Numbers with a shape: float32 or int64.

    With the two sparse fields it is a matrix of which only some cells are listed (CSR): `data` are
    their values, `shape` is that of the whole matrix.
    """

    dtype: TensorDtype
    shape: list[int] | None = None
    sparse_crow_indices: list[int] | None = None
    sparse_col_indices: list[int] | None = None
    _numpy: np.ndarray[Any, Any] = field(repr=False)  # type: ignore[misc]

    def __init__(
        self,
        data: list[int] | list[float] | npt.NDArray[Any] | None = None,
        dtype: TensorDtype | None = None,
        shape: list[int] | None = None,
        sparse_crow_indices: list[int] | None = None,
        sparse_col_indices: list[int] | None = None,
    ) -> None:
        if dtype is None:
            raise TypeError("TensorData needs a dtype: 'float32' or 'int64'")
        if dtype not in ("float32", "int64"):
            raise ValueError(f"dtype must be 'float32' or 'int64', not {dtype!r}")
        check_mask(data, "data")
        array = np.asarray([] if data is None else data, dtype=dtype)
        if sparse_crow_indices is None and shape is not None and list(array.shape) != shape:
            array = array.reshape(shape)
        self.__dict__.update(
            dtype=dtype,
            shape=shape,
            sparse_crow_indices=sparse_crow_indices,
            sparse_col_indices=sparse_col_indices,
            _numpy=array,
        )

    @classmethod
    def _of(cls, array: npt.NDArray[Any]) -> TensorData:
        """Wrap a float32 or int64 array without another look at it."""
        tensor = cls.__new__(cls)
        tensor.__dict__.update(
            dtype=dtype_name(array.dtype),
            shape=[*array.shape],
            sparse_crow_indices=None,
            sparse_col_indices=None,
            _numpy=array,
        )
        return tensor

    @property
    def data(self) -> list[int] | list[float]:
        """Return the values as a flat list; of a sparse matrix those that are listed."""
        values: list[int] | list[float] = self._numpy.reshape(-1).tolist()
        return values

    @classmethod
    def from_numpy(cls, array: npt.NDArray[Any]) -> TensorData:
        """Wrap an array: floats as float32, signed integers as int64."""
        return cls(array, _dtype_of(array), list(array.shape))

    @classmethod
    def from_torch(cls, tensor: torch.Tensor) -> TensorData:
        """Wrap a torch tensor; bfloat16 becomes float32."""
        return cls.from_numpy(_from_torch(tensor))

    @classmethod
    def from_torch_sparse(cls, tensor: torch.Tensor, pad_value: int = 0) -> TensorData:
        """Wrap a torch matrix by the cells that differ from `pad_value`, if that is smaller."""
        pad_value = _checked_pad(pad_value)
        array = _from_torch(tensor)
        parts = compressed(array, pad_value)
        if parts is None:
            return cls.from_numpy(array)
        values, row_pointers, columns = parts
        return cls(
            values,
            _dtype_of(array),
            list(array.shape),
            row_pointers.tolist(),
            columns.tolist(),
        )

    def to_numpy(self, pad_value: int = 0) -> npt.NDArray[Any]:
        """Return an array that may be written to; `pad_value` fills the cells that are not listed."""
        if self.sparse_crow_indices is None:
            if not self._numpy.flags.writeable:
                self.__dict__["_numpy"] = self._numpy.copy()
            return self._numpy
        return written_out(
            self._numpy,
            self.sparse_crow_indices,
            self.sparse_col_indices,
            self.shape,
            _checked_pad(pad_value),
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        array = self._numpy if self.sparse_crow_indices is None else self.to_numpy()
        return np.array(array, dtype, copy=True) if copy else np.asarray(array, dtype)

    def to_torch(self, pad_value: int = 0) -> torch.Tensor:
        """Return a torch tensor; `pad_value` fills the cells that are not listed.

        Raises:
            ImportError: torch is not installed.
        """
        try:
            import torch
        except ImportError as error:
            raise MissingDependencyError("TensorData.to_torch", "torch") from error

        return torch.from_numpy(self.to_numpy(pad_value))

    def tolist(self, pad_value: int = 0) -> list[Any]:
        """Return the values as nested lists."""
        values: list[Any] = self.to_numpy(pad_value).tolist()
        return values


LossFnInputs = dict[str, TensorData]
LossFnOutput = dict[str, TensorData]


def _dtype_of(array: npt.NDArray[Any]) -> TensorDtype:
    if array.dtype.kind == "f":
        return "float32"
    if array.dtype.kind == "i":
        return "int64"
    raise ValueError(f"values of type {array.dtype} cannot be sent: use float32 or int64")


def _from_torch(tensor: torch.Tensor) -> npt.NDArray[Any]:
    # numpy has no bfloat16.
    is_known = str(tensor.dtype) != "torch.bfloat16"
    array: npt.NDArray[Any] = (tensor if is_known else tensor.float()).contiguous().numpy()
    return array


def _checked_pad(pad_value: Any) -> int:
    if isinstance(pad_value, bool) or not isinstance(pad_value, int | np.integer):
        raise TypeError(f"pad_value must be an integer, not {pad_value!r}")
    return int(pad_value)


@dataclass(frozen=True, slots=True)
class TopkLogprobs:
    """The likeliest tokens at each position, as matrices of shape [positions, k].

    Cells without a token hold the token 0 and the log probability -99999.
    """

    token_ids: np.ndarray[Any, Any]
    logprobs: np.ndarray[Any, Any]


@dataclass(frozen=True)
class PromptAltTokens:
    """Other tokens at each position of a prompt after the first, drawn from the model."""

    tokens: TensorData
    logprobs: TensorData


@dataclass(frozen=True, kw_only=True)
class PromptProvenanceSpan:
    """Consecutive tokens that stood in the prompt of a sampled sequence."""

    sequence_id: str
    offset: int = 0
    length: int


@dataclass(frozen=True, kw_only=True)
class SampledProvenanceSpan:
    """Consecutive tokens that were sampled."""

    sequence_id: str
    offset: int = 0
    length: int


ProvenanceSpans = list[PromptProvenanceSpan | SampledProvenanceSpan]


@dataclass(frozen=True)
class Datum:
    """One training example: what the model reads, and what its loss needs."""

    model_input: ModelInput
    loss_fn_inputs: LossFnInputs = field(default_factory=dict)
    model_input_spans: ProvenanceSpans | None = None
    loss_fn_input_spans: ProvenanceSpans | None = None

    def __post_init__(self) -> None:
        inputs = {name: _tensor(name, value) for name, value in self.loss_fn_inputs.items()}
        object.__setattr__(self, "loss_fn_inputs", inputs)
        for name in ("model_input_spans", "loss_fn_input_spans"):
            for span in getattr(self, name) or ():
                if not isinstance(span, PromptProvenanceSpan | SampledProvenanceSpan):
                    raise TypeError(
                        f"{name} holds a {type(span).__name__}, not a PromptProvenanceSpan or a "
                        "SampledProvenanceSpan"
                    )
        if (self.model_input_spans is None) != (self.loss_fn_input_spans is None):
            raise ValueError("model_input_spans and loss_fn_input_spans go together")

    def with_provenance(
        self, model_input: ProvenanceSpans, loss_fn_inputs: ProvenanceSpans
    ) -> Self:
        """Return a copy that names the sampled sequences behind its tokens.

        Raises:
            ValueError: The spans do not cover the input, or the target tokens, once.
        """
        _check_tiling("model_input", model_input, self.model_input.length)
        targets = self.loss_fn_inputs.get("target_tokens")
        if targets is not None and targets.shape is not None and len(targets.shape) == 1:
            _check_tiling("loss_fn_inputs", loss_fn_inputs, targets.shape[0])
        return replace(self, model_input_spans=model_input, loss_fn_input_spans=loss_fn_inputs)


def _check_tiling(name: str, spans: ProvenanceSpans, length: int) -> None:
    covered = sum(span.length for span in spans)
    if covered != length:
        raise ValueError(f"the spans of {name} cover {covered} tokens of {length}")


def _tensor(name: str, value: Any) -> TensorData:
    if isinstance(value, TensorData):
        return value
    if hasattr(value, "detach"):
        sparse = name in _SPARSE and value.ndim == 2
        return TensorData.from_torch_sparse(value) if sparse else TensorData.from_torch(value)
    if isinstance(value, np.ndarray):
        return TensorData.from_numpy(value)
    if not isinstance(value, list):
        raise TypeError(f"loss_fn_inputs[{name!r}] cannot be a {type(value).__name__}")
    if name not in INPUT_DTYPES:
        raise ValueError(f"loss_fn_inputs[{name!r}] is a list, and its dtype is unknown")
    flat = flat_array(value, INPUT_DTYPES[name])
    if flat is not None and flat.dtype == INPUT_DTYPES[name]:
        return TensorData._of(flat)
    try:
        array = np.asarray(value, dtype=INPUT_DTYPES[name])
    except ValueError as error:
        raise ValueError(
            f"loss_fn_inputs[{name!r}] must be a rectangular array of numbers: {error}"
        ) from error
    return TensorData.from_numpy(array)
