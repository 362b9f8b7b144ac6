"""Foundations that the SDK and the local server share; nothing here imports the rest of tinkex."""
