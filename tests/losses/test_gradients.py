"""Gradients of users' losses, from each backend."""

from __future__ import annotations

import numpy as np
import pytest
from autograd import numpy as anp

from tinkex.errors import ValidationError
from tinkex.losses import detect_backend, evaluate
from tinkex.regularizers import L2, Consistency, Entropy

LOGPROBS = [np.array([-1.0, -2.0]), np.array([[-0.5], [-3.0], [-0.25]])]


def squares(data, logprobs):
    loss = sum((lp**2).sum() for lp in logprobs)
    return loss, {"squares": loss}


def explicit_squares(data, logprobs):
    loss, metrics = squares(data, logprobs)
    return loss, metrics, [2 * lp for lp in logprobs]


def torch_squares(data, logprobs):
    import torch

    loss = sum(torch.square(lp).sum() for lp in logprobs)
    return loss, {"squares": loss.detach()}


def jax_squares(data, logprobs):
    import jax.numpy as jnp

    loss = sum(jnp.square(lp).sum() for lp in logprobs)
    return loss, {"squares": loss}


def backends():
    return [
        pytest.param("explicit", explicit_squares, id="explicit"),
        pytest.param("autograd", squares, id="autograd"),
        pytest.param("torch", torch_squares, id="torch"),
        pytest.param("jax", jax_squares, id="jax"),
    ]


def need(backend):
    if backend in ("torch", "jax"):
        pytest.importorskip(backend)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(("backend", "fn"), backends())
def test_each_backend_gives_the_same(backend, fn, named) -> None:
    """Loss, metrics and gradients agree, whether the backend is named or found."""
    need(backend)
    found = evaluate(fn, [], LOGPROBS, backend if named else None)
    assert found.loss == pytest.approx(14.3125)
    assert found.metrics == {"squares": pytest.approx(14.3125)}
    for gradient, logprobs in zip(found.gradients, LOGPROBS, strict=True):
        assert gradient.dtype == np.float64
        np.testing.assert_allclose(gradient, 2 * logprobs, rtol=1e-6)


@pytest.mark.parametrize("backend", ["autograd", "torch", "jax"])
def test_a_loss_that_ignores_a_datum_is_refused(backend) -> None:
    """The error names the datum; a gradient that happens to be zero is none of that."""
    need(backend)
    with pytest.raises(ValidationError, match=r"data\[1\]: the loss ignores"):
        evaluate(lambda data, lps: (lps[0].sum(), {}), [], LOGPROBS, backend)
    found = evaluate(lambda data, lps: (lps[0].sum() + 0 * lps[1].sum(), {}), [], LOGPROBS, backend)
    assert (found.gradients[1] == 0).all()


@pytest.mark.parametrize("backend", [None, "autograd", "torch", "jax"])
def test_a_loss_that_ignores_everything_is_refused(backend) -> None:
    """A constant has no gradient."""
    need(backend)
    with pytest.raises(ValidationError, match=r"loss ignores|does not depend"):
        evaluate(lambda data, lps: (3.0, {}), [], LOGPROBS, backend)


def test_with_its_own_gradients_a_loss_may_ignore_what_it_likes() -> None:
    """Explicit zeros are taken as they are."""
    zeros = [np.zeros_like(lp) for lp in LOGPROBS]
    assert not np.concatenate(
        [g.reshape(-1) for g in evaluate(lambda d, lps: (1.0, {}, zeros), [], LOGPROBS).gradients]
    ).any()


