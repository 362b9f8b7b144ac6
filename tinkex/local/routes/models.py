"""Creating, describing and unloading models."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinkex_generated.models import (
    CreateModelResponse,
    GetInfoResponse,
    LoadWeightsResponse,
    ModelData,
    OptimizerConfig,
    UnloadModelResponse,
    UntypedAPIFuture,
)

from tinkex.local.app_state import AppState
from tinkex.local.call import Call, light
from tinkex.local.engine import OPTIMIZERS, EngineError, LoraSpec, Trainer, saved_optimizer
from tinkex.local.engine_thread import Job
from tinkex.local.live import LiveModel
from tinkex.local.problem import Problem, misfit
from tinkex.local.sequence_queue import SequenceQueue

DEFAULT_RANK = 32
MAX_RANK = 512


def create_model(state: AppState, call: Call) -> UntypedAPIFuture:
    """Start a new adapter on a base model."""
    body = call.body
    state.active_session(body.session_id)
    state.bases.check(body.base_model)
    lora = _lora(body.lora_config)
    optimizer = _optimizer(body.optimizer_config) or OPTIMIZERS[0]

    def make() -> UntypedAPIFuture:
        return begin(
            state,
            session_id=body.session_id,
            model_seq_id=body.model_seq_id,
            base_model=body.base_model,
            lora=lora,
            optimizer=optimizer,
            user_metadata=body.user_metadata,
            prepare=lambda model: CreateModelResponse(model_id=model.model_id),
            operation=call.operation_id,
        )

    digest = state.digest(call.operation_id, body)
    return state.keyed.once("model_seq_id", body.session_id, body.model_seq_id, digest, make)


def create_from_weights(state: AppState, call: Call) -> UntypedAPIFuture:
    """Start a model from a checkpoint: `load_weights` with `session_id` and `model_seq_id`."""
    body = call.body
    state.active_session(body.session_id)
    wanted = _optimizer(body.optimizer_config)

    def make() -> UntypedAPIFuture:
        record, run = state.weights_at(body.path)
        if body.base_model not in (None, run.base_model):
            raise Problem(
                400, f"{body.path} was trained from {run.base_model!r}, not {body.base_model!r}"
            )
        folder = state.checkpoints.folder(record)
        saved = saved_optimizer(folder)
        if body.optimizer and wanted not in (None, saved):
            raise Problem(
                400,
                f"{body.path} holds the state of {saved}, not {wanted}: load it without the optimizer,"
                " or leave optimizer_config out",
            )
        state.audit.add("checkpoint", "read", tinker_path=body.path, purpose="training")

        def prepare(model: LiveModel) -> LoadWeightsResponse:
            load_into(state, model, folder, body)
            return LoadWeightsResponse(path=body.path, model_id=model.model_id)

        return begin(
            state,
            session_id=body.session_id,
            model_seq_id=body.model_seq_id,
            base_model=state.bases.check(run.base_model),
            lora=LoraSpec(
                rank=run.lora_rank,
                train_attn=run.train_attn,
                train_mlp=run.train_mlp,
                train_unembed=run.train_unembed,
            ),
            optimizer=wanted or saved or OPTIMIZERS[0],
            user_metadata=body.user_metadata,
            prepare=prepare,
            operation=call.operation_id,
        )

    digest = state.digest(call.operation_id, body)
    return state.keyed.once("model_seq_id", body.session_id, body.model_seq_id, digest, make)


def begin(
    state: AppState,
    *,
    session_id: str,
    model_seq_id: int,
    base_model: str,
    lora: LoraSpec,
    optimizer: str,
    user_metadata: dict[str, str] | None,
    prepare: Callable[[LiveModel], Any],
    operation: str,
) -> UntypedAPIFuture:
    """Enter a training run and queue the making of its trainer; `prepare` ends the job."""
    model_id = f"{session_id}:train:{model_seq_id}"
    session = state.sessions.get(session_id)
    try:
        state.runs.create(
            model_id,
            session_id=session_id,
            base_model=base_model,
            lora_rank=lora.rank,
            train_attn=lora.train_attn,
            train_mlp=lora.train_mlp,
            train_unembed=lora.train_unembed,
            user_metadata=user_metadata,
            project_id=session.project_id,
        )
    except sqlite3.IntegrityError as error:
        raise Problem(409, f"training run {model_id!r} already exists") from error
    turns = SequenceQueue(lambda job: state.engine.put(model_id, job))
    model = LiveModel(model_id, session_id, base_model, lora, turns, optimizer)

    def run() -> Any:
        try:
            model.trainer = Trainer(state.bases.get(base_model).base, lora, optimizer=optimizer)
            state.run_log.add(model_id, f"created on {base_model}, rank {lora.rank}")
            return prepare(model)
        except Exception as error:
            model.trainer = None
            model.failure = f"it could not be created: {error}"
            raise

    promise = state.promises.open(session_id, operation, model_id)
    state.models.add(model_id, session_id, model)
    state.engine.put(model_id, Job(promise, run))
    return UntypedAPIFuture(request_id=promise.request_id, model_id=model_id)


def load_into(state: AppState, model: LiveModel, folder: Path, body: Any) -> None:
    """Load a checkpoint's folder; errors name the path that the user knows it by."""
    trainer, meter = model.ready(), model.meter
    try:
        trainer.load(folder, body.optimizer)
    except EngineError as error:
        raise EngineError(str(error).replace(folder.name, body.path)) from error
    except FileNotFoundError as error:
        raise Problem(404, f"checkpoint {body.path} was deleted meanwhile") from error
    # A fresh optimizer counts from 0; the charts of the run continue.
    meter.moved(trainer.step if body.optimizer else meter.step)
    if body.optimizer:
        state.metrics.rewind(model.model_id, meter.step)
    restored = "with the optimizer's state" if body.optimizer else "with a fresh optimizer"
    state.run_log.add(model.model_id, f"loaded {body.path} {restored}, at step {meter.step}")


