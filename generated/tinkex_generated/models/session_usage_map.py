# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Sessions by id."""

from __future__ import annotations

from typing import TypeAlias

from .billing_session import BillingSession

SessionUsageMap: TypeAlias = dict[str, BillingSession]
