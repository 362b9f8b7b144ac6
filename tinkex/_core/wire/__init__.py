"""Conversion between the public types and the bytes on the wire."""
