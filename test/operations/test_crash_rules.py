"""The rules of the crash test, each with a history that breaks it and one that is nearly the same and right."""

from __future__ import annotations

import pytest

from support.crash import xlog
from support.crash.accounts import NOBODY, Accounts
from support.crash.feed import Feed
from support.crash.inserts import Insert, Inserts
from support.crash.ledger import Change, Ledger, Pair
from support.crash.pairs import CounterUnit, Increment, Unit, Write

# Moments, in seconds: writes are sent and answered around 100, the process dies at 110, and is looked at at 120.
SENT, ANSWERED, DIED, ASKED = 100.0, 101.0, 110.0, 120.0
WALL = 1_000_000.0


class History:
    """What clients were told, in the words of the tests below."""

    def __init__(self):
        self.ledger = Ledger()
        self.batch, self.single = Unit(self.ledger, "a", "b"), Unit(self.ledger, "s")
        self.counter, self.inserts = CounterUnit(self.ledger, "n"), Inserts(self.ledger)
        self.feed, self.accounts = Feed(self.ledger), Accounts(self.ledger)

    def send(self, unit: Unit, tag: str | None, ttl: float | None = None, increment: Increment | None = None) -> Write:
        write = Write(tag, sent=SENT, wall=WALL, ttl=ttl, increments=[increment] if increment else [])
        return unit.begin(write)

    def put(self, unit: Unit, tag: str | None, *revisions: int, ttl: float | None = None) -> None:
        """A write that was acknowledged; without a tag a deletion."""
        unit.done(self.send(unit, tag, ttl), dict(zip(unit.keys, revisions, strict=False)), ANSWERED)

    def refuse(self, unit: Unit, tag: str) -> None:
        unit.refused(self.send(unit, tag))

    def increment(self, by: int, value: int | None = None, revision: int = 0) -> None:
        one = self.counter.begin(Increment(by))
        if value is not None:
            self.counter.done(one, value, revision)

    def insert(self, tag: str, *keys: str, existing: tuple[str, ...] | None = None) -> None:
        """An insert; without `existing` it had no answer."""
        one = self.inserts.begin(Insert(tag, keys))
        if existing is not None:
            self.inserts.done(one, list(existing))

    def after(self, unit: Unit, *pairs: Pair | None, asked: float = ASKED) -> None:
        """What is there after the kill."""
        seen = {key: pair for key, pair in zip(unit.keys, pairs, strict=True) if pair}
        unit.settle(seen, asked, asked, DIED)

    def inserted(self, **values: str) -> None:
        self.inserts.settle({key: Pair(value, number) for number, (key, value) in enumerate(values.items(), 10)})

    def watch(self, after: int, *revisions: int) -> None:
        self.feed.begin(after)
        for revision in revisions:
            self.feed.event(Change("put", "s", revision), revision)

    def session(self):
        return self.accounts.begun("bob", "access", "refresh")

    def end(self, session, answered: bool = True) -> None:
        session.holds.begin(False)
        if answered:
            session.holds.done(False)

    def rules(self) -> set[str]:
        return {finding.rule for finding in self.ledger.findings}


def shown(tag: str, revision: int, ttl: float | None = None) -> Pair:
    return Pair(tag, revision, ttl and WALL + ttl)


def told(cell, value, answered: bool = True):
    cell.begin(value)
    if answered:
        cell.done(value)
    return cell


