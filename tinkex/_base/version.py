"""The versions of the package and of the protocol it speaks."""

__version__ = "0.1.0"

# The official SDK's version whose wire format tinkex sends: the last one that is JSON throughout.
SDK_VERSION = "0.15.0"
