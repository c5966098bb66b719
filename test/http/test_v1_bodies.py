"""What bodies and lines look like to programs that others wrote: a byte order mark, names of NDJSON, gzip, ends of lines of
Unicode."""

import gzip
import http.client
import io
import json
import re
import time
import zlib
from pathlib import Path

import pytest

from support.bulk import NDJSON, ask, chunks, counts, export, is_complete, line, lines, read, send
from support.harness import DEADLINE, HOST
from support.lua import lua
from support.outcome import ANY, Ok
from support.people import PASSWORD
from support.sse import Stream
from support.transports import TRANSPORTS, bearer
from support.v1 import problem

MARK = b"\xef\xbb\xbf"
GZIP = {"Content-Encoding": "gzip"}
# What ends a line to some readers, besides what JSON escapes.
ENDS = ["\u2028", "\u2029", "\u0085"]


@pytest.mark.parametrize("transport", [transport for transport in TRANSPORTS if transport in ("http", "rock")])
def test_a_mark_before_a_json_body_is_skipped_once(people, token, key, transport):
    http, who = people.transport(transport), bearer(token)
    path = f"/v1/kv/{key.replace('/', '%2F')}"

    def post(path: str, body, method: str = "POST", headers=who):
        return http.request(method, path, body if isinstance(body, bytes) else MARK + json.dumps(body).encode(), headers)

    assert post("/v1/batch/put", {"pairs": [{"key": key, "value": 1}]}).json["committed"]
    assert post("/v1/batch/get", {"keys": [key]}).json["pairs"][0]["value"] == 1
    assert post(path, ["\ufeff"], "PUT").status == 200
    assert http.request("GET", path, None, who).body == '["\ufeff"]'.encode()
    assert post("/api/read", {"keys": [key]}).json["data"] == {key: ["\ufeff"]}
    assert post("/v1/txn", {"success": [{"op": "delete", "key": key}]}).json["succeeded"]
    assert post(f"{path}/incr", {}).json["value"] == 1
    assert post(f"{path}/incr", MARK).json["value"] == 2
    assert post("/v1/introspect", {"token": token}, headers=bearer(people.admin)).json["active"]
    assert post("/v1/login", {"login": people.new().login, "password": PASSWORD}, headers={}).status == 200
    for body in (MARK + MARK + b"{}", MARK, b"{}" + MARK, b" " + MARK + b"{}", MARK[:2] + b"{}"):
        assert problem(post("/v1/txn", body), token).name == "malformed", body
        assert problem(post(path, body, "PUT"), token).name == "malformed", body


def test_a_mark_is_kept_in_what_is_no_json(people, token, key):
    path = f"/v1/kv/{key.replace('/', '%2F')}"
    people.http.request("PUT", path, MARK + b"text", bearer(token) | {"Content-Type": "text/plain"})
    assert people.http.request("GET", path, None, bearer(token)).body == MARK + b"text"


def test_a_mark_before_an_import_is_skipped_once(people, token, prefix, tmp_path):
    body = MARK + line(f"{prefix}a") + line(f"{prefix}b")
    for sent in (body, chunks(body, 1), chunks(body, 2)):
        assert send(people, token, sent).done == counts(lines=2, written=2)
    assert send(people, token, MARK).done == counts()
    assert send(people, token, MARK + b"\n" + line(f"{prefix}c")).done == counts(lines=1, written=1)
    for broken, at in ((MARK + body, 1), (line(f"{prefix}d") + body, 2), (b"\n" + body, 2)):
        response = ask(people, "POST", "/v1/import", token, broken)
        assert problem(response, token, {"line"}).name == "malformed" and response.problem["line"] == at
    file = tmp_path / "pairs.ndjson"
    file.write_bytes(body)
    assert people.console.outcome(f"authkv.import({lua(str(file))})") == Ok(counts(lines=2, written=2))
    file.write_bytes(line(f"{prefix}d") + body)
    assert people.console.outcome(f"authkv.import({lua(str(file))})").name == "malformed"


@pytest.mark.parametrize(
    "content_type", [NDJSON, "application/ndjson", "application/jsonl", "Application/JSONL; charset=utf-8", "application/json", None]
)
def test_ndjson_has_several_names(people, token, prefix, content_type):
    headers = {} if content_type is None else {"Content-Type": content_type}
    connection = http.client.HTTPConnection(HOST, people.instance.http_port, timeout=DEADLINE)
    connection.request("POST", "/v1/import", line(f"{prefix}a"), bearer(token) | headers)
    response = connection.getresponse()
    (told,) = lines(response.read())
    assert response.status == 200 and is_complete(told, counts(lines=1, written=1))
    connection.close()


