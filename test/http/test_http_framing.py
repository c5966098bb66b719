"""What may not be sent: a request whose end two readers could see in different places (RFC 9112 §11.2), and all
else that is no strict HTTP/1.1. It is answered once, the connection closes, and what follows is never served.
"""

import re
import socket

import pytest

from support.framing import BROKEN, CHUNKED, FORMS, LENGTH, with_lines
from support.wire import BODY, CHECK, NO, Wire, write_request

# A first line that says what the request is for, whatever else is wrong.
KNOWN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ (?:https?://[^/ ]*)?(/[!-~]*)")


def refused(wire: Wire, statuses: set[int], raw: bytes) -> None:
    """One answer comes, that it is refused, in the form of its path, and then the end."""
    answer = wire.answer()
    assert answer.status in statuses, answer
    known = KNOWN.match(raw)
    assert answer.failure(known and known[1].decode()) and answer.closes, answer
    assert wire.rest() == b""


@pytest.mark.parametrize("name", FORMS)
def test_a_frame_that_is_broken_is_refused_and_nothing_after_it_is_served(instance, http, token, name):
    raw, statuses = FORMS[name]
    key = f"smuggled by {list(FORMS).index(name)}"
    smuggled = write_request(token, key)
    with Wire(instance) as wire:
        wire.send(raw + smuggled)
        refused(wire, statuses, raw)
    with Wire(instance) as wire:
        wire.send(CHECK + raw + smuggled)
        assert wire.answer().seen() == (200, NO)
        refused(wire, statuses, raw)
    if len(raw) < 1000:
        with Wire(instance) as wire:
            wire.drip(raw + smuggled)
            refused(wire, statuses, raw)
    assert http.get(token, [key]).code == 400


def test_what_is_looked_for_above_is_there_where_it_is_served(instance, http, token):
    """Otherwise the test above would show nothing."""
    with Wire(instance) as wire:
        wire.send(CHECK + write_request(token, "not_smuggled"))
        assert wire.answer().seen() == (200, NO)
        assert wire.answer().status == 201
    assert http.get(token, ["not_smuggled"]).value == {"not_smuggled": 1}


@pytest.mark.parametrize("lines", [LENGTH, CHUNKED], ids=["length", "chunked"])
def test_a_request_inside_a_body_is_a_body(instance, http, token, lines):
    inside = write_request(token, "inside")
    if lines == LENGTH:
        raw = with_lines(b"Content-Length: %d\r\n" % len(inside), inside)
    else:
        raw = with_lines(CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(inside), inside))
    with Wire(instance) as wire:
        wire.send(raw + CHECK)
        assert wire.answer().status == 422
        assert wire.answer().seen() == (200, NO)
    assert http.get(token, ["inside"]).code == 400


@pytest.mark.parametrize("garbage", [b"{}", b"\0", b"x" * 100 + b"\r\n\r\n", b"0\r\n\r\n", BODY + b"\r\n\r\n"])
def test_garbage_after_a_request_is_refused_after_its_answer(instance, garbage):
    with Wire(instance) as wire:
        wire.send(CHECK + garbage + b"\r\n\r\n" + CHECK)
        assert wire.answer().seen() == (200, NO)
        refused(wire, BROKEN, garbage)


@pytest.mark.parametrize("path", ["/v1/me", "/v1", "/v1x", "/v1/kv/a?b", "/.well-known/x", "/docs", "/api/v1", "/"])
@pytest.mark.parametrize(
    "head,status",
    [
        ("GET {} HTTP/1.1\r\n\r\n", 400),
        ("GET {} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        ("GET {}#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET {}\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET {} HTTP/1.1\nHost: a\r\n\r\n", 400),
        ("GET {} HTTP/1.1\r\nHost: a\r\nX: \0", 400),
        ("GET http://u@a{} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET {} HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417),
        ("GET {} HTTP/1.1\r\nHost: a\r\n" + "X: y\r\n" * 100 + "\r\n", 431),
        ("GET {} HTTP/1.1\r\nHost: a\r\nX: " + "y" * 9000, 431),
        ("GET {}?" + "y" * 9000, 431),
        ("GET {} HTTP/1.2\r\n\r\n", 505),
        ("GET {} HTTP/2.0\r\n\r\n", 505),
    ],
)
def test_a_refusal_has_the_form_of_its_path(instance, path, head, status):
    with Wire(instance) as wire:
        wire.send(head.format(path).encode("latin-1"))
        answer = wire.answer()
        assert answer.status == status and answer.failure(path), answer


@pytest.mark.parametrize("raw", ["GET /v", "GET /", "GET", "\x16\x03\x01", "GET v1/me HTTP/1.1\r\n\r\n", "\nGET /v1/me HTTP/1.1\r\n"])
def test_a_refusal_without_a_path_has_both_forms(instance, raw):
    with Wire(instance) as wire:
        wire.send(raw.encode())
        # No more of it comes.
        wire.socket.shutdown(socket.SHUT_WR)
        answer = wire.answer()
        assert answer.status == 400 and answer.failure(None), answer
