"""An instance that is killed again and again under load, and looked at after each kill."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter

from support.clock import elapse
from support.crash.account_clients import AdminClient, KeyClient, SessionClient
from support.crash.client import Client, World
from support.crash.ledger import Finding, Ledger
from support.crash.pair_clients import OldClient, PairClient, Watcher
from support.crash.pairs import CounterUnit, Unit
from support.crash.settle import Settlement, prepare
from support.harness import ADMIN_PASSWORD, CHEAP_HASHES, Instance, wait_until
from support.outcome import ANY
from support.people import People
from support.transports import HttpTransport, IprotoTransport

SETTINGS = {
    **CHEAP_HASHES,
    # RSA keys would take most of the time; the first key is one.
    "AUTHKV_TOKEN_ALGORITHM": "ES256",
    "AUTHKV_TOKEN_TTL": "86400",
    # Passwords are tried after each kill.
    "AUTHKV_LOGIN_DELAY_MAX": "0",
    # A refresh token that was used before the kill ends its session.
    "AUTHKV_REFRESH_GRACE": "0",
}
# What has to be acknowledged of every kind, or the load is not mixed.
KINDS = {
    "batch_put", "batch_delete", "batch_get", "kv_txn", "kv_incr", "pair_put", "pair_delete", "watch",
    "/api put", "/api get", "/api login", "/api logout", "/api check",
    "session_login", "session_refresh", "auth_logout", "user_create", "user_delete", "user_set_password",
    "role_grant", "role_revoke", "role_set",
}  # fmt: skip
# What goes on at a kill, and how many seconds after its begin the kill comes, at most.
DURING = {"snapshot": 0.15, "rotation": 0.15, "restart": 0.5}
MOMENTS = ("load", *DURING, "start")
LOGINS, ADMINISTERED = [f"session{n}" for n in range(4)], [f"person{n}" for n in range(6)]
HOLDERS, ROLES = [f"holder{n}" for n in range(4)], [f"role{n}" for n in range(4)]
# Pairs that only make the snapshot and the start longer, and their bytes.
FILLER, FILLER_SIZE = 8_000, 700


def killed_in_its_first_start(seed: str) -> list[Finding]:
    """What is wrong with an instance whose first start was killed: it starts, and the administrator logs in."""
    instance, chosen, ledger = Instance(**SETTINGS), random.Random(seed), Ledger()
    try:
        instance.launch()
        elapse(chosen.uniform(0, 1.5))
        instance.kill()
        instance.start()
        people = People(instance)
        people.expect("http", ANY, "session_login", "admin", ADMIN_PASSWORD)
        people.close()
    except AssertionError as wrong:
        ledger.find("first_start", str(wrong)[-1500:])
    finally:
        instance.dispose()
    return ledger.findings


class Run:
    """A run of kills. What it finds is in its ledger."""

    def __init__(self, instance: Instance, seed: int, filler: int = FILLER):
        self.random, self.seed, self.filler = random.Random(seed), seed, filler
        self.world, self.instance = World(instance), instance
        ledger = self.world.ledger
        sizes = [2, 3, 5, 8, 40]
        self.world.share(
            [Unit(ledger, *(f"crash/group/{n:02}/{key:02}" for key in range(sizes[n % len(sizes)]))) for n in range(20)],
            [Unit(ledger, f"crash/single/{n:02}") for n in range(40)],
            [CounterUnit(ledger, f"crash/counter/{n}") for n in range(4)],
        )
        self.kills: Counter[str] = Counter()
        self.clients: list[Client] = []
        # How long a start takes.
        self.start_took = 1.0
        self.people = People(instance)

    def __enter__(self) -> Run:
        self.instance.start()
        prepare(self.world, self.people, LOGINS, HOLDERS, ROLES)
        for first in range(0, self.filler, 1000):
            pairs = [{"key": f"filler/{n:06}", "value": f"{n:06}" * (FILLER_SIZE // 6)} for n in range(first, first + 1000)]
            self.people.expect("http", ANY, "batch_put", self.world.token, pairs)
        return self

    def __exit__(self, *_) -> None:
        self.world.stopping.set()
        for client in self.clients:
            client.join()
        self.people.close()

    def spaces(self) -> dict[str, int]:
        """The ids of spaces by their names."""
        return self.people.console.evaluate("local ids = {} for _, s in box.space._space:pairs() do ids[s[3]] = s[1] end return ids")[0]

    # A kill

    def cycle(self, moment: str) -> None:
        """Load, a kill at this moment, a start, and a look at what is there."""
        died = self.kill_under_load(moment)
        self.start()
        self.settle(died)

    def kill_under_load(self, moment: str, least: float = 0.05) -> float:
        """When the process died, after so many seconds of load at least."""
        self.begin_load()
        elapse(self.random.uniform(least, 1.0))
        if moment in DURING:
            self.at_same_time(moment)
            elapse(self.random.uniform(0, DURING[moment]))
        died = self.kill(moment if moment != "start" else "load")
        self.end_load()
        if moment == "start":
            for _ in range(self.random.randrange(1, 3)):
                self.instance.launch()
                elapse(self.random.uniform(0, self.start_took * 1.1))
                self.kill("start")
        return died

    def lacking(self) -> set[str]:
        """The kinds of requests of which none was acknowledged."""
        return KINDS - {kind for kind, fate in list(self.world.ledger.requests) if fate == "acknowledged"}

    def kill(self, moment: str) -> float:
        if not self.instance.is_running():
            self.world.ledger.find("failure", f"before the kill the instance {self.instance.state()}")
        self.world.dying.set()
        self.instance.process.kill()
        died = time.monotonic()
        self.world.stopping.set()
        self.instance.kill()
        self.people.close()
        self.kills[moment] += 1
        return died

    def start(self) -> None:
        began = time.monotonic()
        self.instance.start()
        self.start_took = time.monotonic() - began

    def settle(self, died: float) -> None:
        Settlement(self.world, self.people, self.random, died).run()
        count = self.people.expect("http", ANY, "kv_list", self.world.token, {"prefix": "filler/", "count": True})["count"]
        if count != self.filler:
            self.world.ledger.find("lost", f"{count} of {self.filler} pairs of long ago")
        self.world.epoch += 1

    def look_at_all(self) -> None:
        """A last look at every session there was, also those that ended long ago."""
        settlement = Settlement(self.world, self.people, self.random, time.monotonic())
        for session in self.world.accounts.sessions:
            settlement.look(session)

    # The load

    def begin_load(self) -> None:
        self.world.dying.clear()
        self.world.stopping.clear()
        names = itertools.count()

        def make(kind, *args) -> Client:
            *more, transport = args
            seed = f"{self.seed}-{self.world.epoch}-{next(names)}"
            return kind(self.world, transport, seed, *more)

        self.clients = [
            make(PairClient, HttpTransport), make(PairClient, HttpTransport), make(PairClient, IprotoTransport),
            make(OldClient, HttpTransport), make(OldClient, IprotoTransport),
            make(SessionClient, LOGINS[:2], HttpTransport), make(SessionClient, LOGINS[2:], IprotoTransport),
            make(AdminClient, ADMINISTERED, HOLDERS, ROLES, HttpTransport),
            Watcher(self.world, "watch"),
        ]  # fmt: skip
        for client in self.clients:
            client.start()
        wait_until(lambda: all(one.has_begun.is_set() for one in self.clients) or not self.instance.is_running(), "the clients have begun")

    def end_load(self) -> None:
        for client in self.clients:
            client.join()
            if client.fault is not None:
                self.world.ledger.find("failure", f"{type(client).__name__} over {client.kind}: {client.fault!r}")

    # What is going on at a kill

    def at_same_time(self, what: str) -> None:
        """Begins it, and returns at once."""
        if what == "rotation":
            self.clients.append(KeyClient(self.world, HttpTransport, "rotation"))
            self.clients[-1].start()
            return
        self.people.console.send({"snapshot": "return box.snapshot()", "restart": "return authkv.restart()"}[what])
