"""The two classes that records are made of."""

from __future__ import annotations

from tinkex.errors import MissingDependencyError

try:
    import pydantic
except ImportError as error:
    raise MissingDependencyError("tinkex.tinker", "tinker") from error


class StrictBase(pydantic.BaseModel):
    """A record that callers build: immutable, and without unknown fields."""

    # Schemas are built at first use: most programs need few of these classes.
    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", defer_build=True, protected_namespaces=()
    )

    def __str__(self) -> str:
        return repr(self)


class BaseModel(pydantic.BaseModel):
    """A record that servers send: immutable, and unknown fields are left out."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="ignore", defer_build=True, protected_namespaces=()
    )

    def __str__(self) -> str:
        return repr(self)
