"""The binary form of the API: protobuf messages to and from numpy, without the protobuf package.

Client and server both stand on it; which message holds what is said by openapi.yaml, under
`x-tinkex-protobuf`, and written down by `tinkex._core.wire.binary` and `tinkex.local.binary`.
"""

MEDIA_TYPE = "application/x-protobuf"


def is_protobuf(header: str) -> bool:
    """Tell whether a Content-Type or Accept header names the binary form.

    >>> is_protobuf("application/x-protobuf, application/json"), is_protobuf("application/json")
    (True, False)
    """
    return MEDIA_TYPE in header.lower()
