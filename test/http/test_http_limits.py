"""The limits of the HTTP transport: what is above them is refused in words that name the limit, and what they protect is
free again once it is not used.
"""

import itertools
import json
import select
import socket

import pytest

from support.contract import GOOD
from support.harness import Instance, wait_until
from support.outcome import Ok
from support.transports import HttpTransport
from support.wire import BODY, CHECK, HEAD, NO, Answer, Wire, all_is_read, descriptors, held, post

SHORT = {"AUTHKV_HTTP_HEADER_TIMEOUT": "1", "AUTHKV_HTTP_BODY_TIMEOUT": "1", "AUTHKV_HTTP_IDLE_TIMEOUT": "2"}


@pytest.fixture(scope="module")
def hasty():
    """An instance that waits for nothing."""
    with Instance(**SHORT) as running:
        yield running


def request(token: str, path: str, body: object) -> bytes:
    return post(f"/api/{path}", json.dumps(body).encode(), f"Authorization: Bearer {token}")


def padded(size: int) -> bytes:
    """A request whose head has exactly so many bytes, the empty line at its end included."""
    room = size - len(HEAD) - len(b"X: \r\n\r\n")
    return HEAD + b"X: " + b"x" * room + b"\r\n\r\n" + BODY


def refused(answer: Answer, status: int, limit: int, setting: str, path: str | None = "/api/check") -> bool:
    assert answer.status == status and answer.names(limit, setting, path), answer
    if status in (429, 503):
        assert answer.header("Retry-After").isdecimal(), answer
    return True


def test_a_head_may_be_as_large_as_the_limit_and_no_larger(instance):
    with Wire(instance) as wire:
        wire.send(padded(8192) + padded(8193) + CHECK)
        assert wire.answer().seen() == (200, NO)
        answer = wire.answer()
        assert refused(answer, 431, 8192, "AUTHKV_HTTP_HEADER_MAX") and answer.closes and wire.rest() == b""


def test_a_head_may_have_100_lines_and_no_more(instance):
    with Wire(instance) as wire:
        lines = [b"X: y\r\n" * (count - 2) for count in (100, 101)]
        wire.send(b"".join(HEAD + more + b"\r\n" + BODY for more in lines) + CHECK)
        assert wire.answer().seen() == (200, NO)
        answer = wire.answer()
        assert refused(answer, 431, 100, "at most 100") and answer.closes and wire.rest() == b""


# Never an end: each is sent on until it is refused, and is far longer than any limit.
ENDLESS = {
    "method": b"x", "target": b"GET /x", "value": HEAD + b"X: ", "name": HEAD + b"X", "lines": HEAD,
    "spaces": HEAD + b"X:", "many_lines": HEAD,
}  # fmt: skip
MORE = {"lines": b"X: " + b"y" * 90 + b"\r\n", "spaces": b" ", "many_lines": b"X:\r\n"}


