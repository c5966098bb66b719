"""Limits for strangers: requests and registrations from one address, requests of one user, users in all.

This machine answers at all of 127.0.0.0/8, so that a test has addresses of its own; a trusted proxy, which is 127.0.2.1 here,
reports any other.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import msgpack
import pytest
from h2.events import ResponseReceived, StreamEnded

from support.bulk import line
from support.contract import GOOD
from support.harness import ADMIN_PASSWORD, CHEAP_HASHES, HOST, Instance, wait_until
from support.http2 import Client as Http2
from support.http2 import known
from support.iproto import RawIproto
from support.load import at_once
from support.mvcc import MVCC, needs_mvcc
from support.outcome import ANY, Ok, Refusal, Refused
from support.people import PASSWORD, fresh
from support.sse import Stream
from support.transports import TRANSPORTS, HttpTransport, IprotoTransport, bearer
from support.wire import CHECK, Wire

PROXY = "127.0.2.1"
# So slow that a test sees no token come back.
DAY = 86_400
EXEMPT_NOBODY = {"AUTHKV_LOGIN_DELAY_EXEMPT": "none", **CHEAP_HASHES}
TOO_MANY = Refused("too_many_requests")
LEFT = re.compile(r'"(?P<policy>[a-z-]+)";r=(?P<r>\d+)(?:;t=(?P<t>\d+))?')


@pytest.fixture
def start(make, visit):
    """People at an instance of this test's own, which exempts nobody."""
    return lambda **settings: visit(make(**(EXEMPT_NOBODY | settings)).start())


def check(instance: Instance, head: bytes = b"", source: str | None = None):
    """The answer to a request without a token, on a connection of its own."""
    with Wire((HOST, instance.http_port), source=source) as wire:
        assert wire.send(CHECK.replace(b"\r\n\r\n", b"\r\n" + head + b"\r\n", 1))
        return wire.answer("POST")


def behind(instance: Instance, client: str):
    """The same, of a client behind the trusted proxy."""
    return check(instance, b"X-Forwarded-For: " + client.encode() + b"\r\n", PROXY)


def left(answer) -> dict[str, int]:
    """How much is left, by limit."""
    items = [LEFT.fullmatch(item) for item in answer.header("RateLimit").split(", ")]
    assert all(items), answer
    return {item["policy"]: int(item["r"]) for item in items}


def assert_refused(answer, policy: str, path: str | None = "/api/check") -> None:
    text = answer.failure(path)
    assert answer.status == 429 and policy in text, answer
    wait = int(answer.header("Retry-After"))
    assert f"try again in {wait} seconds" in text and left(answer)[policy] == 0, answer
    told = next(item for item in LEFT.finditer(answer.header("RateLimit")) if item["policy"] == policy)
    # The draft: a client is not sent back before there is more.
    assert 0 < int(told["t"]) <= wait, answer


def test_without_a_limit_there_is_none_and_no_field(start):
    people = start()
    answers = [check(people.instance) for _ in range(50)]
    assert {answer.status for answer in answers} == {200}
    assert not [answer for answer in answers if answer.header("RateLimit") or answer.header("RateLimit-Policy")]


def test_requests_from_an_address_are_counted_and_told(start):
    people = start(AUTHKV_REQUESTS_PER_ADDRESS=f"5/{DAY}")
    instance = people.instance
    for remaining in (4, 3, 2, 1, 0):
        answer = check(instance, source="127.0.3.1")
        assert answer.status == 200 and left(answer) == {"requests-per-address": remaining}
        assert answer.header("RateLimit-Policy") == f'"requests-per-address";q=5;w={DAY}'
    for _ in range(3):
        assert_refused(check(instance, source="127.0.3.1"), "requests-per-address")
    assert check(instance, source="127.0.3.2").status == 200


@pytest.mark.parametrize("path", ["/api/check", "/v1/kv", "/v1/me", "/docs", "/openapi.json", "/nowhere"])
def test_every_request_counts_whatever_its_path(start, path):
    instance = start(AUTHKV_REQUESTS_PER_ADDRESS=f"3/{DAY}").instance
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    # Broken ones too, which no operation answers.
    for raw in (request, b"GET /v1/kv HTTP/1.1\r\n\r\n", request, request):
        with Wire((HOST, instance.http_port)) as wire:
            assert wire.send(raw)
            answer = wire.answer()
    assert_refused(answer, "requests-per-address", path)


