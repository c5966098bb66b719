"""Clients of the key-value store: batches, transactions, single pairs, counters, expiry, and `/api`."""

from __future__ import annotations

import time

from support.crash.client import Client, Lost, shown
from support.crash.inserts import Insert
from support.crash.ledger import Change
from support.crash.pairs import CounterUnit, Increment, Unit, Write
from support.harness import DEADLINE
from support.outcome import Ok, Refusal
from support.sse import Stream

TTLS = (0.3, 1, 3, 600)
# Of a value beside its tag: Tarantool compresses records of the log above 2 KB.
PADS = (0, 10, 200, 1500)


class PairClient(Client):
    """Writes, deletes and reads units of one key and of several."""

    def step(self) -> None:
        kinds = [self.put_batch, self.put_pair, self.txn, self.increment, self.delete_batch, self.delete_pair, self.read]
        self.random.choices(kinds, (4, 4, 3, 4, 1, 1, 2))[0]()

    def value(self, tag: str) -> list:
        return [tag, "x" * self.random.choice(PADS)]

    def write(self, ttl: float | None = None, tag: bool = True) -> Write:
        return Write(self.world.fresh() if tag else None, sent=time.monotonic(), wall=time.time(), ttl=ttl)

    def finish(self, unit: Unit, write: Write, seen, revisions: dict[str, int] | None) -> None:
        """The answer has come; without revisions nothing was written."""
        if isinstance(seen, Ok) and revisions:
            unit.done(write, revisions, time.monotonic())
        else:
            unit.refused(write)

    def put_batch(self) -> None:
        unit = self.random.choice(self.world.groups)
        write = unit.begin(self.write())
        mode = self.random.choice(("upsert", "upsert", "insert"))
        pairs = [{"key": key, "value": self.value(write.tag)} for key in unit.keys]
        seen = self.ask("batch_put", self.world.token, pairs, {"mode": mode, "atomic": mode == "insert" or self.random.random() < 0.5})
        self.finish(unit, write, seen, results(seen, "written"))

    def delete_batch(self) -> None:
        unit = self.random.choice(self.world.groups)
        write = unit.begin(self.write(tag=False))
        seen = self.ask("batch_delete", self.world.token, list(unit.keys))
        self.finish(unit, write, seen, results(seen, "deleted"))

    def put_pair(self) -> None:
        unit = self.random.choice(self.world.singles)
        ttl = self.random.choice((None, self.random.choice(TTLS)))
        write = unit.begin(self.write(ttl))
        seen = self.ask("pair_put", self.world.token, unit.keys[0], self.value(write.tag), *([{"ttl": ttl}] if ttl else []))
        self.finish(unit, write, seen, {unit.keys[0]: seen.value["revision"]} if isinstance(seen, Ok) else None)

    def delete_pair(self) -> None:
        unit = self.random.choice(self.world.singles)
        write = unit.begin(self.write(tag=False))
        seen = self.ask("pair_delete", self.world.token, unit.keys[0])
        self.finish(unit, write, seen, {unit.keys[0]: seen.value["revision"]} if isinstance(seen, Ok) else None)

    def txn(self) -> None:
        """Writes a unit and increments a counter, if the unit is there or not, as it may be."""
        unit, counter = self.random.choice(self.world.groups), self.random.choice(self.world.counters)
        increment, write = counter.begin(Increment(self.random.randrange(1, 5))), self.write()
        write.increments.append(increment)
        unit.begin(write)
        puts = [{"op": "put", "key": key, "value": self.value(write.tag)} for key in unit.keys]
        add = {"op": "incr", "key": counter.key, "by": increment.by}
        steps = {"compare": [{"key": unit.keys[0], "exists": self.random.random() < 0.8}], "success": [add, *puts]}
        seen = self.ask("kv_txn", self.world.token, steps)
        if isinstance(seen, Ok) and seen.value["succeeded"]:
            added, *written = seen.value["results"]
            counter.done(increment, added["value"], added["revision"])
            self.finish(unit, write, seen, {one["key"]: one["revision"] for one in written})
        else:
            counter.refused(increment)
            unit.refused(write)

    def increment(self) -> None:
        counter: CounterUnit = self.random.choice(self.world.counters)
        increment = counter.begin(Increment(self.random.randrange(1, 5)))
        match self.ask("kv_incr", self.world.token, counter.key, {"by": increment.by}):
            case Ok({"value": value, "revision": revision}):
                counter.done(increment, value, revision)
            case _:
                counter.refused(increment)

    def read(self) -> None:
        unit: Unit = self.random.choice((self.random.choice(self.world.groups), self.random.choice(self.world.singles)))
        asked = time.monotonic()
        seen = self.ask("batch_get", self.world.token, list(unit.keys))
        if isinstance(seen, Ok):
            unit.look({one["key"]: shown(one) for one in seen.value["pairs"]}, asked)


