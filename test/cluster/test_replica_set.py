"""Three instances that are one replica set."""

from __future__ import annotations

import pytest

from support.replica_set import NO_ELECTIONS, ReplicaSet, has_elections


@pytest.fixture(scope="module", params=["setting", "election"])
def replica_set(request):
    """A replica set whose leader is that of a setting, or is elected."""
    if request.param == "election" and not has_elections():
        pytest.skip(NO_ELECTIONS)
    with ReplicaSet(elections=request.param == "election") as running:
        yield running


def write(member, value) -> None:
    """A pair, written by the owner of the instance."""
    assert member.evaluate(f"return authkv.pair.put('k', {value}).key") == ["k"]


def read(member):
    return member.evaluate("local pair = authkv.pair.get('k') return pair and pair.value")[0]


def test_each_member_has_what_the_leader_has_written(replica_set):
    write(replica_set.leader(), 1)
    replica_set.await_sync()
    assert [read(member) for member in replica_set.members] == [1, 1, 1]
    assert len(replica_set.leaders()) == 1


def test_a_member_that_was_killed_or_paused_catches_up(replica_set):
    killed, paused = replica_set.followers()
    killed.kill()
    paused.pause()
    if not replica_set.elections:
        write(replica_set.leader(), 2)
    paused.resume()
    killed.start()
    write(replica_set.leader(), 3)
    replica_set.await_sync()
    assert [read(member) for member in replica_set.members] == [3, 3, 3]


def test_a_promoted_member_goes_on_with_what_the_old_leader_has_written(replica_set):
    if replica_set.elections:
        pytest.skip("a leader that is elected is not promoted")
    old = replica_set.leader()
    write(old, 4)
    new = replica_set.followers()[0]
    replica_set.promote(new)
    assert replica_set.leader() is new and read(new) == 4
    write(new, 5)
    replica_set.await_sync()
    assert read(old) == 5
