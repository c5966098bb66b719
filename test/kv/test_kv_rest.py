"""REST for one key, `/v1/kv/{key}`: conditions, entity tags, bytes with a type of their own, and what a cache is told.

Section numbers are those of RFC 9110.
"""

import json
import time
from itertools import product

import pytest

from support import rest
from support.clock import pass_by
from support.kv_rows import ahead
from support.outcome import Ok, Refusal
from support.people import permission
from support.transports import HttpTransport, Response, bearer
from support.v1 import problem

JSON, FORM, BYTES = "application/json", "application/x-www-form-urlencoded", "application/octet-stream"


class Rest:
    """A user at one connection."""

    def __init__(self, http: HttpTransport, token: str):
        self.http, self.token = http, token

    def ask(self, method: str, key: str, body: bytes | None = None, query: dict | None = None, **headers) -> Response:
        """Underscores in the names of headers are hyphens. Without a content type there is none."""
        given = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        path = rest.path(key, **(query or {}))
        if body is not None and "Content-Type" not in given:
            return self._untyped(method, path, body, given | bearer(self.token))
        return self.http.request(method, path, body, given | bearer(self.token))

    def _untyped(self, method: str, path: str, body: bytes, headers: dict) -> Response:
        self.http.connection.request(method, path, body, headers)
        response = self.http.connection.getresponse()
        return Response(response.status, response.headers, response.read())

    def get(self, key: str, **headers) -> Response:
        return self.ask("GET", key, **headers)

    def put(self, key: str, body: bytes = b"1", query: dict | None = None, **headers) -> Response:
        return self.ask("PUT", key, body, query, **{"Content_Type": JSON} | headers)

    def delete(self, key: str, **headers) -> Response:
        return self.ask("DELETE", key, **headers)

    def refused(self, response: Response) -> Refusal:
        return problem(response, self.token)

    def revision(self, key: str, body: bytes = b"1", **headers) -> int:
        """Writes it, and gives the revision."""
        response = self.put(key, body, **headers)
        assert response.status in (200, 201), response
        return rest.revision(response)


@pytest.fixture(scope="module")
def user(people) -> Rest:
    return Rest(people.http, people.new().access)


def tag(*revisions) -> str:
    return ", ".join(f'"{one}"' for one in revisions)


def is_missing(user: Rest, key: str) -> bool:
    return user.get(key).status == 404


def test_a_put_makes_a_pair_and_then_replaces_it(user, key):
    first = user.put(key, b'{"a": [1, null]}')
    assert first.status == 201
    assert first.json == {"key": key, "revision": rest.revision(first), "created": True}
    second = user.put(key, b'"text"')
    assert second.status == 200
    assert second.json == {"key": key, "revision": rest.revision(second), "created": False}
    assert rest.revision(second) > rest.revision(first)
    shown = user.get(key)
    assert (shown.status, shown.json, rest.revision(shown)) == (200, "text", rest.revision(second))


def test_a_get_says_all_of_a_pair_in_headers(user, key):
    revision = user.revision(key, b'{"a":1}', query={"ttl": 60})
    shown = user.get(key)
    assert shown.body == b'{"a":1}' and rest.revision(shown) == revision
    assert ahead(60).holds(float(shown.headers["Authkv-Expires-At"]))
    for name, value in rest.GUARDED.items():
        assert shown.headers.get_all(name) == [value]
    user.revision(key)
    assert user.get(key).headers["Authkv-Expires-At"] is None


def test_a_head_is_a_get_without_its_body(user, key):
    for body, content_type in ((b'{"a": 1}', JSON), (b"\x89PNG" * 100, "image/png")):
        user.revision(key, body, Content_Type=content_type, query={"ttl": 60})
        shown, head = user.get(key), user.ask("HEAD", key)
        assert head.status == 200 and head.body == b""
        for name in ("ETag", "Content-Type", "Content-Length", "Authkv-Expires-At", *rest.GUARDED):
            assert head.headers[name] == shown.headers[name], name


def test_a_head_of_a_missing_key_is_not_found_and_has_no_body(user, key):
    head = user.ask("HEAD", key)
    assert (head.status, head.body) == (404, b"")


