"""Who may read and write which keys: roles with prefixes, checked for every key of a batch, over every transport."""

from __future__ import annotations

import itertools

import pytest

from support.harness import CHEAP_HASHES
from support.outcome import Ok, Refused
from support.people import NO_SUCH_ROLE, People, forbidden, permission
from support.transports import TRANSPORTS

_batches = itertools.count(1)


def unused() -> str:
    """The rest of a key that nothing has written yet."""
    return f"-{next(_batches)}"


@pytest.fixture(scope="module", params=[*TRANSPORTS])
def transport(request):
    return request.param


@pytest.fixture(scope="module")
def settings() -> dict:
    """Nobody may do anything but by the roles they are given."""
    return CHEAP_HASHES | {"AUTHKV_DEFAULT_ROLE": "off"}


@pytest.fixture(scope="module")
def kept(people: People) -> list[str]:
    """Keys that exist, written by the owner."""
    keys = ["a", "a/", "a/b", "a/b/c", "ab", "b", "b/x", "ключ/1"]
    people.console.outcome("authkv.put{" + ", ".join(f"['{key}'] = 1" for key in keys) + "}")
    return keys


def may(people: People, transport: str, token: str, verb: str, key: str) -> bool:
    """Whether the user may do this to the key; a refusal has to name it."""
    if verb == "read":
        expected, call = Ok({key: 1}), ("get", token, [key])
    else:
        key += unused()
        expected, call = Ok([]), ("put", token, {key: 1})
    if people.sees(transport, expected, *call):
        return True
    people.expect(transport, forbidden(verb, key), *call)
    return False


# permissions, the keys that may be read, the keys that may be written
PREFIXES = {
    "nothing": ([], [], []),
    "one_prefix_to_read": ([permission("a/", read=True)], ["a/", "a/b", "a/b/c"], []),
    "one_prefix_to_write": ([permission("a/", write=True)], [], ["a/", "a/b", "a/b/c"]),
    "one_prefix_for_both": ([permission("b", True, True)], ["b", "b/x"], ["b", "b/x"]),
    "a_prefix_without_a_slash": ([permission("a", read=True)], ["a", "a/", "a/b", "a/b/c", "ab"], []),
    "a_prefix_that_is_a_whole_key": ([permission("a/b/c", read=True)], ["a/b/c"], []),
    "a_prefix_longer_than_the_keys": ([permission("a/b/c/d", True, True)], [], []),
    "a_prefix_in_another_case": ([permission("A/", True, True)], [], []),
    "a_pattern_is_no_pattern": ([permission("*", True, True), permission("a?", True, True), permission(".*", True, True)], [], []),
    "unicode": ([permission("ключ", read=True)], ["ключ/1"], []),
    "all_keys_to_read": ([permission("", read=True)], ["a", "a/", "a/b", "a/b/c", "ab", "b", "b/x", "ключ/1"], []),
    "a_prefix_within_a_prefix": ([permission("a/", read=True), permission("a/b", write=True)], ["a/", "a/b", "a/b/c"], ["a/b", "a/b/c"]),
    "neither": ([permission("a/")], [], []),
}  # fmt: skip


@pytest.mark.parametrize("name", PREFIXES)
def test_a_prefix_gives_its_keys_to_read_and_to_write_apart(people, kept, transport, name):
    permissions, read, write = PREFIXES[name]
    token = people.new(people.role(*permissions)).access
    assert [key for key in kept if may(people, transport, token, "read", key)] == read
    assert [key for key in kept if may(people, transport, token, "write", key)] == write


def test_who_has_no_role_may_do_nothing(people, kept, transport):
    token = people.new().access
    assert not any(may(people, transport, token, verb, key) for key in kept for verb in ("read", "write"))


def test_roles_add_up(people, kept, transport):
    person = people.new(people.role(permission("a/", read=True)), people.role(permission("b", write=True)), people.role())
    assert [key for key in kept if may(people, transport, person.access, "read", key)] == ["a/", "a/b", "a/b/c"]
    assert [key for key in kept if may(people, transport, person.access, "write", key)] == ["b", "b/x"]


def test_an_administrator_may_do_everything(people, kept, transport):
    token = people.new("admin").access
    assert all(may(people, transport, token, verb, key) for key in kept for verb in ("read", "write"))


def test_who_may_introspect_may_read_nothing(people, kept, transport):
    token = people.new("introspect").access
    assert not any(may(people, transport, token, verb, key) for key in kept for verb in ("read", "write"))


def test_the_first_key_refused_is_named_and_nothing_is_read(people, kept, transport):
    token = people.new(people.role(permission("a/", read=True))).access
    people.expect(transport, forbidden("read", "b"), "get", token, ["a/b", "b", "a/", "a"])
    people.expect(transport, forbidden("read", "a"), "get", token, ["a", "b"])


def test_the_whole_batch_is_refused_and_nothing_is_written(people, kept, transport):
    token = people.new(people.role(permission("a/", write=True))).access
    good, bad = f"a/{unused()}", f"z{unused()}"
    people.expect(transport, forbidden("write", bad), "put", token, {good: 1, bad: 2, f"{good}b": 3})
    people.expect(transport, Refused("missing_keys"), "get", people.admin, [good])
    assert people.console.evaluate(f"return box.space.key_value_store:get('{bad}') == nil") == [True]


@pytest.mark.parametrize("exact", [name for name in TRANSPORTS if TRANSPORTS[name].exact])
def test_the_first_pair_refused_is_named(people, exact):
    token = people.new(people.role(permission("a/", write=True))).access
    people.expect(exact, forbidden("write", "y"), "put", token, {"a/new": 1, "y": 1, "x": 1})


