"""What has ended a token is kept until the last token that was issued has expired, through every change of settings and clock."""

from __future__ import annotations

import time

import jwt
import pytest

from support.faketime import clock_settings, set_clock
from support.harness import ADMIN_PASSWORD, CHEAP_HASHES, Instance, wait_until
from support.outcome import Ok
from support.people import FORBIDDEN, PASSWORD, UNAUTHENTICATED, People, Person, permission
from support.split import auth_settings, kv_settings, refused, when_following
from support.tokens import kid
from support.transports import TRANSPORTS, ConsoleTransport

LONG, SHORT = "3600", "5"
# Seconds after which tokens of the short life, and what ended them, are over; those of the long life are not.
LATER = 1500


def exp(token: str) -> int:
    return jwt.decode(token, options={"verify_signature": False})["exp"]


def evaluate(instance: Instance, line: str):
    console = ConsoleTransport(instance)
    (value,) = console.evaluate(line)
    console.close()
    return value


def note_an_attempt(instance: Instance) -> None:
    """Leaves a failed login that the next round of the upkeep forgets, before it forgets anything else."""
    evaluate(instance, "return box.space.authkv_login_attempt:replace{'watched', 1, 1, 1} ~= nil")


def await_turns(instance: Instance) -> None:
    """Returns when the upkeep has come by several times. On a new follower, whose clock is not known yet, it forgets nothing."""
    code = "for _, one in pairs(require('fiber').info()) do if one.name == 'authkv-upkeep' then return one.csw end end"
    before = evaluate(instance, code)
    wait_until(lambda: evaluate(instance, code) >= before + 6, "the upkeep has come by")


def await_upkeep(instance: Instance) -> None:
    """Returns when the upkeep has forgotten what it may, twice."""
    for _ in range(2):
        note_an_attempt(instance)
        wait_until(lambda: evaluate(instance, "return box.space.authkv_login_attempt:get('watched') == nil"), "upkeep has come by")


class Pair:
    """The split layout, as it was when its tokens lived for an hour; and who has one of those."""

    def __init__(self, make):
        quick = CHEAP_HASHES | {"AUTHKV_TOKEN_ALGORITHM": "ES256", "AUTHKV_TOKEN_TTL": LONG}
        self.auth = make(**(auth_settings() | quick)).start()
        self.kv = make(**kv_settings(self.auth)).start()
        self.people = People(self.auth)

    def restart(self, ahead: int, *instances: Instance, **settings: str) -> None:
        self.people.close()
        for instance in instances:
            instance.stop()
            instance.settings |= clock_settings(instance, ahead) | (settings if instance is self.auth else {})
        for instance in instances:
            instance.start()
        del self.people.__dict__["admin"]

    def legacy(self) -> str:
        """A token of a user of the old system, who has nothing but a row in the space `user`: its epoch is 0."""
        one = self.people.new()
        login = f"old{one.login}"
        hashed = f"box.space.user:get('{one.login}')[2]"
        evaluate(self.auth, f"return box.space.user:insert{{'{login}', {hashed}, 'Bob', 'Stone'}} ~= nil")
        return login


# What is done to a person after the restart with the short life.
ENDINGS = {
    "deletion": lambda people, one: people.administer("user_delete", one.login),
    "logout": lambda people, one: people.do("http", "auth_logout", one.access),
    "logout_of_a_session": lambda people, one: people.do("http", "logout", one.access),
    "logout_of_api": lambda people, one: people.do("http", "logout", one.api_token),
    "disabling": lambda people, one: people.administer("user_disable", one.login),
    "password": lambda people, one: people.administer("user_set_password", one.login, f"{PASSWORD}2"),
    "reuse": lambda people, one: one.reuse(),
}


