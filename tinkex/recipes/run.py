"""A whole run: from its plan to saved weights, with a stop and a crash in between if need be."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from tinkex.errors import DecodeError, TinkexError, ValidationError
from tinkex.recipes.encoding import encode_prompt
from tinkex.recipes.folder import Plan, begun_in
from tinkex.recipes.loop import Evaluation, StepReport, train
from tinkex.recipes.prepare import Prepared
from tinkex.recipes.verdict import loss_failures, validation_failures
from tinkex.types import ModelInput, SamplingParams

if TYPE_CHECKING:
    from tinkex.recovery import ResumableRun
    from tinkex.sampling import SamplingClient
    from tinkex.service import ServiceClient
    from tinkex.training import TrainingClient

log = logging.getLogger("tinkex.recipes")

# A sample shows what was learned; a long one is more than that.
_SAMPLE_TOKENS = 128


@frozen(kw_only=True)
class Sampled:
    """What a model wrote to one prompt before and after it was trained.

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
    """The result of a run, or of the part of it that was done.

    Attributes:
        steps: How many steps are done.
        finished: Whether these are all.
        model_id: The run's id on the server.
        state_path: The checkpoint to train on from, with the optimizer's state.
        sampler_path: The weights to sample from and to download.
        last: The last step's report; None if this process did no step.
        first_loss: The mean loss of the first steps, as many as of the last ones in `last_loss`.
        last_loss: The mean loss of the last steps: one in four, ten at most.
        held_out_loss: The last validation loss.
        held_out_loss_before: The validation loss before the first step.
        samples: The plan's samples.
        failures: What is wrong with a run that has ended, one sentence each: its loss did not fall.
    """

    steps: int
    finished: bool
    model_id: str
    state_path: str | None = None
    sampler_path: str | None = None
    last: StepReport | None = None
    first_loss: float | None = None
    last_loss: float | None = None
    held_out_loss: float | None = None
    held_out_loss_before: float | None = None
    samples: Sequence[Sampled] = field(default=())
    failures: Sequence[str] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON has it."""
        return attrs.asdict(self)


class Listener:
    """What a run calls as it proceeds; every method may be left as it is."""

    def begun(self, run: ResumableRun) -> None:
        """Receive the run before its first step; `resumed_from` says where it continues."""

    def sampled(self, sample: Sampled) -> None:
        """Receive an answer of the untrained model, or of the trained one."""

    def sampled_at(self, step: int, samples: Sequence[tuple[str, str]]) -> None:
        """Receive the plan's prompts with the model's answers at a checkpoint on the way."""

    def measured(self, held_out_loss: float) -> None:
        """Receive the validation loss before the first step."""

    def reported(self, report: StepReport) -> None:
        """Receive the report of a step."""


def fine_tune(
    service: ServiceClient,
    plan: Plan,
    prepared: Prepared,
    folder: Path,
    *,
    listener: Listener | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train as a plan says, continue where an earlier process stopped, and save the result.

    >>> file = read_examples("orders.jsonl")
    >>> plan = Plan(recipe=Recipe(base_model="Qwen/Qwen3-8B", epochs=2), data=Source.of(file))
    >>> prepared = prepare(plan.recipe, file, tokenizer)
    >>> fine_tune(service, plan, prepared, Path("runs/orders")).sampler_path
    'tinker://.../sampler_weights/final'

    The plan is written into the folder, with the run's checkpoints (see
    `tinkex.recovery.resumable`), so that the same call continues after a crash. A run that is
    refused before its first step leaves nothing there.

    Args:
        service: The way to the server.
        plan: What to do.
        prepared: What `prepare` made of the plan's recipe and files.
        folder: The run's folder; made if it is not there.
        listener: What is called as the run proceeds.
        stop: Asked after each step; True saves a checkpoint and ends the run unfinished.

    Raises:
        ValidationError: A sample prompt is longer than what the model can read.
        CheckpointError: Another process trains in the folder, or its checkpoints are gone.
        DivergedError: A loss is no number any more.
        TinkexError: The server refused, and going back to a checkpoint could not mend it.
    """
    from tinkex.recovery import resumable

    listener = listener or Listener()
    recipe = plan.recipe
    prompts = [_sample_prompt(prepared, prompt) for prompt in plan.samples]
    with begun_in(folder) as keep:
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
            user_metadata=_labels(service, plan, prepared, folder),
        ) as run:
            listener.begun(run)
            work = _Work(run, plan, prepared, prompts, listener)
            work.measure_before()
            keep()
            outcome = work.outcome(stop)
    if outcome.finished:
        attrs.evolve(plan, result=outcome.to_dict()).write(folder)
    return outcome


