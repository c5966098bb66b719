"""What only HTTP shows: paths, methods, statuses, exact bodies, the Authorization header, JSON, connections."""

import json

import jwt
import pytest

from support.contract import GOOD, INVALID_CREDENTIALS, UNAUTHENTICATED
from support.transports import LOGOUT, HttpTransport, bearer, written_status
from support.wire import BODY, CHECK

LOGOUT_REFUSED = {"message": "You have not been authorized!"}
REFUSED = {"message": UNAUTHENTICATED.message}
LOGIN_REFUSED = {"token": "-", "message": INVALID_CREDENTIALS.message}
PERSON = {"login": "bob1", "password": GOOD, "name": "Bob", "surname": "Stone"}
CREDENTIALS = {"login": "tester", "password": GOOD}
SECRET = "Unseen-Passw0rd!"

METHODS = {
    "/api/register": "POST",
    "/api/login": "POST",
    "/api/logout": "GET",
    "/api/check": "POST",
    "/api/read": "POST",
    "/api/write": "POST",
}


def answer(response) -> tuple:
    return response.status, response.json


# A request whole and its answer whole, in an order that lets each build on those before it.
FLOW = [
    ("register", "POST", "/api/register", PERSON, 201, {"message": "You have been successfully registered!"}),
    ("register_again", "POST", "/api/register", PERSON, 400, {"message": "A user with this login is already exists"}),
    ("login_unknown", "POST", "/api/login", {"login": "nobody", "password": GOOD}, 404, LOGIN_REFUSED),
    ("login_wrong", "POST", "/api/login", {"login": "bob1", "password": "wrong"}, 404, LOGIN_REFUSED),
    ("login_unruly", "POST", "/api/login", {"login": "", "password": ""}, 404, LOGIN_REFUSED),
    ("write", "POST", "/api/write", {"data": {"z1": 1, "a1": None}}, 201, {"status": "success"}),
    ("write_again", "POST", "/api/write", {"data": {"z1": 2, "new": 3, "a1": 4}}, 201,
     {"status": "success, but these keys have not been written: z1 a1. Because they have already been in kv store"}),
    ("read", "POST", "/api/read", {"keys": ["z1", "a1", "new"]}, 200, {"data": {"z1": 1, "a1": None, "new": 3}}),
    ("read_missing", "POST", "/api/read", {"keys": ["no2", "z1", "no1"]}, 400, {"message": "These keys don't exist: no2 no1"}),
    ("read_nothing", "POST", "/api/read", {"keys": []}, 400, {"message": "Incorrect keys: you have not passed any keys"}),
    ("write_nothing", "POST", "/api/write", {"data": {}}, 400, {"message": "Incorrect keys: you have not passed any keys"}),
    ("read_repeated", "POST", "/api/read", {"keys": ["b", "a", "a", "b", "a"]}, 400,
     {"message": "Incorrect keys: you cannot pass identical keys: b a"}),
    ("extra_members", "POST", "/api/read", {"page": [{}], "keys": ["z1"], "x": None}, 200, {"data": {"z1": 1}}),
    ("check", "POST", "/api/check", {"authorization": "Bearer {token}"}, 200, {"authorized": "YES"}),
    ("logout", "GET", "/api/logout", None, 200, {"message": LOGOUT}),
    ("check_revoked", "POST", "/api/check", {"authorization": "Bearer {token}"}, 200, {"authorized": "NO"}),
    ("read_revoked", "POST", "/api/read", {"keys": ["z1"]}, 401, REFUSED),
    ("write_revoked", "POST", "/api/write", {"data": {"z2": 1}}, 401, REFUSED),
    ("logout_revoked", "GET", "/api/logout", None, 401, LOGOUT_REFUSED),
]  # fmt: skip


