"""Fault injection, for testing programs against a misbehaving server.

    >>> from tinkex.testing import Fault
    >>> Fault(on="retrieve_future", nth=2, status=503, headers={"retry-after": "4"})
    Fault(on='retrieve_future', nth=2, status=503, headers={'retry-after': '4'})

The embedded local server injects them: `LocalServer(faults=[...])` or `tinkex serve --faults FILE`.
Defining faults does not require the extra `local`.
"""

from tinkex.testing.faults import Fault, FaultError, FaultPlan, PlayedFault
from tinkex.testing.files import load_faults, read_fault

__all__ = ["Fault", "FaultError", "FaultPlan", "PlayedFault", "load_faults", "read_fault"]
