"""How a replica set comes up: in any order, with members that take long, and again after members were lost."""

from __future__ import annotations

import os
import random
import socket
import threading

import pytest

from support.clock import elapse
from support.harness import HOST, Instance, free_port, version, wait_until
from support.replica_set import NO_ELECTIONS, REPLICATION_PASSWORD, ReplicaSet, has_elections

# How often a start with random delays is repeated; `make test-replication` asks for more.
STARTS = int(os.environ.get("AUTHKV_TEST_STARTS", "2"))
SEED = int(os.environ.get("AUTHKV_TEST_SEED", "1"))


@pytest.fixture(params=["setting", "election"])
def elections(request):
    if request.param == "election" and not has_elections():
        pytest.skip(NO_ELECTIONS)
    return request.param == "election"


@pytest.fixture
def apart():
    """Makes replica sets that are not started, and ends them after the test."""
    made = []

    def make(*args, **settings) -> ReplicaSet:
        made.append(ReplicaSet(*args, **settings))
        return made[-1]

    yield make
    for one in made:
        one.dispose()


def all_follow(members: ReplicaSet) -> bool:
    """Whether each member replicates each other one."""
    count = (
        "local count = 0 for _, peer in pairs(box.info.replication) do "
        "if peer.upstream and peer.upstream.status == 'follow' then count = count + 1 end end return count"
    )
    return all(member.evaluate(count) == [len(members.members) - 1] for member in members.members)


@pytest.mark.parametrize("number", range(STARTS))
def test_members_come_up_in_any_order(apart, elections, number):
    """Each is launched after a random time, so the last one may be seconds behind the first."""
    chance = random.Random(f"{SEED} {number}")
    members = apart(elections=elections)
    order = chance.sample(members.members, 3)
    launches = [threading.Timer(chance.choice([0, 0.05, 0.4, 2.5]), member.launch) for member in order]
    for launch in launches:
        launch.start()
    for launch in launches:
        launch.join()
    members.await_start()
    assert len(members.leaders()) == 1
    for member in members.members:
        # Nothing was made twice.
        assert member.evaluate("return box.space.user:len(), box.space._cluster:len()") == [1, 3]
        assert "Can't modify data" not in member.log()
    wait_until(lambda: all_follow(members), "each replicates each other")


def test_members_that_cannot_replicate_each_other_yet_do_so_soon(apart):
    """One does not know the other, which has joined meanwhile and lacks older logs. Tarantool 2.6 gives both up for good."""
    members = apart()
    one, two, three = members.members
    for member in (one, two):
        member.launch()
    members.await_start()
    two.evaluate("rawset(_G, 'kept', box.cfg.replication) box.cfg{replication = {}}")
    three.launch()
    wait_until(three.is_ready, "the third one has joined through the leader")
    # What older and newer versions of Tarantool say.
    said = "is not registered with replica set", "until join is done"
    wait_until(lambda: any(text in three.log() for text in said), "the second one does not know it")
    two.evaluate("box.cfg{replication = kept}")
    wait_until(lambda: all_follow(members), "each replicates each other", deadline=30)


def test_a_first_start_that_fails_is_not_in_the_way_of_the_next(apart, elections):
    """Another process has the iproto address of the leader."""
    members = apart(elections=elections)
    leader = members.members[0]
    with socket.create_server((HOST, leader.iproto_port)):
        said = leader.refuse_to_start()
    assert f"{HOST}:{leader.iproto_port}" in said
    for member in members.members:
        member.launch()
    members.await_start()
    assert leader.evaluate("return box.space.user:len(), box.space._cluster:len()") == [1, 3]


def test_a_leader_that_was_replaced_does_not_lead_again(apart):
    members = apart().start()
    old, new, _ = members.members
    members.promote(new)
    old.kill()
    # Its settings are still those of the leader.
    old.settings["AUTHKV_READ_ONLY"] = "false"
    old.start()
    assert members.leaders() == [new]
    assert "two was promoted after this instance led" in old.present_log()
    # Also if nobody can tell it.
    for member in members.members:
        member.kill()
    old.start()
    assert members.leaders() == []
    old.evaluate("box.cfg{read_only = false}")
    assert members.leaders() == [old]


def test_a_leader_that_has_lost_its_data_does_not_begin_anew(apart):
    members = apart().start()
    leader = members.members[0]
    leader.kill()
    for file in leader.data_dir.glob("*.[sx]*"):
        file.unlink()
    assert "has data" in leader.refuse_to_start()
    members.members[1].evaluate("box.cfg{read_only = false}")
    leader.settings["AUTHKV_READ_ONLY"] = "true"
    leader.start()
    members.await_sync()


def test_a_follower_waits_for_the_leader(apart):
    members = apart()
    _, *others = members.members
    for member in others:
        member.launch()
    for member in others:
        wait_until(lambda member=member: "waits for the leader of its replica set" in member.log(), "it says what it waits for")
        assert not member.is_ready()
    members.members[0].launch()
    members.await_start()