def results(seen, outcome: str) -> dict[str, int]:
    """The revisions of the keys of a batch that have this outcome."""
    if not isinstance(seen, Ok):
        return {}
    return {one["key"]: one["revision"] for one in seen.value["results"] if one["outcome"] == outcome}


class OldClient(Client):
    """A client of `/api`: it inserts what others insert too, and reads it."""

    def step(self) -> None:
        if self.random.random() < 0.3:
            self.read()
            return
        insert = Insert(self.world.fresh(), tuple(self.random.sample(self.names(), self.random.randrange(1, 6))))
        self.world.inserts.begin(insert)
        seen = self.ask("put", self.world.token, {key: [insert.tag] for key in insert.keys})
        if isinstance(seen, Ok):
            self.world.inserts.done(insert, seen.value)
        else:
            self.world.inserts.refused(insert)

    def names(self) -> list[str]:
        """The present ones; they move on, so that there always are some that nobody has written."""
        first = 2 * self.world.inserts.count
        return [f"crash/once/{self.world.epoch:05}/{number:05}" for number in range(max(0, first - 10), first + 30)]

    def read(self) -> None:
        key = self.random.choice(self.names())
        match self.ask("get", self.world.token, [key]):
            case Ok(data):
                self.world.inserts.show(key, data[key][0])
            case Refusal():
                pass


class Watcher(Client):
    """A client of a watch. It goes on where it stopped; if that is too old, it begins anew."""

    # Seconds that it waits for a change.
    patience = DEADLINE
    # Refusals of an instance that may serve it later.
    passing = frozenset({"shutting_down", "not_started", "overloaded"})

    def __init__(self, world, seed: str):
        super().__init__(world, self.stream, seed)
        self.pause = 0

    def stream(self, instance) -> Stream:
        position = self.world.feed.position
        stream = Stream(instance, self.world.token, last_event_id=position, ready=False, timeout=self.patience, prefix="crash/")
        if stream.response.status == 200:
            first = stream.event()
            if first is None:
                raise Lost("watch")
            self.world.feed.begin(first.data["revision"])
            self.world.ledger.count("watch", "acknowledged")
            return stream
        refusal = stream.refusal(self.world.token)
        stream.close()
        self.world.ledger.count("watch", f"refused: {refusal.name}")
        if refusal.name == "too_old":
            self.world.feed.position = None
        elif refusal.name not in self.passing:
            self.world.ledger.find("watch", f"after {position}: {refusal}")
        raise Lost("watch")

    def step(self) -> None:
        event = self.transport.event()
        if event is not None and event.name == "too_old":
            self.world.feed.position = None
        if event is None or event.name in ("too_old", "error"):
            raise Lost("watch")
        kind, key, *value = event.change
        change = Change(kind, key, (value[0][0] if isinstance(value[0], list) else value[0]) if value else None)
        self.world.feed.event(change, int(event.id))
        unit = self.world.unit_of(key)
        if isinstance(unit, Unit):
            unit.event(change, int(event.id), time.monotonic())
        elif unit is not None:
            unit.event(change, int(event.id))