@pytest.mark.parametrize("content_type", ["application/ndjson", "application/jsonl", NDJSON])
def test_elsewhere_they_are_no_json(people, token, content_type):
    response = people.http.request("POST", "/v1/batch/get", b'{"keys":["a"]}', bearer(token) | {"Content-Type": content_type})
    assert response.status == 415 and response.headers["Accept-Encoding"] is None


def many(prefix: str, count: int = 5000) -> bytes:
    return b"".join(line(f"{prefix}{n:05}", {"n": n, "text": "ж" * (n % 50)}) for n in range(count))


@pytest.mark.parametrize("coding", ["gzip", "GZip", "x-gzip"])
@pytest.mark.parametrize("size", [None, 1, 7, 1000, 60_000])
def test_an_import_may_be_in_gzip(people, token, prefix, coding, size):
    whole = many(prefix, 5000 if size != 1 else 50)
    body = gzip.compress(whole)
    sent = body if size is None else chunks(body, size)
    response = ask(people, "POST", "/v1/import", token, sent, {"Content-Encoding": coding})
    assert response.status == 200, response
    count = whole.count(b"\n")
    assert is_complete(lines(response.body)[-1], counts(lines=count, written=count))
    assert len(read(people, token, prefix)) == count


def test_members_of_gzip_are_one_text(people, token, prefix):
    """RFC 1952 §2.2; a line may end in another one than it began in."""
    a, b, c = line(f"{prefix}a"), line(f"{prefix}b"), line(f"{prefix}c")
    body = gzip.compress(a + b[:5]) + gzip.compress(b"") + gzip.compress(b[5:] + c)
    for sent in (body, chunks(body, 3)):
        response = ask(people, "POST", "/v1/import", token, sent, GZIP)
        (told,) = lines(response.body)
        assert is_complete(told, counts(lines=3, written=3))


def test_a_mark_within_gzip_is_skipped_too(people, token, prefix):
    response = ask(people, "POST", "/v1/import", token, gzip.compress(MARK + line(f"{prefix}a")), GZIP)
    (told,) = lines(response.body)
    assert is_complete(told, counts(lines=1, written=1))


