"""The key-value instance of a split that follows one of several instances with the users: a leader and its replicas."""

from __future__ import annotations

import pytest

from support.contract import GOOD
from support.harness import CHEAP_HASHES, HOST, wait_until
from support.outcome import Ok, Refused
from support.people import UNAUTHENTICATED, People
from support.replica import replica_of
from support.split import UNKNOWN, auth_settings, kv_settings, once_known, refused
from support.transports import HttpTransport

SPACES = ("revoked_token", "authkv_subject", "authkv_role", "authkv_token_key", "authkv_api_key")
# In the follower's console: a tuple whose number falls was applied out of order.
WATCH_ORDER = """
rawset(_G, 'fallen', 0)
for _, name in ipairs({'revoked_token', 'authkv_subject', 'authkv_role', 'authkv_token_key', 'authkv_api_key'}) do
    box.space[name]:on_replace(function(old, new)
        if old ~= nil and new ~= nil and new.number < old.number then fallen = fallen + 1 end
    end)
end
"""


def address(instance) -> str:
    return f"{HOST}:{instance.iproto_port}"


def rows(people: People) -> list:
    return [people.console.evaluate(f"return box.space.{space}:select()") for space in SPACES]


class Followed:
    """A leader, its replica, and the key-value instance that follows one of the two."""

    def __init__(self, leader: People, replica: People, kv: People):
        self.leader, self.replica, self.kv = leader, replica, kv
        self.http = HttpTransport(kv.instance)

    def tokens(self, count: int) -> list[str]:
        """Tokens of new users of the leader, each known to the follower."""
        tokens = [self.leader.new().access for _ in range(count)]
        for token in tokens:
            self.await_token(token)
        return tokens

    def await_token(self, token: str) -> None:
        wait_until(lambda: refused(self.http.get(token, ["k"]), self.http, Refused("missing_keys")), "the token is accepted")

    def await_end(self, token: str) -> None:
        """Until the token is refused because it has ended, and not because nothing is known."""
        wait_until(lambda: refused(once_known(self.http, "get", token, ["k"]), self.http, UNAUTHENTICATED), "the end is known")

    def level(self) -> None:
        """Until the replica has all changes of the leader."""
        wait_until(lambda: rows(self.leader) == rows(self.replica), "the replica has what the leader has")

    def promote(self) -> None:
        self.replica.console.evaluate("box.cfg{read_only = false, replication = {}}")

    def says(self, what: str) -> None:
        wait_until(lambda: what in self.kv.instance.log(), f"the follower says: {what}")


@pytest.fixture
def follow(make, visit):
    """Makes the three. `order` says whom the follower asks first."""
    made = []

    def follow(order: str, *more: str, **kv) -> Followed:
        leader = visit(make(**auth_settings(), **CHEAP_HASHES).start())
        joined = replica_of(leader, **auth_settings())
        replica = visit(joined.__enter__())
        made.append(joined)
        named = {"leader": leader.instance, "replica": replica.instance}
        sources = [address(named[name]) for name in order.split(",")] + list(more)
        settings = {"AUTHKV_FOLLOW_MAX_LAG": "1", **kv_settings(leader.instance), **kv, "AUTHKV_FOLLOW": ",".join(sources)}
        one = Followed(leader, replica, visit(make(**settings).start()))
        made.append(one.http)
        return one

    yield follow
    for one in made:
        one.close() if isinstance(one, HttpTransport) else one.__exit__(None, None, None)


def test_a_follower_goes_on_at_another_when_the_one_it_follows_goes(follow):
    """The replica is followed first. It goes and comes back; all the while tokens begin and end at the leader."""
    all_three = follow("replica,leader", AUTHKV_FOLLOW_MAX_LAG="60")
    tokens = all_three.tokens(12)
    all_three.says(f"following {address(all_three.replica.instance)}")
    all_three.kv.console.evaluate(WATCH_ORDER)
    for number, token in enumerate(tokens):
        all_three.leader.do("http", "auth_logout", token)
        if number == 4:
            all_three.replica.close()
            all_three.replica.instance.kill()
        all_three.await_end(token)
    all_three.says(f"following {address(all_three.leader.instance)}")
    wait_until(lambda: rows(all_three.leader) == rows(all_three.kv), "the follower has what the leader has")
    assert all_three.kv.console.evaluate("return fallen") == [0]


