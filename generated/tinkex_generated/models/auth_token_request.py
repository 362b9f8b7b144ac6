# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Empty: the credential is in the header."""

from __future__ import annotations

from typing import Any, TypeAlias

AuthTokenRequest: TypeAlias = dict[str, Any]
