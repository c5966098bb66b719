"""Histories of concurrent clients, one JSON line each, for `test/check`, which says whether they are linearizable.

The operations are those of `test/check/src/linear/spec.rs`, and so is the form of the lines.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import re
import threading
import time
from pathlib import Path

from support.clock import elapse
from support.outcome import Ok, Refusal
from support.replication.clients import AGAIN, SetWorld
from support.replication.members import NO_ANSWER, AnyMember, Fate, fate, has_written
from support.transports import HttpTransport, IprotoTransport

KEYS, CLIENTS, OPERATIONS = 3, 4, 10
PREFIX = "history/"
_CONFLICT = re.compile(r"is at revision (\d+)$")


class History:
    """One history: its keys, and what the clients did."""

    def __init__(self, number: int, after: int):
        # The revision that was known to be given before it began.
        self.number, self.after = number, after
        self.names = [f"{PREFIX}{number}/{key}" for key in range(KEYS)]
        self.operations: list[dict] = []

    def add(self, called: int, operation: dict, answer: tuple[int, dict] | None) -> None:
        """Times are nanoseconds. Without an answer it is not known whether it happened."""
        self.operations.append({"called": called, "operation": operation, "answered": answer})

    def line(self) -> str:
        self.operations.sort(key=lambda one: one["called"])
        return json.dumps({"number": self.number, "after": self.after, "operations": self.operations})


class Recorder:
    """Clients that make one history after another, at any members, until they are stopped."""

    def __init__(self, world: SetWorld, path: Path, seed: str):
        self.world, self.path, self.random = world, path, random.Random(seed)
        self._numbers = itertools.count(1)
        self._present: list[History] = []
        self.histories = self.operations = self.unknown = 0
        self._threads: list[threading.Thread] = []
        self.faults: list[Exception] = []
        path.write_text("")

    def begin(self) -> None:
        self._present = []
        barrier = threading.Barrier(CLIENTS, action=self._next)
        kinds = [HttpTransport, IprotoTransport]
        writers = [HistoryClient(self, number + 1, kinds[number % 2], self.random.random()) for number in range(CLIENTS)]
        self._threads = [threading.Thread(target=writer.run, args=(barrier,), daemon=True) for writer in writers]
        for thread in self._threads:
            thread.start()

    def _next(self) -> None:
        # All clients are between two histories here.
        self._present.append(History(next(self._numbers), self.world.ledger.highest))

    @property
    def present(self) -> History:
        return self._present[-1]

    def end(self) -> None:
        """Returns once the clients have stopped."""
        for thread in self._threads:
            thread.join()

    def settle(self, transport: HttpTransport) -> None:
        """The end of these histories: what the leader shows once all members have the same. Then the keys are deleted."""
        for history in self._present:
            called = time.monotonic_ns()
            seen = transport.do("batch_get", self.world.token, history.names)
            assert isinstance(seen, Ok), seen
            history.add(called, {"Read": {"list": False}}, (time.monotonic_ns(), {"All": shown(history, seen.value["pairs"])}))
            if there := [one["key"] for one in seen.value["pairs"] if one.get("outcome") != "missing"]:
                assert isinstance(transport.do("batch_delete", self.world.token, there), Ok)
            self.histories += 1
            self.operations += len(history.operations)
            self.unknown += sum(one["answered"] is None for one in history.operations)
        with self.path.open("a") as file:
            file.writelines(f"{history.line()}\n" for history in self._present)


def shown(history: History, pairs: list[dict]) -> list:
    """The value and the revision of each key; None if it is not there."""
    there = {one["key"]: [one["value"], one["revision"]] for one in pairs if one.get("outcome") != "missing"}
    return [there.get(name) for name in history.names]


class HistoryClient:
    """One client. It writes, with and without conditions, by what it knows of the keys. An answer that nothing was written because a
    condition does not hold is a read of any member, which may be behind, and no part of the history of the leader."""

    def __init__(self, recorder: Recorder, number: int, kind, seed: float):
        self.recorder, self.world, self.number, self.random = recorder, recorder.world, number, random.Random(seed)
        self.transport = AnyMember(self.world.members.members, kind, self.random)
        self.known: list[tuple[int, int]] = []
        self._values = itertools.count(1)

    def run(self, barrier: threading.Barrier) -> None:
        try:
            while True:
                barrier.wait()
                self.known = [(0, 0)] * KEYS
                for _ in range(OPERATIONS):
                    self.step(self.recorder.present)
                if self.world.stopping.is_set():
                    return
        except threading.BrokenBarrierError:
            pass
        except Exception as fault:  # noqa: BLE001 - told by the run
            self.recorder.faults.append(fault)
        finally:
            # Whoever waits there waits for this client.
            barrier.abort()
            self.transport.close()

    def step(self, history: History) -> None:
        """One operation, sent once; if it surely was not done, another one takes its place."""
        while True:
            operation, call = self.choose(history)
            called = time.monotonic_ns()
            try:
                seen = self.transport.do(*call)
            except (*NO_ANSWER, http.client.HTTPException):
                history.add(called, operation, None)
                return
            answered = time.monotonic_ns()
            match fate(seen):
                case Fate.UNKNOWN:
                    history.add(called, operation, None)
                    return
                case Fate.ELSEWHERE:
                    if self.world.stopping.is_set():
                        return
                    elapse(AGAIN)
                case _:
                    answer = self.answer(history, operation, seen)
                    if has_written(seen):
                        self.world.acknowledged.append((time.monotonic(), self.transport.member))
                        history.add(called, operation, (answered, answer))
                    return

    def value(self) -> int:
        # One that nobody else writes; the last digits are for increments.
        return (next(self._values) * 100 + self.number) * 1000

    def choose(self, history: History) -> tuple[dict, tuple]:
        """An operation as the checker has it, and its call."""
        key, token = self.random.randrange(KEYS), self.world.token
        name, (_, revision) = history.names[key], self.known[key]
        match self.random.choices(("put", "put_if", "incr", "delete", "txn"), (2, 3, 3, 1, 4))[0]:
            case "put":
                value = self.value()
                return {"Put": {"key": key, "value": value, "if_revision": None}}, ("pair_put", token, name, value)
            case "put_if":
                value = self.value()
                asked = {"Put": {"key": key, "value": value, "if_revision": revision}}
                return asked, ("pair_put", token, name, value, {"if_revision": revision})
            case "incr":
                by = self.random.randrange(1, 10)
                return {"Incr": {"key": key, "by": by}}, ("kv_incr", token, name, {"by": by})
            case "delete":
                return {"Delete": {"key": key, "if_revision": None}}, ("pair_delete", token, name)
            case _:
                return self.transaction(history, key)

    def transaction(self, history: History, key: int) -> tuple[dict, tuple]:
        other = (key + 1) % KEYS
        compared = [(one, self.known[one][1]) for one in (key, other) if self.random.random() < 0.6]
        puts = [(key, self.value()), (other, self.value())]
        steps = {
            "compare": [
                {"key": history.names[one], "revision": revision} if revision else {"key": history.names[one], "exists": False}
                for one, revision in compared
            ],
            "success": [{"op": "put", "key": history.names[one], "value": value} for one, value in puts],
            "failure": [{"op": "get", "key": name} for name in history.names],
        }
        asked = {"Txn": {"compare": [[one, {"Revision": revision}] for one, revision in compared], "puts": puts}}
        return asked, ("kv_txn", self.world.token, steps)

    def answer(self, history: History, operation: dict, seen: Ok | Refusal) -> dict | str:
        """The answer as the checker has it; the client learns from it."""
        ((kind, asked),) = operation.items()
        key = asked.get("key")
        if isinstance(seen, Refusal):
            if seen.name == "no_such_key":
                self.known[key] = (0, 0)
                return "Missing"
            assert seen.name == "conflict", seen
            found = _CONFLICT.search(seen.message)
            assert found or seen.message.endswith(" does not exist"), seen
            revision = int(found[1]) if found else 0
            self.known[key] = (0, revision)
            return {"Conflict": revision}
        value = seen.value
        match kind:
            case "Put":
                self.known[key] = (asked["value"], value["revision"])
                return {"Written": [value["revision"]]}
            case "Incr":
                self.known[key] = (value["value"], value["revision"])
                return {"Counted": [value["value"], value["revision"]]}
            case "Delete":
                self.known[key] = (0, 0)
                return {"Deleted": value["revision"]}
        if value["succeeded"]:
            revisions = [one["revision"] for one in value["results"]]
            for (one, written), revision in zip(asked["puts"], revisions, strict=True):
                self.known[one] = (written, revision)
            return {"Written": revisions}
        there = shown(history, value["results"])
        self.known = [(pair[0], pair[1]) if pair else (0, 0) for pair in there]
        return {"Otherwise": there}
