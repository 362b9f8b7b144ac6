"""Show every part of a loss with regularizers, offline, on made-up log probabilities.

    python examples/structured_regularizers.py

Needs no key, no server and no network. The numbers are the same in every run (but for times).
"""

from __future__ import annotations

import concurrent.futures
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import connection  # noqa: F401 - it answers --help
import numpy as np

from tinkex import Datum, ModelInput, TinkexError
from tinkex.losses import CustomLossOutput
from tinkex.regularizers import (
    L1,
    L2,
    Consistency,
    ElasticNet,
    Entropy,
    GradientPenalty,
    KLDivergence,
    Orthogonality,
    Pipeline,
    Regularizer,
    RegularizerSpec,
    gradient_norm,
    log_events,
)

LOGPROBS = np.array([-0.5, -1.2, -0.8, -2.1, -0.3, -1.5, -0.9, -1.8, -0.6, -1.1], np.float32)
REFERENCE = np.log([0.22, 0.18, 0.12, 0.10, 0.08, 0.07, 0.06, 0.06, 0.06, 0.05])
PAIR = np.array([-0.45, -1.05, -0.75, -2.05, -0.25, -1.35, -0.85, -1.65, -0.55, -1.05])

SPECS = [
    RegularizerSpec(L1(), 0.01, "l1_sparsity"),
    RegularizerSpec(Entropy(mode="maximize"), 0.001, "entropy"),
    RegularizerSpec(Entropy(mode="maximize", temperature=0.5), 0.001, "entropy_sharp"),
    RegularizerSpec(L2(center="mean"), 0.005, "l2_weight_decay"),
    RegularizerSpec(ElasticNet(l1_ratio=0.6), 0.002, "elastic_net"),
    RegularizerSpec(KLDivergence(reference_field="reference_logprobs"), 0.01, "kl_forward"),
    RegularizerSpec(
        KLDivergence(reference_field="reference_logprobs", direction="reverse"), 0.01, "kl_reverse"
    ),
    RegularizerSpec(
        KLDivergence(reference_field="reference_logprobs", symmetric=True), 0.01, "kl_symmetric"
    ),
    RegularizerSpec(Consistency(pair_field="original_logprobs"), 0.02, "consistency"),
    RegularizerSpec(Orthogonality(), 0.003, "orthogonality"),
    RegularizerSpec(GradientPenalty(loss_fn=np.sum), 0.001, "gradient_penalty"),
]
DATA = [
    Datum(
        ModelInput.from_ints(range(10)),
        {"reference_logprobs": REFERENCE, "original_logprobs": PAIR},
    )
]


def base_loss(_data: Any, logprobs: Any) -> tuple[Any, dict[str, Any]]:
    """Return the mean negative log probability, and the perplexity."""
    loss = -logprobs.mean()
    return loss, {"perplexity": np.exp(loss)}


class Peak(Regularizer):
    """Penalize the largest log probability: a custom regularizer with value and gradient."""

    name = "peak"

    def _terms(self, x: Any, reference: Any) -> Any:
        return np.asarray(x.max())

    def _slope(self, x: Any, reference: Any) -> Any:
        return (x == x.max()) / (x == x.max()).sum()


def section(number: int, title: str) -> None:
    """Print a heading."""
    print(f"\n--- {number}. {title} ---")


def show_terms(output: CustomLossOutput) -> None:
    """Print one line for each regularizer, in the order of their names."""
    for name, term in sorted(output.regularizers.items()):
        norm = "" if term.grad_norm is None else f"  grad norm {term.grad_norm:.4f}"
        print(
            f"  {name:17} value {term.value:8.4f}  x {term.weight:<5} = {term.contribution:8.4f}{norm}"
        )


def show_inputs() -> None:
    """Sections 1 to 3: what goes in."""
    section(1, "Regularizer specs")
    for spec in SPECS:
        print(f"  {spec.name:17} weight {spec.weight:<5}  {type(spec.fn).__name__}")
    section(2, "Base loss")
    print("  the mean negative log probability of the targets")
    section(3, "Mock data")
    print(f"  {len(DATA)} datum, log probabilities {LOGPROBS.tolist()}")


