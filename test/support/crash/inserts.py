"""The rules of `/api/write`, which inserts what is not there: the first value stays, and nobody else is told that theirs was written."""

from __future__ import annotations

from dataclasses import dataclass, field

from support.crash.ledger import Change, Ledger, Pair


@dataclass(eq=False)
class Insert:
    """A write of some keys that was sent, all with the same value. What was answered for each key is not known before the answer."""

    tag: str
    keys: tuple[str, ...]
    written: set[str] = field(default_factory=set)
    existing: set[str] = field(default_factory=set)
    is_open: bool = True


class Inserts:
    """Keys that are written by inserts only."""

    def __init__(self, ledger: Ledger):
        self.ledger = ledger
        self._values: dict[str, object] = {}
        # The keys that were there when the present process began.
        self._before: set[str] = set()
        self._sent: list[Insert] = []

    @property
    def keys(self) -> set[str]:
        """All keys that anybody has tried to write."""
        with self.ledger.lock:
            return self._values.keys() | {key for insert in self._sent for key in insert.keys}

    @property
    def count(self) -> int:
        """How many were sent to the present process."""
        return len(self._sent)

    def begin(self, insert: Insert) -> Insert:
        with self.ledger.lock:
            self._sent.append(insert)
        return insert

    def done(self, insert: Insert, existing: list[str]) -> None:
        """The answer names the keys that existed."""
        with self.ledger.lock:
            insert.is_open = False
            insert.existing = set(existing)
            insert.written |= set(insert.keys) - insert.existing
            for key in insert.written:
                self._hold(key, insert.tag)
            for key in insert.existing:
                others = any(key in one.keys for one in self._sent if one is not insert)
                if not others and self._values.get(key) in (None, insert.tag):
                    self.ledger.find("insert", f"{key} existed, though nobody had written it")

    def refused(self, insert: Insert) -> None:
        with self.ledger.lock:
            self._sent.remove(insert)

    def _hold(self, key: str, tag: object) -> None:
        """The key has this value from the first that was told on."""
        known = self._values.setdefault(key, tag)
        if known != tag:
            self.ledger.find("insert", f"{key} has {tag}, though it had {known} already")

    def show(self, key: str, tag: object) -> None:
        """A client was shown the value."""
        with self.ledger.lock:
            self._hold(key, tag)

    def event(self, change: Change, revision: int) -> None:
        with self.ledger.lock:
            self.ledger.told(revision, change)
            if change.kind == "put":
                self._hold(change.key, change.value)

    def settle(self, seen: dict[str, Pair]) -> None:
        """What is there after a kill."""
        with self.ledger.lock:
            tries: dict[str, list[Insert]] = {key: [] for key in self._values}
            for insert in self._sent:
                for key in insert.keys:
                    tries.setdefault(key, []).append(insert)
            for key, of_key in tries.items():
                self._settle_key(key, seen.get(key), of_key)
            for insert in self._sent:
                self._settle_insert([key for key in insert.keys if len(tries[key]) == 1 and key not in self._before], insert.tag, seen)
            self._sent = []
            self._values = {key: seen[key].value for key in tries if key in seen}
            self._before = set(self._values)

    def _settle_insert(self, own: list[str], tag: str, seen: dict[str, Pair]) -> None:
        """Of the keys that nobody else has tried to write, an insert writes all or none."""
        there = {key: key in seen for key in own}
        if len(set(there.values())) > 1:
            self.ledger.find("half_batch", f"{tag} is there: {there}")

    def _settle_key(self, key: str, pair: Pair | None, tries: list[Insert]) -> None:
        known = self._values.get(key)
        if pair is not None:
            self.ledger.told(pair.revision, Change("put", key, pair.value))
            tags = {insert.tag for insert in tries if insert.is_open or key in insert.written}
            if known is not None and pair.value != known:
                self.ledger.find("insert", f"{key} has {pair.value}, though it had {known} already")
            elif known is None and pair.value not in tags:
                self.ledger.find("insert", f"{key} has {pair.value}, which nobody has written")
        elif known is not None or any(key in insert.existing for insert in tries):
            self.ledger.find("lost", f"{key} is gone, though {known} was acknowledged, or said to exist")

    def forget(self, keys: set[str]) -> None:
        """These keys were deleted."""
        with self.ledger.lock:
            for key in keys:
                self._values.pop(key, None)
                self._before.discard(key)
