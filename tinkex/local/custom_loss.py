"""Custom losses that clients upload as traced graphs, run by a strict interpreter.

Nothing of a graph is code: a node names one of the operations in `loss_ops`, and every other name
is refused when the loss is created. The arrays are float64, the gradient comes from autograd.

A graph is bounded in its nodes and arguments when it is created. When it runs, each value is an
array, a number of at most 64 bits or a shape; what all operations together read and write is
bounded, and with it the time of the gradient; and `Allowance` bounds the time of a request.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import define, field, frozen

from tinkex.local.engine.pauses import pause
from tinkex.local.problem import Problem

MOST_NODES = 1000
MOST_ARGUMENTS = 10_000
# Of all arguments and results of a graph: the gradient goes through every one of them again.
MOST_ELEMENTS_IN_ALL = 2**25
MOST_SECONDS = 30.0
_MOST_NESTING = 8
_MOST_NAME = 200
_INT_BOUND = 2**63
_METRIC = re.compile(r"custom/[a-z0-9_./-]{1,64}:(sum|mean)")
_NUMBERS = {"inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}


@define
class Allowance:
    """The computing time that the custom loss of one request may take."""

    seconds: float = MOST_SECONDS
    clock: Callable[[], float] = time.thread_time
    _began: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.clock()

    def check(self) -> None:
        """Raise a ValueError once the time is over."""
        if self.clock() - self._began > self.seconds:
            raise ValueError(
                f"it takes more than {self.seconds:g} seconds of computing for this request: send"
                " fewer data at once, or run the loss in the client with forward_backward_custom"
            )


@frozen(eq=False)
class CustomLoss:
    """A graph that was checked: it computes the loss of one datum from its inputs, in order.

    `inputs` are names and ranks; `logprobs` is the first.
    """

    inputs: tuple[tuple[str, int], ...]
    nodes: tuple[Any, ...] = field(repr=False)

    def value_and_gradient(
        self, arrays: Sequence[np.ndarray[Any, Any]], allowance: Allowance | None = None
    ) -> tuple[float, np.ndarray[Any, Any], dict[str, float]]:
        """Return loss, its gradient by the logprobs (their shape), and the metrics of one datum.

        Raises:
            ValueError: an operation does not fit its arguments, naming the node.
            TypeError: what the graph returns is no number.
        """
        from autograd import make_vjp

        from tinkex.local.loss_ops import detached, traced

        metrics: dict[str, float] = {}
        logprobs, *others = (
            array.astype(np.float64) if array.dtype.kind == "f" else array for array in arrays
        )

        def loss_of(logprobs: Any) -> Any:
            loss, named = self._run([logprobs, *others], allowance or Allowance())
            metrics.update({key: _scalar(detached(value), key) for key, value in named.items()})
            if np.shape(detached(loss)) != ():
                raise ValueError(
                    f"the loss has shape {np.shape(detached(loss))}, not that of a number"
                )
            return traced(loss, logprobs)

        with np.errstate(all="ignore"):
            backward, loss = make_vjp(loss_of)(logprobs)
            gradient = np.asarray(backward(1.0), np.float32)
        value = float(loss)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            raise ValueError("the loss or its gradient is not finite")
        return value, gradient, metrics

    def _run(self, arrays: Sequence[Any], allowance: Allowance) -> tuple[Any, Mapping[str, Any]]:
        elements = 0
        values: dict[str, Any] = {}
        inputs = iter(arrays)
        for node in self.nodes:
            if node.op == "placeholder":
                values[node.name] = next(inputs)
                continue
            arguments = [_decode(one, values) for one in node.args or ()]
            if node.op == "output":
                loss, metrics = _outputs(arguments)
                return loss, metrics
            keywords = {key: _decode(one, values) for key, one in (node.kwargs or {}).items()}
            allowance.check()
            pause()
            try:
                elements += sum(map(_elements, (*arguments, *keywords.values())))
                result = values[node.name] = _called(node, arguments, keywords)
                elements += _elements(result)
            except Exception as error:
                raise ValueError(f"node {node.name!r} ({node.target}): {error}") from error
            if elements > MOST_ELEMENTS_IN_ALL:
                raise ValueError(
                    f"its operations read and write more than {MOST_ELEMENTS_IN_ALL} elements in all"
                )
        raise ValueError("the graph has no output")


def _called(node: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    """Return the result of a node, which is an array, a number or a shape."""
    from tinkex.local.loss_ops import FUNCTIONS, METHODS, TAKE_ARRAYS, detached

    if node.target not in TAKE_ARRAYS and any(
        isinstance(one, list | tuple) and not all(map(_is_plain, one))
        for one in (*arguments, *keywords.values())
    ):
        raise ValueError("a list of tensors is no argument of this operation")
    table = METHODS if node.op == "call_method" else FUNCTIONS
    result = table[node.target](*arguments, **keywords)
    plain = detached(result)
    if isinstance(plain, int) and not -_INT_BOUND <= plain < _INT_BOUND:
        raise ValueError("the result is an integer of more than 64 bits")
    is_shape = isinstance(plain, tuple) and all(isinstance(one, int) for one in plain)
    is_array = isinstance(plain, np.ndarray | np.generic) and plain.dtype.kind in "biuf"
    if not (is_shape or is_array or isinstance(plain, int | float)):
        raise ValueError(f"the result is no tensor and no number but {type(plain).__name__}")
    return result


def _is_plain(value: Any) -> bool:
    return value is None or value is ... or isinstance(value, int | float | slice)


def _elements(value: Any) -> int:
    """Return how many numbers an argument or a result has."""
    from tinkex.local.loss_ops import detached

    if isinstance(value, list | tuple):
        return sum(map(_elements, value))
    return int(np.size(plain)) if isinstance(plain := detached(value), np.ndarray) else 1


def checked_loss(inputs: Sequence[Any], nodes: Sequence[Any]) -> CustomLoss:
    """Return the loss of a request, or raise a 400 problem that names the fault."""
    names = [one.name for one in inputs]
    if names[0] != "logprobs" or inputs[0].rank == 0:
        raise Problem(400, "inputs[0] must be 'logprobs', with rank 1 or 2")
    if len(set(names)) != len(names):
        raise Problem(400, "inputs: every name can be there once")
    if len(nodes) > MOST_NODES:
        raise Problem(400, f"graph.nodes has {len(nodes)} nodes, at most {MOST_NODES} are allowed")
    if not nodes or nodes[-1].op != "output":
        raise Problem(400, "graph.nodes must end in the output")
    placeholders = [node.target for node in nodes if node.op == "placeholder"]
    if placeholders != names:
        raise Problem(400, f"graph.nodes has the placeholders {placeholders}, inputs are {names}")
    known: set[str] = set()
    arguments = 0
    for index, node in enumerate(nodes):
        arguments += _check_node(node, f"graph.nodes[{index}]", known, last=index == len(nodes) - 1)
        if arguments > MOST_ARGUMENTS:
            raise Problem(400, f"graph.nodes have more than {MOST_ARGUMENTS} arguments in all")
        known.add(node.name)
    return CustomLoss(tuple((one.name, one.rank) for one in inputs), tuple(nodes))


def _check_node(node: Any, where: str, known: set[str], *, last: bool) -> int:
    """Raise a 400 problem for a node that could not run; return the number of its arguments."""
    from tinkex.local.loss_ops import FUNCTIONS, METHODS

    if len(node.name) > _MOST_NAME:
        raise Problem(400, f"{where}.name is longer than {_MOST_NAME} characters")
    if node.name in known:
        raise Problem(400, f"{where}.name {node.name!r} is taken by an earlier node")
    match node.op:
        case "call_function":
            allowed = node.target in FUNCTIONS
        case "call_method":
            allowed = node.target in METHODS
        case "output":
            allowed = last
        case "placeholder":
            allowed = True
        case _:
            allowed = False
    if not allowed:
        raise Problem(
            400,
            f"{where}: {node.op} {node.target[:_MOST_NAME]!r} is not available here. Run the loss in the client"
            " instead: forward_backward_custom(data, loss_fn)",
        )
    return sum(
        _check_argument(argument, where, known, _MOST_NESTING)
        for argument in (*(node.args or ()), *(node.kwargs or {}).values())
    )


def _check_argument(value: Any, where: str, known: set[str], depth: int) -> int:
    """Raise a 400 problem for an argument that `_decode` could not read; return its parts."""
    if depth == 0:
        raise Problem(400, f"{where}: arguments are nested too deeply")
    if isinstance(value, int) and not -_INT_BOUND <= value < _INT_BOUND:
        raise Problem(400, f"{where}: an integer has more than 64 bits")
    if value is None or isinstance(value, bool | int | float | str):
        return 1
    if isinstance(value, list):
        return 1 + sum(_check_argument(one, where, known, depth - 1) for one in value)
    kind, content = next(iter(value.items()), ("", None)) if isinstance(value, dict) else ("", None)
    fits = isinstance(value, dict) and len(value) == 1
    inner: Any = []
    match kind:
        case "ref":
            fits = fits and isinstance(content, str) and content in known
        case "tuple":
            fits, inner = fits and isinstance(content, list), content
        case "slice":
            fits = fits and isinstance(content, list) and len(content) == 3
            inner = content
        case "dict":
            fits = fits and isinstance(content, dict)
            inner = list(content.values()) if isinstance(content, dict) else []
        case "float":
            fits = fits and isinstance(content, str) and content in _NUMBERS
        case "ellipsis":
            fits = fits and content is True
        case "dtype" | "device" | "layout" | "memory_format":
            fits = fits and isinstance(content, str)
        case _:
            fits = False
    if not fits:
        raise Problem(400, f"{where}: {str(value)[:80]} is no argument that a graph can have")
    return 1 + sum(_check_argument(one, where, known, depth - 1) for one in inner)


def _decode(value: Any, values: Mapping[str, Any]) -> Any:
    """Return the value of an argument."""
    if isinstance(value, list):
        return [_decode(one, values) for one in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    match kind:
        case "ref":
            return values[content]
        case "tuple":
            return tuple(_decode(one, values) for one in content)
        case "slice":
            return slice(*(_decode(one, values) for one in content))
        case "dict":
            return {key: _decode(one, values) for key, one in content.items()}
        case "float":
            return _NUMBERS[content]
        case "ellipsis":
            return ...
        case _:
            return content


def _outputs(arguments: Sequence[Any]) -> tuple[Any, Mapping[str, Any]]:
    """Return loss and metrics of what the graph returns: (loss, metrics), or the loss alone."""
    returned = arguments[0] if len(arguments) == 1 else None
    if not isinstance(returned, tuple | list):
        if returned is None:
            raise ValueError("the output must be (loss, metrics)")
        return returned, {}
    if len(returned) != 2 or not isinstance(returned[1], dict):
        raise ValueError("the output must be (loss, metrics)")
    for key in returned[1]:
        if _METRIC.fullmatch(key) is None:
            raise ValueError(
                f"metric {key!r} must be named custom/<name>:sum or custom/<name>:mean"
            )
    return returned[0], returned[1]


def _scalar(value: Any, key: str) -> float:
    if np.shape(value) != () or not np.isfinite(value):
        raise ValueError(f"metric {key!r} must be one finite number")
    return float(value)
