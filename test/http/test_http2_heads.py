"""Heads of HTTP/2: what HTTP/1.1 refuses is refused, however its fields are coded, and all else comes through."""

from __future__ import annotations

import contextlib
import json
import random
import string

import h2.errors
import h2.events
import pytest
from hpack import Encoder
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PingFrame

from support.http2 import Client, known
from support.wire import Wire

PATH = "/v1/kv/precious"
PSEUDO = {":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": PATH}


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    with known(tmp_path_factory.mktemp("http2"), AUTHKV_HTTP_BODY_TIMEOUT="5") as secured:
        yield secured


@pytest.fixture
def client(secured):
    client = Client(secured)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def precious(secured):
    """A pair that is there before and after each test."""
    client = Client(secured)
    assert answer(client, client.ask_value(PATH, b'"here"', secured.token))[0] in (200, 201)
    yield
    assert answer(client, send(client, {}, token=secured.token))[0] == 200
    client.close()


def send(client: Client, pseudo: dict, fields=(), token: str | None = None, end: bool = True) -> int:
    """Sends a head as it is given, and returns its stream. A name that is None is left out."""
    head = [(name, value) for name, value in {**PSEUDO, **pseudo}.items() if value is not None]
    head += [("authorization", f"Bearer {token}")] if token else []
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, [*head, *fields], end_stream=end)
    client.flush()
    return stream


def answer(client: Client, stream: int) -> tuple[int | None, str, dict]:
    """Status, type and body; None if the stream is reset or the connection ends."""
    event = client.until(h2.events.ResponseReceived, stream)
    if event is None:
        return None, "", {}
    head = dict(event.headers)
    body = b""
    if int(head.get("content-length", 0)):
        body = client.body(stream)
    return int(head[":status"]), head.get("content-type", ""), json.loads(body or b"{}")


