"""Forward and backward passes and optimizer steps."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from attrs import evolve
from tinkex_generated.models import (
    AdamParams,
    DimuonParams,
    ForwardBackwardOutput,
    ForwardRequest,
    OptimStepResponse,
    TensorData,
    UntypedAPIFuture,
)

from tinkex.local import provenance
from tinkex.local.app_state import AppState
from tinkex.local.call import Call
from tinkex.local.engine import LOSSES, AdamSpec, DimuonSpec, Example, LossOutput, Trainer
from tinkex.local.engine_thread import Job
from tinkex.local.live import LiveModel
from tinkex.local.loss_pass import CUSTOM, LossPass, write_validation_loss
from tinkex.local.problem import Problem
from tinkex.local.provenance import check_spans, recorded_inputs
from tinkex.local.tensors import prompt_tokens, tensor

OUTPUT_TYPE = "TorchLossReturn"


def submit(
    state: AppState,
    call: Call,
    work: Callable[[Trainer], Any],
    *,
    admit: Callable[[], None] | None = None,
) -> UntypedAPIFuture:
    """Queue work on a model in the order of its `seq_id`.

    `admit` is asked once per new request, before its number is used; it may raise a problem.
    """
    body = call.body
    model = state.models.get(body.model_id)
    state.active_session(model.session_id)

    def make() -> Job:
        if admit is not None:
            admit()
        promise = state.promises.open(model.session_id, call.operation_id, model.model_id)
        return Job(promise, lambda: work(model.ready()))

    request_id = model.turns.submit(body.seq_id, state.digest(call.operation_id, body), make)
    state.runs.touch(model.model_id)
    return UntypedAPIFuture(request_id=request_id, model_id=model.model_id)


def forward(state: AppState, call: Call) -> UntypedAPIFuture:
    """Compute the loss and the logprobs of the targets."""
    model = state.models.get(call.body.model_id)
    one_pass = _read_pass(state, model, call.body.forward_input, "forward_input")
    return submit(state, call, lambda trainer: loss_output(one_pass.forward(trainer)))


def forward_backward(state: AppState, call: Call) -> UntypedAPIFuture:
    """Compute the loss and accumulate its gradient.

    In the binary form a forward pass comes this way too.
    """
    if isinstance(call.body, ForwardRequest):
        return forward(state, evolve(call, operation_id="forward"))
    model = state.models.get(call.body.model_id)
    one_pass = _read_pass(state, model, call.body.forward_backward_input, "forward_backward_input")
    return submit(state, call, lambda trainer: loss_output(one_pass.forward_backward(trainer)))


def optim_step(state: AppState, call: Call) -> UntypedAPIFuture:
    """Apply the accumulated gradient with the model's optimizer."""
    model = state.models.get(call.body.model_id)
    spec = _step_settings(call.body, model.optimizer)

    def work(trainer: Trainer) -> OptimStepResponse:
        metrics, meter = trainer.optim_step(spec), model.meter
        if meter.asks_first and meter.validation_loss is not None:
            write_validation_loss(state, model)
        found = meter.stepped(spec, metrics)
        if meter.settings != meter.written_settings:
            meter.written_settings = dict(meter.settings)
            state.metrics.set_settings(model.model_id, meter.settings)
        state.metrics.write(model.model_id, meter.step, found)
        return OptimStepResponse(metrics=metrics)

    return submit(state, call, work)


def _read_pass(state: AppState, model: LiveModel, source: Any, key: str) -> LossPass:
    """Return the examples, the loss and its settings of a forward or forward_backward request."""
    available = (*LOSSES, CUSTOM)
    if source.loss_fn not in available:
        raise Problem(
            400, f"loss {source.loss_fn!r} is not available here: there are {', '.join(available)}"
        )
    look = partial(state.image_tokens, model.base_model)
    examples = []
    for index, datum in enumerate(source.data):
        loc = ("body", key, "data", index)
        inputs = {
            name: tensor(value, (*loc, "loss_fn_inputs", name))
            for name, value in datum.loss_fn_inputs.items()
        }
        tokens = prompt_tokens(datum.model_input, (*loc, "model_input"), look)
        check_spans(datum, tokens, inputs, loc)
        if source.loss_fn == provenance.LOSS:
            inputs = recorded_inputs(state.recordings, model.session_id, datum, tokens, inputs, loc)
        examples.append(Example(tokens, inputs))
    return LossPass(state, model, examples, source.loss_fn, source.loss_fn_config)


def loss_output(output: LossOutput) -> ForwardBackwardOutput:
    """Return the API's form of the engine's result."""
    return ForwardBackwardOutput(
        loss_fn_output_type=OUTPUT_TYPE,
        loss_fn_outputs=[
            {
                "logprobs": TensorData(
                    data=cast("list[float]", logprobs.reshape(-1)),
                    dtype="float32",
                    shape=list(logprobs.shape),
                )
            }
            for logprobs in output.logprobs
        ],
        metrics=output.metrics,
    )


def _step_settings(body: Any, optimizer: str) -> AdamSpec | DimuonSpec:
    """Return the settings of a step, which have to be those of the model's optimizer."""
    adam, other = body.adam_params, body.optimizer_params
    if adam is not None and other is not None:
        raise Problem(400, "adam_params and optimizer_params exclude each other")
    if (optimizer == "adamw") != (other is None):
        wanted = "adam_params" if optimizer == "adamw" else "optimizer_params of type 'dimuon'"
        raise Problem(400, f"this model was created with the optimizer {optimizer}: send {wanted}")
    return _adam(adam or AdamParams()) if other is None else _dimuon(other)


def _dimuon(params: DimuonParams) -> DimuonSpec:
    given = {name: getattr(params, name) for name in ("learning_rate", "beta1", "grad_clip_norm")}
    return DimuonSpec(**{name: float(value) for name, value in given.items() if value is not None})


def _adam(params: AdamParams) -> AdamSpec:
    """Return the engine's settings; null means the default."""
    defaults = AdamSpec()
    names = ("learning_rate", "beta1", "beta2", "eps", "weight_decay", "grad_clip_norm")
    given = {name: getattr(params, name) for name in names}
    return AdamSpec(
        **{
            name: getattr(defaults, name) if value is None else float(value)
            for name, value in given.items()
        }
    )


HANDLERS = {
    "forward": forward,
    "forward_backward": forward_backward,
    "optim_step": optim_step,
}
