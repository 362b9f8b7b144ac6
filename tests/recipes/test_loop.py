"""The loop itself: always a step ahead, stopped between steps, and back after a loss."""

from __future__ import annotations

import concurrent.futures
import json
import math
from pathlib import Path
from typing import Any

import attrs
import pytest
from support.clock import FakeClock
from support.nano import NANO, nano_service

from tinkex import ServiceClient, Tokenizer, get_tokenizer
from tinkex._base.clock import SYSTEM_CLOCK
from tinkex.errors import CheckpointError, DivergedError, ValidationError
from tinkex.local import LocalServer
from tinkex.recipes import (
    Completion,
    Conversation,
    ExampleFile,
    Listener,
    Plan,
    Prepared,
    Recipe,
    Sampled,
    Sft,
    Source,
    StepReport,
    fine_tune,
    prepare,
    read_examples,
    train,
)
from tinkex.recipes.loop import Sent, _report
from tinkex.recipes.sft import mean_loss
from tinkex.recovery import RecoveryPolicy, ResumableRun, resumable
from tinkex.testing import Fault
from tinkex.tokenizer.chat import ChatTemplate
from tinkex.types import ForwardBackwardOutput, OptimStepResponse

__all__ = ["nano_service"]

TOKENIZER = get_tokenizer(NANO)
ROWS = [{"prompt": f"{n} is", "completion": f" {n}"} for n in range(1, 7)]
RECIPE = Recipe(base_model=NANO, rank=2, steps=6, batch_size=2, learning_rate=1e-2)


def prepared(**settings: Any) -> Prepared:
    return prepare(attrs.evolve(RECIPE, **settings), read_examples(ROWS), TOKENIZER)


def sft() -> Sft:
    return Sft(prepared())