@pytest.mark.parametrize("step", [None, 1000], ids=["at_once", "in_pieces"])
@pytest.mark.parametrize("name", ENDLESS)
def test_a_head_without_an_end_is_refused(instance, name, step):
    raw = ENDLESS[name] + MORE.get(name, b"x") * (300_000 // len(MORE.get(name, b"x")))
    with Wire(instance) as wire:
        for at in range(0, len(raw), step or len(raw)):
            if not wire.send(raw[at : at + (step or len(raw))]):
                break
        answer = wire.answer()
        # A method of 8 KiB may be refused as one that cannot be.
        assert answer.status in ((400, 431) if name == "method" else (414, 431)), answer
        assert answer.closes and answer.failure(None if name == "method" else "/x")


def test_the_limit_of_a_head_is_a_setting(make):
    instance = make(AUTHKV_HTTP_HEADER_MAX="1024").start()
    with Wire(instance) as wire:
        wire.send(padded(1024) + padded(1025))
        assert wire.answer().seen() == (200, NO)
        assert refused(wire.answer(), 431, 1024, "AUTHKV_HTTP_HEADER_MAX")


@pytest.mark.parametrize("framing", ["Content-Length: 16385", "Transfer-Encoding: chunked"])
def test_a_body_above_its_limit_is_refused_in_words_that_name_it(instance, framing):
    with Wire(instance) as wire:
        wire.send(f"POST /api/check HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())
        wire.send(b"4001\r\n" + b" " * 16_385 + b"\r\n0\r\n\r\n")
        assert refused(wire.answer(), 413, 16_384, "AUTHKV_AUTH_INPUT_MAX")


# What is sent of a request, what may be sent on for ever, the setting that ends it.
SLOW = {
    "request_line": (b"POST /api/ch", b"x", "HEADER"),
    "value": (HEAD + b"X: y", b"z", "HEADER"),
    "all_but_the_end": (HEAD, b"", "HEADER"),
    "empty_line_first": (b"\r\nP", b"", "HEADER"),
    "body": (HEAD[:-4] + b"16384\r\n\r\n{", b" ", "BODY"),
    "no_body": (HEAD + b"\r\n", b"", "BODY"),
    "chunks": (HEAD[:-20] + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", "BODY"),
    "chunk_size": (HEAD[:-20] + b"Transfer-Encoding: chunked\r\n\r\n1", b"", "BODY"),
    "trailers": (HEAD[:-20] + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y", b"", "BODY"),
}


def test_what_is_not_sent_in_time_is_refused_however_it_drips(hasty):
    wires = {}
    for name, first in itertools.product(SLOW, (b"", CHECK)):
        # Not all connections before all requests: they may be idle for two seconds only.
        wires[name, first] = wire = Wire(hasty)
        wire.send(first)
        assert not first or wire.answer().seen() == (200, NO)
        wire.send(SLOW[name][0])
    waiting = dict(wires)
    while waiting:
        answered, _, _ = select.select([wire.socket for wire in waiting.values()], [], [], 0.02)
        waiting = {one: wire for one, wire in waiting.items() if wire.socket not in answered}
        for (name, _), wire in waiting.items():
            wire.send(SLOW[name][1])
    for (name, _), wire in wires.items():
        answer = wire.answer()
        path = None if name == "empty_line_first" else "/api/check"
        assert refused(answer, 408, 1, f"AUTHKV_HTTP_{SLOW[name][2]}_TIMEOUT", path) and answer.closes, name
        assert wire.rest() == b"", name
        wire.close()


def test_a_connection_that_is_idle_is_closed_without_a_word(hasty):
    wires = {}
    for first in range(4):
        wires[first] = wire = Wire(hasty)
        wire.send(CHECK * first)
        assert [wire.answer().seen() for _ in range(first)] == [(200, NO)] * first
    for wire in wires.values():
        assert wire.rest() == b""
        wire.close()


def test_a_client_that_never_stops_sending_is_cut_off(instance):
    """It has its answer long ago; only sending fails in the end."""
    with Wire(instance) as wire:
        wire.send(b"hello\r\n\r\n")
        while wire.send(b"x" * 65_536):
            pass
        assert wire.answer().status == 400


def kept(instance, source: str | None = None) -> Wire | None:
    """A connection that certainly counts, unless it is refused for the number of connections."""
    wire = Wire(instance, source)
    wire.send(CHECK)
    if wire.answer().status == 200:
        return wire
    wire.close()
    return None


CAPS = {
    "whole": (503, "AUTHKV_HTTP_CONNECTIONS_MAX", ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")),
    "per_address": (429, "AUTHKV_HTTP_CONNECTIONS_PER_ADDRESS", ("127.0.0.2",) * 4),
}


@pytest.mark.parametrize("status,setting,sources", CAPS.values(), ids=CAPS)
def test_connections_above_the_limit_are_refused_at_once_and_room_is_made_by_those_that_end(make, status, setting, sources):
    instance = make(**{setting: "3"}).start()
    *sources, last = sources
    wires = [kept(instance, source) for source in sources]
    for say in (b"", CHECK, CHECK):
        with Wire(instance, last) as wire:
            wire.send(say)
            answer = wire.answer()
            # It is sent before a request is read.
            assert refused(answer, status, 3, setting, None) and answer.closes and wire.rest() == b""
    if status == 429:
        kept(instance, "127.0.0.9").close()
    for wire in wires:
        wire.send(CHECK)
        assert wire.answer().seen() == (200, NO)
    for end in (Wire.close, Wire.reset, Wire.finish):
        end(wires.pop())
        wires.insert(0, wait_until(lambda: kept(instance, last), "room for a connection"))
        with Wire(instance, last) as wire:
            assert wire.answer().status == status
    for wire in wires:
        wire.close()


def once(instance) -> Answer:
    """The answer to a request, on a connection of its own."""
    with Wire(instance) as wire:
        wire.send(CHECK)
        return wire.answer()


def test_requests_above_the_limit_are_refused_those_still_sent_included(make):
    instance = make(AUTHKV_HTTP_REQUESTS_MAX="2").start()
    for end in (lambda one: one.send(CHECK[-1:]), Wire.reset, Wire.finish):
        wires = [held(instance) for _ in range(2)]
        for _ in range(3):
            assert refused(once(instance), 503, 2, "AUTHKV_HTTP_REQUESTS_MAX")
        for one in wires:
            end(one)
        if end in (Wire.reset, Wire.finish):
            wait_until(lambda: once(instance).seen() == (200, NO), "room for a request")
        else:
            assert [one.answer().seen() for one in wires] == [(200, NO)] * 2
            assert once(instance).seen() == (200, NO)
        for one in wires:
            one.close()


# What is answered in one piece, in several, and in chunks.
ANSWERED = {"small": ("check", "x"), "large": ("read", "x" * 300_000), "exported": ("export", "x" * 40_000)}


@pytest.mark.parametrize("name", ANSWERED)
def test_who_has_an_answer_whole_finds_the_place_of_its_request_free(make, name):
    """Clients in turn, on connections of their own: as many as there are places never meet one that has its answer."""
    instance = make(AUTHKV_HTTP_REQUESTS_MAX="1").start()
    what, value = ANSWERED[name]
    http = HttpTransport(instance)
    http.register("tester", GOOD, "Test", "Tester")
    token = http.login("tester", GOOD).value
    assert http.put(token, {"k": value}) == Ok([])
    http.close()
    export = f"GET /v1/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    raw = {"check": CHECK, "read": request(token, "read", {"keys": ["k"]}), "export": export}[what]
    # One on each worker, because connections go to the one that has the fewest.
    wires = [kept(instance) for _ in range(2)]
    seen = []
    for _ in range(1000):
        for wire in wires:
            wire.send(raw)
            seen.append(wire.answer().status)
    assert set(seen) == {200}, f"{seen.count(503)} of {len(seen)} were refused"
    for wire in wires:
        wire.close()


@pytest.fixture(scope="module")
def cramped():
    with Instance(AUTHKV_HTTP_MEMORY_MAX=str(1 << 20), AUTHKV_HTTP_WRITE_TIMEOUT="2") as running:
        yield running


def first_bytes(wire: Wire) -> bytes:
    return wire.socket.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL)


def test_answers_nobody_reads_are_dropped_in_time_and_their_memory_is_free_again(cramped):
    http = HttpTransport(cramped)
    http.register("tester", GOOD, "Test", "Tester")
    token = http.login("tester", GOOD).value
    value = "x" * 200_000
    assert http.put(token, {"large": value}) == Ok([])
    reading = request(token, "read", {"keys": ["large"]})
    before, stalled = descriptors(cramped), []
    while True:
        assert len(stalled) < 20, "4 MB are held"
        wire = Wire(cramped, narrow=True)
        wire.send(reading)
        if first_bytes(wire) == b"HTTP/1.1 503":
            assert refused(wire.answer(), 503, 1 << 20, "AUTHKV_HTTP_MEMORY_MAX")
            wire.close()
            break
        stalled.append(wire)
    assert len(stalled) > 1, "one answer of 200 kB fills 1 MiB"
    assert http.check(token) == Ok(True), "what is small still goes"
    wait_until(lambda: http.get(token, ["large"]) == Ok({"large": value}), "the memory is free again")
    wait_until(lambda: descriptors(cramped) <= before, "the connections are dropped")
    for wire in stalled:
        assert len(wire.rest()) < len(value)
        wire.close()
    http.close()


def test_bodies_that_are_still_sent_hold_memory(cramped):
    http = HttpTransport(cramped)
    head = b"POST /api/write HTTP/1.1\r\nHost: x\r\nContent-Length: 250000\r\n\r\n"
    wires = [Wire(cramped) for _ in range(8)]
    for wire in wires:
        wire.send(head + b" " * 200_000)
    sockets = [wire.socket for wire in wires]
    answered = wait_until(lambda: select.select(sockets, [], [], 0)[0], "one is refused")
    for wire in wires:
        if wire.socket in answered:
            assert refused(wire.answer(), 503, 1 << 20, "AUTHKV_HTTP_MEMORY_MAX")
        wire.reset()
    body = b" " * 900_000
    wait_until(lambda: http.request("POST", "/api/write", body).status == 422, "the memory is free again")
    http.close()


def test_a_client_works_while_2000_connections_stand_idle(instance, http, token):
    before = descriptors(instance)
    idle = [Wire(instance, f"127.0.0.{2 + n % 4}") for n in range(2000)]
    wait_until(lambda: descriptors(instance) >= before + 2000 and all_is_read(instance), "all are accepted")
    assert http.put(token, {f"idle{n}": n for n in range(1000)}) == Ok([])
    for n in range(200):
        assert http.get(token, [f"idle{n}", f"idle{n + 1}"]) == Ok({f"idle{n}": n, f"idle{n + 1}": n + 1})
    for wire in idle[::100]:
        wire.send(CHECK)
        assert wire.answer().seen() == (200, NO)
    for n, wire in enumerate(idle):
        wire.reset() if n % 2 else wire.close()
    wait_until(lambda: descriptors(instance) <= before + 2, "the descriptors are free again")
    assert http.check(token) == Ok(True)