def test_what_ended_a_token_outlives_it_though_new_tokens_are_short(make):
    pair = Pair(make)
    people = pair.people
    ended = {name: people.new() for name in ENDINGS}
    old = Person(people, pair.legacy())
    role = people.role(permission("k", read=True, write=True))
    reader, kept = people.new(role), people.new()
    tokens = {name: [one.access, one.api_token] for name, one in ended.items()}
    tokens["logout_of_api"] = [ended["logout_of_api"].api_token]
    tokens |= {"old": [old.access, old.api_token]}
    for name in ("logout", "logout_of_a_session", "reuse"):
        tokens[name] = [ended[name].access]
    of_role, of_kept = reader.access, kept.access

    pair.restart(0, pair.auth, AUTHKV_TOKEN_TTL=SHORT)
    for name, one in ended.items():
        ENDINGS[name](people, one)
    people.administer("user_delete", old.login)
    people.administer("role_revoke", reader.login, role)
    people.administer("role_delete", role)
    # The last change is never forgotten.
    people.new()

    pair.restart(LATER, pair.auth, pair.kv, AUTHKV_TOKEN_TTL=SHORT)
    pair.kv.stop()
    pair.kv.settings |= {"AUTHKV_DEFAULT_ROLE": "off"}
    pair.kv.start()
    await_upkeep(pair.auth)
    await_turns(pair.kv)
    for name, transport in TRANSPORTS.items():
        kv = transport(pair.kv)
        when_following(kv, of_kept)
        for ending, given in tokens.items():
            for token in given:
                assert refused(kv.get(token, ["k"]), kv, UNAUTHENTICATED), (name, ending)
                assert refused(kv.put(token, {"never": 1}), kv, UNAUTHENTICATED), (name, ending)
        for token in (of_role, of_kept):
            assert refused(kv.get(token, ["k"]), kv, FORBIDDEN), name
        kv.close()
    for given in tokens.values():
        for token in given:
            people.everywhere(Ok(False), "check", token)
    people.everywhere(Ok(True), "check", of_kept)
    people.close()


def test_a_retired_key_stays_so_though_the_clock_is_set_back(make):
    pair = Pair(make)
    people = pair.people
    one = people.new()
    token = one.access
    pair.restart(LATER, pair.auth, pair.kv, AUTHKV_TOKEN_TTL=SHORT)
    people.administer("key_rotate", {"publish": 0})
    del people.admin
    people.administer("key_retire", kid(token))
    pair.restart(0, pair.auth, pair.kv)
    for transport in TRANSPORTS.values():
        kv = transport(pair.kv)
        wait_until(lambda: refused(kv.get(token, ["k"]), kv, UNAUTHENTICATED), "the retirement is known")
        kv.close()
    people.everywhere(Ok(False), "check", token)
    people.close()


def test_a_rotated_key_verifies_as_long_as_any_of_its_tokens_lives(make):
    pair = Pair(make)
    token = pair.people.new().access
    pair.restart(0, pair.auth, AUTHKV_TOKEN_TTL=SHORT)
    pair.people.administer("key_rotate", {"publish": 0})
    rows = pair.people.administer("key_list")["keys"]
    (until,) = [row["verifies_until"] for row in rows if row["kid"] == kid(token)]
    assert until > exp(token)
    pair.people.close()


def test_a_replaced_key_verifies_tokens_whose_life_grew_before_the_next_key_signs(make):
    """It signs until then, and so it gives tokens that live longer than any at the rotation."""
    instance = make(**CHEAP_HASHES, AUTHKV_TOKEN_ALGORITHM="ES256", AUTHKV_TOKEN_TTL=SHORT).start()
    console = ConsoleTransport(instance)

    def login() -> str:
        return console.evaluate(f"return authkv.login('admin', '{ADMIN_PASSWORD}').token")[0]

    # As at its rotation, all tokens of the key are short.
    (new,) = console.evaluate("return authkv.keys.rotate{publish = 8}.kid")
    old = kid(login())
    assert old != new
    console.evaluate(f"return authkv.reload{{TOKEN_TTL = {LONG}}}")
    token = login()
    assert kid(token) == old and exp(token) > time.time() + 600

    def row(key: str) -> dict:
        (keys,) = console.evaluate("return authkv.keys.list().keys")
        return next(one for one in keys if one["kid"] == key)

    wait_until(lambda: row(old)["verifies_until"] > exp(token), "the key verifies as long as its token lives")
    # The next key signs in its turn, and the old one goes on verifying.
    wait_until(lambda: kid(login()) == new, "the next key signs")
    assert row(new)["signs"] and row(new)["verifies_until"] is None
    assert row(old)["verifies_until"] > exp(token) and console.check(token) == Ok(True)
    console.close()


