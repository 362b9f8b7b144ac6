"""Everything that decides what a run learns, as data that can be written down and read again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import attrs
from attrs import field, frozen

from tinkex._core.checks import check_training_path
from tinkex.errors import ValidationError
from tinkex.recipes.rates import recommended_learning_rate
from tinkex.recipes.reading import Form
from tinkex.recipes.schedule import KINDS, Kind, Schedule
from tinkex.recipes.tokenizing import LossOn, TooLong
from tinkex.tokenizer.chat import check_variables
from tinkex.types import AdamParams

T = TypeVar("T")

# Services report the norm of the gradient only where it is clipped. A bound that no gradient
# reaches makes them report it and changes nothing.
_CLIPS_NOTHING = 1e9
# The largest integer that the contract's seeds and numbers can be.
_LARGEST = 2**63 - 1


def _recommended(recipe: Recipe) -> float:
    # A model that is no name is refused later, as all settings are.
    model = recipe.base_model
    known = model if isinstance(model, str) else None
    return recommended_learning_rate(known, method=recipe.method)


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@frozen(kw_only=True)
class Recipe:
    """What is trained and how. Two runs of one recipe on one file learn the same.

    >>> Recipe(base_model="Qwen/Qwen3-8B", learning_rate=2e-4, epochs=3).schedule(steps=30).at(0)
    0.0002

    Attributes:
        base_model: The model that a new adapter sits on; or
        from_checkpoint: ``tinker://<run>/weights/<name>``, whose adapter is trained on, with a
            fresh optimizer.
        rank: Rank of a new adapter.
        seed: Fixes a new adapter's matrices, the order of the examples, and what is held out.
        train_mlp: Whether the MLP layers (and experts) are adapted.
        train_attn: Whether the attention layers are adapted.
        train_unembed: Whether the unembedding is adapted.
        epochs: How often each example is trained on; may be a fraction.
        steps: How many steps there are, in place of epochs.
        batch_size: Examples per optimizer step.
        gradient_accumulation: Number of forward_backward calls that a step's batch is sent in, for
            servers whose memory a whole one does not fit. It changes nothing else.
        learning_rate: Peak learning rate, reached after the warm-up; `recommended_learning_rate` if
            it is not given.
        schedule_kind: "constant", "linear" or "cosine"; see `Schedule`.
        warmup_steps: Steps in which the learning rate rises.
        weight_decay: Decoupled decay of AdamW.
        grad_clip_norm: Largest global L2 norm of the gradient, which is a sum over tokens; 0 does
            not clip.
        loss_on: "answers" or "all"; see `tokenize`.
        chat_format: "auto", "template" or "plain"; see `chat_format`.
        template_variables: What the chat template is to know besides the messages, such as
            ``{"enable_thinking": False}``.
        max_length: Most tokens of an example; None takes what the model can read.
        too_long: "error", "skip" or "truncate".
        held_out: The share of the examples that is held out for the validation loss. None holds a
            tenth out (200 lines at most) where there are 20 lines or more, and else none.
        ignore_fields: Fields of messages that the chat template may leave out, such as ``name``.
    """

    method: ClassVar[str] = "sft"
    form: ClassVar[Form] = "examples"

    base_model: str | None = None
    from_checkpoint: str | None = None
    rank: int = 32
    seed: int = 0
    train_mlp: bool = True
    train_attn: bool = True
    train_unembed: bool = True
    epochs: float = 1
    steps: int | None = None
    batch_size: int = 32
    gradient_accumulation: int = 1
    learning_rate: float = field(default=attrs.Factory(_recommended, takes_self=True))
    schedule_kind: Kind = "linear"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    grad_clip_norm: float = 0.0
    loss_on: LossOn = "answers"
    chat_format: Literal["auto", "template", "plain"] = "auto"
    template_variables: Mapping[str, Any] = field(factory=dict)
    max_length: int | None = None
    too_long: TooLong = "error"
    held_out: float | None = None
    ignore_fields: Sequence[str] = field(default=(), converter=_names)

    def __attrs_post_init__(self) -> None:
        if (self.base_model is None) == (self.from_checkpoint is None):
            raise ValidationError("give one of base_model and from_checkpoint")
        self._check_model()
        for name, least in (
            ("rank", 1),
            ("seed", 0),
            ("steps", 1),
            ("batch_size", 1),
            ("gradient_accumulation", 1),
            ("warmup_steps", 0),
            ("max_length", 2),
        ):
            _check_integer(name, getattr(self, name), least)
        choices: Mapping[str, tuple[str, ...]] = {
            "schedule_kind": KINDS,
            "loss_on": ("answers", "all"),
            "chat_format": ("auto", "template", "plain"),
            "too_long": ("error", "skip", "truncate"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValidationError(
                    f"must be one of {', '.join(allowed)}, not {getattr(self, name)!r}", path=name
                )
        check_number("epochs", self.epochs, above=0)
        if self.held_out is not None and not 0 <= self.held_out < 1:
            raise ValidationError(
                f"must be at least 0 and below 1, not {self.held_out!r}", path="held_out"
            )
        check_variables(self.template_variables)
        try:
            json.dumps(dict(self.template_variables))
        except (TypeError, ValueError):
            raise ValidationError(
                "must be values that JSON has: a run writes them down", path="template_variables"
            ) from None
        if not self.adam(self.learning_rate).learning_rate:
            raise ValidationError("is 0, with which nothing is learned", path="learning_rate")

    def _check_model(self) -> None:
        if self.from_checkpoint is not None:
            check_training_path(self.from_checkpoint)
        elif not isinstance(self.base_model, str) or not self.base_model.strip():
            raise ValidationError(
                f"must be the name of a model, not {self.base_model!r}", path="base_model"
            )
        layers = (self.train_mlp, self.train_attn, self.train_unembed)
        if not all(isinstance(one, bool) for one in layers) or not any(layers):
            raise ValidationError(
                "train_mlp, train_attn and train_unembed must be True or False, and one of them True"
            )

    def adam(self, learning_rate: float) -> AdamParams:
        """Return the settings of a step with this learning rate.

        Raises:
            ValidationError: One of them is invalid.
        """
        return AdamParams(
            learning_rate=learning_rate,
            weight_decay=self.weight_decay,
            grad_clip_norm=self.grad_clip_norm or _CLIPS_NOTHING,
        )

    def total_steps(self, steps_per_epoch: int) -> int:
        """Return how many steps the run has."""
        if self.steps is not None:
            return self.steps
        return max(1, round(self.epochs * steps_per_epoch))

    def parts(self, batch: Sequence[T]) -> list[Sequence[T]]:
        """Return a batch in the parts that it is sent in."""
        size = -(-len(batch) // self.gradient_accumulation)
        return [batch[at : at + size] for at in range(0, len(batch), size)]

    def schedule(self, steps: int) -> Schedule:
        """Return the learning rates of a run of so many steps."""
        return Schedule(self.schedule_kind, self.learning_rate, steps, self.warmup_steps)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON has it."""
        return {"method": self.method, **attrs.asdict(self)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Recipe:
        """Return the recipe that `to_dict` wrote.

        Raises:
            ValidationError: It has unknown fields or invalid values.
        """
        settings = dict(value)
        method = settings.pop("method", Recipe.method)
        if method not in RECIPES:
            raise ValidationError(
                f"must be one of {', '.join(RECIPES)}, not {method!r:.40}", path="method"
            )
        kind = RECIPES[method]
        strange = set(settings) - {one.name for one in attrs.fields(kind)}
        if strange:
            raise ValidationError(f"has no field {min(strange)!r}", path="recipe")
        return kind(**settings)


@frozen(kw_only=True)
class DpoRecipe(Recipe):
    """What `dpo` trains, and how.

    Attributes (besides those of `Recipe`):
        beta: How strongly the weights are held to the ones at the start.
    """

    method: ClassVar[str] = "dpo"
    form: ClassVar[Form] = "pairs"

    beta: float = 0.1

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        check_number("beta", self.beta, above=0)


@frozen(kw_only=True)
class RolloutRecipe(Recipe):
    """What methods share that sample what they train on.

    Attributes (besides those of `Recipe`):
        batch_size: Prompts per optimizer step.
        group_size: Samples of each prompt.
        max_tokens: Most tokens of a sample.
        temperature: Temperature of sampling.
        off_policy_steps: 1 samples the next batch while the last one trains, so with weights that
            are one step old; 0 waits, and samples every batch with the newest weights.
        loss_fn: "importance_sampling", "ppo" or "cispo"; for `grpo` also "stable_reinforce", for
            `distill` also "cross_entropy".
        loss_config: Numbers for the loss, such as ``{"clip_low_threshold": 0.8}``.
    """

    form: ClassVar[Form] = "prompts"
    losses: ClassVar[tuple[str, ...]] = ("importance_sampling", "ppo", "cispo")

    batch_size: int = 16
    group_size: int = 8
    max_tokens: int = 256
    temperature: float = 1.0
    off_policy_steps: int = 1
    loss_fn: str = "importance_sampling"
    loss_config: Mapping[str, float] = field(factory=dict)
    schedule_kind: Kind = "constant"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        _check_integer("group_size", self.group_size, 1)
        _check_integer("max_tokens", self.max_tokens, 1)
        check_number("temperature", self.temperature, above=0)
        if self.off_policy_steps not in (0, 1):
            raise ValidationError(
                f"must be 0 or 1, not {self.off_policy_steps!r}", path="off_policy_steps"
            )
        if self.loss_fn not in self.losses:
            raise ValidationError(
                f"must be one of {', '.join(self.losses)}, not {self.loss_fn!r}", path="loss_fn"
            )


@frozen(kw_only=True)
class GrpoRecipe(RolloutRecipe):
    """What `grpo` trains, and how.

    Attributes (besides those of `RolloutRecipe`):
        kl: Penalty for each nat by which a sampled token is likelier than under the weights at the
            start; 0 asks nothing of them.
        rewards: Names of the rewards, with their weights; see `tinkex.recipes.rewards`. A function
            of the program has a name only for the record.
        max_turns: Most responses of the model in an episode.
        respond: Name of the function that continues an episode of several turns, "module:function".
    """

    method: ClassVar[str] = "grpo"
    losses: ClassVar[tuple[str, ...]] = (*RolloutRecipe.losses, "stable_reinforce")

    kl: float = 0.0
    rewards: Mapping[str, float] = field(factory=dict)
    max_turns: int = 1
    respond: str | None = None

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        _check_integer("group_size", self.group_size, 2)
        _check_integer("max_turns", self.max_turns, 1)
        check_number("kl", self.kl)


@frozen(kw_only=True)
class DistillRecipe(RolloutRecipe):
    """What `distill` trains, and how.

    Attributes (besides those of `RolloutRecipe`):
        teacher: The model to learn from: a base model, or ``tinker://<run>/sampler_weights/<name>``.
        on_policy: Whether the student samples and the teacher corrects it; else the teacher samples,
            and the student imitates it.
        loss_fn: On-policy, "cross_entropy" learns the teacher's distribution at each place of the
            student's samples. The others reinforce each sampled token by how much likelier the
            teacher finds it; of what the student never samples they learn nothing.
        top_k: How many of the teacher's likeliest tokens are the distribution that is learned.
        teacher_share: On-policy with "cross_entropy", the share of the steps, the first ones, for which
            the teacher samples: what a student samples that is far from its teacher has little to do
            with the teacher's texts. 0 begins with the student's samples.
    """

    method: ClassVar[str] = "distill"
    losses: ClassVar[tuple[str, ...]] = ("cross_entropy", *RolloutRecipe.losses)

    teacher: str
    on_policy: bool = True
    group_size: int = 4
    loss_fn: str = "cross_entropy"
    schedule_kind: Kind = "linear"
    top_k: int = 16
    teacher_share: float = 0.5

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        _check_integer("top_k", self.top_k, 1)
        check_number("teacher_share", self.teacher_share)
        if self.teacher_share > 1:
            raise ValidationError(
                f"must be at most 1, not {self.teacher_share!r}", path="teacher_share"
            )
        if not isinstance(self.teacher, str) or not self.teacher.strip():
            raise ValidationError(
                f"must be the name of a model or the path of weights, not {self.teacher!r}",
                path="teacher",
            )


RECIPES: Mapping[str, type[Recipe]] = {
    one.method: one for one in (Recipe, DpoRecipe, GrpoRecipe, DistillRecipe)
}


def check_number(name: str, value: Any, *, above: float | None = None) -> None:
    """Refuse what is no finite number, or too small.

    Raises:
        ValidationError: It is none, not above `above`, or below 0.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    least = 0 if above is None else above
    if not is_number or not math.isfinite(value) or value < least or value == above:
        bound = f"above {above:g}" if above is not None else "at least 0"
        raise ValidationError(f"must be a number {bound}, not {value!r:.40}", path=name)


def _check_integer(name: str, value: Any, least: int) -> None:
    if value is None and name in ("steps", "max_length"):
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _LARGEST:
        raise ValidationError(
            f"must be an integer of at least {least} and at most 2**63 - 1, not {value!r:.40}",
            path=name,
        )