def test_the_next_step_is_sent_before_the_last_one_is_answered(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """So the server always has one to go on with; there is no next one after the last."""
    sent = 0
    seen = []
    with resumable(tmp_path, nano_service, base_model=NANO, rank=2, seed=0) as run:
        send = run.training.train_step

        def counting(*arguments: Any) -> Any:
            nonlocal sent
            sent += 1
            return send(*arguments)

        run.training.train_step = counting
        for report in train(run, sft(), RECIPE):
            seen.append((report.step, sent))
    assert seen == [(1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 6)]


def test_steps_are_told_before_a_checkpoint_holds_them(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """Whoever crashes after it was saved finds every number written down."""
    told: list[int] = []
    saved: list[tuple[int, int]] = []

    class Told(Listener):
        def begun(self, run: ResumableRun) -> None:
            save = run.training.save_state

            def counting(name: str, *rest: Any, **more: Any) -> Any:
                saved.append((run.step, len(told)))
                return save(name, *rest, **more)

            run.training.save_state = counting

        def reported(self, report: StepReport) -> None:
            told.append(report.step)

    file = tmp_path / "data.jsonl"
    file.write_text('{"prompt": "a", "completion": "b"}\n' * 2)
    read = read_examples(file)
    plan = Plan(recipe=RECIPE, data=Source.of(read), checkpoint_every=2)
    ready = prepare(RECIPE, read, TOKENIZER)
    outcome = fine_tune(nano_service, plan, ready, tmp_path / "run", listener=Told())
    assert told == [1, 2, 3, 4, 5, 6]
    assert saved == [(2, 2), (4, 4), (6, 6), (6, 6)]
    assert outcome.finished
    assert Plan.read(tmp_path / "run").result == json.loads(json.dumps(outcome.to_dict()))


def test_a_loop_that_is_stopped_ends_with_what_was_sent(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """Every step that the model has taken is reported, and saved; the next process goes on there."""
    settings = {"base_model": NANO, "rank": 2, "seed": 0}
    steps: list[int] = []
    with resumable(tmp_path, nano_service, **settings) as run:
        for report in train(run, sft(), RECIPE, stop=lambda: len(steps) >= 2):
            steps.append(report.step)
    assert steps == [1, 2, 3]
    with resumable(tmp_path, nano_service, **settings) as run:
        assert run.resumed_from == 3
        assert [report.step for report in train(run, sft(), RECIPE)] == [4, 5, 6]


def test_a_lost_model_is_brought_back_and_its_steps_done_again(tmp_path: Path) -> None:
    """The losses are those of a run to which nothing happened."""
    found = []
    for fault in (None, Fault(on="forward_backward", nth=5, status=410)):
        with (
            LocalServer(
                data_dir=tmp_path / str(fault is None), faults=[fault] if fault else []
            ) as s,
            ServiceClient(base_url=s.base_url) as service,
            resumable(
                tmp_path / f"run-{fault is None}",
                service,
                base_model=NANO,
                rank=2,
                seed=0,
                checkpoint_every=2,
                policy=RecoveryPolicy(enabled=True, max_attempts=3),
                clock=FakeClock(),
            ) as run,
        ):
            found.append([(r.step, r.loss) for r in train(run, sft(), RECIPE)])
            assert not s.faults.waiting
    calm, rough = found
    assert dict(rough) == dict(calm)
    assert sorted({step for step, _ in rough}) == [1, 2, 3, 4, 5, 6]


def test_what_was_measured_before_a_loss_is_not_lost(tmp_path: Path) -> None:
    """Of a model that is lost before its first checkpoint, the result has what the first one said."""
    file = read_examples([{"prompt": f"{n} is", "completion": f" {n}"} for n in range(6)])
    recipe = Recipe(base_model=NANO, rank=2, steps=4, batch_size=2, held_out=0.3)
    plan = Plan(recipe=recipe, data=Source.of(file), samples=("1 is",))
    ready = prepare(recipe, file, TOKENIZER)
    found = []
    for fault in (None, Fault(on="forward_backward", nth=2, status=410)):
        folder = tmp_path / str(fault is None)
        with (
            LocalServer(data_dir=folder / "data", faults=[fault] if fault else []) as s,
            ServiceClient(base_url=s.base_url) as service,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(SYSTEM_CLOCK, "sleep", lambda _seconds: None)
            outcome = fine_tune(service, plan, ready, folder / "run")
            assert not s.faults.waiting
        found.append(
            (outcome.samples, outcome.held_out_loss_before, outcome.first_loss, outcome.last_loss)
        )
    assert found[0] == found[1]
    assert found[0][1] is not None


class Samples(Listener):
    """Keep the samples; from those of the untrained model on, the server plays these faults, too."""

    def __init__(self, server: LocalServer, *faults: Fault) -> None:
        self.found: dict[int, Any] = {}
        self._server, self._faults = server, faults

    def sampled(self, sample: Sampled) -> None:
        self._server.faults.add(*self._faults)
        self._faults = ()

    def sampled_at(self, step: int, samples: Any) -> None:
        self.found[step] = samples


def test_samples_are_drawn_at_each_checkpoint(tmp_path: Path) -> None:
    """From the weights of that step; a server that draws none then does not end the run."""
    file = read_examples([{"prompt": f"{n} is", "completion": f" {n}"} for n in range(6)])
    recipe = Recipe(base_model=NANO, rank=2, steps=6, batch_size=2, held_out=0)
    plan = Plan(recipe=recipe, data=Source.of(file), samples=("1 is",), checkpoint_every=2)
    ready = prepare(recipe, file, TOKENIZER)
    # Added when the untrained model has been sampled: a request that a busy machine repeats counts as well.
    refused = Fault(on="save_weights_for_sampler", status=400)
    for faults, steps in (([], [2, 4]), ([refused], [4])):
        with LocalServer() as server, ServiceClient(base_url=server.base_url) as service:
            listener = Samples(server, *faults)
            outcome = fine_tune(
                service, plan, ready, tmp_path / str(len(faults)) / "mine", listener=listener
            )
            assert outcome.finished
            assert list(listener.found) == steps
            assert all(pairs[0][0] == "1 is" for pairs in listener.found.values())
            shown = server._app_state.shown_samples.of_run(outcome.model_id)
            assert [one.step for one in shown] == [6, *reversed(steps), 0]
            assert all("1 is" in one.samples[0][0] for one in shown)
            run = service.create_rest_client().get_training_run(outcome.model_id)
    assert run.user_metadata is not None
    assert run.user_metadata["name"] == "mine"
    assert run.user_metadata["batch_size"] == "2"


def test_the_held_out_loss_is_that_of_the_weights_after_the_step(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """It is measured between two steps, without waiting for either."""
    method = Sft(attrs.evolve(prepared(), held_out=prepared().batches.examples))
    examples = prepared().batches.examples
    with resumable(tmp_path, nano_service, base_model=NANO, rank=2, seed=0) as run:
        at_first = mean_loss(run.training, examples)()
        reports = list(train(run, method, RECIPE, measured_at=lambda n: n % 3 == 0))
        at_last = mean_loss(run.training, examples)()
    measured = {r.step: r.held_out_loss for r in reports if r.held_out_loss is not None}
    assert list(measured) == [3, 6]
    assert measured[6] == at_last < measured[3] < at_first
    assert at_first == pytest.approx(math.log(TOKENIZER.vocab_size), rel=0.1)
    with pytest.raises(ValidationError, match="examples"):
        mean_loss(run.training, [])


def test_accumulated_gradients_are_those_of_the_whole_batch(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """A batch that is sent in three parts takes the same step, up to rounding, and has the same loss."""
    losses = []
    for parts in (1, 3):
        recipe = attrs.evolve(RECIPE, batch_size=6, gradient_accumulation=parts, steps=3)
        folder = tmp_path / str(parts)
        with resumable(folder, nano_service, base_model=NANO, rank=2, seed=0) as run:
            method = Sft(prepare(recipe, read_examples(ROWS), TOKENIZER))
            sent = method.send(run.training, 1, recipe.adam(0.01))
            assert len(sent.outputs) == parts
        with resumable(
            tmp_path / f"{parts}b", nano_service, base_model=NANO, rank=2, seed=0
        ) as run:
            losses.append([report.loss for report in train(run, method, recipe)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_loss_is_a_mean_over_what_counts(nano_service: ServiceClient, tmp_path: Path) -> None:
    """Per token, whatever the lengths, so that steps can be compared."""
    with resumable(tmp_path, nano_service, base_model=NANO, rank=2, seed=0) as run:
        first = next(iter(train(run, sft(), RECIPE)))
    batch = prepared().batches[0]
    with resumable(tmp_path / "b", nano_service, base_model=NANO, rank=2, seed=0) as run:
        output = run.training.forward([one.datum() for one in batch], "cross_entropy").result()
    assert first.loss == pytest.approx(output.loss / sum(one.weight for one in batch))
    assert first.tokens == sum(len(one.tokens) - 1 for one in batch)
    assert (first.step, first.epoch, first.learning_rate) == (1, 1 / 3, 1e-2)
    assert first.grad_norm is not None


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run(loss: float) -> None:
    """The weights are spoilt, so going on would be a waste."""
    output: Any = concurrent.futures.Future()
    output.set_result(
        ForwardBackwardOutput("scalar", [], {"loss:sum": loss}),
    )
    update: Any = concurrent.futures.Future()
    update.set_result(OptimStepResponse())
    sent = Sent([output], update, tokens=4, weight=2.0)
    with pytest.raises(DivergedError, match=r"step 3 is (nan|inf): .* learning rate than 0\.5"):
        _report(3, 0.5, sent, None, steps_per_epoch=1)


def test_a_server_that_gives_no_loss_has_not_diverged() -> None:
    """The loss of the step is then not known, and the run continues."""
    output: Any = concurrent.futures.Future()
    output.set_result(ForwardBackwardOutput("scalar", [], {}))
    update: Any = concurrent.futures.Future()
    update.set_result(OptimStepResponse())
    sent = Sent([output], update, tokens=4, weight=2.0)
    assert _report(3, 0.5, sent, None, steps_per_epoch=1).loss is None


def test_whole_lines_are_held_out(tmp_path: Path) -> None:
    """All examples of a line stay on one side; a file of its own takes the place of a share."""
    file = ExampleFile(tmp_path / "a", [Completion(n, "a", "b") for n in range(1, 11)], {}, "0")
    other = ExampleFile(tmp_path / "b", [Completion(1, "c", "d")], {}, "1")
    recipe = Recipe(base_model=NANO, held_out=0.3, batch_size=2, epochs=2)
    ready = prepare(recipe, file, TOKENIZER)
    held = {one.line for one in ready.held_out}
    assert len(held) == 3
    assert not held & {one.line for one in ready.batches.examples}
    assert ready.steps == 8
    with pytest.raises(ValidationError, match="not both"):
        prepare(recipe, file, TOKENIZER, held_out_file=other)
    apart = prepare(Recipe(base_model=NANO), file, TOKENIZER, held_out_file=other)
    assert (len(apart.batches.examples), len(apart.held_out)) == (10, 1)


def test_the_template_knows_what_the_recipe_tells_it(tmp_path: Path) -> None:
    """In every example, and in the prompts that show what was learned."""
    template = ChatTemplate(
        "t", {"default": "{{ mood }}{% for m in messages %}{{ m.content }}{% endfor %}"}
    )
    tokenizer = Tokenizer(TOKENIZER.backend, "t", chat_template=template)
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    file = ExampleFile(tmp_path / "a", [Conversation(1, messages, [0.0, 1.0])], {}, "0")
    recipe = Recipe(base_model=NANO, template_variables={"mood": "calm "})
    ready = prepare(recipe, file, tokenizer)
    assert list(ready.tokenized.examples[0].spans(tokenizer)) == [("calm a", 0.0), ("b", 1.0)]
    assert ready.chat.prompt([]) == "calm "
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_nothing_is_left_of_lines_that_are_all_too_long(tmp_path: Path) -> None:
    """The error says so, and names the file."""
    file = ExampleFile(tmp_path / "a", [Completion(1, "a", "b " * 50)], {}, "0")
    recipe = Recipe(base_model=NANO, too_long="skip")
    with pytest.raises(ValidationError, match="all 1 examples are longer than 20 tokens"):
        prepare(recipe, file, TOKENIZER, context_length=20)


def test_a_plan_can_be_written_down_and_read(tmp_path: Path) -> None:
    """What was read is the same plan; a folder without one says so."""
    source = Source(path="/somewhere", sha256="00")
    plan = Plan(recipe=RECIPE, data=source, held_out=source, samples=("a",), measure_every=3)
    plan.write(tmp_path)
    assert Plan.read(tmp_path) == plan
    with pytest.raises(CheckpointError, match="there is no run in"):
        Plan.read(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="cannot be written to"):
        plan.write(tmp_path / "finetune.json")