def test_an_existing_key_is_no_excuse(people, kept, transport):
    token = people.new(people.role(permission("b", write=True))).access
    people.expect(transport, forbidden("write", "a"), "put", token, {"a": 2})


# Rules on keys come before permissions, and permissions before existence.
ORDER = [
    ("get", ["b", "b"], Refused("repeated_keys")),
    ("get", [], Refused("no_keys")),
    ("put", {}, Refused("no_keys")),
    ("put", {"b": 1, "": 1}, Refused("bad_key")),
    ("put", {"k" * 1025: 1}, Refused("bad_key")),
    ("get", ["no such key"], forbidden("read", "no such key")),
    ("get", ["no such key", "b"], forbidden("read", "no such key")),
    ("get", ["a/no", "b"], forbidden("read", "b")),
]


@pytest.mark.parametrize("operation,batch,expected", ORDER, ids=range(len(ORDER)))
def test_permissions_come_after_the_rules_on_keys_and_before_existence(people, kept, transport, operation, batch, expected):
    token = people.new(people.role(permission("a/", True, True))).access
    people.expect(transport, expected, operation, token, batch)


def test_a_grant_and_its_end_count_on_the_next_request(people, kept, transport):
    role = people.role(permission("a/", True, True))
    person = people.new()
    for token in (person.access, person.api_token):
        # Every transport knows the token by now, so that what one remembers of it would show.
        people.assert_holds(token)
    for _ in range(2):
        for token in (person.access, person.api_token):
            assert not may(people, transport, token, "read", "a/b")
        people.administer("role_grant", person.login, role)
        for token in (person.access, person.api_token):
            assert may(people, transport, token, "read", "a/b") and may(people, transport, token, "write", "a/b")
        people.administer("role_revoke", person.login, role)


def test_a_change_of_a_role_counts_on_the_next_request(people, kept, transport):
    role = people.role(permission("a/", read=True))
    token = people.new(role).access
    assert may(people, transport, token, "read", "a/b") and not may(people, transport, token, "read", "b")
    people.administer("role_set", role, [permission("b", read=True)])
    assert may(people, transport, token, "read", "b") and not may(people, transport, token, "read", "a/b")
    people.administer("role_delete", role)
    assert not may(people, transport, token, "read", "b")
    people.administer("role_set", role, [permission("b", read=True)])
    assert not may(people, transport, token, "read", "b"), "the new role of that name was not granted"


def test_an_administrator_who_is_no_longer_one_is_refused_on_the_next_request(people, kept, transport):
    person = people.new("admin")
    assert may(people, transport, person.access, "read", "a") and isinstance(people.do(transport, "user_list", person.access), Ok)
    people.administer("role_revoke", person.login, "admin")
    assert not may(people, transport, person.access, "read", "a")
    people.expect(transport, Refused("role_required"), "user_list", person.access)


def test_me_shows_what_the_roles_give(people, transport):
    first, second = permission("a/", read=True), permission("b", write=True)
    person = people.new(people.role(first), people.role(second))
    shown = people.do(transport, "user_me", person.access).value["permissions"]
    assert sorted(shown, key=lambda one: one["prefix"]) == [first, second]


def test_the_owner_needs_no_role(people, kept):
    assert people.console.outcome("authkv.get{'a', 'b'}") == Ok({"a": 1, "b": 1})


@pytest.mark.parametrize("default_role", [None, "off"])
def test_the_default_role_gives_all_keys_unless_it_is_turned_off(make, visit, default_role):
    people = visit(make(AUTHKV_DEFAULT_ROLE=default_role, **CHEAP_HASHES).start())
    token = people.new().access
    for transport in TRANSPORTS:
        assert may(people, transport, token, "write", "k") == (default_role is None)


def test_the_default_role_may_be_narrowed_and_survives_a_restart(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    person = people.new()
    people.administer("role_set", "default", [permission("public/", read=True)])
    for _ in range(2):
        for transport in TRANSPORTS:
            people.expect(transport, forbidden("write", "public/a"), "put", person.access, {"public/a": 1})
            people.expect(transport, Refused("missing_keys"), "get", person.access, ["public/a"])
        people.restart()


def test_roles_and_grants_survive_a_restart(make, visit):
    people = visit(make(AUTHKV_DEFAULT_ROLE="off", **CHEAP_HASHES).start())
    role, gone = people.role(permission("a/", True, True)), people.role(permission("", True, True))
    person, former = people.new(role), people.new(gone)
    people.administer("role_delete", gone)
    people.restart()
    for transport in TRANSPORTS:
        assert may(people, transport, person.access, "write", "a/b") and not may(people, transport, person.access, "write", "b")
        assert not may(people, transport, former.access, "write", "a/b")
    people.expect("http", NO_SUCH_ROLE, "role_delete", people.admin, gone)


def test_a_batch_of_many_keys_is_checked_for_each(people, transport):
    token = people.new(people.role(permission("many/", write=True))).access
    keys = [f"many/{transport}{n}" for n in range(9_999)]
    outside = f"other{transport}"
    people.expect(transport, forbidden("write", outside), "put", token, dict.fromkeys([*keys, outside], 1))
    people.expect(transport, Ok([]), "put", token, dict.fromkeys(keys, 1))


def test_the_default_role_can_be_given_where_not_everybody_has_it(people, kept):
    person = people.new("default")
    people.everywhere(Ok({"a": 1}), "get", person.access, ["a"])
    people.everywhere(Refused("forbidden"), "get", people.new().access, ["a"])
