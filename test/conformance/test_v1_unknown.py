"""Names that a command does not know, and names that are given twice, which would be conditions that nobody looks at: refused
under /v1 over every transport, with the nearest name that is known. `/api` and introspection do not mind them."""

import json
import re

import pytest

from support.bulk import line, refused, send
from support.outcome import Refusal
from support.people import PASSWORD, fresh, permission
from support.transports import TRANSPORTS, bearer
from support.v1 import problem

FORM = "application/x-www-form-urlencoded"
OTHERS = [transport for transport in TRANSPORTS if transport not in ("http", "rock")]


def assert_names(seen: Refusal, given: str, nearest: str | None) -> None:
    """The failure names what was given, and the nearest that is known."""
    assert isinstance(seen, Refusal) and seen.name == "malformed", seen
    ending = rf"did you mean {nearest}\? Known are .+" if nearest else "none is expected"
    assert re.fullmatch(rf"There is no (member|parameter) {given}( in \w+)?: {ending}", seen.message), seen
    assert nearest is None or nearest in seen.message.rpartition("Known are ")[2].split(", ")


# An operation after its token, the name that nobody knows, and the nearest.
CASES = [
    ("kv_txn", [{"comapre": [{"key": "k", "exists": True}], "success": [{"op": "put", "key": "k", "value": 1}]}], "comapre", "compare"),
    ("kv_txn", [{"Compare": [], "success": []}], "Compare", "compare"),
    ("kv_txn", [{"failures": []}], "failures", "failure"),
    ("kv_txn", [{"compare": [{"key": "k", "exist": True}]}], "exist", "exists"),
    ("kv_txn", [{"success": [{"op": "put", "key": "k", "value": 1, "ifRevision": 0}]}], "ifRevision", "if_revision"),
    ("kv_txn", [{"failure": [{"op": "delete", "key": "k", "revision": 1}]}], "revision", "if_revision"),
    ("kv_txn", [{"success": [{"op": "put", "key": "k", "value": 1, "mode": "insert"}]}], "mode", None),
    ("batch_put", [[{"key": "k", "value": 2, "ifRevision": 1}]], "ifRevision", "if_revision"),
    ("batch_put", [[{"key": "k", "value": 2, "tll": 1}]], "tll", "ttl"),
    ("batch_put", [[{"key": "k", "value": 2, "revision": 7}]], "revision", "if_revision"),
    ("batch_put", [[{"key": "k", "value": 2}], {"Mode": "insert"}], "Mode", "mode"),
    ("batch_put", [[{"key": "k", "value": 2}], {"atomicc": False}], "atomicc", "atomic"),
    ("batch_delete", [[{"key": "k", "if-revision": 1}]], "if-revision", "if_revision"),
    ("batch_delete", [["k"], {"atomic_": False}], "atomic_", "atomic"),
    ("batch_get", [["k"], {"srict": True}], "srict", "strict"),
    ("kv_incr", ["k", {"bY": 5}], "bY", "by"),
    ("kv_incr", ["k", {"tl": 5}], "tl", "ttl"),
    ("kv_list", [{"prefx": "shop/"}], "prefx", "prefix"),
    ("kv_list", [{"keysonly": True}], "keysonly", "keys_only"),
    ("kv_list", [{"limits": 1}], "limits", "limit"),
    ("kv_delete", [{"prefx": "k"}], "prefx", "prefix"),
    ("kv_delete", [{"prefix": "k", "al": True}], "al", "all"),
    ("auth_access", [{"roles": "k"}], "roles", "role"),
]  # fmt: skip


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2]}")
def test_a_name_that_is_not_known_is_refused_with_the_nearest(people, token, transport, case):
    operation, args, given, nearest = case
    seen = people.do(transport, operation, token, *args)
    if nearest is None:
        assert seen.name == "malformed" and f" {given} in success: did you mean " in seen.message
    else:
        assert_names(seen, given, nearest)
    assert people.do("iproto", "batch_get", token, ["k"]).value["missing"] == ["k"], "it was done all the same"


