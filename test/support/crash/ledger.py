"""What was told to clients, and what was found to be wrong. Any thread may write into it."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A rule that was broken."""

    rule: str
    text: str


@dataclass(frozen=True)
class Change:
    """What a revision was told for: a put with its value, a delete or an expire of a key."""

    kind: str
    key: str
    value: object = None


@dataclass(frozen=True)
class Pair:
    """A pair as a client was shown it. `value` tells values apart: it is a tag, or the number of a counter."""

    value: object
    revision: int
    expires_at: float | None = None


class Ledger:
    """The findings, the count of requests by what became of them, and the change that each revision was told for."""

    def __init__(self):
        self.lock = threading.RLock()
        self.findings: list[Finding] = []
        self.requests: Counter[tuple[str, str]] = Counter()
        self._changes: dict[int, Change] = {}
        # No client puts the same value at a key twice.
        self._puts: dict[Change, int] = {}
        self._highest = 0
        self._floor = 0
        # Since the last end of a process: the revisions that were acknowledged to who made the change.
        self.acknowledged: list[int] = []

    def find(self, rule: str, text: str) -> None:
        with self.lock:
            self.findings.append(Finding(rule, text))

    def count(self, kind: str, fate: str) -> None:
        with self.lock:
            self.requests[kind, fate] += 1

    @property
    def highest(self) -> int:
        """The highest revision that anybody was told."""
        return self._highest

    def told(self, revision: int, change: Change) -> None:
        """A client was told that the change has this revision."""
        with self.lock:
            known = self._changes.setdefault(revision, change)
            if known != change:
                self.find("revision_twice", f"revision {revision} is of {known}, and of {change}")
            if change.kind == "put" and (first := self._puts.setdefault(change, revision)) != revision:
                self.find("revision_twice", f"{change} has revision {first}, and {revision}")
            self._highest = max(self._highest, revision)

    def acknowledge(self, revision: int, change: Change) -> None:
        """The client that made a change was told its revision, which is higher than all that were told before the process began."""
        with self.lock:
            if revision <= self._floor:
                self.find("revision_back", f"{change} has revision {revision}, though {self._floor} was told before the kill")
            self.told(revision, change)
            self.acknowledged.append(revision)

    def begin(self) -> None:
        """Another process goes on from here."""
        with self.lock:
            self._floor = self._highest
            self.acknowledged = []


class Cell:
    """A value that one client changes, one change at a time: whether a token holds, a password, a grant."""

    def __init__(self, ledger: Ledger, name: str, value: object, rules: dict[object, str] | str):
        self.ledger, self.name, self.value = ledger, name, value
        # The rule that is broken if this value was acknowledged, and another is seen.
        self._rules = rules
        self._open: list[object] = []

    @property
    def is_certain(self) -> bool:
        return not self._open

    @property
    def candidates(self) -> list[object]:
        """The values that changes without an answer may have given it."""
        return list(self._open)

    def begin(self, value: object) -> None:
        """The change is sent."""
        self._open.append(value)

    def done(self, value: object) -> None:
        self._open.remove(value)
        self.value = value

    def refused(self, value: object) -> None:
        """The change was not made."""
        self._open.remove(value)

    def settle(self, seen: object) -> None:
        """What is seen after a kill: the last acknowledged value, or that of a change without an answer. From then on it is
        certain."""
        if seen != self.value and seen not in self._open:
            rule = self._rules if isinstance(self._rules, str) else self._rules[self.value]
            self.ledger.find(rule, f"{self.name} is {seen}, though {self.value} was acknowledged")
        self.value, self._open = seen, []