# What is wrong, and what says the same in HTTP/1.1: the target and lines, if it can be said there.
REFUSED = {
    "fragment": ({":path": PATH + "#x"}, (), (PATH + "#x", "")),
    "empty fragment": ({":path": PATH + "#"}, (), (PATH + "#", "")),
    "fragment in the query": ({":path": PATH + "?if_revision=1#x"}, (), (PATH + "?if_revision=1#x", "")),
    "fragment alone": ({":path": "#" + PATH}, (), ("#" + PATH, "")),
    "utf-8 in the path": ({":path": PATH + "é"}, (), (PATH + "é", "")),
    "latin-1 in the path": ({":path": PATH.encode() + b"\xe9"}, (), None),
    "byte 0xff in the query": ({":path": PATH.encode() + b"?\xff"}, (), None),
    "blank in the path": ({":path": PATH + " x"}, (), None),
    "del in the path": ({":path": PATH + "\x7f"}, (), (PATH + "\x7f", "")),
    "relative path": ({":path": PATH[1:]}, (), (PATH[1:], "")),
    "uri as the path": ({":path": "https://localhost" + PATH}, (), None),
    "no path": ({":path": None}, (), None),
    "no path and no authority": ({":path": None, ":authority": None}, [("host", "localhost")], None),
    "star": ({":path": "*"}, (), ("*", "")),
    "connect": ({":method": "CONNECT", ":path": None, ":scheme": None}, (), None),
    "method of two words": ({":method": "GET x"}, (), None),
    "user": ({":authority": "user@localhost"}, (), ("http://user@localhost" + PATH, "")),
    "user and password": ({":authority": "a:b@localhost:1"}, (), ("https://a:b@localhost:1" + PATH, "")),
    "empty user": ({":authority": "@localhost"}, (), ("http://@localhost" + PATH, "")),
    "empty authority": ({":authority": ""}, (), ("http://" + PATH, "")),
    "authority with a path": ({":authority": "localhost/x"}, (), None),
    "authority with a blank": ({":authority": "local host"}, (), None),
    "no authority": ({":authority": None}, (), (PATH, "\r\n")),
    "another host": ({}, [("host", "other")], None),
    "host with another port": ({":authority": "localhost:1"}, [("host", "localhost:2")], None),
    "host of another scheme's port": ({}, [("host", "localhost:80")], None),
    "empty host": ({}, [("host", "")], None),
    "two hosts": ({}, [("host", "localhost")] * 2, (PATH, "Host: localhost\r\nHost: localhost\r\n")),
    "host with a user": ({":authority": None}, [("host", "u@localhost")], (PATH, "Host: u@localhost\r\n")),
    "host with a path": ({":authority": None}, [("host", "localhost/x")], (PATH, "Host: localhost/x\r\n")),
    "empty scheme": ({":scheme": ""}, (), ("://localhost" + PATH, "")),
    "empty scheme and no authority": ({":scheme": "", ":authority": None}, [("host", "a")], None),
    "scheme with a blank": ({":scheme": "ht tp", ":authority": None}, [("host", "a")], None),
    "scheme with a colon": ({":scheme": "https:"}, (), None),
    "scheme of digits": ({":scheme": "1", ":authority": None}, [("host", "a")], None),
    "another scheme": ({":scheme": "ftp"}, (), ("ftp://localhost" + PATH, "")),
    "no scheme": ({":scheme": None}, (), None),
    "blank before a value": ({}, [("x", " y")], None),
    "blank after a value": ({}, [("x", "y ")], None),
    "tab before a value": ({}, [("x", "\ty")], None),
    "tab after a value": ({}, [("if-none-match", '"1"\t')], None),
    "blank alone": ({}, [("x", " ")], None),
    "line end in a value": ({}, [("x", "a\r\nb: c")], None),
    "nul in a value": ({}, [("x", "a\0b")], (PATH, "Host: a\r\nX: a\0b\r\n")),
    "control character in a value": ({}, [("x", "a\x01b")], (PATH, "Host: a\r\nX: a\x01b\r\n")),
    "del in a value": ({}, [("x", "a\x7fb")], (PATH, "Host: a\r\nX: a\x7fb\r\n")),
    "capital in a name": ({}, [("X-y", "z")], None),
    "blank in a name": ({}, [("x y", "z")], (PATH, "Host: a\r\nX y: z\r\n")),
    "empty name": ({}, [("", "z")], (PATH, "Host: a\r\n: z\r\n")),
    "parenthesis in a name": ({}, [("(x)", "z")], (PATH, "Host: a\r\n(x): z\r\n")),
    "length of a sign": ({}, [("content-length", "+0")], (PATH, "Host: a\r\nContent-Length: +0\r\n")),
    "two lengths": ({}, [("content-length", "0")] * 2, (PATH, "Host: a\r\n" + "Content-Length: 0\r\n" * 2)),
    "lengths in a list": ({}, [("content-length", "0, 0")], (PATH, "Host: a\r\nContent-Length: 0, 0\r\n")),
    "101 fields": ({}, [("x", "y")] * 101, (PATH, "Host: a\r\n" + "X: y\r\n" * 100)),
    "1000 fields": ({}, [(f"x{n}", "") for n in range(150)], (PATH, "Host: a\r\n" + "X: y\r\n" * 1000)),
    "large field": ({}, [("x", "y" * 9000)], (PATH, "Host: a\r\nX: " + "y" * 9000 + "\r\n")),
    "large fields": ({}, [(f"x{n}", "y" * 900) for n in range(10)], (PATH, "Host: a\r\n" + ("X: " + "y" * 900 + "\r\n") * 10)),
    "larger fields": ({}, [(f"x{n}", "y" * 3000) for n in range(10)], None),
    "large path": ({":path": PATH + "?" + "x" * 9000}, (), (PATH + "?" + "x" * 9000, "Host: a\r\n")),
    "unknown expectation": ({}, [("expect", "tea")], (PATH, "Host: a\r\nExpect: tea\r\n")),
    "empty expectation": ({}, [("expect", "")], (PATH, "Host: a\r\nExpect:\r\n")),
    "expectation with a parameter": ({}, [("expect", "100-continue;x")], (PATH, "Host: a\r\nExpect: 100-continue;x\r\n")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_http_1_refuses_http_2_refuses(secured, client, name):
    pseudo, fields, _ = REFUSED[name]
    if pseudo.get(":method") is None:
        pseudo = {**pseudo, ":method": "DELETE"}
    status, kind, problem = answer(client, send(client, pseudo, fields, secured.token))
    if "expectation" in name:
        assert status == 417
    elif "large" in name or "fields" in name:
        assert status == 431
    else:
        assert status in (None, 400)
    if status is not None and ":path" not in pseudo:
        assert (kind, problem["status"]) == ("application/problem+json", status)


@pytest.mark.parametrize("name", [name for name, (_, _, same) in REFUSED.items() if same])
def test_http_1_refuses_the_same(secured, client, name):
    """Otherwise the test above would show too much."""
    _, _, (target, lines) = REFUSED[name]
    head = f"GET {target} HTTP/1.1\r\n{lines or 'Host: a' + chr(13) + chr(10)}\r\n".replace("\r\n\r\n\r\n", "\r\n\r\n")
    with Wire(secured.instance) as wire:
        wire.send(head.encode())
        expected = 417 if "expectation" in name else 431 if "large" in name or "fields" in name else 400
        assert wire.answer().status == expected


@pytest.mark.parametrize(
    "pseudo,fields",
    [
        ({}, [("host", "localhost")]),
        ({}, [("host", "LOCALHOST:443")]),
        ({":authority": "localhost:443"}, [("host", "localhost")]),
        ({":authority": "localhost:7"}, [("host", "localhost:7")]),
        ({":authority": None}, [("host", "localhost")]),
        ({":authority": "[::1]:1"}, ()),
        ({":scheme": "http"}, ()),
        ({":scheme": "HTTPS"}, ()),
        ({":path": PATH + "?if_revision="}, None),
        ({}, [("x", "")]),
        ({}, [("x", "a b\tc")]),
        ({}, [("x", b"\xff\x80")]),
        ({}, [("x", "y")] * 98),
        ({}, [("x", "y" * 7000)]),
        ({}, [("authkv-mark", "1 -")]),
        ({}, [("authkv-mark", "- 1")]),
        ({}, [("expect", "100-continue")]),
        ({}, [("cookie", "a=b"), ("cookie", "c=d")]),
    ],
)
def test_what_is_right_is_served(secured, client, pseudo, fields):
    status, _, _ = answer(client, send(client, pseudo, fields or (), secured.token))
    assert status == (200 if fields is not None else 400)


def test_a_wrong_head_is_the_end_of_its_stream_only(secured, client):
    streams = [send(client, pseudo, fields, secured.token) for pseudo, fields in [
        ({}, ()), ({":path": PATH + "#x"}, ()), ({}, ()), ({}, [("x", " y")]), ({}, [("x", "y" * 20_000)]), ({}, ()),
    ]]  # fmt: skip
    statuses = {}
    while len(statuses) < len(streams):
        event = client.until(h2.events.ResponseReceived)
        statuses[event.stream_id] = int(dict(event.headers)[":status"])
    assert [statuses[stream] for stream in streams] == [200, 400, 200, 400, 431, 200]


def test_fields_come_through_however_they_are_coded(secured, client):
    """A table that is used, resized and emptied, texts that are coded and plain: ids come back as they were sent."""
    words = random.Random(15)
    names = [f"x-{number}" for number in range(40)]
    for number in range(300):
        if number % 50 == 49:
            client.h2.encoder.header_table_size = words.choice([0, 100, 1000, 4096])
        client.h2.encoder.huffman = words.random() < 0.8
        identity = "".join(words.choices(string.ascii_letters + string.digits, k=words.randint(1, 60)))
        fields = [(words.choice(names), "".join(words.choices(string.printable[:94], k=words.choice([0, 3, 50, 500]))))
                  for _ in range(words.randint(0, 8))]  # fmt: skip
        stream = send(client, {}, [*fields, ("x-request-id", identity)], secured.token)
        event = client.until(h2.events.ResponseReceived, stream)
        head = dict(event.headers)
        assert (head[":status"], head["x-request-id"]) == ("200", identity), number
        client.body(stream)


def raw_head(token: str, fields=()) -> bytes:
    head = {**PSEUDO, "authorization": f"Bearer {token}"}
    return Encoder().encode([*head.items(), *fields])


def raw(client: Client, *frames) -> None:
    client.flush()
    client.socket.sendall(b"".join(frame.serialize() for frame in frames))


def read_raw(client: Client) -> str:
    """What comes first of: the status of an answer, a reset, the end of the connection with its code."""
    while True:
        try:
            data = client.socket.recv(65536)
        except OSError:
            return "end"
        if not data:
            return "end"
        for event in client.h2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                return dict(event.headers)[":status"]
            if isinstance(event, h2.events.StreamReset):
                return "reset"
            if isinstance(event, h2.events.ConnectionTerminated):
                return h2.errors.ErrorCodes(event.error_code).name


@pytest.mark.parametrize("fields,expected", [((), "200"), ([("x", " y")], "400"), ([("x", "y" * 9000)], "431")])
def test_a_head_may_come_in_pieces(secured, fields, expected):
    block = raw_head(secured.token, fields)
    for at in {1, 2, 5, 20, len(block) // 2, len(block) - 1}:
        client = Client(secured)
        stream = client.h2.get_next_available_stream_id()
        # So that the library knows of it.
        client.h2.send_headers(stream, list(PSEUDO.items()), end_stream=True)
        client.h2.data_to_send()
        first = HeadersFrame(stream, block[:at], flags=["END_STREAM", "PADDED", "PRIORITY"], pad_length=at % 7)
        raw(client, first, ContinuationFrame(stream, b""), ContinuationFrame(stream, block[at:], flags=["END_HEADERS"]))
        assert read_raw(client) == expected
        client.close()


@pytest.mark.parametrize(
    "frames,expected",
    [
        (lambda b: [HeadersFrame(1, b[:9]), PingFrame(0, b"12345678"), ContinuationFrame(1, b[9:], flags=["END_HEADERS"])],
         {"PROTOCOL_ERROR"}),
        (lambda b: [HeadersFrame(1, b[:9]), ContinuationFrame(3, b[9:], flags=["END_HEADERS"])], {"PROTOCOL_ERROR"}),
        (lambda b: [HeadersFrame(1, b[:9]), HeadersFrame(3, b, flags=["END_HEADERS", "END_STREAM"])], {"PROTOCOL_ERROR"}),
        (lambda b: [HeadersFrame(1, b[:9]), DataFrame(1, b"x")], {"PROTOCOL_ERROR"}),
        (lambda b: [ContinuationFrame(1, b, flags=["END_HEADERS"])], {"PROTOCOL_ERROR"}),
        (lambda b: [HeadersFrame(1, b"\x80", flags=["END_HEADERS"])], {"COMPRESSION_ERROR", "PROTOCOL_ERROR"}),
        (lambda b: [HeadersFrame(1, b + b"\xff\xff\xff\xff\xff\xff", flags=["END_HEADERS"])], {"COMPRESSION_ERROR", "PROTOCOL_ERROR"}),
        (lambda b: [HeadersFrame(1, b + b"\x00\x81\xff\x01a", flags=["END_HEADERS"])], {"COMPRESSION_ERROR", "PROTOCOL_ERROR"}),
        (lambda b: [HeadersFrame(1, b + b"\x20", flags=["END_HEADERS"])], {"COMPRESSION_ERROR", "PROTOCOL_ERROR"}),
        (lambda b: [HeadersFrame(1, b + b"\x00" * 17_000, flags=["END_HEADERS"])], {"FRAME_SIZE_ERROR"}),
        (lambda b: [HeadersFrame(1, b"")] + [ContinuationFrame(1, b"")] * 10_000, {"PROTOCOL_ERROR", "end", "ENHANCE_YOUR_CALM"}),
        (lambda b: [HeadersFrame(1, b"\x00\x01x\x7f\xff\xff\xff\x00" + b"y" * 100)] + [ContinuationFrame(1, b"y" * 16_000)] * 100,
         {"PROTOCOL_ERROR", "end", "ENHANCE_YOUR_CALM"}),
    ],
)  # fmt: skip
def test_frames_that_are_no_head_end_the_connection(secured, client, frames, expected):
    with contextlib.suppress(OSError):  # it has ended before all was sent
        raw(client, *frames(raw_head(secured.token)))
    assert read_raw(client) in expected
    assert secured.check().status_code == 200


def test_fields_after_a_body_are_read_as_strictly(secured, client):
    for trailer, expected in [([("x", "y")], (200, 201)), ([("x", " y")], (None,)), ([("x", "y")] * 101, (None,))]:
        stream = send(client, {":method": "PUT"}, token=secured.token, end=False)
        client.h2.send_data(stream, b'"here"')
        client.h2.send_headers(stream, trailer, end_stream=True)
        client.flush()
        assert answer(client, stream)[0] in expected


def test_a_client_that_waits_is_told_to_send(secured, client):
    for path, body in [(PATH, b'"here"'), ("/v1/import", b'{"key": "imported", "value": 1}\n')]:
        method = "PUT" if path == PATH else "POST"
        stream = send(client, {":method": method, ":path": path}, [("expect", "100-Continue")], secured.token, end=False)
        event = client.until(h2.events.InformationalResponseReceived, stream)
        assert dict(event.headers)[":status"] == "100"
        client.h2.send_data(stream, body, end_stream=True)
        client.flush()
        assert answer(client, stream)[0] == 200


def test_clients_that_wait_at_once_are_all_told_to_send(secured, client):
    """Between the frames of large answers, too."""
    reads = [client.ask("/api/read", {"keys": ["a", "b"]}, secured.token) for _ in range(3)]
    streams = [send(client, {":method": "PUT"}, [("expect", "100-continue")], secured.token, end=False) for _ in range(20)]
    told, statuses, ended = set(), [], set()
    while len(ended) < len(streams) + len(reads):
        event = client.until(h2.events.Event)
        assert event is not None and not isinstance(event, (h2.events.ConnectionTerminated, h2.events.StreamReset))
        if isinstance(event, h2.events.InformationalResponseReceived):
            told.add(event.stream_id)
            client.h2.send_data(event.stream_id, b'"here"', end_stream=True)
        elif isinstance(event, h2.events.DataReceived):
            client.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.ResponseReceived):
            statuses.append(dict(event.headers)[":status"])
        elif isinstance(event, h2.events.StreamEnded):
            ended.add(event.stream_id)
        client.flush()
    assert told == set(streams) and set(statuses) == {"200"}


@pytest.mark.parametrize(
    "pseudo,fields,token,expected",
    [
        ({":method": "PUT", ":path": PATH + "#x"}, (), True, 400),
        ({":method": "PUT"}, [("content-length", "99999999")], True, 413),
        ({":method": "PUT"}, [("content-encoding", "br")], True, 415),
        ({":method": "PUT", ":path": "/nowhere"}, (), True, 404),
        ({":method": "POST", ":path": "/v1/import"}, (), False, 401),
        ({":method": "PUT"}, (), False, 401),
        ({":method": "PUT"}, [("authorization", "Bearer x")], False, 401),
        ({":method": "PUT"}, [("content-length", "99999999")], False, 413),
    ],
)
def test_a_client_that_waits_is_told_at_once_what_is_wrong(secured, client, pseudo, fields, token, expected):
    fields = [("expect", "100-continue"), *fields]
    stream = send(client, pseudo, fields, secured.token if token else None, end=False)
    seen = []
    while not seen or not isinstance(seen[-1], h2.events.ResponseReceived):
        seen.append(client.until((h2.events.InformationalResponseReceived, h2.events.ResponseReceived), stream))
    assert [dict(event.headers)[":status"] for event in seen] == [str(expected)]


def test_a_body_that_is_there_is_read_without_an_interim_answer(secured, client):
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, [*{**PSEUDO, ":method": "PUT"}.items(), ("expect", "100-continue"),
                                    ("authorization", f"Bearer {secured.token}")])  # fmt: skip
    client.h2.send_data(stream, b'"here"', end_stream=True)
    client.flush()
    event = client.until((h2.events.InformationalResponseReceived, h2.events.ResponseReceived), stream)
    assert dict(event.headers)[":status"] == "200"