@pytest.mark.parametrize("transport", OTHERS)
def test_options_of_one_key_are_known(people, token, transport):
    for operation, args, given, nearest in (
        ("pair_put", ["k", 1, {"ifrevision": 0}], "ifrevision", "if_revision"),
        ("pair_put", ["k", 1, {"contenttype": "a/b"}], "contenttype", "content_type"),
        ("pair_get", ["k", {"if_revison": 1}], "if_revison", "if_revision"),
        ("pair_delete", ["k", {"IF_REVISION": 1}], "IF_REVISION", "if_revision"),
        ("kv_watch", [{"timeot": 0}], "timeot", "timeout"),
    ):  # fmt: skip
        assert_names(people.do(transport, operation, token, *args), given, nearest)


@pytest.mark.parametrize("transport", [*TRANSPORTS, "owner"])
def test_members_of_administration_are_known(people, transport):
    role = people.role()
    assert_names(people.do(transport, "role_set", people.admin, role, [{"prefix": "a", "raed": True}]), "raed", "read")
    assert_names(people.do(transport, "role_set", people.admin, role, [permission("a"), {"prefix": "b", "Write": True}]), "Write", "write")
    assert_names(people.do(transport, "role_set", people.admin, role, [{"prefx": ""}]), "prefx", "prefix")
    assert_names(people.do(transport, "user_list", people.admin, {"limt": 1}), "limt", "limit")


# Method, path, body, the name, the nearest.
OVER_HTTP = [
    ("DELETE", "/v1/kv/k?ifrevision=1", None, "ifrevision", "if_revision"),
    ("DELETE", "/v1/kv/k?ttl=1", None, "ttl", "if_revision"),
    ("PUT", "/v1/kv/k?tl=10", 1, "tl", "ttl"),
    ("PUT", "/v1/kv/k?IF_REVISION=1", 1, "IF_REVISION", "if_revision"),
    ("PUT", "/v1/kv/k?content_type=a/b", 1, "content_type", None),
    ("GET", "/v1/kv/k?if%5Frevison=1", None, "if_revison", "if_revision"),
    ("HEAD", "/v1/kv/k?revision=1", None, None, None),
    ("POST", "/v1/kv/k/incr?by=5", {}, "by", None),
    ("POST", "/v1/kv/k/incr", {"key": "other", "by": 1}, None, None),
    ("POST", "/v1/txn?success=1", {}, "success", None),
    ("POST", "/v1/batch/put?mode=insert", {"pairs": [{"key": "k", "value": 1}]}, "mode", None),
    ("GET", "/v1/kv?prefx=shop/", None, "prefx", "prefix"),
    ("GET", "/v1/kv?prefix=a&key_only=true", None, "key_only", "keys_only"),
    ("GET", "/v1/kv?timeot=1", None, "timeot", "timeout"),
    ("GET", "/v1/export?prefx=shop/", None, "prefx", "prefix"),
    ("GET", "/v1/export?limit=1", None, "limit", "timeout"),
    ("GET", "/v1/watch?pre-fix=a", None, "pre-fix", None),
    ("GET", "/v1/watch?afterr=1", None, "afterr", "after"),
    ("POST", "/v1/import?mod=insert", None, "mod", "mode"),
    ("POST", "/v1/import?ttl=5", None, "ttl", "mode"),
    ("GET", "/v1/me?x=1", None, "x", None),
    ("POST", "/v1/logout?all=true", None, "all", None),
    ("POST", "/v1/logout/all?x", None, "x", None),
    ("POST", "/v1/login?login=a", {"login": "a", "password": "b"}, "login", None),
    ("POST", "/v1/login", {"login": "nobody", "password": "b", "remember": True}, "remember", None),
    ("POST", "/v1/login", {"user": "nobody", "password": "b"}, "user", None),
    ("POST", "/v1/refresh", {"refresh_token": "a", "scope": "b"}, "scope", None),
    ("PUT", "/v1/me/password", {"old_password": "a", "newPassword": "b"}, "newPassword", "new_password"),
    ("GET", "/v1/admin/users?limit=1&afetr=a", None, "afetr", "after"),
    ("GET", "/v1/admin/users/a?x=1", None, "x", None),
    ("POST", "/v1/admin/users", {"login": "a", "password": "b", "name": "c", "surname": "d", "role": ["admin"]}, "role", "roles"),
    ("PUT", "/v1/admin/roles/a", {"permissions": [], "role": "b"}, None, None),
    ("PUT", "/v1/admin/roles/a", {"permission": []}, "permission", "permissions"),
    ("PUT", "/v1/admin/users/a/password", {"password": "b", "login": "c"}, None, None),
    ("PUT", "/v1/admin/users/a/roles/b?force=1", None, "force", None),
    ("DELETE", "/v1/admin/roles/a?x=1", None, "x", None),
    ("GET", "/v1/admin/keys?x=1", None, "x", None),
    ("POST", "/v1/admin/keys/rotate", {"published": 1}, "published", "publish"),
    ("POST", "/v1/admin/keys/a/retire?x=1", None, "x", None),
    ("GET", "/v1/admin/quotas?limit=1&x=1", None, "x", None),
]  # fmt: skip


