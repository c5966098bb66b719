"""What the HTTP transport adds to the contract: types of bodies, methods, ids, Date, compression, CORS."""

import json
import re
import subprocess
import zlib
from email.utils import parsedate_to_datetime

import pytest

from support.harness import DEADLINE
from support.outcome import Ok
from support.transports import bearer
from support.wire import BODY, CHECK, Answer, Wire

LARGE = {f"key{n}": "the same again " * 20 for n in range(200)}


def ask(target, path: str = "/api/check", body: bytes | None = BODY, method: str | None = None, **headers: str) -> Answer:
    """One request on a connection of its own. `X_Y` in the names of headers is X-Y."""
    method = method or ("GET" if body is None else "POST")
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    with Wire(target) as wire:
        wire.send("\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode() + (body or b""))
        return wire.final(method)


TYPES = [
    ("application/json", 200), ("application/json; charset=utf-8", 200), ('APPLICATION/JSON ;Charset="UTF-8"', 200),
    ("application/json;charset=iso-8859-1", 200), ("application/vnd.api+json", 200), ("application/problem+JSON; x=y", 200),
    ("application/x-www-form-urlencoded", 200), ("text/plain", 415), ("text/json", 415), ("application/xml", 415),
    ("application/jsonx", 415), ("application/json+xml", 415), ("application", 415), ("json", 415), ("*/*", 415),
    ("application/octet-stream", 415), ("multipart/form-data; boundary=x", 415), ("text/plain; x=application/json", 415),
    ("application/jsonp; charset=utf-8", 415), ("image/svg+json", 415),
]  # fmt: skip


@pytest.mark.parametrize("value,status", TYPES)
@pytest.mark.parametrize("path", ["/api/check", "/api/check/"])
def test_a_body_is_json_or_says_nothing_else(instance, path, value, status):
    answer = ask(instance, path, Content_Type=value)
    assert answer.status == status and (status != 415 or answer.json.keys() == {"message"}), answer


def test_a_request_without_a_body_may_say_what_it_likes_of_it(instance):
    assert ask(instance, "/api/logout", None, Content_Type="text/plain").status == 401


@pytest.mark.parametrize("value,status", [("identity", 200), ("Identity", 200), ("gzip", 415), ("br", 415), ("GZIP", 415),
                                          ("identity, gzip", 415), ("x", 415), ("deflate", 415)])  # fmt: skip
def test_a_body_is_not_encoded(instance, value, status):
    answer = ask(instance, Content_Encoding=value)
    assert answer.status == status and (status != 415 or answer.json.keys() == {"message"}), answer


IDS = ["x", "A-z0.9_~+/=:-", "0" * 128, "550e8400-e29b-41d4-a716-446655440000"]
NO_IDS = ["", "0" * 129, "a b", "a,b", "<x>", '"x"', "x;y", "\u00e9", "x\ty", "{x}", "x%20", "x@y"]


def test_a_request_id_is_taken_where_it_is_one(instance):
    for given in IDS:
        assert ask(instance, X_Request_Id=given).header("X-Request-Id") == given


def test_a_request_id_is_made_where_none_is_given(instance):
    made = [ask(instance, X_Request_Id=given).header("X-Request-Id") for given in NO_IDS]
    made += [ask(instance).header("X-Request-Id") for _ in range(20)]
    assert len(set(made)) == len(made) and not set(made) & set(NO_IDS)
    assert all(re.fullmatch(r"[A-Za-z0-9._~+/=:-]{1,128}", one) for one in made), made


# Whatever can be answered: raw request, status.
ANSWERS = [
    (CHECK, 200), (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404), (b"PUT /api/read HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"GET /api/logout HTTP/1.1\r\nHost: x\r\n\r\n", 401), (b"POST /api/check HTTP/1.0\r\n\r\n", 422),
    (b"OPTIONS /api/check HTTP/1.1\r\nHost: x\r\n\r\n", 204), (b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    (b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 200), (b"hello\r\n\r\n", 400), (b"GET / HTTP/2.0\r\n\r\n", 505),
    (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
    (CHECK.replace(b" 22", b" 99999"), 413), (CHECK.replace(b"Host", b"Expect: x\r\nHost"), 417),
    (CHECK.replace(b"Host", b"Content-Type: x/y\r\nHost"), 415),
    (CHECK.replace(b"Content-Length: 22", b"Transfer-Encoding: chunked").replace(BODY, b"zz\r\n"), 400),
]  # fmt: skip


@pytest.mark.parametrize("raw,status", ANSWERS)
def test_every_answer_has_a_date_and_an_id_and_no_name_of_the_server(instance, raw, status):
    with Wire(instance) as wire:
        wire.send(raw)
        answer = wire.final()
    assert answer.status == status
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.header("Date"))
    assert parsedate_to_datetime(answer.header("Date"))
    assert answer.header("X-Request-Id") and answer.header("Server") is None


def test_the_name_of_the_server_is_a_setting(make):
    instance = make(AUTHKV_HTTP_SERVER="authkv (test)").start()
    for raw, _ in ANSWERS[:4]:
        with Wire(instance) as wire:
            wire.send(raw)
            assert wire.answer().header("Server") == "authkv (test)"


# Accept-Encoding, and the codings an answer may have; None is as it is.
CODINGS = [
    (None, {None}), ("", {None}), ("identity", {None}), ("deflate", {None}), ("zstd, compress", {None}), ("gzip", {"gzip"}),
    ("br", {"br"}), ("GZip", {"gzip"}), ("gzip, br", {"gzip", "br"}), ("gzip;q=0, br", {"br"}), ("br;q=0, gzip", {"gzip"}),
    ("br;q=0.1, gzip;q=0.9", {"gzip"}), ("gzip;q=0.1, br;q=0.9", {"br"}), ("gzip ; q=0.001", {"gzip"}), ("gzip;q=0", {None}),
    ("gzip;q=0.000", {None}), ("gzip;Q=0", {None}), ("*;q=0", {None}), ("*;q=0, gzip", {"gzip"}),
    ("*", {None, "gzip", "br"}), ("gzip;q=0, br;q=0, *", {None}), ("identity;q=0, gzip", {"gzip"}), ("identity;q=1, gzip;q=0.5", {None}),
    ("identity;q=0.5, gzip;q=1", {"gzip"}), ("gzipx", {None}), ("x-gzip", {None, "gzip"}), ("gzip;q=x", {None, "gzip"}),
    (",, gzip,", {"gzip"}), ("deflate, gzip;q=1.0, *;q=0.5", {"gzip", "br"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def large(http, token):
    assert http.put(token, LARGE | {"small": "x" * 100}) == Ok([])


def read(instance, token: str, keys: list, **headers: str) -> Answer:
    return ask(instance, "/api/read", json.dumps({"keys": keys}).encode(), **headers, **bearer(token))


@pytest.mark.parametrize("accepted,codings", CODINGS, ids=[str(accepted) for accepted, _ in CODINGS])
def test_a_large_answer_is_compressed_as_its_reader_asks(instance, token, large, accepted, codings):
    headers = {} if accepted is None else {"Accept_Encoding": accepted}
    answer = read(instance, token, list(LARGE), **headers)
    coding = answer.header("Content-Encoding")
    assert answer.status == 200 and coding in codings and "accept-encoding" in answer.words("Vary"), answer.headers
    body = zlib.decompress(answer.body, 31) if coding == "gzip" else answer.body
    assert coding == "br" or json.loads(body) == {"data": LARGE}
    assert coding is None or len(answer.body) < len(json.dumps(LARGE)) // 4
    assert read(instance, token, ["small"], **headers).json == {"data": {"small": "x" * 100}}


@pytest.mark.parametrize("coding", ["gzip", "br", "br, gzip", "identity"])
def test_curl_reads_what_is_compressed(instance, token, large, coding):
    url, body = f"{instance.url}/api/read", json.dumps({"keys": list(LARGE)})
    # `--compressed` decodes; the header after it says what is asked for.
    asked = [f"-HAccept-Encoding: {coding}", f"-HAuthorization: Bearer {token}"]
    curl = ["curl", "-sS", "--fail", "--compressed", *asked, "-d", body, url]
    assert json.loads(subprocess.run(curl, check=True, capture_output=True, timeout=DEADLINE).stdout) == {"data": LARGE}


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
def test_head_of_a_page_is_the_head_of_get_without_its_body(wire, path):
    wire.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    whole = wire.answer()
    wire.send(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head = wire.answer("HEAD")
    assert (whole.status, head.status) == (200, 200) and whole.body
    for name in ("Content-Type", "Content-Length", "Vary", "ETag"):
        assert head.header(name) == whole.header(name), name
    wire.send(CHECK)
    assert wire.answer().status == 200


METHODS = {"register": "POST", "login": "POST", "logout": "GET", "check": "POST", "read": "POST", "write": "POST"}


@pytest.mark.parametrize("path", METHODS)
def test_a_path_says_which_methods_it_has(wire, path):
    wire.send(f"OPTIONS /api/{path}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = wire.answer()
    assert answer.status == 204 and METHODS[path].lower() in answer.words("Allow")
    for method in {"HEAD", "GET", "POST", "PUT", "DELETE", "TRACE", "x"} - {METHODS[path]}:
        wire.send(f"{method} /api/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        answer = wire.answer(method)
        assert answer.status == 405 and METHODS[path].lower() in answer.words("Allow"), (method, answer)
        assert method.lower() not in answer.words("Allow")


@pytest.mark.parametrize("target", ["x.example:443", "/api/check"])
def test_connect_is_refused(wire, target):
    wire.send(f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert 400 <= wire.answer().status < 500


def allowed(answer: Answer) -> dict:
    return {name: value for name, value in answer.headers if name.startswith("access-control-")}


PREFLIGHT = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization, content-type"}


def test_pages_of_other_origins_are_told_nothing_by_default(instance):
    assert allowed(ask(instance, Origin="https://a.example")) == {}
    assert allowed(ask(instance, body=None, method="OPTIONS", Origin="https://a.example", **PREFLIGHT)) == {}


LISTED = "https://a.example,http://b.example:8080"
# What is set, and for each origin what it may be answered with; nothing: it is told nothing.
ORIGINS = {
    LISTED: {
        "https://a.example": {"https://a.example"}, "http://b.example:8080": {"http://b.example:8080"}, "null": set(),
        "http://a.example": set(), "https://a.example.evil": set(), "http://b.example": set(), "https://x.a.example": set(),
    },
    "https://*.shop.example, http://*.localhost:3000": {
        "https://a.shop.example": {"https://a.shop.example"}, "https://a.b.shop.example": {"https://a.b.shop.example"},
        "http://x.localhost:3000": {"http://x.localhost:3000"},
        "https://shop.example": set(), "https://evilshop.example": set(), "https://.shop.example": set(), "http://a.shop.example": set(),
        "https://a.shop.example:8443": set(), "https://a.shop.example.evil": set(), "https://evil/.shop.example": set(), "null": set(),
        "http://x.localhost": set(), "http://localhost:3000": set(),
    },
    "*": {"https://a.example": {"*", "https://a.example"}, "null": {"*", "null"}},
}  # fmt: skip


@pytest.mark.parametrize("setting", ORIGINS)
def test_pages_of_the_origins_that_are_set_may_call(make, setting):
    instance = make(AUTHKV_HTTP_CORS_ORIGINS=setting).start()
    for origin, expected in ORIGINS[setting].items():
        preflight = ask(instance, body=None, method="OPTIONS", Origin=origin, **PREFLIGHT)
        answers = [preflight, ask(instance, Origin=origin), ask(instance, "/api/logout", None, Origin=origin),
                   ask(instance, "/api/x", Origin=origin), ask(instance, body=b"x", Origin=origin)]  # fmt: skip
        assert [answer.status for answer in answers] == [204, 200, 401, 404, 422]
        for answer in answers:
            given = answer.header("Access-Control-Allow-Origin")
            assert given in expected if expected else allowed(answer) == {}, answer
            assert given == "*" or "origin" in answer.words("Vary"), answer
            assert answer.header("Access-Control-Allow-Credentials") is None
        if expected:
            assert "post" in preflight.words("Access-Control-Allow-Methods")
            assert {"authorization", "content-type"} <= preflight.words("Access-Control-Allow-Headers")
    assert allowed(ask(instance)).get("access-control-allow-origin") in {None, "*"}
