"""The calls of a training client that save, load and export its weights."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from tinkex_generated.api.weights import (
    load_weights,
    save_weights,
    save_weights_external,
    save_weights_for_sampler,
)
from tinkex_generated.models import (
    LoadWeightsRequest,
    SaveWeightsExternalRequest,
    SaveWeightsForSamplerRequest,
    SaveWeightsRequest,
)
from tinkex_generated.types import Request

from tinkex._core.submission import LookUp, NameLookup
from tinkex.checks import (
    check_training_path,
    checked_metadata,
    checked_name,
    checked_ttl,
)
from tinkex.errors import DecodeError, ValidationError
from tinkex.futures import Future
from tinkex.sampling import RetryConfig, SamplingClient
from tinkex.secret import Secret
from tinkex.session import Session
from tinkex.types import (
    LoadWeightsResponse,
    SaveWeightsExternalResponse,
    SaveWeightsForSamplerResponse,
    SaveWeightsResponse,
)

SamplingClientKind = Literal["snapshot", "inflight"]


class CheckpointCalls:
    """Hold the calls of `TrainingClient` that are about checkpoints."""

    model_id: str
    base_model: str | None
    _session: Session

    def save_state(
        self,
        name: str,
        ttl_seconds: int | None = None,
        overwrite: bool = False,
        user_metadata: Mapping[str, str] | None = None,
    ) -> Future[SaveWeightsResponse]:
        """Save weights and optimizer, to go on from later.

        >>> path = training.save_state("step-100").result().path

        Args:
            name: A name that the run does not have yet.
            ttl_seconds: Seconds after which the server deletes it; None never.
            overwrite: Whether a checkpoint of that name is replaced.
            user_metadata: Key-value pairs stored with the checkpoint.

        Raises:
            ValidationError: An argument cannot be right; nothing was sent.
            ApiError: The server refused.
            TransportError: No answer came; making the same call again is safe.
        """
        path, ttl = checked_name(name), checked_ttl(ttl_seconds)
        metadata = checked_metadata(user_metadata)
        return self._submit(
            "save_state",
            "SaveWeights",
            lambda seq: save_weights.build_request(
                body=SaveWeightsRequest(
                    model_id=self.model_id,
                    path=path,
                    seq_id=seq,
                    ttl_seconds=ttl,
                    overwrite=overwrite,
                    user_metadata=metadata,
                )
            ),
            SaveWeightsResponse.from_dict,
            self._look_up(f"weights/{path}", SaveWeightsResponse),
        )

    def load_state(
        self, path: str, weights_access_token: Secret | str | None = None
    ) -> Future[LoadWeightsResponse]:
        """Load a checkpoint's weights; the optimizer starts afresh and gradients are dropped.

        Servers may take this only as a model's first request; to go on from a checkpoint later, use
        `ServiceClient.create_training_client_from_state`.

        Args:
            path: ``tinker://<run>/weights/<name>``.
            weights_access_token: The credential of the account that owns the checkpoint, if it is
                another one's.
        """
        weights_access_token = Secret.of(weights_access_token)
        return self._load(path, optimizer=False, token=weights_access_token)

    def load_state_with_optimizer(
        self, path: str, weights_access_token: Secret | str | None = None
    ) -> Future[LoadWeightsResponse]:
        """Load a checkpoint's weights and its optimizer state.

        Takes what `load_state` does.
        """
        weights_access_token = Secret.of(weights_access_token)
        return self._load(path, optimizer=True, token=weights_access_token)

    def save_weights_for_sampler(
        self,
        name: str,
        ttl_seconds: int | None = None,
        user_metadata: Mapping[str, str] | None = None,
    ) -> Future[SaveWeightsForSamplerResponse]:
        """Save weights to sample from and to download, under a name.

        >>> path = training.save_weights_for_sampler("final").result().path

        Args:
            name: A name that the run does not have yet.
            ttl_seconds: Seconds after which the server deletes it; None never.
            user_metadata: Key-value pairs stored with the checkpoint.
        """
        return self._save_for_sampler(
            path=checked_name(name),
            ttl_seconds=checked_ttl(ttl_seconds),
            user_metadata=checked_metadata(user_metadata),
        )

    def save_weights_external(
        self,
        name: str,
        ttl_seconds: int | None = None,
        age_encryption_recipients: Sequence[str] | None = None,
    ) -> Future[SaveWeightsExternalResponse]:
        """Export weights as files, to fetch by `RestClient.get_external_weights_urls`.

        >>> exported = training.save_weights_external("export").result()
        >>> urls = rest.get_external_weights_urls(exported.path).urls

        Not every server has this route.

        Args:
            name: A name that the run does not have yet.
            ttl_seconds: Seconds after which the server deletes the files; None never.
            age_encryption_recipients: Public keys (``age1…`` or SSH) that the files are encrypted
                to, at most 10.
        """
        path, ttl = checked_name(name), checked_ttl(ttl_seconds)
        recipients = None
        if age_encryption_recipients is not None:
            recipients = list(age_encryption_recipients)
            if isinstance(age_encryption_recipients, str) or not 1 <= len(recipients) <= 10:
                raise ValidationError(
                    "must be a list of 1 to 10 public keys", path="age_encryption_recipients"
                )
        return self._submit(
            "save_weights_external",
            "SaveWeightsExternal",
            lambda seq: save_weights_external.build_request(
                body=SaveWeightsExternalRequest(
                    model_id=self.model_id,
                    path=path,
                    seq_id=seq,
                    ttl_seconds=ttl,
                    age_encryption_recipients=recipients,
                )
            ),
            SaveWeightsExternalResponse.from_dict,
            _unknown,
        )

    def save_weights_and_get_sampling_client(
        self,
        name: str | None = None,
        retry_config: RetryConfig | None = None,
        kind: SamplingClientKind = "snapshot",
        ttl_seconds: int | None = None,
    ) -> SamplingClient:
        """Return a client that samples from the weights as they are now.

        >>> sampler = training.save_weights_and_get_sampling_client()

        Blocks until the server has the snapshot. Without a name the snapshot lives only as long as
        the session.

        Args:
            name: Keeps the snapshot as a checkpoint of that name.
            retry_config: How patient samples are.
            kind: "snapshot" fixes the weights; "inflight" follows later saves of this kind, on
                servers that have it.
            ttl_seconds: Seconds after which the server deletes a named checkpoint; None never.
        """
        if kind not in ("snapshot", "inflight"):
            raise ValidationError(f"must be 'snapshot' or 'inflight', not {kind!r}", path="kind")
        if name is not None:
            if kind != "snapshot":
                raise ValidationError("a named checkpoint is always a snapshot", path="kind")
            saved = self.save_weights_for_sampler(name, ttl_seconds).result()
        else:
            if ttl_seconds is not None:
                raise ValidationError(
                    "goes with a name; without one the snapshot ends with the session",
                    path="ttl_seconds",
                )
            number = self._session.next_sampler_number()
            saved = self._save_for_sampler(sampling_session_seq_id=number, kind=kind).result()
        if saved.sampling_session_id:
            return SamplingClient(
                self._session,
                saved.sampling_session_id,
                base_model=self.base_model,
                model_path=saved.path,
                retry_config=retry_config,
            )
        if not saved.path:
            raise DecodeError("save_weights_for_sampler gave neither a path nor a sampling session")
        return self.create_sampling_client(saved.path, retry_config)

    def create_sampling_client(
        self, model_path: str, retry_config: RetryConfig | None = None
    ) -> SamplingClient:
        """Return a client that samples from saved weights.

        Args:
            model_path: ``tinker://<run>/sampler_weights/<name>``.
            retry_config: How patient samples are.
        """
        return SamplingClient.create(
            self._session, model_path=model_path, base_model=None, retry_config=retry_config
        )

    def _load(
        self, path: str, *, optimizer: bool, token: Secret | None
    ) -> Future[LoadWeightsResponse]:
        check_training_path(path)
        reveal = self._session.transport.revealed
        return self._submit(
            "load_state",
            "LoadWeights",
            lambda seq: load_weights.build_request(
                body=LoadWeightsRequest(
                    path=path,
                    optimizer=optimizer,
                    model_id=self.model_id,
                    seq_id=seq,
                    weights_access_token=reveal(token),
                )
            ),
            LoadWeightsResponse.from_dict,
        )

    def _save_for_sampler(
        self,
        path: str | None = None,
        ttl_seconds: int | None = None,
        user_metadata: dict[str, str] | None = None,
        sampling_session_seq_id: int | None = None,
        kind: SamplingClientKind = "snapshot",
    ) -> Future[SaveWeightsForSamplerResponse]:
        return self._submit(
            "save_weights_for_sampler",
            "SaveWeightsForSampler",
            lambda seq: save_weights_for_sampler.build_request(
                body=SaveWeightsForSamplerRequest(
                    model_id=self.model_id,
                    path=path,
                    sampling_session_seq_id=sampling_session_seq_id,
                    seq_id=seq,
                    ttl_seconds=ttl_seconds,
                    user_metadata=user_metadata,
                    kind=kind,
                )
            ),
            SaveWeightsForSamplerResponse.from_dict,
            None
            if path is None
            else self._look_up(f"sampler_weights/{path}", SaveWeightsForSamplerResponse),
        )

    def _look_up(self, checkpoint_id: str, result: Callable[..., Any]) -> LookUp:
        def look_up(seconds: float) -> Awaitable[NameLookup]:
            # It reads dates, which most programs never need.
            from tinkex.saved import look_up_save

            return look_up_save(self._session, self.model_id, checkpoint_id, seconds, result)

        return look_up

    def _submit(
        self,
        operation: str,
        request_type: str,
        build: Callable[[int], Request],
        parse: Callable[[Mapping[str, Any]], Any],
        look_up: LookUp | None = None,
    ) -> Future[Any]:
        """Send one numbered request of this model; `TrainingClient` knows how."""
        raise NotImplementedError


async def _unknown(seconds: float) -> NameLookup:
    """Look up an export: no route lists them."""
    del seconds
    return NameLookup(is_taken=None)
