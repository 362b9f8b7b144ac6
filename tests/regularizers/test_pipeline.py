"""Specs, the pipeline, its threads and its events."""

from __future__ import annotations

import concurrent.futures
import json
import logging
import threading

import numpy as np
import pytest
from regularizers.golden import DATUM, LOGPROBS, SPECS, base_loss

from tinkex.errors import RegularizerTimeoutError, ValidationError
from tinkex.losses import CustomLossOutput, RegularizerOutput
from tinkex.regularizers import L1, Pipeline, Regularizer, RegularizerSpec, log_events


def run(*specs, **options):
    tracked = options.pop("track_grad_norms", False)
    pipeline = Pipeline(specs, **options)
    return pipeline.compute([DATUM], LOGPROBS, base_loss, track_grad_norms=tracked)


def test_parallel_and_sequential_give_the_same() -> None:
    """Threads change the time alone."""
    one = run(*SPECS, parallel=True, track_grad_norms=True)
    assert one == run(*SPECS, parallel=False, track_grad_norms=True)
    assert list(one.regularizers) == [spec.name for spec in SPECS]


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"fn": 3, "weight": 1.0, "name": "n"}, "fn"),
        ({"fn": L1, "weight": 1.0, "name": "n"}, "fn"),
        ({"fn": L1(), "weight": -0.1, "name": "n"}, "weight"),
        ({"fn": L1(), "weight": True, "name": "n"}, "weight"),
        ({"fn": L1(), "weight": 1.0, "name": 7}, "name"),
    ],
)
def test_a_spec_checks_itself(arguments, path) -> None:
    """A class, a negative weight or a name that is none is refused when the spec is made."""
    with pytest.raises(ValidationError) as caught:
        RegularizerSpec(**arguments)
    assert caught.value.path == path


def test_a_spec_takes_the_name_of_what_it_holds() -> None:
    """The regularizer's name, or the function's; zero is a weight."""
    assert RegularizerSpec(L1(), 0).name == "l1_sparsity"
    assert RegularizerSpec(base_loss).name == "base_loss"


def test_duplicate_names_are_refused() -> None:
    """The error lists the repeated names."""
    with pytest.raises(ValidationError, match=r"duplicate names: \['dup'\]"):
        Pipeline([RegularizerSpec(L1(), 1.0, "dup"), RegularizerSpec(L1(), 2.0, "dup")])


def test_what_is_no_spec_and_no_loss_is_refused() -> None:
    """Entries must be specs, the base loss a function, and limits above zero."""
    with pytest.raises(ValidationError, match=r"regularizers\[0\]: must be a RegularizerSpec"):
        Pipeline([L1()])
    with pytest.raises(ValidationError, match="base_loss_fn"):
        Pipeline().compute([], LOGPROBS, 3.0)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="timeout"):
        Pipeline(timeout=0)
    with pytest.raises(ValidationError, match="max_workers"):
        Pipeline(max_workers=0)


class WithGradient:
    name = "own"

    def value(self, logprobs, data):
        return 3 * logprobs.sum()

    def gradient(self, logprobs, data):
        return np.full_like(logprobs, 3.0)

    def metrics(self, logprobs, data):
        return {"count": logprobs.size}


class WithoutGradient:
    name = "own"

    def value(self, logprobs, data):
        return 3 * logprobs.sum()


class Subclass(Regularizer):
    name = "own"

    def _terms(self, x, _):
        return 3 * x

    def _slope(self, x, _):
        return np.full_like(x, 3.0)


@pytest.mark.parametrize(
    "fn",
    [
        WithGradient(),
        WithoutGradient(),
        Subclass(),
        lambda data, lps: 3 * lps.sum(),
        lambda data, lps: (3 * lps.sum(), {"a": 1.0}),
        lambda data, lps: (3 * lps.sum(), {}, np.full(10, 3.0)),
    ],
    ids=["object", "object without gradient", "subclass", "number", "metrics", "gradients"],
)
def test_regularizers_of_ones_own(fn) -> None:
    """Objects, subclasses and functions, with or without their own gradient, are the same term."""
    output = run(RegularizerSpec(fn, 0.5, "own"), track_grad_norms=True)
    term = output.regularizers["own"]
    assert term.value == pytest.approx(-32.4)
    assert term.grad_norm == pytest.approx(3 * 10**0.5)
    assert output.loss_total == pytest.approx(1.08 - 16.2)
    assert output.total_grad_norm == pytest.approx(1.4 * 10**0.5)