@pytest.mark.parametrize("slash", ["", "/"], ids=["without_slash", "with_slash"])
def test_the_flow_of_a_client_is_answered_byte_for_byte(make, slash):
    instance = make().start()
    http = HttpTransport(instance)
    token = None
    for name, method, path, sent, status, expected in FLOW:
        if token is None and path == "/api/write":
            response = http.request("POST", "/api/login" + slash, {"login": "bob1", "password": GOOD})
            token = response.json["token"]
            expected_login = {"token": token, "message": "You have been successfully authenticated"}
            assert answer(response) == (201, expected_login)
        body = {"authorization": f"Bearer {token}"} if path == "/api/check" else sent
        response = http.request(method, path + slash, body, bearer(token) if token else {})
        assert answer(response) == (status, expected), name
        if status == 200 and "data" in expected:
            assert list(response.json["data"]) == body["keys"], name
    http.close()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", METHODS)
def test_a_wrong_method_is_answered_with_the_right_ones(http, path, slash, method):
    response = http.request(method, path + slash, {} if method in ("POST", "PUT", "PATCH") else None)
    if method == METHODS[path]:
        assert response.status not in (404, 405)
    else:
        assert response.status == 405 and response.json.keys() == {"message"}
        allowed = {word.strip() for word in response.headers["Allow"].split(",")}
        assert METHODS[path] in allowed and method not in allowed


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/", "/api/unknown", "/api/unknown/", "/api/read/more", "/api/rea", "/API/read", "/register/"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_not_found(http, method, path):
    response = http.request(method, path, {} if method == "POST" else None)
    assert response.status == 404 and response.json.keys() == {"message"}


def test_a_query_does_not_change_the_route(http):
    assert answer(http.request("POST", "/api/check/?a=1&b", {"authorization": "x"})) == (200, {"authorized": "NO"})


MEMBERS = {
    "/api/register": PERSON | {"password": SECRET},
    "/api/login": {"login": "tester", "password": SECRET},
    "/api/check": {"authorization": "Bearer x"},
    "/api/read": {"keys": ["k"]},
    "/api/write": {"data": {"k": 1}},
}
SHAPES = [
    *[(path, raw) for path in MEMBERS for raw in (
        b"", b" ", b"{", b"[]", b"null", b"1", b'"text"', b"{}", b"{'a': 1}", b"\xff", b"login=a&password=b",
    )],
    *[(path, json.dumps(body)[:-1].encode()) for path, body in MEMBERS.items()],
    *[(path, json.dumps(body).encode() + b"}") for path, body in MEMBERS.items()],
    *[(path, json.dumps(list(body.values())).encode()) for path, body in MEMBERS.items()],
    *[(path, json.dumps({one: value for one, value in body.items() if one != name}).encode())
      for path, body in MEMBERS.items() for name in body],
    *[(path, json.dumps(body | {name: wrong}).encode())
      for path, body in MEMBERS.items() for name in body for wrong in (None, 1, True, [1], [SECRET, None])],
    ("/api/read", b'{"keys": {"k": 1}}'), ("/api/read", b'{"keys": "k"}'), ("/api/read", b'{"keys": [["k"]]}'),
    ("/api/write", b'{"data": []}'), ("/api/write", b'{"data": "k"}'), ("/api/write", b'{"data": {k: 1}}'),
    ("/api/write", b'{"data": {"k": NaN}}'), ("/api/write", b'{"data": {"k": Infinity}}'),
    ("/api/write", b'{"data": {"k": 01}}'), ("/api/write", b'{"data": {"k": 1,}}'), ("/api/write", b'{"data": {"k": .5}}'),
]  # fmt: skip


@pytest.mark.parametrize("authorized", [False, True], ids=["without_token", "with_token"])
def test_a_body_of_another_shape_is_refused_before_the_token_and_never_echoed(http, token, authorized):
    for path, raw in SHAPES:
        response = http.request("POST", path, raw, bearer(token) if authorized else {})
        assert response.status == 422 and response.json.keys() == {"message"}, (path, raw, response)
        assert SECRET not in response.body.decode(), (path, raw)


# The header, and whether it authorizes; {} is a good token.
AUTHORIZATIONS = [
    ("Bearer {}", True), ("bearer {}", True), ("BEARER {}", True), ("bEaReR {}", True),
    ("{}", False), ("Bearer", False), ("Bearer ", False), ("", False), ("Basic {}", False), ("Bearer{}", False),
    ("Bearer {} {}", False), ("Bearer {} x", False), ("x Bearer {}", False), ("Bearers {}", False),
    ('Bearer "{}"', False), ("Bearer:{}", False), ("Token {}", False),
]  # fmt: skip


