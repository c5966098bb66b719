"""What only HTTP shows of /v1: paths, methods, problem details, headers, the form of introspection."""

import json
from http.client import HTTPConnection

import pytest

from support.harness import DEADLINE, HOST
from support.outcome import Ok, Refusal
from support.people import PASSWORD, fresh
from support.tokens import GARBAGE
from support.transports import TRANSPORTS, HttpTransport, bearer
from support.v1 import OPERATIONS, problem

JWKS = OPERATIONS["key_set"].path
PATHS = sorted({operation.path for operation in OPERATIONS.values()})
FILLED = {"login": "nobody", "role": "nothing", "kid": "unknown", "key": "nothing", "session": "unknown", "api_key": "unknown"}
BODY = {"POST", "PUT", "PATCH"}


@pytest.fixture(scope="module")
def v1(people) -> HttpTransport:
    return people.http


def methods(path: str) -> set[str]:
    return {operation.method for operation in OPERATIONS.values() if operation.path == path}


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_method_is_answered_with_the_right_ones(v1, path):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        response = v1.request(method, path.format(**FILLED), {} if method in BODY else None, bearer(GARBAGE))
        if method in methods(path):
            assert response.status == 200 or problem(response, GARBAGE).name not in ("no_such_route", "wrong_method")
        else:
            assert problem(response).name == "wrong_method", method
            allowed = {word.strip() for word in response.headers["Allow"].split(",")}
            assert methods(path) <= allowed and method not in allowed


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/unknown", "/v1/users/bob", "/v1/login/more", "/V1/login", "/v1/admin", "/v1/admin/users/a/b/c/d"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_not_found(v1, method, path):
    response = v1.request(method, path, {} if method == "POST" else None)
    assert response.status == 404
    if path.startswith("/v1/"):
        assert problem(response).name == "no_such_route"


@pytest.mark.parametrize("raw", [b"", b" ", b"{", b"[]", b"null", b"1", b'"text"', b"{}", b"\xff", b"login=a&password=b"])
@pytest.mark.parametrize("path", ["/v1/users", "/v1/login", "/v1/refresh", "/v1/introspect"])
def test_a_body_that_is_not_what_it_should_be_is_malformed(v1, people, path, raw):
    assert problem(v1.request("POST", path, raw, bearer(people.admin)), people.admin).name == "malformed"


def test_a_body_is_never_echoed(v1):
    for raw in (
        b'{"login": "bob1", "password": "S3cret"',
        b'{"login": "bob1", "pass": "S3cret"}',
        b'"S3cret"',
        b'{"login": "S3cret", "login": "S3cret"}',
    ):
        assert b"S3cret" not in v1.request("POST", "/v1/login", raw).body


def test_members_that_are_not_known_are_refused(v1, people):
    body = {"login": people.new().login, "password": PASSWORD, "more": {"a": [1]}}
    seen = problem(v1.request("POST", "/v1/login", body))
    assert seen.name == "malformed" and " more: " in seen.message


