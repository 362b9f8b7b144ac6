# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Describe a training run.

By its id, which is the model's.

GET /api/v1/training_runs/{training_run_id}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.access_scope import AccessScope
from ...models.training_run import TrainingRun
from ...types import Request, segment

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, training_run_id: str, access_scope: AccessScope | None = "owned") -> Request:
    """Describe the request; nothing is sent.

    Args:
        training_run_id: Id of a training run, which is the model_id. Colons in it are written
            as they are.
        access_scope: `owned`: only what the caller owns.
    """
    params: dict[str, str | int | float | bool] = {}
    if access_scope is not None:
        params["access_scope"] = access_scope
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="get_training_run",
        method="GET",
        path=f"/api/v1/training_runs/{segment(training_run_id)}",
        params=params,
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> TrainingRun:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, TrainingRun.from_dict)


def sync(
    *, client: Client, training_run_id: str, access_scope: AccessScope | None = "owned"
) -> TrainingRun:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(training_run_id=training_run_id, access_scope=access_scope),
        parse_response,
        (200,),
    )
