"""Custom losses: traced graphs that the server runs by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from local.wire import Model, Wire, datum

from tinkex.local.custom_loss import Allowance, checked_loss
from tinkex.local.problem import Problem

RNG = np.random.default_rng(0)


class Node:
    """A node as the generated models have it."""

    def __init__(self, op: str, name: str, target: str, args: Any = (), kwargs: Any = None) -> None:
        self.op, self.name, self.target = op, name, target
        self.args, self.kwargs = list(args), kwargs


class Input:
    def __init__(self, name: str, rank: int) -> None:
        self.name, self.rank = name, rank


def ref(name: str) -> dict[str, str]:
    return {"ref": name}


def call(name: str, target: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return a node: a torch or operator function, or with a dot in front a method."""
    op = "call_method" if target.startswith(".") else "call_function"
    return {
        "op": op,
        "name": name,
        "target": target.lstrip("."),
        "args": list(args),
        "kwargs": kwargs,
    }


def graph(inputs: list[str], *nodes: dict[str, Any], metrics: dict[str, Any] | None = None) -> Any:
    """Return the nodes of a graph over inputs; the last node is its loss."""
    placeholders = [{"op": "placeholder", "name": name, "target": name} for name in inputs]
    loss = ref(nodes[-1]["name"])
    returned = loss if metrics is None else {"tuple": [loss, {"dict": metrics}]}
    output = {"op": "output", "name": "output", "target": "output", "args": [returned]}
    return [*placeholders, *nodes, output]


PPO = graph(
    ["logprobs", "old", "adv"],
    call("diff", "operator.sub", ref("logprobs"), ref("old")),
    call("ratio", "torch.exp", ref("diff")),
    call("one", "operator.mul", ref("ratio"), ref("adv")),
    call("clipped", "torch.clamp", ref("ratio"), 0.8, 1.2),
    call("two", "operator.mul", ref("clipped"), ref("adv")),
    call("least", "torch.minimum", ref("one"), ref("two")),
    call("total", ".sum", ref("least")),
    call("mean", ".mean", ref("ratio")),
    call("loss", "operator.neg", ref("total")),
    metrics={"custom/ratio:mean": ref("mean"), "custom/gain:sum": ref("total")},
)


def ppo_datum(model: Model, tokens: list[int]) -> dict[str, Any]:
    count = len(tokens)
    old = RNG.normal(-7.0, 0.3, count).astype(np.float32).tolist()
    adv = RNG.normal(0.0, 1.0, count).astype(np.float32).tolist()
    one = datum(tokens)
    del one["loss_fn_inputs"]["weights"]
    for name, values in (("old", old), ("adv", adv)):
        one["loss_fn_inputs"][name] = {"data": values, "dtype": "float32", "shape": [count]}
    return one


def create(
    wire: Wire, session_id: str, nodes: Any, inputs: list[tuple[str, int]], seq: int = 0
) -> Any:
    body = {
        "session_id": session_id,
        "custom_loss_seq_id": seq,
        "name": "loss",
        "inputs": [{"name": name, "rank": rank} for name, rank in inputs],
        "graph": {"nodes": nodes},
    }
    return wire.http.post("create_custom_loss", json=body)


PPO_INPUTS = [("logprobs", 1), ("old", 1), ("adv", 1)]


