"""Read lists of servers that write them a little differently than the API describes.

A response is read strictly first. Only where that fails is it looked at again, for what other servers
are known to write: models by their names alone, numbers as text, dates in other forms.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import evolve
from tinkex_generated.api.service import get_server_capabilities
from tinkex_generated.errors import ParseError
from tinkex_generated.models import Checkpoint, GetServerCapabilitiesResponse
from tinkex_generated.types import loads

from tinkex.types.paths import CheckpointPath

T = TypeVar("T")

log = logging.getLogger("tinkex.rest")

_DATES = frozenset({"time", "expires_at", "last_request_time", "created_at"})
_NUMBERS = frozenset({"offset", "limit", "total_count"})
_UNKNOWN_TIME = "1970-01-01T00:00:00+00:00"


def lenient(
    parse: Callable[[bytes], T], read: Callable[[Mapping[str, Any]], T]
) -> Callable[[bytes], T]:
    """Return a parser that reads again, leniently, what the strict one refuses.

    Args:
        parse: Reads the response as the API describes it.
        read: Reads the object that the response's JSON holds.
    """

    def parse_leniently(content: bytes) -> T:
        try:
            return parse(content)
        except ParseError:
            try:
                body = loads(content)
            except ValueError:
                body = None
            if not isinstance(body, Mapping):
                raise
            return read(_mended(body))

    return parse_leniently


read_capabilities = lenient(
    get_server_capabilities.parse_response, GetServerCapabilitiesResponse.from_dict
)


def _mended(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _mended(item, key) for key, item in value.items()}
    if isinstance(value, list):
        items = [item for item in value if item is not None]
        if name == "supported_models":
            return [{"model_name": item} if isinstance(item, str) else item for item in items]
        return [_mended(item) for item in items]
    if name in _DATES and value is not None:
        return _date(value, name)
    if name in _NUMBERS and not isinstance(value, int):
        return int(value) if isinstance(value, str) and value.strip().isdecimal() else 0
    return value


def _date(value: Any, name: str) -> str:
    try:
        if isinstance(value, int | float):
            return dt.datetime.fromtimestamp(value, dt.UTC).isoformat()
        return dt.datetime.fromisoformat(value).isoformat()
    except (TypeError, ValueError, OverflowError, OSError):
        log.warning("the server's %s %.40r is no date; it is taken as 1970", name, value)
        return _UNKNOWN_TIME


def with_run_id(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint with the id of its run, which few servers write, out of its path."""
    if checkpoint.training_run_id is not None:
        return checkpoint
    try:
        run = CheckpointPath.parse(checkpoint.tinker_path).training_run_id
    except ValueError:
        return checkpoint
    return evolve(checkpoint, training_run_id=run)