def _labels(
    service: ServiceClient, plan: Plan, prepared: Prepared, folder: Path
) -> dict[str, str] | None:
    """Return what a server that shows runs stores with this one; None for other servers.

    These are the settings that no request has: how the examples become steps.
    """
    if service.session.server_config.console_url is None:
        return None
    recipe = plan.recipe
    labels = {
        "name": folder.resolve().name,
        "data": Path(plan.data.path or "-").name,
        "training_examples": len(prepared.batches.examples),
        "validation_examples": len(prepared.held_out),
        "steps": prepared.steps,
        "batch_size": recipe.batch_size,
        "peak_learning_rate": f"{recipe.learning_rate:g}",
        "schedule": recipe.schedule_kind,
        "warmup_steps": recipe.warmup_steps,
        "loss_on": recipe.loss_on,
        "seed": recipe.seed,
    }
    if recipe.steps is None:
        labels["epochs"] = recipe.epochs
    return {key: str(value) for key, value in labels.items()}


class _Work:
    """A run from its first step to its saved weights.

    What was measured before and on the way stands in the run's state, so that a resumed run has it.
    """

    def __init__(
        self,
        run: ResumableRun,
        plan: Plan,
        prepared: Prepared,
        prompts: Sequence[ModelInput],
        listener: Listener,
    ) -> None:
        self._run = run
        self._plan = plan
        self._prepared = prepared
        self._prompts = prompts
        self._listener = listener
        # Of a model that is lost before its first checkpoint the run's state is lost, too.
        self._known: dict[str, Any] = {"first_losses": [], **run.state}
        self._last_losses: deque[float] = deque(maxlen=_compared(prepared.steps))

    def measure_before(self) -> None:
        """Ask the untrained model what it answers, and how far it is off."""
        known, training = self._known, self._run.training
        if self._prompts and "samples" not in known:
            sampler = training.save_weights_and_get_sampling_client()
            known["samples"] = answers(sampler, self._prepared, self._prompts)
            for prompt, text in zip(self._plan.samples, known["samples"], strict=True):
                self._listener.sampled(Sampled(prompt=prompt, before=text))
        if self._prepared.held_out and self._run.step == 0:
            loss = Evaluation(training, self._prepared.held_out).loss()
            if math.isfinite(loss):
                known |= {"held_out_loss_before": loss, "held_out_loss": loss, "only_rises": True}
                self._listener.measured(loss)
        self._run.state.update(known)

    def outcome(self, stop: Callable[[], bool]) -> Outcome:
        """Do the steps, and save the weights if these are all."""
        run, plan, prepared = self._run, self._plan, self._prepared
        last: StepReport | None = None
        steps = run.resumed_from or 0
        every = plan.measure_every or prepared.batches.steps_per_epoch

        def is_saved_after(done: int) -> bool:
            # A checkpoint's steps must have been reported: nothing reports them after a crash.
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
            if math.isfinite(last.loss):
                run.record(loss=last.loss)
                self._note(last)
            self._listener.reported(last)
            if self._prompts and steps < prepared.steps and is_saved_after(steps):
                self._sample_at(steps)
        if steps < prepared.steps:
            run.checkpoint()
        return self._result(steps, last)

    def _sample_at(self, step: int) -> None:
        """Ask the model on its way for the plan's samples; without an answer training continues."""
        try:
            sampler = self._run.training.save_weights_and_get_sampling_client()
            texts = answers(sampler, self._prepared, self._prompts)
        except TinkexError as error:
            # A model that is lost is noticed by its next step, which knows what to do.
            log.warning("no samples at step %d: %s", step, error)
        else:
            pairs = list(zip(self._plan.samples, texts, strict=True))
            self._listener.sampled_at(step, pairs)

    def _note(self, report: StepReport) -> None:
        """Keep what the result needs of a step; a step that is done again counts once."""
        known = self._known
        first = known["first_losses"]
        if report.step <= _compared(self._prepared.steps):
            known["first_losses"] = [*first[: report.step - 1], report.loss]
        self._last_losses.append(report.loss)
        if report.held_out_loss is not None and math.isfinite(report.held_out_loss):
            before = known.get("held_out_loss", report.held_out_loss)
            rises = report.held_out_loss >= before
            known |= {
                "held_out_loss": report.held_out_loss,
                "only_rises": known.get("only_rises", True) and rises,
            }
        self._run.state.update(known)

    def _result(self, steps: int, last: StepReport | None) -> Outcome:
        known, finished = self._known, steps >= self._prepared.steps
        first = known["first_losses"]
        outcome = Outcome(
            steps=steps,
            finished=finished,
            model_id=self._run.training.model_id,
            last=last,
            first_loss=sum(first) / len(first) if first else None,
            last_loss=(
                sum(self._last_losses) / len(self._last_losses) if self._last_losses else None
            ),
            held_out_loss=known.get("held_out_loss") if steps else None,
            held_out_loss_before=known.get("held_out_loss_before"),
        )
        return self._saved(outcome) if finished else outcome

    def _saved(self, outcome: Outcome) -> Outcome:
        """Save the weights, and let them answer the plan's samples."""
        training, plan = self._run.training, self._plan
        state, weights = _saved(training, plan.name)
        samples: list[Sampled] = []
        if self._prompts:
            texts = answers(training.create_sampling_client(weights), self._prepared, self._prompts)
            for prompt, before, after in zip(
                plan.samples, self._known["samples"], texts, strict=True
            ):
                samples.append(Sampled(prompt=prompt, before=before, after=after))
                self._listener.sampled(samples[-1])
        return attrs.evolve(
            outcome,
            state_path=state,
            sampler_path=weights,
            samples=samples,
            failures=list(self._failures(outcome)),
        )

    def _failures(self, outcome: Outcome) -> Iterator[str]:
        recipe, before, after = (
            self._plan.recipe,
            outcome.held_out_loss_before,
            outcome.held_out_loss,
        )
        if (
            self._prepared.steps > 1
            and outcome.first_loss is not None
            and outcome.last_loss is not None
        ):
            yield from loss_failures(recipe, outcome.first_loss, outcome.last_loss)
        if before is not None and after is not None:
            yield from validation_failures(
                recipe, before, after, only_rose=self._known.get("only_rises", False)
            )


