"""The rules of a watch: each change at most once, in order, with the revision that was acknowledged, and none left out."""

from __future__ import annotations

from support.crash.ledger import Change, Ledger


class Feed:
    """What one client of a watch was told, over all its streams."""

    def __init__(self, ledger: Ledger):
        self.ledger = ledger
        # After which change it goes on; None before it has begun.
        self.position: int | None = None
        # All changes after this one and up to the position were told.
        self._complete_after = 0
        self._seen: set[int] = set()
        self.events = 0

    def begin(self, revision: int) -> None:
        """A stream begins after this revision. If the client had another position, that was too old."""
        if self.position is not None and revision < self.position:
            self.ledger.find("watch", f"a watch begins at {revision}, after it was at {self.position}")
        if revision != self.position:
            self._complete_after, self._seen = revision, set()
        self.position = revision

    def event(self, change: Change, revision: int) -> None:
        if revision <= self.position:
            self.ledger.find("watch", f"{change} came with {revision} after {self.position}")
        self.position = max(self.position, revision)
        self._seen.add(revision)
        self.events += 1

    def settle(self) -> None:
        """Before another process begins. What was acknowledged after the position may still have been on its way."""
        if self.position is None:
            return
        of_stream = [one for one in self.ledger.acknowledged if self._complete_after < one <= self.position]
        if missing := sorted(set(of_stream) - self._seen):
            self.ledger.find("watch", f"the watch was at {self.position} and was not told of {missing[:10]}")
        self._complete_after, self._seen = self.position, set()
