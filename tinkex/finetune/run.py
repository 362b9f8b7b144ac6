"""A whole run: from its plan to saved weights, with a stop and a crash in between if need be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from tinkex.errors import DecodeError
from tinkex.finetune.folder import Plan
from tinkex.finetune.loop import StepReport, train
from tinkex.finetune.prepare import Prepared
from tinkex.types import ModelInput, SamplingParams

if TYPE_CHECKING:
    from tinkex.recovery import ResumableRun
    from tinkex.sampling import SamplingClient
    from tinkex.service import ServiceClient
    from tinkex.training import TrainingClient

# A sample shows what was learned; a long one is more than that.
_SAMPLE_TOKENS = 128


@frozen(kw_only=True)
class Sampled:
    """Hold what a model said to one prompt before and after it was trained.

    Attributes:
        prompt: What it was asked.
        before: What the untrained model wrote.
        after: What the trained one wrote; None while it is not trained.
    """

    prompt: str
    before: str | None
    after: str | None = None


@frozen(kw_only=True)
class Outcome:
    """Tell how far a run came.

    Attributes:
        steps: How many steps are done.
        finished: Whether these are all.
        model_id: The run's id on the server.
        state_path: The checkpoint to train on from, with the optimizer's state.
        sampler_path: The weights to sample from and to download.
        last: The last step's report; None if this process did no step.
        held_out_loss: The last one that was measured.
        samples: The plan's samples.
    """

    steps: int
    finished: bool
    model_id: str
    state_path: str | None = None
    sampler_path: str | None = None
    last: StepReport | None = None
    held_out_loss: float | None = None
    samples: Sequence[Sampled] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON has it."""
        return attrs.asdict(self)


class Listener:
    """Be told how a run is doing; every method may be left as it is."""

    def begun(self, run: ResumableRun) -> None:
        """Take the run before its first step; `resumed_from` says where it goes on."""

    def sampled(self, sample: Sampled) -> None:
        """Take an answer of the untrained model, or of the trained one."""

    def reported(self, report: StepReport) -> None:
        """Take the report of a step."""


