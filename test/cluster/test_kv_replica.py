"""Pairs on a replica by Tarantool's own replication: read as on the master, never written, and a switch over to it."""

import pytest

from support.clock import moment, pass_by
from support.fallible import Fallible
from support.harness import CHEAP_HASHES, wait_until
from support.kv_writes import WRITES
from support.outcome import ANY, Ok, Refused
from support.pairs import CALLERS, delete, put
from support.people import People
from support.replica import address, replica_of
from support.sse import Stream
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS


@pytest.fixture
def pair(visit):
    """People at a master and at its replica, each of which replicates the other."""
    with Fallible(**CHEAP_HASHES) as first:
        master = visit(first)
        with replica_of(master) as second:
            master.console.evaluate(f"box.cfg{{replication = '{address(second)}'}}")
            yield master, visit(second)


@pytest.fixture
def token(pair) -> str:
    return pair[0].new().access


def position(people: People) -> list:
    """How far the instance has come, of the changes that are replicated."""
    return people.console.evaluate(
        "local sum = 0 for id, lsn in pairs(box.info.vclock) do sum = sum + (id > 0 and lsn or 0) end return sum"
    )


def level(pair) -> None:
    wait_until(lambda: position(pair[0]) == position(pair[1]), "the replica is where the master is")


def switch(old: People, new: People) -> None:
    old.console.evaluate("box.cfg{read_only = true}")
    level((old, new))
    new.console.evaluate("box.cfg{read_only = false}")


def test_a_replica_reads_what_the_master_has_written(pair, token):
    master, replica = pair
    before = {key: put(master, token, key, {"n": key}, **more) for key, more in (("a", {}), ("b", {"ttl": 3600}), ("soon", {"ttl": 1.5}))}
    ends = moment(1.5)
    put(master, token, "gone")
    delete(master, token, "gone")
    level(pair)
    for transport in ADMIN_TRANSPORTS:
        seen = replica.expect(transport, ANY, "batch_get", token, ["a", "b", "gone"])
        assert {one["key"]: one["revision"] for one in seen["pairs"]} == {key: before[key] for key in "ab"} and seen["missing"] == ["gone"]
    # Gone at once, though the master removes it later and the replica never.
    master.console.evaluate("box.cfg{read_only = true}")
    pass_by(ends)
    for people in pair:
        for transport in ADMIN_TRANSPORTS:
            people.expect(transport, Refused("no_such_key"), "pair_get", token, "soon")
            people.expect(transport, Ok({"keys": ["a", "b"], "next": None}), "kv_list", token, {"keys_only": True})


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_replica_refuses_to_write(pair, token, transport):
    put(pair[0], token, "k")
    level(pair)
    for write in WRITES.values():
        operation, *args = write("k", "a")
        pair[1].expect(transport, Refused("read_only"), operation, token, *args)
    assert pair[1].console.evaluate("return box.info.lsn") == [0], "the replica has written something"


def test_who_watches_a_replica_learns_that_it_cannot_be_told(pair, token):
    """What comes by replication is not told; that there was something is."""
    master, replica = pair
    before = put(master, token, "a")
    level(pair)
    with Stream(replica.instance, token) as stream:
        assert stream.revision == before
        last = put(master, token, "a", 2)
        level(pair)
        told = stream.problem("too_old")
        assert told["detail"] == f"Changes after revision {before} are no longer kept: the oldest that can be resumed after is {last}"
    for transport in CALLERS:
        replica.expect(transport, Refused("too_old"), "kv_watch", token, {"after": before})
        replica.expect(transport, Ok({"events": [], "revision": last}), "kv_watch", token, {"after": last})


def test_no_number_comes_twice_over_switches(pair, token):
    """Who has the last number of the old master goes on at the new one, and misses nothing of what it writes."""
    writer, reader = pair
    told = [put(writer, token, key) for key in "ab"]
    for _ in range(4):
        told.append(delete(writer, token, "b"))
        switch(writer, reader)
        writer, reader = reader, writer
        reader.expect("http", Refused("read_only"), "pair_put", token, "a", 2)
        with Stream(writer.instance, token, after=told[-1]) as stream, Stream(reader.instance, token, after=told[-1]) as behind:
            told += [put(writer, token, key, 2) for key in "abc"]
            assert stream.changes(3) == [("put", key, 2) for key in "abc"] and stream.last == told[-1]
            behind.problem("too_old")
        assert told == sorted(set(told))


def test_numbers_that_were_undone_and_are_given_by_another_are_not_passed_over(pair, token):
    """Numbers were given here whose commits failed; the next master gives them again. Who watches here learns of it."""
    first, second = pair
    before = put(first, token, "a")
    level(pair)
    with Stream(first.instance, token) as stream:
        with first.instance.failing():
            for _ in range(2):
                first.expect("http", Refused("not_durable"), "pair_put", token, "a", 2)
        switch(first, second)
        given = [put(second, token, key) for key in "bc"]
        level(pair)
        stream.problem("too_old")
    assert given == [before + 1, before + 2], "of those that failed, no other has heard"
    for transport in CALLERS:
        first.expect(transport, Refused("too_old"), "kv_watch", token, {"after": before})
        first.expect(transport, Ok({"events": [], "revision": given[-1]}), "kv_watch", token, {"after": given[-1]})
    switch(second, first)
    with Stream(first.instance, token, after=given[-1]) as stream:
        last = put(first, token, "b", 2)
        assert last > given[-1] and stream.changes(1) == [("put", "b", 2)]
