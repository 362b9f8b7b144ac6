"""Faults on demand, to test programs that use the Tinker API against a server that misbehaves.

    >>> from tinkex.testing import Fault
    >>> Fault(on="retrieve_future", nth=2, status=503, headers={"retry-after": "4"})
    Fault(on='retrieve_future', nth=2, status=503, headers={'retry-after': '4'})

The embedded local server plays them: `LocalServer(faults=[...])` or `tinkex serve --faults FILE`.
Describing faults needs none of the packages of the extra `local`.
"""

from tinkex.testing.faults import Fault, FaultError, FaultPlan, PlayedFault
from tinkex.testing.files import load_faults, read_fault

__all__ = ["Fault", "FaultError", "FaultPlan", "PlayedFault", "load_faults", "read_fault"]
