"""Saving, loading and copying weights."""

import shutil
import uuid
from pathlib import Path
from typing import Any

from tinkex_generated.models import (
    CopyWeightsResponse,
    LoadWeightsResponse,
    OptimizerConfig,
    SaveWeightsForSamplerResponseInternal,
    SaveWeightsResponse,
    UntypedAPIFuture,
    WeightsInfoResponse,
)

from tinkex._base.checkpoint_path import CheckpointKind, CheckpointPath
from tinkex.local.app_state import AppState
from tinkex.local.call import Call
from tinkex.local.checkpoints import already_there
from tinkex.local.engine import OPTIMIZERS, Trainer, saved_optimizer
from tinkex.local.live import LiveModel, LiveSampler
from tinkex.local.manifest import weight_files
from tinkex.local.paths import check_name, parse_path, path_of
from tinkex.local.problem import Problem
from tinkex.local.routes.models import create_from_weights, load_into
from tinkex.local.routes.training import submit


def save_weights(state: AppState, call: Call) -> UntypedAPIFuture:
    """Save weights and optimizer state under a name."""
    body = call.body
    path = promised_path(body, "weights")

    def work(trainer: Trainer) -> SaveWeightsResponse:
        _save(state, trainer, path, body, optimizer=True, overwrite=bool(body.overwrite))
        return SaveWeightsResponse(path=str(path))

    return submit_save(state, call, path, work, overwrite=bool(body.overwrite))


def save_weights_for_sampler(state: AppState, call: Call) -> UntypedAPIFuture:
    """Save weights for sampling: under a name, or for one sampling session alone."""
    body = call.body
    if body.sampling_session_seq_id is not None:
        if body.path is not None:
            raise Problem(400, "path and sampling_session_seq_id exclude each other")
        return _save_ephemeral(state, call)
    path = promised_path(body, "sampler_weights")

    def work(trainer: Trainer) -> SaveWeightsForSamplerResponseInternal:
        _save(state, trainer, path, body, optimizer=False, overwrite=False)
        return SaveWeightsForSamplerResponseInternal(path=str(path))

    return submit_save(state, call, path, work, overwrite=False)


def load_weights(state: AppState, call: Call) -> UntypedAPIFuture:
    """Load a checkpoint into a model, or start a model from it.

    The hosted service takes `model_id` only as a model's first request; here it may come at any
    time.
    """
    body = call.body
    path = parse_path(body.path)
    if path.kind != "weights":
        raise Problem(
            400, f"{path} holds weights for sampling only: training resumes from a 'weights' path"
        )
    if body.model_id is None:
        if body.session_id is None or body.model_seq_id is None:
            raise Problem(400, "either model_id, or session_id and model_seq_id are needed")
        return create_from_weights(state, call)
    model = state.models.get(body.model_id)

    def admit() -> None:
        run = state.runs.get(path.training_run_id)
        if run.base_model != model.base_model:
            raise Problem(
                400, f"{path} was trained from {run.base_model!r}, not {model.base_model!r}"
            )
        if not _is_promised(state, path):
            state.checkpoints.get(path)

    def work(_: Trainer) -> LoadWeightsResponse:
        folder = state.checkpoints.folder(state.checkpoints.get(path))
        load_into(state, model, folder, body)
        state.audit.add("checkpoint", "read", tinker_path=body.path, purpose="training")
        return LoadWeightsResponse(path=body.path, model_id=model.model_id)

    return submit(state, call, work, admit=admit)


def weights_info(state: AppState, call: Call) -> WeightsInfoResponse:
    """Return the base model and the settings of a checkpoint."""
    record, run = state.weights_at(call.body.tinker_path)
    optimizer = saved_optimizer(state.checkpoints.folder(record)) or OPTIMIZERS[0]
    return WeightsInfoResponse(
        base_model=run.base_model,
        is_lora=True,
        lora_rank=run.lora_rank,
        train_unembed=run.train_unembed,
        train_mlp=run.train_mlp,
        train_attn=run.train_attn,
        optimizer_config=OptimizerConfig(type_=optimizer),
    )