@pytest.mark.parametrize("header,good", AUTHORIZATIONS, ids=[header for header, _ in AUTHORIZATIONS])
def test_authorization_is_two_words_the_first_of_them_bearer_in_any_case(http, token, header, good):
    header = header.replace("{}", token)
    headers = {"Authorization": header}
    seen = answer(http.request("POST", "/api/read", {"keys": ["no"]}, headers))
    assert seen == ((400, {"message": "These keys don't exist: no"}) if good else (401, REFUSED))
    seen = answer(http.request("POST", "/api/check", {"authorization": header}))
    assert seen == (200, {"authorized": "YES" if good else "NO"})
    if not good:
        assert answer(http.request("POST", "/api/write", {"data": {"k": 1}}, headers)) == (401, REFUSED)
        assert answer(http.request("GET", "/api/logout", None, headers)) == (401, LOGOUT_REFUSED)


@pytest.mark.parametrize("path,body", [("read", {"keys": []}), ("read", {"keys": ["k", "k"]}), ("read", {"keys": [""]}),
                                       ("write", {"data": {}}), ("write", {"data": {"": 1}})])  # fmt: skip
def test_a_missing_header_is_reported_before_the_rules_on_keys(http, path, body):
    assert answer(http.request("POST", f"/api/{path}", body)) == (401, REFUSED)


def test_a_logout_without_a_header_is_refused(http):
    assert answer(http.request("GET", "/api/logout")) == (401, LOGOUT_REFUSED)


# JSON as it is sent, and as it has to come back.
JSON_VALUES = [
    ("1.0", "1.0"), ("-0.0", "-0.0"), ("100", "100"), ("18446744073709551615", "18446744073709551615"),
    ("-9223372036854775808", "-9223372036854775808"), ("18446744073709551616", "1.8446744073709552e19"),
    ("-9223372036854775809", "-9.223372036854775809e18"), ("1e2", "100.0"), ("1E-7", "1e-7"), ("1e-999", "0.0"),
    ("0.1000000000000000055511151231257827", "0.1"), (r'"\u0041\/\ud83e\udeb2\u0000"', '"A/🪲\\u0000"'),
    ('{"a": 1, "b": 2, "a": 3}', '{"a": 3, "b": 2}'), (" [ 1 ,\t2\r\n] ", "[1,2]"),
]  # fmt: skip


@pytest.mark.parametrize("sent,expected", JSON_VALUES, ids=[sent for sent, _ in JSON_VALUES])
def test_json_is_read_as_rfc_8259_means_it(http, token, sent, expected):
    key = f"json {sent}"
    raw = f'{{"data": {{{json.dumps(key)}: {sent}}}}}'.encode()
    assert answer(http.request("POST", "/api/write", raw, bearer(token))) == (201, {"status": "success"})
    value = http.request("POST", "/api/read", {"keys": [key]}, bearer(token)).json["data"][key]
    assert repr(value) == repr(json.loads(expected)) or value == {"a": 3, "b": 2} == json.loads(expected)


def test_a_key_named_twice_counts_once_with_its_last_value(http, token):
    raw = b'{"data": {"twice": 1, "once": 0, "twice": {"last": true}}}'
    assert answer(http.request("POST", "/api/write", raw, bearer(token))) == (201, {"status": "success"})
    response = http.request("POST", "/api/read", {"keys": ["twice"]}, bearer(token))
    assert answer(response) == (200, {"data": {"twice": {"last": True}}})
    again = http.request("POST", "/api/write", b'{"data": {"twice": 1, "twice": 2}}', bearer(token))
    assert answer(again) == (201, {"status": written_status(["twice"])})


def test_a_long_list_of_keys_is_named_whole(http, token):
    keys = [f"absent{n}" for n in range(1000)]
    response = http.request("POST", "/api/read", {"keys": keys}, bearer(token))
    assert answer(response) == (400, {"message": "These keys don't exist: " + " ".join(keys)})


