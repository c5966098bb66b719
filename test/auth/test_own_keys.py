"""Permissions for one's own keys, for one key, and for a part of writing, over every transport and by every operation."""

from __future__ import annotations

import json

import pytest

from support.harness import CHEAP_HASHES
from support.outcome import Like, Ok, Refusal, Refused
from support.people import FORBIDDEN, allow, forbidden, fresh
from support.transports import TRANSPORTS

OWN = "users/{login}/"


@pytest.fixture(scope="module", params=[*TRANSPORTS])
def transport(request):
    return request.param


@pytest.fixture(scope="module")
def settings() -> dict:
    """Nobody may do anything but by the roles they are given."""
    return CHEAP_HASHES | {"AUTHKV_DEFAULT_ROLE": "off"}


@pytest.fixture(scope="module")
def own(people) -> str:
    """What every user of these tests may do."""
    return people.role(allow("r", prefix="public/"), allow("rw", prefix=OWN), allow("r", key="profiles/{login}"), allow("r", key="terms"))


def done(people, transport, *call) -> bool:
    """Whether it is permitted; a key that does not exist is none of its faults."""
    seen = people.do(transport, *call)
    is_refused = isinstance(seen, Refusal) and seen.message.startswith("You may not ")
    assert isinstance(seen, Ok) or is_refused or "exist" in seen.message, seen
    return not is_refused


def test_a_user_has_the_keys_of_the_own_login_and_of_no_other(people, transport, own):
    ann, bob = people.new(own), people.new(own)
    longer = f"{ann.login}x"
    assert people.http.register(longer, ann.password, "Bob", "Stone") == Ok()
    for key, read, write in [
        (f"users/{ann.login}/", True, True), (f"users/{ann.login}/a/b", True, True), (f"users/{ann.login}", False, False),
        (f"users/{longer}/", False, False), (f"users/{longer}/a", False, False), (f"users/{bob.login}/a", False, False),
        (f"users/{ann.login.upper()}/a", False, False), ("users/{login}/a", False, False), ("users//a", False, False),
        ("users/", False, False), (f"profiles/{ann.login}", True, False), (f"profiles/{ann.login}/", False, False),
        (f"profiles/{bob.login}", False, False), ("public/a", True, False), ("terms", True, False), ("terms/1", False, False),
    ]:  # fmt: skip
        assert done(people, transport, "get", ann.access, [key]) == read, key
        assert done(people, transport, "put", ann.access, {key: 1}) == write, key


def test_a_member_of_a_permission_that_is_null_is_left_out(people, transport):
    nulls = dict.fromkeys(("key", "write", "insert", "update", "delete"))
    name = people.role(nulls | {"prefix": "nulls/", "read": True}, nulls | {"prefix": None, "key": "null", "read": None, "insert": True})
    person = people.new(name)
    for key, read, write in [("nulls/a", True, False), ("null", False, True), ("other", False, False)]:
        assert done(people, transport, "get", person.access, [key]) == read, key
        assert done(people, transport, "put", person.access, {key: 1}) == write, key


def test_a_refusal_of_anothers_key_names_it(people, transport, own):
    ann, key = people.new(own), "users/another/a"
    people.expect(transport, forbidden("read", key), "batch_get", ann.access, [f"users/{ann.login}/a", key])
    people.expect(transport, forbidden("write", key), "pair_put", ann.access, key, 1)


def test_every_operation_keeps_to_the_own_keys(people, transport, own):
    ann, bob = people.new(own), people.new(own)
    mine, his = f"users/{ann.login}/", f"users/{bob.login}/"
    for person, prefix in ((ann, mine), (bob, his)):
        pairs = [{"key": f"{prefix}{name}", "value": 1} for name in ("a", "b")]
        people.expect(transport, Ok(Like("written", lambda seen: seen["committed"])), "batch_put", person.access, pairs)
    do = lambda *call: people.do(transport, *call)  # noqa: E731
    listed = do("kv_list", ann.access, {"prefix": "users/", "keys_only": True})
    assert listed == Ok({"keys": [f"{mine}a", f"{mine}b"], "next": None})
    assert do("kv_list", ann.access, {"from": "users/", "count": True}) == Ok({"count": 2})
    for call in [
        ("kv_incr", f"{his}a"), ("pair_get", f"{his}a"), ("pair_put", f"{his}a", 2, {"ttl": 60}), ("pair_delete", f"{his}a"),
        ("kv_txn", {"compare": [{"key": f"{his}a", "exists": True}]}),
        ("kv_txn", {"success": [{"op": "get", "key": f"{mine}a"}, {"op": "incr", "key": f"{his}a"}]}),
        ("kv_txn", {"failure": [{"op": "delete", "key": f"{his}a"}]}),
        ("kv_delete", {"prefix": his}), ("kv_delete", {"prefix": "users/"}),
    ]:  # fmt: skip
        operation, *args = call
        people.expect(transport, FORBIDDEN, operation, ann.access, *args)
    results = do("batch_delete", ann.access, [f"{mine}a", f"{his}a"], {"atomic": False}).value["results"]
    assert [one["outcome"] for one in results] == ["deleted", "forbidden"]
    assert do("kv_incr", ann.access, f"{mine}n", {"ttl": 60}).value["value"] == 1
    assert do("kv_delete", ann.access, {"prefix": mine}).value["deleted"] == 2
    assert do("kv_list", bob.access, {"keys_only": True}).value["keys"] == [f"{his}a", f"{his}b"]