@pytest.mark.parametrize("backend", [None, "autograd", "torch", "jax"])
def test_a_loss_that_is_no_scalar_is_refused(backend) -> None:
    """One number for each token is no loss."""
    need(backend)
    with pytest.raises(ValidationError, match=r"loss of shape \(2,\)"):
        evaluate(lambda data, lps: (-lps[0], {}), [], LOGPROBS[:1], backend)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda lps: (1.0, {}, [np.zeros(2)]), "returned 1 gradients for 2 data"),
        (lambda lps: (1.0, {}, [lps[0], lps[1].T]), r"data\[1\]: the gradient has shape \(1, 3\)"),
        (lambda lps: (1.0, {}, [lps[0], None]), r"data\[1\]: the loss ignores"),
        (lambda lps: (1.0, {}, [lps[0] * np.nan, lps[1]]), r"data\[0\]: .* at \[0\] is nan"),
        (lambda lps: (1.0, {}, [lps[0], lps[1] * 1e39]), r"data\[1\]: .* at \[0, 0\] is -5e"),
        (lambda lps: (1.0, {}, 5), "a list of gradients"),
        (lambda lps: (float("nan"), {}, lps), "returned nan"),
        (lambda lps: ("one", {}, lps), "returned a str"),
        (lambda lps: (1.0, {}, lps, 4), "returned 4 values"),
        (lambda lps: (1.0, [1.0], lps), "metrics of type list"),
        (lambda lps: (1.0, {"a": "b"}, lps), r"metrics\['a'\]: is not a number"),
    ],
)
def test_what_a_function_may_not_return(result, message) -> None:
    """Each mistake has an error that names it and the datum."""
    with pytest.raises(ValidationError, match=message):
        evaluate(lambda data, lps: result(lps), [], LOGPROBS)


def test_numpy_code_without_autograd_is_told_what_to_import() -> None:
    """The error itself has the import line, and says that metrics need no float()."""
    with pytest.raises(
        ValidationError, match=r"(?s)import autograd\.numpy as np.*without float\(\)"
    ):
        evaluate(lambda data, lps: (lps[0].sum(), {"sum": float(lps[0].sum())}), [], LOGPROBS[:1])


def test_an_error_inside_the_function_comes_out_as_it_is() -> None:
    """A user's own bug keeps its type, with a hint at the backends."""
    with pytest.raises(AttributeError) as caught:
        evaluate(lambda data, lps: lps[0].requires_grad_(), [], LOGPROBS)
    assert "backend='torch'" in caught.value.__notes__[0]


def test_backends_are_found_in_code_closures_annotations_and_callees() -> None:
    """A function that leads to torch or jax in any of these ways is theirs."""

    def annotated(data, logprobs: "list[torch.Tensor]"):  # noqa: F821, UP037
        return -logprobs[0].sum(), {}

    def callee(data, logprobs):
        return torch_squares(data, logprobs)

    class Callable:
        def __call__(self, data, logprobs):
            return jax_squares(data, logprobs)

    assert detect_backend(torch_squares) == "torch"
    assert detect_backend(annotated) == "torch"
    assert detect_backend(callee) == "torch"
    assert detect_backend(lambda d, lps: callee(d, lps)) == "torch"
    assert detect_backend(Callable()) == "jax"
    assert detect_backend(squares) is None
    assert detect_backend(lambda d, lps: (anp.exp(lps[0]).sum(), {})) is None


@pytest.mark.parametrize("backend", ["autograd", "torch", "jax"])
def test_regularizers_work_inside_a_loss(backend) -> None:
    """Inside a function that is differentiated, their analytic gradients are used."""
    need(backend)
    l2, entropy = L2(center="mean"), Entropy(mode="maximize")
    assert isinstance(Consistency(), Consistency)

    def loss(data, logprobs):
        return -logprobs[0].sum() + 0.5 * l2.value(logprobs) + entropy.value(logprobs[0]), {}

    logprobs = LOGPROBS[:1]
    found = evaluate(loss, [], logprobs, backend)
    expected = -1 + 0.5 * l2.gradient(logprobs)[0] + entropy.gradient(logprobs[0])
    np.testing.assert_allclose(found.gradients[0], expected, rtol=1e-5)
    value = 3 + 0.5 * l2.value(logprobs) + entropy.value(logprobs[0])
    assert found.loss == pytest.approx(value, rel=1e-6)
