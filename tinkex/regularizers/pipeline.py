"""A loss with regularizers: total = base loss + Σ weight × value."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import field, frozen

from tinkex._base.clock import Clock, SystemClock
from tinkex.errors import ValidationError
from tinkex.losses.loss_function import Backend, LossFunction
from tinkex.losses.outputs import BaseLossOutput, CustomLossOutput, RegularizerOutput
from tinkex.regularizers.base import ArrayLike, FloatArray
from tinkex.regularizers.events import Observer, observed
from tinkex.regularizers.pool import in_parallel
from tinkex.regularizers.spec import RegularizerSpec, Term, differentiated, undifferentiated

log = logging.getLogger("tinkex.regularizers")


def _specs(value: Any) -> tuple[RegularizerSpec, ...]:
    if isinstance(value, RegularizerSpec) or not isinstance(value, Iterable):
        raise ValidationError("must be a list of RegularizerSpec", path="regularizers")
    specs = tuple(value)
    for i, spec in enumerate(specs):
        if not isinstance(spec, RegularizerSpec):
            raise ValidationError(
                f"must be a RegularizerSpec, not a {type(spec).__name__}", path=f"regularizers[{i}]"
            )
    names = [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValidationError(f"duplicate names: {twice}", path="regularizers")
    return specs


@frozen
class Pipeline:
    """A loss with regularizers, evaluated term by term.

    >>> pipeline = Pipeline([RegularizerSpec(L1(), weight=0.1)])
    >>> output = pipeline.compute([], [-1.0, -3.0], lambda data, logprobs: -logprobs.mean())
    >>> output.loss_total
    2.4

    Attributes:
        regularizers: Specs with distinct names.
        parallel: Whether to evaluate them in threads. The result is the same.
        timeout: Seconds for all of them together if parallel; None for no limit.
        max_workers: Number of threads; None uses the number of processors.
        observer: Called when an evaluation starts and ends; see `Observer`.
        clock: Measures durations.
    """

    regularizers: tuple[RegularizerSpec, ...] = field(converter=_specs, default=())
    parallel: bool = field(default=True, kw_only=True)
    timeout: float | None = field(default=30.0, kw_only=True)
    max_workers: int | None = field(default=None, kw_only=True)
    observer: Observer | None = field(default=None, kw_only=True, eq=False)
    clock: Clock = field(factory=SystemClock, kw_only=True, eq=False, repr=False)

    @timeout.validator
    def _check_timeout(self, _: Any, value: Any) -> None:
        if value is not None and not value > 0:
            raise ValidationError(f"must be above 0 seconds, not {value!r}", path="timeout")

    @max_workers.validator
    def _check_max_workers(self, _: Any, value: Any) -> None:
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValidationError(f"must be at least 1, not {value!r}", path="max_workers")

    def compute(
        self,
        data: Sequence[Any],
        logprobs: ArrayLike,
        base_loss_fn: LossFunction,
        *,
        track_grad_norms: bool = False,
        backend: Backend | None = None,
    ) -> CustomLossOutput:
        """Evaluate the loss and every regularizer.

        Args:
            data: Passed to all functions unchanged.
            logprobs: An array, or a list of one per datum; passed on in the same form.
            base_loss_fn: A function of (data, logprobs), as in `forward_backward_custom`.
            track_grad_norms: Also compute the norm of each gradient and of their weighted sum. The norm of
                a regularizer without a gradient is 0, with a warning in the log; that of the base loss
                is None.
            backend: The source of the gradients of plain functions.

        Raises:
            ValidationError: A function did not return a scalar, or its result is invalid.
            RegularizerTimeoutError: The regularizers took longer than `timeout`.
        """
        find = _norms_only if track_grad_norms else _values_only
        output, _ = self._run(data, logprobs, base_loss_fn, backend, find)
        return output

    def compute_with_gradients(
        self,
        data: Sequence[Any],
        logprobs: ArrayLike,
        base_loss_fn: LossFunction,
        *,
        backend: Backend | None = None,
    ) -> tuple[CustomLossOutput, list[FloatArray]]:
        """Evaluate the loss and the gradient of the total, one array per datum.

        Takes the arguments of `compute`. A function without a gradient is an error.
        """
        output, gradients = self._run(data, logprobs, base_loss_fn, backend, _exact)
        assert gradients is not None  # noqa: S101 - `_exact` raises if there is none
        return output, gradients

    def _run(
        self,
        data: Sequence[Any],
        logprobs: ArrayLike,
        base_loss_fn: LossFunction,
        backend: Backend | None,
        find: _Find,
    ) -> tuple[CustomLossOutput, list[FloatArray] | None]:
        if not callable(base_loss_fn):
            raise ValidationError("must be a function of (data, logprobs)", path="base_loss_fn")
        tracked = find is not _values_only
        facts = {"regularizer_count": len(self.regularizers), "track_grad_norms": tracked}
        with observed(self.observer, "custom_loss", self.clock, facts) as measured:
            base = find(
                lambda: differentiated(base_loss_fn, data, logprobs, backend),
                lambda: undifferentiated(base_loss_fn, data, logprobs, None),
                "the base loss",
            )
            tasks = [self._task(spec, data, logprobs, backend, find) for spec in self.regularizers]
            if self.parallel and len(tasks) > 1:
                names = [spec.name for spec in self.regularizers]
                terms = in_parallel(
                    tasks, names, self.max_workers or os.cpu_count() or 1, self.timeout
                )
            else:
                terms = [task() for task in tasks]
            output, gradients = _total(base, self.regularizers, terms, tracked=tracked)
            measured["loss_total"] = output.loss_total
            measured["regularizer_total"] = output.regularizer_total
        return output, gradients

    def _task(
        self,
        spec: RegularizerSpec,
        data: Sequence[Any],
        logprobs: ArrayLike,
        backend: Backend | None,
        find: _Find,
    ) -> Callable[[], Term]:
        facts = {"regularizer_name": spec.name, "weight": spec.weight}

        def compute(*, with_gradient: bool) -> Term:
            return spec.evaluate(
                data, logprobs, with_gradient=with_gradient, backend=backend, timeout=self.timeout
            )

        def task() -> Term:
            with observed(self.observer, "regularizer.compute", self.clock, facts) as measured:
                try:
                    term = find(
                        lambda: compute(with_gradient=True),
                        lambda: compute(with_gradient=False),
                        f"regularizer {spec.name!r}",
                    )
                except Exception as error:
                    error.add_note(f"in regularizer {spec.name!r}")
                    raise
                measured["value"] = term.value
                measured["contribution"] = spec.weight * term.value
                measured["grad_norm"] = _norm(term.gradients)
            return term

        return task


_Find = Callable[[Callable[[], Term], Callable[[], Term], str], Term]


def _exact(slope: Callable[[], Term], _: Callable[[], Term], __: str) -> Term:
    return slope()


def _values_only(_: Callable[[], Term], value: Callable[[], Term], __: str) -> Term:
    return value()


def _norms_only(slope: Callable[[], Term], value: Callable[[], Term], what: str) -> Term:
    try:
        return slope()
    except Exception as error:  # noqa: BLE001 - a norm is informative only; the value still counts
        term = value()  # errors of the value itself are raised here
        log.warning("%s has no gradient: %s", what, error)
        return term


def _total(
    base: Term, specs: Sequence[RegularizerSpec], terms: Sequence[Term], *, tracked: bool
) -> tuple[CustomLossOutput, list[FloatArray] | None]:
    outputs = {
        spec.name: RegularizerOutput(
            spec.name,
            term.value,
            float(spec.weight),
            (_norm(term.gradients) or 0.0) if tracked else None,
            term.metrics,
        )
        for spec, term in zip(specs, terms, strict=True)
    }
    gradients = _sum(base, specs, terms)
    norm = _norm(gradients)
    if tracked and norm is None and specs:
        log.warning("the total gradient is unknown, because one of its terms has none")
        norm = 0.0
    output = CustomLossOutput(
        loss_total=base.value + sum(term.contribution for term in outputs.values()),
        base_loss=BaseLossOutput(base.value, _norm(base.gradients), base.metrics),
        regularizers=outputs,
        total_grad_norm=norm,
    )
    return output, gradients


def _sum(
    base: Term, specs: Sequence[RegularizerSpec], terms: Sequence[Term]
) -> list[FloatArray] | None:
    if base.gradients is None:
        return None
    total = [gradient.copy() for gradient in base.gradients]
    for spec, term in zip(specs, terms, strict=True):
        if term.gradients is None:
            return None
        for i, gradient in enumerate(term.gradients):
            total[i] += spec.weight * gradient
    return total


def _norm(gradients: Sequence[FloatArray] | None) -> float | None:
    if gradients is None:
        return None
    return float(np.sqrt(sum(float((gradient**2).sum()) for gradient in gradients)))


def gradient_norm(
    fn: Any, logprobs: ArrayLike, data: Sequence[Any] = (), backend: Backend | None = None
) -> float:
    """Return ‖∇f‖₂ of a loss function or regularizer; array values are summed.

    >>> from autograd import numpy as np
    >>> round(gradient_norm(lambda data, logprobs: np.sum(logprobs), [-1.0] * 10), 4)
    3.1623

    A function that cannot be differentiated has norm 0, with a warning in the log.
    """
    if hasattr(fn, "gradient"):
        found = fn.gradient(logprobs, data)
        pieces = found if isinstance(found, list) else [found]
        return _norm([np.asarray(piece) for piece in pieces]) or 0.0

    def summed(data: Any, logprobs: Any) -> Any:
        result = fn(data, logprobs)
        loss = result[0] if isinstance(result, tuple) else result
        return (loss.sum() if hasattr(loss, "sum") else loss), {}

    try:
        return _norm(differentiated(summed, data, logprobs, backend).gradients) or 0.0
    except Exception as error:  # noqa: BLE001 - a norm is informative only
        log.warning("no gradient: %s", error)
        return 0.0


def metrics_of(output: CustomLossOutput) -> Mapping[str, float]:
    """Return the results of a loss with regularizers as flat metrics."""
    assert output.base_loss is not None  # noqa: S101 - a pipeline always has one
    return {
        "base_loss:sum": output.base_loss.value,
        "regularizer_total:sum": output.regularizer_total,
        **{f"regularizer/{name}:sum": term.value for name, term in output.regularizers.items()},
    }
