"""The embedded server for the tests of tokenizers."""

from support.nano import nano_service

__all__ = ["nano_service"]
