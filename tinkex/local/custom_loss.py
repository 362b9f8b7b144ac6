"""Custom losses that clients upload as traced graphs, run by a strict interpreter.

Nothing of a graph is code: a node names one of the operations in `loss_ops`, and every other name
is refused when the loss is created. The arrays are float64, the gradient comes from autograd.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import field, frozen

from tinkex.local.problem import Problem

MOST_NODES = 1000
# Of all results of a graph together: the gradient needs every one of them.
MOST_ELEMENTS_IN_ALL = 2**25
_MOST_NESTING = 8
_METRIC = re.compile(r"custom/[a-z0-9_./-]{1,64}:(sum|mean)")
_NUMBERS = {"inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}


@frozen(eq=False)
class CustomLoss:
    """A graph that was checked: it computes the loss of one datum from its inputs, in order.

    `inputs` are names and ranks; `logprobs` is the first.
    """

    inputs: tuple[tuple[str, int], ...]
    nodes: tuple[Any, ...] = field(repr=False)

    def value_and_gradient(
        self, arrays: Sequence[np.ndarray[Any, Any]]
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
            loss, named = self._run([logprobs, *others])
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

    def _run(self, arrays: Sequence[Any]) -> tuple[Any, Mapping[str, Any]]:
        from tinkex.local.loss_ops import FUNCTIONS, METHODS, detached

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
            table = METHODS if node.op == "call_method" else FUNCTIONS
            try:
                values[node.name] = table[node.target](*arguments, **keywords)
            except Exception as error:
                raise ValueError(f"node {node.name!r} ({node.target}): {error}") from error
            elements += np.size(detached(values[node.name]))
            if elements > MOST_ELEMENTS_IN_ALL:
                raise ValueError(
                    f"the results have more than {MOST_ELEMENTS_IN_ALL} elements in all"
                )
        raise ValueError("the graph has no output")


def checked_loss(inputs: Sequence[Any], nodes: Sequence[Any]) -> CustomLoss:
    """Return the loss of a request, or raise a 400 problem that names what is wrong with it."""
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
    for index, node in enumerate(nodes):
        _check_node(node, f"graph.nodes[{index}]", known, last=index == len(nodes) - 1)
        known.add(node.name)
    return CustomLoss(tuple((one.name, one.rank) for one in inputs), tuple(nodes))


def _check_node(node: Any, where: str, known: set[str], *, last: bool) -> None:
    from tinkex.local.loss_ops import FUNCTIONS, METHODS

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
            f"{where}: {node.op} {node.target!r} is not available here. Run the loss in the client"
            " instead: forward_backward_custom(data, loss_fn)",
        )
    for argument in (*(node.args or ()), *(node.kwargs or {}).values()):
        _check_argument(argument, where, known, _MOST_NESTING)


def _check_argument(value: Any, where: str, known: set[str], depth: int) -> None:
    """Raise a 400 problem for an argument that `_decode` could not read."""
    if depth == 0:
        raise Problem(400, f"{where}: arguments are nested too deeply")
    if value is None or isinstance(value, bool | int | float | str):
        return
    if isinstance(value, list):
        for one in value:
            _check_argument(one, where, known, depth - 1)
        return
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
    for one in inner:
        _check_argument(one, where, known, depth - 1)


def _decode(value: Any, values: Mapping[str, Any]) -> Any:
    """Return the value that an argument stands for."""
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
