"""The losses: each gives a value and a gradient per token.

Every loss is a plain sum over tokens and examples, to be minimised. For position i let l be the
logprob of the target under the weights being trained, q the `logprobs` input (what the sampler
recorded), A the advantage, and r = exp(l - q). What the backward pass needs of a loss is its
gradient with respect to l; the rest is the same for all of them.

    cross_entropy        -w·l                              gradient -w
    importance_sampling  -r·A                                       -r·A
    ppo                  -min(r·A, clip(r)·A)                       -r·A, or 0 where clipped
    cispo                -sg(clip(r))·A·l                           -clip(r)·A
    dro                  -(A·l - beta/2·(l - q)²)                   -A + beta·(l - q)
    gspo                 as ppo, with s = exp(mean over the masked positions of l - q) for r
    stable_reinforce     -sg(min(r, 1))·A·l + kl_coeff/2·(l - q)²   -min(r, 1)·A + kl_coeff·(l - q)
                         over the sampled positions

sg is stop-gradient; gspo's per-token ratio is sg(s)·exp(l - sg(l)) (Zheng et al. 2025, GSPO-token).
Sums and exponentials run in float64: a sequence's worth of numbers costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from attrs import field, frozen

from tinkex.local.engine.arena import Array
from tinkex.local.engine.errors import EngineError

Inputs = Mapping[str, Array]


@frozen(eq=False)
class TokenLoss:
    """A loss on one example, per token (shape of the targets)."""

    value: Array
    gradient: Array
    ratio: Array | None = None
    clipped: Array | None = None
    active: Array | None = None
    """Tokens that the loss depends on."""


@frozen
class LossKind:
    """What a loss takes: tensors beside `target_tokens`, and configuration with defaults."""

    name: str
    compute: Callable[[Array, Inputs, Mapping[str, float]], TokenLoss]
    tensors: tuple[str, ...]
    optional: tuple[str, ...] = ()
    defaults: Mapping[str, float] = field(factory=dict)
    multi_target: bool = False
    """Whether targets may be [N, K]."""


def _cross_entropy(logprobs: Array, inputs: Inputs, config: Mapping[str, float]) -> TokenLoss:
    del config
    given = inputs.get("weights")
    weights = np.ones(logprobs.shape) if given is None else np.asarray(given, np.float64)
    active = weights != 0
    # A zero weight wins over an infinite logprob, which a product would turn into NaN.
    return TokenLoss(
        np.where(active, -weights * np.where(active, logprobs, 0.0), 0.0), -weights, active=active
    )


def _log_ratio(logprobs: Array, inputs: Inputs) -> tuple[Array, Array, Array]:
    """Return the advantages, where they are not zero, and l - q there (0 elsewhere)."""
    advantages = np.asarray(inputs["advantages"], np.float64)
    active = advantages != 0
    return advantages, active, np.where(active, logprobs - inputs["logprobs"], 0.0)


def _exp(log_ratio: Array) -> Array:
    with np.errstate(over="ignore"):  # refused by name where it reaches the loss
        ratio: Array = np.exp(log_ratio)
    return ratio


def _importance_sampling(logprobs: Array, inputs: Inputs, config: Mapping[str, float]) -> TokenLoss:
    del config
    advantages, active, log_ratio = _log_ratio(logprobs, inputs)
    ratio = _exp(log_ratio)
    value = -ratio * advantages
    return TokenLoss(value, value, ratio, active=active)


def _clip(ratio: Array, config: Mapping[str, float]) -> Array:
    return np.clip(ratio, config["clip_low_threshold"], config["clip_high_threshold"])


def _pessimistic(
    ratio: Array, advantages: Array, active: Array, config: Mapping[str, float]
) -> TokenLoss:
    """Clipped surrogate of PPO (Schulman et al. 2017); a tie counts as not clipped."""
    free, bound = ratio * advantages, _clip(ratio, config) * advantages
    clipped = bound < free
    value = np.where(clipped, -bound, -free)
    return TokenLoss(value, np.where(clipped, 0.0, -free), ratio, clipped, active)


def _ppo(logprobs: Array, inputs: Inputs, config: Mapping[str, float]) -> TokenLoss:
    advantages, active, log_ratio = _log_ratio(logprobs, inputs)
    return _pessimistic(_exp(log_ratio), advantages, active, config)


def _cispo(logprobs: Array, inputs: Inputs, config: Mapping[str, float]) -> TokenLoss:
    """Clip the importance weight, never the gradient (MiniMax-M1, 2025)."""
    advantages, active, log_ratio = _log_ratio(logprobs, inputs)
    ratio = _exp(log_ratio)
    weight = _clip(ratio, config)
    gradient = -weight * advantages
    value = gradient * np.where(active, logprobs, 0.0)
    return TokenLoss(value, gradient, ratio, (weight != ratio) & active, active)


def _dro(logprobs: Array, inputs: Inputs, config: Mapping[str, float]) -> TokenLoss:
    """Direct reward optimisation (Richemond et al. 2024).

    The quadratic term holds every position, also those of zero advantage.
    """
    advantages = np.asarray(inputs["advantages"], np.float64)
    gap = logprobs - np.asarray(inputs["logprobs"], np.float64)
    beta = config["beta"]
    value = -(advantages * logprobs - 0.5 * beta * gap**2)
    return TokenLoss(
        value, -advantages + beta * gap, _exp(gap), active=np.ones(logprobs.shape, bool)
    )


def _gspo(logprobs: Array, inputs: Inputs, config: Mapping[str, float]) -> TokenLoss:
    advantages, active, _ = _log_ratio(logprobs, inputs)
    mask = inputs["sequence_ratio_mask"] != 0
    gap = np.where(mask, logprobs - inputs["logprobs"], 0.0)
    mean = gap.sum() / max(1, int(mask.sum()))
    return _pessimistic(np.where(active, _exp(mean), 1.0), advantages, active, config)


def _stable_reinforce(logprobs: Array, inputs: Inputs, config: Mapping[str, float]) -> TokenLoss:
    """REINFORCE with truncated importance weights and a penalty on the distance to the sampler.

    The hosted service does not publish its formula; this is the engine's own. Importance weights
    truncated at 1 (Espeholt et al. 2018, V-trace, arXiv:1802.01561) leave on-policy data as they are,
    weigh down tokens that the weights have moved away from, and bound each token's gradient by its
    advantage, however far the sampler's policy lies behind. The penalty is the estimator of the KL
    divergence whose gradient on-policy is the true one (Schulman 2020, "Approximating KL
    Divergence", k2).
    """
    sampled = inputs["sampled_mask"] != 0
    advantages = np.where(sampled, inputs["advantages"], 0.0)
    gap = np.where(sampled, logprobs - inputs["logprobs"], 0.0)
    ratio = _exp(gap)
    penalty = config["kl_coeff"]
    weighted = np.minimum(ratio, 1.0) * advantages
    return TokenLoss(
        -weighted * np.where(sampled, logprobs, 0.0) + 0.5 * penalty * gap**2,
        -weighted + penalty * gap,
        ratio,
        (gap > 0) & (advantages != 0),
        sampled,
    )


_RL_TENSORS = ("logprobs", "advantages")
_CLIP = {"clip_low_threshold": 0.8, "clip_high_threshold": 1.2}

# Defaults: ppo's are the service's documented ones. cispo's 0.0 / 4.0 are those of the service's
# current tutorial (SkyRL still uses 0.8 / 1.2). The service documents no default for dro's beta
# (its example passes 0.05), for gspo's thresholds nor for stable_reinforce's kl_coeff (its example
# passes 0.01): 0.05, ppo's and 0 are this engine's choice.
_KINDS = (
    LossKind("cross_entropy", _cross_entropy, (), ("weights",), multi_target=True),
    LossKind("importance_sampling", _importance_sampling, _RL_TENSORS, multi_target=True),
    LossKind("ppo", _ppo, _RL_TENSORS, defaults=_CLIP),
    LossKind(
        "cispo",
        _cispo,
        _RL_TENSORS,
        defaults={"clip_low_threshold": 0.0, "clip_high_threshold": 4.0},
    ),
    LossKind("dro", _dro, _RL_TENSORS, defaults={"beta": 0.05}),
    LossKind("gspo", _gspo, (*_RL_TENSORS, "sequence_ratio_mask"), defaults=_CLIP),
    LossKind(
        "stable_reinforce",
        _stable_reinforce,
        (*_RL_TENSORS, "sampled_mask"),
        defaults={"kl_coeff": 0.0},
    ),
)

LOSSES: dict[str, LossKind] = {kind.name: kind for kind in _KINDS}
"""The losses by name."""


@frozen
class Loss:
    """A loss with its configuration; `Loss.resolve` checks both."""

    kind: LossKind
    config: Mapping[str, float]

    @classmethod
    def resolve(cls, name: str, config: Mapping[str, Any] | None) -> Loss:
        """Return the loss called `name`.

        Raises:
            EngineError: for an unknown name, an unknown key or a value that makes no sense.

        """
        kind = LOSSES.get(name)
        if kind is None:
            raise EngineError(f"loss_fn {name!r} is unknown (known: {', '.join(LOSSES)})")
        values = dict(kind.defaults)
        for key, value in (config or {}).items():
            if key not in values:
                allowed = ", ".join(values) or "none"
                raise EngineError(
                    f"loss_fn_config[{key!r}] is unknown to {name} (allowed: {allowed})"
                )
            values[key] = _finite(key, value)
        low, high = values.get("clip_low_threshold", 0.0), values.get("clip_high_threshold", 0.0)
        if not 0.0 <= low <= high:
            raise EngineError(
                f"loss_fn_config: clip_low_threshold is {low} and clip_high_threshold {high}; "
                "expected 0 <= low <= high (bounds of the ratio itself)"
            )
        for key in ("beta", "kl_coeff"):
            if values.get(key, 0.0) < 0:
                raise EngineError(f"loss_fn_config[{key!r}] is {values[key]}, expected at least 0")
        return cls(kind, values)

    def __call__(self, logprobs: Array, inputs: Inputs, where: str) -> TokenLoss:
        """Return the loss of one example from the logprobs of its targets.

        Raises:
            EngineError: where value or gradient is not finite, naming the example `where`.

        """
        with np.errstate(over="ignore", invalid="ignore"):
            result = self.kind.compute(logprobs.astype(np.float64), inputs, self.config)
        if not (np.isfinite(result.value).all() and np.isfinite(result.gradient).all()):
            raise EngineError(
                f"{where}: the {self.kind.name} loss is not finite "
                "(logprobs too far from the model's own, or values too large)"
            )
        return result


def _finite(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise EngineError(f"loss_fn_config[{key!r}] is {value!r}, expected a finite number")
    return float(value)


def loss_metrics(results: list[TokenLoss]) -> dict[str, float]:
    """Fold token losses into metrics whose names say how chunks of a call combine them.

    `loss:sum`; `tokens:sum`, the tokens the loss depends on; for losses with a ratio its
    extremes over those tokens (1 where there are none) and, where the loss clips, how many it
    clipped.
    """
    metrics = {
        "loss:sum": math.fsum(float(result.value.sum()) for result in results),
        "tokens:sum": float(sum(int(r.active.sum()) for r in results if r.active is not None)),
    }
    ratios = [
        result.ratio[result.active]
        for result in results
        if result.ratio is not None and result.active is not None
    ]
    if ratios:
        flat = np.concatenate(ratios)
        metrics["ratio:min"] = float(flat.min()) if flat.size else 1.0
        metrics["ratio:max"] = float(flat.max()) if flat.size else 1.0
    clipped = [int(result.clipped.sum()) for result in results if result.clipped is not None]
    if clipped:
        metrics["clipped:sum"] = float(sum(clipped))
    return metrics
