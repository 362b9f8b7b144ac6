"""The training methods as one function each."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from tinkex._base.file_names import portable_name
from tinkex.errors import ApiError, TokenizerError, ValidationError
from tinkex.observability.loss_curve import LiveCurve
from tinkex.recipes.folder import RUNS, Plan, Source, Weights, checkpoint_path, has_run
from tinkex.recipes.loop import StepReport
from tinkex.recipes.prepare import Prepared, prepare
from tinkex.recipes.rates import recommended_learning_rate
from tinkex.recipes.reading import read_examples
from tinkex.recipes.recipe import DistillRecipe, DpoRecipe, GrpoRecipe, Recipe
from tinkex.recipes.rewards import Rewards, weighted
from tinkex.recipes.rollouts import Respond
from tinkex.recipes.run import Listener, Outcome, fine_tune
from tinkex.recipes.sources import Data

if TYPE_CHECKING:
    from tinkex.service import ServiceClient
    from tinkex.tokenizer import Tokenizer

_PLAN = {one.name for one in attrs.fields(Plan)} - {"recipe", "data", "held_out", "result"}
_PATHS: Mapping[str, Weights] = {"from_checkpoint": "training", "teacher": "sampler"}
Folder = str | os.PathLike[str]


def sft(data: Data, *, service: ServiceClient | None = None, **settings: Any) -> Outcome:
    """Fine-tune on examples: imitate their responses.

    >>> from tinkex import recipes
    >>> outcome = recipes.sft(
    ...     "orders.jsonl", base_model="Qwen/Qwen3-8B", epochs=2, service=service
    ... )
    >>> outcome.sampler_path
    'tinker://.../sampler_weights/final'

    Called again with the same folder, it continues where it stopped.

    Args:
        data: The examples; whatever `read_examples` takes.
        service: The way to the server; None makes one from the environment.
        **settings: Attributes of `Recipe` and of `Plan`; `folder`, by default beside other runs in
            ``runs/``; `held_out_data`, examples for validation; `columns` and `split` of the data;
            `listener` and `stop`, as for `fine_tune`.

    Raises:
        ValidationError: A setting or an example is invalid; nothing was sent.
        TinkexError: As `fine_tune`.
    """
    return _train(Recipe, data, service, settings)


def dpo(data: Data, *, service: ServiceClient | None = None, **settings: Any) -> Outcome:
    """Train on preferences: make chosen responses likelier than rejected ones.

    >>> from tinkex import recipes
    >>> outcome = recipes.dpo(
    ...     "pairs.jsonl", base_model="Qwen/Qwen3-8B", beta=0.1, service=service
    ... )

    Args:
        data: Pairs: ``prompt``, ``chosen`` and ``rejected``.
        service: As for `sft`.
        **settings: Attributes of `DpoRecipe`, and as for `sft`.

    Raises:
        ValidationError: A setting or a pair is invalid; nothing was sent.
        TinkexError: As `fine_tune`.
    """
    return _train(DpoRecipe, data, service, settings)


def grpo(
    data: Data,
    reward: Rewards,
    *,
    respond: Respond | None = None,
    service: ServiceClient | None = None,
    **settings: Any,
) -> Outcome:
    """Train by reinforcement learning: raise the reward of the model's own responses.

    >>> from tinkex import recipes
    >>> def is_short(episode):
    ...     return float(len(episode.text) < 40)
    >>> settings = {"base_model": "Qwen/Qwen3-8B", "max_tokens": 32, "service": service}
    >>> outcome = recipes.grpo("prompts.jsonl", {"exact": 1.0, is_short: 0.1}, **settings)

    An environment of several turns is a function that continues an episode: with the result of the
    tool that the model called, or with what a user says next.

    >>> def respond(episode):
    ...     return [{"role": "user", "content": f"That is {len(episode.text)} characters."}]
    >>> outcome = recipes.grpo("prompts.jsonl", "exact", respond=respond, max_turns=2, **settings)

    Args:
        data: Prompts; what else a row has is there for the reward, as `Episode.row`.
        reward: What a response is worth: a function of an `Episode`; "exact", "contains", "regex" or
            "json", which compare it with the reference answer; "module:function"; or several, with
            weights if they are the keys of a mapping.
        respond: Returns the messages that follow a response; none ends the episode.
        service: As for `sft`.
        **settings: Attributes of `GrpoRecipe`, and as for `sft`.

    Raises:
        ValidationError: A setting or a prompt is invalid; nothing was sent.
        TinkexError: As `fine_tune`.
    """
    named = {one.name: one.weight for one in weighted(reward)}
    settings = {"rewards": named, **settings}
    return _train(GrpoRecipe, data, service, settings, rewards=reward, respond=respond)


def distill(
    data: Data, teacher: str, *, service: ServiceClient | None = None, **settings: Any
) -> Outcome:
    """Bring a student to its teacher.

    >>> from tinkex import recipes
    >>> outcome = recipes.distill(
    ...     "prompts.jsonl",
    ...     "Qwen/Qwen3-32B",
    ...     base_model="Qwen/Qwen3-8B",
    ...     max_tokens=32,
    ...     service=service,
    ... )

    Args:
        data: Prompts.
        teacher: A base model, the path of weights to sample from, or a run's folder (see
            `checkpoint_path`); with the student's tokenizer.
        service: As for `sft`.
        **settings: Attributes of `DistillRecipe`, and as for `sft`. With ``on_policy=False`` the
            student learns the teacher's samples.

    Raises:
        ValidationError: A setting or a prompt is invalid; nothing was sent.
        TinkexError: As `fine_tune`.
    """
    return _train(DistillRecipe, data, service, {"teacher": teacher, **settings})


def _train(
    kind: type[Recipe],
    data: Data,
    service: ServiceClient | None,
    settings: dict[str, Any],
    *,
    rewards: Rewards | None = None,
    respond: Respond | None = None,
) -> Outcome:
    source = {name: settings.pop(name, None) for name in ("columns", "split")}
    folder: Folder | None = settings.pop("folder", None)
    held_out_data: Data | None = settings.pop("held_out_data", None)
    listener: Listener | None = settings.pop("listener", None)
    stop: Callable[[], bool] = settings.pop("stop", lambda: False)
    plan_settings = {name: settings.pop(name) for name in _PLAN & settings.keys()}
    for name, weights in _PATHS.items():
        # Now, and not when the run continues: what is the latest run then is another one.
        if isinstance(settings.get(name), str):
            settings[name] = checkpoint_path(settings[name], weights)
    known = {one.name for one in attrs.fields(kind)}
    if strange := settings.keys() - known:
        raise ValidationError(
            f"there is no setting {min(strange)!r} of {kind.method}", path=min(strange)
        )
    recipe = kind(**settings)
    file = read_examples(data, form=recipe.form, **source)
    held_out = None
    if held_out_data is not None:
        held_out = read_examples(held_out_data, columns=source["columns"], form=recipe.form)
    plan = Plan(
        recipe=recipe,
        data=Source.of(file),
        held_out=Source.of(held_out) if held_out else None,
        **plan_settings,
    )
    chosen = "learning_rate" in settings
    with _open(service) as opened:
        plan, prepared = prepared_for(opened, plan, file, held_out, chooses_rate=not chosen)
        with contextlib.ExitStack() as stack:
            return fine_tune(
                opened,
                plan,
                prepared,
                Path(folder) if folder is not None else free_folder(file.name),
                rewards=rewards,
                respond=respond,
                listener=listener or stack.enter_context(_curve()),
                stop=stop,
            )


class _Curve(Listener):
    """A listener that draws the loss in a notebook."""

    def __init__(self) -> None:
        self._records: list[dict[str, Any]] = []
        self.live = LiveCurve(lambda: self._records)

    def reported(self, report: StepReport) -> None:
        """Draw a step."""
        self._records.append({"step": report.step, "loss": report.loss, **report.measured})
        self.live.grown()

    def finish(self) -> None:
        """Draw the last step, unless no step was drawn at all: of a finished run none is repeated."""
        if self._records:
            self.live.draw()


@contextlib.contextmanager
def _curve() -> Iterator[Listener]:
    """Draw the loss during the block, in a notebook alone."""
    curve = _Curve()
    try:
        yield curve if curve.live.is_open else Listener()
    finally:
        curve.finish()


@contextlib.contextmanager
def _open(service: ServiceClient | None) -> Iterator[ServiceClient]:
    if service is not None:
        yield service
        return
    from tinkex.service import ServiceClient

    with ServiceClient() as opened:
        yield opened


def prepared_for(
    service: ServiceClient,
    plan: Plan,
    file: Any,
    held_out: Any = None,
    *,
    chooses_rate: bool = False,
) -> tuple[Plan, Prepared]:
    """Return a plan and what it trains on, with what only the server knows of its model.

    Args:
        service: The way to the server.
        plan: The plan.
        file: Its examples.
        held_out: Its examples for validation, if they have a source of their own.
        chooses_rate: Whether the learning rate is to suit the model.
    """
    recipe = plan.recipe
    model = recipe.base_model or _model_of(service, str(recipe.from_checkpoint))
    if chooses_rate:
        rate = recommended_learning_rate(model, recipe.rank, method=recipe.method)
        plan = attrs.evolve(plan, recipe=attrs.evolve(recipe, learning_rate=rate))
    prepared = prepare(
        plan.recipe,
        file,
        tokenizer_of(service, model, plan.tokenizer),
        held_out_file=held_out,
        context_length=context_length(service, model),
    )
    return plan, prepared


def _model_of(service: ServiceClient, checkpoint: str) -> str:
    return service.create_rest_client().get_weights_info_by_tinker_path(checkpoint).base_model


def context_length(service: ServiceClient, model: str) -> int | None:
    """Return the most tokens that a model can read, as far as the server says it."""
    for known in service.get_server_capabilities().supported_models:
        if known.model_name == model:
            return known.max_context_length or None
    return None


def tokenizer_of(service: ServiceClient, model: str, named: str | None = None) -> Tokenizer:
    """Return the tokenizer of a model: the one that was named, the server's, or the hub's."""
    from tinkex.tokenizer import get_tokenizer

    if named is not None:
        return get_tokenizer(named)
    try:
        # A server may have models whose tokenizer only it knows.
        return service.create_sampling_client(base_model=model).get_tokenizer()
    except ApiError as error:
        try:
            return get_tokenizer(model)
        except TokenizerError:
            # Most likely there is no such model, which the server has said better.
            raise error from None


def free_folder(data: str, base: Path = RUNS) -> Path:
    """Return a folder for a new run on some data, beside those that are there."""
    stem = portable_name(Path(data).name.partition(".")[0].replace(" ", "-")) or "data"
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    return next(base / name for name in names if not has_run(base / name))
