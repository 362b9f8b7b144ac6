"""The state, the name and the labels of a training run."""

from attrs import frozen

from tinkex.local.app_state import AppState
from tinkex.local.problem import Problem
from tinkex.local.runs import RunRecord
from tinkex.local.sessions import SessionRecord


@frozen
class RunStatus:
    """A run's state, `running`, `ended` or `lost`, with the name and the labels of run and session.

    A run has ended when the client finished its session or unloaded the model; it is lost when its
    session fell silent or its server stopped, so that what was not saved is gone.
    """

    status: str
    display_name: str | None
    metadata: dict[str, str]


def status_of(state: AppState, run: RunRecord) -> RunStatus:
    """Return the status of a run."""
    session = _session(state, run)
    name = None if session is None else session.display_name
    metadata = {**((session and session.user_metadata) or {}), **(run.user_metadata or {})}
    return RunStatus(_status(state, run, session), name, metadata)


def _session(state: AppState, run: RunRecord) -> SessionRecord | None:
    if run.session_id is None:
        return None
    try:
        return state.sessions.get(run.session_id)
    except Problem:
        return None


def _status(state: AppState, run: RunRecord, session: SessionRecord | None) -> str:
    if session is None or session.status == "client_finished":
        return "ended"
    if session.status != "active":
        return "lost"
    if session.server_id != state.data.server_id:
        # Servers that share the folder say of each other only whether they are alive.
        return "running" if state.data.is_alive(session.server_id) else "lost"
    model = state.models.find(run.run_id)
    return "ended" if model is None or model.failure is not None else "running"
