"""Foundations that the SDK and the local server share; nothing here imports the rest of tinkex."""

import logging

# As usual for libraries: the program decides whether and where log records are written. The home of every public
# name needs this package, so this comes before any record.
logging.getLogger("tinkex").addHandler(logging.NullHandler())