def test_a_traced_ppo_trains_as_the_built_in_one(wire: Wire) -> None:
    """Loss, metrics and the weights after a step are those of ppo on the same data."""
    session = wire.session()
    mine, reference = wire.model(session, 0), wire.model(session, 1)
    loss_id = wire.result(create(wire, session, PPO, PPO_INPUTS).json())["loss_id"]
    data = [ppo_datum(mine, [5, 6, 7, 8]), ppo_datum(mine, [40, 41])]
    named = [
        {**one, "loss_fn_inputs": {
            "target_tokens": one["loss_fn_inputs"]["target_tokens"],
            "logprobs": one["loss_fn_inputs"]["old"],
            "advantages": one["loss_fn_inputs"]["adv"],
        }}
        for one in data
    ]  # fmt: skip
    custom = {"data": data, "loss_fn": "custom", "loss_fn_config": {"loss_id": loss_id}}
    built_in = {"data": named, "loss_fn": "ppo"}
    before = mine.call("forward", forward_input=custom)
    got = mine.call("forward_backward", forward_backward_input=custom)
    expected = reference.call("forward_backward", forward_backward_input=built_in)
    assert got["loss_fn_outputs"] == expected["loss_fn_outputs"]
    assert before["metrics"] == got["metrics"]
    metrics = got["metrics"]
    assert metrics["loss:sum"] == pytest.approx(expected["metrics"]["loss:sum"], rel=1e-6)
    assert metrics["custom/gain:sum"] == pytest.approx(-metrics["loss:sum"], rel=1e-9)
    ratios = [
        np.exp(np.array(out["logprobs"]["data"]) - one["loss_fn_inputs"]["old"]["data"]).mean()
        for out, one in zip(got["loss_fn_outputs"], data, strict=True)
    ]
    assert metrics["custom/ratio:mean"] == pytest.approx(np.mean(ratios), rel=1e-6)
    norms = [
        one.call("optim_step", adam_params={"learning_rate": 1e-2}) for one in (mine, reference)
    ]
    assert norms[0]["metrics"]["unclipped_grad_l2:mean"] == pytest.approx(
        norms[1]["metrics"]["unclipped_grad_l2:mean"], rel=1e-5
    )
    assert mine.loss() == pytest.approx(reference.loss(), rel=1e-5)


def test_several_targets_per_position_have_rank_two(wire: Wire) -> None:
    """A loss over [T, K] logprobs gets them in that shape."""
    model = wire.model()
    nodes = graph(
        ["logprobs"],
        call("best", "torch.logsumexp", ref("logprobs"), 1),
        call("total", "torch.sum", ref("best")),
        call("loss", "operator.neg", ref("total")),
    )
    loss_id = wire.result(create(wire, model.session_id, nodes, [("logprobs", 2)]).json())[
        "loss_id"
    ]
    one = datum([5, 6])
    targets = {"data": [6, 7, 8, 9], "dtype": "int64", "shape": [2, 2]}
    one["loss_fn_inputs"] = {"target_tokens": targets}
    body = {"data": [one], "loss_fn": "custom", "loss_fn_config": {"loss_id": loss_id}}
    losses = []
    for _ in range(3):
        losses.append(
            model.call("forward_backward", forward_backward_input=body)["metrics"]["loss:sum"]
        )
        model.call("optim_step", adam_params={"learning_rate": 1e-2})
    assert losses[0] > losses[1] > losses[2]


def test_a_custom_loss_is_created_once_under_its_number(wire: Wire) -> None:
    """The same request gives the same promise, another one under the number a 409."""
    session = wire.session()
    first = create(wire, session, PPO, PPO_INPUTS, seq=3).json()
    assert create(wire, session, PPO, PPO_INPUTS, seq=3).json() == first
    other = graph(["logprobs"], call("loss", "torch.sum", ref("logprobs")))
    assert create(wire, session, other, [("logprobs", 1)], seq=3).status_code == 409


