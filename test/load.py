"""Clients that work while something is done to the instance, and miss no answer."""

from __future__ import annotations

import threading

import harness
from harness import DEADLINE
from outcome import Ok


class Load:
    """Clients that write and read keys of their own over kept connections, and note every answer that is wrong."""

    def __init__(self, instance, fronts, token: str):
        self.stop = threading.Event()
        self.wrong: list = []
        self.done = [0] * len(fronts)
        self.token = token
        self.threads = [
            threading.Thread(target=self._work, args=(number, front, instance)) for number, front in enumerate(fronts)
        ]

    def _work(self, number, kind, instance):
        front = kind(instance)
        while not self.stop.is_set():
            key, value = f"{id(self)}-{number}-{self.done[number]}", [number, self.done[number]]
            try:
                seen = front.put(self.token, {key: value}), front.get(self.token, [key])
            except Exception as lost:  # noqa: BLE001 - whatever it is, it is a lost request
                seen = lost
            if seen != (Ok([]), Ok({key: value})):
                self.wrong.append((key, seen))
            self.done[number] += 1
        front.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.advance()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(DEADLINE)

    def advance(self):
        """Waits until every client has done some more."""
        before = list(self.done)
        harness.wait_until(
            lambda: self.wrong or all(now > then + 5 for now, then in zip(self.done, before)), "the clients work"
        )