def test_a_follower_refuses_what_ended_though_it_knows_nothing_of_the_end(make):
    """The rule of epochs alone: what ended the token is not in the spaces of the follower."""
    pair = Pair(make)
    ended, kept = pair.people.new(), pair.people.new()
    token, other = ended.access, kept.access
    pair.people.administer("user_delete", ended.login)
    for transport in TRANSPORTS.values():
        kv = transport(pair.kv)
        when_following(kv, other)
        wait_until(lambda: refused(kv.get(token, ["k"]), kv, UNAUTHENTICATED), "the deletion is known")
        kv.close()
    assert evaluate(pair.kv, f"return box.space.authkv_subject:delete('{ended.login}') ~= nil")
    for transport in TRANSPORTS.values():
        kv = transport(pair.kv)
        assert refused(kv.get(token, ["k"]), kv, UNAUTHENTICATED), transport.name
        # One that comes with the next change is not refused before it is heard of.
        evaluate(pair.kv, f"return box.space.authkv_subject:delete('{kept.login}') ~= nil")
        pair.people.administer("user_logout", kept.login)
        kept.__dict__.pop("session", None)
        assert not refused(kv.get(kept.access, ["k"]), kv, UNAUTHENTICATED), transport.name
        kv.close()
    pair.people.close()


def test_a_rotated_key_verifies_tokens_that_lived_longer_before_a_reload(make):
    instance = make(**CHEAP_HASHES, AUTHKV_TOKEN_ALGORITHM="ES256", AUTHKV_TOKEN_TTL=LONG).start()
    console = ConsoleTransport(instance)
    (token,) = console.evaluate(f"return authkv.login('admin', '{ADMIN_PASSWORD}').token")
    console.evaluate(f"return authkv.reload{{TOKEN_TTL = {SHORT}}}")
    console.evaluate("return authkv.keys.rotate{publish = 0}")
    (keys,) = console.evaluate("return authkv.keys.list().keys")
    (until,) = [row["verifies_until"] for row in keys if row["kid"] == kid(token)]
    assert until > exp(token)
    console.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_last_expiry_is_written_down_before_a_token_is_given_out(make, transport):
    instance = make(**CHEAP_HASHES, AUTHKV_TOKEN_ALGORITHM="ES256", AUTHKV_TOKEN_TTL=LONG).start()
    people = People(instance)
    person = people.new()

    def until() -> int:
        return evaluate(instance, "return box.space.authkv_sequence:get('tokens_until')[2]")

    # The upkeep writes ahead; what is issued beyond that is written down by itself.
    for step, operation in enumerate(("login", "session_login", "session_refresh"), 1):
        wait_until(lambda: until() >= 0, "the instance serves")
        people.restart(**clock_settings(instance, 10 * LATER * step))
        given = [person.refresh] if operation == "session_refresh" else [person.login, PASSWORD]
        seen = people.do(transport, operation, *given)
        assert isinstance(seen, Ok), seen
        token = seen.value if isinstance(seen.value, str) else seen.value["access_token"]
        assert until() >= exp(token)
    last = until()
    people.restart(**clock_settings(instance, 0), AUTHKV_TOKEN_TTL=SHORT)
    assert until() == last
    people.close()