# rule: histories that break it.
BROKEN = {
    "lost": {
        "an acknowledged write": lambda h: (h.put(h.single, "1", 2), h.after(h.single, None)),
        "the last of two": lambda h: (h.put(h.single, "1", 2), h.put(h.single, "2", 3), h.after(h.single, shown("1", 2))),
        "the last of two, answered in another order": lambda h: (
            h.put(h.single, "2", 3), h.put(h.single, "1", 2), h.after(h.single, shown("1", 2))),
        "a deletion": lambda h: (h.put(h.single, "1", 2), h.put(h.single, None, 3), h.after(h.single, shown("1", 2))),
        "a batch": lambda h: (h.put(h.batch, "1", 2, 3), h.after(h.batch, None, None)),
        "what was written before the kill before": lambda h: (
            h.put(h.single, "1", 2), h.after(h.single, shown("1", 2)), h.ledger.begin(), h.after(h.single, None)),
        "what a kill had decided": lambda h: (
            h.send(h.single, "1"), h.after(h.single, shown("1", 2)), h.ledger.begin(), h.after(h.single, None)),
        "what a read has shown": lambda h: (
            h.send(h.single, "1"), h.single.look({"s": shown("1", 2)}, SENT), h.after(h.single, None)),
        "what a watch has shown": lambda h: (
            h.send(h.single, "1"), h.single.event(Change("put", "s", "1"), 2, SENT), h.after(h.single, None)),
        "a deletion that a watch has shown": lambda h: (
            h.put(h.single, "1", 2), h.send(h.single, None), h.single.event(Change("delete", "s"), 3, SENT),
            h.after(h.single, shown("1", 2))),
        "a value from nowhere": lambda h: (h.put(h.single, "1", 2), h.after(h.single, shown("x", 3))),
        "an unanswered write below an acknowledged one": lambda h: (
            h.put(h.single, "1", 5), h.send(h.single, "2"), h.after(h.single, shown("2", 4))),
        "a pair with an end that has not come": lambda h: (h.put(h.single, "1", 2, ttl=60), h.after(h.single, None)),
        "an inserted pair": lambda h: (h.insert("1", "x", existing=()), h.inserted()),
        "a pair that was said to exist": lambda h: (h.insert("1", "x"), h.insert("2", "x", existing=("x",)), h.inserted()),
        "an inserted pair that was read": lambda h: (h.insert("1", "x"), h.inserts.show("x", "1"), h.inserted()),
    },
    "half_batch": {
        "one of two keys": lambda h: (h.send(h.batch, "1"), h.after(h.batch, shown("1", 2), None)),
        "one of two keys is of another": lambda h: (
            h.put(h.batch, "1", 2, 3), h.send(h.batch, "2"), h.after(h.batch, shown("1", 2), shown("2", 5))),
        "a deletion of one": lambda h: (h.put(h.batch, "1", 2, 3), h.send(h.batch, None), h.after(h.batch, None, shown("1", 3))),
        "a read of one": lambda h: (h.send(h.batch, "1"), h.batch.look({"b": shown("1", 3)}, SENT)),
        "an answer for one": lambda h: h.put(h.batch, "1", 2),
        "an insert of one": lambda h: (h.insert("1", "x", "y"), h.inserted(x="1")),
    },
    "revision_twice": {
        "of two writes": lambda h: (h.put(h.single, "1", 2), h.put(h.batch, "2", 2, 3)),
        "of a write and a deletion": lambda h: (h.put(h.single, "1", 2), h.put(h.single, None, 2)),
        "of a write and an increment": lambda h: (h.put(h.single, "1", 2), h.increment(1, 1, 2)),
        "two of one write": lambda h: (h.put(h.single, "1", 2), h.after(h.single, shown("1", 3))),
        "two of one write, by a watch": lambda h: (h.put(h.single, "1", 2), h.single.event(Change("put", "s", "1"), 3, SENT)),
    },
    "revision_back": {
        "after a kill": lambda h: (h.put(h.single, "1", 5), h.ledger.begin(), h.put(h.batch, "2", 3, 4)),
    },
    "refused_was_done": {
        "after a kill": lambda h: (h.refuse(h.single, "1"), h.after(h.single, shown("1", 2))),
        "after a read": lambda h: (write := h.send(h.single, "1"), h.single.look({"s": shown("1", 2)}, SENT), h.single.refused(write)),
    },
    "expired": {
        "is there": lambda h: (h.put(h.single, "1", 2, ttl=5), h.after(h.single, shown("1", 2, 5))),
        "is read": lambda h: (h.put(h.single, "1", 2, ttl=5), h.single.look({"s": shown("1", 2, 5)}, ASKED)),
        "without an answer, is there": lambda h: (h.send(h.single, "1", ttl=5), h.after(h.single, shown("1", 2, 5))),
        "ends at another time": lambda h: (h.put(h.single, "1", 2, ttl=60), h.after(h.single, shown("1", 2, 50))),
        "ends later than the answer": lambda h: (h.put(h.single, "1", 2, ttl=60), h.after(h.single, shown("1", 2, 62))),
        "has no end any more": lambda h: (h.put(h.single, "1", 2, ttl=60), h.after(h.single, shown("1", 2))),
        "has an end that nobody gave it": lambda h: (h.put(h.single, "1", 2), h.after(h.single, shown("1", 2, 60))),
        "is said to have ended": lambda h: (h.put(h.single, "1", 2, ttl=60), h.single.event(Change("expire", "s"), 3, ANSWERED)),
    },
    "counter": {
        "below what was acknowledged": lambda h: (h.increment(2, 2, 2), h.counter.settle(Pair(1, 1))),
        "is gone": lambda h: (h.increment(2, 2, 2), h.counter.settle(None)),
        "above what was sent": lambda h: (h.increment(2, 2, 2), h.increment(3), h.counter.settle(Pair(6, 4))),
        "below what was shown": lambda h: (
            h.increment(2), h.counter.event(Change("put", "n", 2), 2), h.counter.settle(None)),
        "went back": lambda h: (h.increment(1, 2, 2), h.increment(1, 1, 3), h.counter.settle(Pair(2, 2))),
        "without that of a transaction that was done": lambda h: (
            h.send(h.batch, "1", increment=h.counter.begin(Increment(2))), h.after(h.batch, shown("1", 3), shown("1", 4)),
            h.counter.settle(None)),
        "twice after a kill": lambda h: (
            h.increment(2), h.counter.settle(Pair(2, 2)), h.ledger.begin(), h.counter.settle(Pair(4, 3))),
    },
    "insert": {
        "two are told that they wrote": lambda h: (h.insert("1", "x", existing=()), h.insert("2", "x", existing=())),
        "the second value stays": lambda h: (h.insert("1", "x", existing=()), h.insert("2", "x"), h.inserted(x="2")),
        "a key that nobody wrote exists": lambda h: h.insert("1", "x", existing=("x",)),
        "a value from nowhere": lambda h: (h.insert("1", "x"), h.inserted(x="2")),
        "another value after a kill": lambda h: (h.insert("1", "x", existing=()), h.inserted(x="1"), h.insert("2", "x", existing=())),
    },
    "watch": {
        "a change twice": lambda h: h.watch(1, 2, 2),
        "a change before another": lambda h: h.watch(1, 3, 2),
        "a change before the stream": lambda h: h.watch(5, 4),
        "a stream that begins before the position": lambda h: (h.watch(1, 2, 3), h.watch(2, 3)),
        "a change left out": lambda h: (h.put(h.single, "1", 2), h.put(h.single, "2", 3), h.watch(1, 3), h.feed.settle()),
        "a change left out by the next stream": lambda h: (
            h.watch(1, 2), h.feed.settle(), h.ledger.begin(), h.put(h.single, "1", 3), h.put(h.single, "2", 4), h.watch(2, 4),
            h.feed.settle()),
    },
    "session_lost": {
        "a token": lambda h: h.session().holds.settle(False),
        "a refresh token": lambda h: h.accounts.settle_refresh(h.session(), "refused"),
        "a refresh token that a refresh gave": lambda h: (
            session := h.session(), session.refreshed("other", "next"), h.accounts.settle_refresh(session, "refused")),
    },
    "revoked_token_alive": {
        "a logout": lambda h: (session := h.session(), h.end(session), session.holds.settle(True)),
        "a logout that a kill had decided": lambda h: (
            session := h.session(), h.end(session, False), session.holds.settle(False), session.holds.settle(True)),
        "after a used refresh token": lambda h: (
            session := h.session(), session.refreshed("other", "next"), h.accounts.settle_used(session, True),
            session.holds.settle(True)),
    },
    "used_refresh_alive": {
        "a refresh token": lambda h: (
            session := h.session(), session.refreshed("other", "next"), h.accounts.settle_used(session, False)),
    },
    "grant_lost": {"a grant": lambda h: told(h.accounts.grant("bob", "shop"), True).settle(False)},
    "revoked_grant_alive": {
        "a revocation": lambda h: (cell := told(h.accounts.grant("bob", "shop"), True), told(cell, False).settle(True)),
    },
    "user": {
        "a user": lambda h: told(h.accounts.user("bob"), "secret").settle(NOBODY),
        "a password": lambda h: (cell := told(h.accounts.user("bob"), "secret"), told(cell, "other").settle("secret")),
        "a deletion": lambda h: (cell := told(h.accounts.user("bob"), "secret"), told(cell, NOBODY).settle("secret")),
    },
    "role": {"permissions": lambda h: (cell := told(h.accounts.role("shop"), "a/"), told(cell, "b/").settle("a/"))},
    "key_file_left": {
        "a key that was never published": lambda h: h.accounts.settle_key_files({"1.pem", "2.pem"}, {"1"}),
        "a draft": lambda h: h.accounts.settle_key_files({"1.pem", "1.pem.new"}, {"1"}),
    },
    "key_lost": {"a rotation": lambda h: (h.accounts.keys.add("2"), h.accounts.settle_keys({"1"}))},
}  # fmt: skip