def test_a_delete_deletes_once(user, key):
    revision = user.revision(key)
    response = user.delete(key)
    assert response.status == 200
    assert response.json == {"deleted": True, "revision": response.json["revision"]} and response.json["revision"] > revision
    assert user.refused(user.delete(key)) == Refusal("no_such_key", 404, f"The key {key} does not exist")
    assert user.refused(user.get(key)) == Refusal("no_such_key", 404, f"The key {key} does not exist")


# Values of JSON, as bytes of a body and as they come back.
BODIES = [
    (b"null", None), (b"true", True), (b"0", 0), (b"-1", -1), (b"18446744073709551615", 2**64 - 1), (b"1.0", 1.0), (b'""', ""),
    (b"[]", []), (b"{}", {}), (b' {"b": 1, "a": [{}]} ', {"b": 1, "a": [{}]}), ('"ж"'.encode(), "ж"), (b'"\\u0436"', "ж"),
]  # fmt: skip
# What says that a body is JSON; None is no header at all.
JSON_TYPES = [None, JSON, "application/json; charset=utf-8", "Application/JSON", "application/json;a=b;c=d", FORM, f"{FORM}; charset=utf-8"]


@pytest.mark.parametrize("content_type", JSON_TYPES)
def test_a_body_that_is_json_is_the_value(user, key, content_type):
    for body, value in BODIES:
        assert user.put(key, body, Content_Type=content_type).status in (200, 201), body
        shown = user.get(key)
        assert repr(shown.json) == repr(value) and list(shown.headers.get_all("Content-Type")) == [JSON]


@pytest.mark.parametrize("content_type", JSON_TYPES)
@pytest.mark.parametrize("body", [b"", b" ", b"{", b"nul", b"1 2", b"\xff", b'"\xff"', b"a=b", b"NaN", b'{"a": 1e999}'])
def test_a_body_that_is_to_be_json_and_is_not_is_malformed(user, key, content_type, body):
    seen = user.refused(user.put(key, body, Content_Type=content_type))
    assert seen.name in ({"malformed", "bad_value"} if b"e999" in body else {"malformed"}) and is_missing(user, key)


@pytest.mark.parametrize(
    "content_type",
    [BYTES, "image/png", "text/plain", "text/plain; charset=utf-8", "text/html", "application/xml", "application/json-seq",
     "application/ld+json", "application/problem+json", "multipart/form-data; boundary=x", "x/" + "y" * 253],
)  # fmt: skip
def test_a_body_of_another_type_is_kept_as_bytes_with_its_type(user, key, content_type):
    for body in (b"", b"{}", b"\x00\xff\r\n" * 1000, bytes(range(256))):
        assert user.put(key, body, Content_Type=content_type).status in (200, 201)
        shown = user.get(key)
        assert shown.status == 200 and shown.body == body
        assert shown.headers.get_all("Content-Type") == [content_type]
        assert shown.headers["X-Content-Type-Options"] == "nosniff" and "sandbox" in shown.headers["Content-Security-Policy"]


def test_bytes_are_bytes_over_every_transport(people, user, key):
    user.revision(key, b"\x00\xff", Content_Type="image/png")
    (pair,) = people.do("iproto", "batch_get", user.token, [key]).value["pairs"]
    assert (pair["value"], pair["content_type"]) == (b"\x00\xff", "image/png")
    shown = people.http.request("POST", "/v1/batch/get", {"keys": [key]}, bearer(user.token)).json["pairs"][0]
    assert (shown["value"], shown["content_type"]) == ({"$binary": "AP8="}, "image/png")


@pytest.mark.parametrize("content_type", ["", "x/" + "y" * 254, "text/plän", "a/b\tc"])
def test_a_content_type_that_cannot_be_kept_is_refused(user, key, content_type):
    response = user.put(key, b"x", Content_Type=content_type.encode())
    assert response.status in (400, 415, 422), response
    assert is_missing(user, key)


def test_two_content_types_are_refused(user, key):
    connection = user.http.connection
    connection.putrequest("PUT", rest.path(key))
    for name, value in [("Content-Type", "image/png"), ("Content-Type", "text/html"), ("Content-Length", "1"), *bearer(user.token).items()]:
        connection.putheader(name, value)
    connection.endheaders(b"1")
    response = connection.getresponse()
    assert response.status in (400, 415), response.status
    response.read()
    connection.close()
    assert is_missing(user, key)


