"""HTTP/2 frame by frame: what a client that keeps to the letter of RFC 9113 and means harm gets."""

from __future__ import annotations

import h2.events
import pytest

from support import harness
from support.http2 import LITTLE, Client, known


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    with known(tmp_path_factory.mktemp("http2"), **LITTLE) as secured:
        yield secured


def beside_four_that_are_not_taken(secured) -> int | None:
    """What a request is answered on a connection of four whose answers have begun and are not taken. None if there were no
    four, or if it comes too late: the instance waits two seconds for this client."""
    client = Client(secured, window=0)
    try:
        waiting = {client.ask("/api/read", {"keys": ["a", "b"]}, secured.token) for _ in range(4)}
        while waiting:
            head = client.until(h2.events.ResponseReceived)
            if head is None or dict(head.headers)[":status"] != "200":
                return None
            waiting.discard(head.stream_id)
        # Their places are free once the connection has ended, and not before: so this has its answer in time, or none.
        status = client.status(client.ask("/api/check", {"authorization": "x"}))
        assert client.until(h2.events.StreamEnded) is None
        return status
    except OSError:
        return None
    finally:
        client.close()


def test_answers_that_are_not_taken_end_the_connection_and_give_back_their_places(secured):
    seen = harness.wait_until(lambda: beside_four_that_are_not_taken(secured), "a client that is in time")
    assert seen == 503
    harness.wait_until(lambda: secured.check().status_code == 200, "the places are free")


def test_bodies_that_do_not_end_are_answered_and_give_back_their_places(secured):
    client = Client(secured)
    streams = [client.begin("/api/read", secured.token) for _ in range(4)]
    assert [client.status(stream) for stream in streams] == [408] * 4
    harness.wait_until(lambda: secured.check().status_code == 200, "the places are free")
    client.close()


def test_streams_that_are_reset_leave_nothing_behind(secured):
    client = Client(secured)
    for _ in range(200):
        try:
            stream = client.begin("/api/check")
            client.h2.reset_stream(stream)
            client.flush()
        except OSError:
            break  # it was told to go away, which is right
    client.close()
    harness.wait_until(lambda: secured.check().status_code == 200, "the places are free")


@pytest.mark.parametrize(
    "path,extra",
    [
        ("api/check", ()),
        ("", ()),
        ("/api/check", [("transfer-encoding", "chunked")]),
        ("/api/check", [("connection", "keep-alive")]),
        ("/api/check", [("content-length", "3")]),
        ("/api/check", [("content-length", "22"), ("content-length", "23")]),
        ("/api/check", [("x", "a\r\nb: c")]),
        ("/api/check", [("X", "a")]),
    ],
)
def test_a_head_that_is_no_http_2_is_refused(secured, path, extra):
    client = Client(secured)
    stream = client.begin(path, extra=extra)
    try:
        client.h2.send_data(stream, b'{"authorization": "x"}', end_stream=True)
        client.flush()
    except Exception:  # noqa: BLE001 - the library itself keeps to the length, or the connection is closed
        pass
    assert client.status(stream) in (None, 400, 404)
    client.close()
    assert secured.check().status_code == 200


def test_two_tokens_are_none(secured):
    client = Client(secured)
    extra = [("authorization", f"Bearer {secured.token}")]
    stream = client.begin("/api/read", secured.token, extra=extra)
    client.h2.send_data(stream, b'{"keys": ["a"]}', end_stream=True)
    client.flush()
    assert client.status(stream) == 401
    client.close()


def test_a_header_above_the_limit_is_refused(secured):
    client = Client(secured)
    stream = client.begin("/api/check", end=True, extra=[(f"x-{n}", "y" * 1000) for n in range(12)])
    assert client.status(stream) in (None, 431)
    client.close()
    assert secured.check().status_code == 200


def test_an_answer_without_a_body_has_no_length(secured):
    """RFC 9110 §8.6: with 204 and 304 it would be that of another answer."""
    client = Client(secured)

    def lengths(method, path, extra=()):
        stream = client.begin(path, secured.token, end=True, extra=extra, method=method)
        head = dict(client.until(h2.events.ResponseReceived, stream).headers)
        return head[":status"], head.get("content-length")

    stream = client.begin("/v1/kv/length", secured.token, method="PUT")
    client.h2.send_data(stream, b'"hello"', end_stream=True)
    client.flush()
    tag = dict(client.until(h2.events.ResponseReceived, stream).headers)["etag"]
    for method in ("GET", "HEAD"):
        assert lengths(method, "/v1/kv/length") == ("200", "7")
        assert lengths(method, "/v1/kv/length", [("if-none-match", tag)]) == ("304", None)
    assert lengths("OPTIONS", "/v1/kv/length") == ("204", None)
