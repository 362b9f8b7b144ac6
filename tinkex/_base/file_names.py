"""Names of files and folders that every operating system accepts."""

from __future__ import annotations

# What Windows does not take in the name of a file; a colon there even names another stream.
RESERVED = frozenset('<>:"/\\|?*')


def portable_name(text: str) -> str:
    """Return a text as the name of a file or folder: what some system refuses becomes ``_``.

    >>> portable_name("run-1:train:0_sampler_weights_final")
    'run-1_train_0_sampler_weights_final'
    """
    name = "".join("_" if one in RESERVED or not one.isprintable() else one for one in text)
    kept = name.rstrip(". ")
    return kept + "_" * (len(name) - len(kept))
