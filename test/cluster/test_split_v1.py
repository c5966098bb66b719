"""The key-value instance of a split follows what /v1 does at the other: keys, roles, and tokens that end."""

from __future__ import annotations

import pytest

from support.harness import CHEAP_HASHES, Instance, wait_until
from support.load import Load
from support.outcome import ANY, Ok, Refusal, Refused
from support.people import FORBIDDEN, PASSWORD, UNAUTHENTICATED, Person, allow, forbidden, permission
from support.split import UNKNOWN, WITHIN_A_SECOND, Split, auth_settings, kv_settings, refused
from support.tokens import kid
from support.transports import TRANSPORTS, HttpTransport


@pytest.fixture(scope="module")
def split():
    with Instance(**auth_settings(), **CHEAP_HASHES) as auth, Instance(**kv_settings(auth)) as kv:
        split = Split(auth, kv)
        yield split
        split.close()


@pytest.fixture
def own(make):
    """A split of a test's own, which it may leave with other keys, with settings of the key-value instance."""
    made = []

    def own(auth: dict | None = None, **kv) -> Split:
        quick = CHEAP_HASHES | {"AUTHKV_TOKEN_ALGORITHM": "ES256"}
        first = make(**(auth_settings() | quick | (auth or {}))).start()
        made.append(Split(first, make(**kv_settings(first, **kv)).start()))
        return made[-1]

    yield own
    for split in made:
        split.close()


