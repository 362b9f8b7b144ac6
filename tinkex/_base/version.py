"""The version of the package, and the one of the protocol it speaks."""

__version__ = "0.1.0"

# The official SDK version whose wire form tinkex sends: the last era in which all of it is JSON.
SDK_VERSION = "0.15.0"
