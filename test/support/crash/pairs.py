"""The rules of pairs: what was acknowledged is there after a kill, whole, and in its order."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from enum import Enum

from support.crash.ledger import Change, Ledger, Pair

# How far the clocks of a client and of the instance, and the moments at which they look, may differ; in seconds.
SLACK = 0.25


class Fate(Enum):
    OPEN = "no answer"
    DONE = "acknowledged"
    REFUSED = "refused"


@dataclass
class Increment:
    """An increment of a counter that was sent."""

    by: int
    fate: Fate = Fate.OPEN
    revision: int = 0
    value: int | None = None


@dataclass(eq=False)
class Write:
    """A write of all keys of a unit, in one transaction. Without a tag it deletes them."""

    tag: str | None
    sent: float = 0
    answered: float = float("inf")
    ttl: float | None = None
    # When it was sent, by the time of day.
    wall: float = 0
    fate: Fate = Fate.OPEN
    revision: int = 0
    # The increments of the same transaction.
    increments: list[Increment] = field(default_factory=list)

    def may_have_ended(self, now: float) -> bool:
        return self.tag is None or (self.ttl is not None and now > self.sent + self.ttl - SLACK)

    def must_have_ended(self, now: float) -> bool:
        return self.tag is not None and self.ttl is not None and now > self.answered + self.ttl + SLACK


class Unit:
    """Keys that are only ever written together, by any number of clients at once: they are all of one write, or none is there."""

    def __init__(self, ledger: Ledger, *keys: str):
        self.ledger, self.keys = ledger, keys
        self._base = Write(None, fate=Fate.DONE)
        self._writes: list[Write] = []

    def begin(self, write: Write) -> Write:
        with self.ledger.lock:
            self._writes.append(write)
        return write

    def done(self, write: Write, revisions: dict[str, int], answered: float) -> None:
        """The write was acknowledged with these revisions of its keys."""
        kind = "put" if write.tag is not None else "delete"
        with self.ledger.lock:
            for key, revision in revisions.items():
                self.ledger.acknowledge(revision, Change(kind, key, write.tag))
            write.answered = answered
            self._certain(write, max(revisions.values()))
            if revisions.keys() != set(self.keys):
                self.ledger.find("half_batch", f"{write.tag} is acknowledged for {list(revisions)} of {self.keys}")

    def refused(self, write: Write) -> None:
        with self.ledger.lock:
            if write.fate is Fate.DONE:
                self.ledger.find("refused_was_done", f"{write.tag} of {self.keys} was shown, and refused")
            write.fate = Fate.REFUSED

    def _certain(self, write: Write, revision: int) -> None:
        write.fate, write.revision = Fate.DONE, max(write.revision, revision)
        for increment in write.increments:
            increment.fate = Fate.DONE

    def look(self, seen: dict[str, Pair], asked: float) -> Pair | None:
        """A client that asked at this moment was shown these pairs, as they were at one moment. What was shown is durable, as if it
        were acknowledged."""
        shown = [seen.get(key) for key in self.keys]
        with self.ledger.lock:
            for key, pair in zip(self.keys, shown, strict=True):
                if pair is not None:
                    self.ledger.told(pair.revision, Change("put", key, pair.value))
            if len({pair and pair.value for pair in shown}) > 1:
                values = [pair and pair.value for pair in shown]
                self.ledger.find("half_batch", f"{self.keys} have {values}")
                return None
            if shown[0] is None:
                return None
            last = max(shown, key=lambda pair: pair.revision)
            self._mark(last)
            for write in (self._base, *self._writes):
                if write.tag == last.value and write.must_have_ended(asked):
                    self.ledger.find("expired", f"{self.keys} have {last.value}, which has ended: its ttl is {write.ttl}")
            return last

    def _mark(self, pair: Pair) -> None:
        for write in self._writes:
            if write.tag == pair.value and write.fate is not Fate.REFUSED:
                self._certain(write, pair.revision)

    def event(self, change: Change, revision: int, now: float) -> None:
        """A watch has shown a change of one of the keys at this moment."""
        with self.ledger.lock:
            self.ledger.told(revision, change)
            if change.kind == "put":
                self._mark(Pair(change.value, revision))
                return
            puts = [one for one in (self._base, *self._writes) if one.tag is not None]
            if change.kind == "expire" and not any(one.may_have_ended(now) for one in puts):
                self.ledger.find("expired", f"{change} came before the end of any of {[(one.tag, one.ttl) for one in puts]}")
            self._writes.append(Write(None, fate=Fate.DONE, revision=revision))

    def settle(self, seen: dict[str, Pair], asked: float, answered: float, died: float) -> None:
        """What is there after a kill, while nobody writes: asked for and answered at these moments; the process died at `died`."""
        with self.ledger.lock:
            done = [self._base, *(write for write in self._writes if write.fate is Fate.DONE)]
            last = max(done, key=lambda write: write.revision)
            unknown = [write for write in self._writes if write.fate is Fate.OPEN]
            for write in self._writes:
                write.answered = min(write.answered, died)
            count = len(self.ledger.findings)
            pair = self.look(seen, asked)
            torn = len(self.ledger.findings) > count
            self._base = self._found(pair, last, unknown, answered) if not torn else self._base_of(pair)
            self._writes = []

    def _base_of(self, pair: Pair | None) -> Write:
        return Write(pair and pair.value, fate=Fate.DONE, revision=pair.revision if pair else 0)

    def _found(self, pair: Pair | None, last: Write, unknown: list[Write], answered: float) -> Write:
        """The write that is seen, which is the last acknowledged one or one without an answer; or a finding."""
        if pair is None:
            if last.may_have_ended(answered):
                return last
            # An expiry or a deletion without an answer has a revision above that of the last one.
            if any(write.may_have_ended(answered) for write in unknown):
                return Write(None, fate=Fate.DONE, revision=last.revision)
            self.ledger.find("lost", f"{self.keys} are gone, though {last.tag} was acknowledged with revision {last.revision}")
            return self._base_of(pair)
        # A revision that differs from the one that was told is a finding of its own; a watch may have shown a part of a batch.
        if pair.value == last.tag and pair.revision >= last.revision:
            write = last
        else:
            write = next((one for one in unknown if one.tag == pair.value and pair.revision > last.revision), None)
        if write is None:
            known = {one.tag: one.fate for one in self._writes}
            rule = "refused_was_done" if known.get(pair.value) is Fate.REFUSED else "lost"
            self.ledger.find(
                rule,
                f"{self.keys} have {pair.value} of revision {pair.revision}, though the last that was acknowledged is {last.tag} "
                f"of revision {last.revision}",
            )
            return self._base_of(pair)
        self._check_expiry(write, pair)
        write.fate, write.revision = Fate.DONE, pair.revision
        return write

    def _check_expiry(self, write: Write, pair: Pair) -> None:
        if write is self._base and write.wall == 0:
            return
        ends = write.ttl and write.wall + write.ttl
        took = min(write.answered - write.sent, 3600)
        if (pair.expires_at is None) != (ends is None) or (ends and not -SLACK <= pair.expires_at - ends <= took + SLACK):
            self.ledger.find("expired", f"{self.keys} end at {pair.expires_at}, not {took} s after {ends}")


class CounterUnit:
    """A counter that is only ever incremented: it is at least what was acknowledged, and at most that and what had no answer."""

    def __init__(self, ledger: Ledger, key: str):
        self.ledger, self.key = ledger, key
        self._base = 0
        self._shown = 0
        self._increments: list[Increment] = []

    def begin(self, increment: Increment) -> Increment:
        with self.ledger.lock:
            self._increments.append(increment)
        return increment

    def done(self, increment: Increment, value: int, revision: int) -> None:
        with self.ledger.lock:
            increment.fate, increment.value, increment.revision = Fate.DONE, value, revision
            self._shown = max(self._shown, value)
            self.ledger.acknowledge(revision, Change("put", self.key, value))

    def refused(self, increment: Increment) -> None:
        increment.fate = Fate.REFUSED

    def event(self, change: Change, revision: int) -> None:
        """A client was shown the counter."""
        with self.ledger.lock:
            self.ledger.told(revision, change)
            self._shown = max(self._shown, change.value)

    def settle(self, pair: Pair | None) -> None:
        with self.ledger.lock:
            value = pair.value if pair else 0
            if pair:
                self.event(Change("put", self.key, value), pair.revision)
            of = {fate: sum(one.by for one in self._increments if one.fate is fate) for fate in Fate}
            least, most = self._base + of[Fate.DONE], self._base + of[Fate.DONE] + of[Fate.OPEN]
            if not max(least, self._shown) <= value <= most:
                self.ledger.find("counter", f"{self.key} is {value}, not {least} to {most}; {self._shown} was shown")
            told = sorted((one.revision, one.value) for one in self._increments if one.value is not None)
            if any(later[1] <= earlier[1] for earlier, later in itertools.pairwise(told)):
                self.ledger.find("counter", f"{self.key} went back: {told}")
            self._base, self._shown, self._increments = value, value, []