def test_custom_losses_that_do_not_fit_fail_the_request_and_say_why(wire: Wire) -> None:
    """A missing input, another session's loss, an unknown id, a result that is no number."""
    model, stranger = wire.model(), wire.model()
    ppo = wire.result(create(wire, model.session_id, PPO, PPO_INPUTS).json())["loss_id"]
    vector = graph(["logprobs"], call("loss", "torch.exp", ref("logprobs")))
    shape = wire.result(create(wire, model.session_id, vector, [("logprobs", 1)], 1).json())[
        "loss_id"
    ]
    infinite = graph(
        ["logprobs"],
        call("zero", "operator.mul", ref("logprobs"), 0.0),
        call("log", "torch.log", ref("zero")),
        call("loss", "torch.sum", ref("log")),
    )
    nan = wire.result(create(wire, model.session_id, infinite, [("logprobs", 1)], 2).json())[
        "loss_id"
    ]

    def error(model: Model, config: dict[str, Any]) -> str:
        body = {"data": [datum([5, 6])], "loss_fn": "custom", "loss_fn_config": config}
        outcome = wire.outcome(model.submit("forward_backward", forward_backward_input=body))
        assert outcome["category"] == "user"
        return str(outcome["error"])

    assert "data[0].loss_fn_inputs['old'] is missing" in error(model, {"loss_id": ppo})
    assert "does not belong" in error(stranger, {"loss_id": ppo})
    assert "is not in this server's memory" in error(
        model, {"loss_id": f"{model.session_id}:loss:9"}
    )
    assert "loss_fn_config['loss_id'] is missing" in error(model, {})
    assert "has shape (2,)" in error(model, {"loss_id": shape})
    assert "not finite" in error(model, {"loss_id": nan})
    for number, returned in enumerate(("text", None, {"tuple": [ref("logprobs")]}), start=3):
        odd = graph(["logprobs"], call("loss", "torch.sum", ref("logprobs")))
        odd[-1]["args"] = [returned]
        made = create(wire, model.session_id, odd, [("logprobs", 1)], number).json()
        assert "custom loss" in error(model, {"loss_id": wire.result(made)["loss_id"]})


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        (graph(["logprobs"], call("x", "os.system", "true")), r"nodes\[1\].*'os.system'"),
        (graph(["logprobs"], call("x", "torch.load", "file")), "'torch.load'"),
        (graph(["logprobs"], call("x", ".backward", ref("logprobs"))), "'backward'"),
        (graph(["logprobs"], call("x", ".__class__", ref("logprobs"))), "'__class__'"),
        (graph(["logprobs"], call("logprobs", "torch.exp", ref("logprobs"))), "earlier node"),
        (graph(["logprobs"], call("x", "torch.exp", ref("later"))), "no argument"),
        (graph(["logprobs"], call("x", "torch.exp", {"code": "1"})), "no argument"),
        (graph(["logprobs"], call("x", "torch.exp", {"ref": "logprobs", "b": 1})), "no argument"),
        (graph(["other"], call("x", "torch.exp", ref("other"))), "placeholders"),
        (graph(["logprobs"], call("x", "torch.exp", [[[[[[[[[[1]]]]]]]]]])), "too deeply"),
        ([{"op": "placeholder", "name": "logprobs", "target": "logprobs"}], "end in the output"),
        ([], "end in the output"),
        (
            graph(["logprobs"], *[call(f"x{n}", "torch.exp", ref("logprobs")) for n in range(1000)]),
            "at most 1000",
        ),
    ],
)  # fmt: skip
def test_graphs_that_name_anything_else_are_refused(nodes: Any, says: str) -> None:
    """Only the listed operations, only earlier results, only plain arguments."""
    made = [Node(**node) for node in nodes]
    with pytest.raises(Problem, match=says) as refused:
        checked_loss([Input("logprobs", 1)], made)
    assert refused.value.status == 400


def loss_of(*nodes: dict[str, Any], inputs: tuple[str, ...] = ("logprobs",)) -> Any:
    made = [Node(**node) for node in graph(list(inputs), *nodes)]
    return checked_loss([Input(name, 1) for name in inputs], made)


def test_what_would_not_fit_into_memory_is_refused() -> None:
    """Broadcasting, stacking and large indexes are bounded before they are computed."""
    row = np.zeros(4096, np.float32)
    outer = loss_of(
        call("column", ".unsqueeze", ref("logprobs"), 1),
        call("square", "operator.mul", ref("column"), ref("logprobs")),
        call("loss", "torch.sum", ref("square")),
    )
    with pytest.raises(ValueError, match="elements"):
        outer.value_and_gradient([row])
    stacked = loss_of(
        call("many", "torch.stack", [ref("logprobs")] * 2000),
        call("loss", "torch.sum", ref("many")),
    )
    with pytest.raises(ValueError, match="elements"):
        stacked.value_and_gradient([row])
    many = loss_of(
        call("grown0", "torch.stack", [ref("logprobs")] * 1000),
        *[call(f"grown{n}", "torch.exp", ref("grown0")) for n in range(1, 20)],
        call("loss", "torch.sum", ref("grown1")),
    )
    with pytest.raises(ValueError, match="in all"):
        many.value_and_gradient([row])
    picked = loss_of(
        call("many", "operator.getitem", ref("logprobs"), [0] * 1000),
        call("loss", "torch.sum", ref("many")),
    )
    with pytest.raises(ValueError, match="an index is"):
        picked.value_and_gradient([row])
    huge = loss_of(
        call("x", "operator.pow", 10, 9), call("y", "operator.pow", ref("x"), ref("x")),
        call("z", "operator.mul", ref("logprobs"), ref("y")), call("loss", "torch.sum", ref("z")),
    )  # fmt: skip
    value, _, _ = huge.value_and_gradient([row[:2]])
    assert np.isfinite(value)