RIGHT = {
    "a write without an answer is there": lambda h: (h.send(h.single, "1"), h.after(h.single, shown("1", 2))),
    "a write without an answer is not there": lambda h: (h.send(h.single, "1"), h.after(h.single, None)),
    "a write without an answer came before": lambda h: (h.put(h.single, "1", 5), h.send(h.single, "2"), h.after(h.single, shown("1", 5))),
    "a write without an answer came after": lambda h: (h.put(h.single, "1", 5), h.send(h.single, "2"), h.after(h.single, shown("2", 6))),
    "a deletion without an answer": lambda h: (h.put(h.single, "1", 5), h.send(h.single, None), h.after(h.single, None)),
    "the last of two": lambda h: (h.put(h.single, "2", 3), h.put(h.single, "1", 2), h.after(h.single, shown("2", 3))),
    "a batch": lambda h: (h.put(h.batch, "1", 2, 3), h.send(h.batch, "2"), h.after(h.batch, shown("2", 4), shown("2", 5))),
    "a batch that a watch has shown in part": lambda h: (
        h.send(h.batch, "1"), h.batch.event(Change("put", "a", "1"), 2, SENT), h.after(h.batch, shown("1", 2), shown("1", 3))),
    "what was refused": lambda h: (h.put(h.single, "1", 2), h.refuse(h.single, "2"), h.after(h.single, shown("1", 2))),
    "a pair that has ended": lambda h: (h.put(h.single, "1", 2, ttl=5), h.after(h.single, None)),
    "a pair that has not ended": lambda h: (h.put(h.single, "1", 2, ttl=60), h.after(h.single, shown("1", 2, 60.5))),
    "an end that is told": lambda h: (
        h.put(h.single, "1", 2, ttl=5), h.single.event(Change("expire", "s"), 3, ASKED), h.after(h.single, None)),
    "a counter": lambda h: (h.increment(2, 2, 2), h.increment(3), h.counter.settle(Pair(5, 4))),
    "a counter without what had no answer": lambda h: (h.increment(2, 2, 2), h.increment(3), h.counter.settle(Pair(2, 2))),
    "inserts": lambda h: (h.insert("1", "x", existing=()), h.insert("2", "x", "y", existing=("x",)), h.inserted(x="1", y="2")),
    "an insert without an answer": lambda h: (h.insert("1", "x", "y"), h.inserted(x="1", y="1")),
    "an insert without an answer, behind another": lambda h: (
        h.insert("1", "x", existing=()), h.insert("2", "x", "y"), h.inserted(x="1", y="2")),
    "a watch": lambda h: (h.put(h.single, "1", 2), h.watch(1, 2), h.put(h.single, "2", 3), h.feed.settle()),
    "a watch that begins anew": lambda h: (h.watch(1, 2), h.put(h.single, "1", 3), h.watch(3, 4), h.feed.settle()),
    "a logout without an answer": lambda h: (session := h.session(), h.end(session, False), session.holds.settle(True)),
    "a refresh without an answer": lambda h: (
        session := h.session(), setattr(session, "is_refreshing", True), h.accounts.settle_refresh(session, "refused")),
    "a key whose file is named by a setting": lambda h: h.accounts.settle_key_files({"1.pem"}, {"1", "2"}),
    "a grant without an answer": lambda h: told(h.accounts.grant("bob", "shop"), True, answered=False).settle(False),
}  # fmt: skip


