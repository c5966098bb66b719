"""The role roles.authkv of Tarantool 3, by the example clusters: documentation/tarantool3.md."""

from __future__ import annotations

import copy

import pytest

from support.configured import NO_TARANTOOL_3, SHOP_PASSWORD, TARANTOOL_3, Cluster, PrefixedHttp
from support.contract import GOOD
from support.harness import ADMIN_PASSWORD, NO_ROCK, has_rock, wait_until
from support.iproto import ACCESS_DENIED, EVAL, EXPRESSION, TUPLE, RawIproto
from support.outcome import A_TOKEN, Ok, assert_outcome
from support.transports import IprotoTransport

pytestmark = pytest.mark.skipif(TARANTOOL_3 is None, reason=NO_TARANTOOL_3)


def log_in(instance) -> str:
    """A token of admin, over HTTP."""
    http = PrefixedHttp(instance)
    token = http.login("admin", ADMIN_PASSWORD)
    assert_outcome(http, token, Ok(A_TOKEN))
    http.close()
    return token.value


def works(leader, reader=None) -> None:
    """What one instance writes by HTTP, another one reads by iproto, as a user of the YAML."""
    token = log_in(leader)
    http = PrefixedHttp(leader)
    key = f"{leader.http_port}/{token[-8:]}"
    assert_outcome(http, http.put(token, {key: 1}), Ok([]))
    http.close()
    iproto = IprotoTransport(reader or leader, "shop", SHOP_PASSWORD)
    wait_until(lambda: iproto.get(token, [key]) == Ok({key: 1}), "the other instance has the pair")
    iproto.close()


@pytest.fixture(scope="module")
def single():
    """The example with one instance."""
    with Cluster("one") as running:
        yield running


@pytest.fixture(scope="module", params=["three", "three_httpd"])
def three(request):
    """The examples with three instances."""
    if request.param == "three_httpd" and not has_rock():
        pytest.skip(NO_ROCK)
    with Cluster(request.param) as running:
        yield running


def serves(instance) -> bool:
    """Whether its HTTP answers a login with a success."""
    http = PrefixedHttp(instance)
    try:
        return http.request("POST", "/api/login", {"login": "admin", "password": ADMIN_PASSWORD}).status == 201
    except OSError:
        return False
    finally:
        http.close()


