"""A session's requests as a trace file."""

from typing import Any

from starlette.responses import Response
from tinkex_generated.models import SessionTraceExportPollResponse

from tinkex.local.app_state import AppState, encode
from tinkex.local.call import Call
from tinkex.local.trace import trace_of


def export_session_trace(state: AppState, call: Call) -> SessionTraceExportPollResponse:
    """Sign a URL for the trace; it is made when that is fetched, with all that happened by then."""
    session_id = call.parameters["session_id"]
    state.sessions.get(session_id)
    query, _ = state.signer.query(_subject(session_id))
    return SessionTraceExportPollResponse(status="ready", url=f"{call.url}/download?{query}")


def download_session_trace(state: AppState, call: Call) -> Response:
    """Send the trace of a session."""
    session_id = call.parameters["session_id"]
    call.verify_signature(state.signer, _subject(session_id))
    state.sessions.get(session_id)
    trace = trace_of(session_id, state.journal.of_session(session_id))
    return Response(
        encode(trace),
        media_type="application/json",
        headers={"content-disposition": f'attachment; filename="{session_id}.trace.json"'},
    )


def _subject(session_id: str) -> str:
    return f"trace {session_id}"


HANDLERS: dict[str, Any] = {
    "export_session_trace": export_session_trace,
    "download_session_trace": download_session_trace,
}
