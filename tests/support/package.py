"""Where the package lies that is tested: a checkout may be called tinkex, too."""

import os
from pathlib import Path

import tinkex

PACKAGE = str(Path(tinkex.__file__).parent) + os.sep