UNARY = ["exp", "sigmoid", "tanh", "square", "abs", "neg", "expm1", "sin", "cos", "relu"]


@pytest.mark.parametrize("name", UNARY)
def test_operations_have_the_gradients_of_their_functions(name: str) -> None:
    """Each agrees with central differences of itself."""
    _agrees(call("y", f"torch.{name}", ref("logprobs")))


@pytest.mark.parametrize(
    "node",
    [
        call("y", "torch.log_softmax", ref("logprobs"), dim=0),
        call("y", "torch.softmax", ref("logprobs"), 0),
        call("y", "torch.cumsum", ref("logprobs"), 0),
        call("y", "torch.clamp", ref("logprobs"), -0.5, 0.5),
        call("y", "torch.nn.functional.softplus", ref("logprobs")),
        call("y", ".std", ref("logprobs")),
        call("y", ".max", ref("logprobs")),
        call("y", ".diff", ref("logprobs")),
        call("y", ".to", ref("logprobs"), {"dtype": "float32"}),
        call("y", ".sum", ref("logprobs"), -1, keepdim=True),
        call("y", "operator.getitem", ref("logprobs"), {"slice": [1, None, 2]}),
        call("y", "operator.pow", ref("logprobs"), 3),
        call("y", "torch.add", ref("logprobs"), 2.0, alpha=0.5),
        call("y", "torch.stack", [ref("logprobs"), ref("logprobs")], 1),
    ],
    ids=lambda node: node["target"],
)
def test_operations_with_arguments_have_the_gradients_of_their_functions(node: Any) -> None:
    """Each agrees with central differences of itself."""
    _agrees(node)


def _agrees(node: dict[str, Any]) -> None:
    squared = call("square", "torch.square", ref("y"))
    loss = loss_of(node, squared, call("loss", "torch.sum", ref("square")))
    at = np.array([-1.3, -0.4, 0.2, 0.9, 1.7])
    _, gradient, _ = loss.value_and_gradient([at])
    step = 1e-6
    for index in range(at.size):
        shift = np.zeros_like(at)
        shift[index] = step
        high, low = (loss.value_and_gradient([at + sign * shift])[0] for sign in (1, -1))
        assert gradient[index] == pytest.approx((high - low) / (2 * step), rel=1e-5, abs=1e-7)


def test_a_detached_part_has_no_gradient() -> None:
    """detach is torch's: its value counts, its slope does not."""
    loss = loss_of(
        call("p", "torch.exp", ref("logprobs")),
        call("w", ".detach", ref("p")),
        call("y", "operator.mul", ref("w"), ref("logprobs")),
        call("loss", ".sum", ref("y")),
    )
    at = np.array([-1.0, -2.0])
    value, gradient, _ = loss.value_and_gradient([at])
    assert value == pytest.approx((np.exp(at) * at).sum())
    np.testing.assert_allclose(gradient, np.exp(at))


def test_a_loss_that_ignores_the_logprobs_has_no_gradient() -> None:
    """The gradient is zero, not an error."""
    loss = loss_of(call("loss", "torch.sum", ref("other")), inputs=("logprobs", "other"))
    value, gradient, _ = loss.value_and_gradient([np.zeros(3, np.float32), np.ones(2, np.float32)])
    assert value == 2.0
    np.testing.assert_array_equal(gradient, np.zeros(3))


