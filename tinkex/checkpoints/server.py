"""What downloads ask of a `tinkex.RestClient`."""

from __future__ import annotations

from typing import Protocol

from tinkex._base.clock import Clock
from tinkex._core.transport import Transport
from tinkex.config import Config
from tinkex.types import (
    CheckpointArchiveUrlResponse,
    ExternalWeightsUrlsResponse,
    SessionTraceExportPollResponse,
    WeightsInfoResponse,
)


class CheckpointServer(Protocol):
    """The calls of a `tinkex.RestClient` that downloads make."""

    @property
    def transport(self) -> Transport:
        """Return the connection to the server."""
        ...

    @property
    def config(self) -> Config:
        """Return the settings of the connection."""
        ...

    @property
    def clock(self) -> Clock:
        """Return the clock of the waits."""
        ...

    def get_checkpoint_archive_url(
        self, tinker_path: str, *, patience: float
    ) -> CheckpointArchiveUrlResponse:
        """Return a signed URL of a checkpoint's archive."""
        ...

    def get_external_weights_urls(
        self, tinker_path: str, patience: float | None
    ) -> ExternalWeightsUrlsResponse:
        """Return a signed URL for each file of an export."""
        ...

    def get_weights_info_by_tinker_path(self, tinker_path: str) -> WeightsInfoResponse:
        """Return base model and rank of a checkpoint."""
        ...

    def delete_checkpoint(self, tinker_path: str) -> None:
        """Delete a checkpoint."""
        ...

    def export_session_trace(
        self, session_id: str, patience: float
    ) -> SessionTraceExportPollResponse:
        """Return a signed URL of a session's trace."""
        ...