# What If-Match may say of a key at revision n, where it exists: whether that holds. Comparison is strong (§13.1.1).
MATCHES = {
    "the_revision": (tag, True), "a_past_one": (lambda n: tag(n - 1), False), "a_list_with_it": (lambda n: tag(1, n, 7), True),
    "a_list_without_it": (lambda n: tag(n + 1, n + 2), False), "a_list_without_spaces": (lambda n: f'"1","{n}"', True),
    "a_list_with_empty_members": (lambda n: f', "{n}" ,,', True), "anything": (lambda n: "*", True),
    "a_weak_tag": (lambda n: f'W/"{n}"', False),
    "a_weak_tag_beside_it": (lambda n: f'W/"{n}", "{n}"', True), "words": (lambda n: '"abc"', False),
    "words_beside_it": (lambda n: f'"a,b", "{n}"', True),
    "an_empty_tag": (lambda n: '""', False), "leading_zeros": (lambda n: f'"0{n}"', False), "a_sign": (lambda n: f'"+{n}"', False),
    "too_large_a_number": (lambda n: f'"{2**64 + n}"', False), "a_space_inside": (lambda n: f'" {n}"', False),
}  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("name", MATCHES)
def test_if_match(user, key, name, method):
    value, holds = MATCHES[name]
    revision = user.revision(key)
    response = user.ask(method, key, b"2" if method == "PUT" else None, If_Match=value(revision))
    if holds:
        assert response.status == 200, response
    elif method == "HEAD":
        assert (response.status, response.body) == (412, b"")
    else:
        assert user.refused(response) == Refusal("conflict", 412, f"The key {key} is at revision {revision}")
        assert response.problem["revision"] == revision and response.problem["key"] == key
        assert (rest.revision(user.get(key)), user.get(key).json) == (revision, 1)


