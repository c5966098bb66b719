"""Pairs on a replica by Tarantool's own replication: read as on the master, never written, and a switch over to it."""

import pytest

from support.clock import elapse, moment, pass_by
from support.fallible import Fallible
from support.harness import CHEAP_HASHES, wait_until
from support.kv_writes import WRITES
from support.metrics import read_told
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


def says_split_brain(people: People) -> bool:
    return read_told(people.console.evaluate("return authkv.metrics()")[0])["authkv_split_brain", ()] == 1


def failing(people: People) -> dict:
    """Why the instance is not ready, by check."""
    (checks,) = people.console.evaluate("return authkv.status().checks")
    return {name: reason for check in checks for name, reason in check.items() if reason != "ok"}


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


def test_who_watches_a_replica_is_told_what_the_master_has_done(pair, token):
    """In the same order, with the same revisions and kinds."""
    master, replica = pair
    before = put(master, token, "a")
    level(pair)
    with Stream(master.instance, token, after=before) as first, Stream(replica.instance, token, after=before) as second:
        put(master, token, "a", 2)
        put(master, token, "b", ttl=3600)
        delete(master, token, "b")
        put(master, token, "soon", ttl=0.5)
        steps = [{"op": "put", "key": "x", "value": 1}, {"op": "delete", "key": "a"}, {"op": "put", "key": "x", "value": 2}]
        master.expect("http", ANY, "kv_txn", token, {"success": steps})
        expected = first.changes(8)
        assert expected[-1][:2] == ("expire", "soon")
        assert second.changes(8) == expected and second.last == first.last
    for transport in CALLERS:
        seen = [people.expect(transport, ANY, "kv_watch", token, {"after": before}) for people in pair]
        assert seen[0] == seen[1] and len(seen[0]["events"]) == 8


def test_a_replica_keeps_nothing_of_what_it_has_told(pair, token):
    """Tarantool before 2.10 keeps the triggers of each commit."""
    master, replica = pair

    def used() -> float:
        return replica.console.evaluate("collectgarbage() collectgarbage() return collectgarbage('count') / 1024")[0]

    put(master, token, "a", "x" * 500_000)
    level(pair)
    before = used()
    for _ in range(30):
        put(master, token, "a", "x" * 500_000)
    level(pair)
    wait_until(lambda: used() - before < 5, "the memory of Lua is free again", deadline=20)


def test_a_watch_goes_on_at_another_instance_where_it_was(pair, token):
    """Also at one that does not have yet what was seen."""
    master, replica = pair
    put(master, token, "a")
    level(pair)
    (upstream,) = replica.console.evaluate("return box.cfg.replication[1] or box.cfg.replication")
    replica.console.evaluate("box.cfg{replication = {}}")
    seen = put(master, token, "a", 2)
    with Stream(replica.instance, token, after=seen) as stream:
        last = put(master, token, "b", 2)
        replica.console.evaluate(f"box.cfg{{replication = '{upstream}'}}")
        assert stream.changes(1) == [("put", "b", 2)] and stream.last == last


def test_two_instances_that_write_notice_it_and_stop(pair, token):
    first, second = pair
    put(first, token, "a")
    level(pair)
    second.console.evaluate("box.cfg{read_only = false}")
    put(second, token, "b")
    level(pair)
    wait_until(lambda: first.sees("http", Refused("split_brain"), "pair_put", token, "c", 1), "the first one notices it")
    assert "another instance of the replica set gives revisions too" in first.instance.log()
    wait_until(lambda: "writes too" in str(first.console.evaluate("return authkv.status().checks")[0]), "it is not ready")
    first.console.evaluate("box.cfg{read_only = true}")
    second.expect("http", ANY, "pair_get", token, "b")
    second.console.evaluate("box.cfg{read_only = true}")
    level(pair)
    first.console.evaluate("box.cfg{read_only = false}")
    wait_until(lambda: isinstance(first.do("http", "pair_put", token, "c", 1), Ok), "the only one writes again")


def test_rows_that_are_refused_because_both_have_written_are_told(pair):
    """By the metric on both, and by readiness on the one that refuses the rows of its leader."""
    first, second = pair
    wait_until(lambda: first.console.evaluate("return box.info.ro") == [False], "the first one may write")
    first.console.evaluate("box.schema.space.create('twice'):create_index('primary')")
    level(pair)
    (upstream,) = second.console.evaluate("return box.cfg.replication[1] or box.cfg.replication")
    for people in pair:
        people.console.evaluate("box.cfg{replication_connect_quorum = 0, replication = {}}")
    second.console.evaluate("box.cfg{read_only = false}")
    for people in pair:
        people.console.evaluate("box.space.twice:insert{1, box.info.uuid}")
    second.console.evaluate("box.cfg{read_only = true}")
    first.console.evaluate(f"box.cfg{{replication = '{address(second.instance)}'}}")
    second.console.evaluate(f"box.cfg{{replication = '{upstream}'}}")
    for people in pair:
        wait_until(lambda people=people: says_split_brain(people), "the metric tells that the rows of the other are refused")
    wait_until(lambda: "are refused" in failing(second).get("split", ""), "the one that refuses its leader is not ready")
    # The other has looked meanwhile: an instance does so each second.
    elapse(1.5)
    assert "split" not in failing(first)


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
            for one in (stream, behind):
                assert one.changes(3) == [("put", key, 2) for key in "abc"] and one.last == told[-1]
        assert told == sorted(set(told))


def test_numbers_that_were_undone_and_are_given_by_another_are_not_passed_over(pair, token):
    """Numbers were given here whose commits failed; the next master gives them again. Who watches here is told those."""
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
        assert stream.changes(2) == [("put", key, 1) for key in "bc"] and stream.last == given[-1]
    assert given == [before + 1, before + 2], "of those that failed, no other has heard"
    for transport in CALLERS:
        first.expect(transport, Ok({"events": [], "revision": given[-1]}), "kv_watch", token, {"after": given[-1]})
    switch(second, first)
    with Stream(first.instance, token, after=given[-1]) as stream:
        last = put(first, token, "b", 2)
        assert last > given[-1] and stream.changes(1) == [("put", "b", 2)]
