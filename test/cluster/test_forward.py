"""WRITES=forward: a client that talks to a follower gets the answers of the leader."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest

from support.harness import ADMIN_PASSWORD, wait_until
from support.outcome import Ok
from support.people import PASSWORD, fresh
from support.replica_set import ReplicaSet
from support.transports import HttpTransport, IprotoTransport, NetBoxTransport, Response, bearer

FORWARD = {"AUTHKV_WRITES": "forward", "AUTHKV_HTTP_ACCESS_LOG": "all", "AUTHKV_LOG_FORMAT": "json"}


@pytest.fixture(scope="module")
def replicas():
    """A leader and two followers, which forward."""
    with ReplicaSet(3, **FORWARD) as running:
        yield running


@pytest.fixture(scope="module")
def leader(replicas):
    transport = HttpTransport(replicas.members[0])
    yield transport
    transport.close()


@pytest.fixture(scope="module", params=[1, 2], ids=["two", "three"])
def follower(replicas, request):
    transport = HttpTransport(replicas.members[request.param])
    yield transport
    transport.close()


@pytest.fixture(scope="module")
def admin(leader) -> str:
    return leader.do("session_login", "admin", ADMIN_PASSWORD).value["access_token"]


@pytest.fixture(scope="module")
def someone(leader, replicas) -> str:
    """The login of a user that all members know."""
    login = fresh("user")
    assert leader.register(login, PASSWORD, "Bob", "Stone") == Ok()
    replicas.await_sync()
    return login


@pytest.fixture(scope="module")
def token(leader, replicas, someone) -> str:
    told = leader.do("session_login", someone, PASSWORD).value["access_token"]
    replicas.await_sync()
    return told


def lines(member, **wanted) -> list[dict]:
    """The lines of the access log, or of the audit log, with these members."""
    told = []
    for line in member.present_log().splitlines():
        if line.startswith("{"):
            message = json.loads(line)
            if isinstance(message.get("message"), str) and message["message"].startswith("{"):
                message |= json.loads(message["message"])
            told.append(message)
    return [line for line in told if all(line.get(name) == value for name, value in wanted.items())]


def forwarded(member) -> dict[str, int]:
    """What the metrics of a member count."""
    told = member.evaluate("return authkv.metrics()")[0]["metrics"]
    (family,) = [one for one in told if one["name"] == "authkv_forwarded_total"]
    return {sample["labels"]["result"]: sample["value"] for sample in family["samples"]}


def test_a_client_of_a_follower_registers_logs_in_writes_and_reads_what_it_wrote(follower):
    """Each step sees the one before it at the same follower, without a wait."""
    login = fresh("user")
    assert follower.register(login, PASSWORD, "Bob", "Stone") == Ok()
    for number in range(30):
        token = follower.login(login, PASSWORD).value
        assert follower.check(token) == Ok(True)
        session = follower.do("session_login", login, PASSWORD).value
        fresher = follower.do("session_refresh", session["refresh_token"]).value
        key = fresh("key")
        assert follower.put(fresher["access_token"], {key: number}) == Ok([])
        assert follower.get(fresher["access_token"], [key]) == Ok({key: number})
        put = follower.request("PUT", f"/v1/kv/{key}", b"\x00\xff\xfe binary", {"Content-Type": "application/octet-stream"} | bearer(token))
        assert put.status in (200, 201), put
        got = follower.request("GET", f"/v1/kv/{key}", headers=bearer(token))
        assert (got.body, got.headers["ETag"]) == (b"\x00\xff\xfe binary", put.headers["ETag"])
        steps = {"success": [{"op": "put", "key": key, "value": number}, {"op": "get", "key": key}]}
        txn = follower.request("POST", "/v1/txn", steps, bearer(token))
        assert txn.status == 200, txn
        assert follower.do("kv_incr", token, key, {"by": 5}).value["value"] == number + 5
        assert follower.get(token, [key]) == Ok({key: number + 5})
        assert follower.logout(token) == Ok()
        assert follower.check(token) == Ok(False)
        assert follower.do("session_logout_all", fresher["access_token"]).value == {"revoked": True}
        assert follower.check(fresher["access_token"]) == Ok(False)


@pytest.mark.parametrize("transport", [IprotoTransport, NetBoxTransport])
def test_a_client_over_iproto_does_too(replicas, transport):
    client = transport(replicas.members[1])
    try:
        login, key = fresh("user"), fresh("key")
        assert client.register(login, PASSWORD, "Bob", "Stone") == Ok()
        token = client.login(login, PASSWORD).value
        assert client.check(token) == Ok(True)
        for number in range(10):
            assert client.put(token, {f"{key}{number}": [number, {"a": number}]}) == Ok([])
            assert client.get(token, [f"{key}{number}"]) == Ok({f"{key}{number}": [number, {"a": number}]})
        assert client.put(token, {f"{key}0": 1}) == Ok([f"{key}0"])
        assert client.do("kv_incr", token, f"{key}n", {"by": 5}).value["value"] == 5
        assert client.logout(token) == Ok()
        assert client.check(token) == Ok(False)
    finally:
        client.close()


def normal(response: Response) -> tuple:
    """An answer without what differs between two equal requests: ids, dates, and what is of the connection."""
    differs = "Date", "X-Request-Id", "Connection"
    headers = sorted((name, value) for name, value in response.headers.items() if name not in differs)
    return response.status, headers, response.body


# Requests that fail and change nothing: method, path, body, headers. `{token}` and so on are filled in.
FAILURES = {
    "broken JSON": ("POST", "/api/login/", b"{", {}),
    "no object": ("POST", "/v1/login", b"[]", {}),
    "another type": ("POST", "/v1/batch/put", b"a", {"Content-Type": "text/plain"}),
    "no such user": ("POST", "/api/login/", {"login": "nobody", "password": PASSWORD}, {}),
    "no such user of v1": ("POST", "/v1/login", {"login": "anybody", "password": PASSWORD}, {}),
    "a login that is taken": ("POST", "/api/register/", {"login": "{someone}", "password": PASSWORD, "name": "Bob", "surname": "Ox"}, {}),
    "a login that breaks the rules": ("POST", "/v1/users", {"login": "a b", "password": PASSWORD, "name": "Bob", "surname": "Stone"}, {}),
    "a weak password": ("POST", "/v1/users", {"login": "newcomer", "password": "password", "name": "Bob", "surname": "Stone"}, {}),
    "a refresh token of nobody": ("POST", "/v1/refresh", {"refresh_token": "a.b.c"}, {}),
    "no token": ("POST", "/api/write/", {"data": {"k": 1}}, {}),
    "no token of v1": ("PUT", "/v1/kv/k", b"1", {"Content-Type": "application/json"}),
    "a wrong token": ("POST", "/api/write/", {"data": {"k": 1}}, {"Authorization": "Bearer a.b.c"}),
    "a logout without a token": ("GET", "/api/logout/", None, {}),
    "no pairs": ("POST", "/api/write/", {"data": {}}, {"Authorization": "Bearer {token}"}),
    "a key that is empty": ("POST", "/v1/batch/put", {"pairs": {"": 1}}, {"Authorization": "Bearer {token}"}),
    "a key that is too long": ("PUT", f"/v1/pair?key={'k' * 1025}", b"1", {"Authorization": "Bearer {token}"}),
    "a value that is too large": ("PUT", "/v1/pair?key=k", b'"%s"' % (b"x" * (1 << 20)), {"Authorization": "Bearer {token}"}),
    "a condition": ("PUT", "/v1/kv/of-a-failure", b"1", {"Authorization": "Bearer {token}", "If-Match": '"5"'}),
    "a condition in a body": ("POST", "/v1/txn", {"compare": [{"key": "of-a-failure", "exists": 5}]}, {"Authorization": "Bearer {token}"}),
    "an option": ("PUT", "/v1/pair?key=k&ttl=-1", b"1", {"Authorization": "Bearer {token}"}),
    "an unknown parameter": ("PUT", "/v1/pair?key=k&tttl=1", b"1", {"Authorization": "Bearer {token}"}),
    "a role that is missing": ("PUT", "/v1/admin/roles/some", {"permissions": []}, {"Authorization": "Bearer {token}"}),
    "no such role": ("DELETE", "/v1/admin/roles/nothing", None, {"Authorization": "Bearer {admin}"}),
    "no such user to delete": ("DELETE", "/v1/admin/users/nobody", None, {"Authorization": "Bearer {admin}"}),
    "no such key": ("POST", "/v1/admin/keys/abc/retire", None, {"Authorization": "Bearer {admin}"}),
    "no such session": ("DELETE", "/v1/sessions/abc", None, {"Authorization": "Bearer {token}"}),
    "a string": ("POST", "/v1/pair/incr?key=text", {"delta": 1}, {"Authorization": "Bearer {token}"}),
    "a page of a browser": ("PUT", "/v1/kv/k", b"{", {"Authorization": "Bearer {token}", "Origin": "https://a.example"}),
}  # fmt: skip


def filled(what, names: dict):
    """With the names in braces replaced."""
    text = json.dumps(what) if not isinstance(what, str) else what
    for name, value in names.items():
        text = text.replace("{" + name + "}", value)
    return json.loads(text) if not isinstance(what, str) else text


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_that_of_the_leader(leader, replicas, token, admin, someone, name):
    method, path, body, headers = FAILURES[name]
    names = {"token": token, "admin": admin, "someone": someone}
    if name == "a string":
        leader.request("PUT", "/v1/pair?key=text", b'"text"', bearer(token))
    body = body if body is None or isinstance(body, bytes) else filled(body, names)
    headers = filled(headers, names)
    expected = leader.request(method, path, body, headers)
    assert expected.status >= 400 and expected.body, expected
    for member in replicas.members[1:]:
        follower = HttpTransport(member)
        assert normal(follower.request(method, path, body, headers)) == normal(expected)
        follower.close()


def test_a_failure_over_iproto_is_that_of_the_leader(replicas, token):
    calls = [
        ("authkv.auth_login", ["somebody", PASSWORD]),
        ("authkv.auth_login", [1]),
        ("authkv.kv_put", ["a.b.c", {"k": 1}]),
        ("authkv.kv_put", [token, {}]),
        ("authkv.kv_put", [token, {"k" * 2000: 1}]),
        ("authkv.pair_put", [token, "of-a-failure", 1, {"if_revision": 5}]),
        ("authkv.pair_put", [token, "k", 1, {"ttl": -1}]),
        ("authkv.kv_get", [token, ["k" * n for n in range(900, 1000)]]),
        ("authkv.role_list", [token]),
        ("authkv.session_refresh", ["a.b.c"]),
    ]
    first, *others = [NetBoxTransport(member) for member in replicas.members]
    for procedure, args in calls:
        expected = first.call(procedure, args)
        assert not isinstance(expected, Ok), (procedure, expected)
        for other in others:
            assert other.call(procedure, args) == expected
    for client in (first, *others):
        client.close()


def test_failed_logins_are_delayed_by_the_leader_whoever_is_asked(replicas, leader):
    """Five may fail without a delay. From then on all instances refuse, because the leader counts. The delays are 1, 2, 4 and more
    seconds, up to a second less because they end with a whole second. A try after a delay fails again."""
    login = fresh("user")
    assert leader.register(login, PASSWORD, "Bob", "Stone") == Ok()
    transports = [HttpTransport(member) for member in replicas.members]
    statuses, last_failed = [], 0.0
    for number in range(14):
        begun = time.monotonic()
        answer = transports[(number + 1) % 3].request("POST", "/v1/login", {"login": login, "password": "Wr0ng-password"})
        statuses.append(answer.status)
        if answer.status == 401:
            beyond = statuses.count(401) - 6
            assert number < 5 or time.monotonic() - last_failed > 2**beyond - 1, statuses
            last_failed = begun
        else:
            assert answer.status == 429 and number >= 5 and int(answer.headers["Retry-After"]) >= 1, (statuses, answer)
    assert {number % 3 for number, status in enumerate(statuses) if status == 429} == {0, 1, 2}, statuses
    for transport in transports:
        transport.close()


def test_the_id_the_address_and_the_agent_of_a_client_are_known_to_the_leader(replicas, follower, someone):
    member = next(one for one in replicas.members if one.http_port == follower.connection.port)
    with_source = HttpTransport(member, source="127.0.0.77")
    request_id = fresh("request")
    headers = {"X-Request-Id": request_id, "User-Agent": "test/77"}
    answer = with_source.request("POST", "/v1/login", {"login": someone, "password": PASSWORD}, headers)
    assert answer.status == 200 and answer.headers["X-Request-Id"] == request_id
    token = answer.json["access_token"]
    (here,) = wait_until(lambda: lines(member, request_id=request_id), "the follower has logged it")
    (there,) = wait_until(lambda: lines(replicas.members[0], request_id=request_id), "the leader has logged it")
    assert here["forwarded"] is True and "forwarded" not in there
    assert here["remote"] == there["remote"] and here["remote"].startswith("127.0.0.77:")
    assert here["status"] == there["status"] == 200
    sessions = with_source.request("GET", "/v1/sessions", headers=bearer(token)).json["sessions"]
    (own,) = [one for one in sessions if one["current"]]
    assert (own["address"], own["user_agent"]) == ("127.0.0.77", "test/77")
    # Without an id of the client, the follower makes one, which both know.
    made = with_source.request("POST", "/v1/logout/all", headers=bearer(token)).headers["X-Request-Id"]
    for one in (member, replicas.members[0]):
        assert len(wait_until(lambda one=one: lines(one, request_id=made), "it has logged it")) == 1
    with_source.close()


def test_a_read_stays_where_it_is(replicas, token):
    member = replicas.members[1]
    client = HttpTransport(member)
    before = forwarded(member)
    for path in (f"/v1/pair?key={quote('nothing')}", "/v1/me", "/.well-known/jwks.json"):
        client.request("GET", path, headers=bearer(token))
    assert forwarded(member) == before
    client.put(token, {fresh("key"): 1})
    assert forwarded(member) == before | {"answered": before["answered"] + 1}
    client.close()