@pytest.mark.parametrize("rule,name", [(rule, name) for rule, histories in BROKEN.items() for name in histories])
def test_a_history_that_breaks_a_rule_is_found(rule, name):
    history = History()
    BROKEN[rule][name](history)
    assert history.rules() == {rule}, history.ledger.findings


@pytest.mark.parametrize("name", RIGHT)
def test_a_history_that_keeps_the_rules_is_not_found(name):
    history = History()
    RIGHT[name](history)
    assert not history.ledger.findings


def test_the_checksum_of_a_log_is_crc_32c():
    """The check value of CRC-32/ISCSI, which inverts its begin and its end, as Tarantool does not."""
    assert xlog.crc32c(b"123456789", 0xFFFFFFFF) ^ 0xFFFFFFFF == 0xE3069283


def test_the_key_of_a_row_is_that_of_its_pair():
    """An insert has it in its tuple, a deletion alone, and an update beside its operations."""
    for body in ({xlog.TUPLE: ["k", 1]}, {xlog.KEY: ["k"]}, {xlog.KEY: ["k"], xlog.TUPLE: [["=", 1, 2]]}):
        assert xlog.Row(b"", {}, {xlog.SPACE_ID: 512} | body).key == "k"
    # A row without space, as of a heartbeat.
    assert xlog.Row(b"", {}, {}).key is None
