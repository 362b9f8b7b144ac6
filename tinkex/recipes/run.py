"""A whole run: from its plan to saved weights, with a stop and a crash in between if need be."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from tinkex.errors import DecodeError, TinkexError, ValidationError
from tinkex.recipes.distill import Distill
from tinkex.recipes.dpo import Dpo
from tinkex.recipes.encoding import encode_prompt
from tinkex.recipes.folder import Plan, begun_in, has_run
from tinkex.recipes.grpo import Grpo
from tinkex.recipes.loop import Method, Metrics, StepReport, train
from tinkex.recipes.prepare import Prepared
from tinkex.recipes.recipe import DistillRecipe, DpoRecipe, GrpoRecipe
from tinkex.recipes.rewards import Rewards, WeightedReward, load_function, weighted
from tinkex.recipes.rollouts import Respond, sampler_of
from tinkex.recipes.sft import Sft
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
# A step's own numbers that its checkpoint is saved with.
_RECORDED = {"reward", "margin", "kl"}


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
        measured: All that was measured last on held-out data, by name.
        measured_before: The same before the first step.
        best: Of the best weights the step, what was measured, and the paths to train on from and to
            sample from; None if nothing was held out, or no step improved on the start.
        stopped_early: Whether the run ended because validation had stopped improving.
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
    measured: Metrics = field(factory=dict)
    measured_before: Metrics = field(factory=dict)
    best: Mapping[str, Any] | None = None
    stopped_early: bool = False
    samples: Sequence[Sampled] = field(default=())
    failures: Sequence[str] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON has it."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Outcome:
        """Return the outcome that `to_dict` wrote."""
        settings = dict(value)
        last = settings.pop("last", None)
        samples = [Sampled(**one) for one in settings.pop("samples", ())]
        return cls(last=StepReport(**last) if last else None, samples=samples, **settings)


class Listener:
    """What a run calls as it proceeds; override what you need."""

    def begun(self, run: ResumableRun) -> None:
        """Receive the run before its first step; `resumed_from` says where it continues."""

    def sampled(self, sample: Sampled) -> None:
        """Receive an answer of the untrained model, or of the trained one."""

    def sampled_at(self, step: int, samples: Sequence[tuple[str, str]]) -> None:
        """Receive the plan's prompts with the model's responses at a checkpoint on the way."""

    def measured(self, measured: Metrics) -> None:
        """Receive what was measured on held-out data before the first step."""

    def reported(self, report: StepReport) -> None:
        """Receive the report of a step."""


def fine_tune(
    service: ServiceClient,
    plan: Plan,
    prepared: Prepared,
    folder: Path,
    *,
    rewards: Rewards | None = None,
    respond: Respond | None = None,
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
        rewards: What responses are worth to `grpo`; None takes those that the recipe names.
        respond: What continues an episode of several turns; None takes what the recipe names.
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
    functions = _functions(plan, rewards, respond)
    if (known := finished(plan, folder)) is not None:
        return known
    plan = attrs.evolve(plan, failure=None)
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
            user_metadata=_metadata(service, plan, prepared, folder),
        ) as run:
            listener.begun(run)
            method = _method(run, plan, prepared, *functions)
            work = _Work(run, plan, prepared, method, prompts, listener)
            work.measure_before()
            keep()
            try:
                outcome = work.outcome(stop)
            except TinkexError as error:
                attrs.evolve(plan, failure=str(error)).write(folder)
                raise
    if outcome.finished:
        attrs.evolve(plan, result=outcome.to_dict()).write(folder)
    return outcome


def finished(plan: Plan, folder: Path) -> Outcome | None:
    """Return the outcome of a plan that a folder's run has done already; None if it has not."""
    if not has_run(folder):
        return None
    old = Plan.read(folder)
    if old.result is None or attrs.evolve(old, result=None) != plan:
        return None
    return Outcome.from_dict(old.result)