def test_a_connection_goes_on_after_a_refusal(start):
    instance = start(AUTHKV_REQUESTS_PER_ADDRESS="1/1").instance
    with Wire(instance) as wire:

        def status() -> int:
            assert wire.send(CHECK)
            return wire.answer("POST").status

        assert status() == 200
        wait_until(lambda: status() == 429, "a request is refused")
        wait_until(lambda: status() == 200, "a request is served again")


def test_clients_at_once_get_no_more_than_there_is(start):
    people = start(AUTHKV_REQUESTS_PER_ADDRESS=f"300/{DAY}", AUTHKV_HTTP_WORKERS="4")
    clients = [kind(people.instance) for kind in (HttpTransport, IprotoTransport) * 6]

    def ask(one) -> int:
        return sum(one.check("x") == Ok(False) for _ in range(60))

    admitted = sum(at_once(*(lambda one=one: ask(one) for one in clients)))
    # Two threads that meet at the first request of an address may give it a bucket each, for that request.
    assert 300 <= admitted <= 304
    for one in clients:
        one.close()


def statuses_of(client: Http2, streams: list[int]) -> list[int]:
    """The statuses of answers that come in any order."""
    found, ended = {}, 0
    while ended < len(streams):
        event = client.until((ResponseReceived, StreamEnded))
        assert event is not None, found
        if isinstance(event, ResponseReceived):
            found[event.stream_id] = int(dict(event.headers)[":status"])
        ended += isinstance(event, StreamEnded)
    return [found[stream] for stream in streams]


def test_the_streams_of_one_connection_share_the_limits_of_their_client(tmp_path):
    settings = {"AUTHKV_REQUESTS_PER_ADDRESS": f"60/{DAY}", "AUTHKV_REQUESTS_PER_USER": f"20/{DAY}", "AUTHKV_HTTP_WORKERS": "2"}
    with known(tmp_path, **(EXEMPT_NOBODY | settings)) as secured:
        # What setting up took of them.
        taken = 60 - left(check(secured.instance))["requests-per-address"]
        with contextlib.closing(Http2(secured)) as one:
            streams = [one.begin("/v1/me", secured.token, end=True, method="GET") for _ in range(30)]
            statuses = statuses_of(one, streams)
            # Setting up wrote two values.
            assert (statuses.count(200), statuses.count(429)) == (20 - 2, 10 + 2), statuses
        # Another connection of the same client goes on where the first one was.
        with contextlib.closing(Http2(secured)) as other:
            streams = [other.begin("/.well-known/jwks.json", end=True, method="GET") for _ in range(30)]
            statuses = statuses_of(other, streams)
        assert statuses.count(200) == 60 - taken - 30 and set(statuses) == {200, 429}, statuses
        assert check(secured.instance).status == 429


def test_a_stream_that_is_reset_right_after_its_head_takes_a_token(tmp_path):
    with known(tmp_path, **(EXEMPT_NOBODY | {"AUTHKV_REQUESTS_PER_ADDRESS": f"60/{DAY}"})) as secured:
        before = left(check(secured.instance))["requests-per-address"]
        with contextlib.closing(Http2(secured)) as one:
            for _ in range(5):
                one.h2.reset_stream(one.begin("/v1/me", secured.token, end=True, method="GET"))
                one.flush()
            # Heads are read in their order.
            assert one.whole(one.begin("/.well-known/jwks.json", end=True, method="GET"))[0] == 200
        assert left(check(secured.instance))["requests-per-address"] == before - 5 - 1 - 1


def test_an_application_is_counted_over_iproto_too_and_the_console_is_not(start):
    people = start(AUTHKV_REQUESTS_PER_ADDRESS=f"6/{DAY}")
    iproto, netbox, console = (people.transport(name) for name in ("iproto", "netbox", "console"))
    # One address, over all transports.
    for transport in (iproto, netbox, people.http, iproto, netbox, people.http):
        assert transport.check("x") == Ok(False)
    for name in ("http", "iproto", "netbox"):
        people.expect(name, TOO_MANY, "key_set")
    for _ in range(10):
        assert console.check("x") == Ok(False)


