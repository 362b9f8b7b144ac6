"""Look up a checkpoint whose save was answered by nobody."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tinkex_generated.api.checkpoints import list_checkpoints

from tinkex.errors import TinkexError
from tinkex.session import Session

log = logging.getLogger("tinkex.training")

# The date on an answer counts whole seconds, and so may the checkpoint's.
_ROUNDING = timedelta(seconds=2)


def saved_within(session: Session, model_id: str, checkpoint_id: str, seconds: float) -> str | None:
    """Return the path of a checkpoint if it was saved in the last seconds, else None.

    One of the same name that is older was saved by somebody else, or before.

    Args:
        session: The session.
        model_id: The model whose checkpoint it is.
        checkpoint_id: ``<kind>/<name>``.
        seconds: How long ago the first attempt to save it began.
    """
    transport = session.transport
    request = list_checkpoints.build_request(training_run_id=model_id)
    try:
        answer = transport.send(request)
        found = transport.parsed(answer, list_checkpoints.parse_response, request.operation)
    except TinkexError as error:
        log.debug("checkpoint %s could not be looked up: %s", checkpoint_id, error)
        return None
    now = _date(answer.headers.get("date"))
    for checkpoint in found.checkpoints:
        age = now - checkpoint.time.replace(tzinfo=checkpoint.time.tzinfo or UTC)
        same = checkpoint.tinker_path.endswith(f"/{checkpoint_id}")
        if same and age <= timedelta(seconds=seconds) + _ROUNDING:
            return checkpoint.tinker_path
    return None


def _date(text: str | None) -> datetime:
    """Return the server's time, by which it dates checkpoints too; ours if it does not say."""
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return datetime.now(UTC)
    return moment.replace(tzinfo=moment.tzinfo or UTC)