@pytest.mark.parametrize("case", OVER_HTTP, ids=lambda case: f"{case[0]}-{case[1]}-{case[3]}")
def test_over_http_nothing_is_ignored(people, case):
    method, path, body, given, nearest = case
    response = people.http.request(method, path, body, bearer(people.admin))
    assert response.status == 400, response
    if method == "HEAD":
        return
    seen = problem(response, people.admin)
    assert seen.name == "malformed" and (given is None or f" {given}: " in seen.message), seen
    if nearest is not None:
        assert_names(seen, given, nearest)
    assert people.do("iproto", "batch_get", people.admin, ["k", "other"]).value["missing"] == ["k", "other"]


def test_on_the_rock_nothing_is_ignored(people):
    if "rock" not in TRANSPORTS:
        pytest.skip("there is no rock")
    for method, path, body, given, _ in OVER_HTTP:
        if not re.match("/v1/(import|export|watch)", path) and method != "HEAD":
            seen = problem(people.transport("rock").request(method, path, body, bearer(people.admin)), people.admin)
            assert seen.name == "malformed" and (given is None or f" {given}: " in seen.message), (path, seen)


@pytest.mark.parametrize(
    "method,path,body,given",
    [
        ("PUT", "/v1/kv/k?ttl=1&ttl=2", b"1", "ttl"), ("GET", "/v1/kv?prefix=a&pre%66ix=b", None, "prefix"),
        ("GET", "/v1/export?prefix=&prefix=", None, "prefix"),
        ("POST", "/v1/txn", b'{"success":[],"success":[]}', "success"),
        ("POST", "/v1/txn", b'{"success":[{"op":"get","key":"a","key":"b"}]}', "key"),
        ("POST", "/v1/batch/put", b'{"pairs":[{"key":"k","value":1,"value":2}]}', "value"),
        ("POST", "/v1/batch/delete", b'{"keys":[{"key":"k","key":"k"}]}', "key"),
        ("POST", "/v1/login", b'{"login":"a","password":"x","password":"y"}', "password"),
        ("POST", "/v1/login", b'{"login":"a","password":"x","\\u0070assword":"y"}', "password"),
        ("PUT", "/v1/admin/roles/a", b'{"permissions":[{"prefix":"a","prefix":""}]}', "prefix"),
    ],
)  # fmt: skip
def test_a_name_that_is_given_twice_is_refused(people, method, path, body, given):
    seen = problem(people.http.request(method, path, body, bearer(people.admin)), people.admin)
    assert (seen.name, seen.message) == ("malformed", f"{given} should be given once")


