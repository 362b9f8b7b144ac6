"""The embedded server for the tests of downloads."""

from support.nano import nano_service

__all__ = ["nano_service"]
