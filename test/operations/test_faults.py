"""What a machine can do to a database that runs, while clients work: the right errors, reads go on, nothing that was acknowledged
is lost, and it all comes back by itself.

`make test-faults` runs each fault for longer, and more than once.
"""

from __future__ import annotations

import itertools
import os
import resource
import signal
import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from support.clock import elapse
from support.faketime import clock_settings, set_clock
from support.harness import CHEAP_HASHES, HOST, Instance, wait_until
from support.outcome import ANY, ERRORS, Ok, Refusal, Refused
from support.people import PASSWORD, People
from support.small_disk import OnSmallDisk, fill
from support.transports import HttpTransport, IprotoTransport, Transport

LONG = os.environ.get("AUTHKV_TEST_FAULTS") == "long"
ROUNDS = 5 if LONG else 1
# How long a fault lasts after clients have met it.
SECONDS = 10 if LONG else 1
QUICK = CHEAP_HASHES | {"AUTHKV_TOKEN_ALGORITHM": "ES256", "AUTHKV_MEMTX_MEMORY": "67108864"}


class Clients:
    """Some that write keys of their own, some that read one key, and one that logs in. They keep what was acknowledged, and whatever
    was answered in another way than `allowed` to the writers; to readers nothing is."""

    def __init__(self, people: People, token: str, login: str):
        self.people, self.token, self.login = people, token, login
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.allowed: set[str] = set()
        self.kept: dict[str, int] = {}
        self.refused: list[str] = []
        self.reads = self.writes = self.logins = 0
        self.wrong: list = []
        bodies = [self._write, self._write, self._read, self._read, self._log_in]
        kinds = [HttpTransport, IprotoTransport, HttpTransport, IprotoTransport, HttpTransport]
        self.threads = [
            threading.Thread(target=self._run, args=(body, kind, number))
            for number, (body, kind) in enumerate(zip(bodies, kinds, strict=True))
        ]

    def _run(self, body, kind, number) -> None:
        transport = kind(self.people.instance)
        for turn in itertools.count():
            if self.stop.is_set():
                break
            try:
                body(transport, f"{number}/{turn}", turn)
            except Exception as lost:  # noqa: BLE001 - whatever it is, it is a lost answer
                self.wrong.append(lost)
                break
        transport.close()

    def _refuse(self, seen) -> None:
        if isinstance(seen, Refusal) and seen.name in self.allowed:
            self.refused.append(seen.name)
        else:
            self.wrong.append(seen)

    def _write(self, transport: Transport, key: str, value: int) -> None:
        seen = transport.do("pair_put", self.token, key, value)
        if isinstance(seen, Ok):
            self.kept[key] = value
            self.writes += 1
        else:
            self._refuse(seen)

    def _read(self, transport: Transport, *_) -> None:
        seen = transport.do("pair_get", self.token, "there")
        if not isinstance(seen, Ok) or transport.do("check", self.token) != Ok(True):
            self.wrong.append(("a read", seen))
        self.reads += 1

    def _log_in(self, transport: Transport, *_) -> None:
        seen = transport.do("session_login", self.login, PASSWORD)
        if isinstance(seen, Ok):
            self.logins += 1
        else:
            self._refuse(seen)

    def await_more(self, *names: str, times: int = 20) -> None:
        before = {name: getattr(self, name) for name in names}
        wait_until(
            lambda: self.wrong or all(getattr(self, name) >= before[name] + times for name in names), f"the clients go on with {names}"
        )
        assert not self.wrong, self.wrong[:3]

    @contextmanager
    def meeting(self, *names: str):
        """Writers and logins may be refused in these ways within the block."""
        self.allowed = set(names)
        yield
        self.allowed |= {"transaction_aborted"}

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.await_more("reads", "writes", "logins")
        return self

    def __exit__(self, *_) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def clients(visit):
    """Clients at work. Afterwards all that was acknowledged is there, also after a kill."""
    made = []

    @contextmanager
    def clients(kind=Instance, **settings):
        instance = kind(**(QUICK | settings))
        made.append(instance)
        if kind is Instance:
            instance.settings |= clock_settings(instance, 0)
        people = visit(instance.start())
        writer, person = people.new(), people.new()
        people.expect("http", ANY, "pair_put", writer.access, "there", 1)
        with Clients(people, writer.access, person.login) as working:
            yield working
            working.await_more("reads", "writes", "logins")
        assert not working.wrong, working.wrong[:3]
        for end in (None, "kill"):
            if end:
                people.close()
                people.instance.kill()
                people.instance.start()
            keys = list(working.kept)
            for start in range(0, len(keys), 1000):
                some = keys[start : start + 1000]
                found = people.expect("http", ANY, "get", writer.access, some)
                assert found == {key: working.kept[key] for key in some}

    yield clients
    for one in made:
        one.dispose()


