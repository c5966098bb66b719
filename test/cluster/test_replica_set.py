"""Three instances that are one replica set."""

from __future__ import annotations

import pytest

from support.harness import wait_until
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


def test_all_members_say_who_leads(replica_set):
    leader = replica_set.leader()

    def seen(member) -> dict:
        return member.evaluate("return authkv.cluster()")[0]

    def connected(told: dict) -> dict | None:
        states = sorted(str(one["status"]) for one in told["members"])
        return told if states == ["follow", "follow", "self"] and (told["leader"] or {}).get("name") == name(leader) else None

    for member in replica_set.members:
        # The members connect to each other while they serve already.
        told = wait_until(lambda member=member: connected(seen(member)), "a member has found the others")
        assert told["instance"] == name(member) and told["leads"] == (member is leader)
        assert told["leader"]["http"] == leader.url and told["quorum"] == 2 and told["term"] >= 1
        assert [one["uuid"] for one in told["members"] if one["leads"]] == [told["leader"]["uuid"]]
        shown = member.evaluate("local told = authkv.status() return told.leader, told.term, told.quorum")
        assert shown == [name(leader), told["term"], 2]


def name(member) -> str:
    return member.settings["AUTHKV_INSTANCE_NAME"]


def test_the_replication_of_a_member_can_be_changed_while_another_is_gone(replica_set):
    gone, changed = replica_set.followers()
    gone.kill()
    changed.evaluate("local kept = box.cfg.replication box.cfg{replication = {}} box.cfg{replication = kept}")
    assert changed.evaluate("return box.cfg.replication_connect_timeout < 60") == [True]
    gone.start()
    replica_set.await_sync()


def test_a_promotion_is_known_everywhere(replica_set):
    if replica_set.elections:
        replica_set.leader().kill()
    else:
        replica_set.promote(replica_set.followers()[0])
    leader = replica_set.leader()
    for member in replica_set.running():
        known = "local leader = authkv.cluster().leader return leader and leader.name or 'nobody'"
        wait_until(lambda member=member: member.evaluate(known) == [name(leader)], "the new leader is known")
