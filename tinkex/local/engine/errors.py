"""The engine's one error class."""


class EngineError(ValueError):
    """An invalid request of a caller; the message names the field."""