def _metadata(
    service: ServiceClient, plan: Plan, prepared: Prepared, folder: Path
) -> dict[str, str]:
    """Return what the server stores with the run, so that runs can be told apart.

    A server that shows runs also gets the settings that no request has: how examples become steps.
    """
    recipe = plan.recipe
    labels: dict[str, Any] = {
        "name": folder.resolve().name,
        "method": recipe.method,
        "data": Path(plan.data.path or "-").name,
        "folder": folder.resolve(),
    }
    if service.session.server_config.console_url is not None:
        labels |= {
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


def _functions(
    plan: Plan, rewards: Rewards | None, respond: Respond | None
) -> tuple[tuple[WeightedReward, ...], Respond | None]:
    """Return the functions of `grpo`: those that were given, or those that the recipe names."""
    recipe = plan.recipe
    if not isinstance(recipe, GrpoRecipe):
        return (), None
    if respond is None and recipe.respond is not None:
        respond = load_function(recipe.respond)
    return weighted(recipe.rewards if rewards is None else rewards), respond


def _method(
    run: ResumableRun,
    plan: Plan,
    prepared: Prepared,
    rewards: Sequence[WeightedReward],
    respond: Respond | None,
) -> Method:
    recipe = plan.recipe
    if isinstance(recipe, DpoRecipe):
        return Dpo(prepared, recipe, run.folder, lambda: _start(run, plan))
    if isinstance(recipe, GrpoRecipe):
        return Grpo(
            prepared, recipe, run.folder, rewards, lambda: _start_sampler(run, plan), respond
        )
    if isinstance(recipe, DistillRecipe):
        return Distill(prepared, recipe, run.folder, sampler_of(run.service, recipe.teacher))
    return Sft(prepared)


def _start(run: ResumableRun, plan: Plan) -> TrainingClient:
    """Return a client with the weights that the run began with."""
    recipe = plan.recipe
    if run.step == 0:
        return run.training
    if recipe.from_checkpoint is not None:
        return run.service.create_training_client_from_state(recipe.from_checkpoint)
    # A new adapter changes nothing, whatever its rank.
    return run.service.create_lora_training_client(str(recipe.base_model), rank=1)


def _start_sampler(run: ResumableRun, plan: Plan) -> SamplingClient:
    """Return a sampler of the weights that the run began with."""
    if plan.recipe.from_checkpoint is None:
        return run.service.create_sampling_client(base_model=plan.recipe.base_model)
    return _start(run, plan).save_weights_and_get_sampling_client()


class _Work:
    """A run from its first step to its saved weights.

    What was measured before and on the way is kept in the run's state, so that a resumed run has it.
    """

    def __init__(
        self,
        run: ResumableRun,
        plan: Plan,
        prepared: Prepared,
        method: Method,
        prompts: Sequence[ModelInput],
        listener: Listener,
    ) -> None:
        self._run = run
        self._plan = plan
        self._prepared = prepared
        self._method = method
        self._prompts = prompts
        self._listener = listener
        # Of a model that is lost before its first checkpoint the run's state is lost, too.
        self._known: dict[str, Any] = {"first_losses": [], **run.state}
        self._last_losses: deque[float] = deque(maxlen=_compared(prepared.steps))
        self._noted = 0

    def measure_before(self) -> None:
        """Measure the untrained model, and sample from it."""
        known, training = self._known, self._run.training
        if self._prompts and "samples" not in known:
            sampler = training.save_weights_and_get_sampling_client()
            known["samples"] = answers(sampler, self._prepared, self._prompts)
            for prompt, text in zip(self._plan.samples, known["samples"], strict=True):
                self._listener.sampled(Sampled(prompt=prompt, before=text))
        if self._method.objective is not None and self._run.step == 0:
            measured = dict(self._method.measure(training)())
            value = measured.get(self._method.objective.name)
            known |= {"measured_before": measured, "measured": measured}
            known |= {"only_worse": True, "best_value": value, "without_gain": 0}
            self._listener.measured(measured)
        self._run.state.update(known)
        self._at_first = dict(known)

    def outcome(self, stop: Callable[[], bool]) -> Outcome:
        """Do the steps, and save the weights if these are all."""
        run, plan, prepared = self._run, self._plan, self._prepared
        last: StepReport | None = None
        steps = run.resumed_from or 0
        every = plan.measure_every or max(1, prepared.batches.steps_per_epoch)

        def is_measured_after(done: int) -> bool:
            has_objective = self._method.objective is not None
            return has_objective and (done % every == 0 or done == prepared.steps)

        def is_saved_after(done: int) -> bool:
            newest = run.checkpoints[-1].step if run.checkpoints else 0
            return done - newest >= plan.checkpoint_every

        def is_settled_after(done: int) -> bool:
            # A checkpoint's steps must have been reported: nothing reports them after a crash. And
            # whether weights are the best ones has to be known while the model still has them.
            return is_saved_after(done) or (
                is_measured_after(done) and (plan.keep_best or plan.patience is not None)
            )

        reports = train(
            run,
            self._method,
            plan.recipe,
            measured_at=is_measured_after,
            settled_at=is_settled_after,
            stop=lambda: self._is_exhausted() or stop(),
        )
        for last in reports:
            steps = last.step
            recorded = {"loss": last.loss} if last.loss is not None else {}
            run.record(**recorded, **{k: v for k, v in last.metrics.items() if k in _RECORDED})
            self._note(last)
            self._forget()
            self._listener.reported(last)
            if self._prompts and steps < prepared.steps and is_saved_after(steps):
                self._sample_at(steps)
        if steps < prepared.steps:
            run.checkpoint()
        return self._result(steps, last)

    def _sample_at(self, step: int) -> None:
        """Sample the plan's prompts from the model on its way; without a response training continues."""
        try:
            sampler = self._run.training.save_weights_and_get_sampling_client()
            texts = answers(sampler, self._prepared, self._prompts)
        except TinkexError as error:
            # A model that is lost is noticed by its next step, which knows what to do.
            log.warning("no samples at step %d: %s", step, error)
        else:
            pairs = list(zip(self._plan.samples, texts, strict=True))
            self._listener.sampled_at(step, pairs)

    def _is_exhausted(self) -> bool:
        """Return whether validation has stopped improving for as long as the plan waits."""
        patience = self._plan.patience
        return patience is not None and self._known.get("without_gain", 0) >= patience

    def _note(self, report: StepReport) -> None:
        """Keep what the result needs of a step; a step that is done again counts once."""
        if report.step <= self._noted:
            # The model was restored, and with it the state of the run, if it had a checkpoint.
            self._known = {**self._at_first, **self._run.state}
        self._noted = report.step
        known = self._known
        first = known["first_losses"]
        if report.loss is not None:
            if report.step <= _compared(self._prepared.steps):
                known["first_losses"] = [*first[: report.step - 1], report.loss]
            self._last_losses.append(report.loss)
        objective = self._method.objective
        value = report.measured.get(objective.name) if objective is not None else None
        if objective is not None and value is not None:
            before = known.get("measured", {}).get(objective.name)
            known["only_worse"] = known.get("only_worse", True) and not objective.is_better(
                value, before if before is not None else value
            )
            known["measured"] = dict(report.measured)
            if objective.is_better(value, known.get("best_value")):
                known |= {"best_value": value, "without_gain": 0}
                if self._plan.keep_best:
                    self._keep_best(report)
            else:
                known["without_gain"] = known.get("without_gain", 0) + 1
        self._run.state.update(known)

    def _keep_best(self, report: StepReport) -> None:
        """Save the weights, which are those after the reported step, and forget the ones before."""
        known = self._known
        if (before := known.get("best")) is not None:
            paths = [before["state_path"], before["sampler_path"]]
            known["outdated"] = [*known.get("outdated", []), *paths]
        name = f"best-{report.step:07d}"
        state, weights = _saved(self._run.training, name, name)
        known["best"] = {
            "step": report.step,
            **report.measured,
            "state_path": state,
            "sampler_path": weights,
        }

    def _forget(self) -> None:
        """Delete what was the best before, once nothing can go back to where it still was."""
        known, checkpoints = self._known, self._run.checkpoints
        if known.get("outdated") and checkpoints:
            oldest = checkpoints[0].state.get("best")
            if oldest is not None and oldest["step"] == known["best"]["step"]:
                delete(self._run.service, known.pop("outdated"))
                self._run.state.pop("outdated", None)

    def _result(self, steps: int, last: StepReport | None) -> Outcome:
        known = self._known
        stopped_early = steps < self._prepared.steps and self._is_exhausted()
        finished = steps >= self._prepared.steps or stopped_early
        first = known["first_losses"]
        before, now = known.get("measured_before", {}), known.get("measured", {})
        outcome = Outcome(
            steps=steps,
            finished=finished,
            model_id=self._run.training.model_id,
            last=last,
            first_loss=sum(first) / len(first) if first else None,
            last_loss=sum(self._last_losses) / len(self._last_losses)
            if self._last_losses
            else None,
            held_out_loss=now.get("held_out_loss") if steps else None,
            held_out_loss_before=before.get("held_out_loss"),
            measured=now if steps else {},
            measured_before=before,
            best=known.get("best"),
            stopped_early=stopped_early,
        )
        return self._saved(outcome) if finished else outcome

    def _saved(self, outcome: Outcome) -> Outcome:
        """Save the weights, and let them answer the plan's samples."""
        training, plan = self._run.training, self._plan
        numbers = {"step": str(outcome.steps), "state": "finished"}
        if outcome.last_loss is not None:
            numbers["loss"] = repr(outcome.last_loss)
        state, weights = _saved(training, plan.name, plan.name, numbers)
        samples: list[Sampled] = []
        if self._prompts:
            texts = answers(training.create_sampling_client(weights), self._prepared, self._prompts)
            for prompt, before, after in zip(
                plan.samples, self._known["samples"], texts, strict=True
            ):
                samples.append(Sampled(prompt=prompt, before=before, after=after))
                self._listener.sampled(samples[-1])
        delete(self._run.service, self._known.get("outdated", ()))
        return attrs.evolve(
            outcome,
            state_path=state,
            sampler_path=weights,
            samples=samples,
            failures=list(self._failures(outcome)),
        )

    def _failures(self, outcome: Outcome) -> Iterator[str]:
        recipe, objective = self._plan.recipe, self._method.objective
        if (
            recipe.method in ("sft", "dpo")
            and self._prepared.steps > 1
            and outcome.first_loss is not None
            and outcome.last_loss is not None
        ):
            yield from loss_failures(recipe, outcome.first_loss, outcome.last_loss)
        if objective is not None:
            before = outcome.measured_before.get(objective.name)
            after = outcome.measured.get(objective.name)
            if before is not None and after is not None:
                only_worse = self._known.get("only_worse", False)
                yield from validation_failures(
                    recipe, objective, before, after, only_worse=only_worse
                )


def _compared(steps: int) -> int:
    """Return how many losses at the beginning and at the end of a run are compared."""
    return max(1, min(10, steps // 4))


def _saved(
    training: TrainingClient,
    name: str,
    sampler_name: str,
    metadata: Mapping[str, str] | None = None,
) -> tuple[str, str]:
    """Save state and weights, and return their paths: to train on from, and to sample from."""
    state = training.save_state(name, overwrite=True, user_metadata=metadata)
    weights = training.save_weights_for_sampler(sampler_name)
    paths = state.result().path, weights.result().path
    if not paths[0] or not paths[1]:
        raise DecodeError("the server saved the weights and gave no path")
    return paths[0], paths[1]


def delete(service: ServiceClient, paths: Collection[str]) -> None:
    """Delete checkpoints that are not needed any more; one that stays costs storage alone."""
    rest = service.create_rest_client()
    for path in sorted(paths):
        with contextlib.suppress(TinkexError):
            rest.delete_checkpoint(path)


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
