"""Call every public method of the newest official `tinker` client, and say what is refused and why.

Run by tests/interop/run.py in a virtual environment that holds `tinker` and nothing of ours; the
server comes from TINKER_BASE_URL, tokenizers from HF_ENDPOINT, which is the same server. Each method
is called as it is and, where there is one, as `…_async`. None may take longer than `PATIENCE_S`; one
that this script does not know is a failure too, so that a new version of the client is noticed.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import tinker
from official_client import ADAM, MODEL, RANK, TEXT, check, datum, logprobs_of, tensor, weighted
from tinker import types

PATIENCE_S = 60.0
# The model that sees, how many tokens an image takes in it, and an image.
SEEING, PATCHES = "tinkex/tiny-vision", 64
PICTURE = Path(__file__).resolve().parents[2] / "examples" / "assets" / "vision_sample.png"

# What the local server does not do, or the environment does not have, by the start of the reason.
EXPECTED_REFUSALS = {
    "ServiceClient.create_custom_loss": "PyTorch is not installed",
    "TrainingClient.forward_backward_custom": "PyTorch is not installed",
    "RestClient.whoami": "whoami",
}

# Not calls of the service: what other code of the client calls, or a constructor of its own.
NOT_CALLS = {"SamplingClient.create", "SamplingClient.on_queue_state_change"}

# An object, and the arguments of one call of a method of it.
Call = tuple[Any, tuple[Any, ...], dict[str, Any]]


class World:
    """The clients and checkpoints that the calls use."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.service = tinker.ServiceClient(user_metadata={"who": "interop"})
        self.training = self.service.create_lora_training_client(MODEL, rank=RANK).result()
        self.sampler = self.training.save_weights_and_get_sampling_client().result()
        self.rest = self.service.create_rest_client()
        self.admin = tinker.AdminClient()
        self.state = self.training.save_state("state").result().path
        self.weights = self.training.save_weights_for_sampler("weights").result().path
        self.export = self.training.save_weights_external("export").result().path
        self.run_id = self.training.get_info().model_id
        self.session_id = self.run_id.partition(":")[0]
        self.training.forward_backward([weighted()], "cross_entropy").result()

    def name(self) -> str:
        return f"n{next(self.numbers)}"

    def fresh(self) -> Any:
        """Return a model that nothing was asked of."""
        return self.service.create_lora_training_client(MODEL, rank=RANK).result()

    def saved(self) -> str:
        """Return the path of a checkpoint of its own."""
        return str(self.training.save_weights_for_sampler(self.name()).result().path)


