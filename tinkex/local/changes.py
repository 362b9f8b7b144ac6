"""Whether something changed that the pages show, for those who watch them."""


class Changes:
    """A number that grows with each change; `closing` says that the server stops.

    Watchers compare it with the one that they saw last. Two changes at once may count as one.
    """

    def __init__(self) -> None:
        self.number = 0
        self.closing = False

    def note(self) -> None:
        """Note that something changed."""
        self.number += 1
