"""Every limit has an error of its own, and what it refuses leaves nothing behind."""

import itertools
import socket

import pytest
import requests

from support import harness
from support.contract import GOOD
from support.outcome import A_TOKEN, Ok, Refused, assert_outcome
from support.transports import TRANSPORTS, ConsoleTransport, HttpTransport, bearer

MISSING = Refused("missing_keys")


class Client:
    """A connection over every transport, and a token."""

    def __init__(self, instance: harness.Instance):
        self.transports = {name: transport(instance) for name, transport in TRANSPORTS.items()}
        self.http: HttpTransport = self.transports["http"]
        self.http.register("tester", GOOD, "Test", "Tester")
        self.token = self.http.login("tester", GOOD).value

    def expect(self, transport: str, expected: Ok | Refused, operation: str, *args) -> None:
        one = self.transports[transport]
        assert_outcome(one, one.do(operation, *args), expected)

    def close(self) -> None:
        for transport in self.transports.values():
            transport.close()


@pytest.fixture(scope="module")
def client(instance):
    client = Client(instance)
    yield client
    client.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_batch_holds_10_000_keys_and_no_more(client, transport):
    keys = [f"{transport}{n}" for n in range(10_001)]
    pairs = dict.fromkeys(keys, 1)
    client.expect(transport, Refused("too_many_keys"), "put", client.token, pairs)
    client.expect(transport, MISSING, "get", client.token, keys[:1])
    del pairs[keys.pop()]
    client.expect(transport, Ok([]), "put", client.token, pairs)
    client.expect(transport, Ok(pairs), "get", client.token, keys)
    client.expect(transport, Refused("too_many_keys"), "get", client.token, [*keys, "more"])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_value_above_memtx_max_tuple_size_is_refused_with_its_whole_batch(client, transport):
    small, large = f"{transport}-small", f"{transport}-large"
    client.expect(transport, Refused("value_too_large"), "put", client.token, {small: 1, large: "x" * 1_048_576})
    client.expect(transport, MISSING, "get", client.token, [small])
    client.expect(transport, Ok([]), "put", client.token, {small: 1, large: "x" * 1_040_000})
    client.expect(transport, Ok({large: "x" * 1_040_000}), "get", client.token, [large])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_value_that_is_too_large_is_no_matter_where_its_key_exists(client, transport):
    """It is never inserted; but the answer must be one of the two that the contract has."""
    key = f"{transport}-exists"
    client.expect(transport, Ok([]), "put", client.token, {key: 1})
    one = client.transports[transport]
    seen = one.put(client.token, {key: "x" * 1_048_576})
    assert seen == Ok([key]) or seen.code in (413, 20015), seen
    client.expect(transport, Ok({key: 1}), "get", client.token, [key])


# path, the largest body
BODIES = [("register", 16_384), ("login", 16_384), ("check", 16_384), ("read", 8_388_608), ("write", 8_388_608)]


@pytest.mark.parametrize("path,limit", BODIES)
def test_a_body_may_be_as_large_as_the_limit_and_no_larger(client, path, limit):
    http, headers = client.http, bearer(client.token)
    assert http.request("POST", f"/api/{path}", b" " * limit, headers).status == 422
    response = http.request("POST", f"/api/{path}", b" " * (limit + 1), headers)
    assert response.status == 413 and response.json.keys() == {"message"}
    http.close()
    assert http.check(client.token) == Ok(True)


MEGABYTE = b" " * (1 << 20)


def as_one(url: str, headers: dict) -> requests.Response:
    return requests.post(url, data=MEGABYTE * 100, headers=headers, timeout=harness.DEADLINE)


def as_chunks(url: str, headers: dict) -> requests.Response:
    return requests.post(url, data=itertools.repeat(MEGABYTE, 100), headers=headers, timeout=harness.DEADLINE)


@pytest.mark.parametrize("authorized", [True, False], ids=["with_token", "without_token"])
@pytest.mark.parametrize("send", [as_one, as_chunks])
@pytest.mark.parametrize("path", ["write", "login"])
def test_a_body_of_100_mb_is_answered_with_413(instance, client, path, send, authorized):
    url = f"{instance.url}/api/{path}"
    response = send(url, bearer(client.token) if authorized else {})
    assert response.status_code == 413 and response.json().keys() == {"message"}
    assert instance.is_running() and client.transports["iproto"].check(client.token) == Ok(True)


def test_a_header_that_is_not_sent_in_time_ends_the_connection(make):
    instance = make(AUTHKV_HTTP_HEADER_TIMEOUT="1").start()
    with socket.create_connection((harness.HOST, instance.http_port), timeout=harness.DEADLINE) as slow:
        slow.sendall(b"GET /api/logout HTTP/1.1\r\nHost:")
        seen = b""
        while chunk := slow.recv(65536):
            seen += chunk
    assert seen == b"" or seen.split(b" ")[1] == b"408"
    http = HttpTransport(instance)
    assert http.check("x") == Ok(False)
    http.close()