def calls(w: World) -> dict[str, Callable[[], Call]]:
    """Return how each method is called."""
    prompt = types.ModelInput.from_ints(TEXT)
    params = types.SamplingParams(max_tokens=3, seed=1)
    day = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = ((day - timedelta(hours=1)).isoformat(), (day + timedelta(hours=1)).isoformat())
    rest, run_id, session = w.rest, w.run_id, w.session_id

    def call(owner: Any, *args: Any, **kwargs: Any) -> Callable[[], Call]:
        return lambda: (owner, args, kwargs)

    asked = {
        "include_prompt_logprobs": True,
        "topk_prompt_logprobs": 2,
        "topk_sample_logprobs": 2,
        "target_prompt_logprobs": types.TensorData(
            data=[7, -1] * (len(TEXT) - 1), dtype="int64", shape=[len(TEXT) - 1, 2]
        ),
        "prompt_alt_tokens_k": 2,
        "prompt_logprobs_last_n": 3,
    }
    return {
        "ServiceClient.get_server_capabilities": call(w.service),
        "ServiceClient.get_telemetry": call(w.service),
        "ServiceClient.get_console_url": call(w.service),
        "ServiceClient.create_rest_client": call(w.service),
        "ServiceClient.create_lora_training_client": call(w.service, MODEL, rank=RANK),
        "ServiceClient.create_training_client_from_state": call(w.service, w.state),
        "ServiceClient.create_training_client_from_state_with_optimizer": call(w.service, w.state),
        "ServiceClient.create_sampling_client": call(w.service, model_path=w.weights),
        "ServiceClient.create_custom_loss": call(
            w.service, lambda logprobs: (logprobs.sum(), {}), {}
        ),
        "ServiceClient.copy_weights": call(w.service, w.weights),
        "TrainingClient.get_info": call(w.training),
        "TrainingClient.get_telemetry": call(w.training),
        "TrainingClient.get_console_url": call(w.training),
        "TrainingClient.get_tokenizer": call(w.training),
        "TrainingClient.forward": call(w.training, [weighted()], "cross_entropy"),
        "TrainingClient.forward_backward": call(w.training, [weighted()], "cross_entropy"),
        "TrainingClient.forward_backward_custom": call(
            w.training, [weighted()], lambda data, logprobs: (logprobs[0].sum(), {})
        ),
        "TrainingClient.optim_step": call(w.training, ADAM),
        "TrainingClient.save_state": lambda: (w.training, (w.name(),), {"ttl_seconds": 3600}),
        "TrainingClient.save_weights_for_sampler": lambda: (w.training, (w.name(),), {}),
        "TrainingClient.save_weights_external": lambda: (w.training, (w.name(),), {}),
        "TrainingClient.save_weights_and_get_sampling_client": call(w.training, kind="inflight"),
        "TrainingClient.create_sampling_client": call(w.training, w.weights),
        "TrainingClient.load_state": lambda: (w.fresh(), (w.state,), {}),
        "TrainingClient.load_state_with_optimizer": lambda: (w.fresh(), (w.state,), {}),
        "SamplingClient.sample": call(w.sampler, prompt, 2, params, **asked),
        "SamplingClient.compute_logprobs": call(w.sampler, prompt, 2),
        "SamplingClient.get_base_model": call(w.sampler),
        "SamplingClient.get_telemetry": call(w.sampler),
        "SamplingClient.get_tokenizer": call(w.sampler),
        "SamplingClient.get_sampler_handle": call(w.sampler),
        "SamplingClient.from_sampler_handle": lambda: (
            tinker.SamplingClient,
            (w.sampler.get_sampler_handle(),),
            {},
        ),
        "RestClient.get_server_capabilities": call(rest),
        "RestClient.get_telemetry": call(rest),
        "RestClient.whoami": call(rest),
        "RestClient.list_training_runs": call(rest),
        "RestClient.get_training_run": call(rest, run_id),
        "RestClient.get_training_run_by_tinker_path": call(rest, w.state),
        "RestClient.get_weights_info_by_tinker_path": call(rest, w.state),
        "RestClient.list_checkpoints": call(rest, run_id),
        "RestClient.list_user_checkpoints": call(rest),
        "RestClient.set_checkpoint_ttl_from_tinker_path": call(rest, w.weights, 7200),
        "RestClient.publish_checkpoint_from_tinker_path": lambda: (rest, (w.saved(),), {}),
        "RestClient.unpublish_checkpoint_from_tinker_path": lambda: (rest, (published(w),), {}),
        "RestClient.delete_checkpoint": lambda: (
            rest,
            (run_id, w.saved().partition(f"{run_id}/")[2]),
            {},
        ),
        "RestClient.delete_checkpoint_from_tinker_path": lambda: (rest, (w.saved(),), {}),
        "RestClient.copy_weights": call(rest, w.weights, destination_project_id="p"),
        "RestClient.get_external_weights_urls": call(rest, w.export),
        "RestClient.list_sessions": call(rest),
        "RestClient.get_session": call(rest, session),
        "RestClient.search_sessions": call(rest, types.SessionSearchRequest(session_id=session)),
        "RestClient.assign_session_project": call(rest, session, "p"),
        "RestClient.export_session_trace": call(rest, session),
        "RestClient.get_sampler": call(rest, w.sampler._sampling_session_id),
        "RestClient.get_audit_log": call(rest),
        "RestClient.get_billing_usage": call(rest, *hours),
        "RestClient.get_current_checkpoint_storage_usage": call(rest),
        "AdminClient.get_telemetry": call(w.admin),
        "AdminClient.get_audit_log": call(w.admin),
        "AdminClient.get_billing_usage": call(w.admin, *hours),
        "AdminClient.get_current_checkpoint_storage_usage": call(w.admin),
        "ServiceClient.close": call(w.service, "success"),
    }


