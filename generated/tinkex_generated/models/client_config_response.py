# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import boolean, integer, mapping, optional, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ClientConfigResponse(Record):
    """Switches and limits for the client. All are optional and have the default shown; unknown
    ones are to be ignored.

    Attributes:
        console_url: Where a browser shows the runs, for servers that have such pages (local
            server only).
        pjwt_auth_enabled: Exchange the credential for a short-lived token (auth_token) before
            anything else.
        credential_default_source: Where the credential for that exchange comes from: `api_key`,
            or `credential_cmd` for a command of the user's.
        sample_dispatch_bytes_semaphore_size: Estimated prompt bytes of samples being submitted
            at one time.
        inflight_response_bytes_semaphore_size: Result bytes being fetched at one time.
        parallel_fwdbwd_chunks: Submit the chunks of one large forward_backward concurrently.
        proto_write_fwdbwd: Send forward_backward in the binary form (asked of clients before
            0.25; newer ones always do).
        fwd_via_fwdbwd: Run forward passes through forward_backward with its forward-only
            switch.
        create_model_via_load_weights: Resume a checkpoint by one load_weights that creates the
            model.
        billing_exception_max_pause_duration_sec: How long to ride out answers 402, in seconds.
        sample_no_retries: Do not retry failed samples.
        proto_compress_fwdbwd: Compress the binary form with zstd.
        sample_enable_stuck_detection: Give up when no sample has finished for a long time.
        sample_max_concurrent_requests: Samples in flight at one time.
        use_pyqwest_transport: Use another HTTP library (official client only).
        fwdbwd_max_chunk_len: Most datums in one forward_backward request.
        fwdbwd_max_chunk_bytes_count: Most estimated bytes in one forward_backward request.
        fwdbwd_dispatch_bytes_semaphore_size: Bytes of forward_backward requests being submitted
            at one time.
        sample_use_retrieve_futures: Wait for samples through retrieve_futures.
        sample_join_sampling_session: Ask join_sampling_session for the number of a cloned
            client.
        custom_loss_server_side: Upload traced losses through create_custom_loss.
    """

    console_url: str | None = None
    pjwt_auth_enabled: bool = False
    credential_default_source: str = "api_key"
    sample_dispatch_bytes_semaphore_size: int = 10485760
    inflight_response_bytes_semaphore_size: int = 52428800
    parallel_fwdbwd_chunks: bool = True
    proto_write_fwdbwd: bool = False
    fwd_via_fwdbwd: bool = False
    create_model_via_load_weights: bool = False
    billing_exception_max_pause_duration_sec: int = 3600
    sample_no_retries: bool = False
    proto_compress_fwdbwd: bool = False
    sample_enable_stuck_detection: bool = True
    sample_max_concurrent_requests: int = 2000
    use_pyqwest_transport: bool = True
    fwdbwd_max_chunk_len: int = 1024
    fwdbwd_max_chunk_bytes_count: int = 5000000
    fwdbwd_dispatch_bytes_semaphore_size: int = 50000000
    sample_use_retrieve_futures: bool = False
    sample_join_sampling_session: bool = False
    custom_loss_server_side: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {}
        if self.console_url is not None:
            result["console_url"] = self.console_url
        if self.pjwt_auth_enabled is not None:
            result["pjwt_auth_enabled"] = self.pjwt_auth_enabled
        if self.credential_default_source is not None:
            result["credential_default_source"] = self.credential_default_source
        if self.sample_dispatch_bytes_semaphore_size is not None:
            result["sample_dispatch_bytes_semaphore_size"] = (
                self.sample_dispatch_bytes_semaphore_size
            )
        if self.inflight_response_bytes_semaphore_size is not None:
            result["inflight_response_bytes_semaphore_size"] = (
                self.inflight_response_bytes_semaphore_size
            )
        if self.parallel_fwdbwd_chunks is not None:
            result["parallel_fwdbwd_chunks"] = self.parallel_fwdbwd_chunks
        if self.proto_write_fwdbwd is not None:
            result["proto_write_fwdbwd"] = self.proto_write_fwdbwd
        if self.fwd_via_fwdbwd is not None:
            result["fwd_via_fwdbwd"] = self.fwd_via_fwdbwd
        if self.create_model_via_load_weights is not None:
            result["create_model_via_load_weights"] = self.create_model_via_load_weights
        if self.billing_exception_max_pause_duration_sec is not None:
            result["billing_exception_max_pause_duration_sec"] = (
                self.billing_exception_max_pause_duration_sec
            )
        if self.sample_no_retries is not None:
            result["sample_no_retries"] = self.sample_no_retries
        if self.proto_compress_fwdbwd is not None:
            result["proto_compress_fwdbwd"] = self.proto_compress_fwdbwd
        if self.sample_enable_stuck_detection is not None:
            result["sample_enable_stuck_detection"] = self.sample_enable_stuck_detection
        if self.sample_max_concurrent_requests is not None:
            result["sample_max_concurrent_requests"] = self.sample_max_concurrent_requests
        if self.use_pyqwest_transport is not None:
            result["use_pyqwest_transport"] = self.use_pyqwest_transport
        if self.fwdbwd_max_chunk_len is not None:
            result["fwdbwd_max_chunk_len"] = self.fwdbwd_max_chunk_len
        if self.fwdbwd_max_chunk_bytes_count is not None:
            result["fwdbwd_max_chunk_bytes_count"] = self.fwdbwd_max_chunk_bytes_count
        if self.fwdbwd_dispatch_bytes_semaphore_size is not None:
            result["fwdbwd_dispatch_bytes_semaphore_size"] = (
                self.fwdbwd_dispatch_bytes_semaphore_size
            )
        if self.sample_use_retrieve_futures is not None:
            result["sample_use_retrieve_futures"] = self.sample_use_retrieve_futures
        if self.sample_join_sampling_session is not None:
            result["sample_join_sampling_session"] = self.sample_join_sampling_session
        if self.custom_loss_server_side is not None:
            result["custom_loss_server_side"] = self.custom_loss_server_side
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            console_url=optional(data, "console_url", string),
            pjwt_auth_enabled=optional(data, "pjwt_auth_enabled", boolean, False),
            credential_default_source=optional(
                data, "credential_default_source", string, "api_key"
            ),
            sample_dispatch_bytes_semaphore_size=optional(
                data, "sample_dispatch_bytes_semaphore_size", integer, 10485760
            ),
            inflight_response_bytes_semaphore_size=optional(
                data, "inflight_response_bytes_semaphore_size", integer, 52428800
            ),
            parallel_fwdbwd_chunks=optional(data, "parallel_fwdbwd_chunks", boolean, True),
            proto_write_fwdbwd=optional(data, "proto_write_fwdbwd", boolean, False),
            fwd_via_fwdbwd=optional(data, "fwd_via_fwdbwd", boolean, False),
            create_model_via_load_weights=optional(
                data, "create_model_via_load_weights", boolean, False
            ),
            billing_exception_max_pause_duration_sec=optional(
                data, "billing_exception_max_pause_duration_sec", integer, 3600
            ),
            sample_no_retries=optional(data, "sample_no_retries", boolean, False),
            proto_compress_fwdbwd=optional(data, "proto_compress_fwdbwd", boolean, False),
            sample_enable_stuck_detection=optional(
                data, "sample_enable_stuck_detection", boolean, True
            ),
            sample_max_concurrent_requests=optional(
                data, "sample_max_concurrent_requests", integer, 2000
            ),
            use_pyqwest_transport=optional(data, "use_pyqwest_transport", boolean, True),
            fwdbwd_max_chunk_len=optional(data, "fwdbwd_max_chunk_len", integer, 1024),
            fwdbwd_max_chunk_bytes_count=optional(
                data, "fwdbwd_max_chunk_bytes_count", integer, 5000000
            ),
            fwdbwd_dispatch_bytes_semaphore_size=optional(
                data, "fwdbwd_dispatch_bytes_semaphore_size", integer, 50000000
            ),
            sample_use_retrieve_futures=optional(
                data, "sample_use_retrieve_futures", boolean, False
            ),
            sample_join_sampling_session=optional(
                data, "sample_join_sampling_session", boolean, False
            ),
            custom_loss_server_side=optional(data, "custom_loss_server_side", boolean, False),
        )
