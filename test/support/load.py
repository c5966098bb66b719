"""Clients that work while something is done to the instance, and miss no answer."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

from support import harness
from support.harness import DEADLINE
from support.outcome import Ok
from support.transports import ConsoleTransport


def at_once(*calls) -> list:
    """The outcomes of calls that are let go at the same moment."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def in_background(read):
    """Begins a read in a thread. Returns a function that returns its result, once it is there."""
    results: list = []

    def run() -> None:
        try:
            results.append(read())
        except BaseException as error:
            results.append(error)
            raise

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result():
        thread.join(30)
        assert results, "no answer"
        return results[0]

    result.is_there = lambda: bool(results)
    return result


def jobs(instance) -> int:
    """How many requests over HTTP an instance has that have no answer yet."""
    console = ConsoleTransport(instance)
    samples = console.evaluate("return authkv.metrics()")[0]["metrics"]
    console.close()
    return next(one["samples"][0]["value"] for one in samples if one["name"] == "authkv_queue_jobs")


class Load:
    """Clients that write and read keys of their own over kept connections, and note every answer that is wrong."""

    def __init__(self, instance, transports, token: str):
        self.stop = threading.Event()
        # Of all that write to an instance.
        self.name = uuid.uuid4().hex
        self.wrong: list = []
        self.done = [0] * len(transports)
        self.token = token
        self.threads = [
            threading.Thread(target=self._work, args=(number, transport, instance)) for number, transport in enumerate(transports)
        ]

    def _work(self, number, kind, instance):
        transport = kind(instance)
        while not self.stop.is_set():
            try:
                wrong = self.once(transport, number)
            except Exception as lost:  # noqa: BLE001 - whatever it is, it is a lost request
                wrong = lost
            if wrong:
                self.wrong.append((number, self.done[number], wrong))
            self.done[number] += 1
        transport.close()

    def once(self, transport, number: int):
        """What one client does again and again; gives what was wrong."""
        key, value = f"{self.name}-{number}-{self.done[number]}", [number, self.done[number]]
        seen = transport.put(self.token, {key: value}), transport.get(self.token, [key])
        return seen if seen != (Ok([]), Ok({key: value})) else None

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
            lambda: self.wrong or all(now > then + 5 for now, then in zip(self.done, before, strict=True)), "the clients work"
        )
