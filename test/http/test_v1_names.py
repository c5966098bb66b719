"""Names that a client or a proxy takes out of a path (RFC 3986 §5.2.4, WHATWG URL): `.` and `..` are no names under /v1, and what
is left of a path whose last segment got lost is none."""

from urllib.parse import urljoin

import pytest

from support.bulk import line, refused, send
from support.outcome import Ok, Refusal
from support.people import fresh, permission
from support.transports import TRANSPORTS, bearer
from support.v1 import OPERATIONS, problem

DOTS = [".", ".."]
# How a path may spell them, for a server that gets it as it is.
SPELLED = [".", "..", "%2e", "%2E", "%2e%2e", "%2E%2E", ".%2e", "%2E."]
NO_DOTS = ["...", ".a", "a.", "..a", ". ", "%2e", "a..b", "./", "../x"]


def ask(people, method: str, path: str, body=None):
    """As the administrator, with the path as it is."""
    return people.http.request(method, path, body, bearer(people.admin))


def name_of(seen) -> str:
    assert isinstance(seen, Refusal), seen
    return seen.name


@pytest.mark.parametrize("role", DOTS)
@pytest.mark.parametrize("transport", [name for name in TRANSPORTS if name not in ("http", "rock")] + ["owner"])
def test_dots_are_no_name_of_a_role(people, transport, role):
    person = people.new()
    seen = people.do(transport, "role_set", people.admin, role, [permission("", read=True)])
    assert name_of(seen) == "bad_role" and ".." in seen.message
    assert name_of(people.do(transport, "role_grant", people.admin, person.login, role)) in ("bad_role", "no_such_role")
    seen = people.do(transport, "user_create", people.admin, fresh("user"), person.password, "Bob", "Stone", {"roles": [role]})
    assert name_of(seen) in ("bad_role", "no_such_role")
    assert role not in [one["name"] for one in people.administer("role_list")["roles"]]