def test_a_follower_follows_a_replica_set_whose_leader_changes(follow):
    all_three = follow("leader,replica")
    old = all_three.tokens(3)
    all_three.kv.console.evaluate(WATCH_ORDER)
    all_three.leader.do("http", "auth_logout", old[0])
    all_three.await_end(old[0])
    all_three.level()
    all_three.leader.close()
    all_three.leader.instance.kill()
    all_three.promote()
    # Known at the first leader, ended at the second.
    assert all_three.replica.http.logout(old[1]) == Ok()
    all_three.await_end(old[1])
    all_three.await_token(all_three.replica.new().access)
    all_three.await_token(old[2])
    all_three.await_end(old[0])
    wait_until(lambda: rows(all_three.replica) == rows(all_three.kv), "the follower has what the new leader has")
    assert all_three.kv.console.evaluate("return fallen") == [0]


@pytest.mark.parametrize("then", ["nothing", "the numbers are given again"])
def test_a_source_that_is_behind_is_not_used_until_it_has_caught_up(follow, then):
    all_three = follow("leader,replica")
    ended, other = all_three.tokens(2)
    all_three.level()
    # As if the leader were out of reach of the replica only.
    (upstream,) = all_three.replica.console.evaluate("return box.cfg.replication[1] or box.cfg.replication")
    all_three.replica.console.evaluate("box.cfg{replication = {}}")
    all_three.leader.do("http", "auth_logout", ended)
    all_three.await_end(ended)
    all_three.leader.close()
    all_three.leader.instance.kill()
    if then == "nothing":
        all_three.replica.console.evaluate("box.cfg{read_only = true}")
        all_three.says("no other instance is followed")
    else:
        # The new leader gives the number of the lost change to another one.
        all_three.replica.console.evaluate("box.cfg{read_only = false}")
        all_three.replica.http.logout(other)
        all_three.says("knows fewer changes than were heard from it")
    wait_until(lambda: refused(all_three.http.get(other, ["k"]), all_three.http, UNKNOWN), "tokens are refused")
    all_three.leader.instance.start()
    if then == "nothing":
        all_three.replica.console.evaluate(f"box.cfg{{replication = '{upstream}'}}")
        all_three.await_token(other)
    all_three.await_end(ended)
    assert ended not in all_three.kv.instance.log()


def test_a_source_with_other_data_is_refused(follow, make, visit):
    stranger = visit(make(**auth_settings(), **CHEAP_HASHES).start())
    all_three = follow("leader", address(stranger.instance))
    (token,) = all_three.tokens(1)
    before = rows(all_three.kv)
    all_three.leader.close()
    all_three.leader.instance.kill()
    all_three.says(f"cannot follow {address(stranger.instance)}: other_data: The instance has the data of another replica set")
    wait_until(lambda: refused(all_three.http.get(token, ["k"]), all_three.http, UNKNOWN), "tokens are refused")
    assert rows(all_three.kv) == before
    # It survives a restart.
    all_three.kv.close()
    all_three.kv.instance.stop()
    all_three.kv.instance.start()
    all_three.http = HttpTransport(all_three.kv.instance)
    wait_until(lambda: all_three.kv.instance.log().count("other_data") > 1, "the follower says so again")
    all_three.kv.console.evaluate("authkv.restored()")
    assert stranger.http.register("bob1", GOOD, "Bob", "Stone") == Ok()
    wait_until(lambda: rows(all_three.kv) == rows(stranger), "the follower has what the other has")
    all_three.http.close()


def test_addresses_are_checked(make):
    for addresses in ("127.0.0.1:1,", "127.0.0.1:1,127.0.0.1:1", "127.0.0.1:1,here"):
        instance = make(AUTHKV_SERVICES="kv", AUTHKV_FOLLOW=addresses, AUTHKV_FOLLOWER_PASSWORD="S3cret-x")
        assert "host:port, or several separated by commas" in instance.refuse_to_start()