ENDINGS = {
    "logout": lambda people, one: people.do("http", "auth_logout", one.access),
    "logout_all": lambda people, one: people.do("http", "session_logout_all", one.access),
    "change_of_password": lambda people, one: people.do("http", "user_password", one.access, PASSWORD, f"{PASSWORD}2"),
    "reset_of_password": lambda people, one: people.administer("user_set_password", one.login, PASSWORD),
    "logout_by_the_administrator": lambda people, one: people.administer("user_logout", one.login),
    "disabling": lambda people, one: people.administer("user_disable", one.login),
    "deletion": lambda people, one: people.administer("user_delete", one.login),
    "reuse_of_a_refresh_token": lambda people, one: one.reuse(),
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_a_token_is_known_to_the_other_instance_within_a_second(split, ending):
    person, twin = split.people.new(), split.people.new()
    for token in (person.access, twin.access):
        split.wait_until_accepted(token)
    ENDINGS[ending](split.people, person)
    split.wait_until_refused(person.access)
    split.assert_accepted(twin.access)


KEY_ENDINGS = {
    "revoking": lambda people, one: people.expect("http", ANY, "api_key_revoke", one.access, one.key_id),
    "disabling": ENDINGS["disabling"],
    "deletion": ENDINGS["deletion"],
}


@pytest.mark.parametrize("ending", KEY_ENDINGS)
def test_keys_of_programs_are_followed(split, ending):
    """A new key is accepted by the other instance within a second, and one that has ended refused."""
    person, twin = split.people.new(), split.people.new()
    for key in (person.key, twin.key):
        split.wait_until_accepted(key)
    KEY_ENDINGS[ending](split.people, person)
    split.wait_until_refused(person.key)
    split.assert_accepted(twin.key)


def test_a_login_after_an_ending_is_accepted(split):
    person = split.people.new()
    split.wait_until_accepted(person.access)
    split.people.administer("user_logout", person.login)
    session = person.log_in()
    split.wait_until_accepted(session["access_token"])
    split.wait_until_refused(person.access)


def test_a_new_user_of_an_old_login_is_accepted_and_the_old_tokens_are_not(split):
    person = split.people.new("admin")
    split.wait_until_accepted(person.access)
    split.people.administer("user_delete", person.login)
    assert split.people.http.register(person.login, PASSWORD, "Bob", "Stone") == Ok()
    again = Person(split.people, person.login)
    split.wait_until_accepted(again.access)
    split.wait_until_refused(person.access)


def test_roles_and_grants_are_known_to_the_other_instance_within_a_second(own):
    split = own(AUTHKV_DEFAULT_ROLE="off")
    people = split.people
    role = people.role(permission("k", read=True))
    person = people.new()
    split.wait_until_refused(person.access, FORBIDDEN)
    may_read = {
        name: lambda transport=transport: (
            isinstance(seen := transport.get(person.access, ["k"]), Refusal) and refused(seen, transport, Refused("missing_keys"))
        )
        for name, transport in split.kv.items()
    }
    people.administer("role_grant", person.login, role)
    for name, may in may_read.items():
        wait_until(may, f"{name} knows the grant", WITHIN_A_SECOND)
    for transport in split.kv.values():
        assert refused(transport.put(person.access, {"k": 1}), transport, FORBIDDEN)
    people.administer("role_set", role, [permission("other", read=True)])
    split.wait_until_refused(person.access, FORBIDDEN)
    people.administer("role_set", role, [permission("k", read=True)])
    for name, may in may_read.items():
        wait_until(may, f"{name} knows the role", WITHIN_A_SECOND)
    people.administer("role_revoke", person.login, role)
    split.wait_until_refused(person.access, FORBIDDEN)


def test_the_default_role_counts_where_the_keys_are(own):
    split = own(auth={"AUTHKV_DEFAULT_ROLE": "off"})
    split.wait_until_accepted(split.people.new().access)
    assert refused(split.kv["http"].get(split.people.new().access, ["k"]), split.kv["http"], Refused("missing_keys"))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_tokens_of_a_new_key_are_accepted_and_those_of_a_retired_one_refused(own, algorithm):
    split = own(auth={"AUTHKV_TOKEN_ALGORITHM": algorithm})
    people = split.people
    old = people.new()
    split.wait_until_accepted(old.access)
    new_key = people.administer("key_rotate", {"publish": 0})["kid"]
    new = people.new()
    assert kid(new.access) == new_key != kid(old.access)
    split.wait_until_accepted(new.access)
    split.assert_accepted(old.access)
    del people.admin  # it is of the old key
    people.administer("key_retire", kid(old.access))
    split.wait_until_refused(old.access)
    split.assert_accepted(new.access)


def test_a_key_that_was_published_first_is_known_before_it_signs(own):
    split = own()
    people = split.people
    new_key = people.administer("key_rotate", {"publish": 3})["kid"]
    person = people.new()
    tokens = []

    def signs() -> bool:
        tokens.append(person.log_in()["access_token"])
        # At once, not a second later.
        assert split.accepts(split.kv["http"], tokens[-1])
        return kid(tokens[-1]) == new_key

    wait_until(signs, "the new key signs")
    for token in tokens[-2:]:
        split.assert_accepted(token)


def test_a_rotation_loses_no_request_of_the_other_instance(own):
    split = own()
    token = split.people.new().access
    split.wait_until_accepted(token)
    with Load(split.instances[1], [HttpTransport] * 2 + list(TRANSPORTS.values()), token) as load:
        for _ in range(3):
            split.people.administer("key_rotate", {"publish": 0})
            load.advance()
    assert load.wrong == []


def test_what_happened_while_the_follower_was_down_is_known_before_it_serves(own):
    split = own()
    people, (_, kv) = split.people, split.instances
    disabled, retired = people.new(), people.new()
    for person in (disabled, retired):
        split.wait_until_accepted(person.access)
    split.close()
    kv.stop()
    people.administer("user_disable", disabled.login)
    people.administer("key_rotate", {"publish": 0})
    del people.admin
    people.administer("key_retire", kid(retired.access))
    kept = people.new()
    kv.start()
    for name, transport in TRANSPORTS.items():
        split.kv[name] = transport(kv)
        seen = []
        for person in (disabled, retired):
            token = person.access
            wait_until(
                lambda: seen.append(split.kv[name].get(token, ["k"])) or refused(seen[-1], split.kv[name], UNAUTHENTICATED),
                "the token is refused",
            )
        assert all(refused(one, split.kv[name], UNKNOWN) or refused(one, split.kv[name], UNAUTHENTICATED) for one in seen), seen
    split.wait_until_accepted(kept.access)


def test_the_other_instance_holds_neither_private_keys_nor_passwords(own):
    split = own(auth={"keys": False})
    split.people.administer("key_rotate", {"publish": 0})
    person = split.people.new()
    split.wait_until_accepted(person.access)
    _, kv = split.instances
    held = b"".join(path.read_bytes() for path in kv.data_dir.rglob("*") if path.is_file())
    assert held and not [secret for secret in (b"PRIVATE KEY", b"$argon2", person.refresh.encode()) if secret in held]
    assert "PRIVATE KEY" not in kv.log()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_operations_of_v1_are_offered_by_the_authorization_instance_only(split, transport):
    kv, admin = split.kv[transport], split.people.admin
    for operation, *args in [
        ("session_login", "admin", PASSWORD), ("session_refresh", "x"), ("user_register", "nobody9", PASSWORD, "Bob", "Stone"),
        ("user_me", admin), ("user_list", admin), ("role_set", admin, "x", []), ("key_rotate", admin), ("auth_logout", admin),
    ]:  # fmt: skip
        seen = kv.do(operation, *args)
        assert isinstance(seen, Refusal) and seen.name in ("not_offered", "no_such_route"), (operation, seen)
    split.assert_accepted(admin)


def test_permissions_for_the_own_keys_and_parts_of_writing_are_followed(own):
    split = own(AUTHKV_DEFAULT_ROLE="off")
    people = split.people
    role = people.role(allow("rw", prefix="users/{login}/"), allow("i", prefix="log/"), allow("r", key="terms"))
    person = people.new(role)
    mine = f"users/{person.login}/"
    for name, kv in split.kv.items():
        wait_until(
            lambda kv=kv, mine=mine, name=name: isinstance(kv.put(person.access, {f"{mine}{name}": 1}), Ok), f"{name} knows the role"
        )
        assert refused(kv.put(person.access, {f"users/{person.login}x/a": 1}), kv, FORBIDDEN)
        assert isinstance(kv.put(person.access, {f"log/{name}": 1}), Ok)
        assert refused(kv.do("pair_delete", person.access, f"log/{name}"), kv, forbidden("delete", f"log/{name}"))
        assert refused(kv.get(person.access, ["terms"]), kv, Refused("missing_keys"))
        assert refused(kv.get(person.access, ["terms2"]), kv, FORBIDDEN)
        assert refused(kv.do("kv_delete", person.access, {"prefix": "log/"}), kv, forbidden("delete", "log/"))
        assert kv.do("kv_delete", person.access, {"prefix": mine}).value["deleted"] == 1
    people.administer("role_set", role, [allow("d", prefix="log/")])
    for name, kv in split.kv.items():
        gone = lambda kv=kv, name=name: isinstance(kv.do("pair_delete", person.access, f"log/{name}"), Ok)  # noqa: E731
        wait_until(gone, f"{name} knows the change", WITHIN_A_SECOND)


def test_a_proxy_may_ask_either_instance_and_about_keys_the_one_that_has_them(own):
    split = own(AUTHKV_DEFAULT_ROLE="off")
    people = split.people
    role = people.role(allow("r", prefix="users/{login}/"))
    person = people.new(role)
    allowed = Ok({"login": person.login, "roles": [role]})
    key = f"users/{person.login}/a"
    for name, kv in split.kv.items():
        wait_until(lambda kv=kv: kv.do("auth_access", person.access, {"role": role, "key": key}) == allowed, f"{name} knows the role")
        assert refused(kv.do("auth_access", person.access, {"key": key, "access": "write"}), kv, forbidden("write", key))
        assert refused(kv.do("auth_access", person.access, {"role": "admin"}), kv, Refused("role_required"))
    for name in TRANSPORTS:
        people.expect(name, allowed, "auth_access", person.access, {"role": role})
        people.expect(name, Refused("not_offered"), "auth_access", person.access, {"key": key})
        for operation, *args in [("kv_delete", {"prefix": "users/"}), ("pair_get", key)]:
            people.expect(name, Refused("not_offered"), operation, person.access, *args)
    assert (
        people.http.request("GET", f"/v1/pair?key={key}", None, {"Authorization": f"Bearer {person.access}"}).problem["code"]
        == "not_offered"
    )
    people.administer("user_disable", person.login)
    for name, kv in split.kv.items():
        gone = lambda kv=kv: refused(kv.do("auth_access", person.access, {}), kv, UNAUTHENTICATED)  # noqa: E731
        wait_until(gone, f"{name} refuses the token", WITHIN_A_SECOND)