@pytest.mark.parametrize("header", ['"5"', '"1", "2"', '"0"', '"0", "5"', "*"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_if_match_of_a_missing_key(user, key, method, header):
    """`*` means that the key must exist: on PUT a conflict, elsewhere what it is without."""
    seen = user.refused(user.ask(method, key, b"2" if method == "PUT" else None, If_Match=header))
    name, status = ("no_such_key", 404) if header == "*" and method != "PUT" else ("conflict", 412)
    assert seen == Refusal(name, status, f"The key {key} does not exist")
    assert is_missing(user, key)


# What is no entity tag, of a key at revision n.
NO_TAGS = {
    "a_number": lambda n: f"{n}", "no_end": lambda n: f'"{n}', "no_beginning": lambda n: f'{n}"',
    "two_without_a_comma": lambda n: f'"{n}" "{n}"',
    "a_small_w": lambda n: f'w/"{n}"', "weak_without_quotes": lambda n: f"W/{n}", "other_quotes": lambda n: f"'{n}'",
    "a_list_in_one": lambda n: f'"{n},{n}"',
    "nothing": lambda n: "", "a_comma": lambda n: ",", "more_stars": lambda n: "**", "a_star_among_others": lambda n: f'*, "{n + 1}"',
    "a_star_in_quotes": lambda n: '"*"',
}  # fmt: skip


@pytest.mark.parametrize("name", NO_TAGS)
def test_what_is_no_entity_tag_matches_nothing(user, key, name):
    revision = user.revision(key)
    header = NO_TAGS[name](revision)
    for method in ("GET", "PUT", "DELETE"):
        seen = user.refused(user.ask(method, key, b"2" if method == "PUT" else None, If_Match=header))
        assert seen == Refusal("conflict", 412, f"The key {key} is at revision {revision}"), method
    assert (user.get(key, If_None_Match=header).status, user.get(key).json) == (200, 1)


def test_if_none_match_of_anything_makes_and_never_replaces(user, key):
    first = user.put(key, If_None_Match="*")
    assert first.status == 201
    response = user.put(key, b"2", If_None_Match="*")
    assert user.refused(response) == Refusal("conflict", 412, f"The key {key} is at revision {rest.revision(first)}")
    assert user.get(key).json == 1
    user.delete(key)
    assert user.put(key, If_None_Match="*").status == 201


@pytest.mark.parametrize(
    "method,headers",
    [("PUT", {"If_None_Match": '"5"'}), ("PUT", {"If_None_Match": '"5", "6"'}), ("PUT", {"If_None_Match": 'W/"5"'}),
     ("PUT", {"If_None_Match": "5"}),
     ("PUT", {"If_None_Match": ""}), ("PUT", {"If_None_Match": "*", "If_Match": "*"}), ("PUT", {"If_None_Match": "*", "If_Match": '"5"'}),
     ("DELETE", {"If_None_Match": '"5"'}), ("DELETE", {"If_None_Match": "*"}), ("DELETE", {"If_None_Match": ""})],
)  # fmt: skip
def test_if_none_match_is_for_reading_and_a_star_for_making(user, key, method, headers):
    for exists in (False, True):
        if exists:
            user.revision(key)
        assert user.refused(user.ask(method, key, b"2" if method == "PUT" else None, **headers)).name == "malformed"
        assert user.get(key).json == 1 if exists else is_missing(user, key)


def test_a_condition_and_a_mode_hold_both_or_contradict(user, key):
    absent = Refusal("conflict", 412, f"The key {key} does not exist")
    for query in ({"mode": "insert"}, {"mode": "replace"}, {"mode": "upsert"}):
        assert user.refused(user.put(key, query=query, If_Match="*")).name == "malformed"
    assert user.refused(user.put(key, query={"mode": "replace"}, If_None_Match="*")) == absent
    assert user.refused(user.put(key, query={"mode": "insert"}, If_Match='"5"')) == absent
    revision = rest.revision(user.put(key, query={"mode": "insert"}, If_None_Match="*"))
    there = Refusal("conflict", 412, f"The key {key} is at revision {revision}")
    for mode, headers in (
        ("replace", {"If_None_Match": "*"}),
        ("insert", {"If_Match": tag(revision)}),
        ("replace", {"If_Match": tag(revision + 1)}),
    ):
        assert user.refused(user.put(key, b"2", query={"mode": mode}, **headers)) == there
    assert user.put(key, b"2", query={"mode": "replace"}, If_Match=tag(revision)).status == 200


# What If-None-Match may say of a key at revision n: whether the client has it already. Comparison is weak (§13.1.2).
NONE_MATCHES = {
    "the_revision": (tag, True), "a_past_one": (lambda n: tag(n - 1), False), "a_list_with_it": (lambda n: tag(1, n), True),
    "a_list_without_it": (lambda n: tag(1, n + 1), False), "anything": (lambda n: "*", True), "a_weak_tag": (lambda n: f'W/"{n}"', True),
    "a_weak_tag_of_another": (lambda n: f'W/"{n + 1}"', False), "a_list_of_both": (lambda n: f'"a", W/"{n}"', True),
    "words": (lambda n: '"abc"', False),
}  # fmt: skip


@pytest.mark.parametrize("method,name", [*product(["GET", "HEAD"], NONE_MATCHES)])
def test_if_none_match_spares_what_the_client_has(user, key, method, name):
    value, has_it = NONE_MATCHES[name]
    revision = user.revision(key, query={"ttl": 600})
    response = user.ask(method, key, If_None_Match=value(revision))
    assert rest.revision(response) == revision
    if has_it:
        assert (response.status, response.body) == (304, b"")
        assert response.headers["Cache-Control"] == "private, no-cache"
    else:
        assert response.status == 200 and (method == "HEAD" or response.json == 1)


def test_if_none_match_of_a_missing_key_is_not_found(user, key):
    for header in ("*", '"5"'):
        assert user.refused(user.get(key, If_None_Match=header)).name == "no_such_key"


def test_if_match_is_looked_at_before_if_none_match(user, key):
    """§13.2.2."""
    revision = user.revision(key)
    assert user.refused(user.get(key, If_Match=tag(revision + 1), If_None_Match=tag(revision))).name == "conflict"
    assert user.get(key, If_Match=tag(revision), If_None_Match=tag(revision)).status == 304


def test_conditions_of_two_lines_are_one_list(user, key):
    """§5.2."""
    revision = user.revision(key)
    connection = user.http.connection
    connection.putrequest("GET", rest.path(key))
    for name, value in [("If-Match", '"1"'), ("If-Match", tag(revision)), *bearer(user.token).items()]:
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"1")


def test_the_tag_of_a_put_is_that_of_the_get_that_follows(user, key):
    condition = {"If_None_Match": "*"}
    for n in range(5):
        written = user.put(key, str(n).encode(), **condition)
        assert user.get(key, If_None_Match=written.headers["ETag"]).status == 304
        condition = {"If_Match": written.headers["ETag"]}


def test_of_writers_with_the_same_tag_one_wins(user, key):
    revision = user.revision(key)
    seen = [user.put(key, str(n).encode(), If_Match=tag(revision)).status for n in range(5)]
    assert seen == [200, 412, 412, 412, 412] and user.get(key).json == 0


# A query, and how it is refused.
QUERIES = [
    ("ttl=0", {"bad_option"}), ("ttl=-1", {"bad_option", "malformed"}), ("ttl=x", {"bad_option", "malformed"}),
    ("ttl=", {"bad_option", "malformed"}),
    ("ttl=1e9999", {"bad_option", "malformed"}), ("ttl=NaN", {"bad_option", "malformed"}), ("ttl=inf", {"bad_option", "malformed"}),
    ("ttl=3153600001", {"bad_option"}), ("ttl=0.0001", {"bad_option"}), ("ttl=1&ttl=2", {"bad_option", "malformed"}),
    ("ttl=60&expires_at=4102444800", {"bad_option"}), ("expires_at=1", {"bad_option"}), ("expires_at=x", {"bad_option", "malformed"}),
    ("mode=overwrite", {"bad_option"}), ("mode=", {"bad_option", "malformed"}), ("mode=insert&mode=insert", {"bad_option", "malformed"}),
]  # fmt: skip


@pytest.mark.parametrize("query,allowed", QUERIES, ids=[query for query, _ in QUERIES])
def test_a_query_that_asks_for_what_cannot_be_is_refused(user, key, query, allowed):
    response = user.http.request("PUT", f"{rest.path(key)}?{query}", b"1", bearer(user.token))
    seen = user.refused(response)
    assert seen.name in allowed and is_missing(user, key)
    assert any(name in seen.message for name in ("ttl", "expires_at", "mode")), seen


def test_a_query_says_how_to_write(user, key):
    assert user.put(key, query={"mode": "replace"}).status == 412
    assert user.put(key, query={"mode": "insert", "ttl": 0.001}).status == 201
    pass_by(time.time() + 0.001)
    assert is_missing(user, key)
    assert user.put(key, query={"mode": "insert", "expires_at": "4102444800.5"}).status == 201
    assert float(user.get(key).headers["Authkv-Expires-At"]) == 4_102_444_800.5
    assert user.put(key, query={"mode": "insert"}).status == 412


# What is between /v1/kv/ and the end, and the key it names.
SEGMENTS = [
    ("a%2Fb", "a/b"), ("a%2fb", "a/b"), ("%2F", "/"), ("%61", "a"), ("a+b", "a+b"), ("a%20b", "a b"), ("%D0%B6", "ж"), ("a%25b", "a%b"),
    ("%252F", "%2F"),
    ("a%3Fb%23c", "a?b#c"), ("%2e%2e%2E", "..."), ("a;b=c,d:e@f!$&'()*", "a;b=c,d:e@f!$&'()*"), ("~a-_.", "~a-_."), ("a%00b", "a\0b"),
    ("incr", "incr"),
]  # fmt: skip


@pytest.mark.parametrize("segment,key", SEGMENTS)
def test_a_key_is_one_segment_of_the_path(people, user, segment, key):
    response = user.http.request("PUT", f"/v1/kv/{segment}", b'"here"', bearer(user.token))
    assert response.status in (200, 201) and response.json["key"] == key
    (pair,) = people.do("iproto", "batch_get", user.token, [key]).value["pairs"]
    assert (pair["key"], pair["value"]) == (key, "here")
    shown = user.http.request("GET", f"/v1/kv/{segment}", None, bearer(user.token))
    assert shown.json == "here"


@pytest.mark.parametrize("segment", ["%ff", "%C3%28", "%ED%A0%80", "%zz", "%", "a%2"])
def test_a_segment_that_is_no_text_is_refused(user, segment):
    response = user.http.request("PUT", f"/v1/kv/{segment}", b"1", bearer(user.token))
    assert response.status in (400, 422) and user.refused(response).name in ("malformed", "bad_key", "bad_request")


@pytest.mark.parametrize("path", ["/v1/kv/a/b", "/v1/kv/a/b/c", "/v1/kv/a/incr/b", "/v1/kv//a"])
def test_a_path_of_more_segments_is_none(user, path):
    response = user.http.request("PUT", path, b"1", bearer(user.token))
    assert response.status in (404, 405), response


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_without_a_token_nothing_is_told(user, key, method):
    user.revision(key)
    for token in ("", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"):
        response = user.http.request(method, rest.path(key), b"1" if method == "PUT" else None, bearer(token) if token else {})
        assert problem(response, token or None).name == "unauthenticated"
    assert user.get(key).json == 1


def test_a_condition_tells_nothing_of_a_key_that_may_not_be_read(people, key):
    role = people.role(permission("mine/", True, True))
    people.administer("role_set", "default", [])
    try:
        user = Rest(people.http, people.new(role).access)
        for method, headers in (("GET", {"If_Match": '"5"'}), ("GET", {"If_None_Match": "*"}), ("PUT", {"If_Match": "*"}), ("DELETE", {})):
            response = user.ask(method, key, b"1" if method == "PUT" else None, **headers)
            seen = user.refused(response)
            assert seen.name == "forbidden" and response.problem["key"] == key
    finally:
        people.administer("role_set", "default", [permission("", True, True)])


def test_a_value_that_is_too_large_is_413(user, key):
    for body, content_type in ((json.dumps("x" * 1_048_576).encode(), JSON), (b"x" * 1_048_576, "image/png")):
        assert user.refused(user.put(key, body, Content_Type=content_type)).name == "value_too_large"
    assert is_missing(user, key)


def test_an_incr_has_no_body_or_json(user, key):
    path = f"{rest.path(key)}/incr"
    for body, value in ((None, 1), (b"", 2), (b"{}", 3), (b'{"by": 10}', 13), (b'{"by": -3, "ttl": null}', 10)):
        response = user.http.request("POST", path, body, bearer(user.token))
        assert (response.status, response.json["value"]) == (200, value), response
    for body in (b"{", b"[]", b"5", b'{"by": "1"}', b'{"by": 1, "more": 1}'):
        assert user.refused(user.http.request("POST", path, body, bearer(user.token))).name == "malformed"


@pytest.mark.parametrize(
    "query", ["limit=ten", "limit=", "keys_only=yes", "keys_only=1", "count=TRUE", "limit=1&limit=2", "prefix=a&prefix=b"]
)
def test_a_list_whose_query_is_no_such_thing_is_refused(user, query):
    response = user.http.request("GET", f"/v1/kv?{query}", None, bearer(user.token))
    assert user.refused(response).name in ("malformed", "bad_option")


def test_a_list_refuses_what_it_does_not_know(user):
    response = user.http.request("GET", "/v1/kv?prefix=none%2F&more=1", None, bearer(user.token))
    assert user.refused(response).name == "malformed" and " more: " in response.problem["detail"]


@pytest.mark.parametrize(
    "path,body",
    [("/v1/batch/get", {"keys": ["none"], "more": 1}), ("/v1/batch/put", {"pairs": [{"key": "more", "value": 1, "more": 9}]}),
     ("/v1/batch/put", {"pairs": [{"key": "more", "value": 1}], "more": 1}),
     ("/v1/batch/delete", {"keys": ["more", {"key": "most", "more": 1}]}),
     ("/v1/batch/delete", {"keys": ["more"], "more": 1}), ("/v1/txn", {"compare": [], "more": 1}),
     ("/v1/txn", {"compare": [{"key": "none", "exists": False, "more": 1}]}),
     ("/v1/txn", {"success": [{"op": "get", "key": "none", "more": 1}]})],
)  # fmt: skip
def test_members_that_are_not_known_are_refused(user, path, body):
    response = user.http.request("POST", path, body, bearer(user.token))
    assert user.refused(response).name == "malformed" and " more" in response.problem["detail"]
    assert is_missing(user, "more")


def test_what_was_read_as_a_pair_can_be_written_as_one(people, user, key):
    user.revision(key, b'{"$binary": "AP8="}', query={"ttl": 600})
    (pair,) = user.http.request("POST", "/v1/batch/get", {"keys": [key]}, bearer(user.token)).json["pairs"]
    # The revision is no condition, which is called if_revision.
    response = user.http.request("POST", "/v1/batch/put", {"pairs": [pair]}, bearer(user.token))
    assert user.refused(response).name == "malformed"
    pair["if_revision"] = pair.pop("revision")
    response = user.http.request("POST", "/v1/batch/put", {"pairs": [pair]}, bearer(user.token))
    assert response.json["committed"], response
    assert isinstance(people.do("http", "pair_get", user.token, key), Ok)
    assert user.get(key).body == b"\x00\xff" and user.get(key).headers["Content-Type"] == BYTES