def test_in_a_value_names_are_those_of_the_client(people, token, key):
    for body in (b'{"if_revision":1,"comapre":[],"x":{"key":1}}', b'{"a":1,"a":2}', b'[{"value":{"a":1,"a":2}}]'):
        assert people.http.request("PUT", f"/v1/kv/{key.replace('/', '%2F')}", body, bearer(token)).status in (200, 201)
        assert people.do("http", "pair_get", token, key).value["value"] == json.loads(body)
        pairs = b'{"pairs":[{"key":"%s","value":%s}]}' % (key.encode(), body)
        assert people.http.request("POST", "/v1/batch/put", pairs, bearer(token)).json["committed"]
        assert people.do("http", "pair_get", token, key).value["value"] == json.loads(body)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_transaction_is_asked_for(people, token, transport):
    seen = people.do(transport, "kv_txn", token, {}).value
    assert seen == {"succeeded": True, "results": [], "revision": seen["revision"]}
    if transport in ("http", "rock"):
        for body in (None, b""):
            seen = problem(people.transport(transport).request("POST", "/v1/txn", body, bearer(token)), token)
            assert seen.name == "malformed" and "success" in seen.message
    else:
        ways = ["authkv.as(%s).kv.txn()", "authkv.as(%s).kv.txn(nil)", "authkv.as(%s).kv.txn(box.NULL)"]
        asked = (
            [people.console.outcome(way % json.dumps(token)) for way in ways]
            if transport == "console"
            else [people.do(transport, "kv_txn", token, None)]
        )
        for seen in asked:
            assert seen.name == "malformed" and "success" in seen.message


def test_what_may_be_left_out_may_be_left_out(people, token, key):
    path = f"/v1/kv/{key.replace('/', '%2F')}"
    for body in (None, b"", b"{}"):
        assert people.http.request("POST", f"{path}/incr", body, bearer(token)).status == 200
    for query in ("?", "?&", "?&&"):
        assert people.http.request("GET", path + query, None, bearer(token)).json == 3
    assert people.http.request("GET", path, None, bearer(token) | {"X-If-Revision": "1", "If-Revision": "1"}).status == 200


def test_the_old_profile_and_the_well_known_ignore_what_they_do_not_know(people, key):
    person = people.new()
    for path, body in (
        ("/api/login?x=1&x=%zz", {"login": person.login, "password": PASSWORD, "pasword": "x"}),
        ("/api/check/?x", {"authorization": "x", "y": 1}),
        ("/api/write", {"data": {key: 1}, "if_revision": 7}), ("/api/read?keys=a", {"keys": [key], "strict": False}),
        ("/api/register", {"login": fresh("user"), "password": PASSWORD, "name": "Bob", "surname": "Stone", "roles": ["admin"]}),
    ):  # fmt: skip
        assert people.http.request("POST", path, body, bearer(person.access)).status in (200, 201), path
    twice = b'{"data": {"%s": 1}, "data": {"%s/2": 2}}' % (key.encode(), key.encode())
    assert people.http.request("POST", "/api/write", twice, bearer(person.access)).status == 201
    assert people.http.request("GET", "/.well-known/jwks.json?t=1&t=2").status == 200
    assert people.http.request("GET", "/api/logout?x=1&y=%zz", None, bearer(person.access)).status == 200


@pytest.mark.parametrize("more", ["&token_type_hint=access_token", "&x=1&x=2", "&Token=x", "&"])
def test_introspection_ignores_parameters_that_it_does_not_know(people, more):
    """RFC 7662 §2.1."""
    access, who = people.new().access, bearer(people.admin)
    form = f"token={access}{more}".encode()
    assert people.http.request("POST", "/v1/introspect", form, who | {"Content-Type": FORM}).json["active"]
    body = {"token": access, "token_type_hint": "access_token", "x": {}}
    assert people.http.request("POST", "/v1/introspect", body, who).json["active"]
    seen = problem(people.http.request("POST", "/v1/introspect", form + b"&token=x", who | {"Content-Type": FORM}), people.admin)
    assert seen.message == "token should be given once"


