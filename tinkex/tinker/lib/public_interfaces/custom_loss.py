"""Losses that are traced once, and run by their handle."""

from __future__ import annotations

import hashlib
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Concatenate, cast

import tinkex
from tinkex.errors import MissingDependencyError
from tinkex.tinker.types import (
    CustomLossGraph,
    CustomLossInput,
    CustomLossInputRank,
    CustomLossNode,
    Datum,
)

if TYPE_CHECKING:
    import torch
    import torch.fx

# From (log probabilities, the inputs it reads) of one example to (loss, metrics).
PerDatumLossFn = Callable[
    Concatenate["torch.Tensor", ...], tuple["torch.Tensor", Mapping[str, "torch.Tensor"]]
]

_MOST_INPUTS = 16
_MODULES = frozenset({"torch", "math", "operator", "_operator"})
# Methods of tensors that leave the graph, or belong to the caller.
_REFUSED_METHODS = frozenset({"item", "numpy", "tolist", "backward"})
_INPUT = re.compile(r"[a-z_][a-z0-9_]{0,63}")
_METRIC = re.compile(r"custom/[a-z0-9_./-]{1,64}:(sum|mean)")


@dataclass(frozen=True)
class LossHandle:
    """A traced loss; made by `ServiceClient.create_custom_loss`."""

    name: str
    inputs: tuple[CustomLossInput, ...]
    session_id: str
    graph: torch.fx.GraphModule = field(repr=False, compare=False)
    loss_id: str | None = None

    @property
    def key(self) -> str:
        """Return a digest of the loss."""
        return hashlib.sha256(f"{self.graph.code}{self.inputs!r}".encode()).hexdigest()

    @property
    def input_names(self) -> tuple[str, ...]:
        """Return the names of the inputs that the loss reads beside the log probabilities."""
        return tuple(given.name for given in self.inputs[1:])


def trace(
    function: PerDatumLossFn, ranks: Mapping[str, CustomLossInputRank], session_id: str
) -> LossHandle:
    """Trace a loss.

    Raises:
        ImportError: torch is not installed.
        ValueError: It cannot be traced, or does what a graph cannot hold.
    """
    try:
        import torch.fx
    except ImportError as error:
        raise MissingDependencyError("create_custom_loss", "torch") from error

    name = getattr(function, "__name__", type(function).__name__)
    inputs = _inputs(name, function, ranks)
    try:
        graph = torch.fx.symbolic_trace(cast("Any", function))
    except Exception as error:
        raise ValueError(
            f"the loss {name} cannot be traced: {error}. It must not branch on tensor values, nor "
            "call libraries other than torch and math"
        ) from error
    for node in graph.graph.nodes:
        refusal = _refusal(node)
        if refusal:
            raise ValueError(f"the loss {name} {refusal}")
    return LossHandle(name, inputs, session_id, graph)


def _inputs(
    name: str, function: PerDatumLossFn, ranks: Mapping[str, CustomLossInputRank]
) -> tuple[CustomLossInput, ...]:
    parameters = list(inspect.signature(function).parameters.values())
    names = [parameter.name for parameter in parameters]
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if names[:1] != ["logprobs"] or len(names) > _MOST_INPUTS:
        raise ValueError(
            f"the loss {name} must take logprobs first, and at most {_MOST_INPUTS} parameters"
        )
    for parameter in parameters:
        if (
            parameter.kind not in plain
            or parameter.default is not parameter.empty
            or not _INPUT.fullmatch(parameter.name)
        ):
            raise ValueError(
                f"parameter {parameter.name!r} of the loss {name} must be a plain positional one "
                "without a default, with a name of lower-case letters, digits and underscores"
            )
    if set(ranks) != set(names):
        raise ValueError(f"input_ranks must give the rank of each of {', '.join(names)}")
    if ranks["logprobs"] == 0:
        raise ValueError("logprobs has rank 1 ([T]) or 2 ([T, K])")
    return tuple(CustomLossInput(name=one, rank=ranks[one]) for one in names)


def _refusal(node: torch.fx.Node) -> str | None:
    """Return why a graph may not hold a node, or None."""
    import torch

    target: Any = node.target
    if node.op == "call_function":
        module = (getattr(target, "__module__", None) or "").partition(".")[0]
        if target is not getattr and module not in _MODULES:
            return f"calls {target!r}, which is neither torch nor math"
    elif node.op == "call_method":
        if target in _REFUSED_METHODS or not hasattr(torch.Tensor, target):
            return f"calls the method {target!r}; every value must stay a tensor"
    elif node.op in ("call_module", "get_attr"):
        return f"uses {target!r} from outside; it may only read its parameters"
    elif node.op == "output":
        return _output_refusal(node.args[0])
    return None


