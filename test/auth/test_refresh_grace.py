"""The time of grace of a refresh: a used refresh token gives the same new one again, for a while, and ends nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from support.clock import elapse
from support.faketime import clock_settings, set_clock
from support.fallible import Fallible
from support.harness import CHEAP_HASHES, wait_until
from support.load import at_once
from support.outcome import Ok, Refused
from support.people import INVALID_REFRESH_TOKEN, UNAUTHENTICATED, People, session_answer
from support.replica import replica_of
from support.transports import TRANSPORTS

QUICK = CHEAP_HASHES | {"AUTHKV_TOKEN_ALGORITHM": "ES256"}


@pytest.fixture(scope="module")
def settings() -> dict:
    return QUICK


def refresh(people: People, token: str, transport: str = "http") -> dict:
    return people.expect(transport, Ok(people.session_answer()), "session_refresh", token)


def assert_ended(people: People, *sessions: dict) -> None:
    for session in sessions:
        people.expect("http", UNAUTHENTICATED, "user_me", session["access_token"])
        people.everywhere(INVALID_REFRESH_TOKEN, "session_refresh", session["refresh_token"])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_used_refresh_token_gives_the_same_new_one_again_and_ends_nothing(people, transport):
    person = people.new()
    answers = [refresh(people, person.refresh, transport) for _ in range(3)]
    (newer,) = {one["refresh_token"] for one in answers}
    assert newer != person.refresh and len({one["access_token"] for one in answers}) == 3
    for one in answers:
        people.assert_holds(one["access_token"])
    newest = refresh(people, newer, transport)
    for one in (*answers, newest):
        people.assert_holds(one["access_token"])


def test_every_transport_gives_the_same(people):
    person = people.new()
    given = {refresh(people, person.refresh, transport)["refresh_token"] for transport in TRANSPORTS}
    assert len(given) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_once_the_new_one_was_used_the_old_one_ends_the_session(people, transport):
    person = people.new()
    newer = refresh(people, person.refresh)
    newest = refresh(people, newer["refresh_token"])
    people.expect(transport, INVALID_REFRESH_TOKEN, "session_refresh", person.refresh)
    assert_ended(people, person.session, newer, newest)


@pytest.mark.parametrize("transports", [("http", "http"), ("http", "iproto"), ("netbox", "console")], ids="-".join)
def test_refreshes_at_once_give_one_refresh_token(people, transports):
    racers = [TRANSPORTS[name](people.instance) for name in transports]
    for _ in range(50):
        session = people.new().session
        seen = at_once(*(lambda transport=transport: transport.do("session_refresh", session["refresh_token"]) for transport in racers))
        (newer,) = {one.value["refresh_token"] for one in seen}
        for one in seen:
            people.expect("http", Ok(True), "check", one.value["access_token"])
        refresh(people, newer)
    for transport in racers:
        transport.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_after_the_time_of_grace_it_ends_the_session(make, visit, transport):
    people = visit(make(AUTHKV_REFRESH_GRACE="1", **QUICK).start())
    person = people.new()
    newer = refresh(people, person.refresh, transport)
    elapse(1.2)
    people.expect(transport, INVALID_REFRESH_TOKEN, "session_refresh", person.refresh)
    assert_ended(people, person.session, newer)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_between_two_uses_changes_nothing(make, visit, end):
    people = visit(make(AUTHKV_REFRESH_GRACE="300", **QUICK).start())
    person = people.new()
    newer = refresh(people, person.refresh)
    people.close()
    getattr(people.instance, end)()
    people.instance.start()
    assert refresh(people, person.refresh)["refresh_token"] == newer["refresh_token"]
    refresh(people, newer["refresh_token"])
    people.expect("http", INVALID_REFRESH_TOKEN, "session_refresh", person.refresh)


def test_a_refresh_that_was_not_written_has_used_nothing(visit):
    """The answer says so, and the client tries again."""
    instance = Fallible(**QUICK).start()
    try:
        people = visit(instance)
        person = people.new()
        # The end of its tokens is recorded ahead, or that could not be written either.
        refresh(people, people.new().refresh)
        assert person.session
        with instance.failing():
            for _ in range(2):
                people.everywhere(Refused("not_durable"), "session_refresh", person.refresh)
        newer = refresh(people, person.refresh)
        with instance.failing():
            # Nothing has to be written to give it again.
            assert refresh(people, person.refresh)["refresh_token"] == newer["refresh_token"]
            people.expect("http", Refused("not_durable"), "session_refresh", newer["refresh_token"])
        refresh(people, newer["refresh_token"])
    finally:
        instance.dispose()


@pytest.mark.parametrize("jump", [7200, -7200])
def test_a_clock_that_jumps_makes_the_time_of_grace_no_longer_and_no_shorter(make, visit, jump):
    instance = make(AUTHKV_REFRESH_GRACE="2", **QUICK)
    instance.settings |= clock_settings(instance, 0)
    people = visit(instance.start())
    person = people.new()
    people.administer("user_get", person.login)
    newer = refresh(people, person.refresh)
    set_clock(instance, jump)
    # The access token is of another time, but the refresh token is the same.
    assert refresh(people, person.refresh)["refresh_token"] == newer["refresh_token"]
    elapse(2.2)
    people.expect("http", INVALID_REFRESH_TOKEN, "session_refresh", person.refresh)
    people.expect("http", INVALID_REFRESH_TOKEN, "session_refresh", newer["refresh_token"])


def test_after_a_restore_neither_gives_anything(make, visit):
    people = visit(make(**QUICK).start())
    person = people.new()
    newer = refresh(people, person.refresh)
    kept = "return box.space.authkv_secret:get('tokens')[2]"
    before = people.console.evaluate(kept)
    assert people.console.evaluate("return authkv.restored() ~= nil") == [True]
    assert people.console.evaluate(kept) != before, "who has the back-up has that secret"
    for token in (person.refresh, newer["refresh_token"]):
        people.everywhere(INVALID_REFRESH_TOKEN, "session_refresh", token)


def test_what_ends_a_session_ends_the_time_of_grace(people):
    for end in (
        lambda one, newer: people.expect("http", Ok({"revoked": True}), "auth_logout", newer["access_token"]),
        lambda one, newer: people.expect("http", Ok({"revoked": True}), "session_revoke", newer["access_token"], one.session_id),
        lambda one, newer: people.administer("user_disable", one.login),
        lambda one, newer: people.administer("user_delete", one.login),
    ):
        person = people.new()
        newer = refresh(people, person.refresh)
        again = refresh(people, person.refresh)
        end(person, newer)
        for one in (newer, again):
            people.assert_fails(one["access_token"])
        people.everywhere(INVALID_REFRESH_TOKEN, "session_refresh", person.refresh)


def test_all_access_tokens_of_the_time_of_grace_end_with_the_session_for_good(make, visit):
    """The revocation is kept until the last of them has expired, though the session was refreshed earlier."""
    people = visit(make(AUTHKV_TOKEN_TTL="60", AUTHKV_REFRESH_GRACE="300", **QUICK).start())
    person = people.new()
    refresh(people, person.refresh)
    people.restart(AUTHKV_TOKEN_TTL="3600")
    again = people.expect("http", Ok(session_answer(ttl=3600)), "session_refresh", person.refresh)
    people.expect("http", Ok({"revoked": True}), "auth_logout", again["access_token"])
    until = people.console.evaluate(f"return box.space.revoked_token:get('{person.session_id}')[2] - require('fiber').time()")[0]
    assert until > 3500


def test_a_session_of_an_older_version_is_refreshed(make, visit):
    """Data of schema version 4: a session has no time of its last refresh, address and agent."""
    people = visit(make(**QUICK).start())
    person = people.new()
    assert person.session
    cut = (
        "local space = box.space.authkv_session "
        "for _, one in ipairs(space:select()) do space:replace(one:transform(8, 3)) end "
        "local format = {} for n = 1, 7 do format[n] = space:format()[n] end space:format(format) "
        "box.space._schema:replace{'authkv', 4} return #space:format()"
    )
    assert people.console.evaluate(cut) == [7]
    people.restart()
    (listed,) = people.do("http", "session_list", person.access).value["sessions"]
    assert (listed["refreshed_at"], listed["address"], listed["user_agent"]) == (None, None, None)
    newer = refresh(people, person.refresh)
    assert refresh(people, person.refresh)["refresh_token"] == newer["refresh_token"]
    assert people.console.evaluate("return #box.space.authkv_session:format()") == [10]


def test_who_reads_the_data_and_has_a_used_token_does_not_get_the_next(people):
    """The salt and a secret are in the data, and one more secret is not: what can be computed of the rest is not what was given."""
    person = people.new()
    newer = refresh(people, person.refresh)
    code = f"return require('digest').base64_encode(tostring(box.space.authkv_session:get('{person.session_id}')[8][3]))"
    salt = base64.b64decode(people.console.evaluate(code)[0])
    old = base64.urlsafe_b64decode(person.refresh)
    secret = people.console.evaluate("return box.space.authkv_secret:get('tokens')[2]")[0].encode()
    guesses = [b"", bytes(32), secret]
    derived = [hmac.new(guess, secret + b"refresh tokens", hashlib.sha256).digest() for guess in guesses]
    for key in (*guesses, *derived):
        made = old[:16] + hmac.new(key, salt + old, hashlib.sha256).digest()
        text = base64.urlsafe_b64encode(made).decode().rstrip("=")
        assert len(text) == len(newer["refresh_token"]) and text != newer["refresh_token"]
        people.expect("http", INVALID_REFRESH_TOKEN, "session_refresh", text)


def test_a_read_only_replica_gives_it_again_and_refreshes_nothing(people):
    with replica_of(people) as replica:
        others = People(replica)
        person = people.new()
        newer = refresh(people, person.refresh)
        used = "local one = box.space.authkv_session:get('%s') return one ~= nil and one[8] ~= nil"
        wait_until(lambda: others.console.evaluate(used % person.session_id) == [True], "the replica has the refresh")
        assert refresh(others, person.refresh)["refresh_token"] == newer["refresh_token"]
        others.everywhere(Refused("read_only"), "session_refresh", newer["refresh_token"])
        others.close()
    refresh(people, newer["refresh_token"])
