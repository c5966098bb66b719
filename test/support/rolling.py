"""Clients of a replica set whose instances are replaced one by one: they know all addresses, go on at another instance if one
fails, and note what was acknowledged."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from support.clock import elapse
from support.harness import ADMIN_PASSWORD, HOST

# Seconds that a client waits for an answer. A commit without a quorum takes longer.
PATIENCE = 12
# Seconds after which a pair has to be on each instance that serves.
SETTLED = 5
PAUSE = 0.02
KEYS = 1000


@dataclass
class Counts:
    """What the clients saw."""

    # By kind: requests that succeeded; attempts at one instance that failed, by why; requests that no instance answered in a
    # round over all.
    succeeded: Counter = field(default_factory=Counter)
    attempts_failed: Counter = field(default_factory=Counter)
    rounds_failed: Counter = field(default_factory=Counter)
    # Values that are not those that were written.
    wrong: list = field(default_factory=list)
    acknowledged: dict = field(default_factory=dict)
    # Seconds between two acknowledged writes of whatever clients, the longest.
    gap: float = 0
    last: float | None = None


class Client:
    """One client over HTTP."""

    def __init__(self, ports: list[int]):
        self.ports = ports
        self.connections: dict[int, http.client.HTTPConnection] = {}
        # The instance that has answered last, by kind of request.
        self.good: dict[str, int | None] = {}

    def ask(self, port: int, method: str, path: str, body: dict | None, token: str | None) -> tuple[int, dict]:
        """The status and the answer. Raises OSError or HTTPException if there is none."""
        connection = self.connections.setdefault(port, http.client.HTTPConnection(HOST, port, timeout=PATIENCE))
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            connection.request(method, path, json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException):
            self.connections.pop(port).close()
            raise


class Clients:
    """Threads that write, read and log in until they are stopped. Each request is sent to another instance until one has
    answered it."""

    def __init__(self, ports: list[int], count: int, token: str):
        self.ports, self.token = ports, token
        self.counts = Counts()
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self.threads = [threading.Thread(target=self._work, args=(number,)) for number in range(count)]

    def __enter__(self) -> Clients:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def _work(self, number: int) -> None:
        chosen, client = random.Random(number), Client(self.ports)
        while not self.stopped.is_set():
            kind = chosen.choices(["write", "read", "log in"], [10, 10, 1])[0]
            getattr(self, "_" + kind.replace(" ", "_"))(chosen, client)

    def _until_done(self, kind: str, chosen: random.Random, client: Client, path: str, body: dict, good) -> dict | None:
        """Sends a request to the instances in turn until one answers it well. None if the clients are stopped before."""
        token = None if kind == "log in" else self.token
        while True:
            # First the one that has answered last: for writes that is the leader.
            for port in sorted(chosen.sample(self.ports, len(self.ports)), key=lambda port: port != client.good.get(kind)):
                try:
                    status, answer = client.ask(port, "POST", path, body, token)
                    if good(status, answer):
                        client.good[kind] = port if kind == "write" else None
                        with self._lock:
                            self.counts.succeeded[kind] += 1
                        return answer
                    why = f"{status} {answer.get('message', '')}"[:60]
                except (OSError, http.client.HTTPException, ValueError) as lost:
                    why = type(lost).__name__
                with self._lock:
                    self.counts.attempts_failed[f"{kind}: {why}"] += 1
            with self._lock:
                self.counts.rounds_failed[kind] += 1
            if self.stopped.is_set():
                return None
            elapse(PAUSE)

    def _write(self, chosen: random.Random, client: Client) -> None:
        number = next(self._numbers)
        # A write that is repeated finds its own pair, so success is also that the key was there.
        answer = self._until_done("write", chosen, client, "/api/write/", {"data": {f"k{number}": number}}, lambda status, _: status == 201)
        if answer is not None:
            now = time.monotonic()
            with self._lock:
                counts = self.counts
                counts.gap = max(counts.gap, now - (counts.last or now))
                counts.last = now
                counts.acknowledged[f"k{number}"] = number, now

    def _read(self, chosen: random.Random, client: Client) -> None:
        with self._lock:
            newest = len(self.counts.acknowledged)
            key = f"k{chosen.randrange(newest)}" if newest else None
            known = self.counts.acknowledged.get(key)
        if known is None or time.monotonic() - known[1] < SETTLED:
            elapse(PAUSE)
            return
        answer = self._until_done("read", chosen, client, "/api/read/", {"keys": [key]}, lambda status, _: status in (200, 400))
        if answer is not None and answer.get("data") != {key: known[0]}:
            self.counts.wrong.append((key, answer))

    def _log_in(self, chosen: random.Random, client: Client) -> None:
        body = {"login": "admin", "password": ADMIN_PASSWORD}
        self._until_done("log in", chosen, client, "/api/login/", body, lambda status, _: status == 201)

    def lost(self, port: int) -> list[str]:
        """The acknowledged writes that an instance does not have."""
        client, names = Client([port]), list(self.counts.acknowledged)
        missing = []
        for first in range(0, len(names), KEYS):
            keys = names[first : first + KEYS]
            status, answer = client.ask(port, "POST", "/api/read/", {"keys": keys}, self.token)
            if status == 400:
                absent = answer["message"].split(": ")[1].split()
                missing += absent
            elif answer["data"] != {key: self.counts.acknowledged[key][0] for key in keys}:
                missing += [key for key in keys if answer["data"][key] != self.counts.acknowledged[key][0]]
        return missing
