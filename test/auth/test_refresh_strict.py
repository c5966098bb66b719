"""`REFRESH_GRACE=0`: a refresh token is good for one use, and a second one ends the session."""

from __future__ import annotations

import pytest

from support.harness import CHEAP_HASHES
from support.load import at_once
from support.outcome import Ok
from support.people import INVALID_REFRESH_TOKEN, UNAUTHENTICATED, People, session_answer
from support.transports import TRANSPORTS


@pytest.fixture(scope="module")
def settings() -> dict:
    return CHEAP_HASHES | {"AUTHKV_REFRESH_GRACE": "0", "AUTHKV_TOKEN_ALGORITHM": "ES256"}


def assert_ended(people: People, *sessions: dict) -> None:
    for session in sessions:
        people.expect("http", UNAUTHENTICATED, "user_me", session["access_token"])
        people.expect("http", INVALID_REFRESH_TOKEN, "session_refresh", session["refresh_token"])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_second_use_ends_the_session_and_no_other(people, transport):
    person = people.new()
    newer = people.expect(transport, Ok(session_answer()), "session_refresh", person.refresh)
    other = person.log_in()
    people.assert_holds(newer["access_token"])
    people.expect(transport, INVALID_REFRESH_TOKEN, "session_refresh", person.refresh)
    assert_ended(people, person.session, newer)
    people.assert_holds(other["access_token"])


@pytest.mark.parametrize("transports", [("http", "http"), ("http", "iproto"), ("netbox", "console")], ids="-".join)
def test_of_two_refreshes_at_once_at_most_one_succeeds(people, transports):
    racers = [TRANSPORTS[name](people.instance) for name in transports]
    for _ in range(50):
        session = people.new().session
        seen = at_once(*(lambda transport=transport: transport.do("session_refresh", session["refresh_token"]) for transport in racers))
        won = [one.value for one in seen if isinstance(one, Ok)]
        assert len(won) <= 1, seen
        # The one who came second has used a token that was used: the session has ended.
        assert_ended(people, session, *won)
    for transport in racers:
        transport.close()
