"""The binary wire format: protobuf messages to and from numpy, without the protobuf package.

Client and server both use it: `tinkex._core.wire.binary` and `tinkex.local.binary`. The numbers of
the fields are generated from openapi.yaml (`x-tinkex-protobuf`).
"""

MEDIA_TYPE = "application/x-protobuf"


def is_protobuf(header: str) -> bool:
    """Return whether a Content-Type or Accept header names the binary format.

    >>> is_protobuf("application/x-protobuf, application/json"), is_protobuf("application/json")
    (True, False)
    """
    return MEDIA_TYPE in header.lower()