@pytest.mark.parametrize(
    "body,headers", [(None, {}), (b"", {}), (b"{", {}), (b"\xff" * 100, {"Content-Type": "image/png"})],
    ids=["none", "empty", "broken", "of_another_type"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/logout", "/v1/logout/all"])
def test_the_body_of_a_logout_is_ignored(v1, people, path, body, headers):
    response = v1.request("POST", path, body, headers | bearer(people.new().access))
    assert (response.status, response.json) == (200, {"revoked": True})


@pytest.mark.parametrize("name", [name for name, one in OPERATIONS.items() if one.takes_token])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic Ym9iOng="}, {"Authorization": "Bearer"}], ids=["none", "basic", "bare"])
def test_without_a_token_the_challenge_names_no_error(v1, name, headers):
    operation = OPERATIONS[name]
    args = {"publish": 1, "token": "x", "password": PASSWORD, "old_password": PASSWORD, "new_password": PASSWORD}
    args |= {"keys": ["k"], "pairs": [{"key": "k", "value": 1}], "value": 1}
    args |= {"login": "bob1", "name": "Bob", "surname": "Stone", "permissions": []}
    body = {name: args[name] for name in operation.args if f"{{{name}}}" not in operation.path}
    response = v1.request(operation.method, operation.path.format(**FILLED), body if operation.method in BODY or body else None, headers)
    assert problem(response, None if headers != {"Authorization": "Bearer"} else "").name == "unauthenticated"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_compared_without_case(v1, people, scheme):
    assert v1.request("GET", "/v1/me", headers={"Authorization": f"{scheme} {people.admin}"}).status == 200


@pytest.mark.parametrize("path,refused", [("/v1/me", 401), ("/api/logout", 401)])
def test_two_tokens_are_none(people, path, refused):
    """RFC 6750 §2: one method in a request, so that a proxy and authkv never see different users."""
    connection = HTTPConnection(HOST, people.instance.http_port, timeout=DEADLINE)
    for count, status in ((2, refused), (1, 200)):
        connection.putrequest("GET", path)
        token = people.new().access
        for _ in range(count):
            connection.putheader("Authorization", f"Bearer {token}")
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status, count
    connection.close()


def test_a_token_in_the_query_or_the_body_is_none(v1, people):
    """RFC 6750 §2.2 and §2.3 allow them; both end up in logs."""
    response = v1.request("GET", f"/v1/me?access_token={people.admin}")
    assert problem(response).name == "malformed" and people.admin.encode() not in response.body
    form = f"access_token={people.admin}".encode()
    response = v1.request("POST", "/v1/logout", form, {"Content-Type": "application/x-www-form-urlencoded"})
    assert problem(response).name == "unauthenticated"
    people.assert_holds(people.admin)


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-8"])
def test_introspection_takes_the_form_of_rfc_7662(v1, people, content_type):
    person = people.new()
    expected = v1.do("session_introspect", people.admin, person.access)
    assert isinstance(expected, Ok) and expected.value["active"]
    for hint in ("", "&token_type_hint=access_token", "&token_type_hint=unknown"):
        headers = bearer(people.admin) | {"Content-Type": content_type}
        response = v1.request("POST", "/v1/introspect", f"token={person.access}{hint}".encode(), headers)
        assert (response.status, response.json) == (200, expected.value)
    for body in (b"token=x", b"token=%ff", b"token="):
        response = v1.request("POST", "/v1/introspect", body, headers)
        assert response.status == 400 or (response.status, response.json) == (200, {"active": False}), body
    assert problem(v1.request("POST", "/v1/introspect", b"tokens=x", headers), people.admin).name == "malformed"


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=99999999"])
def test_a_limit_out_of_range_is_named(v1, people, query):
    seen = problem(v1.request("GET", f"/v1/admin/users?{query}", headers=bearer(people.admin)), people.admin)
    assert seen.name == "bad_option" and "limit" in seen.message and "1000" in seen.message


@pytest.mark.parametrize("query", ["limit=-1", "limit=ten", "limit=1e1", "limit=", "limit=99999999999999999999", "limit=1&limit=2"])
def test_a_limit_that_is_no_number_is_refused(v1, people, query):
    seen = problem(v1.request("GET", f"/v1/admin/users?{query}", headers=bearer(people.admin)), people.admin)
    assert seen.name in ("bad_option", "malformed") and "limit" in seen.message


def test_a_query_that_is_not_known_is_refused(v1, people):
    seen = problem(v1.request("GET", "/v1/admin/users?more=1&limit=1", headers=bearer(people.admin)), people.admin)
    assert seen.name == "malformed" and " more: " in seen.message


def test_the_keys_may_be_kept_for_a_minute_and_nothing_else_at_all(v1, people):
    response = v1.request("GET", JWKS)
    assert response.status == 200 and response.headers["Cache-Control"] == "public, max-age=60"
    for path in ("/v1/me", "/v1/admin/users", "/v1/admin/keys"):
        assert v1.request("GET", path, headers=bearer(people.admin)).headers["Cache-Control"] == "no-store"


def test_the_keys_hold_nothing_private(v1):
    (key,) = v1.request("GET", JWKS).json["keys"]
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()


def test_api_has_no_problem_details(v1, people):
    """What the contract says stays: a message, and JSON."""
    for method, path, body in (("POST", "/api/read", {"keys": ["k"]}), ("GET", "/api/logout", None), ("POST", "/api/login", {})):
        response = v1.request(method, path, body, bearer(GARBAGE))
        assert response.status in (401, 422) and response.json.keys() == {"message"}


def test_api_names_the_key_that_is_refused_in_its_message(v1, people):
    people.administer("role_set", "default", [])
    try:
        response = v1.request("POST", "/api/read", {"keys": ['a b\n"c']}, bearer(people.new().access))
    finally:
        people.administer("role_set", "default", [{"prefix": "", "read": True, "write": True}])
    assert (response.status, response.json) == (403, {"message": 'You may not read the key a b\n"c'})
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="authkv", error="insufficient_scope"'


def test_a_login_is_taken_once_for_both_ways_of_registering(v1):
    login = fresh("user")
    person = {"login": login, "password": PASSWORD, "name": "Bob", "surname": "Stone"}
    assert v1.request("POST", "/v1/users", person).status == 201
    response = v1.request("POST", "/api/register/", person)
    assert (response.status, response.json) == (400, {"message": "A user with this login is already exists"})
    assert isinstance(v1.login(login, PASSWORD), Ok)
    assert isinstance(v1.do("session_login", login, PASSWORD), Ok)


def test_the_description_names_every_operation_of_v1(v1):
    described = v1.request("GET", "/openapi.json").json["paths"]
    known = {path.rstrip("/"): {method.upper() for method in item} for path, item in described.items()}
    for operation in OPERATIONS.values():
        assert operation.method in known.get(operation.path, ()), operation.path


def test_problems_are_bytes_of_json_in_utf8(v1, people):
    response = v1.request("PUT", "/v1/admin/roles/%D1%80", {"permissions": []}, bearer(people.admin))
    assert problem(response, people.admin).name == "bad_role"
    assert json.loads(response.body.decode()) == response.problem


@pytest.mark.parametrize("login", ["..", ".", "%2e%2e", "a%00b", "%", "%zz", "a%20b"])
def test_a_login_in_a_path_is_only_ever_a_login(v1, people, login):
    response = v1.request("GET", f"/v1/admin/users/{login}", headers=bearer(people.admin))
    seen = problem(response, people.admin)
    assert isinstance(seen, Refusal) and seen.name in ("no_such_user", "no_such_route", "bad_request", "malformed")


@pytest.mark.parametrize("member,text", [("login", "a-b"), ("login", "жук"), ("name", "B0b"), ("surname", "--")])
def test_v1_says_in_plain_english_what_the_contract_says_in_its_own(people, member, text):
    body = {"login": "plain1", "password": PASSWORD, "name": "Bob", "surname": "Stone"} | {member: text}
    args = [body[name] for name in ("login", "password", "name", "surname")]
    odd = ("onlu", "lower-upper")
    for transport in TRANSPORTS:
        said = people.do(transport, "user_register", *args).message
        assert "letters" in said and not any(word in said for word in odd), said
        assert "lower-upper latin letters" in TRANSPORTS[transport](people.instance).register(*args).message
    assert "letters" in people.do("http", "user_create", people.admin, *args, {}).message
