"""Learning rates to begin with."""

from __future__ import annotations

from tinkex._core.checks import checked_count
from tinkex.errors import ValidationError

# The model that ships is a thousandth of the size of the others. Measured on examples/data/
# (tickets, orders; 1 epoch, batches of 8 and 32, ranks 4 and 32): the validation loss of tiny-chat
# after 1e-2 is a half to an eighteenth of that after 4e-3, at either rank.
_SHIPPED = {"tinkex/nano": 1e-2, "tinkex/tiny-chat": 1e-2}
# The best of each model's sweep in tinker-cookbook, which its hyperparam_utils.get_lr returns: LoRA,
# AdamW, the data set tulu3, batches of 128, 780 steps.
_MEASURED = {
    "Qwen/Qwen3-235B-A22B-Instruct-2507": 3e-4,
    "Qwen/Qwen3-30B-A3B": 1e-3,
    "Qwen/Qwen3-30B-A3B-Base": 1e-3,
    "Qwen/Qwen3-30B-A3B-Instruct-2507": 1e-3,
    "Qwen/Qwen3-32B": 3e-4,
    "Qwen/Qwen3-4B-Instruct-2507": 1e-3,
    "Qwen/Qwen3-8B": 1e-3,
    "Qwen/Qwen3-8B-Base": 1e-3,
    "Qwen/Qwen3-VL-235B-A22B-Instruct": 3e-4,
    "Qwen/Qwen3-VL-30B-A3B-Instruct": 1e-3,
    "Qwen/Qwen3.5-27B": 3e-4,
    "Qwen/Qwen3.5-35B-A3B": 3e-4,
    "Qwen/Qwen3.5-397B-A17B": 3e-4,
    "Qwen/Qwen3.5-4B": 3e-4,
    "deepseek-ai/DeepSeek-V3.1": 4e-4,
    "deepseek-ai/DeepSeek-V3.1-Base": 4e-4,
    "meta-llama/Llama-3.1-70B": 3e-4,
    "meta-llama/Llama-3.1-8B": 3e-4,
    "meta-llama/Llama-3.1-8B-Instruct": 3e-4,
    "meta-llama/Llama-3.2-1B": 1e-3,
    "meta-llama/Llama-3.2-3B": 1e-3,
    "meta-llama/Llama-3.3-70B-Instruct": 3e-4,
    "moonshotai/Kimi-K2-Thinking": 3e-4,
    "moonshotai/Kimi-K2.5": 3e-4,
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": 4e-4,
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16": 1e-3,
    "openai/gpt-oss-120b": 3e-4,
    "openai/gpt-oss-20b": 1e-4,
}
# Half of the measured models have this one, and it is the lower of the two that most have.
_USUAL = 3e-4


# By method: for the models that ship, and for others. The latter are those of tinker-cookbook's
# recipes; the former were measured on examples/data/ (see docs/recipes.md).
_BY_METHOD = {"dpo": (1e-3, 1e-5), "grpo": (2e-3, 4e-5), "distill": (4e-3, 1e-4)}


def recommended_learning_rate(model: str | None, rank: int = 32, *, method: str = "sft") -> float:
    """Return the peak learning rate to begin with for a LoRA adapter, trained with Adam.

    >>> recommended_learning_rate("tinkex/tiny-chat"), recommended_learning_rate("openai/gpt-oss-20b")
    (0.01, 0.0001)

    Sources: for the models that ship with tinkex, runs on the data of the examples. For those of the
    hosted service, the best rates of the sweep that tinker-cookbook documents (``get_lr``), found
    with batches of 128; for much smaller batches begin lower. For any other model 3e-4, the rate of
    half of these. The rank makes no difference: adapters are scaled by 1/rank, with which the best
    rate is about the same for all ranks (Schulman et al., "LoRA Without Regret", 2025; measured for
    the shipped models at ranks 4 and 32).

    Args:
        model: Name of the base model; None if it is not known.
        rank: Rank of the adapter.
        method: "sft", "dpo", "grpo" or "distill". The others take smaller steps than `sft`.

    Raises:
        ValidationError: The rank is none.
    """
    checked_count(rank, "rank", 1)
    if model is not None and not isinstance(model, str):
        raise ValidationError(f"must be a name, not a {type(model).__name__}", path="model")
    if method in _BY_METHOD:
        return _BY_METHOD[method][0 if model in _SHIPPED else 1]
    return {**_MEASURED, **_SHIPPED}.get(model or "", _USUAL)
