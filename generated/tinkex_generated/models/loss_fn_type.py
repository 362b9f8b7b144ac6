# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Name of the loss. N is the length of the datum's model_input; position i predicts token i+1,
and the caller does the shifting. Write p for the current model's log-probability of
`target_tokens[i]`, q for `logprobs[i]` (that of the sampling model), A for `advantages[i]`
and r for exp(p - q). sg[x] is x without gradient. All losses are sums over tokens and
datums,
never averages; the sum is metric `loss:sum`.

- `cross_entropy`: sum of -p*w. Inputs `target_tokens` int64 [N] or [N, K], `weights`
float32
  of the same shape.
- `importance_sampling`: -sum of r*A. Inputs `target_tokens` int64 [N] or [N, K], `logprobs`
  and `advantages` float32 of the same shape.
- `ppo`: -sum of min(r*A, clip(r)*A). Same inputs, [N]. Config `clip_low_threshold` (0.8)
and
  `clip_high_threshold` (1.2), the bounds of the ratio itself.
- `cispo`: -sum of sg[clip(r)]*p*A. Same inputs, same config names; the defaults differ
  between servers.
- `dro`: -sum of (p*A - beta*(p - q)^2/2). Same inputs. Config `beta`, whose default differs
  between servers.
- `gspo`: like `ppo` with one ratio per sequence, s = exp(mean of p - q where the mask is
not
  0), applied to token t as sg[s]*exp(p - sg[p]). Also takes `sequence_ratio_mask` float32
  [N]. Same config names as `ppo`.
- `stable_reinforce`: a policy gradient that takes q from what the server recorded while it
  sampled. Inputs `target_tokens` int64 [N], `advantages` float32 [N], and spans that name
the
  sampled sequences (`record_stability_info`). Config `kl_coeff`. The hosted service's
formula
  is not public; the local server documents its own.
- `custom`: a loss uploaded through create_custom_loss. Config `loss_id`.

A server need not have all of them: one it does not know is refused with 400 or 422, or
fails
the future."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
LossFnType: TypeAlias = Literal[
    "cispo",
    "cross_entropy",
    "custom",
    "dro",
    "gspo",
    "importance_sampling",
    "ppo",
    "stable_reinforce",
]
