"""API keys: they work wherever an access token does, with the rights of their user or less, until they end."""

from __future__ import annotations

import json
import re
import urllib.request
import zlib

import pytest

from support.clock import elapse
from support.fallible import Fallible
from support.harness import CHEAP_HASHES, wait_until
from support.outcome import ANY, Ok, Refused
from support.pairs import put
from support.people import FORBIDDEN, UNAUTHENTICATED, People, allow, forbidden, permission
from support.transports import TRANSPORTS

QUICK = CHEAP_HASHES | {"AUTHKV_TOKEN_ALGORITHM": "ES256"}
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def settings() -> dict:
    return QUICK


def make_key(people: People, person, name: str = "test", **options) -> dict:
    return people.expect("http", ANY, "api_key_create", person.access, name, options)


def checksum(random: str) -> str:
    rest, digits = zlib.crc32(random.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = BASE62[digit] + digits
    return digits


def forged(random: str) -> str:
    return f"authkv_{random}{checksum(random)}"


def test_a_key_has_the_form_that_scanners_of_secrets_know(people):
    keys = [make_key(people, people.new())["key"] for _ in range(20)]
    assert len(set(keys)) == len(keys)
    for key in keys:
        random, check = re.fullmatch(r"authkv_([0-9A-Za-z]{43})([0-9A-Za-z]{6})", key).groups()
        assert check == checksum(random)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_key_reads_and_writes_as_its_user(people, transport):
    person = people.new()
    people.administer("role_set", "default", [permission("", True, True)])
    name = f"key/{transport}"
    people.expect(transport, Ok([]), "put", person.key, {name: 1})
    people.expect(transport, Ok({name: 1}), "get", person.key, [name])
    assert people.expect(transport, ANY, "pair_get", person.key, name)["value"] == 1
    assert people.do(transport, "user_me", person.key).value["login"] == person.login
    people.expect(transport, Ok(True), "check", person.key)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_logout_of_api_is_not_for_a_key(people, transport):
    person = people.new()
    people.expect(transport, Refused("not_for_api_keys"), "logout", person.key)
    people.assert_holds(person.key)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_key_has_the_roles_that_it_was_given_and_its_user_still_has(people, transport):
    people.administer("role_set", "default", [permission("d/", True, True)])
    a, b = people.role(permission("a/", True)), people.role(permission("b/", True))
    person = people.new(a, b)
    for keys, roles in [({"a/", "b/", "d/"}, None), ({"a/"}, [a]), ({"a/", "d/"}, [a, "default"]), (set(), [])]:
        key = make_key(people, person, **({} if roles is None else {"roles": roles}))["key"]
        for prefix in ("a/", "b/", "d/"):
            expected = Refused("no_such_key") if prefix in keys else FORBIDDEN
            people.expect(transport, expected, "pair_get", key, f"{prefix}x")
        people.expect(transport, Refused("no_such_key") if "d/" in keys else FORBIDDEN, "pair_get", key, "d/x")
    key = make_key(people, person, roles=[a])["key"]
    people.administer("role_revoke", person.login, a)
    people.expect(transport, FORBIDDEN, "pair_get", key, "a/x")
    # Another role of the same name is another one.
    people.administer("role_grant", person.login, a)
    people.expect(transport, Refused("no_such_key"), "pair_get", key, "a/x")
    people.administer("role_delete", a)
    people.administer("role_set", a, [permission("a/", True)])
    people.administer("role_grant", person.login, a)
    people.expect(transport, FORBIDDEN, "pair_get", key, "a/x")
    people.administer("role_set", "default", [permission("", True, True)])


def test_a_key_of_an_administrator_without_the_role_administers_nothing(people):
    boss = people.new("admin")
    people.everywhere(Refused("role_required"), "user_list", make_key(people, boss, roles=["default"])["key"])
    people.everywhere(ANY, "user_list", make_key(people, boss, roles=["admin"])["key"])


FORGERIES = {
    "of_nobody": lambda key: forged("x" * 43),
    "with_a_wrong_checksum": lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
    "with_another_first_character": lambda key: forged(("a" if key[7] != "a" else "b") + key[8:50]),
    "with_another_last_character": lambda key: forged(key[7:49] + ("a" if key[49] != "a" else "b")),
    "in_other_case": lambda key: forged(key[7:50].swapcase()),
    "cut": lambda key: key[:-1],
    "longer": lambda key: key + "A",
    "without_its_prefix": lambda key: key.removeprefix("authkv_"),
    "with_another_prefix": lambda key: key.replace("authkv_", "ghp_"),
    "with_an_upper_prefix": lambda key: key.replace("authkv_", "AUTHKV_"),
    "twice": lambda key: key + key,
    "prefix_alone": lambda key: "authkv_",
    "of_other_characters": lambda key: "authkv_" + "é" * 49,
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_key_is_refused_and_its_twin_accepted(people, transport, forgery):
    person = people.new()
    key = FORGERIES[forgery](person.key)
    if not key.isascii() and people.transport(transport).is_http:
        key = key.encode().decode("latin-1")
    people.expect(transport, Ok(False), "check", key)
    for operation, *args in (("get", ["k"]), ("put", {"written": 1}), ("user_me",), ("logout",), ("user_list",), ("auth_access", {})):
        people.expect(transport, UNAUTHENTICATED, operation, key, *args)
    people.expect(transport, Ok(True), "check", person.key)


@pytest.mark.parametrize("what", ["id", "digest"])
def test_what_is_stored_of_a_key_is_none(people, what):
    person = people.new()
    code = f"local one = box.space.authkv_api_key:get('{person.key_id}') return one.id, one.digest"
    stored = dict(zip(("id", "digest"), people.console.evaluate(code), strict=True))[what]
    for key in (stored, f"authkv_{stored}", forged(stored.replace("-", "a").replace("_", "b")[:43].ljust(43, "x"))):
        people.everywhere(Ok(False), "check", key)
        people.everywhere(UNAUTHENTICATED, "user_me", key)


def test_no_key_is_kept_or_logged_as_it_is(make, visit):
    people = visit(make(AUTHKV_HTTP_ACCESS_LOG="all", **QUICK).start())
    person = people.new()
    keys = [person.key, make_key(people, person, "other")["key"]]
    for key in keys:
        people.everywhere(ANY, "user_me", key)
        people.everywhere(Refused("not_for_api_keys"), "api_key_list", key)
    held = b"".join(path.read_bytes() for path in people.instance.data_dir.rglob("*") if path.is_file())
    said = people.instance.log()
    assert person.login.encode() in held and person.login in said
    for key in keys:
        for part in (key, key[7:50]):
            assert part.encode() not in held and part not in said
    assert not [one for one in people.do("http", "api_key_list", person.access).value["api_keys"] if "key" in one]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_key_expires(people, transport):
    person = people.new()
    key = make_key(people, person, ttl=2)["key"]
    people.expect(transport, Ok(True), "check", key)
    elapse(3)
    people.expect(transport, Ok(False), "check", key)
    people.expect(transport, UNAUTHENTICATED, "user_me", key)
    assert people.do(transport, "api_key_list", person.access).value == {"api_keys": []}


def test_a_user_has_a_hundred_keys_at_most(people):
    person = people.new()
    for number in range(100):
        make_key(people, person, str(number))
    people.everywhere(Refused("too_many_api_keys"), "api_key_create", person.access, "more")
    keys = people.do("http", "api_key_list", person.access).value["api_keys"]
    assert len(keys) == 100
    people.expect("http", ANY, "api_key_revoke", person.access, keys[0]["api_key"])
    make_key(people, person, "more")


def test_the_last_use_is_shown_at_once_and_kept_in_a_minute(make, visit):
    people = visit(make(**QUICK).start())
    person = people.new()
    [unused] = people.do("http", "api_key_list", person.access).value["api_keys"] if person.key else []
    assert unused["used_at"] is None
    people.everywhere(ANY, "user_me", person.key)
    [used] = people.do("http", "api_key_list", person.access).value["api_keys"]
    assert used["used_at"] >= used["created_at"]
    kept = f"local one = box.space.authkv_api_key_use:get('{person.key_id}') return one ~= nil"
    assert people.console.evaluate(kept) == [False]
    wait_until(lambda: people.console.evaluate(kept) == [True], "the last use is written", 90)
    people.restart()
    [after] = people.do("http", "api_key_list", person.access).value["api_keys"]
    assert after["used_at"] == used["used_at"]
    people.expect("http", ANY, "api_key_revoke", person.access, person.key_id)
    assert people.console.evaluate(kept) == [False]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_keys_and_what_ended_them_outlive_a_restart(make, visit, end):
    people = visit(make(**QUICK).start())
    person, other = people.new(), people.new()
    kept, revoked = person.key, make_key(people, person, "other")
    people.expect("http", ANY, "api_key_revoke", person.access, revoked["api_key"])
    assert other.key
    people.administer("user_delete", other.login)
    people.close()
    getattr(people.instance, end)()
    people.instance.start()
    people.everywhere(Ok(True), "check", kept)
    for key in (revoked["key"], other.key):
        people.everywhere(Ok(False), "check", key)


def test_a_restore_ends_all_keys(make, visit):
    people = visit(make(**QUICK).start())
    person = people.new()
    people.everywhere(Ok(True), "check", person.key)
    assert people.console.evaluate("return authkv.restored() ~= nil") == [True]
    people.everywhere(Ok(False), "check", person.key)
    assert people.do("http", "api_key_list", person.log_in()["access_token"]).value == {"api_keys": []}


def test_what_is_not_written_is_not_done(visit):
    instance = Fallible(**QUICK).start()
    try:
        people = visit(instance)
        person = people.new()
        assert person.key
        with instance.failing():
            people.everywhere(Refused("not_durable"), "api_key_create", person.access, "more")
            people.everywhere(Refused("not_durable"), "api_key_revoke", person.access, person.key_id)
            people.everywhere(Ok(True), "check", person.key)
        assert len(people.do("http", "api_key_list", person.access).value["api_keys"]) == 1
    finally:
        instance.dispose()


def test_a_user_deleted_behind_our_back_leaves_no_key_to_the_next_of_that_login(people):
    person = people.new()
    people.everywhere(Ok(True), "check", person.key)
    assert people.console.evaluate(f"box.space.user:delete('{person.login}') return true") == [True]
    people.everywhere(Ok(False), "check", person.key)
    people.administer("user_create", person.login, "0ther-Horse-1", "Bob", "Stone", {})
    people.everywhere(Ok(False), "check", person.key)


def test_a_watch_ends_with_its_key(people):
    person = people.new()
    people.administer("role_set", "default", [permission("", True, True)])
    put(people, person.key, "watched", 1)
    asked = urllib.request.Request(f"{people.instance.url}/v1/watch", headers={"Authorization": f"Bearer {person.key}"})
    with urllib.request.urlopen(asked, timeout=30) as stream:
        assert next(line for line in stream if line.startswith(b"event:")) == b"event: ready\n"
        people.expect("http", ANY, "api_key_revoke", person.access, person.key_id)
        put(people, person.access, "watched", 2)
        lines = [line for line in stream if line.startswith(b"data: {")]
    assert json.loads(lines[-1].removeprefix(b"data: "))["code"] == "unauthenticated"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_key_has_the_login_of_its_user_in_permissions_and_for_proxies(people, transport):
    people.administer("role_set", "default", [])
    role = people.role(allow("rw", prefix="users/{login}/"))
    person = people.new(role)
    own = f"users/{person.login}/"
    people.expect(transport, ANY, "pair_put", person.key, f"{own}a", 1)
    people.expect(transport, forbidden("read", "users/a"), "pair_get", person.key, "users/a")
    assert isinstance(people.do(transport, "auth_access", person.key, {"key": f"{own}a", "access": "write", "role": role}), Ok)
    people.expect(transport, forbidden("write", "users/a"), "auth_access", person.key, {"key": "users/a", "access": "write"})
    people.expect(transport, FORBIDDEN, "kv_delete", person.key, {"prefix": "users/"})
    assert people.do(transport, "kv_delete", person.key, {"prefix": own}).value["deleted"] == 1