def copy_weights(state: AppState, call: Call) -> CopyWeightsResponse:
    """Copy a checkpoint into a new run, which cannot be trained."""
    body = call.body
    record, run = state.weights_at(body.source_path)
    by_session = body.session_id is not None and body.model_seq_id is not None
    if not by_session and body.destination_project_id is None:
        raise Problem(400, "either session_id and model_seq_id, or destination_project_id, needed")
    if by_session:
        state.active_session(body.session_id)
    source = state.checkpoints.folder(record)
    state.audit.add("checkpoint", "read", tinker_path=body.source_path, purpose="copy")

    def make() -> CopyWeightsResponse:
        owner = f"{body.session_id}:train:{body.model_seq_id}" if by_session else None
        path = CheckpointPath(
            owner or f"copy-{uuid.uuid4().hex[:20]}", record.path.kind, record.path.name
        )
        state.runs.create(
            path.training_run_id,
            session_id=body.session_id,
            base_model=run.base_model,
            lora_rank=run.lora_rank,
            train_attn=run.train_attn,
            train_mlp=run.train_mlp,
            train_unembed=run.train_unembed,
            user_metadata=run.user_metadata,
            project_id=body.destination_project_id,
        )
        state.checkpoints.save(
            path,
            lambda folder: _copy_files(source, folder),
            ttl_seconds=body.ttl_seconds,
            user_metadata=record.user_metadata,
        )
        return CopyWeightsResponse(tinker_path=str(path))

    if not by_session:
        return make()
    digest = state.digest(call.operation_id, body)
    return state.keyed.once("model_seq_id", body.session_id, body.model_seq_id, digest, make)


def promised_path(body: Any, kind: CheckpointKind) -> CheckpointPath:
    """Return where this save goes; the server names what has no name."""
    name = body.path
    if name is None:
        name = f"seq{body.seq_id:06d}" if body.seq_id else f"save-{uuid.uuid4().hex[:12]}"
    return path_of(body.model_id, kind, check_name(name))


def submit_save(
    state: AppState, call: Call, path: CheckpointPath, work: Any, *, overwrite: bool
) -> UntypedAPIFuture:
    """Queue a save, and reserve its name meanwhile."""
    model = state.models.get(call.body.model_id)

    def admit() -> None:
        taken = str(path) in model.promised_names or state.checkpoints.exists(path)
        if taken and not overwrite:
            raise already_there(path)
        model.promised_names.add(str(path))

    def run(trainer: Trainer) -> Any:
        try:
            result = work(trainer)
        finally:
            model.promised_names.discard(str(path))
        state.usage.add("checkpoint", model.base_model, model.session_id, 1)
        folder_id = state.checkpoints.get(path).folder_id
        state.shown_samples.saved(folder_id, model.model_id, model.meter.step, path.name)
        state.run_log.add(
            model.model_id, f"saved {path.kind}/{path.name} at step {model.meter.step}"
        )
        return result

    return submit(state, call, run, admit=admit)


def _save_ephemeral(state: AppState, call: Call) -> UntypedAPIFuture:
    body = call.body
    model = state.models.get(body.model_id)

    def admit() -> None:
        state.keyed.once(
            "sampling_session_seq_id",
            model.session_id,
            body.sampling_session_seq_id,
            state.digest(call.operation_id, body),
            lambda: True,
        )

    def work(trainer: Trainer) -> SaveWeightsForSamplerResponseInternal:
        sampler_id = state.sessions.add_sampler(model.session_id, model.base_model, None)
        state.adapters.put(sampler_id, trainer.snapshot())
        step = model.meter.step
        state.shown_samples.saved(sampler_id, model.model_id, step, f"step {step}")
        sampler = LiveSampler(
            sampler_id, model.session_id, model.base_model, None, sampler_id, None
        )
        state.samplers.add(sampler_id, model.session_id, sampler)
        return SaveWeightsForSamplerResponseInternal(sampling_session_id=sampler_id)

    return submit(state, call, work, admit=admit)


def _save(
    state: AppState,
    trainer: Trainer,
    path: CheckpointPath,
    body: Any,
    *,
    optimizer: bool,
    overwrite: bool,
) -> None:
    state.checkpoints.save(
        path,
        lambda folder: trainer.save(folder, optimizer),
        ttl_seconds=body.ttl_seconds,
        overwrite=overwrite,
        user_metadata=body.user_metadata,
    )


def _is_promised(state: AppState, path: CheckpointPath) -> bool:
    models: list[LiveModel] = list(state.models.all())
    return any(str(path) in model.promised_names for model in models)


def _copy_files(source: Path, target: Path) -> None:
    for file in weight_files(source):
        shutil.copyfile(file, target / file.name)


HANDLERS = {
    "save_weights": save_weights,
    "save_weights_for_sampler": save_weights_for_sampler,
    "load_weights": load_weights,
    "copy_weights": copy_weights,
    "weights_info": weights_info,
}