def test_what_a_start_makes_is_made_by_a_member_that_leads_later(apart):
    """As if the leader had been lost before it could do so."""
    members = apart().start()
    leader, follower, _ = members.members
    leader.evaluate("box.space.user:delete('admin') box.space.authkv_subject:delete('admin') box.schema.user.drop('authkv')")
    members.await_sync()
    members.promote(follower)
    made = "return box.space.user:get('admin') ~= nil, box.space._user.index.name:get('authkv') ~= nil"
    wait_until(lambda: follower.evaluate(made) == [True, True], "the user admin and the user authkv are made")


def test_a_leader_without_a_password_for_admin_says_what_to_do(apart):
    """As if the leader had been lost before it could make the user, whose password only a start can show."""
    members = apart(AUTHKV_ADMIN_PASSWORD=None).start()
    leader, follower, _ = members.members
    leader.evaluate("box.space.user:delete('admin') box.space.authkv_subject:delete('admin')")
    members.await_sync()
    members.promote(follower)
    wait_until(lambda: "there is no administrator" in follower.log(), "the log says what to do")
    (password,) = follower.evaluate("return authkv.restart().admin_password")
    assert follower.evaluate(f"return authkv.login('admin', '{password}') ~= nil") == [True]


def test_a_follower_can_log_users_in_right_after_its_promotion(apart):
    members = apart().start()
    follower = members.members[1]
    members.promote(follower)
    login = f"authkv.login('admin', '{follower.settings['AUTHKV_ADMIN_PASSWORD']}')"
    wait_until(lambda: follower.evaluate(f"return {login} ~= nil") == [True], "a login succeeds", deadline=5)


def test_a_write_on_a_follower_is_refused_with_the_name_of_the_leader(apart):
    members = apart().start()
    leader, follower, _ = members.members

    def refusal() -> list:
        return follower.evaluate("local _, err = authkv.put{['" + os.urandom(4).hex() + "'] = 1} return err.name, err.message")

    assert refusal() == ["read_only", f"This instance is read-only: write to the leader, one at {leader.url}"]
    leader.kill()
    leader.settings["AUTHKV_ADVERTISE"] = "https://one.example"
    leader.start()
    wait_until(lambda: refusal()[1].endswith("one at https://one.example"), "the new address is known")


def test_writes_are_synchronous_by_setting(apart, elections):
    members = apart(elections=elections, AUTHKV_SYNCHRONOUS="true").start()
    leader = members.leader()
    for member in members.members:
        spaces = "box.space.user.is_sync, box.space.key_value_store.is_sync, box.space.authkv_session.is_sync"
        assert member.evaluate(f"return {spaces}") == [True, True, True]
    # The others could join, and what the start has written was acknowledged at once.
    assert "a commit failed" not in leader.log() and "it is tried again" not in leader.log()
    assert leader.evaluate("return authkv.put{a = 1} ~= nil") == [True]
    for member in members.followers():
        member.pause()
    done = threading.Thread(target=leader.evaluate, args=("return authkv.put{b = 1} ~= nil",))
    done.start()
    elapse(1)
    assert done.is_alive()
    for member in members.members:
        if member.is_paused:
            member.resume()
    done.join()


def test_synchronous_spaces_stay_so_though_members_are_missing(apart, elections):
    """A new build of the library begins while the other one is lost for good."""
    members = apart(2, elections=elections, AUTHKV_SYNCHRONOUS="true").start()
    leader, other = members.leader(), members.followers()[0]
    (uuid,) = other.evaluate("return box.info.uuid")
    other.kill()
    if not elections:
        # With elections nobody leads now.
        leader.evaluate(f"box.space._cluster.index.uuid:delete('{uuid}')")
        assert leader.evaluate("return (pcall(authkv.restart))") == [True]
    assert leader.evaluate("return box.space.key_value_store.is_sync") == [True]


def test_a_planned_change_of_the_leader_of_synchronous_spaces_takes_over_their_queue(apart):
    """From 2.10 on the new leader is read-only until it has done so."""
    members = apart(AUTHKV_SYNCHRONOUS="true").start()
    old, new, _ = members.members
    for leader, follower in ((old, new), (new, old)):
        leader.evaluate("box.cfg{read_only = true}")
        wait_until(lambda one=leader, other=follower: one.position() == other.position(), "the new leader has all changes")
        follower.evaluate("box.cfg{read_only = false}")
        wait_until(follower.is_writable, "the new leader writes", deadline=20)
        written = "return authkv.pair.put('k', 1) ~= nil"
        wait_until(lambda one=follower, code=written: one.evaluate(code) == [True], "it is acknowledged", deadline=20)


@pytest.mark.skipif(version() > (2, 6), reason="this Tarantool has elections")
def test_elections_are_refused_where_there_are_none():
    instance = Instance(
        AUTHKV_REPLICATION=f"{HOST}:{free_port()}", AUTHKV_REPLICATION_PASSWORD=REPLICATION_PASSWORD, AUTHKV_ELECTION_MODE="candidate"
    )
    try:
        said = instance.refuse_to_start()
    finally:
        instance.dispose()
    assert "AUTHKV_ELECTION_MODE is candidate, but Tarantool 2.6.0" in said and "AUTHKV_READ_ONLY=true" in said