def _compared(steps: int) -> int:
    """Return how many losses at the beginning and at the end of a run are compared."""
    return max(1, min(10, steps // 4))


def _saved(training: TrainingClient, name: str) -> tuple[str, str]:
    """Save state and weights, and return their paths: to train on from, and to sample from."""
    state = training.save_state(name, overwrite=True)
    weights = training.save_weights_for_sampler(name)
    paths = state.result().path, weights.result().path
    if not paths[0] or not paths[1]:
        raise DecodeError("the server saved the weights and gave no path")
    return paths[0], paths[1]


def answers(
    sampler: SamplingClient, prepared: Prepared, prompts: Sequence[ModelInput]
) -> list[str]:
    """Return what a model writes to each prompt, its likeliest token each time."""
    stops = prepared.chat.stops() or None
    futures = []
    for prompt in prompts:
        room = (prepared.context_length or _SAMPLE_TOKENS * 2 + prompt.length) - prompt.length
        params = SamplingParams(max_tokens=min(_SAMPLE_TOKENS, room), temperature=0.0, stop=stops)
        futures.append(sampler.sample(prompt, 1, params))
    found = [future.result().sequences[0].tokens for future in futures]
    texts = prepared.tokenizer.decode_batch(found, skip_special_tokens=True)
    return [text.strip() for text in texts]


def _sample_prompt(prepared: Prepared, prompt: str) -> ModelInput:
    """Return a prompt as the examples are: as the user's message if they are conversations."""
    if prepared.has_conversations:
        text = prepared.chat.prompt([{"role": "user", "content": prompt}])
        ids = prepared.tokenizer.encode(text, add_special_tokens=False)
    else:
        ids = encode_prompt(prepared.tokenizer, prompt)
    most = prepared.context_length
    if most is not None and len(ids) >= most:
        raise ValidationError(
            f"{prompt!r:.60} has {len(ids):,} tokens, and the model can read {most:,}",
            path="samples",
        )
    return ModelInput.from_ints(ids)
