"""Quotas on a replica that becomes the master: what replication has brought counts."""

import pytest

from support.fallible import Fallible
from support.harness import CHEAP_HASHES, wait_until
from support.outcome import ANY, Refused
from support.pairs import delete, put
from support.replica import address, replica_of

EXCEEDED = Refused("quota_exceeded")


@pytest.fixture
def pair(visit):
    """People at a master and at its replica, each of which replicates the other and has the same quota."""
    with Fallible(AUTHKV_KV_QUOTAS="a/:3:unlimited", **CHEAP_HASHES) as first:
        master = visit(first)
        with replica_of(master, AUTHKV_KV_QUOTAS="a/:3:unlimited") as second:
            master.console.evaluate(f"box.cfg{{replication = '{address(second)}'}}")
            yield master, visit(second)


def position(people) -> list:
    return people.console.evaluate(
        "local sum = 0 for id, lsn in pairs(box.info.vclock) do sum = sum + (id > 0 and lsn or 0) end return sum"
    )


def switch(old, new) -> None:
    old.console.evaluate("box.cfg{read_only = true}")
    wait_until(lambda: position(old) == position(new), "the replica is where the master is")
    new.console.evaluate("box.cfg{read_only = false}")


def pairs_used(people, admin: str) -> int:
    return people.expect("http", ANY, "quota_list", admin)["quotas"][0]["pairs"]


def test_what_replication_has_brought_counts_at_the_new_master(pair):
    master, replica = pair
    token, admin = master.new().access, master.admin
    for n in range(3):
        put(master, token, f"a/{n}", n)
    wait_until(lambda: position(master) == position(replica), "the replica is where the master is")
    assert pairs_used(master, admin) == pairs_used(replica, admin) == 3
    writer, reader = master, replica
    for turn in range(4):
        writer.expect("http", EXCEEDED, "pair_put", token, "a/more", 1)
        switch(writer, reader)
        writer, reader = reader, writer
        writer.expect("http", EXCEEDED, "pair_put", token, "a/more", 1)
        delete(writer, token, f"a/{turn % 3}")
        assert pairs_used(writer, admin) == 2
        put(writer, token, f"a/{turn % 3}", 1)
    wait_until(lambda: position(master) == position(replica), "the replica is where the master is")
    assert pairs_used(reader, admin) == pairs_used(writer, admin) == 3