def show_pipeline() -> None:
    """Sections 4 to 7: totals, norms, threads."""
    section(4, "Baseline, without regularizers")
    plain = Pipeline().compute(DATA, LOGPROBS, base_loss)
    assert plain.base_loss is not None
    print(f"  loss {plain.loss:.4f}, perplexity {plain.base_loss.custom['perplexity']:.4f}")

    section(5, "All regularizers, in parallel")
    output = Pipeline(SPECS).compute(DATA, LOGPROBS, base_loss)
    show_terms(output)
    print(f"  regularizer_total {output.regularizer_total:.4f}, loss_total {output.loss_total:.4f}")

    section(6, "Gradient norms")
    tracked = Pipeline(SPECS).compute(DATA, LOGPROBS, base_loss, track_grad_norms=True)
    assert tracked.base_loss is not None
    show_terms(tracked)
    print(
        f"  base {tracked.base_loss.grad_norm:.4f}, total {tracked.total_grad_norm:.4f} "
        "(of the weighted sum; every gradient is exact)"
    )

    section(7, "Parallel and sequential")
    for parallel in (True, False):
        started = time.perf_counter()
        same = Pipeline(SPECS, parallel=parallel).compute(DATA, LOGPROBS, base_loss)
        micros = (time.perf_counter() - started) * 1e6
        print(f"  parallel={parallel!s:5} {micros:7.0f} µs, equal: {same == output}")


def show_functions() -> None:
    """Sections 8 to 10: slow terms, one term, norms of plain functions."""
    section(8, "A regularizer that works elsewhere")
    with concurrent.futures.ThreadPoolExecutor(1) as elsewhere:

        def remote(_data: Any, logprobs: Any) -> concurrent.futures.Future[float]:
            return elsewhere.submit(lambda: float(np.abs(logprobs).mean()))

        pipeline = Pipeline([RegularizerSpec(remote, 0.02, "remote")], timeout=5)
        output = pipeline.compute(DATA, LOGPROBS, base_loss)
    contribution = output.regularizers["remote"].contribution
    print(f"  loss_total {output.loss_total:.4f}, contribution {contribution:.4f}")

    section(9, "One regularizer by itself, and all by hand")
    print(f"  L1().value: {L1().value(LOGPROBS):.4f}")
    print(f"  L1().gradient: {L1().gradient(LOGPROBS)}")
    by_hand = sum(spec.weight * float(spec.fn.value(LOGPROBS, DATA)) for spec in SPECS)
    print(f"  Σ weight × value: {by_hand:.4f}")

    section(10, "Gradient norms of functions")
    print(f"  of sum(x):  {gradient_norm(lambda _, x: x.sum(), LOGPROBS):.4f}")
    print(f"  of sum(x²): {gradient_norm(lambda _, x: (x**2).sum(), LOGPROBS):.4f}")


def show_events_and_outputs() -> None:
    """Sections 11 to 13: events and JSON."""
    section(11, "Events")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("  %(message)s"))
    log = logging.getLogger("tinkex.regularizers")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    observed = Pipeline([RegularizerSpec(L1(), 0.01)], observer=log_events())
    output = observed.compute(DATA, LOGPROBS, base_loss, track_grad_norms=True)
    log.removeHandler(handler)

    section(12, "CustomLossOutput as JSON")
    print(f"  {json.dumps(output.to_dict())[:500]}")
    section(13, "RegularizerOutput as JSON")
    print(f"  {json.dumps(output.regularizers['l1_sparsity'].to_dict())}")


def show_errors_and_own() -> None:
    """Sections 14 to 16: what is refused, a custom class, and real training."""
    section(14, "What is refused")
    attempts: list[Callable[[], object]] = [
        lambda: Pipeline([RegularizerSpec(L1(), 1.0, "dup"), RegularizerSpec(L2(), 1.0, "dup")]),
        lambda: Pipeline().compute(DATA, LOGPROBS, "no function"),  # type: ignore[arg-type]
        lambda: RegularizerSpec(L1(), -1.0),
    ]
    for attempt in attempts:
        try:
            attempt()
        except TinkexError as error:
            print(f"  {type(error).__name__}: {error}")

    section(15, "A custom class")
    specs = [RegularizerSpec(Peak(), 0.1), RegularizerSpec(L1(), 0.01, "module_l1")]
    show_terms(Pipeline(specs).compute(DATA, LOGPROBS, base_loss, track_grad_norms=True))

    section(16, "In training")
    print("  training.forward_backward_custom(data, base_loss, regularizers=SPECS)")
    print("  see structured_regularizers_live.py")


def main() -> None:
    """Show it all."""
    show_inputs()
    show_pipeline()
    show_functions()
    show_events_and_outputs()
    show_errors_and_own()
    print("\nDone: eight kinds of regularizers, eleven terms, one loss.")


if __name__ == "__main__":
    main()