def recover(working: Clients, *names: str) -> None:
    """Waits until nothing is refused any more."""

    def all_work() -> bool:
        before = len(working.refused)
        working.await_more("reads", "writes", "logins")
        return len(working.refused) == before

    working.await_more("reads")
    wait_until(all_work, "everything works again", every=0)
    working.allowed = set()
    working.await_more("reads", "writes", "logins")
    assert not names or set(working.refused) <= set(names), set(working.refused)


def test_a_full_disk(clients):
    with clients(OnSmallDisk, AUTHKV_LOGIN_DELAY_MAX="2") as working:
        for _ in range(ROUNDS):
            with working.meeting("not_durable"):
                fill(working.people, working.token)
                wait_until(lambda: "not_durable" in working.refused, "writers meet the fault")
                elapse(SECONDS)
                working.await_more("reads")
            working.people.instance.free()
            recover(working, "not_durable")
            working.refused.clear()


def test_memory_that_is_full(clients):
    with clients() as working:
        people, token = working.people, working.token
        for _ in range(ROUNDS):
            with working.meeting("storage_full"):
                numbers = itertools.count()

                def is_full(numbers=numbers) -> bool:
                    seen = people.do("http", "pair_put", token, f"big/{next(numbers)}", "v" * 500_000)
                    return isinstance(seen, Refusal) and seen.name == "storage_full"

                wait_until(is_full, "the store is full", every=0)
                elapse(SECONDS)
                working.await_more("reads")
            for number in range(next(numbers)):
                people.do("http", "pair_delete", token, f"big/{number}")
            recover(working, "storage_full")
            working.refused.clear()


def test_descriptors_that_are_used_up(clients):
    """Connections that are there go on. New ones wait, or are refused, until there are descriptors again."""
    with clients() as working:
        instance = working.people.instance
        pid = instance.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        for _ in range(ROUNDS):
            used = len(os.listdir(f"/proc/{pid}/fd"))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 4, before[1]))
            held = []
            try:
                for port in itertools.islice(itertools.cycle((instance.http_port, instance.iproto_port)), 40):
                    with suppress(OSError):
                        held.append(socket.create_connection((HOST, port), timeout=1))
                wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) >= used + 3, "the descriptors are used up")
                elapse(SECONDS)
                working.await_more("reads", "writes", "logins")
            finally:
                for one in held:
                    one.close()
                resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            new = HttpTransport(instance)
            wait_until(lambda: new.do("check", working.token) == Ok(True), "new connections are served")
            new.close()
            recover(working)


def test_a_clock_that_jumps(clients):
    with clients(AUTHKV_TOKEN_TTL="31536000", AUTHKV_TOKEN_LEEWAY="300") as working:
        people = working.people
        for jump in itertools.chain.from_iterable([(7200, -250, 86_400 * 300)] * ROUNDS):
            people.expect("http", ANY, "pair_put", working.token, f"ttl/{jump}", 1, {"ttl": 3600})
            set_clock(people.instance, jump)
            working.await_more("reads", "writes", "logins")
            elapse(SECONDS)
            working.await_more("reads", "writes", "logins")
            set_clock(people.instance, 0)
            recover(working)
            assert people.expect("http", ANY, "pair_get", working.token, f"ttl/{jump}")["value"] == 1


def test_a_process_that_is_stopped_for_a_while(clients):
    with clients() as working:
        instance = working.people.instance
        for _ in range(ROUNDS):
            instance.send_signal(signal.SIGSTOP)
            elapse(SECONDS)
            instance.send_signal(signal.SIGCONT)
            recover(working)


@pytest.mark.skipif("data_gone" not in ERRORS, reason="authkv does not notice yet that its directory is gone")
def test_a_directory_that_is_gone(make, visit):
    """What was acknowledged before is in the directory that was moved. Writes are taken again after a start."""
    people = visit(make(**QUICK).start())
    token, instance = people.new().access, people.instance
    moved = instance.data_dir.with_suffix(".moved")
    for turn in range(ROUNDS):
        people.expect("http", ANY, "pair_put", token, f"{turn}", turn)
        instance.data_dir.rename(moved)
        wait_until(lambda: people.sees("http", Refused("data_gone"), "pair_put", token, "k", 1), "a write is refused")
        elapse(SECONDS)
        people.expect("http", Ok(True), "check", token)
        assert people.expect("http", ANY, "pair_get", token, f"{turn}")["value"] == turn
        moved.rename(instance.data_dir)
        people.close()
        instance.kill()
        instance.start()
        for before in range(turn + 1):
            assert people.expect("http", ANY, "pair_get", token, f"{before}")["value"] == before