def chain(first: Any, *steps: Any) -> list[dict[str, Any]]:
    """Return nodes of which each is made from the name of the one before it, and a sum."""
    nodes = []
    name = first
    for index, step in enumerate(steps):
        nodes.append(step(f"n{index}", name))
        name = ref(f"n{index}")
    return [*nodes, call("loss", "torch.sum", name)]


WIDE = [call("wide", "torch.stack", [ref("logprobs")] * 1024)]
GROWING = {
    "squares of a whole number": chain(
        3, *[lambda name, x: call(name, "torch.square", x) for _ in range(60)]
    ),
    "products of whole numbers": chain(
        2**62, *[lambda name, x: call(name, "torch.square", x) for _ in range(3)]
    ),
    "a list of lists": chain(
        ref("logprobs"), *[lambda name, x: call(name, "torch.clone", [x, x]) for _ in range(60)]
    ),
    "a shape of tensors": [call("loss", "torch.reshape", [ref("logprobs")] * 9_000, -1)],
    "a sum of tensors": [call("loss", "torch.sum", [ref("logprobs")] * 9_000)],
    "a keyword of tensors": [call("loss", ".sum", ref("logprobs"), dim=[ref("logprobs")])],
    "nested lists to stack": [
        call("many", "torch.stack", [[ref("logprobs")] * 4_000] * 2),
        call("loss", "torch.sum", ref("many")),
    ],
    "bounds that broadcast": [
        call("column", ".unsqueeze", ref("logprobs"), 1),
        call("loss", "torch.clamp", ref("column"), max=ref("logprobs")),
    ],
    "many small parts of a large tensor": [
        *WIDE,
        *[call(f"part{n}", "operator.getitem", ref("wide"), n) for n in range(900)],
        call("loss", "torch.sum", ref("part0")),
    ],
    "a repeated text": [call("text", "torch.clone", "a"), call("loss", "torch.sum", ref("text"))],
    "a dictionary": [call("loss", "torch.clone", {"dict": {"a": ref("logprobs")}})],
}


@pytest.mark.holds("S27")
@pytest.mark.parametrize("nodes", GROWING.values(), ids=GROWING.keys())
def test_a_graph_that_grows_is_stopped(nodes: list[dict[str, Any]]) -> None:
    """In value, in length, in nesting or in the work of its gradient: before it costs anything."""
    with pytest.raises(ValueError, match=r".") as stopped:
        loss_of(*nodes).value_and_gradient([np.zeros(4096, np.float32)])
    assert len(str(stopped.value)) < 500


@pytest.mark.holds("S27")
@pytest.mark.parametrize(
    ("node", "says"),
    [
        (call("x", "torch.square", 2**64), "64 bits"),
        (call("x", "torch.square", -(10**400)), "64 bits"),
        (call("x", "torch.stack", [1] * 10_001), "more than 10000 arguments"),
        (call("x" * 201, "torch.exp", 1), "longer than 200"),
        (call("x", "y" * 100_000, 1), "is not available"),
    ],
)
def test_a_graph_that_is_written_too_large_is_refused(node: Any, says: str) -> None:
    """When it is created; the message does not repeat all of it."""
    made = [Node(**one) for one in graph(["logprobs"], node)]
    with pytest.raises(Problem, match=says) as refused:
        checked_loss([Input("logprobs", 1)], made)
    assert refused.value.status == 400
    assert len(str(refused.value)) < 1_000


@pytest.mark.holds("S27")
def test_the_time_of_a_request_is_bounded() -> None:
    """All data of a request together: a loss that takes a second each ends after thirty."""
    ticks = iter(range(1_000))
    allowance = Allowance(seconds=30.0, clock=lambda: float(next(ticks)))
    loss = loss_of(call("loss", "torch.sum", ref("logprobs")))
    for _ in range(30):
        loss.value_and_gradient([np.zeros(2, np.float32)], allowance)
    with pytest.raises(ValueError, match="more than 30 seconds"):
        loss.value_and_gradient([np.zeros(2, np.float32)], allowance)
