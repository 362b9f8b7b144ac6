"""Tensors: what is taken, what is refused, and what it becomes."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tinkex.errors import MissingDependencyError, ValidationError
from tinkex.tinker import types as foreign
from tinkex.types import Datum, ModelInput, TensorData

FLOATS = [np.float16, np.float32, np.float64, np.longdouble, ">f4", "<f8"]
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, ">i4"]


class FakeTorch:
    """Behave like a bfloat16 torch tensor that needs a gradient and lives on a GPU."""

    def __init__(self, array: np.ndarray, on_host: bool = False) -> None:
        self.array, self.on_host = array, on_host

    def detach(self) -> FakeTorch:
        return FakeTorch(self.array)

    def cpu(self) -> FakeTorch:
        return FakeTorch(self.array, on_host=True)

    def is_floating_point(self) -> bool:
        return self.array.dtype.kind == "f"

    def float(self) -> FakeTorch:
        return FakeTorch(self.array.astype(np.float32), self.on_host)

    def numpy(self) -> np.ndarray:
        assert self.on_host
        return self.array


class ArrayLike:
    """Behave like a jax array: known to numpy by __array__ alone."""

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return np.array([1.5, 2.5], np.float64)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_floats_of_any_width_become_float32(dtype: object) -> None:
    """Every float dtype and byte order is converted to native float32."""
    tensor = TensorData(np.array([0.5, -2.0], dtype))
    assert tensor.dtype == "float32"
    assert tensor.numpy().dtype.isnative
    assert tensor.tolist() == [0.5, -2.0]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_of_any_width_become_int64(dtype: object) -> None:
    """Every integer dtype is converted to int64."""
    tensor = TensorData(np.array([3, 7], dtype))
    assert (tensor.dtype, tensor.tolist()) == ("int64", [3, 7])


def test_lists_take_the_dtype_of_their_values() -> None:
    """Integers make int64, floats and nothing at all make float32, nesting makes the shape."""
    assert TensorData([1, 2]).dtype == "int64"
    assert TensorData([1, 2.5]).dtype == "float32"
    assert TensorData([]).dtype == "float32"
    assert TensorData([[1, 2], [3, 4]]).shape == (2, 2)
    assert TensorData((1.0, 2.0)).shape == (2,)


def test_torch_tensors_are_detached_and_brought_to_the_host() -> None:
    """A tensor with a gradient, on a device, in bfloat16, is taken like any other."""
    tensor = TensorData.from_torch(FakeTorch(np.array([1.0, 0.5])))
    assert (tensor.dtype, tensor.tolist()) == ("float32", [1.0, 0.5])
    assert TensorData(FakeTorch(np.array([1, 2], np.int32))).dtype == "int64"


def test_real_torch_tensors_go_in_and_out() -> None:
    """With torch installed, bfloat16 goes in and a tensor of its own memory comes out."""
    torch = pytest.importorskip("torch")
    tensor = TensorData.from_torch(torch.tensor([1.0, 0.5], dtype=torch.bfloat16))
    out = tensor.to_torch()
    out[0] = 9.0
    assert tensor.tolist() == [1.0, 0.5]


@pytest.mark.parametrize("kind", [TensorData, foreign.TensorData])
def test_without_torch_its_tensors_name_the_install_line(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promised error, with what to type, instead of a bare ModuleNotFoundError."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        kind([1.0], "float32").to_torch()


def test_objects_known_to_numpy_are_taken() -> None:
    """Whatever has __array__ is converted by it."""
    assert TensorData(ArrayLike()).tolist() == [1.5, 2.5]
    assert TensorData(TensorData([1, 2])).tolist() == [1, 2]


def test_the_asked_dtype_wins() -> None:
    """Whole floats can be asked for as int64 and integers as float32."""
    assert TensorData([1.0, 2.0], dtype="int64").tolist() == [1, 2]
    assert TensorData([1, 2], dtype="float32").dtype == "float32"
    assert TensorData([], dtype="int64").dtype == "int64"


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        ([[1], [1, 2]], None, "rectangular"),
        ([True, False], None, "bool"),
        ([True, False], "float32", "bool"),
        ([True, False], "int64", "bool"),
        (["a"], None, "cannot be sent"),
        ([None], None, "cannot be sent"),
        ([1j], None, "complex"),
        ([2**70], None, "cannot be sent"),
        ([0.0, float("nan")], None, r"data\[1\]: is nan"),
        ([[1.0, 2.0], [3.0, float("inf")]], None, r"data\[1\]\[1\]: is inf"),
        ([1e39], None, r"data\[0\]: is inf"),
        ([1.0, 1.5], "int64", r"data\[1\]: is 1.5"),
        ([float("nan")], "int64", r"data\[0\]: is nan"),
        ([float("inf")], "int64", r"data\[0\]: is inf"),
        ([1e300], "int64", "out of range for int64"),
        ([2.0**63], "int64", "out of range for int64"),
        (np.array([1, 2**63], np.uint64), None, r"data\[1\]: is 9223372036854775808"),
        ([1.0], "float64", "dtype"),
    ],
    ids=repr,
)
def test_what_cannot_be_sent_is_refused_by_its_place(
    value: object, dtype: object, message: str
) -> None:
    """Ragged, boolean, non-numeric, non-finite and overflowing values raise a ValidationError."""
    with pytest.raises(ValidationError, match=message):
        TensorData(value, dtype=dtype)


@pytest.mark.parametrize("shape", [(3,), (2, 2), 5, ("a",)], ids=repr)
def test_a_shape_that_the_values_do_not_fill_is_refused(shape: object) -> None:
    """A wrong shape, or none at all, is a ValidationError that names the shape."""
    with pytest.raises(ValidationError) as caught:
        TensorData([1.0, 2.0], shape=shape)
    assert caught.value.path == "shape"


def test_flat_values_take_the_given_shape() -> None:
    """Row-major values and their shape make the array, also of no dimensions and of none."""
    assert TensorData([1, 2, 3, 4], shape=[2, 2]).tolist() == [[1, 2], [3, 4]]
    assert TensorData(2.5).shape == ()
    assert TensorData([], shape=(0, 3)).shape == (0, 3)


def test_a_tensor_that_fits_is_not_copied_and_cannot_be_written_to() -> None:
    """from_numpy shares the caller's memory, read-only; the caller's own array stays writable."""
    array = np.zeros(3, np.float32)
    tensor = TensorData.from_numpy(array)
    assert np.shares_memory(tensor.numpy(), array)
    with pytest.raises(ValueError, match="read-only"):
        tensor.numpy()[0] = 1.0
    array[0] = 1.0
    assert np.asarray(tensor).dtype == np.float32
    np.array(tensor)[0] = 2.0
    assert tensor.tolist()[0] == 1.0


def test_tensors_compare_by_dtype_shape_and_values() -> None:
    """Equality looks at all three, and equal tensors have equal hashes."""
    assert TensorData([1, 2]) == TensorData(np.array([1, 2], np.int32))
    assert TensorData([1, 2]) != TensorData([1.0, 2.0])
    assert TensorData([1, 2]) != TensorData([[1, 2]])
    assert TensorData([0.0]) == TensorData([-0.0])
    assert hash(TensorData([0.0])) == hash(TensorData([-0.0]))
    undefined = TensorData.from_response(np.array([np.nan], np.float32))
    assert undefined == TensorData.from_response(np.array([np.nan], np.float32))
    assert len({TensorData([1]), TensorData([1]), TensorData([2])}) == 2


def test_a_tensor_prints_short_and_pickles() -> None:
    """The repr of a million values is a line, and pickling keeps the tensor."""
    tensor = TensorData(np.zeros((1000, 1000), np.float32))
    assert len(repr(tensor)) < 80
    assert "(1000, 1000)" in repr(tensor)
    assert pickle.loads(pickle.dumps(tensor)) == tensor


def test_a_tensor_is_frozen() -> None:
    """Nothing can be assigned to a tensor."""
    with pytest.raises(AttributeError):
        TensorData([1]).shape = (2,)


@given(
    arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_values_and_shape_come_back(array: np.ndarray) -> None:
    """What goes in as an array, a nested list or flat data with a shape is the same tensor."""
    tensor = TensorData(array)
    assert np.array_equal(tensor.numpy(), array)
    assert TensorData(tensor.data, dtype="float32", shape=tensor.shape) == tensor
    assert TensorData(array.copy(order="F")) == tensor


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("target_tokens", "int64"),
        ("weights", "float32"),
        ("advantages", "float32"),
        ("logprobs", "float32"),
        ("sequence_ratio_mask", "float32"),
        ("clip_low_threshold", "float32"),
        ("clip_high_threshold", "float32"),
    ],
)
def test_lists_under_a_loss_inputs_name_take_its_dtype(name: str, dtype: str) -> None:
    """A plain list of integers becomes what the loss expects under that name."""
    datum = Datum(ModelInput.from_ints([1, 2]), {name: [1, 0]})
    assert datum.loss_fn_inputs[name].dtype == dtype


def test_lists_under_other_names_are_refused() -> None:
    """A list under a name of the user's own has no dtype; arrays and tensors have one."""
    with pytest.raises(ValidationError) as caught:
        Datum(ModelInput.from_ints([1]), {"mine": [1]})
    assert caught.value.path == "loss_fn_inputs['mine']"
    datum = Datum(ModelInput.from_ints([1]), {"mine": np.array([1]), "yours": TensorData([1.0])})
    assert datum.loss_fn_inputs["mine"].dtype == "int64"


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        ({"weights": [0.0, float("nan")]}, "loss_fn_inputs['weights'][1]"),
        ({"target_tokens": [1.0, 1.5]}, "loss_fn_inputs['target_tokens'][1]"),
        ({"weights": [[1.0], [1.0, 2.0]]}, "loss_fn_inputs['weights']"),
        ({"weights": [True, False]}, "loss_fn_inputs['weights']"),
        ({"weights": [1.0]}, "loss_fn_inputs['weights']"),
        ({"target_tokens": [[1, 2, 3]]}, "loss_fn_inputs['target_tokens']"),
        ({"advantages": 1.0}, "loss_fn_inputs['advantages']"),
        ({1: [1.0, 2.0]}, "loss_fn_inputs"),
        ([("weights", [1.0, 2.0])], "loss_fn_inputs"),
    ],
    ids=repr,
)
def test_a_bad_loss_input_is_named(inputs: object, path: str) -> None:
    """Values and shapes that cannot be right are refused with the place of the tensor or value."""
    with pytest.raises(ValidationError) as caught:
        Datum(ModelInput.from_ints([1, 2]), inputs)
    assert caught.value.path == path
    assert str(caught.value).startswith(path)


def test_inputs_of_several_values_per_position_fit() -> None:
    """[N, K] targets and weights fit an input of N tokens."""
    datum = Datum(
        ModelInput.from_ints([1, 2]),
        {"target_tokens": [[1, 2, 3], [4, 5, 6]], "weights": np.ones((2, 3))},
    )
    assert datum.loss_fn_inputs["target_tokens"].shape == (2, 3)
    assert datum == Datum(datum.model_input, dict(datum.loss_fn_inputs))
    assert hash(datum) == hash(pickle.loads(pickle.dumps(datum)))


def test_token_ids_are_no_model_input() -> None:
    """A list in the place of the model input is refused with the way to make one."""
    with pytest.raises(ValidationError, match="from_ints") as caught:
        Datum([1, 2], {})
    assert caught.value.path == "model_input"