def _output_refusal(output: Any) -> str | None:
    import torch.fx

    if not isinstance(output, tuple | list) or len(output) != 2 or not isinstance(output[1], dict):
        return "must return (loss, metrics)"
    for value in (output[0], *output[1].values()):
        if not isinstance(value, torch.fx.Node):
            return f"must return tensors, not {value!r}"
    for key in output[1]:
        if not isinstance(key, str) or not _METRIC.fullmatch(key):
            return f"must name its metrics custom/<name>:sum or :mean, not {key!r}"
    return None


def encoded(handle: LossHandle) -> CustomLossGraph:
    """Return the graph as it is sent."""
    from torch.fx.node import _get_qualified_name

    def target_of(node: torch.fx.Node) -> str:
        if node.op != "call_function":
            return str(node.target)
        # Python's operators are defined in a private module.
        name: str = _get_qualified_name(cast("Any", node.target))
        return name.replace("_operator.", "operator.")

    return CustomLossGraph(
        nodes=[
            CustomLossNode(
                op=cast("Any", node.op),
                name=node.name,
                target=target_of(node),
                args=[_argument(argument) for argument in node.args],
                kwargs={key: _argument(argument) for key, argument in node.kwargs.items()},
            )
            for node in handle.graph.graph.nodes
        ]
    )


def _argument(value: Any) -> Any:
    import torch
    import torch.fx

    if isinstance(value, torch.fx.Node):
        return {"ref": value.name}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_argument(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_argument(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": {key: _argument(item) for key, item in value.items()}}
    if isinstance(value, slice):
        return {"slice": [_argument(part) for part in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"ellipsis": True}
    for kind in (torch.dtype, torch.device, torch.layout, torch.memory_format):
        if isinstance(value, kind):
            return {kind.__name__: str(value).removeprefix("torch.")}
    raise ValueError(f"a custom loss cannot send an argument of type {type(value).__name__}")


def check_inputs(handle: LossHandle, data: Sequence[Datum]) -> None:
    """Raise a ValueError unless each example has what the loss reads, of its rank."""
    wanted = [("target_tokens", handle.inputs[0]), *((one.name, one) for one in handle.inputs[1:])]
    for index, datum in enumerate(data):
        for key, given in wanted:
            tensor = datum.loss_fn_inputs.get(key)
            rank = None if tensor is None else len(tensor.shape or [0])
            if rank != given.rank:
                found = "is missing" if rank is None else f"has rank {rank}"
                raise ValueError(
                    f"data[{index}].loss_fn_inputs[{key!r}] {found}; the loss {handle.name} wants "
                    f"rank {given.rank}"
                )


def run(
    handle: LossHandle, data: Sequence[Datum], logprobs: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the sum of the examples' losses, and their metrics reduced by their suffix."""
    losses, sums = [], dict[str, float]()
    for datum, values in zip(data, logprobs, strict=True):
        inputs = [datum.loss_fn_inputs[name].to_torch() for name in handle.input_names]
        loss, metrics = handle.graph(values, *inputs)
        if loss.ndim:
            raise ValueError(f"the loss {handle.name} must be a scalar, not {tuple(loss.shape)}")
        losses.append(loss)
        for key, value in metrics.items():
            sums[key] = sums.get(key, 0.0) + float(value)
    counts = {key: len(losses) if key.endswith(":mean") else 1 for key in sums}
    return cast("torch.Tensor", sum(losses)), {key: sums[key] / counts[key] for key in sums}


def uploaded(handle: LossHandle, service: tinkex.ServiceClient) -> LossHandle:
    """Return the handle with the id of the loss on the server; without one if the server runs none."""
    if not service.session.server_config.config.custom_loss_server_side:
        return handle
    graph = tinkex.types.CustomLossGraph.from_dict(encoded(handle).model_dump(mode="json"))
    inputs = [
        tinkex.types.CustomLossInput.from_dict(given.model_dump(mode="json"))
        for given in handle.inputs
    ]
    return replace(handle, loss_id=service.create_custom_loss(handle.name, inputs, graph))
