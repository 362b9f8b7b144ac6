"""`python -m tinkex.cli`: the command where its script is not on the PATH."""

from tinkex.cli import main

main()
