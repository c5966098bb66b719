"""What a restart takes of memory, address space and descriptors, and whether all of it is given back.

AUTHKV_TEST_RESTARTS is the number of restarts: `make test-long` makes a hundred of each kind.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from support import harness
from support.builds import Builds, images
from support.harness import HOST
from support.load import Load
from support.outcome import Ok
from support.sse import Stream
from support.tls import Secured
from support.transports import ConsoleTransport, HttpTransport, IprotoTransport
from support.wire import Wire

RESTARTS = int(os.environ.get("AUTHKV_TEST_RESTARTS", "8"))
# The first ones make what later ones use again: stacks of threads, arenas of glibc.
WARM_UP = 8
# MiB.
FEW = 12
# glibc has arenas of 64 MiB of address space for threads, and makes one more from time to time. An image had 1 GiB.
RESERVED = 256
# Of the address space that a dead image keeps, beside its file.
ARENA = 80

RESTART = "return authkv.restart()"
STOP_AND_START = "authkv.stop() return authkv.restart()"
STILL_USED = "something still uses what was stopped"


@dataclass(frozen=True)
class Usage:
    """Sizes are in MiB."""

    memory: float
    address_space: float
    # The size of each loaded image.
    images: list[float]
    descriptors: int
    threads: list[str]


def usage(instance) -> Usage:
    of = Path(f"/proc/{instance.process.pid}")
    status = dict(re.findall(r"^(\w+):\s+(\d+)", (of / "status").read_text(), re.MULTILINE))
    return Usage(
        int(status["VmRSS"]) / 1024,
        int(status["VmSize"]) / 1024,
        [size / 2**20 for size in images(instance)],
        len(list((of / "fd").iterdir())),
        # Not those of Tarantool's pool, which come and go.
        [name for name in instance.threads() if name.startswith("authkv")],
    )


@pytest.fixture
def running(make):
    # Connections that wait for a request are ended soon.
    return make(AUTHKV_SHUTDOWN_TIMEOUT="1").start()


@pytest.fixture
def console(running):
    with closing(ConsoleTransport(running)) as console:
        yield console


def fibers(console) -> int:
    """How many instances take jobs."""
    count = "local n = 0 for _, one in pairs(require('fiber').info()) do n = n + (one.name == 'authkv-bridge' and 1 or 0) end return n"
    return console.evaluate(count)[0]


def settled(running, console) -> Usage:
    """Once the older instances have ended."""
    harness.wait_until(lambda: fibers(console) == 1, "one instance is left")
    harness.settled(lambda: (usage(running).descriptors, usage(running).threads))
    return usage(running)


def restart(console, line: str, times: int) -> None:
    for _ in range(times):
        assert "http" in console.evaluate(line)[0]


@pytest.mark.parametrize("line", [RESTART, STOP_AND_START], ids=["restart", "stop_and_start"])
def test_restarts_of_the_same_build_take_nothing(running, console, line):
    restart(console, line, WARM_UP)
    before = settled(running, console)
    restart(console, line, RESTARTS)
    after = settled(running, console)
    # The one of the procedures and the one of `require`.
    assert after.images == before.images and len(before.images) == 2
    assert (after.descriptors, after.threads) == (before.descriptors, before.threads)
    assert after.memory - before.memory < FEW
    assert after.address_space - before.address_space < RESERVED
    assert STILL_USED not in running.log()


@pytest.fixture
def secured(tmp_path):
    secured = Secured(tmp_path, AUTHKV_SHUTDOWN_TIMEOUT="1")
    with secured.instance:
        yield secured


def memory_of_pairs(console) -> float:
    return console.evaluate("return tonumber(box.slab.info().arena_used)")[0] / 2**20


def test_restarts_under_load_take_nothing(secured, visit):
    """With TLS and a unix socket, connections that wait, and a watch, which a restart ends."""
    running, token = secured.instance, visit(secured.instance).new().access
    over_the_socket = ("--unix-socket", str(secured.socket), f"http://{HOST}/api/check/", "-d", '{"authorization": "x"}')
    with closing(ConsoleTransport(running)) as console:
        restart(console, RESTART, WARM_UP)
        before, pairs = settled(running, console), memory_of_pairs(console)
        with Load(running, [HttpTransport] * 2 + [IprotoTransport] * 2, token) as load:
            for _ in range(RESTARTS):
                with Wire(running), closing(Stream(running, token, prefix="")):
                    restart(console, RESTART, 1)
                    load.advance()
                    assert secured.check().json() == {"authorized": "NO"} == json.loads(secured.curl(*over_the_socket))
        assert load.wrong == []
        after, pairs = settled(running, console), memory_of_pairs(console) - pairs
    assert after.images == before.images
    assert (after.descriptors, after.threads) == (before.descriptors, before.threads)
    # The changes that are kept for watches have 16.
    assert after.memory - before.memory < FEW + 16 + pairs
    assert after.address_space - before.address_space < RESERVED
    assert STILL_USED not in running.log()


def test_a_new_build_takes_the_size_of_its_image_and_little_more(running, console):
    builds = Builds(running.data_dir, console)
    builds.put_another()
    restart(console, RESTART, 1)
    before = settled(running, console)
    for _ in range(RESTARTS):
        builds.put_another()
        restart(console, RESTART, 1)
    after = settled(running, console)
    size = max(after.images)
    assert len(after.images) == len(before.images) + RESTARTS
    assert (after.descriptors, after.threads) == (before.descriptors, before.threads)
    assert after.memory - before.memory < RESTARTS * (size + 2)
    assert after.address_space - before.address_space < RESTARTS * (size + ARENA) + RESERVED
    assert STILL_USED not in running.log()


def test_only_another_build_is_loaded(running, console):
    """The size and the time of the file say nothing about what is in it."""
    builds = Builds(running.data_dir, console)
    seen = [len(images(running))]
    for put in (builds.put_same, builds.put_another, builds.file.touch, builds.put_same, builds.put_another, builds.put_another):
        put()
        restart(console, RESTART, 1)
        seen.append(len(images(running)))
    assert [now - then for then, now in pairwise(seen)] == [0, 1, 0, 0, 1, 1]


def test_a_restart_waits_for_the_instance_that_an_earlier_one_replaced(running, console):
    """However many restarts come one after another, there are two instances at most."""
    waiting = []
    for _ in range(4):
        waiting.append(Wire(running))
        restart(console, RESTART, 1)
        assert fibers(console) <= 2
    for one in waiting:
        one.close()


def test_a_library_that_cannot_be_loaded_changes_nothing(running, console):
    builds = Builds(running.data_dir, console)
    (path,) = console.evaluate("return package.cpath")
    builds.file.write_bytes(b"no library")
    for wrong in (path, "/nowhere/lib?.so"):
        console.evaluate(f"package.cpath = '{wrong}'")
        assert console.evaluate("return (pcall(authkv.restart))") == [False]
        with closing(HttpTransport(running)) as http:
            assert http.check("x") == console.check("x") == Ok(False)
    console.evaluate(f"package.cpath = '{path}'")
    builds.put_same()
    restart(console, RESTART, 1)
    assert len(images(running)) == 2