def test_what_was_whole_before_gzip_broke_is_written(people, token, prefix):
    whole = many(prefix, 3000)
    body = gzip.compress(whole)
    spoilt = bytearray(body)
    spoilt[-6] ^= 1
    cases = {
        "cut": body[:-9],
        "cut in its middle": body[: len(body) // 2],
        "a wrong sum": bytes(spoilt),
        "more": body + b"x",
        "a head alone": body[:10],
        "nothing": b"",
    }
    for name, sent in cases.items():
        response = ask(people, "POST", "/v1/import", token, sent, GZIP)
        seen = problem(response, token, {"line"})
        assert (seen.name, response.status) == ("malformed", 400) and "gzip" in seen.message, name
        assert response.problem["line"] <= 3001, name
    assert len(read(people, token, prefix)) == 3000


@pytest.mark.parametrize("body", [zlib.compress(b'{"key":"a","value":1}\n'), b'{"key":"a","value":1}\n', b"\x1f\x8b\x09" + b"\0" * 20])
def test_what_is_no_gzip_is_refused(people, token, body):
    assert problem(ask(people, "POST", "/v1/import", token, body, GZIP), token, {"line"}).name == "malformed"


def bomb(piece: bytes, times: int) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as file:
        for _ in range(times):
            file.write(piece)
    return out.getvalue()


def peak(instance) -> int:
    """The most memory that the process has had, in bytes."""
    status = Path(f"/proc/{instance.process.pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024


@pytest.mark.parametrize(
    "piece",
    [b"\n" * (1 << 20), b" " * (1 << 20), b" \n" * (1 << 19), b'"' + b"a" * ((1 << 20) - 1), b"[" * (1 << 20), b"\0" * (1 << 20),
     b'{"key":"a","value":"' + b"x" * (1 << 20)],
    ids=["lines", "blanks", "blank_lines", "text", "brackets", "zeros", "a_value"],
)  # fmt: skip
def test_a_bomb_ends_with_the_limit_that_it_breaks(people, token, piece):
    body = bomb(piece, 160)
    assert len(body) < 1_000_000
    people.http.request("GET", "/v1/kv/x", None, bearer(token))
    before, begun = peak(people.instance), time.monotonic()
    response = ask(people, "POST", "/v1/import", token, body, GZIP)
    # It may take long enough for a line of progress, where the machine is busy.
    told = response.problem if response.status != 200 else lines(response.body)[-1]["error"]
    assert (told["code"], told["status"]) == ("input_too_large", 413) and "8388608" in told["detail"]
    assert peak(people.instance) - before < 100_000_000 and time.monotonic() - begun < 30


def test_others_have_their_turn_while_a_bomb_is_inflated(make, visit):
    """With lines that are all in order, and left out because their time is over, so that there is nothing to wait for."""
    instance = make(AUTHKV_HTTP_WORKERS="1").start()
    people = visit(instance)
    body = bomb(line("expired", "x" * 200, expires_at=1.5) * 1000, 200)
    connection = http.client.HTTPConnection(HOST, instance.http_port, timeout=DEADLINE)
    connection.request("POST", "/v1/import", body, bearer(people.admin) | GZIP | {"Content-Type": NDJSON})
    slowest = 0.0
    for _ in range(20):
        begun = time.monotonic()
        assert people.http.request("GET", "/v1/me", None, bearer(people.admin)).status == 200
        slowest = max(slowest, time.monotonic() - begun)
    assert slowest < 2, slowest
    response = connection.getresponse()
    assert is_complete(lines(response.read())[-1], counts(lines=200_000, expired=200_000))
    connection.close()


@pytest.mark.parametrize(
    "coding", ["br", "deflate", "zstd", "compress", "gzip, gzip", "gzip, identity", "identity, gzip", "", "gzip;q=1", "x"]
)
def test_another_coding_is_refused_with_those_that_are_taken(people, token, coding):
    """RFC 9110 §15.5.16."""
    for path, taken in (("/v1/import", {"gzip", "identity"}), ("/v1/batch/get", {"identity"}), ("/api/read", {"identity"})):
        response = people.http.request("POST", path, b"{}", bearer(token) | {"Content-Encoding": coding})
        assert response.status == 415, (path, coding)
        assert {one.strip() for one in response.headers["Accept-Encoding"].split(",")} == taken
    for path in ("/v1/batch/get", "/v1/txn", "/v1/login", "/api/read"):
        response = people.http.request("POST", path, gzip.compress(b"{}"), bearer(token) | GZIP)
        assert (response.status, response.headers["Accept-Encoding"]) == (415, "identity")
    response = people.http.request("PUT", "/v1/kv/coded", gzip.compress(b"1"), bearer(token) | GZIP)
    assert (response.status, response.headers["Accept-Encoding"]) == (415, "identity")


def test_a_type_that_is_refused_says_nothing_of_codings(people, token):
    for path in ("/v1/import", "/v1/batch/get"):
        response = people.http.request("POST", path, b"{}", bearer(token) | {"Content-Type": "image/png"})
        assert response.status == 415 and response.headers["Accept-Encoding"] is None


def test_a_coding_of_nothing_is_none(people, token, prefix):
    response = ask(people, "POST", "/v1/import", token, line(f"{prefix}a"), {"Content-Encoding": "identity"})
    (told,) = lines(response.body)
    assert is_complete(told, counts(lines=1, written=1))


def one_line(text: bytes) -> None:
    """Line readers of Python, and of what follows Unicode, see the lines that there are."""
    assert len(text.decode().splitlines()) == text.count(b"\n")


def test_ends_of_lines_are_escaped_in_exports(people, token, prefix, tmp_path):
    values = {f"{prefix}{end}key{n}": {f"a{end}": [end, f"—{end}â\u00a0", end * 3]} for n, end in enumerate(ENDS)}
    people.expect("http", ANY, "batch_put", token, [{"key": name, "value": value} for name, value in values.items()])
    body = export(people, token, prefix).body
    one_line(body)
    assert {one["key"]: one["value"] for one in lines(body)} == values
    file = tmp_path / "pairs.ndjson"
    people.console.outcome(f"authkv.export({lua(str(file))}, {{prefix = {lua(prefix)}}})")
    assert file.read_bytes() == body
    # The way back.
    people.do("http", "batch_delete", token, list(values))
    assert send(people, token, body).done["written"] == len(values)
    assert {name: one["value"] for name, one in read(people, token, prefix).items()} == values


def test_ends_of_lines_are_escaped_in_events(people, token, prefix):
    stream = Stream(people.instance, token, prefix=prefix)
    for n, end in enumerate(ENDS):
        value = {end: f"{end}я{end}"}
        people.do("http", "pair_put", token, f"{prefix}{n}{end}", value)
        people.do("http", "pair_delete", token, f"{prefix}{n}{end}")
        assert stream.event().change == ("put", f"{prefix}{n}{end}", value)
        assert stream.event().change == ("delete", f"{prefix}{n}{end}")
    stream.connection.close()
    # The bytes themselves: they are the same again from the first revision on.
    connection = http.client.HTTPConnection(HOST, people.instance.http_port, timeout=DEADLINE)
    connection.request("GET", f"/v1/watch?prefix={prefix.replace('/', '%2F')}&after={stream.first.data['revision']}", headers=bearer(token))
    response, raw = connection.getresponse(), b""
    while raw.count(b"event: delete") < len(ENDS):
        raw += response.readline()
    one_line(raw)
    assert all(end.encode() not in raw for end in ENDS)
    connection.close()
