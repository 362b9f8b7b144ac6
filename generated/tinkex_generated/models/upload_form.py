# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Fields and files of any names; nested fields are named in brackets, as in
`metadata[source]`."""

from __future__ import annotations

from typing import Any, TypeAlias

UploadForm: TypeAlias = dict[str, Any]