def test_an_application_tells_the_addresses_of_its_clients(start):
    people = start(AUTHKV_REQUESTS_PER_ADDRESS=f"2/{DAY}")
    people.console.evaluate(
        "box.schema.user.create('shop', {password = 'Sh0p-secret'}) box.schema.user.grant('shop', 'execute', 'role', 'authkv_proxy')"
    )
    with RawIproto(people.instance, "shop", "Sh0p-secret") as connection:

        def ask(address: str) -> Ok | Refusal:
            return connection.call("authkv.forwarded", msgpack.packb([address, "key_set"]))

        for address in ("192.0.2.1", "2001:db8::1"):
            assert isinstance(ask(address), Ok) and isinstance(ask(address), Ok)
            assert ask(address).name == "too_many_requests"
        assert ask("2001:db8::ffff").name == "too_many_requests", "one /64 is one client"
        assert isinstance(ask("2001:db8:0:1::1"), Ok)
        assert isinstance(ask("192.0.2.2"), Ok)


@pytest.fixture
def proxied(start):
    return start(
        AUTHKV_REQUESTS_PER_ADDRESS=f"2/{DAY}",
        AUTHKV_HTTP_TRUSTED_PROXIES="127.0.2.0/24",
        AUTHKV_HTTP_FORWARDED_HEADER="x-forwarded-for",
        AUTHKV_LOGIN_DELAY_EXEMPT="10.0.0.0/8",
    ).instance