def test_a_token_carries_what_its_readers_expect(instance, http):
    token = http.login("tester", GOOD).value
    public = (instance.data_dir / "jwt_public.pem").read_text()
    claims = jwt.decode(token, public, algorithms=["RS256"], options={"verify_aud": False, "require": ["jti", "exp", "iat"]})
    assert claims["username"] == claims["email"] == claims["sub"] == "tester"
    # Verification above also shows that `iat` is not in the future and `exp` not in the past, in UTC.
    assert claims["exp"] - claims["iat"] == 30 * 60
    another = jwt.decode(http.login("tester", GOOD).value, options={"verify_signature": False})
    assert another["jti"] != claims["jti"]


def test_pipelined_requests_are_answered_in_order_on_one_connection(wire, http, token):
    head = f"POST /api/read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    bodies = [json.dumps({"keys": [f"pipelined{n}"]}) for n in range(20)]
    wire.send("".join(f"{head}Content-Length: {len(body)}\r\n\r\n{body}" for body in bodies).encode())
    seen = [wire.answer().seen() for _ in bodies]
    assert seen == [(400, {"message": f"These keys don't exist: pipelined{n}"}) for n in range(20)]


def test_a_chunked_body_is_read(wire, token):
    body = json.dumps({"keys": ["chunked"]})
    chunks = "".join(f"1\r\n{char}\r\n" for char in body) + "0\r\n\r\n"
    head = f"POST /api/read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.send((head + chunks).encode())
    assert wire.answer().seen() == (400, {"message": "These keys don't exist: chunked"})


def test_a_client_that_expects_100_continue_is_told_to_continue(wire):
    body = json.dumps({"authorization": "x"}).encode()
    head = b"POST /api/check HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    wire.send(head % len(body))
    assert wire.answer().status == 100
    wire.send(body)
    assert wire.answer().seen() == (200, {"authorized": "NO"})


def test_connection_close_is_obeyed(wire):
    body = json.dumps({"authorization": "x"}).encode()
    head = b"POST /api/check HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    wire.send(head % len(body) + body)
    assert wire.answer().seen() == (200, {"authorized": "NO"})
    assert wire.rest() == b""


@pytest.mark.parametrize("line", ["PUT /api/login", "GET /api/read", "POST /api/logout", "GET /api/logout", "POST /api/unknown"])
def test_a_request_that_is_refused_before_its_body_came_leaves_the_connection_in_order(wire, line):
    """A client that sends the body after the header must get to see the answer, and use the connection on."""
    body = json.dumps({"authorization": "x"}).encode()
    head = "{} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n".format
    wire.send(head(line, len(body)).encode())
    answer = wire.answer()
    assert answer.status in (401, 404, 405)
    if answer.closes:
        return
    wire.send(body + head("POST /api/check", len(body)).encode() + body)
    assert wire.answer().seen() == (200, {"authorized": "NO"})


@pytest.mark.parametrize("rest", [b"\r\n", b"G", b"GET /api/logout HTTP/1.1\r\nHos"], ids=["line", "byte", "half_a_header"])
def test_an_answer_does_not_wait_for_what_follows_the_request(wire, rest):
    wire.send(CHECK + rest)
    assert wire.answer().seen() == (200, {"authorized": "NO"})


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1\r\nConnection: close"])
def test_an_answer_is_not_lost_when_the_connection_closes_with_bytes_unread(wire, version):
    wire.send(b"POST /api/check " + version + b"\r\nHost: x\r\nContent-Length: 22\r\n\r\n" + BODY + b"\r\n")
    assert wire.answer().seen() == (200, {"authorized": "NO"})


def test_a_client_that_has_sent_all_and_says_so_gets_its_answer(wire):
    wire.send(CHECK)
    wire.finish()
    assert wire.answer().seen() == (200, {"authorized": "NO"})


def test_a_name_repeated_anywhere_in_a_value_counts_once_and_the_last_value_wins(http, token):
    body = b'{"data": {"nested_twice": {"x": 1, "y": [{"a": 1, "a": {"b": 2, "\\u0062": 3}}], "x": [2]}}}'
    assert http.request("POST", "/api/write", body, bearer(token)).status == 201
    seen = http.request("POST", "/api/read", b'{"keys": ["nested_twice"]}', bearer(token)).body
    assert seen == b'{"data":{"nested_twice":{"x":[2],"y":[{"a":{"b":3}}]}}}'
