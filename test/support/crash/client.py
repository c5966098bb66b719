"""One client of the load: it sends requests of its kind, one after another, until there is no answer, and notes what came of each."""

from __future__ import annotations

import http.client
import itertools
import random
import threading
from dataclasses import dataclass, field

import tarantool

from support.clock import elapse
from support.crash.accounts import Accounts
from support.crash.feed import Feed
from support.crash.inserts import Inserts
from support.crash.ledger import Ledger, Pair
from support.crash.pairs import CounterUnit, Unit
from support.harness import Instance
from support.outcome import Ok, Refusal

# Seconds between two requests of a client, at most.
PAUSE = 0.004


class Lost(Exception):
    """The connection is of no use any more."""


@dataclass
class World:
    """What the clients of a run share."""

    instance: Instance
    ledger: Ledger = field(default_factory=Ledger)
    groups: list[Unit] = field(default_factory=list)
    singles: list[Unit] = field(default_factory=list)
    counters: list[CounterUnit] = field(default_factory=list)
    # Of the token that may read and write all keys, and that of the administrator.
    token: str = ""
    admin: str = ""
    # The tokens of the users whose roles change, by their logins.
    holders: dict[str, str] = field(default_factory=dict)
    # The number of the present process.
    epoch: int = 0
    # Set right before the present process is killed, and once clients have to stop.
    dying: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        self.inserts, self.accounts, self.feed = Inserts(self.ledger), Accounts(self.ledger), Feed(self.ledger)
        self._numbers = itertools.count(1)

    def fresh(self) -> str:
        """A text that no other value of the run has."""
        return f"v{self.epoch}-{next(self._numbers)}"

    def unit_of(self, key: str) -> Unit | CounterUnit | Inserts | None:
        return self.units.get(key) or (self.inserts if key.startswith("crash/once/") else None)

    def share(self, groups: list[Unit], singles: list[Unit], counters: list[CounterUnit]) -> None:
        self.groups, self.singles, self.counters = groups, singles, counters
        self.units = {key: unit for unit in (*groups, *singles) for key in unit.keys} | {one.key: one for one in counters}


def shown(pair: dict) -> Pair:
    """A pair of an answer. Values are numbers of counters, or lists that begin with their tag."""
    value = pair["value"]
    return Pair(value[0] if isinstance(value, list) else value, pair["revision"], pair.get("expires_at"))


class Client(threading.Thread):
    """`step` does one of the things that this kind of client does."""

    def __init__(self, world: World, kind, seed: str):
        super().__init__(daemon=True)
        self.world, self.kind, self.random = world, kind, random.Random(seed)
        self.transport = None
        # Some always have a request on its way.
        self.pause = self.random.choice((0, PAUSE, PAUSE))
        self.has_begun = threading.Event()
        # What ended the client that is no end of the instance.
        self.fault: Exception | None = None

    def step(self) -> None:
        raise NotImplementedError

    def ask(self, operation: str, *args) -> Ok | Refusal:
        """The outcome of a request, counted by its kind."""
        kind = f"/api {operation}" if operation in ("register", "login", "logout", "check", "get", "put") else operation
        try:
            seen = self.transport.do(operation, *args)
        except Exception:
            self.world.ledger.count(kind, "no answer")
            raise
        self.world.ledger.count(kind, "acknowledged" if isinstance(seen, Ok) else f"refused: {seen.name or seen.code}")
        if isinstance(seen, Refusal) and (seen.code in (500, 20025, 20030)):
            self.world.ledger.find("failure", f"{operation}: {seen}")
        return seen

    def run(self) -> None:
        while not self.world.stopping.is_set():
            try:
                self.transport = self.transport or self.kind(self.world.instance)
                self.step()
                self.has_begun.set()
                elapse(self.random.random() * self.pause)
            except (Lost, OSError, http.client.HTTPException, tarantool.NetworkError):
                # The instance has been killed, which is told in a moment, or restarts.
                self.close()
                self.world.stopping.wait(0.2)
            except Exception as fault:  # noqa: BLE001 - whatever it is, it is a fault of an answer or of this program
                # The kill may have cut an answer off.
                if not self.world.dying.is_set():
                    self.fault = fault
                    break
        self.has_begun.set()
        self.close()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()
            self.transport = None
