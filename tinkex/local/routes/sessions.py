"""Sessions and sampling sessions."""

from typing import Any

from tinkex_generated.models import (
    CreateSamplingSessionResponse,
    CreateSessionResponse,
    GetSamplerResponse,
    GetSessionResponse,
    JoinSamplingSessionResponse,
    ListSessionsResponse,
    SessionHeartbeatResponse,
)

from tinkex.local.app_state import AppState
from tinkex.local.call import Call, light
from tinkex.local.live import LiveSampler
from tinkex.local.problem import Problem


def create_session(state: AppState, call: Call) -> CreateSessionResponse:
    """Start a session."""
    body = call.body
    session_id = state.sessions.create(
        tags=body.tags,
        user_metadata=body.user_metadata,
        sdk_version=body.sdk_version,
        project_id=body.project_id,
        display_name=body.display_name,
    )
    state.last_seen[session_id] = state.awake()
    return CreateSessionResponse(session_id=session_id)


def session_heartbeat(state: AppState, call: Call) -> SessionHeartbeatResponse:
    """Extend a session; 410 once it has ended."""
    state.active_session(call.body.session_id)
    return SessionHeartbeatResponse()


def finish_session(state: AppState, call: Call) -> None:
    """End a session with the status given by its client; idempotent."""
    session_id = call.parameters["session_id"]
    state.sessions.get(session_id)
    state.end_session(session_id, "client_finished", call.body.reason.type_, call.body.detail)


def list_sessions(state: AppState, call: Call) -> ListSessionsResponse:
    """List session ids, newest first."""
    page = state.sessions.list_ids(call.parameters["limit"], call.parameters["offset"])
    return ListSessionsResponse(sessions=page)


def get_session(state: AppState, call: Call) -> GetSessionResponse:
    """Describe a session by its runs and samplers."""
    record = state.sessions.get(call.parameters["session_id"])
    return GetSessionResponse(
        training_run_ids=state.runs.ids_of_session(record.session_id),
        sampler_ids=state.sessions.sampler_ids(record.session_id),
        user_metadata=record.user_metadata,
        display_name=record.display_name,
    )


def assign_session_project(state: AppState, call: Call) -> None:
    """Put a session into a project."""
    state.sessions.assign_project(call.parameters["session_id"], call.body.project_id)


def create_sampling_session(state: AppState, call: Call) -> CreateSamplingSessionResponse:
    """Start sampling from a base model or from a checkpoint."""
    body = call.body
    state.active_session(body.session_id)
    if body.base_model is None and body.model_path is None:
        raise Problem(400, "one of base_model and model_path is needed")

    def make() -> str:
        sampler = make_sampler(state, body)
        state.samplers.add(sampler.sampler_id, body.session_id, sampler)
        return sampler.sampler_id

    digest = state.digest(call.operation_id, body)
    sampler_id = state.keyed.once(
        "sampling_session_seq_id", body.session_id, body.sampling_session_seq_id, digest, make
    )
    return CreateSamplingSessionResponse(sampling_session_id=sampler_id)


def make_sampler(state: AppState, body: Any) -> LiveSampler:
    """Enter a sampling session whose weights are there, or raise a problem."""
    base_model, key, folder = body.base_model, None, None
    if body.model_path is not None:
        record, run = state.weights_at(body.model_path)
        if base_model not in (None, run.base_model):
            raise Problem(
                400, f"{body.model_path} was trained from {run.base_model!r}, not {base_model!r}"
            )
        base_model, key = run.base_model, record.folder_id
        state.audit.add("checkpoint", "read", tinker_path=body.model_path, purpose="sampling")
        folder = state.checkpoints.folder(record)
    base = state.bases.get(base_model).base
    if key is not None:
        state.adapters.get(key, folder, base)
    sampler_id = state.sessions.add_sampler(body.session_id, base_model, body.model_path)
    return LiveSampler(sampler_id, body.session_id, base_model, body.model_path, key, folder)


@light
def join_sampling_session(state: AppState, call: Call) -> JoinSamplingSessionResponse:
    """Assign a new number to a copy of a sampling client."""
    return JoinSamplingSessionResponse(
        client_counter=state.samplers.get(call.body.sampling_session_id).join()
    )


def get_sampler(state: AppState, call: Call) -> GetSamplerResponse:
    """Return the model that a sampling session samples from."""
    row = state.sessions.sampler(call.parameters["sampler_id"])
    return GetSamplerResponse(
        sampler_id=row["sampler_id"], base_model=row["base_model"], model_path=row["model_path"]
    )


HANDLERS = {
    "create_session": create_session,
    "session_heartbeat": session_heartbeat,
    "finish_session": finish_session,
    "list_sessions": list_sessions,
    "get_session": get_session,
    "assign_session_project": assign_session_project,
    "create_sampling_session": create_sampling_session,
    "join_sampling_session": join_sampling_session,
    "get_sampler": get_sampler,
}
