"""HTTP/1.1 by bare bytes: requests cut anywhere, pipelines, keep-alive, Expect, clients that leave."""

import json
from itertools import zip_longest

import pytest

from support.harness import CHEAP_HASHES, DEADLINE
from support.transports import written_status
from support.wire import BODY, CHECK, NO, Wire, in_lockstep, post

NOT_AUTHORIZED = {"message": "You have not been authorized!"}
SIZES = (1, 7, 64, 1000)


def chunked(path: str, chunks: bytes, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", *lines, "", ""]).encode() + chunks


def in_chunks(body: bytes, size: int = 5) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%X\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


# A request, its method, and the status and JSON of its answer. {} in a head is the token.
REQUESTS = {
    "get": (b"GET /api/logout HTTP/1.1\r\nHost: x\r\n\r\n", "GET", 401, NOT_AUTHORIZED),
    "post": (CHECK, "POST", 200, NO),
    "post_with_a_token": (post("/api/read", b'{"keys": ["cut"]}', "Authorization: Bearer {}"), "POST", 200,
                          {"data": {"cut": [1, {"a": None}]}}),
    "write": (post("/api/write", b'{"data": {"cut": 2}}', "Authorization: Bearer {}"), "POST", 201,
              {"status": written_status(["cut"])}),
    "empty_body": (post("/api/check", b""), "POST", 422, None),
    "no_length": (b"POST /api/check HTTP/1.1\r\nHost: x\r\n\r\n", "POST", 422, None),
    "http_1_0": (post("/api/check", BODY, "Connection: keep-alive", version="1.0"), "POST", 200, NO),
    "empty_lines_first": (b"\r\n\r\n" + CHECK, "POST", 200, NO),
    "absolute_form": (post("http://x/api/check?a=b", BODY), "POST", 200, NO),
    "absolute_form_of_https": (post("HTTPS://other.example:8080/api/check/", BODY), "POST", 200, NO),
    "spaces_around_values": (b"POST /api/check HTTP/1.1\r\nHost:x\r\nContent-Length: \t 22 \t \r\n\r\n" + BODY,
                             "POST", 200, NO),
    "names_in_any_case": (b"POST /api/check HTTP/1.1\r\nhOST: x\r\ncONTENT-lENGTH: 22\r\n\r\n" + BODY, "POST", 200, NO),
    "no_value": (post("/api/check", BODY, "X:", "X-Empty:  "), "POST", 200, NO),
    "obs_text_and_tab_in_a_value": (post("/api/check", BODY, "X: \u00ff\tx"), "POST", 200, NO),
    "every_sign_of_a_name": (post("/api/check", BODY, "!#$%&'*+-.^_`|~0aZ: x"), "POST", 200, NO),
    "host_is_empty": (CHECK.replace(b"Host: x", b"Host:"), "POST", 200, NO),
    "host_with_a_port": (CHECK.replace(b"Host: x", b"Host: [::1]:8080"), "POST", 200, NO),
    "upgrade_is_ignored": (post("/api/check", BODY, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                                "HTTP2-Settings: AAMAAABkAAQAAP__"), "POST", 200, NO),
    "expect": (post("/api/check", BODY, "Expect: 100-continue"), "POST", 200, NO),
    "chunked": (chunked("/api/check", in_chunks(BODY)), "POST", 200, NO),
    "coding_in_any_case": (chunked("/api/check", in_chunks(BODY)).replace(b"chunked", b"CHUNKED"), "POST", 200, NO),
    "chunk_sizes_with_zeros": (chunked("/api/check", b"0000000000000016\r\n" + BODY + b"\r\n00000\r\n\r\n"),
                               "POST", 200, NO),
    "chunk_extensions": (chunked("/api/check", b'16;a;b=c;d="e; f"\r\n' + BODY + b"\r\n0;last=1\r\n\r\n"), "POST", 200, NO),
    **{
        f"chunk_extension_{text!r}": (
            chunked("/api/check", b"16" + text + b"\r\n" + BODY + b"\r\n0" + text + b"\r\n\r\n"), "POST", 200, NO
        )
        for text in (
            b" ;a", b"\t;a", b" \t ;\t a", b";a =b", b";a= b", b";a\t=\tb", b";a ; b", b';a="b" ;c', b';a=""', b';a=" "', b';a="\t"',
            b';a="; = (b)"', b';a="\\""', b';a="\\\\"', b';a="\\b\\ \\\t"', b';a="\xff\x80"', b';a="\\\xff"', b";!#$%&'*+-.^_`|~=!",
            b";1=2",
            b";a;a;a", b";a=b;a=b",
        )
    },
    "trailers": (chunked("/api/check", b"16\r\n" + BODY + b"\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n"), "POST", 200, NO),
    "head": (b"HEAD /api/logout HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD", 405, None),
    "options": (b"OPTIONS /api/check HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS", 204, None),
    "options_of_all": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS", 204, None),
    "unknown_method": (b"brew /api/check HTTP/1.1\r\nHost: x\r\n\r\n", "brew", 405, None),
    "not_found": (b"GET /%61pi/x HTTP/1.1\r\nHost: x\r\n\r\n", "GET", 404, None),
}  # fmt: skip


@pytest.fixture(scope="module")
def settings() -> dict:
    """It waits for as long as a request takes that comes byte by byte on a busy machine."""
    return CHEAP_HASHES | {"AUTHKV_HTTP_HEADER_TIMEOUT": "600", "AUTHKV_HTTP_BODY_TIMEOUT": "600"}


@pytest.fixture(scope="module", autouse=True)
def key_that_is_cut(http, token):
    assert http.put(token, {"cut": [1, {"a": None}]}).value == []


def prepared(name: str, token: str) -> bytes:
    return REQUESTS[name][0].replace(b"Bearer {}", b"Bearer " + token.encode())


def check_answer(wire: Wire, name: str) -> None:
    _, method, status, body = REQUESTS[name]
    answer = wire.final(method)
    assert answer.status == status, (name, answer)
    if body is not None:
        assert answer.json == body, (name, answer)


def check_open(wire: Wire) -> None:
    """The connection is in order: the next request on it is answered, and nothing else comes."""
    wire.send(CHECK)
    assert wire.answer().seen() == (200, NO)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_answered_and_the_connection_stays(wire, token, name):
    wire.send(prepared(name, token))
    check_answer(wire, name)
    check_open(wire)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_may_come_in_two_pieces_cut_anywhere(instance, token, name):
    raw = prepared(name, token)
    pieces = [[raw[:at], raw[at:]] for at in range(1, len(raw))]
    wires = [Wire(instance) for _ in pieces]
    in_lockstep(instance, wires, pieces)
    for wire in wires:
        check_answer(wire, name)
        wire.close()


def test_a_request_may_come_byte_by_byte(instance, token):
    wires = [Wire(instance) for _ in REQUESTS]
    # A byte of each in turn, so that the instance has the time to read every byte for itself.
    for step in zip_longest(*(prepared(name, token) for name in REQUESTS)):
        for wire, byte in zip(wires, step, strict=True):
            wire.send(b"" if byte is None else bytes([byte]))
    for wire, name in zip(wires, REQUESTS, strict=True):
        check_answer(wire, name)
        check_open(wire)
        wire.close()


def test_pipelined_requests_are_answered_in_order_wherever_they_are_cut(instance, token):
    names = list(REQUESTS)
    raw = b"".join(prepared(name, token) for name in names)
    cuts = [[raw[at : at + size] for at in range(0, len(raw), size)] for size in (*SIZES, len(raw))]
    wires = [Wire(instance) for _ in cuts]
    for wire, pieces in zip(wires, cuts, strict=True):
        # Not in lockstep: the answers must not wait for the instance to have read the rest.
        for piece in pieces:
            wire.send(piece)
    for wire in wires:
        for name in names:
            check_answer(wire, name)
        check_open(wire)
        wire.close()


def test_a_thousand_pipelined_requests_that_nobody_reads_yet_are_answered_in_order(wire):
    raw = [post("/api/check" if n % 3 else f"/api/check/{n}", BODY) for n in range(1000)]
    wire.send(b"".join(raw))
    for n in range(1000):
        assert wire.answer().status == (200 if n % 3 else 404), n


# Version, the value of Connection, and whether the connection stays.
PERSISTENCE = [
    ("1.1", None, True), ("1.1", "keep-alive", True), ("1.1", "close", False), ("1.1", "Close", False),
    ("1.1", "x, close", False), ("1.1", "keep-alive,close", False), ("1.1", "x", True), ("1.1", "", True),
    ("1.0", None, False), ("1.0", "close", False), ("1.0", "keep-alive", True), ("1.0", "Keep-Alive, x", True),
    ("1.0", "x", False),
]  # fmt: skip


@pytest.mark.parametrize("version,connection,stays", PERSISTENCE)
def test_a_connection_stays_or_closes_as_its_request_says(wire, version, connection, stays):
    lines = [] if connection is None else [f"Connection: {connection}"]
    wire.send(post("/api/check", BODY, *lines, version=version) + CHECK)
    answer = wire.answer()
    assert answer.seen() == (200, NO)
    if stays:
        assert not answer.closes and (version == "1.1" or "keep-alive" in answer.words("Connection"))
        assert wire.answer().seen() == (200, NO)
    else:
        # An answer to 1.0 that promises nothing closes.
        assert answer.closes or (version == "1.0" and "keep-alive" not in answer.words("Connection"))
        assert wire.rest() == b""


UNINVITED = {
    # name: request line, further lines of the head
    "put": ("PUT /v1/kv/a", "Content-Length: 22"), "put_in_chunks": ("PUT /v1/kv/a", "Transfer-Encoding: chunked"),
    "put_of_no_token": ("PUT /v1/kv/a", "Content-Length: 22\r\nAuthorization: Bearer x.y.z"),
    "put_of_two_tokens": ("PUT /v1/kv/a", "Content-Length: 22\r\nAuthorization: Bearer x\r\nAuthorization: Bearer y"),
    "put_of_another_scheme": ("PUT /v1/kv/a", "Content-Length: 22\r\nAuthorization: Basic YTpi"),
    "txn": ("POST /v1/txn", "Content-Length: 22"), "batch": ("POST /v1/batch/put", "Content-Length: 22"),
    "password": ("PUT /v1/me/password", "Content-Length: 22"), "users": ("POST /v1/admin/users", "Content-Length: 22"),
    "role": ("PUT /v1/admin/roles/a", "Content-Length: 22"), "import": ("POST /v1/import", "Transfer-Encoding: chunked"),
}  # fmt: skip


@pytest.mark.parametrize("line,lines", UNINVITED.values(), ids=UNINVITED)
def test_a_client_that_waits_without_a_token_is_not_told_to_send(wire, line, lines):
    wire.send(f"{line} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{lines}\r\n\r\n".encode())
    answer = wire.answer()
    assert answer.status == 401 and answer.failure("/v1") and answer.closes and wire.rest() == b"", answer
    assert answer.header("WWW-Authenticate").startswith("Bearer realm="), answer


@pytest.mark.parametrize(
    "line,lines",
    [("POST /v1/login", ""), ("POST /v1/users", ""), ("POST /api/read", ""), ("PUT /v1/kv/a", "Authorization: Bearer {}\r\n")],
)
def test_a_client_that_waits_and_may_come_is_told_to_send(wire, token, line, lines):
    """Under /api the shape of a body comes before the token."""
    head = f"{line} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{lines.format(token)}Content-Length: 1\r\n\r\n"
    wire.send(head.encode())
    assert wire.answer().status == 100
    wire.send(b"{")
    assert wire.answer().status in (400, 422)


@pytest.mark.parametrize("line", ["PUT /v1/kv/a", "POST /v1/txn"])
def test_a_body_that_is_too_large_is_refused_as_such_without_a_token(wire, line):
    wire.send(f"{line} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n".encode())
    assert wire.answer().status == 413


EXPECTATIONS = {
    # name: request line, further lines of the head, status; refused before any of the body is sent
    "no_such_path": ("POST /api/x", "Content-Length: 22", 404),
    "wrong_method": ("PUT /api/check", "Content-Length: 22", 405),
    "too_large": ("POST /api/check", "Content-Length: 16385", 413),
    "larger_than_any_number": ("POST /api/check", "Content-Length: 4294967318", 413),
    "wrong_type": ("POST /api/check", "Content-Length: 22\r\nContent-Type: text/plain", 415),
    "wrong_coding": ("POST /api/check", "Content-Length: 22\r\nContent-Encoding: gzip", 415),
    "no_such_path_in_chunks": ("POST /api/x", "Transfer-Encoding: chunked", 404),
}


@pytest.mark.parametrize("line,lines,status", EXPECTATIONS.values(), ids=EXPECTATIONS)
def test_a_body_that_is_not_wanted_is_refused_before_it_is_sent(wire, line, lines, status):
    wire.send(f"{line} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{lines}\r\n\r\n".encode())
    answer = wire.answer()
    assert answer.status == status and answer.json.keys() == {"message"}
    assert answer.closes and wire.rest() == b""


@pytest.mark.parametrize("expect", ["100-continue", "100-Continue"])
@pytest.mark.parametrize("framing,body", [("Content-Length: 22", BODY), ("Transfer-Encoding: chunked", in_chunks(BODY))])
def test_a_body_that_is_wanted_is_asked_for_once(wire, expect, framing, body):
    wire.send(f"POST /api/check HTTP/1.1\r\nHost: x\r\nExpect: {expect}\r\n{framing}\r\n\r\n".encode())
    assert wire.answer().status == 100
    wire.send(body)
    assert wire.answer().seen() == (200, NO)
    check_open(wire)


@pytest.mark.parametrize("expect", ["200-ok", "100", "continue", "100-continue, x", "100-continuex"])
def test_another_expectation_cannot_be_met(wire, expect):
    wire.send(post("/api/check", BODY, f"Expect: {expect}"))
    answer = wire.answer()
    assert answer.status == 417 and answer.json.keys() == {"message"}


def test_a_client_of_http_1_0_is_not_told_to_continue(wire):
    """RFC 9110 §10.1.1: a server must not send 100 to it."""
    wire.send(post("/api/check", BODY, "Expect: 100-continue", version="1.0"))
    assert wire.answer().seen() == (200, NO)


@pytest.mark.parametrize("name", ["get", "post", "post_with_a_token", "chunked", "write", "http_1_0"])
@pytest.mark.parametrize("count", [1, 5])
def test_a_client_that_has_sent_all_and_says_so_gets_its_answers(instance, token, name, count):
    wires = [Wire(instance) for _ in range(20)]
    for wire in wires:
        wire.send(prepared(name, token) * count)
        wire.finish()
    for wire in wires:
        for _ in range(count):
            check_answer(wire, name)
        assert wire.rest() == b""
        wire.close()


def test_a_client_that_has_said_so_gets_an_answer_that_takes_its_time(make):
    """The cost of a hash is set so that it takes seconds."""
    slow = make(AUTHKV_ARGON2_MEMORY="65536", AUTHKV_ARGON2_ITERATIONS="20").start()
    with Wire(slow) as wire:
        wire.socket.settimeout(DEADLINE)
        wire.send(post("/api/login", b'{"login": "nobody", "password": "x"}'))
        wire.finish()
        assert wire.answer().status == 404


@pytest.mark.parametrize("name", ["get", "post", "chunked"])
def test_a_request_that_ends_early_is_not_served(instance, token, name):
    raw = prepared(name, token)
    for at in range(1, len(raw)):
        with Wire(instance) as wire:
            wire.send(raw[:at])
            wire.finish()
            seen = wire.rest()
            assert seen == b"" or seen.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 408 ", b"HTTP/1.1 422 ")), (at, seen)


def test_clients_that_reset_their_connections_hurt_nobody_else(instance, http, token):
    with Wire(instance) as before:
        check_open(before)
        for name in REQUESTS:
            raw = prepared(name, token)
            for at in {0, 1, len(raw) // 3, len(raw) // 2, len(raw) - 1, len(raw)}:
                wire = Wire(instance)
                wire.send(raw[:at])
                wire.reset()
        check_open(before)
    assert instance.is_running() and http.check(token).value is True


def test_a_client_that_resets_while_its_answer_is_sent_hurts_nobody_else(instance, http, token):
    assert http.put(token, {f"big{n}": "x" * 1_000_000 for n in range(4)}).value == []
    body = json.dumps({"keys": [f"big{n}" for n in range(4)]}).encode()
    for _ in range(20):
        wire = Wire(instance, narrow=True)
        wire.send(post("/api/read", body, f"Authorization: Bearer {token}"))
        assert wire.socket.recv(1) == b"H"
        wire.reset()
    seen = http.get(token, ["big0", "big3"])
    assert [len(value) for value in seen.value.values()] == [1_000_000, 1_000_000]
