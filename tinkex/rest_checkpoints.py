"""The REST calls about checkpoints: list, look at, publish, expire, delete, fetch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from tinkex_generated.api.checkpoints import (
    delete_checkpoint,
    get_checkpoint_archive_url,
    list_checkpoints,
    list_user_checkpoints,
    publish_checkpoint,
    set_checkpoint_ttl,
    unpublish_checkpoint,
)
from tinkex_generated.api.weights import weights_info
from tinkex_generated.models import CheckpointTtlRequest, WeightsInfoRequest
from tinkex_generated.types import Request

from tinkex._core.response import Response
from tinkex._core.retry import RetryPolicy
from tinkex._core.transport import Transport
from tinkex.checks import checked_id, checked_ttl
from tinkex.errors import DecodeError, ValidationError
from tinkex.pages import all_pages
from tinkex.types import (
    Checkpoint,
    CheckpointArchiveUrlResponse,
    CheckpointPath,
    CheckpointsListResponse,
    WeightsInfoResponse,
)

REDIRECTS = frozenset({301, 302, 303, 307, 308})
ARCHIVE_WAIT = 30.0
ARCHIVE_PATIENCE = 1800.0
# What a signed URL is taken to live when the server does not say.
ARCHIVE_LIFETIME = timedelta(minutes=15)


class CheckpointAdministration:
    """Hold the calls of `RestClient` that are about checkpoints.

    A checkpoint is named by its path (``tinker://<run>/<kind>/<name>``), or by the id of its run
    and its own (``<kind>/<name>``).
    """

    _transport: Transport

    def list_checkpoints(self, training_run_id: str) -> CheckpointsListResponse:
        """Return the checkpoints of a training run."""
        return self._transport.call(
            list_checkpoints.build_request(
                training_run_id=checked_id(training_run_id, "training_run_id")
            ),
            list_checkpoints.parse_response,
        )

    def iter_checkpoints(self, training_run_id: str) -> Iterator[Checkpoint]:
        """Yield the checkpoints of a training run; the server lists them on one page."""
        yield from self.list_checkpoints(training_run_id).checkpoints

    def list_user_checkpoints(self, limit: int = 100, offset: int = 0) -> CheckpointsListResponse:
        """Return a page of all your checkpoints, newest first."""
        return self._transport.call(
            list_user_checkpoints.build_request(limit=limit, offset=offset),
            list_user_checkpoints.parse_response,
        )

    def iter_user_checkpoints(self) -> Iterator[Checkpoint]:
        """Yield all your checkpoints, page by page."""
        return all_pages(self.list_user_checkpoints, lambda page: page.checkpoints)

    def get_weights_info_by_tinker_path(self, tinker_path: str) -> WeightsInfoResponse:
        """Return base model, rank and adapted layers of a checkpoint."""
        CheckpointPath.parse(tinker_path)
        return self._transport.call(
            weights_info.build_request(body=WeightsInfoRequest(tinker_path=tinker_path)),
            weights_info.parse_response,
        )

    def get_checkpoint_archive_url(
        self,
        tinker_path: str,
        checkpoint_id: str | None = None,
        patience: float = ARCHIVE_PATIENCE,
    ) -> CheckpointArchiveUrlResponse:
        """Return a signed URL that a checkpoint's archive can be downloaded from for a while.

        Waits while the server is still building the archive.

        Args:
            tinker_path: The checkpoint, or the id of its run.
            checkpoint_id: ``<kind>/<name>``, if only the run was named.
            patience: Seconds to wait for the archive.
        """
        policy = RetryPolicy(
            max_attempts=10_000,
            deadline=patience,
            first_wait=1.0,
            longest_wait=ARCHIVE_WAIT,
            longest_retry_after=patience,
        )
        request = get_checkpoint_archive_url.build_request(**_parts(tinker_path, checkpoint_id))
        # 503 and 409 both say that it is not built yet.
        answer = self._transport.send(request, policy=policy, accept=REDIRECTS, retry_on={409})
        if answer.status_code not in REDIRECTS:
            return self._transport.parsed(
                answer, get_checkpoint_archive_url.parse_response, request.operation
            )
        return CheckpointArchiveUrlResponse(
            url=self._location(request, answer), expires=_expiry(answer.headers.get("expires"))
        )

    def delete_checkpoint(self, tinker_path: str, checkpoint_id: str | None = None) -> None:
        """Delete a checkpoint for good."""
        self._transport.send(delete_checkpoint.build_request(**_parts(tinker_path, checkpoint_id)))

    def publish_checkpoint(self, tinker_path: str, checkpoint_id: str | None = None) -> None:
        """Let everybody read a checkpoint."""
        self._transport.send(publish_checkpoint.build_request(**_parts(tinker_path, checkpoint_id)))

    def unpublish_checkpoint(self, tinker_path: str, checkpoint_id: str | None = None) -> None:
        """Let only its owner read a checkpoint again."""
        self._transport.send(
            unpublish_checkpoint.build_request(**_parts(tinker_path, checkpoint_id))
        )

    def set_checkpoint_ttl(self, tinker_path: str, ttl_seconds: int | None) -> None:
        """Set in how many seconds a checkpoint is deleted; None keeps it for ever."""
        ttl = checked_ttl(ttl_seconds)
        self._transport.send(
            set_checkpoint_ttl.build_request(
                **_parts(tinker_path), body=CheckpointTtlRequest(ttl_seconds=ttl)
            )
        )

    # The names that the official SDK gives to the same calls.
    get_checkpoint_archive_url_from_tinker_path = get_checkpoint_archive_url
    delete_checkpoint_from_tinker_path = delete_checkpoint
    publish_checkpoint_from_tinker_path = publish_checkpoint
    unpublish_checkpoint_from_tinker_path = unpublish_checkpoint
    set_checkpoint_ttl_from_tinker_path = set_checkpoint_ttl

    def _location(self, request: Request, answer: Response) -> str:
        url = _joined(self._transport.where + request.path, answer.headers.get("location", ""))
        if url is None:
            raise _no_url(answer.status_code)
        return url


def _joined(base: str, location: str) -> str | None:
    """Return where a redirect leads, None if that is no web page.

    Whatever it is, it may be signed: no frame that an error passes holds it.
    """
    try:
        url = urljoin(base, location)
        parts = urlsplit(url)
    except ValueError:
        return None
    names_host = parts.scheme in {"http", "https"} and bool(parts.hostname)
    return url if location and names_host else None


def _no_url(status_code: int | None) -> DecodeError:
    return DecodeError("the archive's redirect names no URL", status_code=status_code)


def _parts(tinker_path: str, checkpoint_id: str | None = None) -> dict[str, Any]:
    if checkpoint_id is None:
        path = CheckpointPath.parse(tinker_path)
    else:
        run = checked_id(tinker_path, "training_run_id")
        kind, _, name = checkpoint_id.partition("/")
        if not name:
            raise ValidationError(
                f"must be <kind>/<name>, such as 'weights/step-100', not {checkpoint_id!r}",
                path="checkpoint_id",
            )
        path = CheckpointPath(run, kind, name)  # type: ignore[arg-type]
    return {
        "training_run_id": path.training_run_id,
        "checkpoint_kind": path.kind,
        "checkpoint_name": path.name,
    }


def _expiry(http_date: str | None) -> datetime:
    try:
        expiry = parsedate_to_datetime(http_date or "")
    except ValueError:
        return datetime.now(UTC) + ARCHIVE_LIFETIME
    return expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)