def published(w: World) -> str:
    path = w.saved()
    w.rest.publish_checkpoint_from_tinker_path(path).result()
    return path


def refusals(w: World) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield mistakes of a user: each is an error at once, and the model takes the next request."""
    own = logprobs_of(w.training.forward([weighted()], "cross_entropy").result())
    rl = datum(logprobs=own, advantages=[1.0] * len(own))
    wrong = types.Datum(
        model_input=types.ModelInput.from_ints(TEXT),
        loss_fn_inputs={"target_tokens": tensor(TEXT[1:], "int64")},
    )
    train = w.training
    yield "a checkpoint name with a slash", lambda: train.save_state("a/b").result()
    yield "a name that is taken", lambda: train.save_state("state").result()
    yield (
        "a name that is taken, for sampling",
        lambda: train.save_weights_for_sampler("weights").result(),
    )
    yield (
        "a name that is taken, for an export",
        lambda: train.save_weights_external("export").result(),
    )
    yield "a time to live below an hour", lambda: train.save_state("t", ttl_seconds=60).result()
    yield (
        "an encrypted export",
        lambda: train.save_weights_external("e", age_encryption_recipients=["age1x"]).result(),
    )
    yield "a loss that is not there", lambda: train.forward_backward([rl], "made_up").result()
    yield (
        "a setting that is not there",
        lambda: train.forward_backward([rl], "ppo", {"epsilon": 1.0}).result(),
    )
    yield (
        "1,500 data of a loss without its inputs",
        lambda: train.forward_backward([weighted()] * 1500, "stable_reinforce").result(),
    )
    yield "targets of another length", lambda: train.forward([wrong], "cross_entropy").result()
    yield (
        "the settings of another optimizer",
        lambda: train.optim_step(types.DimuonParams(learning_rate=0.1)).result(),
    )
    yield (
        "weights that are not there",
        lambda: train.load_state(f"tinker://{w.run_id}/weights/none").result(),
    )
    yield (
        "a published checkpoint, again",
        lambda: (
            w.rest.publish_checkpoint_from_tinker_path(published(w)).result()
            or w.rest.publish_checkpoint_from_tinker_path(w.weights).result()
        ),
    )


def stable_reinforce(w: World) -> str:
    """Sample with stability information, and train on what was sampled."""
    sampler = w.training.save_weights_and_get_sampling_client(record_stability_info=True).result()
    params = types.SamplingParams(max_tokens=4, seed=3, stop=[])
    answer = sampler.sample(types.ModelInput.from_ints(TEXT[:3]), 2, params).result()
    data = []
    for sequence, advantage in zip(answer.sequences, (1.0, -1.0), strict=True):
        whole, name = TEXT[:3] + list(sequence.tokens), sequence.sequence_id
        plain = types.Datum(
            model_input=types.ModelInput.from_ints(whole[:-1]),
            loss_fn_inputs={
                "target_tokens": tensor(whole[1:], "int64"),
                "advantages": tensor([0.0, 0.0] + [advantage] * 4, "float32"),
            },
        )
        prompt, sampled = types.PromptProvenanceSpan, types.SampledProvenanceSpan
        data.append(
            plain.with_provenance(
                model_input=[
                    prompt(sequence_id=name, length=3),
                    sampled(sequence_id=name, length=3),
                ],
                loss_fn_inputs=[
                    prompt(sequence_id=name, offset=1, length=2),
                    sampled(sequence_id=name, length=4),
                ],
            )
        )
    passed = w.training.forward_backward(data, "stable_reinforce", {"kl_coeff": 0.01}).result()
    w.training.optim_step(ADAM).result()
    ratio = passed.metrics["ratio:max"]
    check(abs(ratio - 1) < 1e-2, f"ratio {ratio} on-policy")
    return f"loss {passed.metrics['loss:sum']:.3f}"


def dimuon(w: World) -> str:
    """Train with Dimuon."""
    client = w.service.create_lora_training_client(
        MODEL, rank=RANK, optimizer=types.DimuonOptimizerConfig()
    ).result()
    losses = []
    for _ in range(6):
        passed = client.forward_backward([weighted()], "cross_entropy")
        client.optim_step(types.DimuonParams(learning_rate=0.02)).result()
        losses.append(passed.result().metrics["loss:sum"])
    check(losses[-1] < losses[0], f"the loss does not fall: {losses}")
    return f"loss {losses[0]:.2f} → {losses[-1]:.2f}"


def newer_results(w: World) -> str:
    """Read what the newest arguments of `sample` give."""
    method = calls(w)["SamplingClient.sample"]()
    answer = w.sampler.sample(*method[1], **method[2]).result()
    check(len(answer.sequences[0].topk_logprobs[0]) == 2, "top tokens of the sample")
    check(answer.target_prompt_logprobs.shape == [len(TEXT) - 1, 2], "target logprobs")
    check(answer.prompt_alt_tokens.tokens.shape == [len(TEXT) - 1, 2], "alternatives")
    scored = [p for p in answer.prompt_logprobs if p is not None]
    check(len(scored) == 3, f"{len(scored)} prompt logprobs, asked for the last 3")
    return "top tokens, target logprobs, alternatives, the last 3 prompt logprobs"


def tokenizer(w: World) -> str:
    """Load the tokenizer from the server."""
    found = w.training.get_tokenizer()
    text = "two and two"
    check(found.decode(found.encode(text)) == text, "decoding does not undo encoding")
    return type(found).__name__


def images(w: World) -> str:
    """Train on an image, and sample after it."""
    client = w.service.create_lora_training_client(SEEING, rank=RANK).result()
    chunk = types.ImageChunk(data=PICTURE.read_bytes(), format="png", expected_tokens=PATCHES)
    whole = types.ModelInput(chunks=[chunk, types.EncodedTextChunk(tokens=TEXT[:-1])])
    weights = [0.0] * (PATCHES - 1) + [1.0] * len(TEXT)
    lesson = types.Datum(
        model_input=whole,
        loss_fn_inputs={
            "target_tokens": tensor([0] * (PATCHES - 1) + TEXT, "int64"),
            "weights": tensor(weights, "float32"),
        },
    )
    losses = []
    for _ in range(8):
        passed = client.forward_backward([lesson], "cross_entropy")
        client.optim_step(ADAM).result()
        losses.append(passed.result().metrics["loss:sum"])
    check(losses[-1] < losses[0] / 2, f"the loss does not fall: {losses}")
    sampler = client.save_weights_and_get_sampling_client().result()
    params = types.SamplingParams(max_tokens=3, temperature=0.0)
    answer = sampler.sample(types.ModelInput(chunks=[chunk]), 1, params).result()
    check(len(answer.sequences[0].tokens) == 3, "not three tokens")
    return f"loss {losses[0]:.2f} → {losses[-1]:.2f}"


FEATURES = (tokenizer, newer_results, stable_reinforce, dimuon, images)


class Report:
    """What each call came to."""

    def __init__(self) -> None:
        self.bad = 0

    def line(self, outcome: str, name: str, text: str, took: float) -> None:
        self.bad += outcome in ("HANGS", "FAILED", "UNKNOWN")
        short = " ".join(str(text).split())[:150]
        print(f"  {outcome:8} {name:66} {took:5.1f} s  {short}", flush=True)


def within_patience(work: Callable[[], Any]) -> tuple[Any, BaseException | None, float] | None:
    """Return the result or the error of work, and its seconds; None if it does not end in time."""
    found: list[tuple[Any, BaseException | None, float]] = []
    started = time.monotonic()

    def run() -> None:
        try:
            found.append((work(), None, time.monotonic() - started))
        except BaseException as error:
            found.append((None, error, time.monotonic() - started))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return found[0] if found else None


def resolved(value: Any) -> Any:
    return value.result() if hasattr(value, "result") else value


async def awaited(value: Any) -> Any:
    while inspect.isawaitable(value):
        value = await value
    return value


def call_every_method(w: World, report: Report) -> None:
    known = calls(w)
    for name in sorted(set(public_methods()) - set(known) - NOT_CALLS):
        report.line("UNKNOWN", name, "this script does not call it", 0.0)
    for name, arguments in known.items():
        method = name.partition(".")[2]
        for form in (method, f"{method}_async"):
            if form != method and f"{name}_async" not in set(public_methods(twins=True)):
                continue
            if method == "close" and form != method:
                continue

            def work(form: str = form, method: str = method, arguments: Any = arguments) -> Any:
                owner, args, kwargs = arguments()
                called = getattr(owner, form)
                if form == method:
                    return resolved(called(*args, **kwargs))
                return asyncio.run(awaited(called(*args, **kwargs)))

            outcome = within_patience(work)
            label = f"{name.partition('.')[0]}.{form}"
            if outcome is None:
                report.line("HANGS", label, f"no answer in {PATIENCE_S:.0f} s", PATIENCE_S)
                continue
            value, error, took = outcome
            expected = EXPECTED_REFUSALS.get(name)
            if error is None:
                report.line("ok", label, type(value).__name__, took)
            elif expected is not None and expected.lower() in str(error).lower():
                report.line("refused", label, str(error), took)
            else:
                report.line("FAILED", label, f"{type(error).__name__}: {error}", took)


def make_mistakes(w: World, report: Report) -> None:
    for name, mistake in refusals(w):
        outcome = within_patience(mistake)
        after = within_patience(lambda: w.training.forward([weighted()], "cross_entropy").result())
        if outcome is None or after is None:
            which = "the refusal" if outcome is None else "the call after it"
            report.line("HANGS", name, f"{which} takes over {PATIENCE_S:.0f} s", PATIENCE_S)
        elif outcome[1] is None or after[1] is not None:
            why = "was not refused" if outcome[1] is None else f"the next call failed: {after[1]}"
            report.line("FAILED", name, why, outcome[2])
        else:
            text = f"{type(outcome[1]).__name__}: {outcome[1]}"
            report.line("refused", name, text, outcome[2] + after[2])


def public_methods(*, twins: bool = False) -> list[str]:
    """Return `Class.method` of every public method; those that end in _async only with `twins`."""
    classes = (
        tinker.ServiceClient,
        tinker.TrainingClient,
        tinker.SamplingClient,
        tinker.RestClient,
        tinker.AdminClient,
    )
    return [
        f"{cls.__name__}.{name}"
        for cls in classes
        for name, value in inspect.getmembers(cls, callable)
        if not name.startswith("_") and (twins or not name.endswith("_async"))
    ]


def main() -> int:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    # copy_weights wants a project to copy into.
    os.environ["TINKER_PROJECT_ID"] = "interop"
    print(f"tinker {tinker.__version__}, every method")
    report = Report()
    w = World()
    for feature in FEATURES:
        outcome = within_patience(lambda feature=feature: feature(w))
        label = feature.__name__.replace("_", " ")
        if outcome is None:
            report.line("HANGS", label, "", PATIENCE_S)
        else:
            value, error, took = outcome
            text = value if error is None else f"{type(error).__name__}: {error}"
            report.line("ok" if error is None else "FAILED", label, text, took)
    make_mistakes(w, report)
    call_every_method(w, report)
    print(f"  {report.bad} failures" if report.bad else "  none failed, none hung")
    return 1 if report.bad else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Calls that hang would keep the interpreter.
    os._exit(code)
