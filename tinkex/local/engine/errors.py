"""The engine's one error class."""


class EngineError(ValueError):
    """Refuse what a caller asked for; the message names the field at fault."""