def test_behind_a_proxy_the_client_is_counted_and_the_proxy_is_not(proxied):
    statuses = [behind(proxied, "198.51.100.7").status for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert behind(proxied, "198.51.100.8").status == 200
    # What nobody is named for, the proxy's own health check.
    answers = [check(proxied, source=PROXY) for _ in range(10)]
    assert {answer.status for answer in answers} == {200} and not any(answer.header("RateLimit") for answer in answers)
    # Who is not trusted names nobody.
    statuses = [check(proxied, b"X-Forwarded-For: 203.0.113.%d\r\n" % n, "127.0.3.9").status for n in range(3)]
    assert statuses == [200, 200, 429]


def test_an_exempt_network_has_no_limit(proxied):
    answers = [behind(proxied, "10.1.2.3") for _ in range(10)]
    assert {answer.status for answer in answers} == {200} and not any(answer.header("RateLimit") for answer in answers)


def test_a_network_of_ipv6_is_one_client(proxied):
    statuses = [behind(proxied, f"2001:db8:1:1::{n:x}").status for n in range(3)]
    assert statuses == [200, 200, 429]
    assert behind(proxied, "2001:db8:1:2::1").status == 200
    assert [behind(proxied, address).status for address in ("192.0.2.5", "::ffff:192.0.2.5", "192.0.2.5")] == [200, 200, 429]


def test_a_unix_socket_has_no_limit(start, tmp_path):
    path = tmp_path / "http.sock"
    start(AUTHKV_REQUESTS_PER_ADDRESS=f"1/{DAY}", AUTHKV_HTTP_LISTEN=f"unix:{path}")
    with Wire(str(path)) as wire:
        for _ in range(10):
            assert wire.send(CHECK) and wire.answer("POST").status == 200


def resident(instance: Instance) -> int:
    """Bytes of memory of the process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{instance.process.pid}/status").read_text())
    return int(found[1]) << 10


def test_a_flood_of_addresses_takes_no_memory(proxied):
    """A hundred thousand clients, each of which asks once. Those who asked most are still known."""
    for _ in range(2):
        assert behind(proxied, "198.51.100.200").status == 200
    assert behind(proxied, "198.51.100.200").status == 429
    flood = iter(f"{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}.9" for n in range(1 << 16, 1 << 24))
    batch, batches = 50, 2000

    def ask(wire: Wire, times: int) -> None:
        for _ in range(times):
            heads = (CHECK.replace(b"\r\n\r\n", f"\r\nX-Forwarded-For: {next(flood)}\r\n\r\n".encode(), 1) for _ in range(batch))
            assert wire.send(b"".join(heads))
            # The first numbers are those of networks that are exempt, or of ones met before: none here.
            assert [wire.answer("POST").status for _ in range(batch)] == [200] * batch

    with Wire((HOST, proxied.http_port), source=PROXY) as wire:
        ask(wire, batches // 2)
        before = resident(proxied)
        ask(wire, batches // 2)
        # The table has a fixed size of 1 MiB.
        assert resident(proxied) - before < 8 << 20
    assert behind(proxied, "198.51.100.200").status == 429


# Requests of a user.


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_requests_of_a_user_are_counted_over_every_transport(start, transport):
    people = start(AUTHKV_REQUESTS_PER_USER=f"8/{DAY}")
    one, other = people.new(), people.new()
    for name in TRANSPORTS:
        people.expect(name, ANY, "user_me", one.access)
    counted = len(TRANSPORTS)
    for _ in range(8 - counted):
        people.expect(transport, ANY, "kv_list", one.access, {"limit": 1})
    for name in TRANSPORTS:
        for operation, *args in (("user_me",), ("kv_list", {"limit": 1}), ("pair_put", "a", 1)):
            people.expect(name, TOO_MANY, operation, one.access, *args)
        # Another user, and whoever needs no token, is not concerned.
        people.expect(name, ANY, "key_set")
    people.expect(transport, ANY, "user_me", other.access)
    # The contract's own operations, in its own form.
    seen = people.http.get(other.access, ["none"])
    assert isinstance(seen, Refusal) and seen.code == 400, seen
    seen = people.http.get(one.access, ["none"])
    assert isinstance(seen, Refusal) and seen.code == 429 and seen.message.startswith("Too many requests"), seen


def test_all_tokens_of_a_user_have_one_limit(start):
    people = start(AUTHKV_REQUESTS_PER_USER=f"2/{DAY}")
    person = people.new()
    people.expect("http", ANY, "user_me", person.access)
    people.expect("http", ANY, "user_me", person.log_in()["access_token"])
    people.expect("http", TOO_MANY, "user_me", person.log_in()["access_token"])


def test_an_api_key_counts_for_its_user(start):
    people = start(AUTHKV_REQUESTS_PER_USER=f"3/{DAY}")
    person = people.new()
    # That it is made counts too.
    answer = people.http.request("GET", "/v1/me", headers=bearer(person.key))
    assert answer.status == 200 and answer.headers["RateLimit"].startswith('"requests-per-user";r=1;t=')
    people.expect("http", ANY, "user_me", person.access)
    for transport in TRANSPORTS:
        people.expect(transport, TOO_MANY, "user_me", person.key)


def test_a_token_that_is_not_good_takes_nothing_from_its_user(start):
    people = start(AUTHKV_REQUESTS_PER_USER=f"3/{DAY}")
    person = people.new()
    ended = person.log_in()["access_token"]
    people.expect("http", ANY, "auth_logout", ended)
    for _ in range(5):
        answer = people.http.request("GET", "/v1/me", headers=bearer(ended))
        assert answer.status == 401 and answer.headers["RateLimit"] is None
    answer = people.http.request("GET", "/v1/me", headers=bearer(person.access))
    assert answer.status == 200 and answer.headers["RateLimit"].startswith('"requests-per-user";r=1;t=')


def test_both_limits_are_told(start):
    people = start(AUTHKV_REQUESTS_PER_ADDRESS=f"50/{DAY}", AUTHKV_REQUESTS_PER_USER=f"20/{DAY}", AUTHKV_HTTP_CORS_ORIGINS="*")
    token = people.new().access
    answer = people.http.request("GET", "/v1/me", headers={**bearer(token), "Origin": "https://shop.example"})
    assert answer.headers["RateLimit-Policy"] == f'"requests-per-address";q=50;w={DAY}, "requests-per-user";q=20;w={DAY}'
    assert [item["policy"] for item in LEFT.finditer(answer.headers["RateLimit"])] == ["requests-per-address", "requests-per-user"]
    assert "RateLimit, RateLimit-Policy" in answer.headers["Access-Control-Expose-Headers"]


def test_a_batch_an_import_an_export_and_a_watch_count_once(start):
    people = start(AUTHKV_REQUESTS_PER_USER=f"5/{DAY}")
    token = people.new().access
    headers = bearer(token) | {"Content-Type": "application/x-ndjson"}

    def remaining(answer) -> int:
        return int(LEFT.match(answer.headers["RateLimit"])["r"])

    body = b"".join(line(f"k/{n:05}") for n in range(5000))
    answer = people.http.request("POST", "/v1/import", body, headers)
    assert answer.status == 200 and remaining(answer) == 4
    answer = people.http.request("GET", "/v1/export", headers=bearer(token))
    assert answer.body.count(b"\n") == 5000 and remaining(answer) == 3
    pairs = [{"key": f"b/{n}", "value": n} for n in range(500)]
    answer = people.http.request("POST", "/v1/batch/put", {"pairs": pairs}, bearer(token))
    assert answer.status == 200 and remaining(answer) == 2
    stream = Stream(people.instance, token, prefix="w/")
    writer = people.new().access
    for n in range(4):
        people.expect("http", ANY, "pair_put", writer, f"w/{n}", n)
    # Each page of a watch is a command of its own.
    assert [stream.event().change for _ in range(4)] == [("put", f"w/{n}", n) for n in range(4)]
    stream.connection.close()
    people.expect("http", ANY, "user_me", token)
    for path in ("/v1/export", "/v1/watch", "/v1/me"):
        assert people.http.request("GET", path, headers=bearer(token)).status == 429, path
    assert people.http.request("POST", "/v1/import", body, headers).status == 429


def test_a_limit_that_a_reload_changes_begins_anew_and_the_others_go_on(start):
    people = start(AUTHKV_REQUESTS_PER_USER=f"1/{DAY}")
    token, instance = people.new().access, people.instance
    people.expect("http", ANY, "user_me", token)
    people.console.evaluate(f"return authkv.reload{{REQUESTS_PER_ADDRESS = '3/{DAY}'}}")
    with Wire((HOST, instance.http_port)) as wire:
        # A connection that was open before is counted too.
        statuses = []
        for _ in range(4):
            assert wire.send(CHECK)
            statuses.append(wire.answer("POST").status)
    assert statuses == [200, 200, 200, 429]
    people.console.evaluate(f"return authkv.reload{{REQUESTS_PER_ADDRESS = '5/{DAY}'}}")
    assert left(check(instance)) == {"requests-per-address": 4}
    people.expect("http", TOO_MANY, "user_me", token)
    # The document tells what is in force.
    assert b"too_many_requests" in people.http.request("GET", "/openapi.json").body
    people.console.evaluate("return authkv.reload{REQUESTS_PER_ADDRESS = box.NULL, REQUESTS_PER_USER = 'unlimited'}")
    for _ in range(10):
        people.expect("http", ANY, "user_me", token)
    answer = people.http.request("GET", "/openapi.json")
    assert b"too_many_requests" not in answer.body
    assert not [name for name in answer.headers if name.lower().startswith("ratelimit")]


def test_a_restart_begins_anew_and_a_reload_does_not(start):
    people = start(AUTHKV_REQUESTS_PER_USER=f"1/{DAY}")
    token = people.new().access
    people.expect("http", ANY, "user_me", token)
    people.console.evaluate("return authkv.http.reload{HTTP_DOCS = 'off'}")
    with contextlib.closing(HttpTransport(people.instance)) as http:
        assert http.do("user_me", token).name == "too_many_requests"
    people.console.evaluate("return authkv.restart()")

    def admitted() -> bool:
        # For a moment the instance that leaves may take the connection.
        with contextlib.closing(HttpTransport(people.instance)) as http:
            return isinstance(http.do("user_me", token), Ok)

    wait_until(admitted, "the instance that came begins anew")
    assert not admitted()


# Registrations.


def register(people, transport: str, operation: str, login: str | None = None):
    name = GOOD if operation == "register" else PASSWORD
    return people.do(transport, operation, login or fresh("stranger"), name, "Bob", "Stone")


@pytest.mark.parametrize("operation", ["register", "user_register"])
@pytest.mark.parametrize("transport", ["http", "iproto", "netbox"])
def test_registrations_from_an_address_are_counted(start, transport, operation):
    people = start(AUTHKV_REGISTRATIONS_PER_ADDRESS=f"3/{DAY}")
    for _ in range(3):
        assert isinstance(register(people, transport, operation), Ok)
    seen = register(people, transport, operation)
    assert isinstance(seen, Refusal) and seen.code in (429, 20070) and "registrations-per-address" in seen.message, seen
    # All else goes on, and administrators add users.
    people.expect("http", ANY, "user_create", people.admin, fresh("made"), PASSWORD, "Bob", "Stone")
    people.expect("http", ANY, "session_login", "admin", ADMIN_PASSWORD)
    assert isinstance(register(people, "console", operation), Ok)
    wait_until(lambda: "too_many_requests" in people.instance.log(), "the audit log has the refusal")
    lines = [one for one in people.instance.log().splitlines() if '"result":"too_many_requests"' in one]
    assert len(lines) == 1 and '"whom":"stranger' in lines[0] and '"from":"127.0.0.1' in lines[0], lines


def test_a_registration_that_fails_counts_too(start):
    """Because it tells which logins exist."""
    people = start(AUTHKV_REGISTRATIONS_PER_ADDRESS=f"3/{DAY}")
    for _ in range(3):
        people.expect("http", Refused("login_taken"), "user_register", "admin", PASSWORD, "Bob", "Stone")
    answer = people.http.request("POST", "/v1/users", {"login": "admin", "password": PASSWORD, "name": "Bob", "surname": "Stone"})
    assert answer.status == 429 and answer.headers["RateLimit"].startswith('"registrations-per-address";r=0;t=')
    assert answer.headers["RateLimit-Policy"] == f'"registrations-per-address";q=3;w={DAY}'


def test_where_only_administrators_register_they_are_not_counted(start):
    people = start(AUTHKV_REGISTRATIONS_PER_ADDRESS=f"1/{DAY}", AUTHKV_REGISTRATION="admin")
    for _ in range(3):
        body = {"login": fresh("user"), "password": PASSWORD, "name": "Bob", "surname": "Stone"}
        assert people.http.request("POST", "/v1/users", body, bearer(people.admin)).status == 201


# Users in all.


@pytest.mark.parametrize("operation", ["register", "user_register"])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_there_are_no_more_users_than_may_be_but_for_those_of_administrators(start, transport, operation):
    people = start(AUTHKV_USERS_MAX="3")
    gone = fresh("stranger")
    for login in (fresh("stranger"), gone):
        assert isinstance(register(people, transport, operation, login), Ok)
    seen = register(people, transport, operation)
    assert isinstance(seen, Refusal) and seen.code in (507, 20071) and "There are 3 users" in seen.message, seen
    people.expect("http", ANY, "user_create", people.admin, fresh("made"), PASSWORD, "Bob", "Stone")
    for login in (gone, people.administer("user_list", {"after": "made"})["users"][0]["login"]):
        people.administer("user_delete", login)
    assert isinstance(register(people, transport, operation), Ok)


@pytest.mark.parametrize("settings", [{}, pytest.param(MVCC, marks=needs_mvcc)], ids=["plain", "mvcc"])
def test_registrations_at_once_do_not_exceed_the_users_that_may_be(start, settings):
    people = start(AUTHKV_USERS_MAX="20", AUTHKV_CRYPTO_THREADS="4", AUTHKV_CRYPTO_QUEUE="200", **settings)
    transports = [kind(people.instance) for kind in [HttpTransport, IprotoTransport] * 20]
    calls = [lambda one=one: one.do("user_register", fresh("crowd"), PASSWORD, "Bob", "Stone") for one in transports]
    seen = at_once(*calls)
    assert sum(isinstance(one, Ok) for one in seen) == 19, seen
    assert {one.name for one in seen if isinstance(one, Refusal)} == {"too_many_users"}
    assert people.console.evaluate("return box.space.user:len()") == [20]
    for one in transports:
        one.close()


def test_the_document_tells_of_limits_that_there_are(start):
    people = start(
        AUTHKV_REQUESTS_PER_USER="5/60", AUTHKV_REGISTRATIONS_PER_ADDRESS="5/60", AUTHKV_USERS_MAX="9", AUTHKV_KV_QUOTAS="users/*/:5:5"
    )
    paths = json.loads(people.http.request("GET", "/openapi.json").body)["paths"]
    me, users, put = paths["/v1/me"]["get"], paths["/v1/users"]["post"], paths["/v1/kv/{key}"]["put"]
    for operation, status, name in [(me, "429", "too_many_requests"), (users, "429", "too_many_requests"), (users, "507", "too_many_users"),
                                    (put, "507", "quota_exceeded"), (put, "429", "too_many_requests")]:  # fmt: skip
        assert name in operation["responses"][status]["content"]["application/problem+json"]["examples"], (status, name)
    assert {"RateLimit", "RateLimit-Policy"} <= me["responses"]["200"]["headers"].keys()
    assert "RateLimit" not in paths["/.well-known/jwks.json"]["get"]["responses"]["200"].get("headers", {})