def test_a_line_of_an_import_has_what_an_export_writes_and_no_more(people, token, key):
    whole = line(key, 1, revision=7, expires_at=4_102_444_800, content_type=None)
    assert send(people, token, whole).done["written"] == 1
    assert send(people, token, line(key, 1, ttl=60)).done["written"] == 1
    for more, nearest in (("if_revision", "revision"), ("expiresAt", "expires_at"), ("Ttl", "ttl"), ("keys", "key")):
        assert_names(refused(people, token, line(key, 2, **{more: 1}), {"line"}), more, nearest)
    twice = b'{"key":"%s","value":1,"value":2}\n' % key.encode()
    assert refused(people, token, twice, {"line"}).message == "value should be given once"
    assert people.do("iproto", "pair_get", token, key).value["value"] == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_steps_of_a_transaction_have_conditions(people, token, transport, key):
    def txn(*steps, **more):
        return people.do(transport, "kv_txn", token, {"success": [{"key": key, **step} for step in steps], **more})

    def conflict(seen, revision: int) -> bool:
        ending = f"is at revision {revision}" if revision else "does not exist"
        return (seen.name, seen.message) == ("conflict", f"The key {key} {ending}")

    put = {"op": "put", "value": 1}
    assert conflict(txn(put | {"if_revision": 5}), 0)
    assert conflict(txn({"op": "delete", "if_revision": [1, 2]}), 0)
    first = txn(put | {"if_revision": 0}).value["results"][0]["revision"]
    assert conflict(txn(put | {"if_revision": 0}), first)
    assert conflict(txn({"op": "delete", "if_revision": first - 1}), first)
    # All or nothing; what was undone has no revision.
    assert conflict(txn(put | {"value": 2}, {"op": "delete", "if_revision": first}), first)
    assert conflict(txn({"op": "delete"}, put | {"if_revision": first}), first)
    assert people.do(transport, "pair_get", token, key).value == {"key": key, "value": 1, "revision": first}
    second = txn(put | {"value": 2, "if_revision": [first, 1]}).value["results"][0]["revision"]
    done = txn({"op": "delete", "if_revision": second}, put | {"value": 3, "if_revision": 0}, {"op": "get"})
    assert [one["outcome"] for one in done.value["results"]] == ["deleted", "written", "found"]
    third = done.value["results"][1]["revision"]
    # Of a list that is not run nothing is looked at.
    seen = txn(
        {"op": "delete", "if_revision": 1},
        compare=[{"key": key, "exists": False}],
        failure=[{"op": "delete", "key": key, "if_revision": third}],
    )
    assert seen.value["results"][0]["outcome"] == "deleted"
    for step in (
        {"op": "get", "if_revision": 1},
        {"op": "incr", "if_revision": 1},
        {"op": "delete", "if_revision": -1},
        {"op": "delete", "if_revision": "x"},
    ):
        assert txn(step).name == "malformed"


def test_tables_of_the_console_are_known(people):
    for call in (
        "authkv.users.create{login = 'a', password = 'b', name = 'c', surname = 'd', role = {'admin'}}",
        "authkv.users.register{login = 'a', password = 'b', name = 'c', surname = 'd', roles = {'admin'}}", "authkv.users.create('a')",
    ):  # fmt: skip
        (shown,) = people.console.evaluate(f"return select(2, pcall(function() return {call} end))")
        assert "usage: {login = , password = , name = , surname = " in shown, shown


@pytest.mark.parametrize("query", ["keys_only=1", "keys_only=0", "keys_only=True", "keys_only", "count=1", "count=yes&prefix=a"])
def test_a_flag_that_is_none_is_told_what_it_should_be(people, query):
    seen = problem(people.http.request("GET", f"/v1/kv?{query}", None, bearer(people.admin)), people.admin)
    assert (seen.name, seen.message) == ("malformed", f"{query.partition('=')[0].partition('&')[0]} should be true or false")


def test_the_document_says_that_bodies_are_closed(people):
    document = people.http.request("GET", "/openapi.json").json
    schemas = document["components"]["schemas"]

    def open_objects(schema: dict, where: str):
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name != "Value":
                yield from open_objects(schemas[name], name)
            return
        if "properties" in schema and schema.get("additionalProperties") is not False:
            yield where
        for inner in [*schema.get("properties", {}).values(), *schema.get("oneOf", []), *([schema["items"]] if "items" in schema else [])]:
            yield from open_objects(inner, where)

    found = {
        (path, where)
        for path, item in document["paths"].items() if path.startswith("/v1/")
        for one in item.values() for content in one.get("requestBody", {}).get("content", {}).values()
        for where in open_objects(content["schema"], path)
    }  # fmt: skip
    assert found == {("/v1/introspect", "Token")}