@pytest.mark.parametrize("login", DOTS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_dots_are_no_login(people, transport, login):
    for operation in ("register", "user_register"):
        seen = people.do(transport, operation, login, "Unc0mmon-horse", "Bob", "Stone")
        assert seen.message.startswith("Incorrect login"), seen


# What stands in the place of names in paths.
FILLED = {"login": "nobody", "role": "introspect", "kid": "x", "key": "x", "session": "x", "api_key": "x"}


@pytest.mark.parametrize("spelled", SPELLED)
@pytest.mark.parametrize("operation", [name for name, one in OPERATIONS.items() if "{" in one.path])
def test_a_path_with_dots_for_a_name_is_not_found(people, operation, spelled):
    one, person = OPERATIONS[operation], people.new()
    body = {"POST": {}, "PUT": {"permissions": [], "password": "Unc0mmon-horse"}}.get(one.method)
    for name in FILLED:
        if f"{{{name}}}" in one.path:
            given = FILLED | {"login": person.login, name: spelled}
            assert problem(ask(people, one.method, one.path.format(**given), body), people.admin).name == "no_such_route"
    assert isinstance(people.do("http", "user_get", people.admin, person.login), Ok)


@pytest.mark.parametrize("path", [*sorted({one.path for one in OPERATIONS.values()}), "/v1/export", "/v1/import"])
def test_a_trailing_slash_is_no_route(people, path):
    given = FILLED | {"login": people.new().login}
    whole = path.format(**given)
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        for ending in ("/", "//", "/?limit=1"):
            assert ask(people, method, whole + ending).status == 404, (method, ending)
    assert isinstance(people.do("http", "user_get", people.admin, given["login"]), Ok)


@pytest.mark.parametrize(
    "path", ["/v1//kv", "//v1/kv", "/v1/kv//", "/v1/./kv", "/v1/x/../kv", "/v1/kv/a/..", "/v1/kv/a/../b", "/v1/kv/%2e%2e/incr",
             "/v1/admin//users", "/v1/admin/users//roles/x", "/v1/admin/users//", "/.well-known//jwks.json", "/.well-known/./jwks.json",
             "/.well-known/jwks.json/.", "/v1/admin/users/../roles"],
)  # fmt: skip
def test_a_path_that_others_would_read_as_another_is_not_found(people, path):
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert ask(people, method, path).status == 404, method


def test_what_is_left_of_a_path_never_hits_what_is_above(people):
    """What clients that take dots out would ask for (RFC 3986 §5.2.4)."""
    person = people.new("introspect")
    base = f"/v1/admin/users/{person.login}"
    for name in (".", "..", "./", "../", "x/..", "x/../..", "x/../../"):
        left = urljoin(f"http://x{base}/roles/", name).removeprefix("http://x")
        assert ask(people, "DELETE", left).status == 404, left
    assert people.administer("user_get", person.login)["roles"]


@pytest.mark.parametrize("spelled", DOTS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_dots_are_no_keys_that_are_written(people, token, transport, spelled):
    batch = [{"key": "side", "value": 1}, {"key": spelled, "value": 1}]
    steps = [{"op": "put", "key": spelled, "value": 1}]
    asked = [
        ("batch_put", batch, {"atomic": False}), ("batch_put", batch[1:], {"mode": "insert"}), ("kv_txn", {"success": steps}),
        ("kv_txn", {"compare": [{"key": spelled, "exists": True}], "failure": [{"op": "incr", "key": spelled}]}),
    ]  # fmt: skip
    if transport not in ("http", "rock"):
        asked += [
            ("pair_put", spelled, 1),
            ("pair_put", spelled, 1, {"if_revision": 0}),
            ("kv_incr", spelled),
            ("kv_incr", spelled, {"by": 2}),
        ]
    for operation, *args in asked:
        seen = people.do(transport, operation, token, *args)
        assert name_of(seen) == "bad_key" and ".." in seen.message, operation
    found = people.expect(transport, Ok({"pairs": [], "missing": ["side", spelled]}), "batch_get", token, ["side", spelled])
    assert found["missing"]


@pytest.mark.parametrize("spelled", DOTS)
def test_dots_are_no_keys_of_an_import(people, token, spelled):
    body = line("before/dots") + line(spelled) + line("after/dots")
    seen = refused(people, token, body, {"line"})
    assert (seen.name, seen.code) == ("bad_key", 422)
    assert people.do("iproto", "batch_get", token, ["before/dots", spelled, "after/dots"]).value["missing"] == [spelled, "after/dots"]


def test_other_names_with_dots_are_keys(people, token):
    for one in NO_DOTS:
        for transport in TRANSPORTS:
            if transport == "rock" and "/" in one:
                continue  # the rock itself does not take it
            assert isinstance(people.do(transport, "pair_put", token, one, transport), Ok), (transport, one)
            assert people.do(transport, "pair_get", token, one).value["value"] == transport
    assert send(people, token, b"".join(map(line, NO_DOTS))).done["written"] == len(NO_DOTS)
    assert isinstance(people.do("http", "batch_delete", token, NO_DOTS), Ok)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("spelled", DOTS)
def test_the_contract_takes_every_key_and_such_pairs_can_be_read_and_deleted(people, token, transport, spelled):
    assert isinstance(people.do(transport, "put", token, {spelled: "old"}), Ok)
    assert people.do(transport, "get", token, [spelled]).value == {spelled: "old"}
    (pair,) = people.do(transport, "batch_get", token, [spelled]).value["pairs"]
    assert (pair["key"], pair["value"]) == (spelled, "old")
    listed = people.do(transport, "kv_list", token, {"prefix": spelled, "to": spelled + "\0"}).value
    assert [one["key"] for one in listed["pairs"]] == [spelled]
    read = people.do(transport, "kv_txn", token, {"success": [{"op": "get", "key": spelled}]})
    assert read.value["results"][0]["value"] == "old"
    assert people.do(transport, "batch_delete", token, [spelled]).value["committed"]
    assert people.do(transport, "batch_get", token, [spelled]).value["missing"] == [spelled]


def test_a_permission_may_be_for_keys_that_begin_with_dots(people):
    for prefix in DOTS:
        role = people.role(permission(prefix, read=True, write=True))
        people.administer("role_delete", role)


def test_a_role_that_was_called_so_before_can_be_deleted(people):
    """An older version has made it, and given it."""
    person = people.new()
    console = people.console
    for name in DOTS:
        role = people.role(permission("", read=True))
        people.administer("role_grant", person.login, role)
        console.evaluate(
            f"local s = box.space.authkv_role; local t = s:get('{role}'):totable() "
            f"s:delete('{role}'); t[1] = '{name}'; s:replace(t) return true"
        )
        assert name in [one["name"] for one in people.administer("role_list")["roles"]]
        assert name_of(people.do("iproto", "role_grant", people.admin, person.login, name)) == "bad_role"
        assert isinstance(people.do("iproto", "role_delete", people.admin, name), Ok)
        assert name not in [one["name"] for one in people.administer("role_list")["roles"]]
        assert name_of(people.do("iproto", "role_delete", people.admin, name)) in ("no_such_role", "bad_role")
