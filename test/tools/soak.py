"""A long run of good and hostile clients against one instance, which must stay as it was: `python -m tools.soak --minutes 10`.

Prints what the process holds every 15 s, and a table of before and after. The exit code is 1 where descriptors, threads
or fibers did not come back, where memory grew steadily, or where any answer was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import statistics
import sys
import time

from support.clock import elapse
from support.contract import GOOD
from support.harness import HOST, Instance
from support.outcome import Ok
from support.transports import ConsoleTransport, HttpTransport
from support.wire import descriptors
from tools.soak_load import BIG, GENERATION, Load, Wrong

EVERY = 15
# Until the keys that are kept for a minute, and the idle connections, have been replaced once.
WARM_UP = 120
QUIET = 120
# How far from the value before each may be after; Tarantool makes and ends threads and fibers of its own.
TOLERANCE = {"descriptors": 4, "threads": 4, "fibers": 8}
GROWTH = 24 << 20
# Behaviour: how many do it at a time. `idle` is an option.
CROWD = {
    "good": 8, "session": 1, "pipelined": 2, "churn": 4, "reset": 4, "slow": 50, "half_closed": 2, "oversize": 2,
    "smuggle": 4, "garbage": 2, "read_slowly": 2, "read_compressed": 1, "never_read": 4,
}  # fmt: skip
SETTINGS = {
    "AUTHKV_HTTP_CONNECTIONS_MAX": "15000", "AUTHKV_HTTP_HEADER_TIMEOUT": "5", "AUTHKV_HTTP_BODY_TIMEOUT": "5",
    "AUTHKV_HTTP_WRITE_TIMEOUT": "5",
}  # fmt: skip
TOKEN_FOR = 600


class Crowd:
    """A process full of clients. It counts what they did by name, and keeps the first faults."""

    def __init__(self, address, sources: list[str], counts: dict[str, int], seed: int):
        context = multiprocessing.get_context("spawn")
        self.names = list(counts)
        self.done = context.Array("q", len(self.names))
        self.wrong = context.Value("q", 0)
        self.faults = context.Queue(100)
        self.stopping = context.Event()
        shared = (self.done, self.wrong, self.faults, self.stopping)
        self.process = context.Process(target=run_crowd, args=(address, sources, counts, seed, *shared))
        self.process.start()

    def counts(self) -> dict[str, int]:
        return dict(zip(self.names, self.done, strict=True))

    def found(self) -> list[str]:
        found = []
        while not self.faults.empty():
            found.append(self.faults.get())
        return found

    def stop(self) -> None:
        self.stopping.set()
        self.process.join(30)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def run_crowd(address, sources, counts, seed, done, wrong, faults, stopping) -> None:
    """The main function of such a process."""
    raise_descriptors()
    asyncio.run(crowd(Load(address, sources, seed), counts, done, wrong, faults, stopping))


async def crowd(load: Load, counts, done, wrong, faults, stopping) -> None:
    async def repeat(place: int, behave) -> None:
        # Not all in one moment, which would be a test of the backlog.
        await asyncio.sleep(load.random.random() * min(20, counts[behave.__name__] / 200))
        while not stopping.is_set():
            try:
                await behave()
                done[place] += 1
            except Exception as fault:  # noqa: BLE001 - of any kind: nothing else may end an exchange
                wrong.value += 1
                if not faults.full():
                    faults.put(f"{behave.__name__}: {fault if isinstance(fault, Wrong) else repr(fault)}")
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.01)

    await load.login()
    tasks = [
        asyncio.create_task(repeat(place, getattr(load, name))) for place, (name, count) in enumerate(counts.items()) for _ in range(count)
    ]
    logged_in = time.monotonic()
    while not stopping.is_set():
        await asyncio.sleep(0.2)
        if time.monotonic() > logged_in + TOKEN_FOR:
            logged_in = time.monotonic()
            await load.login()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def raise_descriptors() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Watch:
    """What the process holds at a moment."""

    def __init__(self, instance: Instance):
        self.instance = instance
        self.console = ConsoleTransport(instance)

    def sample(self) -> dict[str, int]:
        with open(f"/proc/{self.instance.process.pid}/status") as file:
            status = dict(line.split(":", 1) for line in file)
        count = "local n = 0 for _ in pairs(require('fiber').info()) do n = n + 1 end return n, "
        count += "tonumber(box.slab.info().arena_used), collectgarbage('count')"
        fibers, arena, lua = self.console.evaluate(count)
        return {
            "rss": int(status["VmRSS"].split()[0]) << 10,
            "descriptors": descriptors(self.instance),
            "threads": int(status["Threads"]),
            "fibers": fibers,
            "arena": int(arena),
            "lua": int(lua) << 10,
        }

    def trim(self) -> None:
        """Has the allocator give back what is free, which shows how much of the memory is not."""
        self.console.evaluate("local ffi = require('ffi') pcall(ffi.cdef, 'int malloc_trim(size_t)') return ffi.C.malloc_trim(0)")

    def forget_old_keys(self) -> None:
        """Deletes what good clients wrote some generations ago."""
        old = f"t{int(time.time()) // GENERATION - 4}"
        delete = (
            "local s, old = box.space.key_value_store, {} for _, t in s:pairs('t', {iterator = 'GE'}) do "
            f"if t[1] >= '{old}' or #old == 2000 then break end old[#old + 1] = t[1] end "
            "box.begin() for _, key in ipairs(old) do s:delete(key) end box.commit() return #old"
        )
        while self.console.evaluate(delete) != [0]:
            pass


def show(sample: dict[str, int]) -> str:
    sizes = {"rss", "arena", "lua"}
    return " ".join(f"{name} {value >> 20} MiB" if name in sizes else f"{name} {value}" for name, value in sample.items())


def grew(sizes: list[int]) -> bool:
    """Whether memory grows steadily: the last third is above the first one as a whole, by more than noise."""
    third = len(sizes) // 3
    if third < 2:
        return False
    first, last = sizes[:third], sizes[-third:]
    return min(last) > max(first) and statistics.mean(last) - statistics.mean(first) > GROWTH


def soak(instance: Instance, options) -> list[str]:
    """Runs it all, and returns what is wrong."""
    http = HttpTransport(instance)
    assert http.register("soak", GOOD, "Soak", "Tester") == Ok()
    token = http.login("soak", GOOD).value
    assert http.put(token, BIG) == Ok([]) and http.get(token, list(BIG)) == Ok(BIG)
    http.close()
    watch = Watch(instance)
    before, sizes, wrong = watch.sample(), [], []
    print("before:", show(before), flush=True)
    address = (HOST, instance.http_port)
    near, far = [f"127.0.0.{n}" for n in range(2, 21)], [f"127.0.0.{n}" for n in range(21, 40)]
    crowds = [Crowd(address, far, CROWD, options.seed), Crowd(address, near, {"idle": options.idle}, options.seed + 1)]
    start = time.monotonic()
    while instance.is_running() and time.monotonic() < start + options.minutes * 60:
        elapse(EVERY)
        watch.forget_old_keys()
        sample, passed = watch.sample(), time.monotonic() - start
        if passed > min(WARM_UP, options.minutes * 20):
            # Of what is used: glibc keeps what is free, and what tuples take is bounded by a setting of its own.
            watch.trim()
            used = watch.sample()
            sizes.append(used["rss"] - used["arena"])
        counts = {name: count for one in crowds for name, count in one.counts().items()}
        print(f"{passed:4.0f} s: {show(sample)} wrong {sum(one.wrong.value for one in crowds)} {counts}", flush=True)
        for one in crowds:
            for fault in one.found():
                print("  wrong:", fault, flush=True)
            if not one.process.is_alive():
                wrong.append("a process of the load has ended by itself")
    for one in crowds:
        one.stop()
    if not instance.is_running():
        return [f"the instance is {instance.state()}"]
    after = quiet(watch, before)
    wrong += [f"{one.wrong.value} answers were wrong" for one in crowds if one.wrong.value]
    wrong += [f"{name} {after[name]}, {before[name]} before" for name in TOLERANCE if differs(name, before, after)]
    wrong += [f"memory grew steadily: {[size >> 20 for size in sizes]} MiB"] * grew(sizes)
    token = http.login("soak", GOOD).value
    wrong += ["a request that was smuggled has been served"] * isinstance(http.get(token, ["smuggled"]), Ok)
    wrong += ["the log tells of a panic"] * ("panick" in instance.log())
    http.close()
    watch.trim()
    trimmed = watch.sample()
    print("\n| | before | after | after, free memory given back |\n|---|---|---|---|")
    for name in before:
        print(f"| {name} | {before[name]:,} | {after[name]:,} | {trimmed[name]:,} |")
    errors = [line for line in instance.log().splitlines() if " E> " in line or '"level": "ERROR"' in line]
    print(f"\nerrors in the log: {len(errors)}", *errors[:5], sep="\n", flush=True)
    return wrong


def differs(name: str, before: dict, after: dict) -> bool:
    return abs(after[name] - before[name]) > TOLERANCE[name]


def quiet(watch: Watch, before: dict) -> dict:
    """What is held once it has come back to what it was, or has not in good time."""
    end = time.monotonic() + QUIET
    while any(differs(name, before, after := watch.sample()) for name in TOLERANCE) and time.monotonic() < end:
        elapse(1)
    return watch.sample() or after


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--idle", type=int, default=10_000, help="connections that only stand")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--setting", action="append", default=[], metavar="AUTHKV_NAME=VALUE")
    options = parser.parse_args()
    raise_descriptors()
    given = dict(one.split("=", 1) for one in options.setting)
    with Instance(**SETTINGS | given) as instance:
        print("settings:", json.dumps(SETTINGS | given), flush=True)
        wrong = soak(instance, options)
    print("\n" + ("\n".join(f"FAILED: {one}" for one in wrong) or "all is as it was"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
