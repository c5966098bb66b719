"""An instance is an orphan, and read-only, until it has caught up with its replica set. On Tarantool 3 it is one for a moment
whenever `replication` is changed while it runs."""

from __future__ import annotations

import threading
import time

import pytest

from support.harness import CHEAP_HASHES, Instance, wait_until
from support.load import Load
from support.outcome import ANY, Ok, Refused
from support.pairs import put
from support.replica import address, replica_of
from support.transports import ConsoleTransport, HttpTransport

# What the library waits for an orphan, and more for a machine that does other things.
PATIENCE, SLACK = 3, 20


@pytest.fixture
def master(visit):
    """People at the leader of two, which follows the other one when it is told to."""
    with Instance(**CHEAP_HASHES) as first:
        people = visit(first)
        with replica_of(people) as second:
            # As on Tarantool 3, whatever the version.
            people.console.evaluate("box.cfg{replication_sync_timeout = 0.001}")
            people.peer, people.other = address(second), second
            yield people


def status(people) -> str:
    return people.console.evaluate("return box.info.status")[0]


class Writes(Load):
    """A client that writes pairs and reads them: what is read only is answered at once."""

    def once(self, transport, number):
        key = f"k{self.done[number] % 100}"
        seen = transport.do("pair_put", self.token, key, self.done[number]), transport.do("pair_get", self.token, key)
        return None if all(isinstance(one, Ok) for one in seen) else seen


def test_no_write_is_refused_because_replication_is_changed(master):
    with Writes(master.instance, [HttpTransport], master.new().access) as load:
        for _ in range(10):
            master.console.evaluate(f"box.cfg{{replication = '{master.peer}'}}")
            load.advance()
            # A login writes a session.
            master.new()
            master.console.evaluate("box.cfg{replication = {}}")
    assert load.wrong == []


@pytest.fixture
def orphan(master):
    """The same, where the leader stays an orphan, because it cannot apply what the other has: both have inserted the same key."""
    master.token = master.new().access
    put(master, master.token, "k")
    master.console.evaluate("box.schema.space.create('apart'):create_index('pk')")
    other = ConsoleTransport(master.other)
    wait_until(lambda: other.evaluate("return box.space.apart ~= nil and box.space.apart.index.pk ~= nil")[0], "the other has the space")
    other.evaluate("box.cfg{replication = {}} box.cfg{read_only = false} box.space.apart:insert{1, 'other'}")
    other.close()
    master.console.evaluate("box.space.apart:insert{1, 'leader'}")
    master.console.evaluate(f"box.cfg{{replication = '{master.peer}'}}")
    assert status(master) == "orphan"
    return master


def cost(act) -> float:
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def test_who_writes_to_an_orphan_waits_for_a_bounded_time(orphan):
    def refuse(transport: str) -> None:
        orphan.expect(transport, Refused("read_only"), "pair_put", orphan.token, "k", 2)

    assert PATIENCE - 0.5 < cost(lambda: refuse("http")) < PATIENCE + SLACK
    # Who comes later does not wait: it has been so for long.
    for transport in ("http", "console"):
        assert cost(lambda transport=transport: refuse(transport)) < PATIENCE - 1
    orphan.expect("http", ANY, "pair_get", orphan.token, "k")
    response = orphan.http.request("PUT", "/v1/kv/k", b"2", {"Authorization": f"Bearer {orphan.token}", "Content-Type": "application/json"})
    assert response.status == 503 and int(response.headers["Retry-After"]) > 0


def test_who_waits_goes_on_once_it_is_over(orphan):
    seen = []

    def write():
        http = HttpTransport(orphan.instance)
        seen.append(http.do("pair_put", orphan.token, "k", 2))
        http.close()

    writer = threading.Thread(target=write)
    writer.start()
    assert status(orphan) == "orphan" and not seen
    orphan.console.evaluate("box.cfg{replication = {}}")
    writer.join()
    assert isinstance(seen[0], Ok), seen
    put(orphan, orphan.token, "k", 3)


def test_a_read_only_instance_refuses_at_once(orphan):
    """Also if it is an orphan too."""
    orphan.console.evaluate("box.cfg{read_only = true}")
    assert cost(lambda: orphan.expect("http", Refused("read_only"), "pair_put", orphan.token, "k", 2)) < PATIENCE - 1