def test_limits_are_what_the_settings_say(make):
    instance = make(
        AUTHKV_BATCH_MAX="2",
        AUTHKV_KEY_MAX="3",
        AUTHKV_JSON_DEPTH_MAX="1",
        AUTHKV_KV_INPUT_MAX="20000",
        AUTHKV_MEMTX_MAX_TUPLE_SIZE="16384",
        AUTHKV_REPLY_MAX="1024",
        AUTHKV_HTTP_BODY_TIMEOUT="1",
    ).start()
    client = Client(instance)
    for transport in TRANSPORTS:
        for pairs, expected in [
            ({"a": 1, "b": 2, "c": 3}, Refused("too_many_keys")),
            ({"abcd": 1}, Refused("bad_key")),
            ({"a": [[]]}, Refused("too_deep")),
            ({transport[:3]: [1]}, Ok([])),
        ]:
            client.expect(transport, expected, "put", client.token, pairs)
        client.expect(transport, Refused("value_too_large"), "put", client.token, {"a": "x" * 16_384})
        client.expect(transport, Refused("input_too_large"), "put", client.token, {"a": "x" * 20_000})
        client.expect(transport, Refused("input_too_large"), "get", client.token, ["k" * 20_000])
        client.expect(transport, Ok([]), "put", client.token, {transport[0] + "v": "x" * 1020})
        client.expect(transport, Refused("reply_too_large"), "get", client.token, [transport[0] + "v", transport[:3]])
        client.expect(transport, Refused("input_too_large"), "register", "x" * 20_000, GOOD, "Bob", "Stone")
    client.close()
    with socket.create_connection((harness.HOST, instance.http_port), timeout=harness.DEADLINE) as slow:
        slow.sendall(b"POST /api/check HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert slow.recv(65536).split(b" ")[1] == b"408"


def test_a_full_arena_refuses_writes_and_serves_what_it_holds(make):
    instance = make(AUTHKV_MEMTX_MEMORY="33554432").start()
    client = Client(instance)
    value = "x" * 20_000
    held = {}
    [memory] = client.transports["console"].evaluate("return box.slab.info().quota_size")
    for n in itertools.count():
        assert n * len(value) < memory, f"{memory} bytes never fill up"
        key = f"k{n}"
        seen = client.http.put(client.token, {key: value})
        if seen != Ok([]):
            assert_outcome(client.http, seen, Refused("storage_full"))
            break
        held[key] = value
    assert held, "nothing fits at all"
    for transport in TRANSPORTS:
        client.expect(transport, Refused("storage_full"), "put", client.token, {"small": 1, "large": value})
        client.expect(transport, MISSING, "get", client.token, ["small"])
        client.expect(transport, Ok({"k0": value}), "get", client.token, ["k0"])
        client.expect(transport, Ok(True), "check", client.token)
    client.expect("iproto", Ok(held), "get", client.token, list(held))
    client.close()
    instance.stop()
    instance.start()
    client = Client(instance)
    client.expect("iproto", Ok(held), "get", client.token, list(held))
    client.close()


@pytest.mark.parametrize("asked", [33_554_432, 50_000_001, 67_108_864, 100_000_001])
def test_memory_that_is_not_what_was_asked_for_is_said(make, asked):
    """From 2.11 on Tarantool has 64 MiB at least, whatever it is given."""
    instance = make(AUTHKV_MEMTX_MEMORY=str(asked)).start()
    console = ConsoleTransport(instance)
    [memory] = console.evaluate("return box.slab.info().quota_size")
    console.close()
    warnings = [line for line in instance.log().splitlines() if "AUTHKV_MEMTX_MEMORY" in line]
    if memory - asked < 1024:
        assert warnings == []
    else:
        assert len(warnings) == 1 and str(asked) in warnings[0] and str(memory) in warnings[0], warnings


def test_a_read_only_instance_reads_and_refuses_to_write(make):
    instance = make().start()
    client = Client(instance)
    client.expect("http", Ok([]), "put", client.token, {"k": 1})
    token = client.token
    client.close()
    instance.stop()

    instance.settings["AUTHKV_READ_ONLY"] = "true"
    instance.start()
    transports = {name: transport(instance) for name, transport in TRANSPORTS.items()}
    for one in transports.values():
        for expected, operation, *args in [
            (Ok(True), "check", token),
            (Ok({"k": 1}), "get", token, ["k"]),
            (MISSING, "get", token, ["new"]),
            (Ok(A_TOKEN), "login", "tester", GOOD),
            (Refused("read_only"), "put", token, {"new": 1}),
            (Refused("read_only"), "register", "bob1", GOOD, "Bob", "Stone"),
            (Refused("read_only"), "logout", token),
            (Ok(True), "check", token),
        ]:
            assert_outcome(one, one.do(operation, *args), expected)
        one.close()
    instance.stop()

    del instance.settings["AUTHKV_READ_ONLY"]
    instance.start()
    http = HttpTransport(instance)
    assert_outcome(http, http.get(token, ["new"]), MISSING)
    assert_outcome(http, http.login("bob1", GOOD), Refused("invalid_credentials"))
    http.close()
