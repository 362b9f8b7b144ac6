"""Lookup of a checkpoint whose save got no response."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from tinkex_generated.api.checkpoints import list_checkpoints

from tinkex._core.session import Session
from tinkex._core.submission import NameLookup
from tinkex.errors import TinkexError

log = logging.getLogger("tinkex.training")

# The Date header has a resolution of one second, and so may the checkpoint's date.
_ROUNDING = timedelta(seconds=2)


async def look_up_save(
    session: Session,
    model_id: str,
    checkpoint_id: str,
    seconds: float,
    result: Callable[..., Any],
) -> NameLookup:
    """Return what the server has under the name of a save.

    A checkpoint that is older than the first attempt was saved by another call.

    Args:
        session: The session.
        model_id: The model whose checkpoint it is.
        checkpoint_id: ``<kind>/<name>``.
        seconds: Seconds since the first attempt to save it began.
        result: Builds the save's result from the checkpoint's path.
    """
    transport = session.transport
    request = list_checkpoints.build_request(training_run_id=model_id)
    try:
        response = await transport.request(request)
        found = transport.parsed(response, list_checkpoints.parse_response, request.operation)
    except TinkexError as error:
        log.debug("checkpoint %s could not be looked up: %s", checkpoint_id, error)
        return NameLookup(is_taken=None)
    now = _date(response.headers.get("date"))
    for checkpoint in found.checkpoints:
        if checkpoint.tinker_path.endswith(f"/{checkpoint_id}"):
            age = now - checkpoint.time.replace(tzinfo=checkpoint.time.tzinfo or UTC)
            is_new = age <= timedelta(seconds=seconds) + _ROUNDING
            path = checkpoint.tinker_path
            return NameLookup(is_taken=True, result=result(path=path) if is_new else None)
    return NameLookup(is_taken=False)


def _date(text: str | None) -> datetime:
    """Return the server's time, which also dates checkpoints; the local time if the text has none."""
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return datetime.now(UTC)
    return moment.replace(tzinfo=moment.tzinfo or UTC)