def test_a_watch_an_export_and_an_import_keep_to_the_own_keys(people, own):
    ann, bob = people.new(own), people.new(own)
    begin = people.do("iproto", "kv_watch", ann.access, {}).value["revision"]
    for person in (ann, bob):
        assert isinstance(people.do("http", "pair_put", person.access, f"users/{person.login}/a", 1), Ok)
    for transport in ("iproto", "netbox", "console"):
        events = people.do(transport, "kv_watch", ann.access, {"after": begin, "timeout": 5}).value["events"]
        assert [event["key"] for event in events] == [f"users/{ann.login}/a"]
    authorization = {"Authorization": f"Bearer {ann.access}"}
    exported = people.http.request("GET", "/v1/export?prefix=users/", headers=authorization)
    assert [json.loads(line)["key"] for line in exported.body.splitlines()] == [f"users/{ann.login}/a"]
    line = json.dumps({"key": f"users/{bob.login}/b", "value": 1}).encode()
    done = people.http.request("POST", "/v1/import", line, authorization)
    assert json.loads(done.body.splitlines()[-1])["done"] | {"written": 0, "forbidden": 1} == json.loads(done.body.splitlines()[-1])["done"]


def test_me_shows_the_own_keys(people, transport, own):
    ann = people.new(own)
    shown = people.do(transport, "user_me", ann.access).value["permissions"]
    assert shown == [
        allow("r", prefix="public/"),
        allow("rw", prefix=f"users/{ann.login}/"),
        allow("r", key=f"profiles/{ann.login}"),
        allow("r", key="terms"),
    ]


def test_braces_of_a_key_are_doubled(people, transport):
    ann = people.new(people.role(allow("r", prefix="{{login}}/"), allow("r", key="a}}b")))
    assert done(people, transport, "get", ann.access, ["{login}/a"]) and done(people, transport, "get", ann.access, ["a}b"])
    assert not done(people, transport, "get", ann.access, [f"{ann.login}/a"])
    shown = people.do(transport, "user_me", ann.access).value["permissions"]
    assert [one.get("prefix") or one["key"] for one in shown] == ["{login}/", "a}b"]


# What a put can do, by its options, and the letters of what it needs.
PUTS = {
    "as_it_comes": ({}, "iu"), "insert": ({"mode": "insert"}, "i"), "replace": ({"mode": "replace"}, "u"),
    "of_a_new_key": ({"if_revision": 0}, "i"), "of_a_revision": ({"if_revision": 5}, "u"), "that_expires": ({"ttl": 60}, "iud"),
    "of_a_new_key_that_expires": ({"if_revision": 0, "ttl": 60}, "i"), "of_a_change_that_expires": ({"mode": "replace", "ttl": 60}, "ud"),
}  # fmt: skip
NAMES = {"i": "insert", "u": "update", "d": "delete"}


@pytest.mark.parametrize("name", PUTS)
@pytest.mark.parametrize("given", ["i", "u", "d", "iu", "ud", "id", "iud", "w", "r", ""])
def test_a_write_needs_what_it_can_do(people, transport, name, given):
    options, needed = PUTS[name]
    key = f"{fresh('parts')}/a"
    token = people.new(people.role(allow(given, prefix=key[:-1]))).access
    missing = [letter for letter in needed if letter not in given and given != "w"]
    seen = people.do(transport, "pair_put", token, key, 1, options)
    if not missing:
        assert isinstance(seen, Ok) or seen.name == "conflict", seen
        return
    verb = NAMES[missing[0]] if set(given) & set("iud") else "write"
    assert isinstance(seen, Refusal) and (seen.name, seen.message) == ("forbidden", f"You may not {verb} the key {key}")


def test_who_may_only_insert_adds_and_neither_changes_nor_deletes_nor_reads(people, transport):
    prefix = f"{fresh('log')}/"
    token = people.new(people.role(allow("i", prefix=prefix))).access
    do = lambda operation, *args: people.do(transport, operation, token, *args)  # noqa: E731
    # The contract's write inserts.
    assert do("put", {f"{prefix}a": 1}) == Ok([]) and do("put", {f"{prefix}a": 2}) == Ok([f"{prefix}a"])
    assert do("pair_put", f"{prefix}a", 2, {"mode": "insert"}).name == "conflict"
    for verb, call in [
        ("update", ("pair_put", f"{prefix}a", 2)), ("delete", ("pair_delete", f"{prefix}a")), ("read", ("get", [f"{prefix}a"])),
        ("delete", ("kv_delete", {"prefix": prefix})), ("read", ("kv_incr", f"{prefix}a")),
    ]:  # fmt: skip
        refused = do(*call)
        assert refused.message.startswith(f"You may not {verb} the key {prefix}"), call
    assert people.do("http", "get", people.admin, [f"{prefix}a"]) == Ok({f"{prefix}a": 1})