def test_the_end_of_a_session_that_was_forgotten_lasts_for_all_its_tokens(make):
    instance = make(**CHEAP_HASHES, AUTHKV_TOKEN_ALGORITHM="ES256", AUTHKV_TOKEN_TTL=LONG, AUTHKV_REFRESH_TTL="1").start()
    people = People(instance)
    person = people.new()
    first = person.access
    people.restart(**clock_settings(instance, 0), AUTHKV_REFRESH_TTL="1000")
    second = people.do("http", "session_login", person.login, PASSWORD).value
    # Later, so that the new token expires later than the one before.
    people.restart(**clock_settings(instance, 100))
    newer = people.do("http", "session_refresh", second["refresh_token"]).value["access_token"]
    assert evaluate(instance, "return box.space.authkv_session:truncate() == nil")
    for token, latest in ((first, first), (second["access_token"], newer)):
        assert people.do("http", "auth_logout", token) == Ok({"revoked": True}), token
        session = jwt.decode(token, options={"verify_signature": False})["sid"]
        assert evaluate(instance, f"return box.space.revoked_token:get('{session}')[2]") >= exp(latest)
    people.close()


def test_a_longer_leeway_brings_no_revoked_token_back(make):
    instance = make(**CHEAP_HASHES, AUTHKV_TOKEN_ALGORITHM="ES256", AUTHKV_TOKEN_TTL="30", AUTHKV_TOKEN_LEEWAY="0").start()
    people = People(instance)
    person = people.new()
    kept, token = person.api_token, people.new().api_token
    people.do("http", "logout", token)
    people.new()
    # Between the end of both with the short leeway and their end with the long one.
    people.restart(**clock_settings(instance, 150))
    await_upkeep(instance)
    people.restart(AUTHKV_TOKEN_LEEWAY="300")
    people.everywhere(Ok(False), "check", token)
    people.everywhere(Ok(True), "check", kept)
    people.close()


def test_a_jump_of_the_clock_forgets_nothing(make):
    instance = make(**CHEAP_HASHES, AUTHKV_TOKEN_ALGORITHM="ES256", AUTHKV_TOKEN_TTL="600")
    instance.settings |= clock_settings(instance, 0)
    instance.start()
    people = People(instance)
    tokens = [people.new().api_token for _ in range(3)]
    sessions = [people.new() for _ in range(2)]
    for token in tokens:
        people.do("http", "logout", token)
    for one in sessions:
        tokens.append(one.access)
        people.do("http", "auth_logout", one.access)
    people.new()
    for jump in (7200, -7200, 86_400 * 30):
        set_clock(instance, jump)
        await_upkeep(instance)
        set_clock(instance, 0)
        for token in tokens:
            people.everywhere(Ok(False), "check", token)
    people.close()


def test_what_ended_tokens_before_their_last_expiry_was_known_is_kept_for_as_long_as_a_token_may_live(make):
    """Data of schema version 3."""
    instance = make(**CHEAP_HASHES, AUTHKV_TOKEN_ALGORITHM="ES256").start()
    people = People(instance)
    gone = people.new()
    people.administer("user_delete", gone.login)
    people.close()
    assert evaluate(instance, f"return box.space.authkv_subject:update('{gone.login}', {{{{'=', 2, 10}}}}) ~= nil")
    assert evaluate(instance, "return box.space.authkv_sequence:delete('tokens_until') ~= nil")
    assert evaluate(instance, "return box.space._schema:replace{'authkv', 3} ~= nil")
    instance.stop()
    instance.start()
    a_year = evaluate(instance, "return box.space.authkv_sequence:get('tokens_until')[2]")
    assert abs(a_year - time.time() - 31_536_000) < 600
    assert evaluate(instance, f"return box.space.authkv_subject:get('{gone.login}')[2]") == a_year
    # That is done once.
    instance.stop()
    instance.start()
    assert evaluate(instance, "return box.space.authkv_sequence:get('tokens_until')[2]") == a_year
