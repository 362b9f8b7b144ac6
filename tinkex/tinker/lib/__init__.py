"""Inner modules of the official package that programs import from."""