def test_a_future_is_waited_for() -> None:
    """A function may hand back a concurrent future of its result; it has no gradient to track."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:

        def later(data, logprobs):
            return pool.submit(lambda: (float(np.abs(logprobs).mean()), {}))

        output = run(RegularizerSpec(later, 0.02, "later"))
    assert output.loss_total == pytest.approx(1.1016)
    assert output.regularizers["later"].contribution == pytest.approx(0.0216)


def test_what_has_no_gradient_counts_as_zero_when_norms_are_watched(caplog) -> None:
    """The value stands, the norms are 0, and the log says why; for training it is an error."""
    spec = RegularizerSpec(lambda data, lps: 2.0, 1.0, "flat")
    output = run(spec, track_grad_norms=True)
    assert output.loss_total == pytest.approx(3.08)
    assert output.regularizers["flat"].grad_norm == 0.0
    assert output.total_grad_norm == 0.0
    assert "regularizer 'flat' has no gradient" in caplog.text
    with pytest.raises(ValidationError, match="ignores"):
        Pipeline([spec]).compute_with_gradients([DATUM], LOGPROBS, base_loss)


def test_norms_without_regularizers_are_those_of_the_base_loss() -> None:
    """Tracking alone gives the base's norm as the total; no tracking gives none."""
    output = run(track_grad_norms=True)
    assert output.base_loss is not None
    assert output.total_grad_norm == output.base_loss.grad_norm == pytest.approx(10**-0.5)
    assert run().total_grad_norm is None
    flat = Pipeline().compute([], LOGPROBS, lambda d, lps: 1.0, track_grad_norms=True)
    assert flat.base_loss is not None
    assert flat.base_loss.grad_norm is None


def test_a_slow_regularizer_is_not_waited_for_beyond_the_limit() -> None:
    """The error names it; what else runs does not keep the program from ending."""
    release = threading.Event()

    def slow(data, logprobs):
        release.wait()
        return 1.0

    with pytest.raises(RegularizerTimeoutError, match=r"regularizer 'slow'.*0\.05 s") as caught:
        run(RegularizerSpec(L1()), RegularizerSpec(slow), timeout=0.05)
    release.set()
    assert isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("parallel", [True, False])
def test_the_first_failure_in_order_comes_out_with_its_name(parallel) -> None:
    """A regularizer's own error keeps its type; a note says which one it was."""

    def fails(data, logprobs):
        raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        run(RegularizerSpec(L1()), RegularizerSpec(fails), parallel=parallel, max_workers=1)
    assert "in regularizer 'fails'" in caught.value.__notes__


def test_an_observer_hears_of_everything() -> None:
    """Start and stop of the loss and of each regularizer, with their numbers."""
    heard = []
    run(
        RegularizerSpec(L1(), 0.01),
        track_grad_norms=True,
        observer=lambda event, measured, facts: heard.append((event, measured, facts)),
    )
    assert [event for event, _, _ in heard] == [
        "custom_loss.start",
        "regularizer.compute.start",
        "regularizer.compute.stop",
        "custom_loss.stop",
    ]
    _, measured, facts = heard[2]
    assert facts == {"regularizer_name": "l1_sparsity", "weight": 0.01}
    assert measured["value"] == pytest.approx(10.8)
    assert measured["contribution"] == pytest.approx(0.108)
    assert measured["grad_norm"] == pytest.approx(10**0.5)
    assert heard[0][2] == {"regularizer_count": 1, "track_grad_norms": True}
    assert heard[3][1]["loss_total"] == pytest.approx(1.188)


def test_failures_are_events_and_a_failing_observer_is_none(caplog) -> None:
    """Both exception events are told; an observer that fails is logged and passed over."""
    heard = []

    def observe(event, measured, facts):
        heard.append(event)
        raise RuntimeError

    with pytest.raises(ZeroDivisionError):
        run(RegularizerSpec(lambda d, x: 1 / 0, 1.0, "bad"), observer=observe)
    assert heard[-2:] == ["regularizer.compute.exception", "custom_loss.exception"]
    assert "the observer of custom_loss.start failed" in caplog.text


def test_events_can_be_logged(caplog) -> None:
    """Numbers have four decimals."""
    caplog.set_level(logging.INFO, "tinkex.regularizers")
    run(RegularizerSpec(L1(), 0.01), observer=log_events())
    assert "regularizer.compute.stop l1_sparsity" in caplog.text
    assert "value=10.8000 contribution=0.1080" in caplog.text
    assert "loss_total=1.1880 regularizer_total=0.1080" in caplog.text


def test_outputs_have_a_stable_json_shape() -> None:
    """Keys are the same from run to run; norms are left out where they were not asked for."""
    plain = run(RegularizerSpec(L1(), 0.01)).to_dict()
    assert set(plain) == {"loss_total", "regularizer_total", "regularizers", "base_loss"}
    term = plain["regularizers"]["l1_sparsity"]
    keys = {"value", "weight", "contribution", "grad_norm", "grad_norm_weighted", "custom"}
    assert set(term) == keys
    assert term["grad_norm"] is None
    tracked = run(RegularizerSpec(L1(), 0.01), track_grad_norms=True)
    assert tracked.to_dict()["total_grad_norm"] == tracked.total_grad_norm
    assert json.loads(json.dumps(tracked.to_dict())) == tracked.to_dict()
    one = RegularizerOutput("n", 2.0, 0.5)
    assert one.to_dict() == {
        "name": "n", "value": 2.0, "weight": 0.5, "contribution": 1.0, "custom": {}
    }  # fmt: skip
    with_norm = RegularizerOutput("n", 2.0, 0.5, grad_norm=0.0).to_dict()
    assert (with_norm["grad_norm"], with_norm["grad_norm_weighted"]) == (0.0, 0.0)
    bare = CustomLossOutput(1.0)
    assert bare.to_dict() == {"loss_total": 1.0, "regularizer_total": 0.0, "regularizers": {}}
    assert bare.loss == 1.0
