"""Answers and bodies of HTTP that go piece by piece: watches, exports, imports."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time

import h2.events
import pytest
import requests

from support import harness
from support.bulk import counts, is_complete, line
from support.contract import GOOD
from support.harness import DEADLINE, HOST
from support.http2 import LITTLE, Client, known
from support.sse import Event, Stream
from support.transports import ConsoleTransport, HttpTransport
from support.wire import Wire, all_is_read


@pytest.fixture
def ask(instance, token):
    session = requests.Session()

    def ask(method, path, body=None, **more):
        more.setdefault("headers", {})
        more["headers"].setdefault("Authorization", f"Bearer {token}")
        return session.request(method, f"{instance.url}{path}", data=body, timeout=DEADLINE, **more)

    return ask


def lines(pairs: list[dict]) -> bytes:
    return b"".join(line(**pair) for pair in pairs)


def last(response):
    return json.loads(response.content.splitlines()[-1])


def test_what_is_imported_is_exported(ask):
    pairs = [{"key": f"round/{i:05}", "value": {"n": i, "b": {"$binary": "AAE="}}} for i in range(2500)]
    answer = ask("POST", "/v1/import", lines(pairs), headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert is_complete(last(answer), counts(lines=2500, written=2500))
    exported = ask("GET", "/v1/export?prefix=round/")
    assert exported.status_code == 200
    assert exported.headers["Content-Type"] == "application/x-ndjson"
    assert exported.headers["Transfer-Encoding"] == "chunked"
    found = [json.loads(line) for line in exported.content.splitlines()]
    assert all(pair.pop("revision") > 1 for pair in found)
    assert found == pairs
    # Once more, as it was exported.
    again = ask("POST", "/v1/import?mode=insert", exported.content)
    assert is_complete(last(again), counts(lines=2500, exists=2500))


def test_an_export_of_everything_says_how_much_that_is(ask):
    total = ask("GET", "/v1/kv?count=true").json()["count"]
    exported = ask("GET", "/v1/export")
    assert int(exported.headers["X-Total-Count"]) == total == len(exported.content.splitlines())
    assert "X-Total-Count" not in ask("GET", "/v1/export?prefix=x").headers


def test_head_has_no_body(ask):
    for path in ("/v1/export", "/v1/watch"):
        answer = ask("HEAD", path)
        assert (answer.status_code, answer.content) == (200, b"")
    assert ask("GET", "/v1/export?prefix=none/").content == b""


@pytest.mark.parametrize("method, path", [("GET", "/v1/watch"), ("GET", "/v1/export"), ("POST", "/v1/import")])
def test_without_a_token_there_is_a_problem(ask, method, path):
    answer = ask(method, path, headers={"Authorization": "Bearer x"})
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="authkv", error="invalid_token"'
    assert answer.json()["code"] == "unauthenticated"


def test_lines_that_are_no_pairs(ask):
    good = [{"key": "bad/a", "value": 1}, {"key": "bad/b", "value": 2}]
    for wrong, code, status in [
        (b'{"key": "bad/c"}', "malformed", 400),
        (b'{"key": 1, "value": 1}', "malformed", 400),
        (b"[1]", "malformed", 400),
        (b"{", "malformed", 400),
        (b'{"key": "", "value": 1}', "bad_key", 422),
        (b'{"key": "bad/c", "value": 1, "expires_at": "x"}', "malformed", 400),
        (b'{"key": "bad/c", "value": {"$binary": "?"}}', "bad_value", 422),
        (b'{"key": "bad/c", "value": 1, "content_type": "%s"}' % (b"x" * 256), "bad_option", 422),
        (b'{"key": "bad/c", "value": "\xff"}', "malformed", 400),
    ]:
        body = lines(good[:1]) + b"\n \r\n" + lines(good[1:]) + wrong + b"\n" + lines(good)
        answer = ask("POST", "/v1/import", body)
        found = answer.json()
        assert (answer.status_code, found["code"], found["line"]) == (status, code, 5), (wrong, found)
        # What came before it was written.
        assert ask("GET", "/v1/kv?prefix=bad/&count=true").json() == {"count": 2}


def test_lines_with_an_end_that_was(ask):
    now = time.time()
    body = lines([
        {"key": "ends/a", "value": 1, "expires_at": now - 1},
        {"key": "ends/b", "value": 1, "expires_at": now + 100},
        {"key": "ends/b", "value": 2, "expires_at": None, "content_type": None},
    ])  # fmt: skip
    answer = ask("POST", "/v1/import", body.rstrip())
    assert is_complete(last(answer), counts(lines=3, written=2, expired=1))
    assert ask("GET", "/v1/kv/ends%2Fb").json() == 2
    assert ask("GET", "/v1/kv/ends%2Fa").status_code == 404


def test_import_without_lines_and_with_a_mode_there_is_not(ask):
    assert is_complete(last(ask("POST", "/v1/import", b"")), counts())
    answer = ask("POST", "/v1/import?mode=x", b"")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_option")
    answer = ask("POST", "/v1/import", b"x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    replaced = ask("POST", "/v1/import?mode=replace", lines([{"key": "nobody", "value": 1}]))
    assert is_complete(last(replaced), counts(lines=1, missing=1))


def test_a_line_has_a_limit_and_the_body_has_none(ask, instance):
    large = [{"key": f"large/{i}", "value": "x" * 1_000_000} for i in range(20)]
    answer = ask("POST", "/v1/import", (line for line in [lines([pair]) for pair in large]))
    assert last(answer)["done"]["lines"] == 20
    answer = ask("POST", "/v1/import", lines([{"key": "large/0", "value": "x" * 9_000_000}]))
    assert (answer.status_code, answer.json()["code"], answer.json()["line"]) == (413, "input_too_large", 1)
    for pair in large:
        ask("DELETE", f"/v1/kv/{pair['key'].replace('/', '%2F')}")


class Import:
    """An import whose lines are sent one by one, by a client that reads meanwhile."""

    def __init__(self, instance, token):
        self.begun, self.sent = time.monotonic(), 0
        self.wire = Wire(instance)
        self.wire.send(
            f"POST /v1/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )

    def send(self, raw):
        self.wire.send(b"%x\r\n%s\r\n" % (len(raw), raw))

    def send_until_told(self):
        """Sends lines until the answer begins, which it does by itself."""

        def is_told():
            self.send(lines([{"key": f"slow/{self.sent}", "value": self.sent}]))
            self.sent += 1
            return self.wire.is_readable()

        harness.wait_until(is_told, "the answer begins while lines are sent")

    def end(self):
        """Sends the end. The status, and the lines of the answer."""
        self.wire.send(b"0\r\n\r\n")
        answer = self.wire.answer()
        self.took = time.monotonic() - self.begun
        self.wire.close()
        assert answer.header("Transfer-Encoding") == "chunked"
        return answer.status, [json.loads(line) for line in answer.body.splitlines()]


def test_a_long_import_tells_of_its_progress(instance, token):
    slow = Import(instance, token)
    slow.send_until_told()
    status, (*progress, done) = slow.end()
    # Once a second.
    assert status == 200 and 1 <= len(progress) <= slow.took
    assert all(0 < one["progress"]["written"] <= slow.sent for one in progress)
    assert is_complete(done, counts(lines=slow.sent, written=slow.sent))


def test_a_long_import_fails_in_its_last_line(instance, token):
    slow = Import(instance, token)
    slow.send_until_told()
    slow.send(b"x\n")
    status, (*_, found) = slow.end()
    assert status == 200
    assert (found["error"]["code"], found["line"], found["done"]) == (
        "malformed",
        slow.sent + 1,
        counts(lines=slow.sent, written=slow.sent),
    )


def test_what_a_client_that_goes_away_has_sent_stays(ask, instance, token):
    whole = lines([{"key": f"gone/{i:04}", "value": i} for i in range(1500)])
    with socket.create_connection((HOST, instance.http_port), timeout=DEADLINE) as client:
        head = f"POST /v1/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 1000000\r\n\r\n"
        client.sendall(head.encode() + whole)
        client.shutdown(socket.SHUT_WR)
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ") and b'"line":1501' in answer, answer
    assert ask("GET", "/v1/kv?prefix=gone/&count=true").json() == {"count": 1500}


def test_expect_is_answered_once_the_token_holds(instance, token):
    body = lines([{"key": "expect", "value": 1}])
    for given, expected in [(token, b"HTTP/1.1 100 Continue\r\n\r\n"), ("x", b"HTTP/1.1 401 Unauthorized\r\n")]:
        with socket.create_connection((HOST, instance.http_port), timeout=DEADLINE) as client:
            head = (
                f"POST /v1/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {given}\r\n"
                f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            client.sendall(head.encode())
            assert client.recv(len(expected)) == expected
            if given == token:
                client.sendall(body)
                assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_old_client_gets_its_answer_until_the_end(instance, token, ask):
    ask("PUT", "/v1/kv/old", "1")
    with socket.create_connection((HOST, instance.http_port), timeout=DEADLINE) as client:
        client.sendall(f"GET /v1/export?prefix=old HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head and b"Content-Length" not in head
    assert json.loads(body)["key"] == "old"


def test_a_watch_tells_of_changes_as_they_happen(ask, instance, token):
    events = Stream(instance, token, prefix="watch/")
    assert events.response.headers["Content-Type"] == "text/event-stream"
    ask("PUT", "/v1/kv/other", "1")
    revision = ask("PUT", "/v1/kv/watch%2Fa", '{"x": 1}').json()["revision"]
    put = events.event()
    assert put == Event("put", str(revision), {"type": "put", "key": "watch/a", "revision": revision, "value": {"x": 1}})
    ask("PUT", "/v1/kv/watch%2Fb?ttl=0.3", "1")
    assert events.event().name == "put"
    assert events.event().name == "expire"
    ask("DELETE", "/v1/kv/watch%2Fa")
    assert events.event().name == "delete"
    events.close()
    # A client that comes again goes on where it was.
    again = Stream(instance, token, last_event_id=put.id, prefix="watch/", after=1)
    first = again.event()
    assert again.first.id == put.id
    assert (first.name, first.data["key"]) == ("put", "watch/b")
    again.close()


def test_a_watch_of_much_at_once(ask, instance, token):
    events = Stream(instance, token, prefix="many/")
    start = events.revision
    ask("POST", "/v1/import", lines([{"key": f"many/{i:04}", "value": i} for i in range(3500)]))
    keys = [events.event().data["key"] for _ in range(3500)]
    assert keys == [f"many/{i:04}" for i in range(3500)]
    events.close()
    again = Stream(instance, token, prefix="many/", after=start)
    assert [again.event().data["key"] for _ in range(3500)] == keys
    again.close()


@pytest.mark.parametrize("wrong", ["x", "+5", "-1", "5.0", "5 5"])
def test_a_watch_is_resumed_after_digits(instance, token, wrong):
    assert Stream(instance, token, ready=False, after=wrong).response.status == 400
    assert Stream(instance, token, ready=False, last_event_id=wrong).response.status == 400


def test_a_watch_asks_for_what_was_never_given(ask):
    answer = ask("GET", "/v1/watch?after=1000000000")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_option")


@pytest.fixture
def busy(make):
    """An instance with two places for requests before the database, and what takes them until it is let go."""
    instance = make(AUTHKV_QUEUE="2").start()
    http = HttpTransport(instance)
    http.register("tester", GOOD, "Test", "Tester")
    token = http.login("tester", GOOD).value
    http.close()

    def get(path="/v1/kv/nothing", timeout=DEADLINE, **more):
        url = f"{instance.url}{path}"
        return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=timeout, **more)

    def is_full():
        try:
            return get(timeout=0.2).status_code == 503
        except requests.Timeout:
            return False  # it has a place now, and keeps it

    def block():
        """Returns once all places are taken; what it gives lets them go."""
        held = instance.data_dir / "held"
        held.touch()
        # Files of plain Lua keep the thread.
        work = f"repeat local held = io.open('{held}') if held then held:close() end until not held"
        ConsoleTransport(instance).socket.sendall(work.encode() + b"\n")
        harness.wait_until(is_full, "all places are taken")
        return held.unlink

    return instance, token, get, block


def test_an_import_waits_for_a_busy_server(busy):
    instance, token, get, block = busy

    def pieces():
        yield lines([{"key": f"busy/{i:04}", "value": i} for i in range(1500)])
        harness.wait_until(lambda: get("/v1/kv/busy%2F0999").status_code == 200, "the first batch is written")
        let_go = block()
        yield lines([{"key": f"busy/{i:04}", "value": i} for i in range(1500, 2500)])
        harness.wait_until(lambda: all_is_read(instance), "the instance has all lines")
        let_go()

    url = f"{instance.url}/v1/import"
    answer = requests.post(url, pieces(), headers={"Authorization": f"Bearer {token}"}, timeout=DEADLINE)
    assert is_complete(last(answer), counts(lines=2500, written=2500))


def test_an_export_waits_for_a_busy_server(busy):
    instance, token, get, block = busy
    url = f"{instance.url}/v1/import"
    large = [{"key": f"busy/{i:02}", "value": "x" * 1_000_000} for i in range(40)]
    body = (lines([pair]) for pair in large)
    answer = requests.post(url, body, headers={"Authorization": f"Bearer {token}"}, timeout=DEADLINE)
    assert is_complete(last(answer), counts(lines=40, written=40))
    exported = get("/v1/export?prefix=busy/", stream=True)
    # More than the sockets take in: what comes now has to wait.
    let_go = threading.Timer(1, block())
    let_go.start()
    assert [json.loads(line)["key"] for line in exported.content.splitlines()] == [pair["key"] for pair in large]


def test_a_token_that_is_revoked_ends_its_watch(make):
    instance = make().start()
    http = HttpTransport(instance)
    http.register("tester", GOOD, "Test", "Tester")
    token = http.login("tester", GOOD).value
    other = http.login("tester", GOOD).value
    events = Stream(instance, token)
    http.logout(token)
    http.put(other, {"a": 1})
    end = events.event()
    assert (end.name, end.data["code"]) == ("error", "unauthenticated")
    assert events.event() is None
    http.close()


def test_the_server_leaves_its_watches(make):
    instance = make(AUTHKV_WATCH_MAX="2", AUTHKV_HTTP_ACCESS_LOG="all").start()
    http = HttpTransport(instance)
    http.register("tester", GOOD, "Test", "Tester")
    token = http.login("tester", GOOD).value
    watches = [Stream(instance, token) for _ in range(2)]
    refused = Stream(instance, token, ready=False)
    assert (refused.response.status, refused.refusal().name) == (503, "overloaded")
    watches.pop().close()

    def free():
        watch = Stream(instance, token, ready=False)
        watches.append(watch)
        return watch.response.status == 200

    harness.wait_until(free, "the watch that was closed is given up")
    ConsoleTransport(instance).evaluate("return authkv.http.reload{HTTP_IDLE_TIMEOUT = 20}")
    assert watches[-1].event().name == "ready"
    for watch in (watches[0], watches[-1]):
        end = watch.event()
        assert (end.name, end.data["code"]) == ("error", "shutting_down")
        assert watch.event() is None
    watch = Stream(instance, token)
    stopping = threading.Thread(target=instance.stop)
    stopping.start()
    assert watch.event().data["code"] == "shutting_down"
    stopping.join()
    assert "GET /v1/watch 200" in instance.log()
    http.close()


def test_a_token_that_expires_ends_its_watch(make):
    instance = make(AUTHKV_TOKEN_TTL="2", AUTHKV_TOKEN_LEEWAY="0").start()
    http = HttpTransport(instance)
    http.register("tester", GOOD, "Test", "Tester")

    def ends_in_time() -> bool:
        """Before the token would be looked at without a reason, 5 seconds after the beginning."""
        begun = time.monotonic()
        events = Stream(instance, http.login("tester", GOOD).value, ready=False)
        if events.response.status == 401:
            return False  # this client was too late
        assert events.event().name == "ready"
        assert events.event().data["code"] == "unauthenticated"
        return time.monotonic() - begun < 5

    assert any(ends_in_time() for _ in range(3))
    http.close()


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    # Time enough for clients that do take what comes.
    times = {"AUTHKV_HTTP_WRITE_TIMEOUT": "5", "AUTHKV_HTTP_BODY_TIMEOUT": "30"}
    with known(tmp_path_factory.mktemp("http2"), **LITTLE | times) as secured:
        yield secured


@pytest.fixture
def client(secured):
    client = Client(secured, window=1 << 20)
    yield client
    client.close()


def test_streams_over_http2(secured, client):
    pairs = [{"key": f"two/{i:04}", "value": "x" * 100} for i in range(2500)]
    stream = client.begin("/v1/import", secured.token)
    whole = lines(pairs)
    for at in range(0, len(whole), 10_000):
        while client.h2.local_flow_control_window(stream) < 10_000:
            client.h2.receive_data(client.socket.recv(65536))
        client.h2.send_data(stream, whole[at : at + 10_000])
        client.flush()
    client.h2.end_stream(stream)
    client.flush()
    status, body = client.whole(stream)
    assert status == 200 and is_complete(json.loads(body), counts(lines=2500, written=2500))
    status, body = client.whole(client.begin("/v1/export?prefix=two/", secured.token, end=True, method="GET"))
    assert [json.loads(line)["key"] for line in body.splitlines()] == [pair["key"] for pair in pairs]


def test_an_import_in_gzip_over_http2(secured, client):
    def send(body: bytes, coding: str = "gzip"):
        stream = client.begin("/v1/import", secured.token, extra=[("content-encoding", coding)])
        for at in range(0, len(body), 500):
            client.h2.send_data(stream, body[at : at + 500])
        client.h2.end_stream(stream)
        client.flush()
        status, body = client.whole(stream)
        return status, json.loads(body)

    body = gzip.compress(lines([{"key": f"zip/{i:04}", "value": "x" * 100} for i in range(2500)]))
    status, told = send(body)
    assert status == 200 and is_complete(told, counts(lines=2500, written=2500))
    status, told = send(body[:-1])
    assert (status, told["code"], told["line"]) == (400, "malformed", 2501)
    status, told = send(gzip.compress(b" " * 20_000_000))
    assert (status, told["code"]) == (413, "input_too_large")
    assert send(body[:5], "br")[0] == 415


def test_a_watch_over_http2(secured, client):
    stream = client.begin("/v1/watch?prefix=w/", secured.token, end=True, method="GET")
    begun = b""
    while b"event: ready" not in begun:
        begun = client.socket.recv(65536)
        begun = b"".join(event.data for event in client.h2.receive_data(begun) if isinstance(event, h2.events.DataReceived))
    http = HttpTransport(secured.instance)
    http.put(secured.token, {"w/a": 1})
    assert b"event: put" in client.until(h2.events.DataReceived, stream).data
    http.close()
    # Another request on the same connection.
    refused = client.begin("/v1/watch", "x", end=True, method="GET")
    assert client.status(refused) == 401


def test_a_client_of_http2_that_takes_nothing_is_dropped(secured):
    client = Client(secured, window=1000)
    client.begin("/v1/export?prefix=two/", secured.token, end=True, method="GET")
    # Neither the end of the answer nor anything else comes before the connection ends.
    assert client.until(h2.events.StreamEnded) is None
    client.close()
