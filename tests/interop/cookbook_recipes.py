"""Run one recipe of tinker-cookbook, unchanged, with either client.

    python cookbook_recipes.py CLIENT RECIPE FOLDER

Run by tests/interop/cookbook.py in a virtual environment that holds the cookbook, the official client
and tinkex. CLIENT is "official" or "tinkex"; what the recipe measured is in FOLDER/metrics.jsonl.

RECIPE may have a seed behind a hyphen. The recipes are the cookbook's own. What stands in for the outside world: small data sets in place of
those of the hub, the local server's small model, rewards that a small model can earn, and seeds, so that
two runs can be compared.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

client, recipe, folder = sys.argv[1:]
recipe, _, seed = recipe.partition("-")
SEED = int(seed or 7)
if client == "tinkex":
    import tinkex.tinker

    tinkex.tinker.install()

import chz  # noqa: E402
import datasets  # noqa: E402
import tinker  # noqa: E402
from tinker_cookbook import model_info  # noqa: E402

MODEL = "tinkex/tiny-chat"
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "away"]
FOLDER = Path(folder)
PREFERENCES = Path(__file__).resolve().parents[2] / "examples/data/preferences.jsonl"


def conversation(index: int) -> list[dict[str, str]]:
    """Return a conversation of its own."""
    words = [WORDS[(index * k) % len(WORDS)] for k in range(1, 6)]
    question = f"Say these {index}: {' '.join(words)}"
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": " ".join(words[::-1])},
    ]


def load_dataset(path: str, *_: Any, split: str | None = None, **__: Any) -> Any:
    """Return a small data set in the form of the one that is asked for."""
    numbers = range(40)
    if path == "openai/gsm8k":
        rows = [
            {"question": f"What is {n} plus {n}?", "answer": f"So #### {2 * n}"} for n in numbers
        ]
    elif path == "Anthropic/hh-rlhf":
        rows = [
            {
                "chosen": f"\n\nHuman: Say {n}\n\nAssistant: {WORDS[n % 11]} {WORDS[n % 7]}",
                "rejected": f"\n\nHuman: Say {n}\n\nAssistant: {WORDS[n % 5]} no {n}",
            }
            for n in numbers
        ]
    else:
        rows = [{"messages": conversation(n)} for n in numbers]
    found = datasets.Dataset.from_list(rows)
    return found if split else datasets.DatasetDict({"train": found, "test": found})


def seeded() -> None:
    """Give every model and every sample a seed, through the public methods of either client."""
    create = tinker.ServiceClient.create_lora_training_client
    signature = inspect.signature(create)

    @functools.wraps(create)
    def create_seeded(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        if given.arguments.get("seed") is None:
            given.arguments["seed"] = SEED
        return create(*given.args, **given.kwargs)

    tinker.ServiceClient.create_lora_training_client = create_seeded
    sample = tinker.SamplingClient.sample
    counts: dict[bytes, Any] = {}

    @functools.wraps(sample)
    def sample_seeded(
        self: Any, prompt: Any, num_samples: int, sampling_params: Any, *args: Any, **kwargs: Any
    ) -> Any:
        text = json.dumps(prompt.to_ints()).encode()
        number = next(counts.setdefault(text, itertools.count()))
        params = sampling_params.model_copy(update={"seed": zlib.crc32(text + b"%d" % number)})
        return sample(self, prompt, num_samples, params, *args, **kwargs)

    tinker.SamplingClient.sample = sample_seeded


def reward(text: str) -> bool:
    """Return an answer that a small model earns half of the time."""
    return zlib.crc32(text.encode()) % 2 == 0


def prepare() -> None:
    """Put the stand-ins in their places."""
    attributes = model_info.ModelAttributes("tinkex", "1", "tiny", True, ("qwen3", "role_colon"))
    known = model_info.get_model_attributes
    model_info.get_model_attributes = lambda name: (
        attributes if name.startswith("tinkex/") else known(name)
    )
    datasets.load_dataset = load_dataset
    seeded()


def sl_loop() -> None:
    from tinker_cookbook.recipes import sl_loop as module

    module.main(
        module.Config(
            log_path=folder, model_name=MODEL, batch_size=4, max_steps=4, save_every=2, lora_rank=8
        )
    )


def rl_loop(loss_fn: str | None = None) -> None:
    from tinker_cookbook.recipes import rl_loop as module

    # Before 0.6 the loop had one loss, importance sampling, and no setting for it.
    has_choice = loss_fn is not None and "loss_fn" in chz.chz_fields(module.Config)
    module.get_reward = lambda response, _: float(reward(response))
    config = module.Config(
        log_path=folder,
        model_name=MODEL,
        batch_size=3,
        group_size=4,
        max_tokens=8,
        max_steps=3,
        save_every=2,
        lora_rank=8,
        **({"loss_fn": loss_fn} if has_choice else {}),
    )
    module.main(config)


def supervised() -> None:
    from tinker_cookbook.recipes.chat_sl import train as module

    module.cli_main(
        module.CLIConfig(
            log_path=folder,
            model_name=MODEL,
            renderer_name="qwen3",
            batch_size=4,
            max_length=256,
            lora_rank=8,
            max_steps=6,
            eval_every=2,
            save_every=3,
            rolling_save_every=2,
            rolling_ttl_seconds=3600,
            behavior_if_log_dir_exists="delete",
        )
    )


def math_rl(**settings: Any) -> None:
    from tinker_cookbook.recipes.math_rl import arithmetic_env
    from tinker_cookbook.recipes.math_rl import train as module

    arithmetic_env.ArithmeticEnv.check_answer = lambda _, text: reward(text)
    config = module.CLIConfig(
        log_path=folder,
        model_name=MODEL,
        renderer_name="qwen3",
        lora_rank=8,
        group_size=4,
        groups_per_batch=4,
        max_steps=3,
        eval_every=0,
        save_every=2,
        behavior_if_log_dir_exists="delete",
        **settings,
    )
    asyncio.run(module.cli_main(config))


def rl_stream() -> None:
    from tinker_cookbook.rl.train import StreamMinibatchConfig

    math_rl(stream_minibatch_config=StreamMinibatchConfig(groups_per_batch=4, num_minibatches=2))


def dpo() -> None:
    from tinker_cookbook.recipes.preference.dpo import train as module

    module.cli_main(
        module.CLIConfig(
            log_path=folder,
            model_name=MODEL,
            renderer_name="qwen3",
            batch_size=4,
            max_length=256,
            max_steps=3,
            behavior_if_log_dir_exists="delete",
        )
    )


def dpo_preferences() -> None:
    """Train on the pairs of the examples, all of them in each step."""
    import chz
    from tinker_cookbook.preference import dpo_datasets, preference_datasets, train_dpo, types
    from tinker_cookbook.supervised.types import ChatDatasetBuilderCommonConfig

    rows = [json.loads(line) for line in PREFERENCES.read_text("utf-8").splitlines()]

    @chz.chz
    class Comparisons(preference_datasets.ComparisonDatasetBuilder):
        def get_train_and_test_datasets(self) -> Any:
            return datasets.Dataset.from_list(rows), None

        def example_to_labeled_comparison(self, row: Any) -> Any:
            compared = types.Comparison(
                prompt_conversation=row["prompt"],
                completion_A=row["chosen"],
                completion_B=row["rejected"],
            )
            return types.LabeledComparison(comparison=compared, label="A")

    written = ChatDatasetBuilderCommonConfig(
        model_name_for_tokenizer=MODEL,
        renderer_name="qwen3_instruct",
        max_length=256,
        batch_size=len(rows),
    )
    train_dpo.main(
        train_dpo.Config(
            log_path=folder,
            model_name=MODEL,
            recipe_name="dpo",
            renderer_name="qwen3_instruct",
            dataset_builder=dpo_datasets.DPODatasetBuilderFromComparisons(
                comparison_builder=Comparisons(), common_config=written
            ),
            learning_rate=1e-3,
            dpo_beta=0.1,
            lora_rank=16,
            num_epochs=12,
            eval_every=0,
            save_every=0,
            adam_eps=1e-12,
        )
    )


def on_policy_distillation() -> None:
    from tinker_cookbook.recipes.distillation import on_policy_distillation as module

    config = module.CLIConfig(
        log_path=folder,
        model_name=MODEL,
        renderer_name="qwen3",
        teacher_model=MODEL,
        dataset="tulu3",
        lora_rank=8,
        group_size=2,
        groups_per_batch=4,
        max_tokens=8,
        max_steps=3,
        eval_every=0,
        save_every=2,
        behavior_if_log_dir_exists="delete",
    )
    asyncio.run(module.cli_main(config))


def prompt_distillation() -> None:
    from tinker_cookbook.recipes.prompt_distillation import train as module

    data = FOLDER.with_suffix(".jsonl")
    rows = [json.dumps({"messages": conversation(n)}) for n in range(24)]
    data.write_text("\n".join(rows))
    module.cli_main(
        module.CLIConfig(
            file_path=str(data),
            log_path=folder,
            model_name=MODEL,
            renderer_name="qwen3",
            batch_size=4,
            max_length=256,
            lora_rank=8,
            num_epochs=1,
            max_steps=4,
            behavior_if_log_dir_exists="delete",
        )
    )


RECIPES: dict[str, Callable[[], None]] = {
    "sl_loop": sl_loop,
    "rl_loop": rl_loop,
    "rl_loop_importance_sampling": functools.partial(rl_loop, loss_fn="importance_sampling"),
    "supervised": supervised,
    "rl_sync": math_rl,
    "rl_async": functools.partial(math_rl, max_steps_off_policy=1),
    "rl_stream": rl_stream,
    "dpo": dpo,
    "dpo_preferences": dpo_preferences,
    "on_policy_distillation": on_policy_distillation,
    "prompt_distillation": prompt_distillation,
}

if __name__ == "__main__":
    prepare()
    RECIPES[recipe]()
