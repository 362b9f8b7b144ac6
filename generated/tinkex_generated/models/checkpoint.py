# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import (
    Reader,
    boolean,
    date_time,
    dict_of,
    enum,
    integer,
    mapping,
    optional,
    required,
    string,
)
from ..record import Record
from ..types import date_time_text
from .checkpoint_type import CheckpointType


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Checkpoint(Record):
    """A saved state of a training run.

    Attributes:
        checkpoint_id: `<kind>/<name>`, such as `weights/step-100`; some servers write the name
            alone.
        checkpoint_type: What it is for.
        time: When it was saved.
        tinker_path: `tinker://<training_run_id>/<kind>/<name>`.
        training_run_id: The run that made it, on servers that say so.
        size_bytes: Its size.
        public: Whether everybody may read it.
        expires_at: When it will be deleted. Null: never.
        user_metadata: Free labels of the caller, kept as they are and given back.
    """

    checkpoint_id: str
    checkpoint_type: CheckpointType
    time: datetime.datetime
    tinker_path: str
    training_run_id: str | None = None
    size_bytes: int | None = None
    public: bool = False
    expires_at: datetime.datetime | None = None
    user_metadata: dict[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "checkpoint_id": self.checkpoint_id,
            "checkpoint_type": self.checkpoint_type,
            "time": date_time_text(self.time),
            "tinker_path": self.tinker_path,
        }
        if self.training_run_id is not None:
            result["training_run_id"] = self.training_run_id
        if self.size_bytes is not None:
            result["size_bytes"] = self.size_bytes
        if self.public is not None:
            result["public"] = self.public
        if self.expires_at is not None:
            result["expires_at"] = date_time_text(self.expires_at)
        if self.user_metadata is not None:
            result["user_metadata"] = self.user_metadata
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            checkpoint_id=required(data, "checkpoint_id", string),
            checkpoint_type=required(data, "checkpoint_type", enum),
            time=required(data, "time", date_time),
            tinker_path=required(data, "tinker_path", string),
            training_run_id=optional(data, "training_run_id", string),
            size_bytes=optional(data, "size_bytes", integer),
            public=optional(data, "public", boolean, False),
            expires_at=optional(data, "expires_at", date_time),
            user_metadata=optional(data, "user_metadata", _READ_USER_METADATA),
        )


_READ_USER_METADATA: Reader[dict[str, str]] = dict_of(string)
