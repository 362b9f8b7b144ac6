"""Foundations that the SDK and the local server share; nothing here imports the rest of tinkex."""

import logging

# As usual for libraries: the program decides whether and where log records are written. Every public module
# needs this package, so its loggers are set up before they are used.
logging.getLogger("tinkex").addHandler(logging.NullHandler())