@light
def get_info(state: AppState, call: Call) -> GetInfoResponse:
    """Describe a model in training."""
    model = state.models.get(call.body.model_id)
    return GetInfoResponse(
        model_id=model.model_id,
        model_data=ModelData(model_name=model.base_model, tokenizer_id=model.base_model),
        is_lora=True,
        lora_rank=model.lora.rank,
        model_name=model.base_model,
        optimizer_config=OptimizerConfig(type_=model.optimizer),
    )


def unload_model(state: AppState, call: Call) -> UntypedAPIFuture:
    """Free a model once the requests it already has are done."""
    model = state.models.get(call.body.model_id)
    state.active_session(model.session_id)
    promise = state.promises.open(model.session_id, call.operation_id, model.model_id)

    def run() -> UnloadModelResponse:
        model.trainer = None
        state.run_log.add(model.model_id, "the model was unloaded")
        state.models.remove(model.model_id)
        for job in model.turns.close():
            state.fail(job.promise, Problem(400, f"model {model.model_id!r} was unloaded"))
        return UnloadModelResponse(model_id=model.model_id)

    state.engine.put(model.model_id, Job(promise, run))
    return UntypedAPIFuture(request_id=promise.request_id, model_id=model.model_id)


def _lora(config: Any) -> LoraSpec:
    if config is None:
        return LoraSpec(rank=DEFAULT_RANK)
    if config.rank > MAX_RANK:
        raise misfit(("body", "lora_config", "rank"), f"must be at most {MAX_RANK}")
    flags = {
        name: getattr(config, name) is not False
        for name in ("train_attn", "train_mlp", "train_unembed")
    }
    if not any(flags.values()):
        raise misfit(
            ("body", "lora_config"), "one of train_attn, train_mlp and train_unembed must be true"
        )
    return LoraSpec(rank=config.rank, seed=config.seed, **flags)


def _optimizer(config: Any) -> str | None:
    """Return the name of the optimizer that is asked for, or None."""
    if config is None:
        return None
    if config.type_ not in OPTIMIZERS:
        raise Problem(
            400,
            f"optimizer {config.type_!r} is not available here: there are {', '.join(OPTIMIZERS)}",
        )
    if config.version not in (None, 1):
        raise Problem(
            400, f"version {config.version} of {config.type_} is not available here: 1 is"
        )
    name: str = config.type_
    return name


HANDLERS = {"create_model": create_model, "get_info": get_info, "unload_model": unload_model}