def test_parts_from_several_roles_add_up(people, transport):
    key = f"{fresh('sum')}/a"
    roles = [people.role(allow(part, prefix=key[:-1])) for part in "iud"]
    assert isinstance(people.do(transport, "pair_put", people.new(*roles).access, key, 1, {"ttl": 60}), Ok)
    people.expect(transport, forbidden("delete", key), "pair_put", people.new(*roles[:2]).access, key, 1, {"ttl": 60})


def test_a_role_of_before_keeps_its_meaning_and_looks_as_it_did(make, visit):
    """A tuple as the first versions have written it: braces in it are braces, and to write is to delete too."""
    people = visit(make(**CHEAP_HASHES | {"AUTHKV_DEFAULT_ROLE": "off"}).start())
    role = people.role(allow("rw", prefix="a/"))
    of_before = "{{'a/', true, true}, {'{login}/', true, true}}"
    people.console.evaluate(
        f"local row = box.space.authkv_role:get('{role}') "
        "local one = row[4][1] assert(#row[4] == 1 and #one == 3 and one[1] == 'a/' and one[2] and one[3]) "
        f"box.space.authkv_role:update('{role}', {{{{'=', 4, {of_before}}}}})"
    )
    person = people.new(role)
    for _ in range(2):
        for transport in TRANSPORTS:
            assert done(people, transport, "put", person.access, {"{login}/a": 1})
            assert not done(people, transport, "put", person.access, {f"{person.login}/a": 1})
            assert isinstance(people.do(transport, "pair_delete", person.access, "{login}/a"), Ok)
        shown = [one for one in people.administer("role_list")["roles"] if one["name"] == role]
        assert shown == [{"name": role, "permissions": [allow("rw", prefix="a/"), allow("rw", prefix="{{login}}/")]}]
        # What is shown may be set as it is.
        people.administer("role_set", role, shown[0]["permissions"])
        people.restart()


def test_the_default_role_may_be_for_the_own_keys(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    ann = people.new()
    people.administer("role_set", "default", [allow("r", prefix="public/"), allow("rw", prefix=OWN)])
    for _ in range(2):
        for transport in TRANSPORTS:
            assert done(people, transport, "put", ann.access, {f"users/{ann.login}/{fresh('k')}": 1})
            assert not done(people, transport, "put", ann.access, {"public/a": 1})
        people.restart()


def test_a_role_that_is_changed_or_made_anew_counts_at_once(people, transport):
    role = people.role(allow("r", prefix="a/"))
    person = people.new(role)
    for text in ("b/", "a/", OWN, "b/"):
        people.administer("role_set", role, [allow("r", prefix=text)])
        key = f"{text.replace('{login}', person.login)}x"
        assert done(people, transport, "get", person.access, [key])
        assert not done(people, transport, "get", person.access, ["c"])


# What is asked, and whether somebody with the role below gets it.
QUESTIONS = [
    ({}, None), ({"role": None}, None),
    ({"key": "users/{login}/a"}, None), ({"key": "users/{login}/a", "access": "write"}, None),
    ({"key": "users/x/a"}, forbidden("read", "users/x/a")),
    ({"key": "log/1", "access": "insert"}, None), ({"key": "log/1", "access": "delete"}, forbidden("delete", "log/1")),
    ({"key": "log/1", "access": "write"}, Refused("forbidden")), ({"key": "log/1"}, forbidden("read", "log/1")),
    ({"role": "admin"}, Refused("role_required", "This needs the role admin")), ({"role": "none-such"}, Refused("role_required")),
    ({"role": "default"}, Refused("role_required")), ({"role": "a b"}, Refused("bad_role")), ({"role": ""}, Refused("bad_role")),
    ({"access": "read"}, Refused("bad_option")), ({"key": "log/1", "access": "list"}, Refused("bad_option")),
]  # fmt: skip


def test_whether_a_request_may_pass(people, transport):
    role = people.role(allow("rw", prefix=OWN), allow("i", prefix="log/"))
    ann = people.new(role)
    allowed = Ok({"login": ann.login, "roles": [role]})
    people.expect(transport, allowed, "auth_access", ann.access, {"role": role, "key": f"users/{ann.login}/a"})
    people.expect(transport, Refused("malformed"), "auth_access", ann.access, {"login": ann.login})
    people.expect(transport, Refused("unauthenticated"), "auth_access", "x", {})
    for question, refused in QUESTIONS:
        filled = {name: value and value.replace("{login}", ann.login) for name, value in question.items()}
        people.expect(transport, refused or allowed, "auth_access", ann.access, filled)


def test_everyone_has_the_default_role_unless_it_is_turned_off(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    ann = people.new()
    for transport in TRANSPORTS:
        people.expect(transport, Ok({"login": ann.login, "roles": []}), "auth_access", ann.access, {"role": "default", "key": "any"})