def fine_tune(
    service: ServiceClient,
    plan: Plan,
    prepared: Prepared,
    folder: Path,
    *,
    listener: Listener | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train as a plan says, go on where an earlier process stopped, and save what came of it.

    >>> file = read_examples("orders.jsonl")
    >>> plan = Plan(recipe=Recipe(base_model="Qwen/Qwen3-8B", epochs=2), data=Source.of(file))
    >>> prepared = prepare(plan.recipe, file, tokenizer)
    >>> fine_tune(service, plan, prepared, Path("runs/orders")).sampler_path
    'tinker://.../sampler_weights/final'

    The plan is written into the folder, with the run's checkpoints (see
    `tinkex.recovery.resumable`), so that the same call goes on after a crash.

    Args:
        service: The way to the server.
        plan: What to do.
        prepared: What `prepare` made of the plan's recipe and files.
        folder: The run's folder; made if it is not there.
        listener: Who is told.
        stop: Asked after each step; True saves a checkpoint and ends the run unfinished.

    Raises:
        CheckpointError: Another process trains in the folder, or its checkpoints are gone.
        TinkexError: The server refused, and going back to a checkpoint could not mend it.
    """
    from tinkex.recovery import resumable

    listener = listener or Listener()
    recipe = plan.recipe
    plan.write(folder)
    with resumable(
        folder,
        service,
        base_model=recipe.base_model,
        start_from=recipe.from_checkpoint,
        rank=recipe.rank,
        seed=recipe.seed,
        train_mlp=recipe.train_mlp,
        train_attn=recipe.train_attn,
        train_unembed=recipe.train_unembed,
        checkpoint_every=plan.checkpoint_every,
    ) as run:
        listener.begun(run)
        if plan.samples and "samples" not in run.state:
            sampler = run.training.save_weights_and_get_sampling_client()
            run.state["samples"] = answers(sampler, prepared, plan.samples)
            for prompt, text in zip(plan.samples, run.state["samples"], strict=True):
                listener.sampled(Sampled(prompt=prompt, before=text))
        outcome = _trained(run, plan, prepared, listener, stop)
    if outcome.finished:
        attrs.evolve(plan, result=outcome.to_dict()).write(folder)
    return outcome


def _trained(
    run: ResumableRun,
    plan: Plan,
    prepared: Prepared,
    listener: Listener,
    stop: Callable[[], bool],
) -> Outcome:
    last: StepReport | None = None
    held_out_loss: float | None = run.state.get("held_out_loss")
    steps = run.resumed_from or 0
    every = plan.measure_every or prepared.batches.steps_per_epoch

    def is_saved_after(done: int) -> bool:
        # What a checkpoint holds must have been told: nobody tells it after a crash.
        newest = run.checkpoints[-1].step if run.checkpoints else 0
        return done - newest >= plan.checkpoint_every

    reports = train(
        run,
        prepared.batches,
        plan.recipe,
        held_out=prepared.held_out,
        measured_at=lambda done: done % every == 0 or done == prepared.steps,
        settled_at=is_saved_after,
        stop=stop,
    )
    for last in reports:
        steps = last.step
        run.record(loss=last.loss)
        if last.held_out_loss is not None:
            held_out_loss = run.state["held_out_loss"] = last.held_out_loss
        listener.reported(last)
    if steps < prepared.steps:
        run.checkpoint()
        return Outcome(
            steps=steps,
            finished=False,
            model_id=run.training.model_id,
            last=last,
            held_out_loss=held_out_loss,
        )
    return _ended(run, plan, prepared, listener, last, held_out_loss)


def _ended(
    run: ResumableRun,
    plan: Plan,
    prepared: Prepared,
    listener: Listener,
    last: StepReport | None,
    held_out_loss: float | None,
) -> Outcome:
    """Save what came of the run, and let it answer the plan's samples."""
    state, weights = _saved(run.training, plan.name)
    samples: list[Sampled] = []
    if plan.samples:
        texts = answers(run.training.create_sampling_client(weights), prepared, plan.samples)
        for prompt, before, after in zip(plan.samples, run.state["samples"], texts, strict=True):
            samples.append(Sampled(prompt=prompt, before=before, after=after))
            listener.sampled(samples[-1])
    return Outcome(
        steps=prepared.steps,
        finished=True,
        model_id=run.training.model_id,
        state_path=state,
        sampler_path=weights,
        last=last,
        held_out_loss=held_out_loss,
        samples=samples,
    )


def _saved(training: TrainingClient, name: str) -> tuple[str, str]:
    """Save what is to stay, and return its paths: to train on from, and to sample from."""
    state = training.save_state(name, overwrite=True)
    weights = training.save_weights_for_sampler(name)
    paths = state.result().path, weights.result().path
    if not paths[0] or not paths[1]:
        raise DecodeError("the server saved the weights and gave no path")
    return paths[0], paths[1]


def answers(sampler: SamplingClient, prepared: Prepared, prompts: Sequence[str]) -> list[str]:
    """Return what a model writes to each prompt, its likeliest token each time.

    A prompt is written as the examples are: as the user's message if they are conversations, else
    as it stands.
    """
    params = SamplingParams(
        max_tokens=_SAMPLE_TOKENS, temperature=0.0, stop=prepared.chat.stops() or None
    )
    tokenizer = prepared.tokenizer
    futures = []
    for prompt in prompts:
        if prepared.has_conversations:
            text = prepared.chat.prompt([{"role": "user", "content": prompt}])
            ids = tokenizer.encode(text, add_special_tokens=False)
        else:
            ids = tokenizer.encode(prompt)
        futures.append(sampler.sample(ModelInput.from_ints(ids), 1, params))
    found = [future.result().sequences[0].tokens for future in futures]
    return [text.strip() for text in tokenizer.decode_batch(found, skip_special_tokens=True)]