class TestOne:
    @pytest.fixture
    def cluster(self, single):
        """With the configuration of the example again after each test."""
        before = copy.deepcopy(single.config)
        yield single
        if single.config != before:
            single.config = before
            assert single.reload() == [None]

    @pytest.fixture
    def one(self, cluster):
        (instance,) = cluster.instances
        return instance

    def test_it_serves_http_and_users_of_the_yaml(self, one):
        works(one)
        http = PrefixedHttp(one)
        assert http.register("bob", GOOD, "Bob", "Stone") == Ok()
        http.close()

    def test_it_has_no_alert(self, one):
        wait_until(lambda: one.alerts() == [], "there is no alert")
        assert one.evaluate("return require('config'):info().status") == ["ready"]

    def test_guest_has_no_rights(self, one):
        guest = RawIproto(one, None)
        assert guest.request(EVAL, {EXPRESSION: "return 1", TUPLE: []}).code == ACCESS_DENIED

    def test_a_reload_changes_what_can_change(self, cluster, one):
        cluster.section["TOKEN_TTL"] = 77
        assert cluster.reload() == [None]
        assert one.evaluate(ORIGIN.format("TOKEN_TTL")) == ["77", "roles.authkv"]
        works(one)

    def test_what_needs_a_restart_is_an_alert_until_then(self, cluster, one):
        cluster.section["TOKEN_CACHE"] = 500
        assert cluster.reload() == [None]
        assert one.alerts() == ["authkv: TOKEN_CACHE: takes effect with authkv.restart()"]
        assert one.evaluate(ORIGIN.format("TOKEN_CACHE")) == ["10000", "default"]
        one.evaluate("authkv.restart()")
        assert one.alerts() == []
        assert one.evaluate(ORIGIN.format("TOKEN_CACHE")) == ["500", "roles.authkv"]
        works(one)

    @pytest.mark.parametrize(
        "name,value,why",
        [
            ("TOKEN_TLT", 5, "TOKEN_TLT is not a setting; did you mean TOKEN_TTL? There are: mount, SERVICES, HTTP_LISTEN,"),
            ("token_ttl", 5, "token_ttl is not a setting; did you mean TOKEN_TTL?"),
            ("TOKEN_TTL", "soon", 'TOKEN_TTL is "soon", but should be a whole number from 1 to 31536000'),
            ("TOKEN_TTL", [1], "TOKEN_TTL should be a text, a number or a boolean, not a table"),
            ("DATA_DIR", "/data", "in the YAML of Tarantool it is snapshot.dir and wal.dir"),
            ("IPROTO_LISTEN", "127.0.0.1:1", "in the YAML of Tarantool it is iproto.listen"),
            ("REPLICATION", "127.0.0.1:1", "in the YAML of Tarantool it is replicasets.*.instances"),
            ("ADMIN_PASSWORD_FILE", "secrets/admin", "ADMIN_PASSWORD and ADMIN_PASSWORD_FILE are both given"),
            ("mount", {"path": "/x"}, "mount should be {server: NAME, prefix: /PATH}"),
        ],
    )
    def test_a_wrong_section_is_refused_and_changes_nothing(self, cluster, one, name, value, why):
        cluster.section[name] = value
        cluster.section["TOKEN_LEEWAY"] = 11
        (said,) = cluster.reload()
        assert said is not None and "Wrong config for role roles.authkv" in said and why in said, said
        assert one.evaluate(ORIGIN.format("TOKEN_LEEWAY")) == ["30", "default"]
        works(one)

    def test_guest_in_the_yaml_is_refused_and_gets_nothing(self, cluster, one):
        cluster.config["credentials"]["users"]["guest"] = {"roles": ["super"]}
        (said,) = cluster.reload()
        assert said is not None and "credentials.users has guest" in said
        guest = RawIproto(one, None)
        assert guest.request(EVAL, {EXPRESSION: "return 1", TUPLE: []}).code == ACCESS_DENIED
        del cluster.config["credentials"]["users"]["guest"]
        assert cluster.reload() == [None]
        assert one.health() == [True]

    def test_guest_does_not_keep_rights_that_something_else_has_given_it(self, one):
        one.evaluate("box.schema.user.grant('guest', 'super')")
        assert one.health() == [False, "guest: the user guest has rights"]
        # As when the instance begins to lead.
        one.evaluate("box.cfg{read_only = true} box.cfg{read_only = false}")
        wait_until(lambda: one.health() == [True], "the rights are taken away")
        guest = RawIproto(one, None)
        assert guest.request(EVAL, {EXPRESSION: "return 1", TUPLE: []}).code == ACCESS_DENIED

    def test_a_user_is_made_by_the_yaml_or_by_a_setting(self, cluster, one):
        cluster.section["CLIENT_PASSWORD"] = "client-Secret-3"
        cluster.config["credentials"]["users"]["authkv"] = {"password": "client-Secret-3"}
        (said,) = cluster.reload()
        assert said is not None and "CLIENT_PASSWORD and credentials.users both make the user authkv" in said
        del cluster.config["credentials"]["users"]["authkv"]
        assert cluster.reload() == [None]
        one.evaluate("authkv.restart()")
        iproto = IprotoTransport(one, "authkv", "client-Secret-3")
        assert isinstance(iproto.login("admin", ADMIN_PASSWORD), Ok)
        iproto.close()

    def test_an_empty_list_of_roles_stops_it_and_the_role_starts_it_again(self, cluster, one):
        roles = cluster.config["roles"]
        cluster.config["roles"] = []
        assert cluster.reload() == [None]
        assert one.health() == [False, "authkv does not run: it was stopped"] and not serves(one)
        # Tarantool stops the same roles once more.
        assert cluster.reload() == [None]
        cluster.config["roles"] = roles
        assert cluster.reload() == [None]
        wait_until(one.is_ready, "authkv serves again")
        works(one)

    def test_a_failing_check_is_an_alert(self, one):
        one.evaluate("authkv.http.stop()")
        ready, why = one.health()
        assert ready is False and "http" in why
        if one.evaluate("return box.info.health ~= nil")[0]:
            wait_until(lambda: any("roles.authkv" in alert for alert in one.alerts()), "the check shows as an alert")
        one.evaluate("authkv.http.start()")
        assert one.health() == [True]
        wait_until(lambda: one.alerts() == [], "the alert is gone")

    def test_a_stop_of_the_process_finishes_and_the_next_start_serves(self, cluster, one):
        one.stop()
        cluster.start()
        works(one)


ORIGIN = "for _, row in ipairs(authkv.config()) do if row[1] == '{}' then return row[2], row[3] end end"


def test_guest_in_the_yaml_stops_the_first_start():
    cluster = Cluster("one")
    cluster.config["credentials"]["users"]["guest"] = {"roles": ["super"]}
    cluster.write()
    (one,) = cluster.instances
    try:
        one.launch()
        assert one.wait_for_exit() != 0
        assert "credentials.users has guest" in one.log()
    finally:
        cluster.dispose()


def test_a_start_that_fails_is_repeated():
    with Cluster("one") as taken:
        cluster = Cluster("one")
        (one,) = cluster.instances
        (other,) = taken.instances
        try:
            cluster.section["HTTP_LISTEN"] = f"127.0.0.1:{other.http_port}"
            cluster.section["ADMIN_PASSWORD_FILE"] = "secrets/admin"
            del cluster.section["ADMIN_PASSWORD"]
            cluster.write()
            one.launch()
            wait_until(lambda: one.is_running() and any("cannot start" in alert for alert in alerts(one)), "the start has failed")
            assert one.health()[0] is False and "cannot listen" in one.health()[1]
            cluster.section["HTTP_LISTEN"] = f"127.0.0.1:{one.http_port}"
            assert cluster.reload() == [None]
            wait_until(one.is_ready, "authkv serves")
            assert one.alerts() == []
            works(one)
        finally:
            cluster.dispose()


def test_the_leader_changes_with_the_yaml():
    cluster = Cluster("three")
    (replica_set,) = next(iter(cluster.config["groups"].values()))["replicasets"].values()
    cluster.config["replication"] = {"failover": "manual"}
    replica_set["leader"] = "one"
    cluster.write()
    with cluster:
        one, two, _ = cluster.instances
        assert cluster.leader() is one
        works(one, two)
        replica_set["leader"] = "two"
        assert cluster.reload() == [None] * 3
        wait_until(lambda: two.is_writable() and not one.is_writable(), "the other one leads")
        wait_until(two.is_ready, "the new leader serves")
        works(two, one)


def alerts(instance) -> list[str]:
    try:
        return instance.alerts()
    except OSError:
        return []


class TestThree:
    @pytest.fixture
    def cluster(self, three):
        return three

    def test_the_others_have_what_the_leader_writes(self, cluster):
        leader = cluster.leader()
        for other in cluster.instances:
            works(leader, other)

    def test_a_follower_names_the_leader(self, cluster):
        leader = cluster.leader()
        follower = next(one for one in cluster.instances if one is not leader)
        told = wait_until(lambda: follower.evaluate("return authkv.cluster()")[0]["leader"], "the leader is known")
        assert told["name"] == leader.name and told["http"] == leader.url

    def test_the_spaces_are_synchronous(self, cluster):
        for one in cluster.instances:
            assert one.evaluate("return box.space.key_value_store.is_sync, box.space.user.is_sync") == [True, True]

    def test_a_reload_reaches_each(self, cluster):
        cluster.section["TOKEN_TTL"] = 99
        assert cluster.reload() == [None] * 3
        for one in cluster.instances:
            assert one.evaluate(ORIGIN.format("TOKEN_TTL")) == ["99", "roles.authkv"]

    def test_another_leads_when_the_leader_is_killed(self, cluster):
        old = cluster.leader()
        token = log_in(old)
        old.kill()
        new = cluster.leader()
        assert new is not old
        wait_until(new.is_ready, "the new leader serves")
        works(new)
        iproto = IprotoTransport(new, "shop", SHOP_PASSWORD)
        assert iproto.check(token) == Ok(True)
        iproto.close()
        old.launch()
        cluster.await_start()
        works(cluster.leader(), old)

    def test_an_empty_list_of_roles_stops_all(self, cluster):
        roles = cluster.config["roles"]
        cluster.config["roles"] = [role for role in roles if role != "roles.authkv"]
        assert cluster.reload() == [None] * 3
        for one in cluster.instances:
            assert one.health() == [False, "authkv does not run: it was stopped"] and not serves(one)
        if "roles.httpd" in roles:
            routes = "local n = 0 for name in pairs(require('roles.httpd').get_server().iroutes) do n = n + 1 end return n"
            assert cluster.instances[0].evaluate(routes) == [0]
        cluster.config["roles"] = roles
        assert cluster.reload() == [None] * 3
        cluster.await_start()
        works(cluster.leader())
